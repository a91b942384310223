"""ingest.py - what it costs to take records in: a load is started on a fresh server, everything is accepted and sealed by a clean end,
and a second server counts what is stored.

A load has start(address), wait() (returns when all is accepted; raises what went wrong) and body_bytes(). The kinds: Files (send.py),
Generated (processes that make bodies while they send them) and Topic (nothing is sent: the server consumes).
"""
import json, os, shutil, subprocess, sys, tempfile, time

from . import corpus, generate
from .measure import BenchError, child_cpu, into_page_cache, say
from .node import Node, stored_records

sys.path.append(os.path.join(corpus.ROOT, 'tests', 'tools'))
import broker  # noqa: E402



class Generated:
    """A load of generated work; the senders are processes of their own, so their CPU time is not the server's. facts: what they made."""

    def __init__(self, work, form, senders=2):
        self.work, self.form, self.senders, self.facts = work, form, senders, {}

    def start(self, address):
        command = generate.to_options(self.work, self.form, corpus.snappy_python() if self.form == 'loki' else sys.executable)
        self.processes = [subprocess.Popen(command + ['--send', '%s:%d' % address, '--part', '%d/%d' % (i, self.senders)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
                          for i in range(self.senders)]

    def wait(self):
        self.facts = {}
        answers = [p.communicate()[0] for p in self.processes]
        if any(p.returncode for p in self.processes):
            raise BenchError('a sender failed')
        for answer in answers:
            generate.add_facts(self.facts, json.loads(answer))

    def body_bytes(self):
        return self.facts['body_bytes']


class Topic:
    """A load that stands in a topic already: the server that consumes it is watched until it has all records."""

    def __init__(self, kafka, topic, records, size):
        self.kafka, self.topic, self.records, self.size, self.groups = kafka, topic, records, size, 0

    def flags(self):
        """For the next server: a consumer group of its own, from the beginning."""
        self.groups += 1
        return ['--kafka-brokers', self.kafka.address, '--kafka-topics', self.topic, '--kafka-group', 'bench-%d' % self.groups]

    def start(self, address):
        pass

    def wait(self, node):
        node.wait_for(lambda: node.rows() >= self.records, 600, 'to consume %d records' % self.records, interval=0.1)

    def body_bytes(self):
        return self.size

    def floor(self):
        """CPU seconds of kcat that consumes the topic and does nothing with it."""
        return child_cpu(['kcat', '-b', self.kafka.address, '-t', self.topic, '-C', '-o', 'beginning', '-e', '-q'], stdin=subprocess.DEVNULL)


def run_once(binary, load, records, folder, flags=(), profile=False):
    """One measured life of a server in a fresh folder: its figures."""
    node = Node(binary, folder, ['--compact=off'] + list(flags) + (load.flags() if isinstance(load, Topic) else []))
    try:
        begin = time.monotonic()
        node.start(profile)
        load.start(node.address)
        load.wait(node) if isinstance(load, Topic) else load.wait()
        accepted = time.monotonic() - begin
        result = node.stop()
        result.update(accept_wall_s=round(accepted, 3), sealed_wall_s=round(time.monotonic() - begin, 3))
    finally:
        node.kill()
    check_stored(stored_records(binary, folder), records, folder)
    result['compacted'] = compact(binary, folder)
    check_stored(stored_records(binary, folder), records, folder)
    if profile:
        result['profile'] = node.profile.result()
    return result


def compact(binary, folder):
    """Rewrites the store into final files, by a life of its own: its figures."""
    node = Node(binary, folder, name='compact')
    try:
        begin = time.monotonic()
        node.start()
        node.compact()
        wall = time.monotonic() - begin
        r = node.stop()
    finally:
        node.kill()
    return {'wall_s': round(wall, 3), **{k: r[k] for k in ('cpu_s', 'rss_anon_peak_bytes', 'stored_bytes', 'segment_bytes', 'segments')}}


def check_stored(have, want, folder):
    if have != want:
        raise BenchError('%d records are stored, and should be %d: see %s' % (have, want, folder))


class Ingest:
    """The measurements of a part: `runs` lives, each in a folder of its own; the last one's folder stays (store) until clean()."""

    def __init__(self, binary, yards, runs, place, profile=False):
        self.binary, self.yards, self.runs, self.place, self.profile, self.store = binary, yards, runs, place, profile, None

    def measure(self, name, load, records):
        out = []
        for i in range(self.runs):
            folder = tempfile.mkdtemp(prefix=name + '.', dir=self.place)
            self.yards.again()
            r = run_once(self.binary, load, records, folder)
            r['over_y1'] = self.yards.over_y1(r['cpu_s'])  # as it stands; report.ratios has the last word
            c = r['compacted']
            say('%s %d: %.2f CPU s = %.2f x Y1, RssAnon %.0f MB, stored %.2f MB; merged: %.2f CPU s more, RssAnon %.0f MB, stored %.2f MB' % (
                name, i + 1, r['cpu_s'], r['over_y1'], r['rss_anon_peak_bytes'] / 1e6, r['stored_bytes'] / 1e6, c['cpu_s'], c['rss_anon_peak_bytes'] / 1e6, c['stored_bytes'] / 1e6))
            out.append(r)
            if self.store:
                shutil.rmtree(self.store)
            self.store = folder
        result = {'records': records, 'body_bytes': load.body_bytes(), 'runs': out, 'best': min(out, key=lambda r: r['cpu_s']), 'profile': None}
        if self.profile:  # a life of its own: perf costs a little
            folder = tempfile.mkdtemp(prefix=name + '.perf.', dir=self.place)
            result['profile'] = run_once(self.binary, load, result['records'], folder, profile=True)['profile']
            shutil.rmtree(folder)
        return result


class Kafka:
    """A broker of its own for the time of a `with`."""

    def __init__(self, place):
        self.folder = tempfile.mkdtemp(prefix='broker.', dir=place)

    @staticmethod
    def missing():
        """Why there can be no broker; None if there can."""
        if not broker.available():
            return 'no Kafka broker: Java or its jars are missing (tests/tools/broker.py gets the jars)'
        return None if shutil.which('kcat') else 'kcat is missing'

    def __enter__(self):
        self.broker = broker.Broker(self.folder)
        try:
            return self.broker.start()
        except BaseException:
            self.broker.stop()
            raise

    def __exit__(self, *_):
        self.broker.stop()
        shutil.rmtree(self.folder)


def produce_file(kafka, topic, path):
    into_page_cache([path])
    kafka.topic(topic)
    kafka.produce(topic, path)


def produce_work(kafka, topic, work):
    """Generated messages go through a pipe; bytes of them."""
    kafka.topic(topic)
    maker = subprocess.Popen(generate.to_options(work, 'kafka'), stdout=subprocess.PIPE)
    kcat = subprocess.Popen(['kcat', '-b', kafka.address, '-t', topic, '-P', '-z', 'lz4', '-X', 'linger.ms=20', '-X', 'queue.buffering.max.messages=200000'], stdin=subprocess.PIPE)
    size = 0
    while True:
        piece = maker.stdout.read(1 << 20)
        if not piece:
            break
        kcat.stdin.write(piece)
        size += len(piece)
    kcat.stdin.close()
    if maker.wait() or kcat.wait():
        raise BenchError('producing to the broker failed')
    return size
