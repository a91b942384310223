#!/usr/bin/env python3
"""An independent reader of Logpond's segments, written from store/FORMAT.md alone: rows, tickets, intervals, with every check.

    segment.py FILE.seg|DATA_FOLDER ...     what is in them, one JSON object a segment; exit status 1 if anything is corrupt

Versions 1 to 3. Of tables and columns every bound is checked that a search would rely on, and that the id index names every id.

Segment(path) reads and proves one file; segments(data) those of a store that was stopped cleanly (its folder listing is then
what its catalog names). The libraries of zstd and xxhash are called directly: building Logpond needs them anyway.
"""
import collections, ctypes, json, os, re, struct, sys

Ticket = collections.namedtuple('Ticket', 'generation log partition first next epoch')
Interval = collections.namedtuple('Interval', 'log partition first next epoch')
Row = collections.namedtuple('Row', 'tenant labels instance time line metadata ticket')
Stream = collections.namedtuple('Stream', 'id low high rows first_run runs group key tenant labels instance')
Block = collections.namedtuple('Block', 'offset stored decoded group rows low high runs')
RUNS, TIMES, SOURCE, LENGTHS, LINES, META, NUMBERS, SCHEMA, TABLES, CELLS, SHARED, STREAMS = range(1, 13)
ONE, MAYBE, ANY, NONE = (1, 1), (0, 1), (0, 1 << 32), (0, 0)
FRAMES = ({RUNS: ONE, TIMES: ONE, SOURCE: MAYBE, LENGTHS: ONE, LINES: ANY, META: ANY},
          {RUNS: ONE, NUMBERS: ONE, SOURCE: MAYBE, SCHEMA: ONE, TABLES: ONE, LENGTHS: MAYBE, LINES: ANY, META: ANY, CELLS: ANY, SHARED: ANY})  # by layout
CONST, DICT, INT, HEX, BYTES = range(5)
TABLES_MAX, COLUMNS_MAX, VALUES_MAX, PARTS_MAX, CELL_MAX = 4096, 1024, 16384, 16, 65535
TOKEN = re.compile(rb'[A-Za-z0-9_\x80-\xff]+')
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


def decode_frame(codec, data, size, what):
    """A frame of a block: of one part, or with codec 2 of some."""
    if codec != 2:
        return decode(codec, data, size, DECODED_MAX, what)
    need(size <= DECODED_MAX, '%s: %d decoded bytes', what, size)
    r = Reader(data, what)
    parts = [r.fixed('BII') for _ in range(r.take(1)[0])]
    need(1 <= len(parts) <= PARTS_MAX and sum(p[1] for p in parts) == size, '%s: its parts', what)
    out = b''.join(decode(codec, r.take(stored), decoded, DECODED_MAX, what) for codec, decoded, stored in parts)
    r.done()
    return out


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


def piece(index, section, what):
    """The next piece of a section, whose place stands next in the index; decoded."""
    stored, decoded, codec, crc = index.varint(), index.varint(), *index.fixed('BI')
    data = section.take(stored)
    need(crc == crc32c(data), '%s: CRC', what)
    return Reader(decode_frame(codec, data, decoded, what), what)


def read_keys(r, n):
    keys, before = [], b''
    for _ in range(n):
        begin, end = r.varint(), r.varint()
        need(begin + end <= len(before), 'a key shares more than there is')
        before = before[:begin] + r.bytes() + before[len(before) - end:]
        keys.append(before)
    r.done()
    return keys


