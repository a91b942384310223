#!/usr/bin/env python3
"""An independent reader of Logpond's segments, written from store/FORMAT.md alone: rows, tickets, intervals, with every check.

    segment.py FILE.seg|DATA_FOLDER ...     what is in them, one JSON object a segment; exit status 1 if anything is corrupt

Segment(path) reads and proves one file; segments(data) those of a store that was stopped cleanly (its folder listing is then
what its catalog names). The libraries of zstd and xxhash are called directly: building Logpond needs them anyway.
"""
import collections, ctypes, json, os, struct, sys

Ticket = collections.namedtuple('Ticket', 'generation log partition first next epoch')
Interval = collections.namedtuple('Interval', 'log partition first next epoch')
Row = collections.namedtuple('Row', 'tenant labels instance time line metadata ticket')
Stream = collections.namedtuple('Stream', 'id low high rows first_run runs group key tenant labels instance')
Block = collections.namedtuple('Block', 'offset stored decoded group rows low high runs')
RUNS, TIMES, SOURCE, LENGTHS, LINES, META = range(1, 7)
DECODED_MAX, SECTION_MAX, BLOCK_ROWS_MAX, U64 = 80 << 20, 1 << 30, 65536, 1 << 64


class Corrupt(Exception):
    pass


def need(condition, what, *args):
    if not condition:
        raise Corrupt(what % args if args else what)


def crc_table():
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        yield n


TABLE = tuple(crc_table())


