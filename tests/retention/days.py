#!/usr/bin/env python3
"""days.py [--days 90] [--namespaces 50] [--lines 200] [--every 7] [--kill]: retention over simulated months. A real server lives through each day
on a shifted clock (LP_CLOCK_OFFSET, so the build needs --enable-test-hooks), takes that day's lines, and every so many days retention runs.
After each run all that should be there is compared, line by line, with a plain evaluation of the rules made here, and the bytes that were
freed with what the dry run had said. With --kill each run is first killed at one of its stages, and run again.
tests/system/test_retain.py calls it with small numbers.
"""
import argparse, json, os, random, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools'))
from server import BINARY, Server, wait_for  # noqa: E402

DAY = 86400
RULES = ['namespace=dev-* age=3d', 'selector={app="audit"} age=60d', 'namespace=shop-1* age=10d', 'tenant=acme age=1d', 'namespace=big-* bytes=%d', 'age=30d']
STAGES = ['begun', 'expire', 'expired', 'ledger:1', 'ledger:2', 'commit:1', 'commit:2', 'commit:3']


def age_of(ns, app):
    """What the rules say, written down once more. None: by bytes only."""
    if ns.startswith('dev-'):
        return 3
    if app == 'audit':
        return 60
    if ns.startswith('shop-1'):
        return 10
    if ns.startswith('big-'):
        return None
    return 30


class Days:
    def __init__(self, folder, namespaces, lines, big_bytes=10**9, seed=1):
        self.server = Server(folder)
        self.random = random.Random(seed)
        self.lines = lines
        kinds = ['dev-%d', 'shop-%d', 'prod-%d', 'big-%d', 'web-%d']
        self.namespaces = [kinds[i % len(kinds)] % i for i in range(namespaces)]
        self.rules = [r % big_bytes if '%d' in r else r for r in RULES]
        self.origin = int(time.time()) // DAY * DAY + DAY  # day 0 begins at a midnight to come
        self.kept = {}  # (namespace, app) -> [(received, time, line)]
        self.report = None

    def environment(self, now):
        return {'LP_CLOCK_OFFSET': str(now - time.time())}

    def flags(self):
        return [x for r in self.rules for x in ('--retention', r)]

    def live(self, day):
        """A server lives through a part of the day: takes its lines, and some that come late."""
        now = self.origin + day * DAY + self.random.randrange(DAY // 2)
        rows = []
        for ns in self.namespaces:
            for i in range(self.lines):
                app = 'audit' if i % 10 == 0 and not ns.startswith('big-') else 'app'
                age = self.random.random() * 600
                if self.random.random() < 0.01:
                    age = self.random.random() * 40 * DAY  # late by days or weeks
                at = int((now - age) * 10**9)
                line = '%s day %d line %d %s' % (ns, day, i, self.random.randbytes(20).hex())
                rows.append(json.dumps({'_time': at, '_msg': line, 'namespace': ns, 'pod': 'p-%d' % (i % 3), 'app': app}))
                self.kept.setdefault((ns, app), []).append((now, at, line))
        self.server.flags = self.flags()
        self.server.start(env=self.environment(now))
        for i in range(0, len(rows), 5000):
            status, text, _ = self.server.jsonline('\n'.join(rows[i:i + 5000]).encode())
            assert status == 204, text
        assert self.server.stop() == 0
        self.compact(now)
        return now

    def compact(self, now):
        """Into files of one day each, as the background does by and by in a server that lives all day."""
        self.server.start(env=self.environment(now))
        number = json.loads(self.server.request('POST', '/admin/compact')[1])['request']
        wait_for(lambda: self.server.status()['compaction']['answered'] >= number, 120, 'compaction')
        assert self.server.stop() == 0

    def command(self, now, *args, hook=None):
        env = dict(os.environ, **self.environment(now))
        if hook:
            env['LP_HOOK'] = hook
        return subprocess.run([BINARY, 'retain', '--data', self.server.data, '--json'] + list(args) + self.flags(), env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=600)

    def stored(self):
        folder = os.path.join(self.server.data, 'segments')
        return sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder))

    def retain(self, now, kill=False):
        """A dry run, then a run (killed once at some stage where that is asked for); what it freed is what was said."""
        dry = json.loads(self.command(now, '--dry-run').stdout)
        before = self.stored()
        if kill:
            p = self.command(now, hook=self.random.choice(STAGES) + '=kill')
            assert p.returncode in (0, -9), p.stderr
        p = self.command(now)
        assert p.returncode == 0, p.stderr
        self.report = json.loads(p.stdout)
        freed, said = before - self.stored(), dry['goes']['stored_bytes']
        # a file of a few lines is mostly footer
        assert abs(freed - said) <= max(0.02 * said, 2000), 'the dry run said %d bytes, %d were freed' % (said, freed)
        if not kill:
            assert self.report['goes'] == dry['goes']
        for n in dry['namespaces']:
            # nothing goes within a day of its receipt, so never what came last
            assert n['goes']['rows'] <= n['of']['rows']
        return freed

    def wanted(self, ns, app, now):
        """Lines that must be there, and those that may be: the day after the receipt counts from the youngest line that a file was merged of."""
        age = age_of(ns, app)
        must, may = set(), set()
        ran = self.report['at_ns'] / 10**9  # a little later: it took its time to start
        for received, at, line in self.kept[ns, app]:
            if age is None or at >= (ran - age * DAY) * 10**9 or received > ran - DAY:
                must.add(line)
            if age is None or at >= (now - age * DAY) * 10**9 or received > now - 3 * DAY:
                may.add(line)
        return must, may

    def check(self, now):
        """Nothing early: all that must be there is. Nothing late: nothing else is."""
        self.server.start(env=self.environment(now))
        for ns in self.namespaces:
            have = {}
            for line in self.server.export('{namespace="%s"}' % ns, 'jsonl').decode().split('\n'):
                row = json.loads(line) if line else {}
                if 'line' in row:
                    have.setdefault(row['labels']['app'], set()).add(row['line'])
            for app in ('app', 'audit'):
                if (ns, app) not in self.kept:
                    continue
                (must, may), there = self.wanted(ns, app, now), have.get(app, set())
                assert must <= there or ns.startswith('big-'), '%s/%s: %d lines went early' % (ns, app, len(must - there))
                assert there <= may, '%s/%s: %d lines are still there' % (ns, app, len(there - may))
        assert self.server.stop() == 0


def run(folder, days=90, namespaces=50, lines=200, every=7, kill=False, say=lambda text: None, seed=1):
    d = Days(folder, namespaces, lines, seed=seed)
    freed, runs = 0, 0
    for day in range(days):
        now = d.live(day)
        if day % every == every - 1:
            freed += d.retain(now + 3600, kill)
            d.check(now + 3600)
            runs += 1
            say('day %d: %d bytes stored, %d freed so far' % (day, d.stored(), freed))
    assert freed > 0 and runs > 0
    return freed


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument('--days', type=int, default=90)
    a.add_argument('--namespaces', type=int, default=50)
    a.add_argument('--lines', type=int, default=200)
    a.add_argument('--every', type=int, default=7)
    a.add_argument('--seed', type=int, default=1)
    a.add_argument('--kill', action='store_true')
    args = a.parse_args()
    folder = tempfile.mkdtemp(prefix='lp-retention-')
    try:
        freed = run(folder, args.days, args.namespaces, args.lines, args.every, args.kill, say=lambda text: print(text, flush=True), seed=args.seed)
        print('passed: %d bytes freed over %d days' % (freed, args.days))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
