"""selftest.py - tests of the harness itself, in seconds: its arithmetic, its generator, that it notices a server that answers wrongly or
refuses, and one whole run over a tiny work with the real binary.

Each function test_* is a test; what one asserts is what a reader of the figures relies on.
"""
import copy, hashlib, http.server, json, os, re, subprocess, sys, tempfile, threading, time, traceback, urllib.parse

from . import generate, ingest, measure, queries, report, send
from .measure import BenchError, Yardsticks

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TINY = {'gb': 0.004, 'namespaces': 3, 'pods': 12, 'seed': 7}
context = {}  # binary and the module bench/run


def raises(kind, function, *args):
    try:
        function(*args)
    except kind as e:
        return str(e)
    raise AssertionError('%s was expected' % kind.__name__)


# --- yardsticks, gates, schema ---

def test_ratios_are_to_the_yardstick_of_the_same_bytes():
    y = Yardsticks([0.6, 0.5], [0.3, 0.2, 0.4], 1000)
    assert y.over_y1(4.0) == 8.0 and y.over_y2(100.0) == 0.5 and abs(y.spread() - 1.2) < 1e-9
    scaled = Yardsticks([0.5], [0.2], 1000, work_bytes=4000)
    assert scaled.over_y1(4.0) == 2.0 and scaled.over_y2(100.0) == 0.125
    life = {'cpu_s': 4.0}
    parts = {'a': {'runs': [life], 'best': life, 'floor_cpu_s': 1.0}, 'b': {'queries': [{'first_ms': 100.0, 'best_ms': None}]}, 'c': {'skipped': 'why'}}
    report.ratios(parts, y)
    assert parts['a']['best']['over_y1'] == 8.0 and parts['a']['floor_over_y1'] == 2.0
    assert parts['b']['queries'][0] == {'first_ms': 100.0, 'best_ms': None, 'first_over_y2': 0.5, 'best_over_y2': None}


def test_cpu_time_is_the_childs_and_not_its_sleep():
    spin = 'import time\nwhile time.process_time() < 0.3: pass'
    assert 0.3 <= measure.child_cpu([sys.executable, '-c', spin]) < 1.0
    assert measure.child_cpu([sys.executable, '-c', 'import time; time.sleep(0.5)']) < 0.4


def test_yardsticks_of_a_file():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'raw')
        with open(path, 'w') as f:
            f.writelines('line %d of some\n' % i for i in range(200000))
        y = measure.measure_yardsticks(path, 'line 77777 of', d)
        assert y.sample_bytes == os.path.getsize(path) and 0 < y.zstd1_bytes < y.sample_bytes / 2
        assert 0 < y.y1_cpu_s() < 2 and 0 < y.y2_wall_s() < 5 and len(y.y1_samples) == 3
        assert 'not found' in raises(BenchError, measure.measure_yardsticks, path, 'absent', d)


