"""streams.py - very many streams: 100,000 pods that write 20 lines each (many_streams.py beside the corpus), taken in and asked for by pod and by id."""
import json, os, random, subprocess

from . import corpus
from .queries import Query, exactly, exactly_times, lines_ask, needle

PODS, ROUNDS, RECORDS = 100000, 20, 2000000
START_S, END_S = corpus.START_S, corpus.START_S + ROUNDS * 60


def pod_times(i):
    """The times of pod number i's lines, as many_streams.py gives them."""
    return [START_S * 10**9 + rnd * 60 * 10**9 + i * 600000 for rnd in range(ROUNDS)]


# Draws what many_streams.py draws, and prints every 5,000th line, with all lines that have its id; and ids that are in none.
DRAW = '''
import collections, json, random, many_streams as m
random.seed(5)
by_id, kept = collections.defaultdict(list), []
for k in range(m.PODS * m.ROUNDS):
    words = [random.choice(m.WORDS) for _ in range(3)]
    id = random.getrandbits(32)
    line = 'level=info msg="%s %s %s" id=%08x dur=%dms' % (*words, id, random.randint(1, 2000))
    by_id[id].append(line)
    if k % 5000 == 17:
        kept.append(id)
absent = [id for id in (random.getrandbits(32) for _ in range(500)) if id not in by_id]
print(json.dumps({'lines': [by_id[id] for id in kept], 'absent': ['id=%08x' % id for id in absent]}))
'''


def drawn():
    """lines: [[those that share an id]] for ids from all over the work; absent: such that are in none."""
    script = os.path.join(corpus.SHARED, 'bench', 'many_streams.py')

    def make(path):
        drawn = subprocess.run([corpus.snappy_python(), '-c', DRAW], check=True, capture_output=True, env=dict(os.environ, PYTHONPATH=os.path.dirname(script)))
        with open(path, 'wb') as f:
            f.write(drawn.stdout)
    with open(corpus.cached('many-ids', [script], make)) as f:
        return json.load(f)


def queries(seed, literals=20):
    """One pod's last 20 lines; a line by its id, and an id that is not there, over all streams."""
    rnd = random.Random(seed)
    pods = [lines_ask('{pod="app%d-%06x"}' % (i % 500, i), exactly_times(lambda i=i: pod_times(i), 'level=info'), START_S, END_S, ROUNDS) for i in rnd.sample(range(PODS), literals)]
    ids = []
    for lines in rnd.sample(drawn()['lines'], literals):
        text = lines[0][lines[0].index('id='):][:11]
        ids.append(lines_ask('{app=~".+"} |= "%s"' % text, needle(text, lambda lines=lines: lines), START_S, END_S))
    absent = [lines_ask('{app=~".+"} |= "%s"' % id, exactly(lambda: []), START_S, END_S) for id in rnd.sample(drawn()['absent'], literals)]
    return [Query('pod', "a pod's last 20 lines", pods), Query('needle', 'an id, everywhere', ids), Query('absent', 'an id that is not there', absent)]
