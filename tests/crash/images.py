#!/usr/bin/env python3
"""images.py [--images 2000] [--log journal|kafka|both] [--seed N]: crash images of a recorded run; every one must start and hold what was acknowledged.

The real server runs under record.so, which logs every file operation, LMDB's included, and the moment before each 2xx leaves. For
many points of that log (half of them within 50 ms around a commit of the catalog) the data folder is rebuilt as a power loss could have
left it: what was synced is there; of what was not, a random part (writes torn at 512 bytes, names lost from a random point on).
The real binary starts on it, and every batch answered before that point must be there exactly once; the others at most once.
Self-test at the start: replaying everything gives folders equal byte for byte (lock.mdb aside).
The last line is a report as JSON; the exit status 0 only if every image was right.
"""
import argparse, collections, json, os, random, shutil, struct, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'tools'))
import broker as broker_tool  # noqa: E402
from server import Server, wait_for  # noqa: E402

OPEN, MKDIR, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, UNLINK, LINK, ACK, RMDIR = range(1, 12)
CREATED, DSYNC, TRUNC, DIR = 1, 2, 4, 8
SECTOR = 512
NEAR_NS = 50 * 10**6
MERGES = 5  # fall into the recording
Op = collections.namedtuple('Op', 'op handle off time text data')


def read_log(path):
    ops = []
    with open(path, 'rb') as f:
        blob = f.read()
    at = 0
    while at + 4 <= len(blob):
        (n,) = struct.unpack_from('<I', blob, at)
        if at + 4 + n > len(blob):
            break
        op, handle, off, t, text_n = struct.unpack_from('<BIQqI', blob, at + 4)
        start = at + 4 + 25
        ops.append(Op(op, handle, off, t, blob[start:start + text_n].decode(), blob[start + text_n:at + 4 + n]))
        at += 4 + n
    return ops


class File:
    """Content as it is surely on disk, and what was done since the last sync, in order."""

    def __init__(self):
        self.durable, self.pending = bytearray(), []

    def apply(self, content, kind, off, data):
        if kind == WRITE:
            if len(content) < off:
                content.extend(bytes(off - len(content)))
            content[off:off + len(data)] = data
        elif kind == TRUNCATE:
            if len(content) > off:
                del content[off:]
            else:
                content.extend(bytes(off - len(content)))
        elif kind == ALLOCATE and len(content) < off:
            content.extend(bytes(off - len(content)))

    def change(self, kind, off, data):
        self.pending.append((kind, off, data))

    def sync(self):
        for p in self.pending:
            self.apply(self.durable, *p)
        self.pending = []

    def whole(self):
        content = bytearray(self.durable)
        for p in self.pending:
            self.apply(content, *p)
        return content

    def crashed(self, rng):
        """A random part of what was not synced: writes dropped, kept, or torn at sectors."""
        content, mood = bytearray(self.durable), rng.random()
        for kind, off, data in self.pending:
            if mood < 0.25:
                continue  # nothing more reached the disk
            if mood > 0.75 or rng.random() < 0.5:
                self.apply(content, kind, off, data)
            elif kind == WRITE and rng.random() < 0.6:
                for s in range(0, len(data), SECTOR):
                    cut = SECTOR - off % SECTOR if s == 0 else SECTOR
                    if rng.random() < 0.5:
                        self.apply(content, WRITE, off + s, data[s:s + cut])
        return content


