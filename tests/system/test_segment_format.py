"""store/FORMAT.md says enough to read a store: a reader written from it alone (tests/tools/segment.py) finds what the server exports."""
import json, os, random, shutil

import pytest

import segment

T0 = 1795132800 * 10**9
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, 'tests', 'data', 'format')


def written(ns):
    """The time of an exported object as nanoseconds."""
    import datetime
    head, fraction = ns.rstrip('Z').split('.')
    return int(datetime.datetime.fromisoformat(head + '+00:00').timestamp()) * 10**9 + int(fraction)


def exported(server):
    text = server.export('{}', 'jsonl') + server.export('{__quarantine__=~".+"}', 'jsonl')
    rows = [json.loads(line) for line in text.split(b'\n')[:-1]]
    return sorted(json.dumps([written(r['time']), r['labels'], r.get('metadata', {}), r['line']], sort_keys=True) for r in rows if 'line' in r)


def read_back(data):
    rows = [r for s in segment.segments(data) for r in s.rows()]
    return sorted(json.dumps([r.time, r.labels, r.metadata, r.line.decode()], sort_keys=True) for r in rows), rows


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


def test_the_reader_finds_what_the_server_exports(new_server):
    records = list(odd_records(random.Random(4)))
    server = new_server('--seal-bytes', '2MiB').start()
    for i in range(0, len(records), 500):
        body = '\n'.join(json.dumps(r) for r in records[i:i + 500]) + '\nnot json at all\n'
        params = '?_stream_fields=app,job,pod,filename,namespace,container,service_name,other'
        assert server.jsonline(body.encode(), params=params)[0] == 204
    want = exported(server)
    assert server.stop() == 0
    found, rows = read_back(server.data)
    assert len(found) > 4000 and found == want
    assert {r.ticket.log for r in rows} == {'journal'} and all(r.ticket.first < r.ticket.next for r in rows)
    intervals = sorted((i.first, i.next) for s in segment.segments(server.data) for i in s.intervals)
    assert len(intervals) > 2 and all(a[1] == b[0] for a, b in zip(intervals, intervals[1:])), 'the journal is covered without hole or overlap'


@pytest.mark.parametrize('version', sorted(os.listdir(GOLDEN)))
def test_the_reader_reads_what_earlier_versions_left(new_server, version):
    server = new_server()
    shutil.copytree(os.path.join(GOLDEN, version, 'data'), server.data)
    server.start()
    want = exported(server)
    assert server.stop() == 0
    assert read_back(server.data)[0] == want


def test_no_damaged_byte_is_read_as_rows(tmp_path):
    folder = os.path.join(GOLDEN, 'v1', 'data', 'segments')
    with open(os.path.join(folder, sorted(os.listdir(folder))[0]), 'rb') as f:
        whole = f.read()
    path = str(tmp_path / 'a.seg')

    def rows(data):
        with open(path, 'wb') as f:
            f.write(data)
        return list(segment.Segment(path).rows())
    want = rows(whole)
    for at in range(0, len(whole), 41):
        try:
            assert rows(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:]) == want, 'byte %d' % at  # a byte that means nothing
        except segment.Corrupt:
            pass
    with pytest.raises(segment.Corrupt):
        rows(whole[:-1])
