"""The parts of bench/run. Reading order: measure (yardsticks, CPU, memory), node (the server), send (clients), corpus and generate (what
is sent), ingest, queries, streams (the parts), peers and report (the table, the gates, the schema), selftest."""
