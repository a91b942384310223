#!/usr/bin/env python3
"""kill_loop.py [--mode http|kafka|push|all] [--kills 50] [--seed N] [--folder DIR]: kill -9 again and again; nothing lost, nothing twice.

http: clients push batches and retry each until it is answered 204. kafka: a topic is consumed from a real broker. push: clients push to two
instances whose log is Kafka, any of them at each try, and throw away some of the answers; both instances are killed. Seals are
small (2 MiB), so that many fall into each run. Kills come at random moments, and at every named point of the server (a build
with --enable-test-hooks). At the end the whole store is read back: each line must be there exactly once.
The last line is a report of the kills per stage, as JSON; the exit status 0 only if the store was right.
"""
import argparse, collections, json, os, random, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools'))
import broker as broker_tool  # noqa: E402
import segment  # noqa: E402
from server import Server, wait_for  # noqa: E402

# named points: append, head, encode, footer, rename, folder sync, commit, release, replay; of merges: a block, the replacement in the
# catalog, before and after the unlinking of what was replaced
MERGE_STAGES = ['merge-block', 'replace', 'unlink', 'forget']
HTTP_STAGES = ['append', 'sync', 'head', 'encode', 'seal-footer', 'seal-rename', 'seal-folder', 'commit', 'release', 'replay'] + MERGE_STAGES
KAFKA_STAGES = ['kafka-ticket', 'encode', 'seal-footer', 'seal-rename', 'seal-folder', 'commit', 'release'] + MERGE_STAGES
PUSH_STAGES = ['kafka-produce', 'kafka-ticket', 'encode', 'commit', 'release']
RARE = {'encode', 'seal-footer', 'seal-rename', 'seal-folder', 'commit', 'release', 'replace', 'unlink', 'forget'}  # once a seal or merge: low pass numbers
SEAL = ['--seal-bytes', '2MiB']
MERGE = ['--compact-settle', '0s', '--compact-after', '0s']  # the lines' day is over: its files are rewritten again and again
T0 = 1795132800 * 10**9


class Pusher(threading.Thread):
    """Pushes numbered batches; each is repeated, byte for byte, until one of the servers says 204. lossy: how many of the answers are thrown away."""

    def __init__(self, servers, number, lines=200, lossy=0.0):
        super().__init__(daemon=True)
        self.servers, self.number, self.lines, self.lossy, self.batch, self.acked, self.stopping = servers, number, lines, lossy, 0, 0, False
        self.rng, self.answers, self.error = random.Random(number), collections.Counter(), None

    def body(self, batch):
        rng = random.Random(self.number * 1000003 + batch)
        timed = rng.random() < 0.8  # the others carry an Idempotency-Key instead
        out = []
        for i in range(self.lines):
            d = {'_msg': 'client %d batch %d line %d %s' % (self.number, batch, i, '%032x' % rng.getrandbits(128) * rng.randint(1, 8)),
                 'app': 'a%d' % (batch % 7), 'pod': 'p%d' % self.number, 'job': 'kill'}
            if timed:
                d['_time'] = str(T0 + batch * 10**9 + i)
            out.append(json.dumps(d))
        return '\n'.join(out).encode(), {} if timed else {'Idempotency-Key': 'c%d-b%d' % (self.number, batch)}

    def run(self):
        try:
            while not self.stopping:
                body, headers = self.body(self.batch)
                while True:
                    server = self.rng.choice(self.servers)
                    try:
                        status, text, _ = server.request('POST', '/insert/jsonline', body, headers, timeout=20)
                        if self.rng.random() < self.lossy:
                            status = -status  # as if the answer had been lost on its way
                    except Exception:  # the server was killed: try again
                        status, text = 0, b''
                    self.answers[status] += 1
                    if status == 204:
                        break
                    if status in (400, 413):
                        raise AssertionError('refused for good: %d %r' % (status, text))
                    time.sleep(0.02)
                self.batch += 1
                self.acked = self.batch
        except Exception as e:
            self.error = e


def expected_lines(pushers):
    for p in pushers:
        for b in range(p.acked):
            for line in p.body(b)[0].split(b'\n'):
                yield json.loads(line)['_msg'].encode()


def compare(server, expected):
    """Counts of what is missing, twice, or foreign in the server's export."""
    have = collections.Counter(server.export().split(b'\n')[:-1])
    want = collections.Counter(expected)
    missing = sum((want - have).values())
    extra = have - want
    twice = sum(n for line, n in extra.items() if line in want)
    foreign = sum(n for line, n in extra.items() if line not in want)
    return {'expected': sum(want.values()), 'found': sum(have.values()), 'missing': missing, 'twice': twice, 'foreign': foreign}