def part(over_y1, stored, anon):
    r = {'cpu_s': 1.0, 'user_s': 0.5, 'system_s': 0.5, 'over_y1': over_y1, 'accept_wall_s': 1.0, 'sealed_wall_s': 1.0, 'rss_anon_peak_bytes': anon, 'vm_hwm_bytes': anon,
         'stored_bytes': stored, 'segment_bytes': stored, 'segments': 1,
         'compacted': {'cpu_s': 1.0, 'over_y1': 1.0, 'wall_s': 1.0, 'rss_anon_peak_bytes': anon // 2, 'stored_bytes': stored - 1_500_000, 'segment_bytes': stored, 'segments': 1}}
    return {'records': 1, 'body_bytes': 1, 'runs': [r, dict(r, rss_anon_peak_bytes=anon // 2)], 'best': r, 'profile': None}


def test_gates_hold_at_the_limit_and_not_beyond():
    g = report.gates({'ingest-jsonline': part(4.5, 19_500_000, 256_000_000), 'ingest-kafka': part(5.51, 99_000_000, 1)}, True)
    assert {name: v['passed'] for name, v in g.items()} == {'ingest-jsonline cpu_over_y1': True, 'ingest-jsonline rss_anon_peak_mb': True, 'ingest-jsonline stored_mb': True,
                                                            'ingest-jsonline merged_mb': True, 'ingest-kafka cpu_over_y1': False, 'ingest-kafka rss_anon_peak_mb': True}
    assert not report.gates({'ingest-jsonline': part(1, 19_600_000, 1)}, True)['ingest-jsonline stored_mb']['passed']
    asked = [{'id': i, 'verdict': 'ok', 'first_ms': 2.0, 'best_ms': 1.0, 'best_over_y2': over} for i, over in (('q01', None), ('q04', 0.101), ('q08', None), ('q99', 1.0))]
    g = report.gates({'queries': {'queries': asked}}, True)
    assert {name: v['passed'] for name, v in g.items()} == {'queries q01 best_ms': True, 'queries q04 best_over_y2': False, report.WRONG: True}
    assert report.gates({'ingest-jsonline': part(99, 1, 1), 'ingest-kafka': {'skipped': 'why'}}, False) == {}
    answers = {'queries': {'queries': [{'verdict': v} for v in ('ok', 'unsupported', 'wrong', 'refused')]}}
    assert report.gates(answers, False)[report.WRONG] == {'limit': 0, 'value': 2, 'passed': False}


def test_the_schema_is_enforced():
    schema = {'type': 'object', 'required': ['a'], 'additionalProperties': False, 'properties': {'a': {'type': ['integer', 'null']}, 'b': {'$ref': '#/$defs/list'}, 'c': {'enum': ['x']}},
              '$defs': {'list': {'type': 'array', 'items': {'type': 'number'}}}}
    report.validate({'a': None, 'b': [1, 2.5], 'c': 'x'}, schema)
    for bad, place in (({}, 'result.a'), ({'a': 1.5}, 'result.a'), ({'a': True}, 'result.a'), ({'a': 1, 'b': [1, 'x']}, r'result.b\[1\]'), ({'a': 1, 'c': 'y'}, 'result.c'), ({'a': 1, 'd': 1}, 'result.d')):
        assert re.search(place, raises(AssertionError, report.validate, bad, schema)), bad


# --- the generator ---

def digest(work, form='raw', count=3):
    return hashlib.sha256(b''.join(work.encode(work.body(k), form) for k in range(count))).hexdigest()


def test_the_same_seed_gives_the_same_bytes():
    assert digest(generate.Work(**TINY)) == digest(generate.Work(**TINY)) != digest(generate.Work(**dict(TINY, seed=8)))
    work = generate.Work(**TINY)
    for form in ('raw', 'jsonl', 'kafka', 'lokijson'):
        here = b''.join(work.encode(work.body(k), form) for k in range(work.bodies))
        there = subprocess.run(generate.to_options(work, form), check=True, capture_output=True).stdout
        assert here == there, form


def test_a_larger_work_begins_with_the_smaller():
    small, large = generate.Work(**TINY), generate.Work(**dict(TINY, gb=1))
    assert digest(small) == digest(large) and large.bodies > 100 * small.bodies


def test_a_work_is_what_was_asked_for():
    work = generate.Work(gb=0.02, namespaces=5, pods=40, mix={'access': 3, 'trace': 1}, seed=3)
    bodies = [work.body(k) for k in range(work.bodies)]
    assert abs(sum(b.message_bytes() for b in bodies) - 2e7) < 1e6
    assert len({p.namespace for p in work.pods}) == 5 and len({p.name for p in work.pods}) == len(work.pods) == 40
    pods = [work.pods[p] for b in bodies for p in b.pods]
    assert 0.22 < sum(p.container == 'trace' for p in pods) / len(pods) < 0.28
    times = [t for b in bodies for t in b.times]
    assert times == sorted(set(times)) and len(times) == work.records and times[-1] <= work.end_s * 10**9
    for text in ('nonsense=1', 'access', 'access=0', 'access=1,access=2', ''):
        raises(ValueError, generate.parse_mix, text)
    assert generate.parse_mix('kv=1,plain=2.5') == {'kv': 1, 'plain': 2.5}


def test_a_work_without_ids_is_asked_for_other_things():
    work = generate.Work(**dict(TINY, mix={'plain': 1}))
    assert [q.id for q in queries.generated_queries(work, {}, 1)] == ['q03', 'q05', 'q06', 'q08', 'q12', 'q13', 'q14']


def test_every_form_holds_the_same_records():
    work = generate.Work(**TINY)
    body = work.body(1)
    rows = [(t, line, work.pods[p]) for t, line, p in zip(body.times, body.lines, body.pods)]
    lines = [json.loads(line) for line in work.as_jsonl(body).split(b'\n')[:-1]]
    assert [(d['_msg'], d['pod'], d['app'], d['namespace']) for d in lines] == [(line, p.name, p.app, p.namespace) for _, line, p in rows]
    assert lines[0]['_time'].startswith('2026-11-20T00:00:20.') and lines[0]['_time'][20:29] == '%09d' % (body.times[0] % 10**9)
    assert [(json.loads(m)['log'], json.loads(m)['kubernetes']['pod_name']) for m in work.as_kafka(body).split(b'\n')[:-1]] == [(line, p.name) for _, line, p in rows]
    loki = [(int(t), line, s['stream']['pod']) for s in json.loads(work.as_lokijson(body))['streams'] for t, line in s['values']]
    assert sorted(loki) == [(t, line, p.name) for t, line, p in rows]
    assert work.as_raw(body) == ('\n'.join(body.lines) + '\n').encode()
    assert generate.facts(body, work)['errors'] == sum('error' in line.lower() for line in body.lines) > 0


# --- answers ---

class Fake:
    """An HTTP server that answers what answer(method, path, params) says: (status, body)."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def reply(self):
                self.rfile.read(int(self.headers.get('Content-Length', 0)))
                url = urllib.parse.urlsplit(self.path)
                status, body = answer(self.command, url.path, dict(urllib.parse.parse_qsl(url.query)))
                self.send_response(status)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_GET = do_POST = reply

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.address = self.server.server_address

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def streams_answer(*lines):
    return 200, json.dumps({'status': 'success', 'data': {'resultType': 'streams', 'result': [{'stream': {}, 'values': [[str(i), line] for i, line in enumerate(lines)]}]}}).encode()


def verdict(answer, check, ask=queries.lines_ask):
    """What the harness says about a server that answers so."""
    with Fake(lambda *_: answer) as f:
        return queries.run_queries(f.address, [queries.Query('x', 'x', [ask('{}', check, 0, 1)] * 3)], repeats=1)[0]


def test_wrong_answers_are_noticed():
    check = queries.needle('abc', lambda: ['1 abc', '2 abc'])
    good = verdict(streams_answer('2 abc', '1 abc'), check)
    assert good['verdict'] == 'ok' and good['firsts'] == 3 and good['repeats'] == 1 and 0 < good['best_ms'] <= good['first_ms']
    for lines in (['1 abc'], ['1 abc', '2 abc', '2 abc'], ['1 abc', '3 abc'], ['1 abc', 'other'], []):
        got = verdict(streams_answer(*lines), check)
        assert got['verdict'] == 'wrong' and got['first_ms'] is None and got['detail'], lines
    for body in (b'', b'[]', b'{"data":{}}', b'{"data":{"result":[{"values":[["x"]]}]}}'):
        assert verdict((200, body), check)['verdict'] == 'wrong', body
    times = queries.exactly_times(lambda: [0, 1], 'a')
    assert [verdict(streams_answer(*lines), times)['verdict'] for lines in (['a', 'ba'], ['a'], ['a', 'b'])] == ['ok', 'wrong', 'wrong']


def test_refusals_are_not_answers():
    check = queries.exactly(lambda: [])
    assert verdict((400, b'| json (line 1, col 2) is parsed but cannot be evaluated yet'), check)['verdict'] == 'unsupported'
    assert [verdict((status, b'no'), check)['verdict'] for status in (400, 404, 500, 503)] == ['refused'] * 4


def test_numbers_are_checked():
    def matrix(*series):
        return 200, json.dumps({'data': {'result': [{'metric': {'app': a}, 'values': [[t, str(v)] for t, v in points]} for a, points in series]}}).encode()
    check = queries.series('app', lambda: {'a': {60: 3, 120: 4}, 'b': {60: 1}})
    right = matrix(('b', [(60, 1)]), ('a', [(60, 3), (120, 4)]))
    wrong = [matrix(('a', [(60, 3), (120, 4)])), matrix(('a', [(60, 3), (120, 5)]), ('b', [(60, 1)])), matrix(('a', [(60, 3)]), ('b', [(60, 1)])),
             matrix(('a', [(60, 3), (120, 4), (180, 1)]), ('b', [(60, 1)]))]
    assert [verdict(a, check)['verdict'] for a in [right] + wrong] == ['ok'] + ['wrong'] * 4
    value = queries.value(lambda: 17)
    samples = lambda *v: (200, json.dumps({'data': {'result': [{'metric': {}, 'value': [1, str(x)]} for x in v]}}).encode())
    assert [verdict(samples(*v), value)['verdict'] for v in ((17,), (16,), (), (17, 17))] == ['ok', 'wrong', 'wrong', 'wrong']
    assert [verdict(samples(*v), queries.value(lambda: 0))['verdict'] for v in ((), (0,))] == ['ok', 'wrong']
    assert queries.quantile(0.5, [1, 2, 3, 10]) == 2.5 and queries.quantile(0.99, [7]) == 7


def test_the_sender_tries_again_and_gives_up_on_errors():
    seen = []

    def answer(method, path, _):
        seen.append(path)
        return (503, b'') if len(seen) in (1, 3) else (204, b'') if len(seen) < 6 else (400, b'bad line')
    with Fake(answer) as f:
        c = send.Connection(f.address, send.JSONLINE)
        for _ in range(3):
            c.post(2, lambda s: s.sendall(b'{}'))
        assert len(seen) == 5 and set(seen) == {'/insert/jsonline'}
        assert '400: bad line' in raises(BenchError, c.post, 2, lambda s: s.sendall(b'{}'))
        c.close()


# --- the whole, with the real binary ---

def arguments(*more):
    ap = context['run'].options()
    return ap.parse_args(['--generated', '--runs', '1'] + list(more))


def test_a_whole_run():
    """Ingest in two forms and queries over a tiny work: counts are exact (or the run would have ended), answers right, the schema holds."""
    run, work = context['run'], generate.Work(**TINY)
    result = run.run(context['binary'], run.GeneratedWork(work), arguments(), ['ingest-jsonline', 'ingest-loki-json', 'queries'])
    assert result['passed'] and set(result['gates']) == {report.WRONG}
    asked = {q['id']: q for q in result['parts']['queries']['queries']}
    assert {q['verdict'] for q in asked.values()} <= {'ok', 'unsupported'}
    assert all(asked[i]['verdict'] == 'ok' for i in ('q01', 'q02', 'q03', 'q04', 'q05', 'q12', 'q13', 'q14'))
    assert asked['q01']['firsts'] == 20 and asked['q01']['first_ms'] > 0
    assert result['work']['raw_bytes'] == sum(work.body(k).message_bytes() for k in range(work.bodies))
    assert all(result['parts'][p]['best']['cpu_s'] > 0 and result['parts'][p]['best']['rss_anon_peak_bytes'] > 1e6 for p in ('ingest-jsonline', 'ingest-loki-json'))
    schema = os.path.join(HERE, 'run.schema.json')
    broken = copy.deepcopy(result)
    del broken['parts']['ingest-jsonline']['best']['cpu_s']
    raises(AssertionError, report.validate_file, broken, schema)
    assert any('q13' in line for line in report.table(result))


def test_records_that_are_missing_end_a_run():
    """The load sends one record less than it says."""
    work = generate.Work(**TINY)
    body = work.as_jsonl(work.body(0)).split(b'\n')[:-1]
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'body')
        with open(path, 'wb') as f:
            f.write(b'\n'.join(body[1:]) + b'\n')
        message = raises(BenchError, ingest.run_once, context['binary'], send.Files(send.JSONLINE, [path]), generate.LINES, d)
        assert message.startswith('4999 records are stored, and should be 5000'), message


def main(binary, run):
    """Runs all; 0 if all passed."""
    context.update(binary=binary, run=run)
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith('test_'):
            continue
        begin = time.monotonic()
        try:
            test()
            passed += 1
            measure.say('ok      %5.1f s  %s' % (time.monotonic() - begin, name))
        except Exception:
            failed += 1
            measure.say('FAILED  %s\n%s' % (name, traceback.format_exc()))
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0
