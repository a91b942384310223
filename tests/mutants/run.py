#!/usr/bin/env python3
"""run.py [--only WORD] [--keep]: breaks the code one line at a time; for each breakage the one test named for it must fail.

Works on a copy of the tree in a temporary folder, with its own build; the tree itself is never touched. Before the first mutant every
named test must pass on the unbroken copy. Ends with a table (docs/mutants.md is one such) and status 0 only if all were caught.
Outside ./runtests: a mutant is a build and a test.
"""
import argparse, collections, os, re, shutil, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
Mutant = collections.namedtuple('Mutant', 'what file text broken test')

IMAGES = ('images',)


def unit(layer, suite):
    return ('unit', layer, suite)


def system(node):
    return ('system', node)


MUTANTS = [
    Mutant('retention one nanosecond early', 'store/retain_plan.c', 'e->row->max_ns < p->groups[e->group].before_ns', 'e->row->max_ns <= p->groups[e->group].before_ns',
           unit('store', 'retain')),
    Mutant('retention within a day of the receipt', 'store/retain_plan.c', 'minus(now_ns, LP_RETAIN_RECEIVED_NS)', 'now_ns', unit('store', 'retain')),
    Mutant('the second rule that fits counts', 'store/cutoffs.c', '        const struct lp_rule *r = &c->rules->v[i];\n        if (place_fits(r, k->tenant, ns)', '        const struct lp_rule *r = &c->rules->v[i];\n        if (i > 0 && place_fits(r, k->tenant, ns)',
           unit('store', 'retain_plan')),
    Mutant('a stream of a group decides for all', 'store/retain_plan.c', 'g->before_ns = LP_MIN(g->before_ns, ns);', 'g->before_ns = ns;', unit('store', 'retain_plan')),
    Mutant('what has expired in a part is counted', 'query/exec_streams.c', '!p->cut && p->rows', 'p->rows',
           system('test_retain.py::test_what_has_expired_is_invisible_at_once')),
    Mutant('what has expired comes back when merged', 'store/maintain_merge.c', '.cutoffs = cutoffs}};', '.cutoffs = NULL}};', unit('store', 'retain_view')),
    Mutant('a read that fails cuts the ledger', 'store/ledger.c', 'return rc == LP_OK && size > l->end ?', 'return size > l->end ?', unit('store', 'ledger')),
    Mutant('CRC of the ledger ignored', 'store/ledger.c', 'lp_crc32c(0, payload->p, ret->bytes) == ret->crc', 'ret->crc != 1', unit('store', 'ledger')),
    Mutant('cutoffs follow the clock back', 'store/cutoffs.c', 'c->rule_ns[k] = LP_MAX(c->rule_ns[k], before->rule_ns[i]);', '(void)k;', unit('store', 'retain')),
    Mutant('expired before it is hidden', 'store/retain.c', 'rc = rc == LP_OK ? store_cutoffs(r, err) : rc;\n    if (rc != LP_OK) {\n        return rc;\n    }\n    rc = expire(r, conf, err);',
           'rc = expire(r, conf, err);\n    rc = rc == LP_OK ? store_cutoffs(r, err) : rc;', unit('store', 'retain')),
    Mutant('journal fsync skipped', 'ingest/journal.c', 'rc = lp_io_sync(j->io, j->fd, err);\n        lp_metric_observe',
           'rc = LP_OK;\n        lp_metric_observe', IMAGES),
    Mutant('segment fsync skipped', 'store/seg_writer.c', 'lp_rc rc = lp_io_sync(w->io, w->fd, err);', 'lp_rc rc = LP_OK;', IMAGES),
    Mutant('segment folder fsync skipped', 'store/seg_writer.c', 'return lp_io_sync_dir(w->io, w->folder, err);', 'return LP_OK;', IMAGES),
    Mutant('position + 1', 'store/seal_plan.c', 'f->positions[k].next = t->next;', 'f->positions[k].next = t->next + 1;',
           system('test_order.py::test_killed_at_a_stage_nothing_is_lost_or_twice[release]')),
    Mutant('frame CRC ignored', 'store/block_open.c', 'lp_crc32c(0, stored, f->stored_bytes) != f->crc', 'lp_crc32c(0, stored, f->stored_bytes) == 1',
           unit('store', 'block')),
    Mutant('last row of a block dropped', 'store/block_enc.c', 'for (uint32_t i = 0; i < src->nrows; i++) {\n        const struct lp_row *r = src->rows[i].row;\n        if (e->tables',
           'for (uint32_t i = 0; i + 1 < src->nrows; i++) {\n        const struct lp_row *r = src->rows[i].row;\n        if (e->tables', unit('store', 'block')),
    Mutant('last row of a block not read', 'store/scan.c', 's->end = lower_bound(s->times, s->at, r->first + r->rows, s->to_ns);',
           's->end = lower_bound(s->times, s->at, r->first + r->rows - 1, s->to_ns);', unit('store', 'store')),
    Mutant('id noted before the fsync', 'ingest/journal_take.c',
           'lp_rc rc = lp_journal_append(j, push, b, room, err);\n    if (id != NULL) {\n        lp_ids_end(j->log.env.ids, id, rc == LP_OK);\n    }',
           'if (id != NULL) {\n        lp_ids_end(j->log.env.ids, id, true);\n    }\n    lp_rc rc = lp_journal_append(j, push, b, room, err);',
           system('test_retry.py::test_a_retry_during_a_delayed_fsync_waits_and_is_answered_with_it')),
    Mutant('a failure keeps the id', 'ingest/journal_take.c', 'lp_ids_end(j->log.env.ids, id, rc == LP_OK);', 'lp_ids_end(j->log.env.ids, id, true);',
           system('test_retry.py::test_a_retry_after_a_failed_fsync_is_stored_once_slow[3-1]')),
    Mutant('void entry not written', 'ingest/journal.c', 'if (rc == LP_OK && nvoids > 0) {', 'if (rc == LP_OK && nvoids > SIZE_MAX - 1) {',
           system('test_retry.py::test_what_an_fsync_failed_for_never_comes_back_on_its_own_slow')),
    Mutant('torn tail treated as damage', 'ingest/journal_replay.c', 'if (lp_jnl_is_damage(&r->w, it)) {',
           'if (lp_jnl_is_damage(&r->w, it) || true) {', unit('ingest', 'journal')),
    Mutant('damage treated as a torn tail', 'ingest/journal_replay.c', 'if (lp_jnl_is_damage(&r->w, it)) {',
           'if (lp_jnl_is_damage(&r->w, it) && false) {', unit('ingest', 'journal')),
    Mutant('payload CRC of the journal ignored', 'ingest/journal_walk.c', 'return crc == h->payload_crc;', 'return crc == h->payload_crc || true;',
           unit('ingest', 'journal')),
    Mutant('replay skips identity', 'ingest/journal_replay.c', 'lp_ids_identify(push, b, &id) && lp_batch_note_id(b, &id);', 'lp_ids_identify(push, b, &id) && false;',
           system('test_retry.py::test_a_repeated_push_with_an_identity_is_stored_once')),
    Mutant('dropped source still sealed', 'store/head.c', '                b->dropped = true;', '                b->dropped = false;', unit('store', 'head')),
    Mutant('room not given back after a seal', 'store/head.c', 'give_back(h, g->room);', 'give_back(h, 0);', unit('store', 'head')),
    Mutant('room beyond the budget', 'store/head.c', 'return h->stopped ? LP_ERR_SHUTDOWN : has_room(h, bytes) ? LP_OK : LP_ERR_BUSY;',
           'return h->stopped ? LP_ERR_SHUTDOWN : LP_OK;', unit('store', 'head')),
    Mutant('ticket order ignored', 'store/head.c', '    t->batch = batch;',
           '    t->batch = NULL;\n    if (batch != NULL) {\n        enter(h, t->gen, t->index, batch);\n    }', unit('store', 'head')),
    Mutant('a generation does not wait for its tickets', 'store/head.c', 'if (g != NULL && g->closed && g->pending == 0) {',
           'if (g != NULL && g->closed) {', unit('store', 'head')),
    Mutant('generation order ignored', 'store/head.c', '        if (g != NULL && g->closed && g->pending == 0) {',
           '        while (g != NULL && g->closed && g->pending > 0) {\n            g = g->next;\n        }\n        if (g != NULL && g->closed && g->pending == 0) {',
           unit('store', 'head')),
    Mutant('journal files unlinked before the commit', 'store/seal.c', '        rc = commit(st, plan, &row, &entries, &news, err);',
           '        st->cfg.on_stored(st->stored_ctx, row.generation, plan->foot.positions, plan->foot.npositions);\n        rc = commit(st, plan, &row, &entries, &news, err);',
           system('test_order.py::test_killed_at_a_stage_nothing_is_lost_or_twice[commit:6]')),
    Mutant('a sealed generation is read twice', 'store/view.c', 'v->head.gens[v->first_gen].gen->id <= n.sealed', 'v->head.gens[v->first_gen].gen->id < n.sealed',
           system('test_order.py::test_looked_at_in_a_stage_nothing_is_missing_or_twice[drop]')),
    Mutant('batch ids not committed', 'store/catalog_commit.c', 'rc = rc == 0 ? put_ids(txn, cat, c, &b) : rc;', 'rc = c->nids == SIZE_MAX ? put_ids(txn, cat, c, &b) : rc;',
           system('test_retry.py::test_a_repeated_push_with_an_identity_is_stored_once')),
    Mutant('the map of a copied block is off by one', 'store/merge_out.c', 'note_run(o, number, &runs[i]);', 'note_run(o, number, &runs[i > 0 ? i - 1 : i]);', unit('store', 'merge')),
    Mutant('a copied block keeps its number', 'store/merge_out.c', 'lp_block_renumber(o->encoded.p, o->encoded.n, number, fb.group)', 'lp_block_renumber(o->encoded.p, o->encoded.n, block, fb.group)',
           unit('store', 'merge')),
    Mutant('ids of a copied block are not indexed', 'store/merge_out.c', 'rc = write_block(o, fb, runs, ids, nids, err);\n    }\n    o->ret->copied', 'rc = write_block(o, fb, runs, ids, 0, err);\n    }\n    o->ret->copied',
           system('test_merging.py::test_the_format_says_enough_to_read_merged_files')),
    Mutant('the day boundary is missed', 'store/merge.c', 's.to_ns = to;', 's.to_ns = to + 1;', unit('store', 'merge')),
    Mutant('stray times are lost', 'store/merge.c', 'if (rc == LP_OK && p->strays) {', 'if (rc == LP_OK && p->strays && p->ndays == 0) {', unit('store', 'merge')),
    Mutant('blocks are copied out of order', 'store/merge.c', 'fb->min_ns <= w->max_ns && fb->max_ns >= w->min_ns', 'fb->min_ns > w->max_ns && fb->max_ns < w->min_ns', unit('store', 'merge')),
    Mutant('equal times change places', 'store/merge_rows.c', 'if (t < best->times[best->at]) {', 'if (t <= best->times[best->at]) {', unit('store', 'merge')),
    Mutant('a merge reaches over a gap', 'store/compact_pick.c', 'if (stands_between(s, day) && ret->inputs.n > 0) {', 'if (stands_between(s, day) && ret->inputs.n > SIZE_MAX - 1) {', unit('store', 'merge')),
    Mutant('unlink before the commit', 'store/maintain_merge.c', '        lp_hook("replace");', '        lp_maintain_note_gone(m, gone, ngone, 0);\n        lp_maintain_reap(m);\n        lp_hook("replace");',
           system('test_merging.py::test_killed_in_a_merge_nothing_is_lost_or_twice[replace]')),
    Mutant('what expires during a merge comes back', 'store/maintain_merge.c', 'lp_rc rc = hides_more(&j->spec, now)', 'lp_rc rc = n == 0', system('test_retain.py::test_what_expires_during_a_merge_does_not_come_back')),
    Mutant('ids are forgotten before the folder is synced', 'store/maintain_files.c', 'gone.n > 0 && lp_io_sync_dir(m->st->cfg.io, m->st->seg_dir, NULL) == LP_OK', 'gone.n > 0', unit('store', 'merge')),
    Mutant('rows of a merge are not counted', 'store/merge.c', 'return have >= least && have <= most', 'return have <= most', unit('store', 'merge')),
    Mutant('files go while a reader may look for them', 'store/maintain_files.c', 'if (m->gone[i].txn > oldest) {', 'if (m->gone[i].txn > oldest + 1000) {', unit('store', 'merge')),
    Mutant('a token as long as the longest is too long', 'store/match_plan.c', 'f->text.n <= t->longest ||', 'f->text.n < t->longest ||', unit('store', 'exclude')),
    Mutant('a piece of a hex cell is no cell', 'store/match_plan.c', 'f->text.n <= t->longest || f->text.n < t->hex', 'f->text.n <= t->longest', unit('store', 'exclude')),
    Mutant('a whole hex cell is not looked up', 'store/match_plan.c', 'return f->text.n > t->hex || (', 'return f->text.n >= t->hex || (', unit('store', 'exclude')),
    Mutant('long queries are not overtaken', 'query/turn.c', 'bool shorter = least_ns < LP_TURN_LONG_NS', 'bool shorter = least_ns < 0', unit('query', 'turn')),
    Mutant('reserved ids not cleaned up', 'store/recover.c', 'i < reserved->n && rc == LP_OK', 'i < reserved->n && rc != LP_OK', unit('store', 'store')),
    Mutant('a new owner keeps the epoch', 'ingest/kafka_rebalance.c', '+ (c->ours ? 0 : 1);', '+ 0;',
           system('test_kafka_gaps.py::test_a_new_owner_claims_before_it_reads')),
    Mutant('claims are not committed', 'ingest/kafka_rebalance.c', 'claims->cnt > 0 ? rd_kafka_commit', 'claims->cnt > 1000000 ? rd_kafka_commit',
           system('test_kafka_gaps.py::test_a_new_owner_claims_before_it_reads')),
    Mutant("the group's commit wins", 'ingest/kafka_rebalance.c', 'bool theirs = known ? c->other && c->next > stored : c->next >= 0;', 'bool theirs = c->next >= 0;',
           system('test_kafka_gaps.py::test_offsets_that_somebody_else_reset_move_nothing[10]')),
    Mutant('a copied store is its original', 'ingest/kafka_rebalance.c', 'c.other = !lp_catalog_uuid_known(lp_store_catalog(k->log.env.store), &uuid);', 'c.other = !c.ours;',
           system('test_kafka_gaps.py::test_a_copied_store_is_another_store_and_reads_on_from_its_own_position')),
    Mutant('the anchor is not checked', 'ingest/kafka_gap.c', 'if (!there || lp_kafka_anchor(m) == p->anchor) {', 'if (!there || p->anchor != 0) {',
           system('test_kafka_gaps.py::test_a_topic_made_again_while_stopped_is_read_whole[1500]')),
    Mutant('gaps are silent', 'ingest/kafka_poll.c', 'if (p->has_gap && !lp_kafka_store_gap(k, p, deadline_ns)) {', 'if (p->has_gap && deadline_ns == 0) {',
           system('test_kafka_gaps.py::test_records_deleted_while_stopped_are_a_gap')),
    Mutant('repeats are kept', 'ingest/kafka_ids.c', 'if (has && duplicate(k, p, &id)) {', 'if (has && duplicate(k, p, &id) && i > LP_KAFKA_TICKET_MESSAGES) {',
           system('test_kafka.py::test_a_push_goes_through_kafka_once')),
    Mutant('ids of before are not read', 'ingest/kafka_ids.c', 'if (from < 0 || from >= m->offset', 'if (from >= INT64_MIN || from >= m->offset',
           system('test_kafka.py::test_a_new_owner_knows_what_the_one_before_stored')),
    Mutant('a failed delivery is answered as stored', 'ingest/kafka_push.c', '        fail_kafka(o, m->err);\n    } else {', '        lp_metric_add(LP_M_KAFKA_PRODUCE_FAILED, 1);\n    } else {',
           system('test_kafka.py::test_brokers_that_are_not_there')),
    Mutant('a ticket ends one message too far', 'ingest/kafka_poll.c', '    p->next = last->offset + 1;', '    p->next = last->offset + 2;',
           system('test_kafka.py::test_no_room_pauses_and_goes_on_slow')),
    Mutant('what is remembered is taken for another pod', 'ingest/json_memo.c', 'memcmp(e[i].text.p, text.p, e[i].text.n) == 0', 'memcmp(e[i].text.p, text.p, HASHED_BYTES) == 0',
           unit('ingest', 'kafka_memo')),
    Mutant('an absent literal is trusted beyond ASCII', 'base/regex_lit.c', 'unsure = unsure || lit->folds;', 'unsure = false;', unit('base', 'regex_lit')),
    Mutant('what may be absent is required', 'base/regex_lit.c', 'break_run(b, seq, min > 0 ?', 'break_run(b, seq, max > 0 ?', unit('base', 'regex_lit')),
    Mutant('Hyperscan does not know the Kelvin sign', 'base/regex_hs.c', "lower == 'k' ? \"\\\\x{212a}\"", "lower == 'k' ? \"\"",
           unit('base', 'regex_engines')),
    Mutant('the search looks behind the end', 'base/find.c', 'i = LP_MIN(i + 32, places - 32)) {\n        __m256i a', 'i += 32) {\n        __m256i a', unit('base', 'find')),
    Mutant('half of a question is taken for no', 'query/linefilter.c', 'if (p.exact || !p.clauses[i].negative)', 'if (p.n > 0)', unit('query', 'logql_match')),
    Mutant('decompression without a ratio', 'ingest/content.c', 'LP_MIN(by_ratio, max_bytes);', 'LP_MAX(by_ratio, max_bytes);', unit('ingest', 'content')),
    Mutant('a token ends at a step', 'store/split.c', 'carry = bits >> 63;', 'carry = 0;', unit('store', 'split')),
    Mutant('a table begins with the second of its rows', 'store/tables.c', 'for (uint32_t i = 0; i < LP_TABLE_ROWS_MIN - 1; i++) {\n        (void)cut',
           'for (uint32_t i = 1; i < LP_TABLE_ROWS_MIN - 1; i++) {\n        (void)cut', unit('store', 'tables')),
    Mutant("a table's number off by one", 'store/tables.c', 's->number = ++t->nkept;', 's->number = t->nkept++;', unit('store', 'tables')),
    Mutant('base of the differences lost', 'store/column_enc.c', 'lp_buf_u64(out, v[0]);', 'lp_buf_u64(out, w->numbers[0]);', unit('store', 'column')),
    Mutant('zeros before numbers lost', 'store/column_enc.c', "if (!fixed && *p == '0' && n > 1) {", "if (!fixed && *p == '0' && n > 19) {", unit('store', 'column')),
    Mutant('bytes of the last cell not in the set', 'store/column_enc.c', 'for (size_t i = 0; i < k->c->n; i++) {\n        seen', 'for (size_t i = 0; i + 9 < k->c->n; i++) {\n        seen',
           unit('store', 'column')),
    Mutant('longest plain token one too short', 'store/block_enc.c', 'lp_buf_varint(&e->schema, longest);', 'lp_buf_varint(&e->schema, longest - (longest > 0));',
           system('test_segment_format.py::test_the_reader_finds_what_the_server_exports')),
    Mutant('an id noted as it is written', 'store/column_enc.c', "lower[i] = (char)(c | (c >= 'A' && c <= 'Z' ? 0x20 : 0));", 'lower[i] = c;',
           system('test_segment_format.py::test_the_reader_finds_what_the_server_exports')),
    Mutant('ids of bytes columns not noted', 'store/column_enc.c', '} else if (hex || lp_is_id(cell)) {', '} else if (hex) {', system('test_find_ids.py::test_ids_are_found_in_the_blocks_that_have_them')),
    Mutant('short hex digits looked for in the index', 'store/match_table.c', 'col->digits >= LP_ID_HEX_MIN', 'col->digits > 1',
           system('test_find_ids.py::test_ids_are_found_in_the_blocks_that_have_them')),
    Mutant('an id as part of a cell looked for in the index', 'store/match_table.c', 'says == LP_CELLS_SOME && equal && excluded', 'says == LP_CELLS_SOME && excluded',
           system('test_find_ids.py::test_ids_are_found_in_the_blocks_that_have_them')),
    Mutant('CRC of index buckets ignored', 'store/idindex.c', 'lp_crc32c(0, *ret, *ret_n) != x->crcs[k]', 'lp_crc32c(0, *ret, *ret_n) == 1', unit('store', 'idindex')),
    Mutant('last bucket of the index skipped', 'store/idindex.c', 'for (uint32_t k = 0; k < nbuckets; k++) {\n        size_t begin', 'for (uint32_t k = 0; k + 1 < nbuckets; k++) {\n        size_t begin',
           unit('store', 'idindex')),
    Mutant('an id named in its first block alone', 'store/idindex.c', 'while (rest <= want) {', 'while (rest < want || rest == 0) {', unit('store', 'idindex')),
    Mutant('a frame of too few parts', 'store/codec.c', 'return at == raw_bytes && lp_rd_left', 'return at <= raw_bytes && lp_rd_left', unit('store', 'codec')),
    Mutant('smallest number of a column passed over', 'store/needle.c', 'f->number >= col->min', 'f->number > col->min', unit('store', 'needle')),
    Mutant('beginning of a needle taken for a prefix', 'store/needle.c', '(open_right ? LP_FRAG_INFIX : LP_FRAG_SUFFIX)', '(open_right ? LP_FRAG_INFIX : LP_FRAG_PREFIX)',
           unit('store', 'needle')),
    Mutant('last row of a chunk lost', 'store/match_cells.c', '((UINT64_C(1) << (end - w * 64)) - 1)', '((UINT64_C(1) << (end - w * 64 - 1)) - 1)', unit('store', 'match')),
    Mutant('cells in other letters excluded', 'store/match_cells.c', 'lp_fragment_in(k->frag, cell) || (k->high && lp_has_high(cell))', 'lp_fragment_in(k->frag, cell)',
           unit('store', 'match')),
    Mutant('a hit over two cells taken for one', 'store/match_cells.c', 'if (lp_bit_has(a->rows, first + i) && !cell_matches(a, i)) {', 'if (lp_bit_has(a->rows, first + i) && a->ch->rows == 0) {',
           unit('store', 'match')),
    Mutant('hex digits found at even places alone', 'store/match_cells.c', 'pack(text, 1, packed)', 'pack(text, 2, packed)', unit('store', 'match')),
    Mutant('a negative clause not inverted', 'store/match_table.c', 'rows[w] &= negative ? ~hits[w] : hits[w];', 'rows[w] &= hits[w];', unit('store', 'match')),
    Mutant('sure of what is not the whole question', 'store/match_table.c', '.sure = m->p->pred->exact', '.sure = true', unit('store', 'match')),
    Mutant('plain rows passed over', 'store/block_match.c', 'bool plain = m->b->nplain > 0 && !plain_excluded(m);', 'bool plain = m->b->nplain > 65536 && !plain_excluded(m);',
           unit('store', 'match')),
    Mutant('rows of a block of text lost', 'store/block_match.c', 'lp_bit_set(wanted, row);', 'lp_bit_set(wanted, ranges[i].first);',
           system('test_format.py::test_a_store_of_an_earlier_version_is_searched[v1-asleft]')),
    Mutant('the complement leaves out streams without the label', 'store/select.c', 'if (rc == LP_OK && meets(m, LP_STR_NULL)) {', 'if (rc == LP_OK && meets(m, LP_STR_NULL) && m->negative) {',
           unit('query', 'select')),
    Mutant('a negative matcher selects', 'store/select.c', '(m->negative ? lp_idset_without : lp_idset_and)(set, &met);', '(m->every ? lp_idset_without : lp_idset_and)(set, &met);',
           unit('query', 'select')),
    Mutant('a source counts although an earlier one does', 'store/select.c', 'rc = rc == LP_OK ? take_out(s, label, &rest) : rc;', 'rc = rc == LP_OK && i > 0 ? take_out(s, label, &rest) : rc;',
           unit('query', 'select')),
    Mutant('the last id of a chunk is dropped', 'store/catalog_posting.c', 'add_run(&part, runs->v[i].first, LP_MIN(runs->v[i].end, end));', 'add_run(&part, runs->v[i].first, LP_MIN(runs->v[i].end, end - 1));',
           unit('store', 'catalog')),
    Mutant('the first key of a cut row is its own', 'store/catalog_pack.c', 'row_reset(&m->part);\n            key->n', 'lp_buf_reset(&m->part.b);\n            key->n',
           unit('store', 'catalog')),
    Mutant('an entry behind an added one is copied as well', 'store/catalog_pack.c', 'copied = r.rd.p;\n            rc', 'copied = begin;\n            rc',
           unit('store', 'catalog')),
    Mutant('a stream that waits in a small map is not known', 'store/catalog_hash.c', 'if (rc == LP_ERR_NOT_FOUND) {', 'if (rc == LP_ERR_NOT_FOUND && eighth_of(hash) != 3) {',
           unit('store', 'catalog')),
    Mutant('hashes are moved to the map they came from', 'store/catalog_hash.c', 'add(a, LARGE, hash, id, group);', 'add(a, SMALL + eighth_of(hash), hash, id, group);',
           unit('store', 'catalog')),
    Mutant('a partly selected block counts all of its rows', 'store/scan.c', 'if (lp_idset_has(ids, r->stream)) {', 'if (lp_idset_has(ids, r->stream) || i > 0) {', unit('query', 'select')),
    Mutant('a group is all its blocks when one stream is missing', 'store/view_parts.c', 'if (g->most && !p->runs && ', 'if (g->most && ', unit('query', 'select')),
    Mutant('equal times are not told apart by stream', 'query/exec_order.c', 'if (a->vstream != b->vstream) {', 'if (a->vstream != b->vstream && a->part == b->part) {', unit('query', 'exec')),
    Mutant('a value is seen outside its range', 'store/view_seen.c', 'return h->min_ns >= LP_MAX(s->from_ns, s->cut.hi_ns) && h->max_ns < s->to_ns &&', 'return h->max_ns < s->to_ns &&', unit('query', 'select')),
    Mutant('first row of a range lost', 'store/block_match.c', 'for (uint32_t row = ranges[i].first; row < ranges[i].end; row++) {\n            lp_bit_set(wanted[m',
           'for (uint32_t row = ranges[i].first + 1; row < ranges[i].end; row++) {\n            lp_bit_set(wanted[m', unit('store', 'match')),
    Mutant('CRC of pages ignored', 'store/seg_pages.c', 'lp_crc32c(0, stored, p->bytes) != p->crc', 'lp_crc32c(0, stored, p->bytes) == 1', unit('store', 'page')),
    Mutant('last stream of a page not found', 'store/seg_pages.c', 'if (lo < p->nstreams && p->streams[lo]', 'if (lo + 1 < p->nstreams && p->streams[lo]', unit('store', 'page')),
    Mutant('last page of a group not found', 'store/seg_pages.c', 'return lo < g->first_page + g->npages &&', 'return lo + 1 < g->first_page + g->npages &&', unit('store', 'page')),
    Mutant("a run's first row off by one", 'store/page_enc.c', '*end = r->first + r->rows;\n    return n;', '*end = r->first + r->rows;\n    return n + (r->rows > 6);', unit('store', 'page')),
    Mutant("a run's end rounded down", 'store/page_enc.c', 'high / d->unit + (high % d->unit != 0)', 'high / d->unit', unit('store', 'page')),
    Mutant('a page reaches out of its group', 'store/page_dec.c', 'if (block < p->g->first_block || block >= last) {', 'if (block > UINT32_MAX) {', unit('store', 'page')),
    Mutant('the proof does not look at ids', 'store/seg_prove.c', 'said[i].stream == have[i].stream && r->first', 'r->first', unit('store', 'page')),
    Mutant('bounds of runs are not proved', 'store/seg_prove.c', 'r->min_ns <= have[i].min_ns && r->max_ns >= have[i].max_ns;', 'n > 0;', unit('store', 'page')),
    Mutant('end of the key before lost', 'store/page_dec.c', 'before.p + before.n - end, end', 'before.p, end', unit('store', 'page')),
    Mutant('ids in use are forgotten', 'store/seal_memo.c', '        lp_seal_memo_note(m, stream, found.id, found.group);\n', '', unit('store', 'seal_memo')),
    Mutant('a segment in use let go', 'store/seg_cache.c', 'memory_order_acquire) > 1) {', 'memory_order_acquire) > 1000) {', unit('store', 'seg_cache')),
    Mutant('the newest handle let go', 'store/seg_cache.c', 'memory || c->n > c->most ? c->oldest : NULL', 'memory || c->n > c->most ? c->newest : NULL', unit('store', 'seg_cache')),
    Mutant('a page begins behind the first pod of the one before', 'query/pods.c', '&f->names.v[f->names.n - 1]', '&f->names.v[0]', system('test_kube_api.py::test_limit_and_continue[500]')),
    Mutant('lines that arrive while the past is read come twice', 'query/podlog.c', 'if (comes_before(&f->rows[i], f->streams[f->rows[i].stream]->hash, place)) {', 'if (place != NULL) {',
           system('test_kube_api.py::test_nothing_is_lost_or_twice_behind_a_slow_reader[memory]')),
    Mutant('late lines behind the place of the past are lost', 'query/podlog.c', 'return row->time_ns < place->time_ns;', 'return false;',
           system('test_kube_api.py::test_nothing_is_lost_or_twice_behind_a_slow_reader[segments]')),
    Mutant('tail counts from the oldest line', 'query/podlog.c', 'rc = search_page(l, LP_MIN(left, l->q.page_rows), true, ret, err);', 'rc = search_page(l, LP_MIN(left, l->q.page_rows), false, ret, err);',
           system('test_kube_api.py::test_odd_parameters_are_taken_as_a_real_server_does')),
    Mutant('runs in the order of their ids', 'query/pod_runs.c', 'return a->first_ns != b->first_ns ? (', 'return a->first_ns == LP_TIME_MIN ? (', system('test_kube_api.py::test_restarts_within_seconds')),
    Mutant('the oldest of a name is the pod', 'query/pods_build.c', '(a->last_ns < b->last_ns) - (a->last_ns > b->last_ns)', '(a->last_ns > b->last_ns) - (a->last_ns < b->last_ns)',
           system('test_kube_api.py::test_follow_ends_when_the_name_is_anothers')),
    Mutant('previous is the newest run', 'server/kube_log_pick.c', 'run = &c->runs[c->nruns - 2];', 'run = &c->runs[c->nruns - 1];', system('test_kube_api.py::test_restarts_within_seconds')),
    Mutant('a follow does not go on with the next run', 'server/kube_log_pick.c', 'want.nnot_runs = n;', 'want.nnot_runs = n;\n    want.run = c->runs[n].id;', system('test_kube_api.py::test_follow')),
    Mutant('!= asks for the key', 'server/kube_select.c', 'return !there || !is_one_of(q, value);', 'return there && !is_one_of(q, value);', system('test_kube_api.py::test_label_selectors[app!=app-1]')),
    Mutant('a watch does not tell of restarts', 'server/kube_watch.c', 'if (was == NULL || was->run != m.run) {', 'if (was == NULL) {', system('test_kube_api.py::test_watch')),
]