def merges(server):
    """How many merges were committed in all lives of the server."""
    with open(server.log_path, errors='replace') as f:
        return sum(' merged ' in line for line in f)


def plan(stages, kills, rng):
    """A stage for each kill: every named point equally often, the rest at random moments."""
    named = [s for s in stages for _ in range(3 if kills >= 3 * len(stages) else 1)][:kills]
    out = named + ['random'] * (kills - len(named))
    rng.shuffle(out)
    return out


def hook(stage, rng, most):
    if stage == 'random':
        return {}
    nth = rng.randint(1, min(3, most)) if stage in RARE else rng.randint(1, 2) if stage == 'replay' else rng.randint(1, most)
    return {'LP_HOOK': '%s:%d=kill' % (stage, nth)}


def live_until_death(server, stage, rng, most):
    """Runs the server once, to its death: by the armed point, or by us at a random moment. The stage that killed it."""
    try:
        server.start(ready=False, env=hook(stage, rng, most))
    except AssertionError:
        if server.process.poll() == -9:  # died during start-up, at the point
            server.kill()
            return stage
        raise
    limit = time.monotonic() + (rng.uniform(0.05, 1.5) if stage == 'random' else 20)
    while server.process.poll() is None and time.monotonic() < limit:
        time.sleep(0.005)
    by_hook = server.process.poll() is not None
    if by_hook and server.process.returncode != -9:
        raise AssertionError('the server ended by itself: ' + server.tail())
    server.kill()
    return stage if by_hook else 'random'


def run_http(folder, kills, seed, least_merges=5):
    rng = random.Random(seed)
    server = Server(folder, *SEAL, *MERGE)
    server.address = '127.0.0.1:1'
    pushers = [Pusher([server], i) for i in range(3)]
    counts, segments = collections.Counter(), 0
    for p in pushers:
        p.start()
    for stage in plan(HTTP_STAGES, kills, rng):
        counts[live_until_death(server, stage, rng, 60)] += 1
    server.start()
    wait_for(lambda: merges(server) >= least_merges, 300, '%d merges in all lives' % least_merges)
    for p in pushers:
        p.stopping = True
    for p in pushers:
        p.join(60)
        assert not p.is_alive() and p.error is None, p.error
    result = compare(server, expected_lines(pushers))
    result['segments'], result['merges'] = server.status()['store']['segments'], merges(server)
    assert server.stop() == 0, server.tail()
    server.start()
    again = compare(server, expected_lines(pushers))
    server.stop()
    return dict(result, mode='http', kills=dict(counts), total=kills, after_restart=again['found'] - again['expected'])


def run_kafka(folder, kills, seed, broker=None, lines=200000, messages=None):
    rng = random.Random(seed)
    own = None
    if broker is None:
        own = broker = broker_tool.Broker(os.path.join(folder, 'broker')).start()
    topic = 'kill-%d-%d' % (seed, os.getpid())
    path = os.path.join(folder, 'messages')
    if messages is None:
        with open(path, 'w') as f:
            for i in range(lines):
                f.write(json.dumps({'@timestamp': T0 / 1e9 + i * 0.001, 'log': 'message %d %032x' % (i, rng.getrandbits(128)), 'stream': 'stdout',
                                    'kubernetes': {'namespace_name': 'n', 'pod_name': 'p%d' % (i % 9), 'container_name': 'c', 'host': 'h'}}) + '\n')
    else:
        path = messages
    broker.topic(topic)
    with open(path, 'rb') as f:
        all_lines = f.readlines()
    expected = [json.loads(line)['log'].encode() for line in all_lines]
    server = Server(folder, *SEAL, *MERGE, '--kafka-brokers', broker.address, '--kafka-topics', topic, '--kafka-group', topic,
                    '--kafka-set', 'session.timeout.ms=1500', '--kafka-set', 'heartbeat.interval.ms=300')
    counts, given, share = collections.Counter(), 0, len(all_lines) // (kills + 1)
    for life, stage in enumerate(plan(KAFKA_STAGES, kills, rng) + ['last']):
        to = len(all_lines) if stage == 'last' else given + share  # each life finds new messages: some seals' worth
        piece = os.path.join(folder, 'piece')
        with open(piece, 'wb') as f:
            f.writelines(all_lines[given:to])
        broker.produce(topic, piece)
        given = to
        if stage != 'last':
            counts[live_until_death(server, stage, rng, 1)] += 1
    server.start()

    def all_there():
        st = server.status()
        return st['store']['records'] + st['head']['rows'] >= len(expected)
    wait_for(all_there, 120, 'all messages to be consumed: %s' % json.dumps(server.status()))
    result = compare(server, expected)
    result['segments'], result['merges'] = server.status()['store']['segments'], merges(server)
    assert server.stop() == 0, server.tail()
    if own is not None:
        own.stop()
    return dict(result, mode='kafka', kills=dict(counts), total=kills)