class Page:
    """A page of the stream table; first to last block of its group. What the index says of it is set from outside."""

    def __init__(self, group, first, last):
        self.group, self.first, self.last = group, first, last

    def read(self, r, blocks, runs):
        """Yields (id, low, high, rows, first run, runs) of its streams, and adds their runs to `runs`."""
        n, unit = self.nruns, r.varint()
        need(1 <= self.nstreams <= n and unit >= 1, 'counts of a page')

        def column(count):
            return numbers(Reader(r.bytes(), 'a column of a page'), count)
        ids, counts, at, first, rows, low, span = [column(c) for c in (self.nstreams - 1, self.nstreams, n, n, n, n, n)]
        r.done()
        need(sum(counts) + self.nstreams == n, 'runs of a page')
        block, ends, stream, made = self.first, collections.Counter(), self.first_id, []
        for i in range(n):
            block += (at[i] >> 1) ^ -(at[i] & 1)
            need(self.first <= block < self.last, 'a run in a block of another group')
            begin = ends[block] + first[i]
            ends[block] = begin + rows[i] + 1
            b = blocks[block]
            need(ends[block] <= b.rows, 'a run reaches past its block')
            begin_ns, end_ns = max(self.low + low[i] * unit, b.low), min(self.low + (low[i] + span[i]) * unit, b.high, self.high)
            need(begin_ns <= end_ns, 'times of a run')
            made.append((block, begin, rows[i] + 1, begin_ns, end_ns))
        need((min(x[3] for x in made), max(x[4] for x in made)) == (self.low, self.high), 'times of a page')
        k = 0
        for i, count in enumerate(counts):
            stream += ids[i - 1] + 1 if i else 0
            mine, k = made[k:k + count + 1], k + count + 1
            yield stream, min(x[3] for x in mine), max(x[4] for x in mine), sum(x[2] for x in mine), len(runs), len(mine)
            runs += mine
        need(stream == self.last_id, 'the last id of a page')


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
            self.places = {s.id: i for i, s in enumerate(self.streams)}
            self.check_footer()
        except (Corrupt, struct.error, UnicodeDecodeError) as e:
            raise Corrupt('%s: %s' % (path, e)) from None

    def read_ends(self):
        data = self.data
        need(len(data) >= 128, 'shorter than header and trailer')
        magic, version, size, _, incompat, crc = struct.unpack_from('<8sHHIII', data)
        need(magic == b'LPSEGMT1' and version in (1, 2, 3) and size == 64 and incompat == 0, 'not a segment of version 1 to 3')
        self.version = version
        need(crc == crc32c(data[:20], data[24:64]), 'header CRC')
        self.uuid, self.id, self.created = struct.unpack_from('<16sQq', data, 24)
        end = data[-64:]
        magic, version, _, crc, number, self.dir_at, self.dir_bytes, dir_crc, self.rows_total, size, self.generation = struct.unpack('<8sHHIQQIIQQQ', end)
        need(magic == b'LPSEGEND' and version == self.version, 'no trailer of version %d', self.version)
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
        need(codec == 0 or name not in ('IDIX', 'STPG') and (name != 'SKEY' or self.version < 3), 'section %s is not stored as it is', name)
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
        self.merged = None  # (first generation, level, all files of the pass)
        if 'MERG' in self.sections:
            r = self.section('MERG')
            self.merged = (r.varint(), r.take(1)[0], [r.fixed('Q')[0] for _ in range(r.varint())])
            r.done()
            need(self.merged[0] <= self.generation and self.merged[1] >= 1 and (not self.merged[2] or self.id in self.merged[2]), 'MERG')  # only the last file names all
        self.read_groups()
        if self.version < 3:
            self.read_streams()
        else:
            self.read_table()
        self.index = IdIndex(self.section('IDIX'), len(self.blocks)) if 'IDIX' in self.sections else None
        self.seen = collections.Counter()

    def read_groups(self):
        r = self.section('GRPS')
        self.groups = [(r.fixed('Q')[0], r.bytes()) for _ in range(r.varint())]
        r.done()
        ids = [g[0] for g in self.groups]
        need(ids == sorted(set(ids)), 'group ids do not rise')
        r = self.section('BLKS')
        need(len(r.data) % 56 == 0, 'BLKS has half a row')
        self.blocks = [Block(*r.fixed('QQQIIqqII')[:8]) for _ in range(len(r.data) // 56)]
        groups = [b.group for b in self.blocks]
        need(groups == sorted(groups) and all(g < len(self.groups) for g in groups), 'blocks are not in the order of groups')

    def add_stream(self, row, key):
        k = Reader(key, 'stream key')
        tenant, labels = k.text(), [(k.text(), k.text()) for _ in range(k.varint())]
        instance = (k.text(), k.text())
        k.done()
        need(labels == sorted(labels, key=lambda x: x[0].encode(errors='surrogateescape')), 'labels are not sorted')
        self.streams.append(Stream(*row, key, tenant, dict(labels), instance))

    def read_streams(self):
        """Versions 1 and 2."""
        r, keys = self.section('STRM'), self.section('SKEY')
        self.streams = []
        for _ in range(r.varint()):
            self.add_stream(r.fixed('QqqIIII'), keys.bytes())
        r.done()
        keys.done()
        r = self.section('RUNS')
        need(len(r.data) % 28 == 0, 'RUNS has half a row')
        self.runs = [r.fixed('IIIqq') for _ in range(len(r.data) // 28)]
        need([s.id for s in self.streams] == sorted({s.id for s in self.streams}), 'stream ids do not rise')

    def read_table(self):
        """Version 3: the pages of the stream table, and its keys."""
        stix, stpg, skey = self.section('STIX'), self.section('STPG'), self.section('SKEY')
        self.streams, self.runs, pages, number, block = [], [], [], 0, 0
        need(stix.varint() == len(self.groups), 'groups of STIX')
        for g, (group_id, _) in enumerate(self.groups):
            number += stix.varint()
            need(number == group_id, 'a group id of STIX')
            first, block = block, block + stix.varint()
            need([b.group for b in self.blocks[first:block]] == [g] * (block - first), 'blocks of a group')
            pages += [Page(g, first, block) for _ in range(stix.varint())]
        need(block == len(self.blocks), 'blocks of no group')
        rows, first, low, before = [], 0, 0, None
        for page in pages:
            page.nstreams, page.nruns = stix.varint(), stix.varint()
            first = (first + stix.svarint()) % U64
            page.first_id, page.last_id = first, first + stix.varint()
            low = signed(low + stix.svarint())
            page.low, page.high = low, low + stix.varint()
            need(before is None or before.group != page.group or before.last_id < page.first_id, 'pages do not rise')
            content, before = piece(stix, stpg, 'a page'), page
            rows += [(page, row) for row in page.read(content, self.blocks, self.runs)]
        stpg.done()
        self.seen_pages = len(pages)
        keys, at = [], 0
        for _ in range(stix.varint()):
            count = stix.varint()
            need(count >= 1, 'keys of no pages')
            keys += read_keys(piece(stix, skey, 'keys'), sum(p.nstreams for p in pages[at:at + count]))
            at += count
        need(at == len(pages) and len(keys) == len(rows), 'keys of %d pages of %d', at, len(pages))
        stix.done()
        skey.done()
        for (page, row), key in zip(rows, keys):
            self.add_stream((*row, page.group), key)
        for g in range(len(self.groups)):
            need(sum(p.nruns for p in pages if p.group == g) == sum(b.runs for b in self.blocks if b.group == g), 'runs of group %d', g)

    def check_footer(self):
        need(len({s.id for s in self.streams}) == len(self.streams), 'a stream twice')
        need(sum(b.rows for b in self.blocks) == self.rows_total == sum(s.rows for s in self.streams), 'counts of rows differ')
        at = 0
        for s in self.streams:
            need(s.first_run == at and s.group < len(self.groups), 'streams, runs and groups do not fit')
            mine = self.runs[at:at + s.runs]
            at += s.runs
            need(len(mine) == s.runs > 0 and sum(r[2] for r in mine) == s.rows, 'runs of a stream')
            need((min(r[3] for r in mine), max(r[4] for r in mine)) == (s.low, s.high), 'times of a stream')
            need([r[:2] for r in mine] == sorted(r[:2] for r in mine), 'runs of a stream do not rise')
            need(all(r[0] < len(self.blocks) and self.blocks[r[0]].group == s.group for r in mine), 'a run in a block of another group')
            need(self.groups[s.group][1] in (group_key(s.tenant, s.labels), group_key(s.tenant, s.labels, KINDS[:-1])), 'group key of %r', s.labels)
        need(at == len(self.runs), 'runs without a stream')
        places = [(i.log, i.partition) for i in self.intervals]
        need(len(places) == len(set(places)), 'an interval twice')
        for t in self.tickets:
            need(any((i.log, i.partition) == (t.log, t.partition) and i.first <= t.first <= t.next <= i.next for i in self.intervals), 'ticket %r in no interval', t)

    def rows(self):
        """Yields every Row, block after block. Afterwards `seen` counts what the blocks were made of (Columns.note and others)."""
        self.seen.clear()
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
        """The block's layout, {kind: [(first row, decoded bytes)]} and its hash."""
        need(64 <= block.offset and block.offset + block.stored <= self.dir_at, 'lies outside the file')
        data = self.data[block.offset:block.offset + block.stored]
        magic, crc, n, group, rows, runs, count, layout, digest, lines, low, high = struct.unpack_from('<4sIIIIIIIQQqq', data)
        need(magic == b'LPBK' and n == number, 'no block head')
        need(64 + count * 24 <= len(data), 'frame table lies outside')
        need(crc == crc32c(data[8:64 + count * 24]), 'head CRC')
        need(layout < self.version, 'layout %d in a segment of version %d', layout, self.version)
        need(Block(block.offset, block.stored, lines, group, rows, low, high, runs) == block and 1 <= rows <= BLOCK_ROWS_MAX and runs >= 1, 'head and BLKS differ')
        at, out, kinds = 64 + count * 24, collections.defaultdict(list), []
        for i in range(count):
            kind, codec, _, first, size, stored, crc, _ = struct.unpack_from('<BBHIIIII', data, 64 + 24 * i)
            piece = data[at:at + stored]
            at += stored
            need(len(piece) == stored and crc == crc32c(piece), 'frame %d CRC', i)
            need(codec < 2 or self.version > 1, 'frame %d: a codec that version 1 has not', i)
            out[kind].append((first, decode_frame(codec, piece, size, 'frame %d' % i)))
            kinds.append(kind)
            self.seen['codec %d' % codec] += 1
        need(at == len(data), 'bytes behind the frames')
        wanted = dict(FRAMES[layout])
        if self.version > 2:
            wanted[STREAMS] = wanted.pop(RUNS)
        need(not set(out) - set(wanted), 'frames of kinds %r in layout %d', sorted(out), layout)
        for kind, (least, most) in wanted.items():
            need(least <= kinds.count(kind) <= most, '%d frames of kind %d', kinds.count(kind), kind)
        for kind in (LINES, CELLS, SHARED):
            of = [i for i, k in enumerate(kinds) if k == kind]
            need(not of or of[-1] - of[0] + 1 == len(of), 'frames of kind %d are not together', kind)
        need(all(f == 0 for kind, list_ in out.items() if kind != LINES for f, _ in list_), 'first row of a frame')
        return layout, out, digest

    def block_rows(self, number, block):
        layout, frames, digest = self.frames(number, block)
        self.seen['layout %d' % layout] += 1
        names = frames[RUNS if self.version < 3 else STREAMS][0][1]
        runs = read_runs(names, block, len(self.streams)) if self.version < 3 else read_named_runs(names, block, self.places)
        sources = read_sources(frames[SOURCE], block.rows, len(self.tickets) if self.merged is None else 1 << 32)
        if layout == 0:
            times = read_times(frames[TIMES][0][1], runs)
            lines = read_lines(frames, block.rows)
            metadata, meta_hash = read_meta(frames[META], block.rows)
        else:
            times = read_numbers(frames[NUMBERS][0][1], runs)
            t = Columns(frames, block.rows, self.seen)
            lines, metadata, meta_hash = t.lines, t.metadata, t.meta_hash
            need(not t.ids or self.index is not None, 'ids, and no index of them')
            for cell in t.ids:
                need(self.index.has(cell, number), 'id %r is not in the index', cell)
            self.seen['ids'] += len(t.ids)
        lengths = [len(line) for line in lines]
        own = [block.rows, xxh3(names), xxh3(struct.pack('<%dQ' % block.rows, *(t % U64 for t in times))),
               xxh3(struct.pack('<%dI' % block.rows, *lengths)), xxh3(b''.join(lines)), meta_hash,
               xxh3(struct.pack('<%dI' % block.rows, *sources)) if sources is not None else 0, 0]
        need(xxh3(struct.pack('<8Q', *own)) == digest, 'does not decode to its own hash')
        need((min(times), max(times), sum(lengths)) == (block.low, block.high, block.decoded), 'times or bytes of the head')
        self.check_runs(number, runs, times)
        indexes = [i for i, n in runs for _ in range(n)]
        for row in range(block.rows):
            s = self.streams[indexes[row]]
            ticket = self.tickets[sources[row]] if sources is not None and self.merged is None else None
            yield indexes[row], Row(s.tenant, s.labels, s.instance, times[row], lines[row], metadata[row], ticket)

    def check_runs(self, number, runs, times):
        at = 0
        for index, n in runs:
            s = self.streams[index]
            said = [x[3:] for x in self.runs[s.first_run:s.first_run + s.runs] if x[:3] == (number, at, n)]
            low, high = times[at], times[at + n - 1]
            need(len(said) == 1 and said[0][0] <= low and said[0][1] >= high, 'run of %d rows at %d is not in the stream table', n, at)
            need(said[0] == (low, high) or self.version > 2, 'times of a run')
            at += n


KINDS = ('container', 'app', 'service_name', 'job', 'filename', '__quarantine__')  # the last was none at first


def group_key(tenant, labels, kinds=KINDS):
    def enc(text):
        return lpstr(text.encode(errors='surrogateescape'))
    kind = next((k for k in kinds if k in labels), '')
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


def read_named_runs(data, block, places):
    r = Reader(data, 'STREAMS')
    runs, stream = [], 0
    for i in range(block.runs):
        more, rows = r.varint(), r.varint()
        stream += more
        need((more > 0 or i == 0) and rows > 0 and stream in places, 'stream %d in a block', stream)
        runs.append((places[stream], rows))
    r.done()
    need(sum(n for _, n in runs) == block.rows, 'runs and rows differ')
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


def read_lines(frames, rows):
    """The lines of LENGTHS and LINES. A frame holds those from its first row to the next frame's; what stands in none is empty."""
    r = Reader(frames[LENGTHS][0][1], 'LENGTHS')
    lengths = [r.varint() for _ in range(rows)]
    r.done()
    lines, firsts = [], [f for f, _ in frames[LINES]] + [rows]
    need(firsts == sorted(set(firsts)) and (firsts[0] == 0 if frames[LINES] else not any(lengths)), 'rows of the LINES frames')
    lines += [b''] * firsts[0]
    for (first, data), end in zip(frames[LINES], firsts[1:]):
        r = Reader(data, 'LINES')
        lines += [r.take(n) for n in lengths[first:end]]
        r.done()
    return lines


def row_numbers(r, n, rows):
    """n varints: row numbers, the first absolute, then differences."""
    numbers = [r.varint() for _ in range(n)]
    for i in range(1, n):
        need(numbers[i] > 0, 'a row has a key twice')
        numbers[i] += numbers[i - 1]
    need(n == 0 or numbers[-1] < rows, 'metadata of a row that is not there')
    return numbers


def add_metadata(out, name, numbers, values):
    """Notes a key's values for their rows; the sum of the pairs' hashes."""
    key, digest = name.decode(errors='surrogateescape'), 0
    for row, value in zip(numbers, values):
        out[row][key] = value.decode(errors='surrogateescape')
        digest += xxh3(struct.pack('<I', row) + lpstr(name) + lpstr(value))
    return digest


def read_meta(frames, rows):
    out, digest, names = [{} for _ in range(rows)], 0, set()
    for _, data in frames:
        r = Reader(data, 'META')
        while r.at < len(data):
            name, n = r.bytes(), r.varint()
            need(name not in names and n <= rows, 'a key in two columns, or of too many rows')
            names.add(name)
            numbers = row_numbers(r, n, rows)
            lengths = [r.varint() for _ in range(n)]
            digest += add_metadata(out, name, numbers, [r.take(length) for length in lengths])
    return out, digest % U64


# --- layout 1 ---

def planes(r, n, count):
    """n numbers in that many planes of bytes, the lowest first."""
    if count == 1:
        return list(r.take(n))
    parts = [r.take(n) for _ in range(count)]
    return [int.from_bytes(t, 'little') for t in zip(*parts)] if parts else [0] * n


def in_set(occurs, data):
    return all(occurs[c >> 3] >> (c & 7) & 1 for c in set(data))


def numbers(r, n):
    kind = r.take(1)[0]
    if kind == 1:
        values = [r.varint() for _ in range(r.varint())]
        codes = planes(r, n, 1)
        need(len(values) <= 256 and max(codes, default=-1) < len(values), 'codes of numbers')
        out = [values[c] for c in codes]
    else:
        need(kind == 2, 'numbers of type %d', kind)
        low, count = r.varint(), r.take(1)[0]
        need(1 <= count <= 8, '%d planes of numbers', count)
        out = [low + v for v in planes(r, n, count)]
    r.done()
    return out


def read_numbers(data, runs):
    """The times of a NUMBERS frame."""
    r = Reader(data, 'NUMBERS')
    factor, n = r.varint(), sum(n for _, n in runs) - len(runs)
    need(factor >= 1, 'factor 0')
    starts = [signed(r.svarint()) for _ in runs]
    further, times = iter(numbers(r, n)), []
    for t, (_, n) in zip(starts, runs):
        times.append(t)
        for _ in range(n - 1):
            times.append(signed(times[-1] + next(further) * factor))
            need(times[-1] >= times[-2], 'times fall inside a run')
    return times


class Column:
    """The head of a column, and what it says of cells."""

    def __init__(self, r):
        self.type, flags = r.fixed('BB')
        self.shared, self.flag = flags >> 7, flags & 127
        need(self.type <= BYTES, 'column of type %d', self.type)
        need(self.flag in {INT: (0, 1), HEX: (0, 2)}.get(self.type, (0,)), 'flags %d of a column of type %d', flags, self.type)
        if self.type == CONST:
            self.values = [r.bytes()]
            return
        if self.type == DICT:
            self.values = [r.bytes() for _ in range(r.varint())]
            need(1 <= len(self.values) <= VALUES_MAX, '%d values', len(self.values))
        elif self.type == INT:
            self.planes, self.digits = r.fixed('BB')
            self.low, self.high = r.varint(), r.varint()
            need(1 <= self.planes <= 8 and self.digits <= 18 and self.low <= self.high < 10 ** (self.digits or 18), 'head of an INT column')
        elif self.type == HEX:
            self.digits = r.take(1)[0]
            need(self.digits > 0, 'no hex digits')
        else:
            self.low, self.high, self.occurs = r.varint(), r.varint(), r.take(32)
            need(self.low <= self.high <= CELL_MAX, 'lengths of a BYTES column')
        self.frame, self.place = r.varint(), r.varint()

    def name(self):
        if self.type == DICT:
            return 'dict' if len(self.values) <= 256 else 'large dict'
        if self.type == INT:
            return 'int' + (' differences' if self.flag else '') + (' digits' if self.digits else '')
        if self.type == HEX:
            return 'hex' + (' upper' if self.flag else ' lower') + (' odd' if self.digits % 2 else '')
        return 'const' if self.type == CONST else 'bytes' if self.low < self.high else 'bytes of one length'

    def chunk(self, r, n):
        """The next n cells."""
        return {DICT: self.codes, INT: self.ints, HEX: self.digits_of, BYTES: self.strings}[self.type](r, n)

    def codes(self, r, n):
        codes = planes(r, n, 1 if len(self.values) <= 256 else 2)
        need(max(codes) < len(self.values), 'a code without a value')
        return [self.values[c] for c in codes]

    def ints(self, r, n):
        if self.flag:
            (number,), numbers = r.fixed('Q'), []
            steps = planes(r, n, self.planes)
            need(steps[0] == 0, 'the first difference')
            for v in steps:
                number += (v >> 1) ^ -(v & 1)
                numbers.append(number)
        else:
            numbers = [self.low + v for v in planes(r, n, self.planes)]
        need(self.low <= min(numbers) and max(numbers) <= self.high, 'a number outside its bounds')
        return [b'%0*d' % (self.digits, v) for v in numbers] if self.digits else [b'%d' % v for v in numbers]

    def digits_of(self, r, n):
        width = (self.digits + 1) // 2 * 2
        text = r.take(n * width // 2).hex().encode()
        need(width == self.digits or set(text[self.digits::width]) == {48}, 'the half behind an odd number of digits')
        text = text.upper() if self.flag else text
        return [text[i:i + self.digits] for i in range(0, n * width, width)]

    def strings(self, r, n):
        spread = self.high - self.low
        lengths = [self.low + v for v in planes(r, n, 0 if spread == 0 else 1 if spread < 256 else 2)]
        need(max(lengths) <= self.high, 'a cell above the longest')
        start = r.at
        cells = [r.take(k) for k in lengths]
        need(in_set(self.occurs, r.data[start:r.at]), 'bytes that are not in the set')
        return cells

    def ids(self, cells):
        """Those cells that are ids."""
        if self.type == HEX and self.digits >= 8:
            return set(cells)
        if self.type == BYTES:
            return {c for c in cells if len(c) >= 6 and any(48 <= b <= 57 for b in c)}
        return ()


class Columns:
    """The rows of a block of layout 1: lines, metadata, the sum of the metadata's hashes, and the block's ids."""

    def __init__(self, frames, rows, seen):
        self.frames, self.rows, self.seen, self.ids = frames, rows, seen, set()
        self.places, self.used = collections.defaultdict(list), set()  # parts of SHARED frames; CELLS frames
        self.metadata, self.meta_hash = read_meta(frames[META], rows)
        self.long = {k for m in self.metadata for k in m}
        seen['keys in META'] += len(self.long)
        seen['short keys in META'] += len(self.long - {k for m in self.metadata for k, v in m.items() if len(v) > CELL_MAX // 4})  # characters, not bytes
        r = Reader(frames[SCHEMA][0][1], 'SCHEMA')
        plain, tables = self.read_plain(r), []
        for _ in range(r.varint()):
            shape, n = r.bytes(), r.varint()
            count = shape.count(b'A')
            need(n >= 1 and 1 <= count <= COLUMNS_MAX and set(TOKEN.findall(shape)) == {b'A'}, 'shape %r', shape)
            tables.append(self.read_table(shape, n, [Column(r) for _ in range(count)]))
        need(len(tables) <= TABLES_MAX and len({shape for shape, _ in tables}) == len(tables), 'tables')
        seen['tables'] = max(seen['tables'], len(tables))
        seen['plain rows'] += len(plain)
        self.put_together(plain, tables)
        self.read_keys(r)
        r.done()
        self.check_frames()

    def read_plain(self, r):
        n = r.varint()
        need(n <= self.rows and (n > 0) == (LENGTHS in self.frames and len(self.frames[LENGTHS]) > 0), 'plain rows')
        if n == 0:
            need(not self.frames[LINES], 'LINES without plain rows')
            return []
        longest, occurs = r.varint(), r.take(32)
        lines = read_lines(self.frames, n)
        need(all(in_set(occurs, line) for line in lines), 'bytes of plain rows that are not in the set')
        need(all(len(t) <= longest for line in lines for t in TOKEN.findall(line)), 'a longer token in plain rows')
        return lines

    def read_table(self, shape, n, columns):
        """A table's shape and lines."""
        cells = [self.cells(c, n) for c in columns]
        for column in cells:
            need(all(TOKEN.fullmatch(c) for c in set(column)), 'a cell that is no token')
        form = shape.replace(b'%', b'%%').replace(b'A', b'%b')
        return shape, [form % row for row in zip(*cells)]

    def cells(self, c, n):
        """The n cells of a column, whose ids are noted."""
        self.seen[c.name()] += 1
        if c.type == CONST:
            cells = c.values * n
        elif c.shared:
            need(c.frame < len(self.frames[SHARED]), 'SHARED frame %d', c.frame)
            r = Reader(self.frames[SHARED][c.frame][1], 'SHARED')
            r.take(c.place)
            cells = c.chunk(r, n)
            self.places[c.frame].append((c.place, r.at))
            self.seen['shared'] += 1
        else:
            cells = self.chunks(c, n)
        need(max(map(len, cells)) <= CELL_MAX, 'a cell of over %d bytes', CELL_MAX)
        self.ids.update(c.ids(cells))
        return cells

    def chunks(self, c, n):
        need(c.place >= 1, 'chunks of no rows')
        cells, frame = [], c.frame
        while len(cells) < n:
            need(frame < len(self.frames[CELLS]) and frame not in self.used, 'CELLS frame %d is not there, or used twice', frame)
            self.used.add(frame)
            r = Reader(self.frames[CELLS][frame][1], 'CELLS')
            cells += c.chunk(r, min(c.place, n - len(cells)))
            r.done()
            frame += 1
        self.seen['further chunks'] += frame - c.frame - 1
        return cells

    def put_together(self, plain, tables):
        r = Reader(self.frames[TABLES][0][1], 'TABLES')
        numbers = planes(r, self.rows, 1 if len(tables) <= 255 else 2)
        r.done()
        of = [plain] + [lines for _, lines in tables]
        count = collections.Counter(numbers)
        need(all(n < len(of) for n in count) and all(count[i] == len(lines) for i, lines in enumerate(of)), 'rows of the tables')
        of = [iter(lines) for lines in of]
        self.lines = [next(of[n]) for n in numbers]

    def read_keys(self, r):
        before = None
        for _ in range(r.varint()):
            name, n, text = r.bytes(), r.varint(), r.bytes()
            need((before is None or before < name) and name.decode(errors='surrogateescape') not in self.long, 'metadata key %r out of order, or twice', name)
            need(1 <= n <= self.rows and (text or n == self.rows), 'rows of metadata key %r', name)
            rows = Reader(text, 'rows of a key')
            numbers = row_numbers(rows, n, self.rows) if text else range(self.rows)
            rows.done()
            self.meta_hash += add_metadata(self.metadata, name, numbers, self.cells(Column(r), n))
            self.seen['sparse keys' if text else 'dense keys'] += 1
            before = name
        self.meta_hash %= U64

    def check_frames(self):
        """Columns use every frame of cells, and of the shared ones every byte, once."""
        need(self.used == set(range(len(self.frames[CELLS]))), 'CELLS frames that no column names')
        need(set(self.places) == set(range(len(self.frames[SHARED]))), 'SHARED frames that no column names')
        for frame, parts in self.places.items():
            ends = [0] + [end for _, end in sorted(parts)]
            need([start for start, _ in sorted(parts)] == ends[:-1] and ends[-1] == len(self.frames[SHARED][frame][1]), 'holes or overlaps in SHARED frame %d', frame)


def id_hash(cell):
    low = cell.lower()
    return xxh3(low if len(low) <= 64 else low[:32] + low[-32:] + struct.pack('<Q', len(low)))


class IdIndex:
    """Section IDIX: which blocks may hold an id."""

    def __init__(self, r, blocks):
        count, self.blocks, self.bucket_bits, self.rest_bits, self.rice, self.block_bits = r.fixed('IIBBBB')
        need(self.blocks == blocks and self.bucket_bits <= 24 and self.bucket_bits + self.rest_bits <= 64, 'IDIX head')
        buckets = [r.fixed('II') for _ in range(1 << self.bucket_bits)]
        need(crc32c(r.data[:r.at]) == r.fixed('I')[0], 'IDIX CRC')
        self.found, at = set(), 0  # (the hash's highest bits, block)
        for number, (end, crc) in enumerate(buckets):
            need(end >= at, 'IDIX buckets overlap')
            data = r.take(end - at)
            need(crc == crc32c(data), 'IDIX bucket CRC')
            self.read_bucket(number, data)
            at = end
        r.done()
        need(len(self.found) <= count, 'IDIX has %d entries of %d ids', len(self.found), count)

    def read_bucket(self, number, data):
        bits = bin(int.from_bytes(data + b'\1', 'little'))[:2:-1]  # the lowest bit first; the byte 1 is only there to keep zeros
        at, rest, before = 0, 0, (-1, 0)

        def take(n):
            nonlocal at
            need(at + n <= len(bits), 'an IDIX bucket ends inside an entry')
            at += n
            return int('0' + bits[at - n:at][::-1], 2)
        while at < len(bits):
            zero = bits.find('0', at)
            if zero < 0:
                need(len(bits) - at < 8, 'padding of an IDIX bucket')
                return
            quotient, at = zero - at, zero + 1
            rest += quotient << self.rice | take(self.rice)
            block = take(self.block_bits)
            need(before < (rest, block) and rest < 1 << self.rest_bits and block < self.blocks, 'an IDIX entry out of order or range')
            before = (rest, block)
            self.found.add((number << self.rest_bits | rest, block))

    def prefix(self, cell):
        return id_hash(cell) >> (64 - self.bucket_bits - self.rest_bits)

    def has(self, cell, block):
        return (self.prefix(cell), block) in self.found


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
