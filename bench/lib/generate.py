#!/usr/bin/env python3
"""generate.py - made-up logs of a made-up fleet, for who has no corpus: endless, the same for the same seed, made while they are sent.

The work is cut into bodies of LINES records. Body k depends on (seed, namespaces, pods, mix, k) and on nothing else, so any process can
make any body, bodies need no disk, and a larger work begins with the smaller one. `gb` is 10^9 bytes of messages (a newline each); the
number of bodies is what comes nearest to it. Records follow one another in time, RATE a second from T0 on: a gigabyte is about six hours.

Apps are dealt to the namespaces, pods to the apps; each app writes one kind of line, and the mix says how many of 100 lines are of
which kind. A few pods of an app write most of its lines. Ids, addresses, durations and numbers are random; words are few.

  generate.py OPTIONS --format raw|jsonl|kafka|loki|lokijson           the bodies to stdout, one after the other
  generate.py OPTIONS --format ... --send HOST:PORT [--part I/N]       pushes every N-th body from the I-th on; JSON about them on stdout
"""
import argparse, collections, datetime, gc, itertools, json, os, random, re, sys
from json.encoder import encode_basestring

if __package__ in (None, ''):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = 'lib'
    import lib  # noqa: F401
from . import send

T0 = 1795132800  # 2026-11-20T00:00:00Z
RATE = 250       # records a second
LINES = 5000     # records a body: about a megabyte of messages
STEP_NS = 10**9 // RATE
MIX = {'access': 30, 'json': 25, 'kv': 20, 'plain': 13, 'database': 10, 'trace': 2}
TARGETS = {'jsonl': send.JSONLINE, 'loki': send.LOKI, 'lokijson': send.LOKI_JSON}

# --- the kinds of lines: KIND(random source, [Second of each line]) gives as many lines. Only "error", "Error" and "ERROR" spell that word. ---

Second = collections.namedtuple('Second', 'iso clf db')
RESOURCES = ['orders', 'users', 'carts', 'payments', 'items', 'sessions', 'search', 'reviews']
METHODS = ['GET', 'GET', 'GET', 'GET', 'POST', 'PUT', 'GET', 'DELETE']
STATUSES = [200] * 48 + [201] * 4 + [204] * 3 + [301, 302, 304, 400, 401, 404, 404, 502, 503]
AGENTS = ['curl/7.88.1', 'Go-http-client/2.0', 'kube-probe/1.29', 'okhttp/4.12.0', 'python-requests/2.31.0', 'Prometheus/2.51.0',
          'Mozilla/5.0 (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0',
          'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Safari/537.36']
LEVELS = ['info'] * 12 + ['debug'] * 2 + ['warn', 'error']
MESSAGES = ['request completed', 'cache miss, asking the store', 'payment authorised', 'order written', 'retrying after timeout', 'user signed in',
            'message published', 'stock reserved']
CALLERS = ['api/handler.go:118', 'store/orders.go:64', 'queue/publish.go:231', 'auth/session.go:77', 'cache/lru.go:40', 'http/client.go:305', 'jobs/run.go:19', 'mail/send.go:88']
CLASSES = ['OrderService', 'PaymentGateway', 'StockRepository', 'SessionFilter', 'MailQueue', 'PriceCalculator', 'CartController', 'AuditTrail']
FAILURES = ['java.net.SocketTimeoutException: Read timed out', 'java.lang.IllegalStateException: Connection pool shut down',
            'org.postgresql.util.PSQLException: ERROR: deadlock detected', 'java.lang.NullPointerException: Cannot invoke "Cart.total()" because "cart" is null']
STATEMENTS = ['SELECT * FROM orders WHERE id = %d', 'UPDATE stock SET reserved = reserved + 1 WHERE item = %d', 'INSERT INTO payments (order_id, state) VALUES (%d, \'new\')',
              'SELECT name, mail FROM users WHERE id = %d', 'DELETE FROM sessions WHERE user_id = %d', 'SELECT count(*) FROM carts WHERE user_id = %d',
              'UPDATE orders SET state = \'paid\' WHERE id = %d', 'SELECT price FROM items WHERE id = %d']
STEPS = ['reconciling deployment', 'leader election renewed', 'compaction of partition finished', 'snapshot written to the object store', 'node condition changed to Ready',
         'volume mounted', 'pulling image', 'connection from peer closed by peer']


