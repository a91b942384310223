"""The same bodies pushed to a server with a journal and to one with Kafka: both stores answer everything alike.

What differs is only when records without a time of their own were received: those times are left out of the comparison.
"""
import collections, glob, gzip, json, os, random, re, subprocess, time, urllib.parse

import pytest

from server import wait_for
from test_bad_input import BROKEN_LINES, BROKEN_LOKI_JSON, BROKEN_PROTOBUF, field, snappy_block, varint
from test_kafka import flags, rows

JSONLINE, LOKI = '/insert/jsonline', '/loki/api/v1/push'
T0 = 1795132800 * 10**9
JSON, PROTOBUF, LINES = {'Content-Type': 'application/json'}, {'Content-Type': 'application/x-protobuf'}, {'Content-Type': 'application/x-ndjson'}
LINE_MAX = 900000  # below what one message may hold, with room for labels and metadata


# --- bodies: (name, path, headers, body) ---

def from_agents(shared):
    """What real agents sent to the endpoints that are there."""
    for path in sorted(glob.glob(os.path.join(shared, 'fixtures', 'agents', '*', '*', 'request.json'))):
        with open(path) as f:
            request = json.load(f)
        target = (request.get('path') or '').split('?')[0]
        if target in (JSONLINE, LOKI, '/api/prom/push'):
            kept = {name: value for name, value in request['headers'] if name.lower() in ('content-type', 'content-encoding')}
            with open(os.path.join(os.path.dirname(path), 'body.bin'), 'rb') as f:
                yield os.path.relpath(os.path.dirname(path), shared), request['path'], kept, f.read()


def loki_json(*streams):
    return json.dumps({'streams': [{'stream': labels, 'values': [[str(v[0])] + list(v[1:]) for v in values]} for labels, values in streams]}).encode()


