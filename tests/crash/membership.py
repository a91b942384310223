#!/usr/bin/env python3
"""membership.py [--changes 500] [--seed N] [--folder DIR] [--partitions 6]: a consumer group whose members come, go, die and freeze.

Three instances with a store each consume one topic while messages are produced. At random they join, leave (SIGTERM), are killed
(at random moments, and at named points of the server: a build with --enable-test-hooks), or are frozen for longer than the
session timeout and then go on as zombies. At the end all run until everything is stored, stop, and their segments are read:

- a pair (generation, partition) of a store holds exactly the messages of its interval, each once;
- in one store no two intervals of a partition overlap;
- walking back from the end of each partition, taking at each position the pair with the highest epoch that ends there, reaches
  the beginning without a hole, and no two pairs with the same epoch ever stand to choose: so what was stored twice by two
  instances can be told apart, and each message is there once.

The last line is a report as JSON; the exit status is 0 only if all of it held. On a failure the folder is kept.
"""
import argparse, collections, json, os, random, shutil, signal, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools'))
import broker as broker_tool  # noqa: E402
import segment  # noqa: E402
from server import Server, wait_for  # noqa: E402

SESSION_MS = 1500
FLAGS = ['--seal-bytes', '256KiB', '--seal-after', '1s', '--kafka-set', 'session.timeout.ms=%d' % SESSION_MS, '--kafka-set', 'heartbeat.interval.ms=300']
POINTS = ['kafka-ticket', 'encode', 'seal-footer', 'seal-rename', 'seal-folder', 'commit', 'release']
T0 = 1795132800
Pair = collections.namedtuple('Pair', 'store generation partition first next epoch rows')  # rows: how often each offset is there


def message(i):
    """The text of message i, as an agent writes it; its line is unique."""
    return json.dumps({'@timestamp': T0 + i * 0.001, 'log': 'message %d %s' % (i, '%016x' % (i * 0x9E3779B97F4A7C15 % (1 << 64)) * (i % 9)), 'stream': 'stdout',
                       'kubernetes': {'namespace_name': 'n', 'pod_name': 'p%d' % (i % 9), 'container_name': 'c%d' % (i % 3), 'host': 'h'}})


# --- the group ---

class Member:
    """One instance: down, up, or frozen."""

    def __init__(self, folder, name, flags):
        self.name, self.state, self.point, self.thaw_at = name, 'down', None, 0
        os.makedirs(os.path.join(folder, name))
        self.server = Server(os.path.join(folder, name), *FLAGS, *flags)

    def join(self, point=None):
        self.point = point
        try:
            self.server.start(ready=False, env={'LP_HOOK': point + '=kill' if point else ''})
            self.state = 'up'
        except AssertionError:
            self.look()
            if self.state != 'down':
                raise

    def look(self):
        """Notices a death at the armed point; another death is a failure."""
        if self.server.process is not None and self.server.process.poll() is not None:
            status = self.server.process.returncode
            if status != -signal.SIGKILL or self.point is None:
                raise AssertionError('%s ended by itself (%d): %s' % (self.name, status, self.server.tail()))
            self.server.kill()
            self.state = 'down'
            return True
        return False

    def leave(self):
        status = self.server.stop()
        if status != 0 and not (status == -signal.SIGKILL and self.point):
            raise AssertionError('%s stopped with %r: %s' % (self.name, status, self.server.tail()))
        self.state = 'down'

    def die(self):
        self.server.kill()
        self.state = 'down'

    def freeze(self, seconds):
        self.server.process.send_signal(signal.SIGSTOP)
        self.state, self.thaw_at = 'frozen', time.monotonic() + seconds

    def thaw(self):
        self.server.process.send_signal(signal.SIGCONT)
        self.state = 'up'

    def events(self):
        """How often partitions were assigned, revoked and lost, in all its lives."""
        with open(self.server.log_path, errors='replace') as f:
            text = f.read()
        return {'assigned': text.count('partitions assigned'), 'revoked': text.count('partitions revoked'), 'lost': text.count('partitions lost')}


