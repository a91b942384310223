"""Hostile and broken pushes: each is stored byte for byte, refused with a clear 4xx, or kept in the quarantine; memory stays bounded, the server lives."""
import base64, functools, gzip, json, os, random, shutil, socket, subprocess, threading, zlib

import pytest

JSONLINE, LOKI = '/insert/jsonline', '/loki/api/v1/push'
MIB = 1 << 20
T0 = 1795132800 * 10**9
QUARANTINED = '{__quarantine__=~".+"}'
RSS_MAX = 400 * MIB
JSON, PROTOBUF = {'Content-Type': 'application/json'}, {'Content-Type': 'application/x-protobuf'}


# --- making bodies ---

def varint(n):
    out = b''
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def snappy_block(data):
    """A snappy block of literals only: what a compressor that finds nothing writes."""
    out = [varint(len(data))]
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += [bytes([61 << 2]), (len(piece) - 1).to_bytes(2, 'little'), piece]
    return b''.join(out)


def loki_protobuf(labels, *lines):
    entries = [field(2, field(1, b'\x08' + varint(T0 // 10**9) + b'\x10' + varint(i)) + field(2, line)) for i, line in enumerate(lines)]
    return field(1, field(1, labels) + b''.join(entries))


def loki_json(labels, *lines):
    return json.dumps({'streams': [{'stream': labels, 'values': [[str(T0 + i), line] for i, line in enumerate(lines)]}]}).encode()


@functools.lru_cache(maxsize=None)
def gzip_repeated(piece, size):
    """gzip of size bytes, made without holding them."""
    z = zlib.compressobj(1, zlib.DEFLATED, 31)
    out, whole = [], piece * max(1, MIB // len(piece))
    for at in range(0, size, len(whole)):
        out.append(z.compress(whole[:size - at]))
    return b''.join(out) + z.flush()


# --- asking ---

def push(server, path, body, headers=None):
    return server.request('POST', path, body, headers)[0]


def refused(server, path, body, headers=None, statuses=(400,)):
    """A 4xx that says in words what is wrong."""
    status, text, _ = server.request('POST', path, body, headers)
    assert status in statuses, (status, text)
    assert len(text.strip()) > 10, text
    return text.decode()


def records(server, query='{}'):
    out = []
    for row in server.export(query, 'jsonl').split(b'\n'):
        d = json.loads(row) if row else {}
        if 'line' in d:
            d['bytes'] = base64.b64decode(d['line_b64']) if 'line_b64' in d else d['line'].encode()
            out.append(d)
    return out


def lines(server, query='{}'):
    return sorted(d['bytes'] for d in records(server, query))


def talk(server, data, pieces=()):
    """Sends bytes as they are; the status of the answer, even when it comes before all was sent."""
    host, port = server.address.rsplit(':', 1)
    with socket.create_connection((host, int(port)), timeout=60) as s:
        try:
            s.sendall(data)
            for p in pieces:
                s.sendall(p)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered and does not want the rest
        answer = b''
        try:
            while b'\r\n' not in answer:
                more = s.recv(65536)
                if not more:
                    break
                answer += more
        except ConnectionResetError:
            pass
        return int(answer.split(b' ')[1]) if answer else None


class Memory(threading.Thread):
    """Samples RssAnon of a process until it is left; peak afterwards."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.path, self.peak, self.done = '/proc/%d/status' % server.process.pid, 0, threading.Event()

    def run(self):
        while not self.done.wait(0.005):
            self.sample()

    def sample(self):
        with open(self.path) as f:
            kib = [int(line.split()[1]) for line in f if line.startswith('RssAnon:')]
        self.peak = max(self.peak, kib[0] << 10)

    def __enter__(self):
        self.sample()
        self.start()
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.join()


def journal_bytes(server):
    folder = os.path.join(server.data, 'journal')
    return {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)}


# --- broken records among good ones: JSON lines keeps both ---

BROKEN_LINES = {
    'truncated': b'{"_msg":"half',
    'array': b'[1,2,3]',
    'string': b'"just text"',
    'number': b'42',
    'null': b'null',
    'plain text': b'not json at all',
    'invalid utf-8': b'{"_msg":"\xff\xfe\x80"}',
    'nul byte': b'{"_msg":"a\x00b"}',
    'two objects': b'{"_msg":"a"}{"_msg":"b"}',
    'deep': b'{"_msg":"x","a":' + b'[' * 1000000 + b']' * 1000000 + b'}',
    'deep and open': b'[' * 1000000,
}


@pytest.mark.parametrize('name', sorted(BROKEN_LINES))
def test_a_broken_line_is_quarantined_and_its_neighbours_are_stored(server, name):
    good = [b'{"_msg":"before","app":"t","_time":"%d"}' % T0, b'{"_msg":"after","app":"t","_time":"%d"}' % (T0 + 1)]
    assert push(server, JSONLINE, good[0] + b'\n' + BROKEN_LINES[name] + b'\n' + good[1]) == 204
    assert lines(server, '{app="t"}') == [b'after', b'before']
    kept = records(server, QUARANTINED)
    assert b''.join(d['bytes'] for d in kept) == BROKEN_LINES[name]
    assert len(kept) == 1 and len(kept[0]['metadata']) >= 2, 'reason and place are told'


@pytest.mark.parametrize('name', sorted(BROKEN_LINES))
def test_a_body_of_nothing_but_a_broken_line_is_refused(server, name):
    refused(server, JSONLINE, BROKEN_LINES[name])
    assert records(server) == []


def test_values_of_unusual_types_are_kept(server):
    body = b'\n'.join([b'{"_msg":42,"app":"t"}', b'{"_msg":true,"app":"t"}', b'{"_msg":["a",1],"app":"t"}', b'{"_msg":"s","app":7,"_time":"never"}',
                       b'{"_msg":"esc\\u0000aped","app":"t"}', b'{"app":"t"}', b'{}'])
    assert push(server, JSONLINE, body) == 204
    found = lines(server)
    for expected in (b'42', b'true', b'["a",1]', b's', b'esc\x00aped', b'{"app":"t"}', b'{}'):
        assert expected in found, (expected, found)


@pytest.mark.parametrize('path,headers,statuses', [(JSONLINE, {}, (204,)), (LOKI, JSON, (400,)), (LOKI, PROTOBUF, (204, 400))])
def test_an_empty_body_stores_nothing(server, path, headers, statuses):
    for body in (b'', b'\n\n \r\n') if path == JSONLINE else (b'',):
        assert push(server, path, body, headers) in statuses
    assert push(server, path, gzip.compress(b''), dict(headers, **{'Content-Encoding': 'gzip'})) in statuses
    assert records(server) == []


# --- Loki pushes are right or wrong as a whole ---

GOOD_VALUE = '{"stream":{"app":"t"},"values":[["%d","good"]]}' % T0
BROKEN_LOKI_JSON = {
    'truncated': b'{"streams":[{"stream":{"app":"t"},"values":[["1","a"]',
    'not an object': b'[]',
    'streams no list': b'{"streams":{}}',
    'labels no object': b'{"streams":[{"stream":"x","values":[]}]}',
    'label value a number': b'{"streams":[{"stream":{"a":1},"values":[["1","x"]]}]}',
    'time a number': b'{"streams":[{"stream":{"a":"b"},"values":[[1,"x"]]}]}',
    'line an object': b'{"streams":[{"stream":{"a":"b"},"values":[["1",{}]]}]}',
    'too many parts': b'{"streams":[{"stream":{"a":"b"},"values":[["1","x",{},{}]]}]}',
    'no labels': b'{"streams":[{"stream":{},"values":[["1","x"]]}]}',
    'invalid utf-8': b'{"streams":[{"stream":{"a":"b"},"values":[["1","\xff"]]}]}',
    'nul byte': b'{"streams":[{"stream":{"a":"b"},"values":[["1","a\x00b"]]}]}',
    'deep': b'{"streams":' + b'[' * 1000000 + b']' * 1000000 + b'}',
    'good then bad': b'{"streams":[' + GOOD_VALUE.encode() + b',{"stream":{"a":"b"},"values":[["x","y"]]}]}',
}


@pytest.mark.parametrize('name', sorted(BROKEN_LOKI_JSON))
def test_a_broken_loki_json_push_is_refused_whole(server, name):
    refused(server, LOKI, BROKEN_LOKI_JSON[name], JSON, (413,) if name == 'deep' else (400,))
    assert records(server) == []


GOOD_PROTOBUF = loki_protobuf(b'{app="t"}', b'good')
BROKEN_PROTOBUF = {
    'not snappy': b'\xff\xff\xff\xff\xff\xff\xff',
    'plain text': b'hello, this is text',
    'torn snappy': snappy_block(GOOD_PROTOBUF)[:-3],
    'torn protobuf': snappy_block(GOOD_PROTOBUF[:-3]),
    'length beyond the end': snappy_block(b'\x0a\xff\xff\xff\xff\x7f'),
    'varint without end': snappy_block(b'\x0a' + b'\xff' * 20),
    'labels without quotes': snappy_block(loki_protobuf(b'{app=t}', b'x')),
    'no labels': snappy_block(loki_protobuf(b'{}', b'x')),
    'labels with a nul': snappy_block(loki_protobuf(b'{a\x00b="c"}', b'x')),
    'deep labels': snappy_block(loki_protobuf(b'{' * 100000, b'x')),
    'good then bad': snappy_block(GOOD_PROTOBUF + b'\x0a\x05\x0a'),
}


@pytest.mark.parametrize('name', sorted(BROKEN_PROTOBUF))
def test_a_broken_loki_protobuf_push_is_refused_whole(server, name):
    refused(server, LOKI, BROKEN_PROTOBUF[name], PROTOBUF)
    assert records(server) == []


def test_protobuf_lines_are_kept_byte_for_byte(server):
    sent = [b'\x00\x01\x02nul', b'\xff\xfe not utf-8 \xc3', b'', b'two\nlines\r\n', '\u00e4\u20ac\U0001f600'.encode(), bytes(range(256))]
    assert push(server, LOKI, snappy_block(loki_protobuf(b'{app="t"}', *sent)), PROTOBUF) == 204
    assert lines(server) == sorted(sent)


# --- large things inside the limits ---

def test_a_long_label_value_and_many_labels_lose_nothing(server):
    labels = {'l%03d' % i: 'v%d' % i for i in range(200)}
    labels['l000'] = 'x' * 10240
    assert push(server, LOKI, loki_json(labels, 'from json'), JSON) == 204
    text = '{%s}' % ', '.join('%s="%s"' % kv for kv in labels.items())
    assert push(server, LOKI, snappy_block(loki_protobuf(text.encode(), b'from protobuf')), PROTOBUF) == 204
    fields = dict(labels, _msg='from lines')
    assert push(server, JSONLINE + '?_stream_fields=' + ','.join(sorted(labels)[:64]), json.dumps(fields).encode()) == 204
    found = records(server)
    assert sorted(d['line'] for d in found) == ['from json', 'from lines', 'from protobuf']
    for d in found:
        everything = dict(d.get('metadata', {}), **d['labels'])
        assert {k: v for k, v in everything.items() if k in labels} == labels
        assert len(d['labels']) <= 64 and 'l000' not in d['labels']


def test_a_line_of_fifteen_megabytes_comes_back(server):
    line = ''.join(random.Random(3).choices('abcdefghij \u00e4', k=15 * 1000 * 1000 // 13 * 12)).encode()[:15 * 1000 * 1000].decode('utf8', 'ignore')
    assert push(server, JSONLINE, json.dumps({'_msg': line, 'app': 't'}, ensure_ascii=False).encode()) == 204
    assert lines(server) == [line.encode()]


# --- too large, or encoded in what nobody knows ---

@pytest.mark.parametrize('path,headers', [(JSONLINE, {}), (LOKI, JSON), (LOKI, PROTOBUF)])
def test_oversized_and_unknown_encodings_are_refused(server, path, headers):
    before = journal_bytes(server)
    line = b'{"_msg":"%s"}'
    gz, zst = dict(headers, **{'Content-Encoding': 'gzip'}), dict(headers, **{'Content-Encoding': 'zstd'})
    assert 'br' in refused(server, path, b'{"_msg":"x"}', dict(headers, **{'Content-Encoding': 'br'}), (400, 415))
    refused(server, path, b'{"_msg":"x"}', gz)
    refused(server, path, gzip.compress(line % b'x')[:-9], gz)
    head = 'POST %s HTTP/1.1\r\nHost: x\r\n%s' % (path, ''.join('%s: %s\r\n' % kv for kv in headers.items()))
    assert talk(server, (head + 'Content-Length: 100000000\r\n\r\n').encode() + b'{"_msg":"') == 413
    chunk = b'100000\r\n' + b'a' * MIB + b'\r\n'
    assert talk(server, (head + 'Transfer-Encoding: chunked\r\n\r\n').encode(), [chunk] * 18 + [b'0\r\n\r\n']) == 413
    refused(server, path, gzip_repeated(b'\0', 256 * MIB), gz, (413,))
    refused(server, path, gzip_repeated(random.Random(1).randbytes(700).hex().encode(), 100 * 10**6), gz, (413,))
    if shutil.which('zstd'):
        bomb = subprocess.run('head -c 256M /dev/zero | zstd -q -c', shell=True, check=True, capture_output=True).stdout
        refused(server, path, bomb, zst, (413,))
        refused(server, path, bomb[:-2], zst, (400, 413))
    assert journal_bytes(server) == before
    assert records(server) == []
    assert push(server, JSONLINE, line % b'alive') == 204


def test_a_snappy_block_that_announces_four_gigabytes_is_refused(server):
    refused(server, LOKI, varint(0xffffffff) + b'\x00' * 100, PROTOBUF, (400, 413))
    refused(server, LOKI, varint(100 * 10**6) + b'\x00' * 1000, PROTOBUF, (400, 413))
    copies = varint(60 * 10**6) + b'\x00a' + b'\xfe\x01\x00' * (60 * 10**6 // 64)
    assert push(server, LOKI, copies, PROTOBUF) in (400, 413)
    assert records(server) == []


def test_bombs_cost_bounded_memory_slow(server):
    """Bodies that grow: one at a time, then as many as there are workers and more. A worker may hold one body's nodes (base/json.h)."""
    gz = {'Content-Encoding': 'gzip'}
    bombs = [(JSONLINE, gzip_repeated(b'\0', 256 * MIB), gz), (JSONLINE, gzip_repeated(b'{}\n', 12 * MIB), gz),
             (JSONLINE, gzip_repeated(b'{"_msg":"%s"}\n' % random.Random(1).randbytes(500).hex().encode(), 100 * 10**6), gz),
             (JSONLINE, b'[' * (15 * MIB), {}), (JSONLINE, b'[]\n' * (5 * MIB), {}), (LOKI, b'{"streams":[' + b'{},' * (5 * MIB) + b'{}]}', JSON),
             (LOKI, varint(60 * MIB) + b'\x00a' + b'\xfe\x01\x00' * (60 * MIB // 64), PROTOBUF)]

    def throw(bomb):
        assert push(server, *bomb) in (400, 413, 429), bomb[0]
    with Memory(server) as alone:
        for bomb in bombs:
            throw(bomb)
    with Memory(server) as together:
        threads = [threading.Thread(target=throw, args=(b,)) for b in bombs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert server.try_status('/ready') == 200 and records(server) == []
    assert alone.peak < RSS_MAX and together.peak < 2 * RSS_MAX, '%d and %d MiB' % (alone.peak >> 20, together.peak >> 20)


# --- the largest that is taken, and the first that is not ---

def body_of(size, rng):
    """JSON lines of exactly `size` bytes that gzip makes a fifth of."""
    out, n = [], 0
    filler = 'the quick brown fox jumps over the lazy dog and so on ' * 14
    while n < size:
        line = b'{"app":"t","_msg":"%s %s"}\n' % (rng.randbytes(40).hex().encode(), filler.encode())
        if size - n < 2 * len(line):
            line = b'{"app":"t","_msg":"%s"}\n' % (b'e' * (size - n - 22))
        out.append(line)
        n += len(line)
    assert n == size
    return b''.join(out)


def test_a_body_of_64_mib_decoded_is_taken_slow(server):
    body = body_of(64 * MIB, random.Random(2))
    with Memory(server) as m:
        assert push(server, JSONLINE, gzip.compress(body + b'\n', 1), {'Content-Encoding': 'gzip'}) == 413
        assert push(server, JSONLINE, gzip.compress(body, 1), {'Content-Encoding': 'gzip'}) == 204
        stored = server.export('{app="t"}')
    assert sorted(stored.split(b'\n')[:-1]) == sorted(json.loads(row)['_msg'].encode() for row in body.split(b'\n')[:-1])
    assert m.peak < RSS_MAX + 256 * MIB, '%d MiB' % (m.peak >> 20)


def test_a_push_larger_than_the_heads_budget_is_refused_before_anything_is_stored(new_server):
    server = new_server('--seal-bytes', '64KiB', '--decoded-bytes', '1MiB').start()
    before = journal_bytes(server)
    refused(server, JSONLINE, b'{"_msg":"x"}\n' * (MIB // 13 + 1), statuses=(413,))
    many_small = b'{"a":1}\n' * (MIB // 8)  # in bytes it fits; as rows it would not
    refused(server, JSONLINE, many_small, statuses=(413,))
    assert journal_bytes(server) == before
    body = body_of(MIB, random.Random(4))
    assert push(server, JSONLINE, body) == 204, 'far larger than a seal, and taken'
    assert lines(server, '{app="t"}') == sorted(json.loads(row)['_msg'].encode() for row in body.split(b'\n')[:-1])
