#!/usr/bin/env python3
"""seeds.py LOGPOND: writes the seeds of the fuzz targets into tests/data/fuzz (push, journal, otlp, segment, table, http, kube) and the golden store tests/data/format.

Bodies are those that real agents sent (../shared/fixtures) and a few made by hand; blocks and journal entries are cut from what a server wrote.
"""
import glob, gzip, json, lzma, os, random, shutil, struct, sys, tempfile, zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'tools'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'system'))
os.environ['LOGPOND'] = sys.argv[1]
import segment  # noqa: E402
from server import Server, wait_for  # noqa: E402
from test_bad_input import BROKEN_LINES, BROKEN_LOKI_JSON, BROKEN_PROTOBUF, field, loki_json, loki_protobuf, snappy_block  # noqa: E402
from test_segment_format import raw_lines, shaped_records, typed_records  # noqa: E402

DATA = os.path.join(ROOT, 'tests', 'data')
FIXTURES = os.path.join(os.path.dirname(ROOT), 'shared', 'fixtures', 'agents')
T0 = 1795132800 * 10**9
JSONLINE, FIELDS, PUSH = 0, 1, 2                       # targets of fuzz_push.c
JSON, PROTOBUF = 0, 4                                  # types
PLAIN, GZIP, DEFLATE, ZSTD, SNAPPY = 0, 8, 16, 24, 32  # encodings


def seed(target, name, data):
    folder = os.path.join(DATA, 'fuzz', target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name.replace(' ', '-')), 'wb') as f:
        f.write(data)


def push_seeds():
    for path in glob.glob(os.path.join(FIXTURES, '*', '*', 'body.bin')):
        with open(path, 'rb') as f, open(os.path.join(os.path.dirname(path), 'request.json')) as r:
            body, request = f.read(), json.load(r)
        headers = dict((k.lower(), v) for k, v in request.get('headers', []))
        path_sent = request.get('path') or ''
        if len(body) > 5000 or not ('push' in path_sent or 'json' in path):
            continue
        how = PUSH if 'push' in path_sent else JSONLINE
        how |= JSON if 'json' in headers.get('content-type', 'json') else PROTOBUF
        how |= {'gzip': GZIP, 'snappy': SNAPPY}.get(headers.get('content-encoding'), PLAIN)
        seed('push', 'agent-%s-%s' % tuple(os.path.dirname(path).split(os.sep)[-2:]), bytes([how]) + body)
    lines = b'{"_msg":"a","app":"x","_time":"%d"}\n{"m":"b","t":1795132800,"a":1,"b":{"c":2},"d":["e"]}\n' % T0
    for name, how, body in (('lines', JSONLINE, lines), ('fields', FIELDS, lines), ('lines-gzip', JSONLINE | GZIP, gzip.compress(lines, mtime=0)),
                            ('lines-deflate', JSONLINE | DEFLATE, zlib.compress(lines)), ('loki', PUSH | PROTOBUF, snappy_block(loki_protobuf(b'{a="b"}', b'x', b'\xff'))),
                            ('loki-json', PUSH, loki_json({'a': 'b'}, 'x', 'y')), ('bomb', JSONLINE | GZIP, gzip.compress(bytes(10**7), mtime=0))):
        seed('push', name, bytes([how]) + body)
    for how, bad in ((JSONLINE, BROKEN_LINES), (PUSH, BROKEN_LOKI_JSON), (PUSH | PROTOBUF, BROKEN_PROTOBUF)):
        for name, body in bad.items():
            seed('push', 'bad-%d-%s' % (how, name), bytes([how]) + body[:4000])