def entry(line, t=None, meta=()):
    """An Entry; t in ns, or None for an entry without a timestamp."""
    stamp = b'' if t is None else field(1, b'\x08' + varint(t // 10**9 & (1 << 64) - 1) + b'\x10' + varint(t % 10**9))
    return field(2, stamp + field(2, line) + b''.join(field(3, field(1, k) + field(2, v)) for k, v in meta))


def loki_protobuf(*streams):
    return snappy_block(b''.join(field(1, field(1, labels) + b''.join(entries)) for labels, entries in streams))


def many_rows():
    """One request of three groups and many pods, its lines mixed: more than one message a group."""
    rand = random.Random(5)
    out = []
    for i in range(9000):
        n = rand.randrange(60)
        out.append(json.dumps({'_time': str(T0 + i), '_msg': 'row %d %s' % (i, 'word ' * rand.randrange(200)), 'namespace': 'n', 'container': 'c%d' % (n % 3),
                               'pod': 'p%d' % n, 'trace': '%032x' % rand.getrandbits(128)}))
    return '\n'.join(out).encode()


def by_hand():
    yield 'labels', LOKI, JSON, loki_json(({'app': 'a', 'env': 'prod'}, [(T0, 'one'), (T0, 'two'), (T0, 'one')]), ({'app': 'a', 'env': ''}, [(T0 + 1, 'three')]), ({'namespace': 'n', 'job': 'j'}, [(T0, '')]))
    yield 'metadata', LOKI, JSON, loki_json(({'app': 'm'}, [(T0 + 2, 'x', {'trace_id': 'abc', 'empty': '', 'b': '2', 'a': '1'}), (T0 + 1, 'y', {'k': 'ä \u0000 "q"'}), (T0 + 3, 'z')]))
    yield 'instances', LOKI, JSON, loki_json(*[({'app': 'i', 'pod': 'p', '__pod_uid__': uid, '__incarnation__': run}, [(T0 + i, 'of %s %s' % (uid, run))])
                                              for i, (uid, run) in enumerate([('u1', '0'), ('u1', '1'), ('u2', ''), ('', '5'), ('', '')])])
    yield 'instances in lines', JSONLINE + '?_stream_fields=app,__pod_uid__,__incarnation__', LINES, b'{"_time":"%d","_msg":"x","app":"i","__pod_uid__":"u3","__incarnation__":2,"other":1}' % T0
    yield 'bytes', LOKI, PROTOBUF, loki_protobuf((b'{app="bytes"}', [entry(b'\xff\xfe broken', T0), entry(b'cut \xf0\x9f\x98', T0 + 1), entry(b'nul \0 nul', T0 + 2), entry('ganz heil äöü\n\ttwo'.encode(), T0 + 3),
                                                                     entry(b'', T0 + 4), entry(bytes(range(256)), T0 + 5, [(b'raw', b'\x80\x81'), (b'text', b'ok')])]),
                                                 (b'{app="bytes", namespace="\xff\xfe"}', [entry(b'in a broken namespace', T0)]))
    yield 'times', LOKI, PROTOBUF, loki_protobuf((b'{app="times"}', [entry(b'%d' % t, t) for t in (-1, 0, 1, -10**18, -9 * 10**18, 9 * 10**18)]))
    yield 'negative times', LOKI, JSON, loki_json(({'app': 'times'}, [(-5, 'a'), (-10**18 - 1, 'b')]))
    yield 'without times', JSONLINE, LINES, b'{"_msg":"no time","app":"late"}\n{"_msg":"a time","app":"late","_time":"%d"}\n{"_msg":"no time","app":"late"}\n' % T0
    yield 'without times', LOKI, PROTOBUF, loki_protobuf((b'{app="late"}', [entry(b'loki without', None), entry(b'loki with', T0)]))
    yield 'long', LOKI, PROTOBUF, loki_protobuf((b'{app="long"}', [entry(b'L' * LINE_MAX, T0), entry(b'short', T0 + 1), entry(b'\xfe' * LINE_MAX, T0 + 2), entry(b'M' * LINE_MAX, T0 + 3, [(b'k', b'v' * 50000)])]))
    yield 'large label', LOKI, JSON, loki_json(({'app': 'demoted', 'big': 'v' * 5000, 'n' * 2000: 'name'}, [(T0, 'x', {'k': 'v'}), (T0 + 1, 'y')]), (dict({'l%02d' % i: 'v' for i in range(80)}, app='demoted'), [(T0 + 2, 'z')]))
    yield 'quarantine', JSONLINE, LINES, b'{"_msg":"good","app":"q","_time":"%d"}\nnot json\n[1,2]\n{"_msg":"\xff"}\n' % T0
    yield 'gzip', JSONLINE, dict(LINES, **{'Content-Encoding': 'gzip'}), gzip.compress(b'{"_time":"%d","_msg":"zipped","app":"g"}' % T0, mtime=0)
    yield 'many', JSONLINE, LINES, many_rows()
    yield 'nothing', LOKI, JSON, b'{"streams":[]}'
    for kind, headers, path, bodies in (('lines', LINES, JSONLINE, BROKEN_LINES), ('json', JSON, LOKI, BROKEN_LOKI_JSON), ('protobuf', PROTOBUF, LOKI, BROKEN_PROTOBUF)):
        for name, body in bodies.items():
            yield 'broken %s %s' % (kind, name), path, headers, body


# --- what a store answers ---

class Answers:
    """Everything that a tenant's store says. Records that were received after `began` and say that as their time stand apart, as a multiset without times."""

    def __init__(self, server, began, headers=None):
        self.server, self.began, self.headers = server, began, headers or {}
        self.timed, self.untimed = [], collections.Counter()
        for query in ('{}', '{__quarantine__=~".+"}'):
            for text in self.ask('/api/v1/export', query=query, format='jsonl').decode().split('\n'):
                record = json.loads(text) if text else {}
                if 'line' in record:
                    self.add(record)
        self.labels = self.data('/loki/api/v1/labels', **self.span())
        self.values = {name: self.data('/loki/api/v1/label/%s/values' % urllib.parse.quote(name, safe=''), **self.span()) for name in self.labels or []}
        self.series = self.data('/loki/api/v1/series', **self.span())
        self.found = {q: self.query(q) for q in self.queries()}

    def add(self, record):
        if self.began <= record['time'] <= now_text(1):  # no body says so: it is the receipt
            self.untimed[json.dumps(dict(record, time='receipt'), sort_keys=True)] += 1
        else:
            self.timed.append(record)

    def span(self):
        return {'start': 0, 'end': 4102444800 * 10**9}

    def ask(self, path, **params):
        status, body, _ = self.server.request('GET', path + '?' + urllib.parse.urlencode(params), None, self.headers)
        assert status == 200, (status, body)
        return body

    def data(self, path, **params):
        return json.loads(self.ask(path, **params)).get('data')

    def queries(self):
        names = ['app', 'job', 'namespace', 'container', 'pod', 'service_name']
        return ['{%s=~".+"} |= `%s`' % (n, needle) for n in names for needle in ('', 'e', 'row 7')] + ['{app="i"}', '{app="bytes"}', '{app="long"}']

    def query(self, query):
        """Of both directions, the lines of a fixed time: the agents' and those made here."""
        return [sorted(self.data('/loki/api/v1/query_range', query=query, start=1, end=T0 + 10**12, limit=5000, direction=d)['result'], key=lambda s: json.dumps(s['stream'], sort_keys=True))
                for d in ('forward', 'backward')]


def assert_alike(a, b):
    assert len(a.timed) == len(b.timed)
    for one, other in zip(a.timed, b.timed):  # in the order of the export: time, stream, arrival
        assert one == other
    assert a.untimed == b.untimed
    assert (a.labels, a.values, a.series) == (b.labels, b.values, b.series)
    for query in a.found:
        assert a.found[query] == b.found[query], query


@pytest.fixture(params=['journal', 'kafka'])
def pair(request, new_server):
    """make(name, *flags): a server with a journal and one of the kind under test; two with journals check the comparison itself."""
    def make(name, *more):
        extra = []
        if request.param == 'kafka':
            broker = request.getfixturevalue('broker')
            broker.topic(name)
            extra = flags(broker, name)
        return new_server(*more).start(), new_server(*extra, *more).start()
    return make


def push(pair, path, headers, body):
    """To both; they answer alike."""
    first, second = [s.request('POST', path, body, headers) for s in pair]
    assert (first[0], first[1]) == (second[0], second[1]), (path, first, second)
    return first[0]


def settle(first, second):
    wait_for(lambda: rows(second) >= rows(first), 60, '%d records in the second' % rows(first))


def now_text(later=0):
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() + later))