class Disk:
    """The folder while the log is replayed: names now, and names surely on disk with what was done to them since."""

    def __init__(self):
        self.names, self.durable, self.pending = {'': DIR}, {'': DIR}, []
        self.handles = {}

    def name_change(self, folder, change):
        self.pending.append((folder, change))
        self.play(self.names, change)

    @staticmethod
    def play(names, change):
        kind, path, other = change
        if kind == 'set':
            names[path] = other
        elif kind == 'del':
            names.pop(path, None)
        elif path in names:
            names[other] = names.pop(path)

    def do(self, o):
        if o.op == OPEN:
            if o.off & CREATED:
                self.name_change(os.path.dirname(o.text), ('set', o.text, File()))
            self.handles[o.handle] = o.text if o.off & DIR else self.names[o.text]
            if o.off & TRUNC and not o.off & CREATED:
                self.names[o.text].change(TRUNCATE, 0, b'')
        elif o.op == MKDIR:
            self.name_change(os.path.dirname(o.text), ('set', o.text, DIR))
        elif o.op == RENAME:
            self.name_change(os.path.dirname(o.text), ('move', o.text, o.data.decode()))
        elif o.op in (UNLINK, RMDIR):
            self.name_change(os.path.dirname(o.text), ('del', o.text, None))
        elif o.op in (WRITE, TRUNCATE, ALLOCATE):
            f = self.handles[o.handle]
            f.change(o.op, o.off, o.data)
            if o.text == 'dsync':  # this write is on disk when it returns; earlier ones need not be
                f.apply(f.durable, *f.pending.pop())
        elif o.op == SYNC:
            h = self.handles[o.handle]
            if isinstance(h, File):
                h.sync()
            else:  # a folder: its names, and (as file systems with an ordered journal do) all that came before them
                last = max([i for i, (folder, _) in enumerate(self.pending) if folder == h] or [-1])
                for _, change in self.pending[:last + 1]:
                    self.play(self.durable, change)
                self.pending = self.pending[last + 1:]

    def write_out(self, folder, rng=None):
        """The folder as a crash now could leave it; without rng as it is."""
        names = dict(self.durable)
        keep = len(self.pending) if rng is None else rng.randint(0, len(self.pending))
        for _, change in self.pending[:keep]:
            self.play(names, change)
        for path in sorted(names):
            target = folder + path
            if names[path] == DIR:
                os.makedirs(target, exist_ok=True)
            elif os.path.isdir(os.path.dirname(target)):
                content = names[path].whole() if rng is None else names[path].crashed(rng)
                with open(target, 'wb') as f:
                    f.write(content)


# --- recording ---

def lines_of(batch):
    return ['batch %d line %d %s' % (batch, i, 'x' * (batch * 7 % 90)) for i in range(20)]


def body_of(batch):
    return '\n'.join(json.dumps({'_time': str(1795132800000000000 + batch * 1000 + i), '_msg': line, 'app': 'a%d' % (batch % 3), 'pod': 'p%d' % (batch % 5)})
                     for i, line in enumerate(lines_of(batch))).encode()


def build_recorder(folder):
    so = os.path.join(folder, 'record.so')
    subprocess.run(['gcc', '-O2', '-shared', '-fPIC', '-o', so, os.path.join(HERE, 'record.c'), '-lpthread'], check=True)
    return so


SEAL = ['--seal-bytes', '128KiB', '--reserve-bytes', '64KiB', '--min-free', '1MiB', '--compact-settle', '0s', '--compact-after', '0s']


def record_journal(folder, so, seals):
    """Three clients push until enough seals happened; then the server is killed. (log of operations, data folder)"""
    log = os.path.join(folder, 'ops')
    s = Server(folder, *SEAL, env={'LD_PRELOAD': so, 'RECORD_DIR': os.path.join(folder, 'data'), 'RECORD_LOG': log})
    s.start()
    state, stop = {'next': 0}, threading.Event()
    lock = threading.Lock()

    def push():
        while not stop.is_set():
            with lock:
                batch = state['next']
                state['next'] += 1
            status, text, _ = s.request('POST', '/insert/jsonline', body_of(batch), {'X-Batch': str(batch)})
            assert status == 204, (status, text)
    threads = [threading.Thread(target=push, daemon=True) for _ in range(3)]
    for t in threads:
        t.start()
    wait_for(lambda: s.metric('logpond_seals_total') >= seals and s.metric('logpond_compactions_total') >= MERGES, 300, '%d seals and %d merges' % (seals, MERGES))
    stop.set()
    for t in threads:
        t.join()
    kill(s, log)
    return log


