"""streams.py - very many streams: 100,000 pods that write 20 lines each (many_streams.py beside the corpus), taken in and asked for by pod."""
import random

from . import corpus
from .queries import Query, exactly_times, lines_ask

PODS, ROUNDS, RECORDS = 100000, 20, 2000000
START_S, END_S = corpus.START_S, corpus.START_S + ROUNDS * 60


def pod_times(i):
    """The times of pod number i's lines, as many_streams.py gives them."""
    return [START_S * 10**9 + rnd * 60 * 10**9 + i * 600000 for rnd in range(ROUNDS)]


def queries(seed, literals=20):
    """One pod's last 20 lines."""
    rnd = random.Random(seed)
    asks = [lines_ask('{pod="app%d-%06x"}' % (i % 500, i), exactly_times(lambda i=i: pod_times(i), 'level=info'), START_S, END_S, ROUNDS) for i in rnd.sample(range(PODS), literals)]
    return [Query('pod', "a pod's last 20 lines", asks)]