@pytest.mark.parametrize('tenants', [False, True], ids=['one', 'tenants'])
def test_both_logs_give_the_same_store(pair, shared, tenants):
    began, who = now_text(), [{'X-Scope-OrgID': t} for t in ('red', 'blue team')] if tenants else [{}]
    servers = pair('alike-%d' % tenants, *(['--tenants'] if tenants else []))
    pushed = collections.Counter()
    for i, (name, path, headers, body) in enumerate(list(by_hand()) + list(from_agents(shared))):
        for k in who[:1 + i % 2]:  # the second tenant gets every other body
            pushed[push(servers, path, dict(headers, **k), body)] += 1
    assert pushed[204] >= 30 and pushed[400] >= 10, pushed
    settle(*servers)
    before = []
    for k in who:
        first, second = [Answers(s, began, k) for s in servers]
        assert len(first.timed) > 20 and first.series and sum(len(s['values']) for q in first.found.values() for s in q[0]) > 20
        assert_alike(first, second)
        before.append(second)
    assert len(before[0].timed) > 9000 and sum(before[0].untimed.values()) > 5
    for s in servers:  # all of it from segments now
        assert s.stop() == 0
        s.start()
    for k, want in zip(who, before):
        first, second = [Answers(s, began, k) for s in servers]
        assert_alike(first, second)
        assert_alike(want, second)


def test_retries_are_stored_alike(pair):
    """Once where the request has an identity (a key of its own, or a time on every record), else as often as it came."""
    began = now_text()
    servers = pair('retries')
    timed, untimed = b'{"_time":"%d","_msg":"timed","app":"a"}\n' % T0, b'{"_msg":"untimed","app":"a"}\n'
    large = b''.join(b'{"_time":"%d","_msg":"%d %s","app":"a%d"}\n' % (T0 + i, i, b'x' * 200, i % 3) for i in range(12000))  # several messages
    for _ in range(3):
        for headers, body in (({}, timed), ({}, untimed), ({'Idempotency-Key': 'k1'}, untimed), ({'Idempotency-Key': 'k2'}, untimed), ({}, large)):
            assert push(servers, JSONLINE, headers, body) == 204
    settle(*servers)
    first, second = [Answers(s, began) for s in servers]
    assert len(first.timed) == 1 + 12000 and sum(first.untimed.values()) == 3 + 1 + 1
    assert_alike(first, second)


def test_lines_of_a_stream_keep_their_order(pair):
    """Equal times: the order of the pushes, and in a push that of its lines, however it was cut into messages."""
    began = now_text()
    servers = pair('order')
    for n in range(20):
        streams = [({'app': 'o', 'pod': 'p%d' % (i % 3)}, [(T0, 'push %d line %d %s' % (n, i, 'y' * 1000))]) for i in range(300)]
        assert push(servers, LOKI, JSON, loki_json(*streams)) == 204
    settle(*servers)
    first, second = [Answers(s, began) for s in servers]
    want = ['push %d line %d %s' % (n, i, 'y' * 1000) for n in range(20) for i in range(300) if i % 3 == 1]
    assert [r['line'] for r in second.timed if r['labels']['pod'] == 'p1'] == want
    assert_alike(first, second)