def change(members, rng, counts):
    """One change of membership, and a pause of up to a session timeout."""
    for m in members:
        if m.state == 'up' and m.look():
            counts['killed at a point'] += 1
        if m.state == 'frozen' and time.monotonic() >= m.thaw_at:
            m.thaw()
            counts['thawed'] += 1
    m = rng.choice([m for m in members if m.state != 'frozen'] or members)
    if m.state == 'frozen':
        time.sleep(max(0, m.thaw_at - time.monotonic()))
        m.thaw()
        counts['thawed'] += 1
    elif m.state == 'down':
        point = '%s:%d' % (rng.choice(POINTS), rng.randint(1, 6)) if rng.random() < 0.3 else None
        m.join(point)
        counts['joined'] += 1
    else:
        what = rng.choice(['left', 'killed', 'frozen'])
        if what == 'left':
            m.leave()
        elif what == 'killed':
            m.die()
        else:
            m.freeze(SESSION_MS / 1000 * rng.uniform(1.2, 3))
        counts[what] += 1
    time.sleep(rng.uniform(0.05, SESSION_MS / 1000))  # the moments are random on purpose: nothing is waited for


def all_stored(members, broker, topic, group):
    """True when no member holds unsealed rows and every partition is stored to its end by somebody."""
    best = {p: offset for (t, p), (offset, _) in broker.admin.group_offsets(group).items() if t == topic}
    for m in members:
        status = m.server.status()
        if status['head']['rows'] != 0:
            return False
        for p in status['kafka']['partitions']:
            best[p['partition']] = max(best.get(p['partition'], 0), p['stored'])
    return all(best.get(p, 0) >= end for p, (_, end) in broker.admin.offsets(topic).items())


# --- the judgement ---

def read_pairs(name, data, topic, places, problems):
    """The pairs of a store; places: line -> (partition, offset). Rows that belong to no pair, or to no message, are problems."""
    out = []
    for s in segment.segments(data):
        mine = {i.partition: Pair(name, s.generation, i.partition, i.first, i.next, i.epoch, collections.Counter())
                for i in s.intervals if i.log.startswith('kafka/') and i.log.endswith('/' + topic)}
        for t in s.tickets:
            if t.partition in mine and t.epoch != mine[t.partition].epoch:
                problems.append('%s generation %d partition %d: ticket %r has another epoch than its interval' % (name, s.generation, t.partition, t))
        for r in s.rows():
            partition, offset = places.get(r.line, (None, None))
            if partition is None:
                problems.append('%s generation %d: a row that nobody produced: %r %r' % (name, s.generation, r.line[:200], r.metadata))
            elif r.ticket is None or r.ticket.partition != partition or r.ticket.generation != s.generation or partition not in mine:
                problems.append('%s generation %d: message %d/%d has ticket %r' % (name, s.generation, partition, offset, r.ticket))
            else:
                mine[partition].rows[offset] += 1
        out += mine.values()
    return out


def ranges(numbers):
    """[1, 2, 3, 7] as '1-3, 7'; at most ten of them."""
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ', '.join('%d-%d' % (a, b) if a != b else str(a) for a, b in out[:10]) + (' ...' if len(out) > 10 else '')


def show(pair):
    return '%s generation %d [%d, %d) epoch %d' % (pair.store, pair.generation, pair.first, pair.next, pair.epoch)


def check_pair(pair, offsets, problems):
    """offsets: what the broker holds of the partition."""
    want = {o for o in offsets if pair.first <= o < pair.next}
    missing, foreign = want - set(pair.rows), set(pair.rows) - want
    twice = [o for o, n in pair.rows.items() if n > 1]
    for what, numbers in (('missing', missing), ('outside the interval', foreign), ('twice', twice)):
        if numbers:
            problems.append('partition %d, %s: offsets %s: %s' % (pair.partition, show(pair), what, ranges(numbers)))


def check_store(pairs, problems):
    """Intervals of one store and partition must not overlap, and rise with the generations."""
    for a, b in zip(pairs, pairs[1:]):
        if a.next > b.first:
            problems.append('partition %d: in one store %s and %s overlap' % (a.partition, show(a), show(b)))


def cut(pairs, start, end, problems):
    """The pairs that count, from the end back to the start."""
    chosen, at = [], end
    while at > start:
        here = sorted((p for p in pairs if p.next == at and p.first < p.next), key=lambda p: -p.epoch)
        if not here:
            problems.append('partition %s: no pair ends at %d: a hole' % (pairs[0].partition if pairs else '?', at))
            return chosen
        if len(here) > 1 and here[0].epoch == here[1].epoch:
            problems.append('partition %d: %s and %s: equal epochs' % (here[0].partition, show(here[0]), show(here[1])))
        chosen.append(here[0])
        at = here[0].first
    if at < start:
        problems.append('partition %d: %s begins before the log' % (chosen[-1].partition, show(chosen[-1])))
    return chosen