def record_kafka(folder, so, seals, broker, topic):
    log, path = os.path.join(folder, 'ops'), os.path.join(folder, 'messages')
    batches = seals * 60
    with open(path, 'w') as f:
        for b in range(batches):
            for line in lines_of(b):
                f.write(json.dumps({'log': line, '@timestamp': 1795132800 + b, 'kubernetes': {'pod_name': 'p%d' % (b % 5), 'namespace_name': 'n', 'container_name': 'c'}}) + '\n')
    broker.topic(topic)
    s = Server(folder, *SEAL, *kafka_flags(broker, topic, topic + '-rec'),
               env={'LD_PRELOAD': so, 'RECORD_DIR': os.path.join(folder, 'data'), 'RECORD_LOG': log})
    s.start()
    rows = batches * 20
    produced = subprocess.Popen(['kcat', '-b', broker.address, '-t', topic, '-P', '-l', path, '-X', 'batch.num.messages=200'], stdin=subprocess.DEVNULL)
    wait_for(lambda: sum_rows(s) >= rows and s.metric('logpond_compactions_total') >= 2, 300, 'all messages, and merges')
    produced.wait()
    kill(s, log)
    return log, rows


def kill(s, log):
    """Between two operations: a write that was done and not yet recorded would look like one that the recorder missed."""
    open(log + '.stop', 'w').close()
    try:
        wait_for(lambda: s.process.poll() is not None, 2, 'the next operation')
    except AssertionError:
        pass  # there is none, and will be none
    s.kill()


def kafka_flags(broker, topic, group):
    return ['--kafka-brokers', broker.address, '--kafka-topics', topic, '--kafka-group', group,
            '--kafka-set', 'session.timeout.ms=1500', '--kafka-set', 'heartbeat.interval.ms=300']


def sum_rows(s):
    st = s.status()
    return st['store']['records'] + st['head']['rows']


# --- checking ---

def self_test(ops, data):
    disk = Disk()
    for o in ops:
        disk.do(o)
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, 'd')
        disk.write_out(out)
        diff = subprocess.run(['diff', '-r', '--exclude=lock.mdb', out, data], capture_output=True, text=True)
        assert diff.returncode == 0, 'the replayed folder differs from the real one: ' + diff.stdout[:1000]


