"""store/FORMAT.md says enough to read a store: a reader written from it alone (tests/tools/segment.py) finds what the server exports."""
import base64, collections, json, os, random, shutil, string

import pytest

import segment
from test_bad_input import loki_protobuf, snappy_block

T0 = 1795132800 * 10**9
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, 'tests', 'data', 'format')


def written(ns):
    """The time of an exported object as nanoseconds."""
    import datetime
    head, fraction = ns.rstrip('Z').split('.')
    return int(datetime.datetime.fromisoformat(head + '+00:00').timestamp()) * 10**9 + int(fraction)


def row_text(time, labels, metadata, line):
    return json.dumps([time, labels, metadata, line.decode('latin-1')], sort_keys=True)


def exported(server):
    text = server.export('{}', 'jsonl') + server.export('{__quarantine__=~".+"}', 'jsonl')
    rows = [r for r in map(json.loads, text.split(b'\n')[:-1]) if 'line' in r]
    lines = [base64.b64decode(r['line_b64']) if 'line_b64' in r else r['line'].encode() for r in rows]
    return sorted(row_text(written(r['time']), r['labels'], r.get('metadata', {}), line) for r, line in zip(rows, lines))


def read_back(data, seen=None):
    rows = []
    for s in segment.segments(data):
        rows += s.rows()
        if seen is not None:
            seen.update(s.seen)
    return sorted(row_text(r.time, r.labels, r.metadata, r.line) for r in rows), rows


def odd_records(rng):
    """Lines of all lengths, streams of every group kind, few and many keys of metadata, times that repeat and jump."""
    alphabet = ['x', 'é', '日', ' ', '"', '\\', '\t', '\u0001']
    sources = [{'app': 'a'}, {'job': 'j', 'pod': 'p'}, {'filename': '/var/log/pods/x.log'}, {'filename': 'bare'}, {'namespace': 'n', 'container': 'c', 'pod': 'q'},
               {'service_name': 's'}, {'other': 'o'}]
    for i in range(4000):
        line = ''.join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 5, 60, 300])))
        if i % 1000 == 7:
            line = 'long ' * 300000
        record = {'_msg': line, '_time': str(T0 + rng.choice([0, 1, 1000, 10**9, -10**15]) * rng.randrange(50)), **rng.choice(sources)}
        record.update(('key%d' % rng.randrange(40), 'v%d' % rng.randrange(5)) for _ in range(rng.choice([0, 0, 1, 9])))
        yield record


def word(rng, n, alphabet=string.ascii_letters + string.digits + '_'):
    return ''.join(rng.choices(alphabet, k=n))