def judge(pairs, messages, ends):
    """pairs of all stores; messages: {partition: {offset: line}}; ends: {partition: (first, end)}. (problems, figures)."""
    problems, overlaps, hidden = [], 0, 0
    for partition, (start, end) in sorted(ends.items()):
        mine = sorted((p for p in pairs if p.partition == partition), key=lambda p: (p.first, p.next))
        before = len(problems)
        for p in mine:
            check_pair(p, messages.get(partition, {}), problems)
        for store in sorted({p.store for p in mine}):
            check_store(sorted((p for p in mine if p.store == store), key=lambda p: p.generation), problems)
        overlaps += sum(1 for i, a in enumerate(mine) for b in mine[i + 1:i + 50] if b.first < a.next and a.store != b.store)
        chosen = cut(mine, start, end, problems)
        hidden += len(mine) - len(chosen)
        have = collections.Counter()
        for p in chosen:
            have.update(p.rows)
        if set(have) != set(messages.get(partition, {})) or any(n != 1 for n in have.values()):
            problems.append('partition %d: the chosen pairs lack offsets %s, and have twice %s' % (
                partition, ranges(set(messages.get(partition, {})) - set(have)), ranges(o for o, n in have.items() if n > 1)))
        if len(problems) > before:
            problems.append('partition %d: [%d, %d), intervals of all stores:\n    %s' % (partition, start, end, '\n    '.join(show(p) for p in mine)))
    return problems, {'pairs': len(pairs), 'overlaps': overlaps, 'cut': hidden}


# --- one run ---

def finish(members, producer, broker, topic, group):
    """All run until everything is stored, then stop."""
    sent = producer.stop()
    for m in members:
        if m.state == 'frozen':
            m.thaw()
        if m.state == 'up' and not m.look() and m.point:
            m.die()  # it carries an armed point, which must not go off in the end
        if m.state == 'down':
            m.join()
    for m in members:
        m.server.wait_ready()
    wait_for(lambda: all_stored(members, broker, topic, group), 90, 'everything to be stored')
    for m in members:
        m.leave()
    return sent


def run(folder, changes, seed, broker=None, partitions=6, rate=1500):
    rng, own, counts = random.Random(seed), None, collections.Counter()
    if broker is None:
        own = broker = broker_tool.Broker(os.path.join(folder, 'broker')).start()
    topic = group = 'members-%d-%d' % (seed, os.getpid())
    broker.admin.create(topic, partitions, broker.replication)
    members = [Member(folder, 'store-%s' % c, ['--kafka-brokers', broker.address, '--kafka-topics', topic, '--kafka-group', group]) for c in 'abc']
    producer = broker_tool.Producer(broker.address, topic, message, rate)
    begin = time.monotonic()
    try:
        made = 0  # a few more where nobody noticed yet that it was taken for dead: that depends on the machine
        while made < changes or (made < 4 * changes and not any(m.events()['lost'] for m in members)):
            change(members, rng, counts)
            made += 1
        sent = finish(members, producer, broker, topic, group)
        messages = {p: {o: json.loads(v)['log'].encode() for o, v in held.items()} for p, held in broker.messages(topic).items()}
        ends = broker.admin.offsets(topic)
    finally:
        producer.kill()
        for m in members:
            m.server.kill()
        if own is not None:
            own.stop()
    places = {line: (p, o) for p, held in messages.items() for o, line in held.items()}
    assert len(places) == sent == sum(len(h) for h in messages.values()), 'the producer: %d sent, %d in the topic, %d different' % (
        sent, sum(len(h) for h in messages.values()), len(places))
    problems = []
    pairs = [p for m in members for p in read_pairs(m.name, m.server.data, topic, places, problems)]
    found, figures = judge(pairs, messages, ends)
    events = collections.Counter()
    for m in members:
        events.update(m.events())
    return {'seed': seed, 'changes': made, 'seconds': round(time.monotonic() - begin), 'messages': sent, **figures, 'done': dict(counts),
            'events': dict(events), 'problems': len(problems) + len(found)}, problems + found


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--changes', type=int, default=500)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--partitions', type=int, default=6)
    ap.add_argument('--rate', type=int, default=1500, help='messages a second')
    ap.add_argument('--folder')
    a = ap.parse_args()
    folder = a.folder or tempfile.mkdtemp(prefix='membership-')
    os.makedirs(folder, exist_ok=True)
    try:
        result, problems = run(folder, a.changes, a.seed, partitions=a.partitions, rate=a.rate)
    except BaseException:
        print('kept: ' + folder, file=sys.stderr)
        raise
    for p in problems[:40]:
        print(p)
    if problems:
        print('%d problems; kept: %s' % (len(problems), folder))
    elif a.folder is None:
        shutil.rmtree(folder)
    print(json.dumps(result), flush=True)
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