def http_seeds():
    head, chunks, query, cursor, frames = range(5)
    for name, kind, body in (
            ('head-get', head, b'GET /loki/api/v1/query?query=%7Ba%3D%22b%22%7D HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n'),
            ('head-post', head, b'POST /loki/api/v1/push HTTP/1.1\nHost: x\nContent-Length: 12\nExpect: 100-continue\n\n'),
            ('head-two-lengths', head, b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'),
            ('head-bad', head, b'GET / HTTP/1.1\r\nHost : x\r\n folded\r\n\r\n'),
            ('chunks', chunks, b'5\r\nhello\r\n6;x="y"\r\n world\r\n0\r\nTrailer: z\r\n\r\n'),
            ('chunks-bad', chunks, b'fffffffffffffffff\r\nx'),
            ('query', query, b'query=%7Bapp%3D%22a%22%7D+%7C%3D+%22b%22&start=1&end=&&limit=100&x'),
            ('query-bad', query, b'a=%zz&b=%4'),
            ('cursor', cursor, b'1-0-7-2a.10.8.18a0b1c2d3e4f567.00112233445566778899aabbccddeeff.2-1.9'),
            ('cursor-bad', cursor, b'1-0-7-2a.10.8.18a0'),
            ('frames', frames, bytes([0x81, 0x82, 1, 2, 3, 4, 0x69, 0x6b, 0x89, 0x80, 0, 0, 0, 0, 0x88, 0x82, 0, 0, 0, 0, 3, 0xe8])),
            ('frames-bad', frames, bytes([0xc1, 0xff]) + bytes([0xff] * 12)),
            ('ws-key', frames, b'dGhlIHNhbXBsZSBub25jZQ==')):
        seed('http', name, bytes([kind, 100]) + body)


def kube_seeds():
    path, selectors, token, params, review = range(5)
    for name, kind, body in (
            ('path-log', path, b'/api/v1/namespaces/shop/pods/api-0/log'),
            ('path-owner', path, b'/apis/apps/v1/namespaces/shop/deployments/api'),
            ('path-apis', path, b'/apis'),
            ('path-dots', path, b'/api/v1/namespaces/../pods/./log/'),
            ('labels', selectors, b'app=api,tier in (a, b),!old,x!=y,z notin (1),there'),
            ('labels-bad', selectors, b'app in (a,,b'),
            ('fields', selectors, b'metadata.name=api-0,spec.nodeName!=n1,status.phase==Running'),
            ('token', token, b'343a73686f706170692d30'),
            ('params', params, b'container=api\nfollow=true\nsinceSeconds=5\ntailLines=10\nlimitBytes=7\nmatch=a\nregex=b+\ntimestamps=1\nrestart=all'),
            ('params-bad', params, b'sinceSeconds=1\nsinceTime=2026-01-02T03:04:05Z\ntailLines=-1\nstream=Both\nuntilTime=x'),
            ('params-several', params, b'target=deploy/api\ntarget=pod/x\nlabelSelector=a=b\nformat=json\nprefix=true'),
            ('review', review, b'{"kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"namespace":"a","verb":"list","resource":"pods"}}}'),
            ('review-protobuf', review, b'k8s\0\n\x1c\n\x17authorization.k8s.io/v1\x12\x01S\x12\x06\x12\x04\n\x02\x0a\x00')):
        seed('kube', name, bytes([kind]) + body)


def golden_records():
    """Three pushes of rows: of every column type, a large dictionary, and more streams than a page has; of many tables, and plain; and a few for the journal."""
    rng = random.Random(2)
    few = [{'_msg': 'user%d request_number_is_x%d' % (rng.randrange(262), i), '_time': str(T0 + i * 10**6), 'app': 'few', 'pod': 'p%d' % (i % 1030)} for i in range(1064)]
    last = [{'_msg': 'line %d \u00e4 %s' % (i, 'word ' * (i % 9)), 'app': 'a%d' % (i % 3), 'pod': 'p', '_time': str(T0 + 10**9 + i * 12345), 'status': i % 7, 'trace': '%032x' % (i * 7919)} for i in range(120)]
    return list(typed_records(rng, 56)) + few, list(shaped_records(257, 8)), last


def golden():
    """A store with two segments and a journal that a kill left: what version 3 looks like (versions 1 and 2 were made before it). Returns its folder.

    One that is there is kept: it is what the first server of its version wrote."""
    target = os.path.join(DATA, 'format', 'v3')
    if os.path.isdir(target):
        return os.path.join(target, 'data')
    folder = tempfile.mkdtemp()
    s = Server(folder, '--reserve-bytes', '0', '--compact=off', '--retention', 'namespace=nobody age=1d').start()
    for part, rows in enumerate(golden_records()):
        body = '\n'.join(map(json.dumps, rows)).encode() + b'\nnot json\n'
        assert s.jsonline(gzip.compress(body, mtime=0), {'Content-Encoding': 'gzip'})[0] == 204
        if part < 2:
            raw = snappy_block(loki_protobuf(b'{app="raw"}', *raw_lines(random.Random(part), 20)))
            assert s.request('POST', '/loki/api/v1/push', raw, {'Content-Type': 'application/x-protobuf'})[0] == 204
            assert s.stop() == 0
            s.start()
        if part == 1:  # the two become one a day; then one more is sealed
            assert s.request('POST', '/admin/compact')[0] == 202
            wait_for(lambda: s.status()['compaction']['answered'] == 1 and s.status()['compaction']['files_waiting'] == 0, what='the merge')
            assert s.jsonline(body[:100000].rpartition(b'\n')[0])[0] == 204
            assert s.stop() == 0
            s.start()
            assert s.request('POST', '/admin/retain')[0] == 200  # makes the ledger
    exported = s.export('{}', 'jsonl') + s.export('{__quarantine__=~".+"}', 'jsonl')
    s.kill()
    shutil.copytree(s.data, os.path.join(target, 'data'), ignore=shutil.ignore_patterns('LOCK', 'lock.mdb', 'reserve'))
    with open(os.path.join(target, 'export.jsonl.xz'), 'wb') as f:
        f.write(lzma.compress(exported))
    shutil.rmtree(folder)
    return os.path.join(target, 'data')


def blocks_of(data):
    """The bytes of each block in a store's segments."""
    for path in sorted(glob.glob(os.path.join(data, 'segments', '*.seg'))):
        with open(path, 'rb') as f:
            whole = f.read()
        at = 64
        while whole[at:at + 4] == b'LPBK':
            frames = struct.unpack_from('<I', whole, at + 24)[0]
            size = 64 + 24 * frames + sum(struct.unpack_from('<I', whole, at + 64 + 24 * i + 12)[0] for i in range(frames))
            yield whole[at:at + size]
            at += size


def stored(block):
    """The block with its frames as they are, so that changed bytes are changed content."""
    n = struct.unpack_from('<I', block, 24)[0]
    at, table, frames = 64 + 24 * n, b'', []
    for i in range(n):
        kind, codec, _, first, size, bytes_, _, _ = struct.unpack_from('<BBHIIIII', block, 64 + 24 * i)
        frames.append(segment.decode_frame(codec, block[at:at + bytes_], size, 'frame'))
        table += struct.pack('<BBHIIIII', kind, 0, 0, first, size, size, segment.crc32c(frames[-1]), 0)
        at += bytes_
    return block[:4] + struct.pack('<I', segment.crc32c(block[8:64], table)) + block[8:64] + table + b''.join(frames)


def block_seeds(data):
    for n, block in enumerate(blocks_of(data)):
        for how in (0, 1):
            seed('segment', 'block-%d-%d' % (n, how), bytes([how]) + block)


def columns_seeds():
    """Blocks and id indexes, small (those named columns are of version 2); blocks as they are and with their frames stored."""
    rng, folder = random.Random(5), tempfile.mkdtemp()
    s = Server(folder, '--reserve-bytes', '0').start()
    for part, rows in enumerate((list(typed_records(rng, 40)), list(shaped_records(3, 9)) + [{'_msg': 'u%d x%d' % (i % 300, i % 7), 'app': 'dict', '_time': str(T0)} for i in range(1300)])):
        for r in rows:
            r.update((k, v[:300]) for k, v in r.items() if k in ('_msg', 'blob'))
        assert s.jsonline('\n'.join(map(json.dumps, rows)).encode())[0] == 204
        raw = snappy_block(loki_protobuf(b'{app="raw"}', *raw_lines(rng, 12)))
        assert s.request('POST', '/loki/api/v1/push', raw, {'Content-Type': 'application/x-protobuf'})[0] == 204
        assert s.stop() == 0
        if part == 0:
            s.start()
    for n, block in enumerate(blocks_of(s.data)):
        assert len(stored(block)) < 40000, len(stored(block))
        seed('segment', 'named-%d-1' % n, b'\1' + block)
        seed('segment', 'named-%d-stored' % n, bytes([1 | n % 2 * 4]) + stored(block))
    indexes = [x.section('IDIX').data for x in segment.segments(s.data) + segment.segments(os.path.join(DATA, 'format', 'v2', 'data')) if x.index]
    for n, index in enumerate(indexes):
        seed('segment', 'index-%d' % n, b'\3' + index)
    shutil.rmtree(folder)


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def stored_pieces(index, section):
    """The place that stands next in the index and its bytes, as they are when the bytes are not compressed."""
    size, codec = (index.varint(), index.varint()), index.fixed('BI')[0]
    content = segment.decode_frame(codec, section.take(size[0]), size[1], 'a piece')
    return varint(len(content)) * 2 + struct.pack('<BI', 0, segment.crc32c(content)), content


def stored_table(s):
    """STIX, STPG and SKEY of a segment with nothing compressed, so that changed bytes are changed content."""
    index, pages, keys = s.section('STIX'), s.section('STPG'), s.section('SKEY')
    n = index.varint()
    stix, stpg, skey, npages = varint(n), b'', b'', 0
    for _ in range(n):
        group = [index.varint() for _ in range(3)]
        npages += group[2]
        stix += b''.join(map(varint, group))
    for _ in range(npages):
        stix += b''.join(varint(index.varint()) for _ in range(6))
        place, content = stored_pieces(index, pages)
        stix, stpg = stix + place, stpg + content
    n = index.varint()
    stix += varint(n)
    for _ in range(n):
        stix += varint(index.varint())
        place, content = stored_pieces(index, keys)
        stix, skey = stix + place, skey + content
    return {'STIX': stix, 'STPG': stpg, 'SKEY': skey}


def stored_segment(path):
    """The file without blocks, with its sections as they are. Its checksums are the target's to mend."""
    s = segment.Segment(path)
    whole = dict({name: s.section(name).data for name in s.sections}, **(stored_table(s) if s.version > 2 else {}))
    whole['BLKS'] = b''.join(struct.pack('<QQ', 64, 0) + whole['BLKS'][i + 16:i + 56] for i in range(0, len(whole['BLKS']), 56))
    out, rows = s.data[:64], b''
    for name, content in whole.items():
        rows += struct.pack('<4sIQQII', name.encode(), 0, len(out), len(content), len(content), 0)
        out += content
    trailer = struct.pack('<8sHHIQQIIQQQ', b'LPSEGEND', s.version, 0, 0, s.id, len(out), 4 + len(rows), 0, s.rows_total, 0, s.generation)
    return out + struct.pack('<I', len(whole)) + rows + trailer


def table_seeds():
    """Whole segments of all versions, and the smaller of each without blocks and compression; one with more than a page."""
    for version in ('v1', 'v2', 'v3'):
        paths = sorted(glob.glob(os.path.join(DATA, 'format', version, 'data', 'segments', '*.seg')), key=os.path.getsize)
        with open(paths[0], 'rb') as f:
            seed('table', version, b'\1' + f.read())
        for n, path in enumerate(paths):
            seed('table', '%s-stored-%d' % (version, n), b'\1' + stored_segment(path))


def journal_seeds(data):
    for i, path in enumerate(sorted(glob.glob(os.path.join(data, 'journal', '*.jnl')))):
        with open(path, 'rb') as f:
            seed('journal', 'file-%d' % i, b'\0' + f.read())
    entry = b'\x00\x05hello'
    void = b'\x01\x03\x01\x01\x02'
    flip = b'\xe3' + struct.pack('<I', 150)
    for name, script in (('entries', entry * 3), ('void', entry + void + entry), ('flip', entry * 4 + flip), ('garbage', entry + b'\xc0\x40' + b'g' * 64 + b'\x08' + entry[1:]),
                         ('jump', b'\x06\x00' + entry + void)):
        seed('journal', name, b'\1' + script)


def otlp_seeds():
    """Messages as docs/kafka.md has them, and some that others might write."""
    def pair(key, value, kind=1):
        return field(1, key) + field(2, field(kind, value))

    def time(ns):
        return b'\x09' + struct.pack('<q', ns)

    def logs(labels, *records):
        return field(1, field(1, b''.join(field(1, pair(k, v)) for k, v in labels)) + field(2, b''.join(field(2, r) for r in records)))
    app = (b'app', b'a')
    rows = [time(T0 + i) + field(5, field(1, b'line %d' % i)) for i in range(40)]
    meta = time(-1) + field(5, field(7, b'\xff')) + field(6, pair(b'level', b'info')) + field(6, pair(b'raw', b'\xfe', 7))
    foreign = b'\x10\x09' + field(3, b'warn') + meta + field(9, bytes(16)) + b'\x59' + bytes(8) + b'\x45' + bytes(4)
    late = field(1, field(2, field(2, rows[0])) + field(3, b'url') + field(1, field(1, pair(*app))))
    for name, how, value in (('one', 0, logs([app], rows[0])), ('streams', 1, logs([app], *rows) + logs([app, (b'pod', b'p')], *rows[:9])), ('groups', 2, b''.join(logs([(b'app', b'%d' % i)], rows[i]) for i in range(9))),
                             ('instance', 0, logs([app, (b'__pod_uid__', b'u'), (b'__incarnation__', b'3')], meta, b'')), ('foreign', 0, logs([app], foreign)), ('late', 0, late), ('many', 2, logs([app], *rows)),
                             ('over', 0, logs([(b'l%d' % i, b'v') for i in range(70)] + [(b'big', b'v' * 2100)], meta, rows[0]) * 2), ('untimed', 1, logs([app], field(5, field(1, b'')), time(T0), time(0))),
                             ('int', 0, logs([app], field(5, b'\x18\x01'))), ('kvlist', 0, logs([app], field(5, field(6, field(1, pair(b'k', b'v')))))), ('no labels', 0, logs([], rows[0])), ('too large', 3, logs([app], meta))):
        seed('otlp', name, bytes([how]) + value)


if __name__ == '__main__':
    push_seeds()
    http_seeds()
    kube_seeds()
    otlp_seeds()
    folder = golden()
    block_seeds(os.path.join(DATA, 'format', 'v1', 'data'))
    columns_seeds()
    table_seeds()
    journal_seeds(folder)