def crc32c(*parts):
    crc, table = 0xFFFFFFFF, TABLE
    for data in parts:
        for b in data:
            crc = table[(crc ^ b) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def library(name, function, result, *arguments):
    f = getattr(ctypes.CDLL(name), function)
    f.restype, f.argtypes = result, arguments
    return f


ZSTD_DECOMPRESS = library('libzstd.so.1', 'ZSTD_decompress', ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
XXH3 = library('libxxhash.so.0', 'XXH3_64bits', ctypes.c_uint64, ctypes.c_char_p, ctypes.c_size_t)


def xxh3(data):
    return XXH3(bytes(data), len(data))


def decode(codec, data, size, limit, what):
    need(size <= limit, '%s: %d decoded bytes', what, size)
    need(codec in (0, 1), '%s: unknown codec %d', what, codec)
    if codec == 0:
        need(len(data) == size, '%s: %d bytes stored, %d decoded', what, len(data), size)
        return data
    out = ctypes.create_string_buffer(max(size, 1))
    need(ZSTD_DECOMPRESS(out, size, data, len(data)) == size, '%s: does not decode to %d bytes', what, size)
    return out.raw[:size]


class Reader:
    """Bounded reading; done() says that nothing is left."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, n):
        need(0 <= n <= len(self.data) - self.at, '%s ends early', self.what)
        self.at += n
        return self.data[self.at - n:self.at]

    def fixed(self, fmt):
        return struct.unpack('<' + fmt, self.take(struct.calcsize('<' + fmt)))

    def varint(self):
        value = 0
        for i in range(10):
            b = self.take(1)[0]
            value |= (b & 127) << (7 * i)
            if b < 128:
                need(value < U64, '%s: a varint above 64 bits', self.what)
                return value
        raise Corrupt(self.what + ': a varint of more than 10 bytes')

    def svarint(self):
        v = self.varint()
        return (v >> 1) ^ -(v & 1)

    def bytes(self):
        return self.take(self.varint())

    def text(self):
        return self.bytes().decode(errors='surrogateescape')

    def done(self):
        need(self.at == len(self.data), '%s: %d bytes too many', self.what, len(self.data) - self.at)


def lpstr(data):
    n, out = len(data), bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out) + data


def signed(v):
    v %= U64
    return v - U64 if v >> 63 else v


class Segment:
    """A whole file, read and checked. Attributes: id, uuid, generation, rows_total, earlier, replaced, tickets, intervals, streams,
    groups, blocks, ids. rows() decodes the blocks, each of which must decode to its own hash."""

    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as f:
            self.data = f.read()
        try:
            self.read_ends()
            self.read_footer()
            self.check_footer()
        except (Corrupt, struct.error, UnicodeDecodeError) as e:
            raise Corrupt('%s: %s' % (path, e)) from None

    def read_ends(self):
        data = self.data
        need(len(data) >= 128, 'shorter than header and trailer')
        magic, version, size, _, incompat, crc = struct.unpack_from('<8sHHIII', data)
        need(magic == b'LPSEGMT1' and version == 1 and size == 64 and incompat == 0, 'not a segment of version 1')
        need(crc == crc32c(data[:20], data[24:64]), 'header CRC')
        self.uuid, self.id, self.created = struct.unpack_from('<16sQq', data, 24)
        end = data[-64:]
        magic, version, _, crc, number, self.dir_at, self.dir_bytes, dir_crc, self.rows_total, size, self.generation = struct.unpack('<8sHHIQQIIQQQ', end)
        need(magic == b'LPSEGEND' and version == 1, 'no trailer of version 1')
        need(crc == crc32c(end[16:], end[8:12]), 'trailer CRC')
        need(number == self.id and size == len(data), 'trailer of another file')
        need(64 <= self.dir_at and self.dir_at + self.dir_bytes == len(data) - 64, 'directory out of place')
        need(dir_crc == crc32c(data[self.dir_at:self.dir_at + self.dir_bytes]), 'directory CRC')

    def section(self, name):
        need(name in self.sections, 'no section %s', name)
        codec, offset, stored, decoded, crc = self.sections[name]
        need(64 <= offset and offset + stored <= self.dir_at, 'section %s lies outside', name)
        data = self.data[offset:offset + stored]
        need(crc == crc32c(data), 'section %s CRC', name)
        return Reader(decode(codec, data, decoded, SECTION_MAX, name), name)

    def read_footer(self):
        r = Reader(self.data[self.dir_at:self.dir_at + self.dir_bytes], 'directory')
        self.sections = {}
        for _ in range(r.fixed('I')[0]):
            name, codec, offset, stored, decoded, crc = r.fixed('4sIQQII')
            need(name.decode() not in self.sections, 'section %s twice', name)
            self.sections[name.decode()] = (codec, offset, stored, decoded, crc)
        r.done()
        r = self.section('IDNT')
        need(r.take(16) == self.uuid, 'IDNT and header name different stores')
        self.earlier = [r.take(16) for _ in range(r.varint())]
        self.replaced = [r.fixed('Q')[0] for _ in range(r.varint())]
        r.done()
        r = self.section('TICK')
        self.tickets = [Ticket(r.varint(), r.text(), r.varint(), r.varint(), r.varint(), r.varint()) for _ in range(r.varint())]
        r.done()
        r = self.section('POSN')
        self.intervals = [Interval(r.text(), r.varint(), r.varint(), r.varint(), r.varint()) for _ in range(r.varint())]
        r.done()
        r = self.section('BIDS')
        self.ids = [(r.fixed('q')[0], r.take(16)) for _ in range(r.varint())]
        r.done()
        self.section('DICT').done()
        self.read_streams()

    def read_streams(self):
        r = self.section('GRPS')
        self.groups = [(r.fixed('Q')[0], r.bytes()) for _ in range(r.varint())]
        r.done()
        r, keys = self.section('STRM'), self.section('SKEY')
        self.streams = []
        for _ in range(r.varint()):
            row, key = r.fixed('QqqIIII'), keys.bytes()
            k = Reader(key, 'stream key')
            tenant, labels = k.text(), [(k.text(), k.text()) for _ in range(k.varint())]
            instance = (k.text(), k.text())
            k.done()
            need(labels == sorted(labels, key=lambda x: x[0].encode(errors='surrogateescape')), 'labels are not sorted')
            self.streams.append(Stream(*row, key, tenant, dict(labels), instance))
        r.done()
        keys.done()
        r = self.section('RUNS')
        need(len(r.data) % 28 == 0, 'RUNS has half a row')
        self.runs = [r.fixed('IIIqq') for _ in range(len(r.data) // 28)]
        r = self.section('BLKS')
        need(len(r.data) % 56 == 0, 'BLKS has half a row')
        self.blocks = [Block(*r.fixed('QQQIIqqII')[:8]) for _ in range(len(r.data) // 56)]

    def check_footer(self):
        need([s.id for s in self.streams] == sorted({s.id for s in self.streams}), 'stream ids do not rise')
        need(sum(b.rows for b in self.blocks) == self.rows_total == sum(s.rows for s in self.streams), 'counts of rows differ')
        at = 0
        for s in self.streams:
            need(s.first_run == at and s.group < len(self.groups), 'streams, runs and groups do not fit')
            mine = self.runs[at:at + s.runs]
            at += s.runs
            need(len(mine) == s.runs > 0 and sum(r[2] for r in mine) == s.rows, 'runs of a stream')
            need((min(r[3] for r in mine), max(r[4] for r in mine)) == (s.low, s.high), 'times of a stream')
            need([r[3] for r in mine] == sorted(r[3] for r in mine), 'runs of a stream do not rise')
            need(all(r[0] < len(self.blocks) and self.blocks[r[0]].group == s.group for r in mine), 'a run in a block of another group')
            need(self.groups[s.group][1] == group_key(s.tenant, s.labels), 'group key of %r', s.labels)
        need(at == len(self.runs), 'runs without a stream')
        places = [(i.log, i.partition) for i in self.intervals]
        need(len(places) == len(set(places)), 'an interval twice')
        for t in self.tickets:
            need(any((i.log, i.partition) == (t.log, t.partition) and i.first <= t.first <= t.next <= i.next for i in self.intervals), 'ticket %r in no interval', t)

    def rows(self):
        """Yields every Row, block after block."""
        left = {i: s.rows for i, s in enumerate(self.streams)}
        for number, block in enumerate(self.blocks):
            try:
                for index, row in self.block_rows(number, block):
                    left[index] -= 1
                    yield row
            except (Corrupt, struct.error) as e:
                raise Corrupt('%s, block %d: %s' % (self.path, number, e)) from None
        need(not any(left.values()), 'rows of streams are missing: %r', left)

    def frames(self, number, block):
        """{kind: [(first row, decoded bytes)]} and the block's hash."""
        need(64 <= block.offset and block.offset + block.stored <= self.dir_at, 'lies outside the file')
        data = self.data[block.offset:block.offset + block.stored]
        magic, crc, n, group, rows, runs, count, _, digest, lines, low, high = struct.unpack_from('<4sIIIIIIIQQqq', data)
        need(magic == b'LPBK' and n == number, 'no block head')
        need(64 + count * 24 <= len(data), 'frame table lies outside')
        need(crc == crc32c(data[8:64 + count * 24]), 'head CRC')
        need(Block(block.offset, block.stored, lines, group, rows, low, high, runs) == block and 1 <= rows <= BLOCK_ROWS_MAX and runs >= 1, 'head and BLKS differ')
        at, out = 64 + count * 24, collections.defaultdict(list)
        for i in range(count):
            kind, codec, _, first, size, stored, crc, _ = struct.unpack_from('<BBHIIIII', data, 64 + 24 * i)
            piece = data[at:at + stored]
            at += stored
            need(len(piece) == stored and crc == crc32c(piece), 'frame %d CRC', i)
            out[kind].append((first, decode(codec, piece, size, DECODED_MAX, 'frame %d' % i)))
        need(at == len(data), 'bytes behind the frames')
        for kind, least, most in ((RUNS, 1, 1), (TIMES, 1, 1), (SOURCE, 0, 1), (LENGTHS, 1, 1)):
            need(least <= len(out[kind]) <= most, '%d frames of kind %d', len(out[kind]), kind)
        need(all(f == 0 for kind, list_ in out.items() if kind != LINES for f, _ in list_), 'first row of a frame')
        return out, digest

    def block_rows(self, number, block):
        frames, digest = self.frames(number, block)
        runs = read_runs(frames[RUNS][0][1], block, len(self.streams))
        times = read_times(frames[TIMES][0][1], runs)
        sources = read_sources(frames[SOURCE], block.rows, len(self.tickets))
        r = Reader(frames[LENGTHS][0][1], 'LENGTHS')
        lengths = [r.varint() for _ in range(block.rows)]
        r.done()
        lines = cut_lines(frames[LINES], lengths)
        metadata, meta_hash = read_meta(frames[META], block.rows)
        own = [block.rows, xxh3(frames[RUNS][0][1]), xxh3(struct.pack('<%dQ' % block.rows, *(t % U64 for t in times))),
               xxh3(struct.pack('<%dI' % block.rows, *lengths)), xxh3(b''.join(lines)), meta_hash,
               xxh3(struct.pack('<%dI' % block.rows, *sources)) if sources is not None else 0, 0]
        need(xxh3(struct.pack('<8Q', *own)) == digest, 'does not decode to its own hash')
        need((min(times), max(times), sum(lengths)) == (block.low, block.high, block.decoded), 'times or bytes of the head')
        self.check_runs(number, runs, times)
        indexes = [i for i, n in runs for _ in range(n)]
        for row in range(block.rows):
            s = self.streams[indexes[row]]
            ticket = self.tickets[sources[row]] if sources is not None else None
            yield indexes[row], Row(s.tenant, s.labels, s.instance, times[row], lines[row], metadata[row], ticket)

    def check_runs(self, number, runs, times):
        at = 0
        for index, n in runs:
            s = self.streams[index]
            want = (number, at, n, times[at], times[at + n - 1])
            need(want in self.runs[s.first_run:s.first_run + s.runs], 'run %r is not in RUNS', want)
            at += n


def group_key(tenant, labels):
    def enc(text):
        return lpstr(text.encode(errors='surrogateescape'))
    kind = next((k for k in ('container', 'app', 'service_name', 'job', 'filename') if k in labels), '')
    value = labels.get(kind, '') if kind else ''
    if kind == 'filename':
        value = value.rpartition('/')[0]
    return enc(tenant) + enc(labels.get('namespace', '')) + enc(kind) + enc(value)


def read_runs(data, block, streams):
    r = Reader(data, 'RUNS')
    runs = [(r.varint(), r.varint()) for _ in range(block.runs)]
    r.done()
    need(all(i < streams and n > 0 for i, n in runs) and sum(n for _, n in runs) == block.rows, 'runs and rows differ')
    need(len({i for i, _ in runs}) == len(runs), 'a stream has two runs')
    return runs


def read_times(data, runs):
    r = Reader(data, 'TIMES')
    factor, times = r.varint(), []
    need(factor >= 1, 'factor 0')
    for _, n in runs:
        t = r.svarint()
        times.append(signed(t))
        for _ in range(n - 1):
            t += r.varint() * factor
            times.append(signed(t))
            need(times[-1] >= times[-2], 'times fall inside a run')
    r.done()
    return times


def read_sources(frames, rows, tickets):
    if not frames:
        return None
    r, out = Reader(frames[0][1], 'SOURCE'), []
    while len(out) < rows:
        index, n = r.varint(), r.varint()
        need(index < tickets and 0 < n <= rows - len(out), 'a ticket that is not there, or rows too many')
        out += [index] * n
    r.done()
    return out


def cut_lines(frames, lengths):
    """A frame holds the lines from its first row to the next frame's; what stands in none is empty."""
    lines, firsts = [], [f for f, _ in frames] + [len(lengths)]
    need(firsts == sorted(set(firsts)) and not any(lengths[:firsts[0]]), 'rows of the LINES frames')
    lines += [b''] * firsts[0]
    for (first, data), end in zip(frames, firsts[1:]):
        r = Reader(data, 'LINES')
        lines += [r.take(n) for n in lengths[first:end]]
        r.done()
    return lines


def read_meta(frames, rows):
    out, digest, names = [{} for _ in range(rows)], 0, set()
    for _, data in frames:
        r = Reader(data, 'META')
        while r.at < len(data):
            name, n = r.bytes(), r.varint()
            need(name not in names and n <= rows, 'a key in two columns, or of too many rows')
            names.add(name)
            numbers = [r.varint() for _ in range(n)]
            for i in range(1, n):
                need(numbers[i] > 0, 'a row has a key twice')
                numbers[i] += numbers[i - 1]
            lengths = [r.varint() for _ in range(n)]
            for row, length in zip(numbers, lengths):
                need(row < rows, 'metadata of a row that is not there')
                value = r.take(length)
                out[row][name.decode(errors='surrogateescape')] = value.decode(errors='surrogateescape')
                digest += xxh3(struct.pack('<I', row) + lpstr(name) + lpstr(value))
    return out, digest % U64


def segments(data):
    """The segments of a store's data folder, by generation; those that a compaction has replaced are left out."""
    folder = os.path.join(data, 'segments')
    found = [Segment(os.path.join(folder, n)) for n in sorted(os.listdir(folder)) if n.endswith('.seg')]
    gone = {i for s in found for i in s.replaced}
    return sorted((s for s in found if s.id not in gone), key=lambda s: (s.generation, s.id))


def main():
    status = 0
    for path in sys.argv[1:] or sys.exit(__doc__):
        try:
            for s in [Segment(path)] if path.endswith('.seg') else segments(path):
                rows = sum(1 for _ in s.rows())
                print(json.dumps({'file': s.path, 'id': s.id, 'store': s.uuid.hex(), 'generation': s.generation, 'rows': rows, 'streams': len(s.streams),
                                  'blocks': len(s.blocks), 'tickets': len(s.tickets), 'intervals': s.intervals}))
        except Corrupt as e:
            print('corrupt: %s' % e, file=sys.stderr)
            status = 1
    sys.exit(status)


if __name__ == '__main__':
    main()