def run(command, cwd, env=None, timeout=900):
    """(exit status, the end of the output)"""
    p = subprocess.Popen(command, cwd=cwd, env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        out, _ = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, 9)
        out, _ = p.communicate()
        return 'no end', out.decode(errors='replace')[-3000:]
    return p.returncode, out.decode(errors='replace')[-3000:]


class Copy:
    def __init__(self, folder):
        self.tree, self.build_dir = os.path.join(folder, 'tree'), os.path.join(folder, 'build')
        names = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT, check=True, capture_output=True).stdout
        for name in names.decode().split('\0')[:-1]:
            source, target = os.path.join(ROOT, name), os.path.join(self.tree, name)
            if os.path.isfile(source):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(source, target)
        os.makedirs(self.build_dir)
        ccache = ['CC=ccache gcc', 'CXX=ccache g++'] if shutil.which('ccache') else []
        for command, cwd in ((['./autogen.sh'], self.tree), ([os.path.join(self.tree, 'configure'), '-q', '--enable-debug', '--enable-test-hooks'] + ccache, self.build_dir)):
            status, text = run(command, cwd)
            assert status == 0, text

    def build(self):
        status, text = run(['make', '-s', '-j2', 'logpond', 'unit-base', 'unit-store', 'unit-ingest', 'unit-query'], self.build_dir)
        return None if status == 0 else text

    def build_anew(self):
        """With every object made again: where the machine's clock steps back, make takes old ones for new."""
        for root, _, names in os.walk(self.build_dir):
            for name in names:
                if name.endswith(('.o', '.a')) or name == 'logpond' or name.startswith('unit-'):
                    os.remove(os.path.join(root, name))
        return self.build()

    def test(self, test):
        """None when it passes, else why not."""
        env = {'LOGPOND': os.path.join(self.build_dir, 'logpond'), 'LP_BUILD': self.build_dir, 'LP_TEST_DATA': os.path.join(self.tree, 'tests', 'data')}
        if test[0] == 'unit':
            command, cwd = ['./unit-' + test[1], test[2]], self.build_dir
        elif test[0] == 'system':
            command, cwd = ['/usr/bin/python3', '-m', 'pytest', '-p', 'no:cacheprovider', '-q', '-x', '--tb=line', 'tests/system/' + test[1]], self.tree
        else:
            command, cwd = ['/usr/bin/python3', 'tests/crash/images.py', '--images', '60', '--log', 'journal', '--seals', '12'], self.tree
        status, text = run(command, cwd, env, 240)
        return None if status == 0 else '%s: %s' % (status, ' '.join(text.split())[-160:])

    def mutate(self, m):
        path = os.path.join(self.tree, m.file)
        with open(path) as f:
            whole = f.read()
        assert whole.count(m.text) == 1, '%s: its text is %d times in %s' % (m.what, whole.count(m.text), m.file)
        with open(path, 'w') as f:
            f.write(whole.replace(m.text, m.broken))
        return path, whole


