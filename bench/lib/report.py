"""report.py - the result of a run: its gates, its schema, the table for people."""
import json

from . import peers

# What has to hold, wherever it was measured over the corpus: name -> (part, limit).
GATES = {
    'ingest-jsonline cpu_over_y1': ('ingest-jsonline', 4.5),
    'ingest-loki cpu_over_y1': ('ingest-loki', 3.5),
    'ingest-kafka cpu_over_y1': ('ingest-kafka', 5.5),
    'ingest-jsonline rss_anon_peak_mb': ('ingest-jsonline', 256.0),
    'ingest-loki rss_anon_peak_mb': ('ingest-loki', 256.0),
    'ingest-kafka rss_anon_peak_mb': ('ingest-kafka', 256.0),
    'ingest-jsonline stored_mb': ('ingest-jsonline', 19.5),
    'ingest-jsonline merged_mb': ('ingest-jsonline', 18.0),
    'many-streams merged_cpu_over_y1': ('many-streams', 15.0),
    'many-streams merged_mb': ('many-streams', 50.0),
    'many-streams rss_anon_peak_mb': ('many-streams', 300.0),
}
# part -> {query: (figure, limit)}. The best of all asks, as the peers' figures are; with a full head, and of pods, the median of first asks.
QUERY_GATES = {
    'queries': {'q01': ('best_ms', 2), 'q02': ('best_ms', 2), 'q03': ('best_ms', 2), 'q04': ('best_over_y2', 0.10), 'q05': ('best_over_y2', 0.15), 'q06': ('best_over_y2', 0.30),
                'q07': ('best_over_y2', 0.35), 'q08': ('best_over_y2', 0.05), 'q09': ('best_over_y2', 0.25), 'q10': ('best_over_y2', 0.15), 'q11': ('best_over_y2', 0.5), 'q12': ('best_ms', 3), 'q13': ('best_ms', 10), 'q14': ('best_ms', 3)},
    'queries-head': {'q01': ('first_ms', 15), 'q02': ('first_ms', 15), 'q03': ('first_ms', 15)},
    'many-streams': {'pod': ('first_ms', 5), 'needle': ('best_ms', 10)},
    'many-streams-2mib': {'pod': ('first_ms', 5)},
}
WRONG = 'answers that are wrong or refused'


def measured(part, figure):
    """The figure of a part with runs: CPU and size of its best run, memory of its worst."""
    if figure == 'cpu_over_y1':
        return part['best']['over_y1']
    if figure == 'stored_mb':
        return round(part['best']['stored_bytes'] / 1e6, 2)
    if figure == 'merged_mb':
        return round(part['best']['compacted']['stored_bytes'] / 1e6, 2)
    if figure == 'merged_cpu_over_y1':  # until accepted, sealed, and merged
        return round(part['best']['over_y1'] + part['best']['compacted']['over_y1'], 2)
    return round(max(max(r['rss_anon_peak_bytes'], r['compacted']['rss_anon_peak_bytes']) for r in part['runs']) / 1e6, 2)


def gate(value, limit):
    return {'limit': limit, 'value': value, 'passed': value <= limit}


def all_answers(parts):
    return [q for p in parts.values() for q in p.get('queries', [])]


def gates(parts, of_corpus):
    """Those that were measured; whether answers are right is one whatever the work."""
    out = {}
    if of_corpus:
        for name, (part, limit) in GATES.items():
            if 'best' in parts.get(part, {}):
                out[name] = gate(measured(parts[part], name.split()[1]), limit)
        for part, limits in QUERY_GATES.items():
            for q in parts.get(part, {}).get('queries', []):
                figure, limit = limits.get(q['id'], (None, None))
                if figure and q[figure] is not None:
                    out['%s %s %s' % (part, q['id'], figure)] = gate(round(q[figure], 3), limit)
    answers = all_answers(parts)
    if answers:
        out[WRONG] = gate(sum(1 for q in answers if q['verdict'] in ('wrong', 'refused')), 0)
    return out


