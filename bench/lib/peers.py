"""peers.py - what others reach on the same work, in ratios to the yardsticks of their own run (two cores, nothing else running).

VictoriaLogs 1.26, Loki main of 2026-08-22, ClickHouse 26.9 in its own process; queries are the best of 4 on a warm cache with result
caches off. Ingest: CPU over Y1. Stored: megabytes after all merging. Queries: (milliseconds, over Y2). None: not measured or refused.
"""
NAMES = ('victorialogs', 'loki', 'clickhouse')
TITLES = {'victorialogs': 'VictoriaLogs', 'loki': 'Loki', 'clickhouse': 'ClickHouse'}

INGEST_OVER_Y1 = {
    'ingest-jsonline': {'victorialogs': 17.9, 'loki': None, 'clickhouse': 6.6},
    'ingest-loki': {'victorialogs': 14.1, 'loki': 18.5, 'clickhouse': None},
}
HWM_MB = {'victorialogs': 207, 'loki': 372, 'clickhouse': None}
STORED_MB = {'victorialogs': 30.66, 'loki': 32.8, 'clickhouse': 27.43}
MANY_STREAMS = {'over_y1': 48.0, 'stored_mb': 86.5, 'hwm_mb': 389, 'pod_ms': 1.3}  # VictoriaLogs, after merging; Loki refuses at its default

QUERIES = {
    'q01': ((3.0, 0.02), (408, 2.6), (50, 0.32)),
    'q02': ((3.5, 0.02), (112, 0.72), None),
    'q03': ((1.0, 0.006), (339, 2.2), (40, 0.26)),
    'q04': ((122, 0.79), (350, 2.3), (76, 0.49)),
    'q05': ((166, 1.07), (425, 2.7), (152, 0.98)),
    'q06': ((2412, 15.6), (494, 3.2), (127, 0.82)),
    'q07': ((1040, 6.7), (708, 4.6), (79, 0.51)),
    'q08': ((21, 0.14), (560, 3.6), (17, 0.11)),
    'q09': ((252, 1.6), (179, 1.2), (76, 0.49)),
    'q10': ((128, 0.83), (62, 0.40), None),
    'q11': ((334, 2.2), (376, 2.4), None),
    'q12': ((7.4, 0.05), (4.9, 0.03), (4.8, 0.03)),
    'q13': ((47, 0.30), (45, 0.29), None),
    'q14': ((5.5, 0.035), (19.6, 0.13), None),
}


def of_query(id):
    """{peer: {ms, over_y2} or None}"""
    return {name: v and {'ms': v[0], 'over_y2': v[1]} for name, v in zip(NAMES, QUERIES[id])} if id in QUERIES else {}