def name_of(test):
    return {'unit': lambda: 'unit-%s %s' % test[1:], 'system': lambda: test[1], 'images': lambda: 'crash/images.py, 60 images'}[test[0]]()


def check(copy, m):
    path, whole = copy.mutate(m)
    try:
        broken = copy.build()
        if broken:
            return 'does not build', broken
        why = copy.test(m.test)
        if why is None:
            broken = copy.build_anew()
            why = broken or copy.test(m.test)
        return ('caught', why) if why else ('MISSED', '')
    finally:
        with open(path, 'w') as f:
            f.write(whole)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--only', default='', help='only mutants whose description or test this regular expression finds')
    ap.add_argument('--keep', action='store_true', help='leave the copy behind')
    a = ap.parse_args()
    chosen = [m for m in MUTANTS if re.search(a.only, m.what + ' ' + name_of(m.test))]
    folder = tempfile.mkdtemp(prefix='lp-mutants.')
    copy = Copy(folder)
    failed = copy.build()
    assert not failed, failed
    for test in sorted(set(m.test for m in chosen)):
        why = copy.test(test)
        assert not why, 'on the unbroken tree %s fails: %s' % (name_of(test), why)
    print('| mutant | file | the test that must fail | result |\n|---|---|---|---|', flush=True)
    caught = 0
    for m in chosen:
        begin = time.monotonic()
        result, text = check(copy, m)
        caught += result == 'caught'
        print('| %s | %s | %s | %s, %.0f s |' % (m.what, m.file, name_of(m.test), result, time.monotonic() - begin), flush=True)
        if result != 'caught':
            print(text, file=sys.stderr, flush=True)
    print('\n%d of %d caught' % (caught, len(chosen)))
    if not a.keep:
        shutil.rmtree(folder)
    sys.exit(caught != len(chosen))


if __name__ == '__main__':
    main()