# --- pushes into Kafka ---

class Pair:
    """What one generation of one store holds of one partition."""

    def __init__(self, interval):
        self.partition, self.first, self.next, self.epoch, self.lines = interval.partition, interval.first, interval.next, interval.epoch, collections.Counter()


def read_pairs(data):
    out = []
    for s in segment.segments(data):
        mine = {i.partition: Pair(i) for i in s.intervals}
        for r in s.rows():
            mine[r.ticket.partition].lines[r.line] += 1
        out += mine.values()
    return out


def cut(pairs, end):
    """The pairs of a partition that count: from its end back, the higher epoch wins (docs/architecture.md)."""
    at, chosen = end, []
    while at > 0:
        here = [p for p in pairs if p.next == at and p.first < at]
        assert here, 'nobody stored what ends at %d: %r' % (at, [(p.first, p.next, p.epoch) for p in pairs])
        chosen.append(max(here, key=lambda p: p.epoch))
        at = chosen[-1].first
    return chosen


def run_push(folder, kills, seed, broker=None):
    rng, own = random.Random(seed), None
    if broker is None:
        own = broker = broker_tool.Broker(os.path.join(folder, 'broker')).start()
    topic = 'push-%d-%d' % (seed, os.getpid())
    broker.topic(topic)
    servers = []
    for name in 'ab':
        os.makedirs(os.path.join(folder, name))
        servers.append(Server(os.path.join(folder, name), *SEAL, '--kafka-brokers', broker.address, '--kafka-topics', topic, '--kafka-group', topic,
                              '--kafka-set', 'session.timeout.ms=1500', '--kafka-set', 'heartbeat.interval.ms=300'))
        servers[-1].address = '127.0.0.1:1'
    servers[1].start(ready=False)
    pushers = [Pusher(servers, i, lossy=0.2) for i in range(3)]
    counts = collections.Counter()
    for p in pushers:
        p.start()
    for stage in plan(PUSH_STAGES, kills, rng):
        counts[live_until_death(servers[0], stage, rng, 60)] += 1
        if rng.random() < 0.3:
            servers[1].kill()
            counts['the other'] += 1
            servers[1].start(ready=False)
    servers[0].start()
    for p in pushers:
        p.stopping = True
    for p in pushers:
        p.join(120)
        assert not p.is_alive() and p.error is None, p.error
    ends = {p: end for p, (_, end) in broker.admin.offsets(topic).items()}

    def read():  # what is in a head by then is sealed by the clean end
        at = {p['partition']: p['read'] for s in servers for p in s.status()['kafka']['partitions']}
        return all(at.get(p, -1) >= end for p, end in ends.items())
    wait_for(read, 120, 'all messages to be consumed')
    assert [s.stop() for s in servers] == [0, 0], servers[0].tail() + servers[1].tail()
    pairs, have = [p for s in servers for p in read_pairs(s.data)], collections.Counter()
    for partition, end in ends.items():
        for p in cut([p for p in pairs if p.partition == partition], end):
            have.update(p.lines)
    want = collections.Counter(expected_lines(pushers))
    extra = have - want
    answers = sum((p.answers for p in pushers), collections.Counter())
    if own is not None:
        own.stop()
    return {'expected': sum(want.values()), 'found': sum(have.values()), 'missing': sum((want - have).values()),
            'twice': sum(n for line, n in extra.items() if line in want), 'foreign': sum(n for line, n in extra.items() if line not in want),
            'mode': 'push', 'kills': dict(counts), 'total': kills, 'answers': {str(k): v for k, v in sorted(answers.items())}, 'pairs': len(pairs)}


def good(r):
    return r['missing'] == 0 and r['twice'] == 0 and r['foreign'] == 0 and r.get('after_restart', 0) == 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--mode', default='all', choices=['http', 'kafka', 'push', 'all'])
    ap.add_argument('--kills', type=int, default=50)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--lines', type=int, default=400000)
    ap.add_argument('--messages', help='a file of fluent-bit messages to use instead of made ones')
    ap.add_argument('--folder')
    a = ap.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as tmp:
        for mode in ['http', 'kafka', 'push'] if a.mode == 'all' else [a.mode]:
            folder = os.path.join(a.folder or tmp, mode)
            os.makedirs(folder)
            run = (run_http(folder, a.kills, a.seed) if mode == 'http' else run_push(folder, a.kills, a.seed) if mode == 'push' else
                   run_kafka(folder, a.kills, a.seed, lines=a.lines, messages=a.messages))
            results.append(run)
            print(json.dumps(run), flush=True)
    sys.exit(0 if all(good(r) for r in results) else 1)


if __name__ == '__main__':
    main()