# --- what stands in Kafka: docs/kafka.md, read by a decoder that shares nothing with the program ---

def fields(message):
    """The fields of a protobuf message: number -> [value, ...]."""
    out, at = collections.defaultdict(list), 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value
    while at < len(message):
        tag = number()
        if tag & 7 == 1:
            value, at = int.from_bytes(message[at:at + 8], 'little', signed=True), at + 8
        else:
            assert tag & 7 == 2, tag
            size = number()
            value, at = message[at:at + size], at + size
            assert len(value) == size
        out[tag >> 3].append(value)
    return out


def text(any_value):
    [(kind, [value])] = fields(any_value).items()
    assert kind in (1, 7)
    return value.decode() if kind == 1 else value


def attributes(pairs):
    return {fields(p)[1][0].decode(): text(fields(p)[2][0]) for p in pairs}


def records_of(value):
    """(resource attributes, time or None, body, log attributes) of each record."""
    for logs in map(fields, fields(value)[1]):
        labels = attributes(fields(logs[1][0])[1])
        for record in (fields(r) for scope in logs[2] for r in fields(scope)[2]):
            yield labels, record.get(1, [None])[0], text(record[5][0]), attributes(record[6])


def consume(broker, topic):
    """Every message of a topic: (key, headers, partition, value)."""
    raw = subprocess.run(['kcat', '-b', broker.address, '-t', topic, '-C', '-e', '-q', '-f', '%k\t%h\t%p\t%S\n%s'], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120).stdout
    at = 0
    while at < len(raw):
        end = raw.index(b'\n', at)
        key, headers, partition, size = raw[at:end].decode().split('\t')
        at = end + 1 + int(size)
        yield key, dict(h.split('=', 1) for h in headers.split(',')), int(partition), raw[end + 1:at]


def test_messages_are_as_documented(new_server, broker):
    broker.topic('documented')
    s = new_server('--tenants', *flags(broker, 'documented')).start()
    began, red = time.time_ns(), {'X-Scope-OrgID': 'red'}
    odd = loki_protobuf((b'{app="a", __pod_uid__="u", __incarnation__="3"}', [entry(b'\xff', -7, [(b'k', b'\xfe'), (b't', b'ok')]), entry(b'', 0)]))
    for path, headers, body in ((JSONLINE, LINES, many_rows()), (LOKI, PROTOBUF, odd), (JSONLINE, LINES, b'{"_msg":"now","app":"late"}'), (JSONLINE, dict(LINES, **{'Idempotency-Key': 'k'}), b'{"_msg":"now","app":"late"}')):
        assert s.request('POST', path, body, dict(headers, **red))[0] == 204
    messages = list(consume(broker, 'documented'))
    groups, seen, ids = collections.defaultdict(set), [], collections.Counter()
    for key, headers, partition, value in messages:
        records = list(records_of(value))
        assert re.fullmatch('[0-9a-f]{16}', key) and len(value) < 1000000
        assert headers['logpond'] == '1' and headers['tenant'] == 'red' and int(headers['records']) == len(records) > 0
        assert began <= int(headers['received']) <= time.time_ns()
        assert 'id' not in headers or re.fullmatch('[0-9a-f]{32}-[0-9]+', headers['id'])
        ids[headers.get('id')] += 1
        groups[key, partition].update((r[0].get('namespace'), r[0].get('container') or r[0].get('app')) for r in records)
        seen += records
    assert len(groups) == len(set(key for key, _ in groups)) == 5 and all(len(g) == 1 for g in groups.values())  # a group has one key and one partition
    assert ids.pop(None) == 1 and set(ids.values()) == {1} and len(ids) > 5  # the untimed line without a key has no identity; the others are all different
    want = [json.loads(row) for row in many_rows().decode().split('\n')]
    assert sorted((r[1], r[2], r[3]['trace'], r[0]['pod']) for r in seen if 'trace' in r[3]) == [(int(w['_time']), w['_msg'], w['trace'], w['pod']) for w in want]
    assert [r for r in seen if r[0].get('app') == 'a'] == [({'app': 'a', '__pod_uid__': 'u', '__incarnation__': '3'}, -7, b'\xff', {'k': b'\xfe', 't': 'ok'}),
                                                          ({'app': 'a', '__pod_uid__': 'u', '__incarnation__': '3'}, 0, '', {})]
    assert [r for r in seen if r[0].get('app') == 'late'] == [({'app': 'late'}, None, 'now', {})] * 2