def points(ops, images, rng):
    """Places in the log: half of them near a commit (a dsync write: LMDB's meta page), the others anywhere."""
    commits = [o.time for o in ops if o.op == WRITE and o.text == 'dsync']
    near, k = [], 0
    for i, o in enumerate(ops):
        while k + 1 < len(commits) and commits[k + 1] <= o.time:
            k += 1
        if commits and min(abs(o.time - commits[k]), abs(o.time - commits[min(k + 1, len(commits) - 1)])) <= NEAR_NS:
            near.append(i)
    # before that there is no store: a folder that LMDB was about to begin with (two pages, torn) is refused, and nothing is in it
    first = next(i for i, o in enumerate(ops) if o.op == ACK or o.op == WRITE and o.text == 'dsync')
    near = [i for i in near if i >= first]
    chosen = [rng.choice(near) for _ in range(images // 2)] + [rng.randrange(first, len(ops)) for _ in range(images - images // 2)]
    return sorted(chosen)


def check_journal(server, acked):
    have = collections.Counter(server.export().decode().split('\n')[:-1])
    twice = sum(1 for n in have.values() if n > 1)
    lost = sum(1 for b in acked for line in lines_of(b) if have[line] != 1)
    return lost, twice


def run_images(name, ops, count, rng, folder, start, check):
    chosen = points(ops, count, rng)
    disk, acked, at, bad, slowest = Disk(), set(), 0, [], 0.0
    for n, point in enumerate(chosen):
        while at <= point:
            if ops[at].op == ACK:
                acked.add(int(ops[at].text))
            else:
                disk.do(ops[at])
            at += 1
        image = os.path.join(folder, 'image')
        shutil.rmtree(image, ignore_errors=True)
        os.makedirs(image)
        disk.write_out(os.path.join(image, 'data'), rng)
        begin = time.monotonic()
        server = start(image, n)
        try:
            server.start()
            lost, twice = check(server, acked)
            if lost or twice:
                raise AssertionError('%d lines lost, %d twice' % (lost, twice))
        except AssertionError as e:
            kept = os.path.join(folder, 'bad-%s-%d' % (name, n))
            server.kill()
            shutil.move(image, kept)
            bad.append('image %d at operation %d (kept in %s): %s' % (n, point, kept, e))
            print(bad[-1], file=sys.stderr, flush=True)
        finally:
            server.kill()
        slowest = max(slowest, time.monotonic() - begin)
        if (n + 1) % 100 == 0:
            print('%s: %d of %d images, %d bad' % (name, n + 1, count, len(bad)), file=sys.stderr, flush=True)
    return {'log': name, 'images': count, 'bad': len(bad), 'operations': len(ops), 'acknowledged': sum(o.op == ACK for o in ops),
            'commits': sum(o.op == WRITE and o.text == 'dsync' for o in ops), 'slowest_s': round(slowest, 2), 'first_bad': bad[:3]}


def run_journal(folder, images, seed, seals=50):
    rng = random.Random(seed)
    log = record_journal(folder, build_recorder(folder), seals)
    ops = read_log(log)
    self_test(ops, os.path.join(folder, 'data'))
    return run_images('journal', ops, images, rng, folder, lambda image, n: Server(image, *SEAL), check_journal)


def run_kafka(folder, images, seed, broker, seals=50):
    rng = random.Random(seed)
    topic = 'images-%d-%d' % (seed, os.getpid())
    log, rows = record_kafka(folder, build_recorder(folder), seals, broker, topic)
    ops = read_log(log)
    self_test(ops, os.path.join(folder, 'data'))

    def check(server, acked):
        wait_for(lambda: sum_rows(server) >= rows, 60, 'all messages again')
        have = collections.Counter(server.export().decode().split('\n')[:-1])
        return rows - len(have), sum(1 for n in have.values() if n > 1)
    return run_images('kafka', ops, images, rng, folder, lambda image, n: Server(image, *SEAL, *kafka_flags(broker, topic, '%s-%d' % (topic, n))), check)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--images', type=int, default=2000)
    ap.add_argument('--kafka-share', type=float, default=0.1, help='part of the images that come from a Kafka recording (each consumes the topic again)')
    ap.add_argument('--log', default='both', choices=['journal', 'kafka', 'both'])
    ap.add_argument('--seals', type=int, default=50)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--folder', default='/dev/shm' if os.path.isdir('/dev/shm') else None)
    a = ap.parse_args()
    kafka = {'journal': 0, 'kafka': a.images, 'both': int(a.images * a.kafka_share)}[a.log]
    results = []
    folder = tempfile.mkdtemp(prefix='lp-images.', dir=a.folder)
    for name, count in (('journal', a.images - kafka), ('kafka', kafka)):
        if count == 0:
            continue
        sub = os.path.join(folder, name)
        os.makedirs(sub)
        if name == 'journal':
            results.append(run_journal(sub, count, a.seed, a.seals))
        else:
            broker = broker_tool.Broker(os.path.join(folder, 'broker')).start()
            results.append(run_kafka(sub, count, a.seed, broker, a.seals))
            broker.stop()
        print(json.dumps(results[-1]), flush=True)
    if not any(r['bad'] for r in results):
        shutil.rmtree(folder)
    sys.exit(1 if any(r['bad'] for r in results) else 0)


if __name__ == '__main__':
    main()
