"""corpus.py - the benchmark corpus (../shared/corpus beside the repository): its bodies, made once, and what is known about its lines.

Bodies are kept in $XDG_CACHE_HOME/logpond-bench (else ~/.cache/logpond-bench), one folder a kind; a marker holds the hash of what they were
made from, so that they are made again when the corpus changes. The corpus's own records.py makes them and says what is in a record.
"""
import functools, glob, hashlib, importlib.util, json, os, re, shutil, subprocess, sys

from .measure import BenchError, say, search_tool

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), 'shared')
CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'logpond-bench')
RECORDS = 1010593
START_S, END_S = 1795132800, 1795154400
# Y2's needle, as the peers were measured with it: the request id in line 120,000 of this service.
NEEDLE_SERVICE, NEEDLE_LINE = 'storefront-api', 120000


def available():
    return os.path.exists(os.path.join(SHARED, 'corpus', 'records.py'))


@functools.lru_cache(None)
def snappy_python():
    """A Python that has snappy: this one, else the distribution's; None without any."""
    for python in (sys.executable, '/usr/bin/python3'):
        if os.path.exists(python) and subprocess.run([python, '-c', 'import snappy'], stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


@functools.lru_cache(None)
def records():
    """The module records.py."""
    spec = importlib.util.spec_from_file_location('records', os.path.join(SHARED, 'corpus', 'records.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_from(*paths):
    h = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as f:
            h.update(f.read())
    return h.hexdigest()


def cached(kind, sources, make):
    """CACHE/kind, made by make(path) unless its marker says that it stands for the same sources."""
    path, marker = os.path.join(CACHE, kind), os.path.join(CACHE, kind + '.made')
    want = made_from(*sources)
    if os.path.exists(path) and os.path.exists(marker):
        with open(marker) as f:
            if f.read() == want:
                return path
    say('making %s in %s' % (kind, CACHE))
    os.makedirs(CACHE, exist_ok=True)
    shutil.rmtree(path) if os.path.isdir(path) else None
    make(path)
    with open(marker, 'w') as f:
        f.write(want)
    return path


def corpus_files():
    return [os.path.join(SHARED, 'corpus', 'records.py')] + sorted(glob.glob(os.path.join(SHARED, 'corpus', '*.log.zst')))


def raw():
    """The plain messages, one file."""
    return cached('raw', corpus_files(), lambda path: subprocess.run([sys.executable, corpus_files()[0], 'raw', path], check=True))


def bodies(kind):
    """Paths of request bodies: kind jl, loki, kafka (one file, a message a line) or lokijson. loki needs snappy_python()."""
    python = snappy_python() if kind == 'loki' else sys.executable

    def make(path):
        if kind == 'lokijson':
            make_loki_json(path)
        else:
            subprocess.run([python, corpus_files()[0], 'payloads', CACHE, kind], check=True, stdout=sys.stderr)
    return sorted(glob.glob(os.path.join(cached(kind, corpus_files(), make), '*')))


def make_loki_json(path):
    """The records as Loki pushes them in JSON, cut as records.py cuts its bodies."""
    os.makedirs(path)
    streams, size, n = {}, 0, 0

    def flush():
        with open(os.path.join(path, '%05d' % n), 'w') as f:
            json.dump({'streams': [{'stream': dict(labels), 'values': values} for labels, values in streams.items()]}, f, separators=(',', ':'))
    for ts, ns, pod, container, stream, node, app, line in records().records():
        labels = (('app', app), ('container', container), ('namespace', ns), ('node', node), ('pod', pod), ('stream', stream))
        streams.setdefault(labels, []).append([str(ts), line])
        size += len(line) + 300
        if size > records().BODY_BYTES:
            flush()
            streams, size, n = {}, 0, n + 1
    if streams:
        flush()


def many_streams():
    """Paths of the bodies of many_streams.py; needs snappy_python()."""
    script = os.path.join(SHARED, 'bench', 'many_streams.py')
    make = lambda path: subprocess.run([snappy_python(), script, path], check=True, stdout=sys.stderr)
    return sorted(glob.glob(os.path.join(cached('many', [script, corpus_files()[0]], make), '*')))


# --- what is in it ---

@functools.lru_cache(None)
def service_records(app):
    """[(time ns, pod, line)] of a service, in time order."""
    service = [s for s in records().SERVICES if s[0] == app][0]
    return [(r[0], r[2], r[-1]) for r in records().one(*service)]


def apps():
    return [s[0] for s in records().SERVICES]


def yardstick_needle():
    line = service_records(NEEDLE_SERVICE)[NEEDLE_LINE - 1][2]
    return re.search(r'"request_id":"([0-9a-f]{32})"', line).group(1)


def lines_with(needles, app=None):
    """{needle: its lines} over the corpus or one service, by the search tool."""
    text = None if app is None else '\n'.join(line for _, _, line in service_records(app))
    found = subprocess.run([search_tool(), '-a', '-F'] + [a for n in needles for a in ('-e', n)] + ([raw()] if app is None else []), input=text, capture_output=True, text=True)
    if found.returncode not in (0, 1):
        raise BenchError(found.stderr)
    lines = found.stdout.split('\n')[:-1]
    return {needle: [line for line in lines if needle in line] for needle in needles}


def count_lines(pattern):
    """Lines of the corpus that match a regular expression."""
    found = subprocess.run([search_tool(), '-a', '-c', '-e', pattern, raw()] + (['-E'] if search_tool() == 'grep' else []), capture_output=True, text=True)
    return int(found.stdout or 0)