def ratios(parts, yards):
    """Fills in every ratio of the parts, once the yardsticks have all their samples."""
    for part in parts.values():
        for r in part.get('runs', []):  # the best run is one of them
            r['over_y1'] = yards.over_y1(r['cpu_s'])
            if 'compacted' in r:
                r['compacted']['over_y1'] = yards.over_y1(r['compacted']['cpu_s'])
        if 'floor_cpu_s' in part:
            part['floor_over_y1'] = yards.over_y1(part['floor_cpu_s'])
        for q in part.get('queries', []):
            q['first_over_y2'], q['best_over_y2'] = [ms and yards.over_y2(ms) for ms in (q['first_ms'], q['best_ms'])]


# --- the schema ---

KINDS = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'integer': int, 'number': (int, float), 'null': type(None)}


def is_kind(value, name):
    return isinstance(value, KINDS[name]) and (name == 'boolean' or not isinstance(value, bool))


def validate(value, schema, root=None, place='result'):
    """The part of JSON Schema that run.schema.json uses. Raises AssertionError with the place."""
    root = root or schema
    if '$ref' in schema:
        schema = root['$defs'][schema['$ref'].rsplit('/', 1)[1]]
    kinds = schema.get('type', [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    assert not kinds or any(is_kind(value, k) for k in kinds), '%s is not %s' % (place, ' or '.join(kinds))
    assert 'const' not in schema or value == schema['const'], place + ' is another constant'
    assert 'enum' not in schema or value in schema['enum'], place + ' is none of the words'
    if isinstance(value, dict):
        for name in schema.get('required', []):
            assert name in value, '%s.%s is missing' % (place, name)
        for name, part in value.items():
            below = schema.get('properties', {}).get(name, schema.get('additionalProperties', {}))
            assert below is not False, '%s.%s is unknown' % (place, name)
            validate(part, below, root, '%s.%s' % (place, name))
    for i, part in enumerate(value if isinstance(value, list) else ()):
        validate(part, schema.get('items', {}), root, '%s[%d]' % (place, i))


def validate_file(value, path):
    with open(path) as f:
        validate(value, json.load(f))


# --- the table ---

def number(v, form='%.2f'):
    return '-' if v is None else form % v


def row(title, *cells):
    return ('%-34s' % title + ''.join('%16s' % c for c in cells)).rstrip()


def with_ratio(ms, ratio):
    return '-' if ms is None else '%.1f (%s)' % (ms, number(ratio, '%.3f'))


def beside(figures, form):
    return [number(figures.get(p), form) for p in peers.NAMES]


def ingest_rows(parts, gates, of_corpus):
    for name, part in parts.items():
        if not name.startswith('ingest-') or 'best' not in part:
            continue
        over_y1, hwm, stored = (peers.INGEST_OVER_Y1.get(name, {}), peers.HWM_MB, peers.STORED_MB) if of_corpus else ({}, {}, {})
        limit = gates.get(name + ' cpu_over_y1')
        yield row(name + ', CPU / Y1', number(part['best']['over_y1']), *beside(over_y1, '%.1f'), gate_text(limit))
        if part.get('floor_over_y1') is not None:
            yield row('  (kcat that only consumes)', number(part['floor_over_y1']))
        yield row('  CPU s user + system', '%.2f + %.2f' % (part['best']['user_s'], part['best']['system_s']))
        yield row('  wall s accepted / sealed', '%.1f / %.1f' % (part['best']['accept_wall_s'], part['best']['sealed_wall_s']))
        yield row('  peak RssAnon, MB', number(measured(part, 'rss_anon_peak_mb'), '%.0f'), '', '', '', gate_text(gates.get(name + ' rss_anon_peak_mb')))
        yield row('  peak resident (VmHWM), MB', '%.0f' % (max(r['vm_hwm_bytes'] for r in part['runs']) / 1e6), *beside(hwm, '%.0f'))
        yield row('  stored, MB', number(measured(part, 'stored_mb')), '', '', '', gate_text(gates.get(name + ' stored_mb')))
        yield row('  merged: CPU / Y1 more', number(part['best']['compacted']['over_y1']))
        yield row('  merged: stored, MB', number(measured(part, 'merged_mb')), *beside(stored, '%.1f'), gate_text(gates.get(name + ' merged_mb')))


def gate_text(g):
    return '' if g is None else '%g %s' % (g['limit'], 'ok' if g['passed'] else 'MISSED')


def query_rows(part):
    for q in part.get('queries', []):
        theirs = [q['peers'].get(p) for p in peers.NAMES]
        cells = [with_ratio(t['ms'], t['over_y2']) if t else '-' for t in theirs]
        if q['verdict'] == 'ok':
            yield row('%s %s' % (q['id'], q['title']), with_ratio(q['first_ms'], q['first_over_y2']), *cells, with_ratio(q['best_ms'], q['best_over_y2']))
        else:
            yield row('%s %s' % (q['id'], q['title']), q['verdict'], *cells) + ('' if q['verdict'] == 'unsupported' else '  ' + q['detail'])


def stream_rows(part):
    if 'best' in part:
        theirs, pod = peers.MANY_STREAMS, part['queries'][0]
        yield row('many-streams, CPU / Y1', number(part['best']['over_y1']), 33)
        yield row('  after merging', number(measured(part, 'merged_cpu_over_y1')), theirs['over_y1'])
        yield row('  stored / merged, MB', '%.2f / %.2f' % (measured(part, 'stored_mb'), measured(part, 'merged_mb')), '- / %g' % theirs['stored_mb'])
        yield row('  peak RssAnon / VmHWM, MB', '%.0f / %.0f' % (measured(part, 'rss_anon_peak_mb'), max(r['vm_hwm_bytes'] for r in part['runs']) / 1e6), '- / %d' % theirs['hwm_mb'])
        yield row("  a pod's 20 lines, ms", pod['first_ms'] if pod['verdict'] == 'ok' else pod['verdict'], theirs['pod_ms'])
        for q in part['queries'][1:]:
            yield row('  %s, first / best ms' % q['title'], '%s / %s' % (q['first_ms'], q['best_ms']) if q['verdict'] == 'ok' else q['verdict'])


def small_seal_rows(part):
    for q in part.get('queries', []):
        yield row('  %s, sealed at 2 MiB' % q['title'], q['first_ms'] if q['verdict'] == 'ok' else q['verdict'])


def table(result):
    """Lines of text."""
    y, parts, m = result['yardsticks'], result['parts'], result['machine']
    out = ['%s; %d cores, load before %.2f; Y1 %.3f CPU s, Y2 %s s (%s), work %d records, %.1f MB of messages' % (
        result['version'].split('\n')[0], m['cores'], m['load_before'], y['y1_cpu_s'], number(y['y2_wall_s'], '%.3f'), y['y2_tool'], result['work']['records'], result['work']['raw_bytes'] / 1e6), '']
    if y['y1_spread'] > 1.15:
        out += ['the samples of Y1 differ by %.0f %%: the machine was not quiet, and these ratios are uncertain' % (100 * (y['y1_spread'] - 1)), '']
    out += [row('', 'Logpond', *[peers.TITLES[p] for p in peers.NAMES], 'gate')]
    out += ingest_rows(parts, result['gates'], result['work']['source'] == 'corpus')
    for name in ('queries', 'queries-head'):
        if parts.get(name, {}).get('queries'):
            out += ['', row(name + ': ms (over Y2)', 'first asks', *[peers.TITLES[p] for p in peers.NAMES], 'best repeat')] + list(query_rows(parts[name]))
    if 'many-streams' in parts:
        out += [''] + list(stream_rows(parts['many-streams'])) + list(small_seal_rows(parts.get('many-streams-2mib', {})))
    out += ['', *['%s: skipped, %s' % (name, part['skipped']) for name, part in parts.items() if 'skipped' in part]]
    out += ['%-44s %8g of at most %-6g %s' % (name, g['value'], g['limit'], 'ok' if g['passed'] else 'MISSED') for name, g in result['gates'].items()]
    return out