def numbers(r, n, low_bits=32):
    """n random integers, from one draw."""
    return memoryview(r.randbytes(n * low_bits // 8)).cast({32: 'I', 64: 'Q'}[low_bits])


def ids(r, n):
    """n request ids: 32 hexadecimal digits."""
    text = r.randbytes(16 * n).hex()
    return [text[i:i + 32] for i in range(0, 32 * n, 32)]


def access(r, seconds):
    n = len(seconds)
    return ['10.%d.%d.%d - - [%s] "%s /api/v2/%s/%d?page=%d HTTP/1.1" %d %d "-" "%s" %d 0.%03d [shop-%s-80] 10.4.%d.%d:8080 %s' % (
        x & 3, x >> 2 & 63, x >> 8 & 255, s.clf, METHODS[x >> 16 & 7], RESOURCES[x >> 19 & 7], x >> 22 & 0x1ffff, x >> 39 & 31, STATUSES[x >> 44 & 63],
        y & 0x3fff, AGENTS[x >> 50 & 7], 200 + (y >> 14 & 511), y >> 23 & 127, RESOURCES[x >> 53 & 7], x >> 56 & 7, x >> 59 & 15, i)
        for x, y, i, s in zip(numbers(r, n, 64), numbers(r, n), ids(r, n), seconds)]


def json_lines(r, seconds):
    n = len(seconds)
    return ['{"time":"%s","level":"%s","caller":"%s","msg":"%s","user":"u%d","status":%d,"bytes":%d,"duration_ms":%d.%02d,"request_id":"%s"}' % (
        s.iso, LEVELS[x & 15], CALLERS[x >> 4 & 7], MESSAGES[x >> 7 & 7], x >> 10 & 0x7fff, STATUSES[x >> 25 & 63], x >> 31 & 0xffff, x >> 47 & 1023, x >> 57 & 63, i)
        for x, i, s in zip(numbers(r, n, 64), ids(r, n), seconds)]


def key_values(r, seconds):
    n = len(seconds)
    return ['ts=%s level=%s caller=%s msg="%s" tenant=t%d shard=%d took=%dms trace=%016x' % (
        s.iso, LEVELS[x & 15], CALLERS[x >> 4 & 7], MESSAGES[x >> 7 & 7], x >> 10 & 63, x >> 16 & 15, x >> 20 & 4095, t)
        for x, t, s in zip(numbers(r, n), numbers(r, n, 64), seconds)]


def plain(r, seconds):
    return ['%s %s: item %d of %d, version %d' % (LEVELS[x & 15].upper(), STEPS[x >> 4 & 7], x >> 7 & 1023, x >> 17 & 31, x >> 22) for x in numbers(r, len(seconds))]


def database(r, seconds):
    n = len(seconds)
    return ['%s UTC [%d] app@shop LOG:  duration: %d.%03d ms  statement: %s' % (s.db, 20000 + (x & 63), x >> 6 & 127, x >> 13 & 511, STATEMENTS[x >> 22 & 7] % (y & 0xfffff))
            for x, y, s in zip(numbers(r, n), numbers(r, n), seconds)]


def traces(r, seconds):
    """Stack traces: one record of many lines."""
    out = []
    for x, s in zip(numbers(r, len(seconds), 64), seconds):
        frames = ['\tat com.example.shop.%s.call(%s.java:%d)' % (c, c, 20 + (x >> 3 * i & 255)) for i, c in enumerate(CLASSES[x >> 3 * i & 7] for i in range(6 + (x & 7)))]
        out.append('%s ERROR [exec-%d] %s\n%s' % (s.db, x >> 50 & 31, FAILURES[x >> 60 & 3], '\n'.join(frames)))
    return out


KINDS = {'access': access, 'json': json_lines, 'kv': key_values, 'plain': plain, 'database': database, 'trace': traces}

# --- the fleet and its bodies ---


def parse_mix(text):
    """'access=3,json=1' as {kind: weight}. Raises ValueError with what is wrong."""
    mix = {}
    for part in text.split(','):
        name, _, weight = part.partition('=')
        if name not in KINDS or not re.fullmatch(r'\d+(\.\d+)?', weight) or float(weight) <= 0 or name in mix:
            raise ValueError('a mix is KIND=WEIGHT,... with kinds out of %s' % ', '.join(KINDS))
        mix[name] = float(weight)
    return mix


Pod = collections.namedtuple('Pod', 'name app namespace container node stream')


class Body:
    """One body: `lines` (messages), `pods` (index into the work's pods) and `times` (nanoseconds, growing), record by record."""

    def __init__(self, lines, pods, times):
        self.lines, self.pods, self.times = lines, pods, times

    def message_bytes(self):
        return len('\n'.join(self.lines).encode()) + 1


class Work:
    """A fleet and what it writes. pods[i] is a Pod; body(k) for k < bodies."""

    def __init__(self, gb=1.0, namespaces=8, pods=120, mix=None, seed=1):
        self.gb, self.namespaces, self.seed = gb, namespaces, seed
        self.mix = {kind: float((mix or MIX)[kind]) for kind in KINDS if kind in (mix or MIX)}
        if namespaces < 1 or pods < len(self.mix) or gb <= 0:
            raise ValueError('at least one namespace, more than 0 GB, and as many pods as the mix has kinds (%d)' % len(self.mix))
        self.key = '%d/%d/%d/%r' % (seed, namespaces, pods, list(self.mix.items()))
        self.kinds, self.weights = list(self.mix), list(itertools.accumulate(self.mix.values()))
        self.make_fleet(random.Random('fleet ' + self.key), pods)
        self.json_tails = [',"namespace":"%s","pod":"%s","container":"%s","stream":"%s","node":"%s","app":"%s"}\n' % (
            p.namespace, p.name, p.container, p.stream, p.node, p.app) for p in self.pods]
        sample = sum(self.body(k).message_bytes() for k in range(4)) / 4
        self.bodies = max(1, round(gb * 1e9 / sample))
        self.records = self.bodies * LINES
        self.end_s = T0 + -(-self.records // RATE)

    def make_fleet(self, r, pods):
        """About four pods an app; every kind has apps; the pods of a kind by how much they write."""
        napps = max(len(self.kinds), pods // 4)
        kinds = self.kinds + r.choices(self.kinds, cum_weights=self.weights, k=napps - len(self.kinds))
        apps = [('%s-%s-%d' % (RESOURCES[a % 8], kinds[a], a), 'ns-%02d' % (a % self.namespaces), kinds[a]) for a in range(napps)]
        self.pods, self.of_kind = [], {kind: ([], []) for kind in self.kinds}
        for i in range(pods):
            app, namespace, kind = apps[i % napps]
            self.pods.append(Pod('%s-%09x-%05x' % (app, r.getrandbits(36), i), app, namespace, kind, 'node-%02d' % r.randrange(max(3, pods // 20)),
                                 'stderr' if kind == 'trace' else 'stdout'))
            mine, weights = self.of_kind[kind]
            mine.append(i)
            weights.append((weights[-1] if weights else 0) + 1 / (1 + len(mine) % 7))

    def body(self, k):
        r = random.Random('body %d %s' % (k, self.key))
        begin = T0 * 10**9 + k * LINES * STEP_NS
        times = [begin + i * STEP_NS + x % STEP_NS for i, x in enumerate(numbers(r, LINES))]
        named = [self.second(begin // 10**9 + i) for i in range(LINES // RATE)]
        kinds = r.choices(self.kinds, cum_weights=self.weights, k=LINES)
        lines, pods = [None] * LINES, [0] * LINES
        for kind in self.kinds:
            places = [i for i, other in enumerate(kinds) if other == kind]
            mine, weights = self.of_kind[kind]
            for i, line, pod in zip(places, KINDS[kind](r, [named[i // RATE] for i in places]), r.choices(mine, cum_weights=weights, k=len(places))):
                lines[i], pods[i] = line, pod
        return Body(lines, pods, times)

    @staticmethod
    def second(s):
        t = datetime.datetime.fromtimestamp(s, datetime.timezone.utc)
        month = ('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec')[t.month - 1]  # strftime's depends on the locale
        return Second(t.strftime('%Y-%m-%dT%H:%M:%SZ'), t.strftime('%d/' + month + '/%Y:%H:%M:%S +0000'), t.strftime('%Y-%m-%d %H:%M:%S'))

    def encode(self, body, form):
        return getattr(self, 'as_' + form)(body)

    def as_raw(self, body):
        return ('\n'.join(body.lines) + '\n').encode()

    def as_jsonl(self, body):
        prefix = {s: '{"_time":"' + self.second(s).iso[:-1] for s in range(body.times[0] // 10**9, body.times[-1] // 10**9 + 1)}
        tails, quoted = self.json_tails, encode_basestring
        return ''.join([f'{prefix[t // 1000000000]}.{t % 1000000000:09d}Z","_msg":{quoted(line)}{tails[p]}' for t, line, p in zip(body.times, body.lines, body.pods)]).encode()

    def as_kafka(self, body):
        """As fluent-bit's kafka output writes records."""
        meta = [',"stream":"%s","kubernetes":{"namespace_name":"%s","pod_name":"%s","container_name":"%s","host":"%s","labels":{"app":"%s"}}}\n' % (
            p.stream, p.namespace, p.name, p.container, p.node, p.app) for p in self.pods]
        return ''.join(['{"@timestamp":%d.%09d,"log":%s%s' % (t // 10**9, t % 10**9, encode_basestring(line), meta[p]) for t, line, p in zip(body.times, body.lines, body.pods)]).encode()

    def streams(self, body):
        """[(Pod, [(time, line), ...])]"""
        by_pod = {}
        for t, line, p in zip(body.times, body.lines, body.pods):
            by_pod.setdefault(p, []).append((t, line))
        return [(self.pods[p], rows) for p, rows in by_pod.items()]

    def as_lokijson(self, body):
        return json.dumps({'streams': [{'stream': stream_labels(p), 'values': [[str(t), line] for t, line in rows]}
                                       for p, rows in self.streams(body)]}, separators=(',', ':')).encode()

    def as_loki(self, body):
        """Protobuf in a snappy block; needs python3-snappy."""
        import snappy
        out = []
        for p, rows in self.streams(body):
            labels = '{%s}' % ', '.join('%s="%s"' % item for item in stream_labels(p).items())
            entries = [field(2, field(1, b'\x08' + varint(t // 10**9) + b'\x10' + varint(t % 10**9)) + field(2, line.encode())) for t, line in rows]
            out.append(field(1, field(1, labels.encode()) + b''.join(entries)))
        return snappy.compress(b''.join(out))

    # --- what is known about it without making it all ---

    def records_of(self, first, last, wanted):
        """[(time, line, Pod)] of the bodies first..last-1 whose (line, Pod) are wanted."""
        out = []
        for k in range(first, last):
            b = self.body(k)
            out += [(t, line, self.pods[p]) for t, line, p in zip(b.times, b.lines, b.pods) if wanted(line, self.pods[p])]
        return out


def stream_labels(p):
    return {'app': p.app, 'container': p.container, 'namespace': p.namespace, 'node': p.node, 'pod': p.name, 'stream': p.stream}


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(i, data):
    return bytes([i << 3 | 2]) + varint(len(data)) + data


def facts(body, work):
    """What queries are checked against: records, message bytes, records by app, and those that contain `error` in any case."""
    return {'records': len(body.lines), 'message_bytes': body.message_bytes(), 'errors': sum(1 for line in body.lines if 'rror' in line or 'RROR' in line),
            'apps': collections.Counter(work.pods[p].app for p in body.pods)}


def add_facts(total, more):
    for name, value in more.items():
        total[name] = collections.Counter(total.get(name, {})) + collections.Counter(value) if name == 'apps' else total.get(name, 0) + value
    return total


def send_part(work, form, address, part, parts):
    """Makes and pushes the bodies part, part + parts, ...; what was in them."""
    total, c = {'body_bytes': 0}, send.Connection(address, TARGETS[form])
    for k in range(part, work.bodies, parts):
        body = work.body(k)
        data = work.encode(body, form)
        c.post(len(data), lambda s: s.sendall(data))
        add_facts(total, dict(facts(body, work), body_bytes=len(data)))
    c.close()
    return total


def options(ap):
    """The options of a work; bench/run has them too."""
    ap.add_argument('--gb', type=float, default=1.0, help='generated: 10^9 bytes of messages [1]')
    ap.add_argument('--namespaces', type=int, default=8, help='generated: how many [8]')
    ap.add_argument('--pods', type=int, default=120, help='generated: how many [120]')
    ap.add_argument('--mix', default=','.join('%s=%d' % m for m in MIX.items()), help='generated: weights of the kinds of lines [%(default)s]')
    ap.add_argument('--seed', type=int, default=1, help='for literals that are drawn, and for generated work [1]')


def from_options(args):
    return Work(args.gb, args.namespaces, args.pods, parse_mix(args.mix), args.seed)


def to_options(work, form, python=sys.executable):
    """The command line that makes the same work in another process."""
    return [python, os.path.abspath(__file__), '--gb', repr(work.gb), '--namespaces', str(work.namespaces), '--pods', str(len(work.pods)),
            '--mix', ','.join('%s=%r' % m for m in work.mix.items()), '--seed', str(work.seed), '--format', form]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options(ap)
    ap.add_argument('--format', choices=['raw', 'jsonl', 'kafka', 'loki', 'lokijson'], required=True)
    ap.add_argument('--send', help='HOST:PORT of a server')
    ap.add_argument('--part', default='0/1')
    args = ap.parse_args()
    try:
        work = from_options(args)
    except ValueError as e:
        ap.error(str(e))
    gc.disable()  # nothing here makes cycles, and looking for them costs a tenth
    if args.send:
        host, port = args.send.rsplit(':', 1)
        print(json.dumps(send_part(work, args.format, (host, int(port)), *map(int, args.part.split('/')))))
        return
    for k in range(work.bodies):
        sys.stdout.buffer.write(work.encode(work.body(k), args.format))


if __name__ == '__main__':
    main()