def typed_records(rng, n=4000):
    """A table whose columns, and keys of metadata, are of every type; large enough for further chunks and a large dictionary."""
    for i in range(n):
        line = 'GET /%s id=%032x ID=%016X odd=%07x n=%d z=%05d seq=%d %s %s,%s end=%s' % (
            'user%d' % rng.randrange(400), rng.getrandbits(128), rng.getrandbits(64), rng.getrandbits(28), rng.randrange(10**rng.randrange(1, 15)), rng.randrange(10**5), 10**12 + i * 1000 + rng.randrange(99),
            word(rng, rng.randrange(6, 30)), word(rng, 12), rng.choice(['warm', 'kühl', '日本']), word(rng, rng.choice([1, 2, 400])))
        record = {'_msg': line, '_time': str(T0 + i * 10**6), 'app': 'types', 'level': 'info', 'trace': '%032x' % rng.getrandbits(128), 'status': rng.choice(['ok', 'no', '']), 'took': rng.randrange(9000)}
        if i % 3 == 0:
            record.update(span='%016X' % rng.getrandbits(64), note=word(rng, rng.randrange(40), string.printable))
        if i % (n // 8) == 0:
            record.update(small='%09x' % rng.getrandbits(36), blob='b' * rng.choice([1, 70000]))
        yield record


def shaped_records(shapes=300, rows=9):
    """More shapes than one byte can number, each often enough for a table; then lines that no table takes."""
    for i in range(shapes * rows):
        yield {'_msg': 'v' + ''.join(' -'[i % shapes >> k & 1] + 'v%d' % (i // shapes) for k in range(9)), '_time': str(T0 + i), 'app': 'shapes'}
    for i in range(20):
        for text in ('%d ' % i * 1100, 'x' * 16370 + ' %d ' % i * 20, '--- ' * i, '_' * i):
            yield {'_msg': text, '_time': str(T0 + i), 'app': 'shapes', 'pod': 'plain'}


def raw_lines(rng, n=400):
    """Lines that no JSON can say."""
    for i in range(n):
        yield b'raw %d \xff\xfe%d\x80 \xc3\n' % (i % 7, i)
        yield bytes(rng.choices(range(256), k=rng.randrange(50)))


EVERYTHING = {'const', 'dict', 'large dict', 'int', 'int digits', 'int differences digits', 'hex lower', 'hex upper', 'hex lower odd', 'bytes', 'bytes of one length', 'shared', 'further chunks',
              'keys in META', 'sparse keys', 'dense keys', 'plain rows', 'ids', 'layout 1', 'codec 0', 'codec 1', 'codec 2'}


def test_the_reader_finds_what_the_server_exports(new_server):
    rng, seen = random.Random(4), collections.Counter()
    records = list(odd_records(rng)) + list(typed_records(rng)) + list(shaped_records())
    server = new_server('--seal-bytes', '2MiB').start()
    for i in range(0, len(records), 500):
        body = '\n'.join(json.dumps(r) for r in records[i:i + 500]) + '\nnot json at all\n'
        params = '?_stream_fields=app,job,pod,filename,namespace,container,service_name,other'
        assert server.jsonline(body.encode(), params=params)[0] == 204
    raw = snappy_block(loki_protobuf(b'{app="raw"}', *raw_lines(rng)))
    assert server.request('POST', '/loki/api/v1/push', raw, {'Content-Type': 'application/x-protobuf'})[0] == 204
    want = exported(server)
    assert server.stop() == 0
    found, rows = read_back(server.data, seen)
    assert len(found) > len(records) and found == want
    assert not EVERYTHING - set(+seen) and seen['short keys in META'] == 0 and seen['tables'] > 255, 'a part of the format did not occur: %r' % seen
    assert {r.ticket.log for r in rows} == {'journal'} and all(r.ticket.first < r.ticket.next for r in rows)
    intervals = sorted((i.first, i.next) for s in segment.segments(server.data) for i in s.intervals)
    assert len(intervals) > 2 and all(a[1] == b[0] for a, b in zip(intervals, intervals[1:])), 'the journal is covered without hole or overlap'


@pytest.mark.parametrize('version', sorted(os.listdir(GOLDEN)))
def test_the_reader_reads_what_earlier_versions_left(new_server, version):
    server = new_server('--compact=off')
    shutil.copytree(os.path.join(GOLDEN, version, 'data'), server.data)
    server.start()
    want = exported(server)
    assert server.stop() == 0
    assert read_back(server.data)[0] == want


@pytest.mark.parametrize('version', sorted(os.listdir(GOLDEN)))
def test_no_damaged_byte_is_read_as_rows(tmp_path, version):
    folder = os.path.join(GOLDEN, version, 'data', 'segments')
    whole = min((open(os.path.join(folder, name), 'rb').read() for name in os.listdir(folder)), key=len)
    path = str(tmp_path / 'a.seg')

    def rows(data):
        with open(path, 'wb') as f:
            f.write(data)
        return list(segment.Segment(path).rows())
    want = rows(whole)
    for at in range(0, len(whole), 41 if version == 'v1' else len(whole) // 100):
        try:
            assert rows(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:]) == want, 'byte %d' % at  # a byte that means nothing
        except segment.Corrupt:
            pass
    with pytest.raises(segment.Corrupt):
        rows(whole[:-1])
