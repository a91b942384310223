"""queries.py - asking a server and judging its answers.

A Query is one or more Asks that mean the same with other literals. Every ask is sent once (the median of these is the honest figure: a literal
that was not asked before), then the last one again (the best of these is what the peers' figures are). Every first answer is checked. What the
server refuses as not evaluated yet is unsupported; any other refusal, and a wrong answer, is an error of the server.
"""
import collections, functools, http.client, json, random, re, string, time, urllib.parse

from . import corpus, generate
from .measure import median

NS = 10**9
UNSUPPORTED = 'cannot be evaluated yet'


class Ask:
    """path and params of a GET; check(data of the answer) says what is wrong, or None."""

    def __init__(self, path, params, check):
        self.path, self.params, self.check = path, params, check


class Query:
    def __init__(self, id, title, asks):
        self.id, self.title, self.asks = id, title, asks


def lines_ask(query, check, start, end, limit=100):
    return Ask('/loki/api/v1/query_range', {'query': query, 'start': start, 'end': end, 'limit': limit, 'direction': 'backward'}, check)


def range_ask(query, check, start, end, step):
    return Ask('/loki/api/v1/query_range', {'query': query, 'start': start, 'end': end, 'step': step}, check)


def instant_ask(query, check, at):
    return Ask('/loki/api/v1/query', {'query': query, 'time': at}, check)


# --- checks: functions of the answer's data ---

def rows_of(data):
    """[(time ns, line, labels)] of an answer with streams."""
    return [(int(v[0]), v[1], s['stream']) for s in data['result'] for v in s['values']]


def exactly(want):
    """These lines (want(): a list of lines), in any order. What is expected is computed when there is an answer to compare with."""
    def check(data):
        got, wanted = collections.Counter(r[1] for r in rows_of(data)), collections.Counter(want())
        if got == wanted:
            return None
        return '%d lines, should be %d; missing %d, not wanted %d' % (got.total(), wanted.total(), (wanted - got).total(), (got - wanted).total())
    return check


def needle(text, want):
    """Exactly want() lines, and the needle in each."""
    def check(data):
        without = [r[1] for r in rows_of(data) if text not in r[1]]
        return 'a line without the needle: ' + without[0][:100] if without else exactly(want)(data)
    return check


def exactly_times(times, pattern=None):
    """Lines of exactly these times (times(): a list of ns), the pattern in each."""
    def check(data):
        rows = rows_of(data)
        odd = [r[1] for r in rows if pattern and not re.search(pattern, r[1])]
        if odd:
            return 'a line that does not match: ' + odd[0][:100]
        got, wanted = sorted(r[0] for r in rows), sorted(times())
        return None if got == wanted else '%d lines, should be %d, or of other times' % (len(got), len(wanted))
    return check


def value(want):
    """One sample (instant query): want(); no sample where that is 0, as nothing is not counted."""
    def check(data):
        got, wanted = [float(s['value'][1]) for s in data['result']], [want()] if want() else []
        return None if got == wanted else '%s, should be %s' % (got, wanted)
    return check


def series(label, want, tolerance=0.0):
    """Samples by label and time: want() = {label value: {time s: number}}."""
    def check(data):
        wanted = want()
        got = {s['metric'].get(label, ''): {int(float(t)): float(v) for t, v in s['values']} for s in data['result']}
        if got.keys() != wanted.keys():
            return 'series %s, should be %s' % (sorted(got)[:5], sorted(wanted)[:5])
        for name, points in wanted.items():
            for t in points.keys() | got[name].keys():
                a, b = got[name].get(t), points.get(t)
                if a is None or b is None or abs(a - b) > tolerance * abs(b):
                    return '%s at %d: %s, should be %s' % (name, t, a, b)
        return None
    return check


# --- asking ---

class Asker:
    """One keep-alive connection; ms are from the request's first byte to the answer's last."""

    def __init__(self, address):
        self.c = http.client.HTTPConnection(*address, timeout=300)

    def ask(self, a):
        target = a.path + '?' + urllib.parse.urlencode(a.params)
        begin = time.monotonic()
        self.c.request('GET', target)
        r = self.c.getresponse()
        body = r.read()
        return (time.monotonic() - begin) * 1000, r.status, body

    def close(self):
        self.c.close()


def judge(ask, status, body):
    """(verdict, detail) of one answer: ok, unsupported, refused or wrong."""
    text = body[:300].decode('utf8', 'replace')
    if status == 400 and UNSUPPORTED in text:
        return 'unsupported', text
    if status != 200:
        return 'refused', '%d: %s' % (status, text)
    try:
        wrong = ask.check(json.loads(body)['data'])
    except (ValueError, KeyError, IndexError, TypeError) as e:
        wrong = 'not the form of an answer: %r' % e
    return ('wrong', wrong) if wrong else ('ok', None)


def run_query(asker, q, repeats):
    firsts, verdict, detail = [], 'ok', None
    for a in q.asks:
        ms, status, body = asker.ask(a)
        firsts.append(ms)
        verdict, detail = judge(a, status, body)
        if verdict != 'ok':
            break
    again = [asker.ask(q.asks[-1])[0] for _ in range(repeats)] if verdict == 'ok' else []
    first_ms, best_ms = (median(firsts), min(again + firsts)) if verdict == 'ok' else (None, None)
    return {'id': q.id, 'title': q.title, 'query': q.asks[0].params['query'], 'verdict': verdict, 'detail': detail, 'firsts': len(firsts), 'repeats': len(again),
            'first_ms': first_ms and round(first_ms, 2), 'best_ms': best_ms and round(best_ms, 2)}


def run_queries(address, queries, repeats=5):
    asker = Asker(address)
    try:
        return [run_query(asker, q, repeats) for q in queries]
    finally:
        asker.close()


# --- the queries of the corpus ---

ALL = '{app=~".+"}'
HEX = '0123456789abcdef'


def draw_ids(app, pattern, rnd, n):
    """n different ids out of random lines of a service."""
    ids = []
    lines = corpus.service_records(app)
    while len(ids) < n:
        m = re.search(pattern, lines[rnd.randrange(len(lines))][2])
        if m and m.group(1) not in ids:
            ids.append(m.group(1))
    return ids


def corpus_queries(seed, literals=20):
    """q01 to q14 over the whole corpus."""
    rnd, start, end = random.Random(seed), corpus.START_S, corpus.END_S
    api, nginx = [draw_ids(app, p, rnd, literals) for app, p in (('storefront-api', r'"request_id":"([0-9a-f]{32})"'), ('ingress-nginx', r'([0-9a-f]{32})$'))]
    middles = [i[8:23] for i in draw_ids('storefront-api', r'"request_id":"([0-9a-f]{32})"', rnd, literals)]
    absent = ['zzzqqqxxx'] + [''.join(rnd.choices(string.ascii_lowercase, k=9)) for _ in range(literals - 1)]
    once = functools.lru_cache(None)
    errors, slow = once(count_errors), once(count_slow)
    anywhere, in_nginx = once(lambda: corpus.lines_with(api + middles + absent)), once(lambda: corpus.lines_with(nginx, 'ingress-nginx'))

    def literal_asks(form, literals, found, limit=100):
        return [lines_ask(form % text, needle(text, lambda text=text: found()[text]), start, end, limit) for text in literals]
    return [
        Query('q01', 'an id, everywhere', literal_asks(ALL + ' |= "%s"', api, anywhere)),
        Query('q02', 'an id, one app', literal_asks('{app="ingress-nginx"} |= "%s"', nginx, in_nginx)),
        Query('q03', 'an absent word', literal_asks(ALL + ' |= "%s"', absent, anywhere)),
        Query('q04', '15 characters inside an id', literal_asks(ALL + ' |= "%s"', middles, anywhere)),
        Query('q05', 'a regex, no match', [lines_ask(ALL + ' |~ "token=[0-9a-f]{8}beef[0-9a-f]{4}"', needle('beef', lambda: []), start, end)]),
        Query('q06', 'count of (?i)error', [instant_ask('sum(count_over_time(%s |~ "(?i)error" [6h]))' % ALL, value(errors), end)]),
        Query('q07', 'count of a regex, one app', [instant_ask('sum(count_over_time({app="postgres"} |~ "[0-9]{6}\\\\.[0-9]+ ms" [6h]))', value(slow), end)]),
        Query('q08', 'rate by app', [range_ask('sum by (app)(count_over_time(%s[1m]))' % ALL, series('app', lambda: counts_by_app(60)), start, end, 60)]),
        Query('q09', 'JSON, count by status', [range_ask('sum by (status)(count_over_time({app="storefront-api"} | json status="status" [5m]))',
                                                         series('status', lambda: counts_by_status(300)), start, end, 300)]),
        Query('q10', 'JSON, status=502', [lines_ask('{app="storefront-api"} | json | status=502', exactly_times(lambda: newest_times('storefront-api', 100, '"status":502\\b'), '"status":502\\b'), start, end)]),
        Query('q11', 'JSON, 0.99 quantile by method', [range_ask('quantile_over_time(0.99,{app="storefront-api"} | json | unwrap bytes [1h]) by (method)',
                                                                 series('method', lambda: quantiles(0.99, 3600), 0.001), start, end, 3600)]),
        Query('q12', 'last 100 of a pod', [lines_ask('{app="kafka",pod="kafka-7d4b9c6f5-xkafk"}', exactly(lambda: last_of_pod('kafka', 'kafka-7d4b9c6f5-xkafk', 100)), start, end)]),
        Query('q13', 'last 1000 of all', [lines_ask(ALL, exactly_times(lambda: sorted(t for app in corpus.apps() for t in newest_times(app, 1000))[-1000:]), start, end, 1000)]),
        Query('q14', 'an app, 2000 lines', [lines_ask('{app="hub-zookeeper"}', exactly(lambda: [r[2] for r in corpus.service_records('hub-zookeeper')]), start, end, 2000)]),
    ]


def head_queries(seed):
    """q01 to q03 while what is asked for may or may not have come in yet: only lines that should not be there are wrong."""
    def lenient(text):
        return lambda data: next(('a line without the needle' for r in rows_of(data) if text not in r[1]), None)
    out = []
    for q in corpus_queries(seed)[:3]:
        for a in q.asks:
            a.check = lenient(re.search(r'\|= "(.*)"', a.params['query']).group(1))
        out.append(q)
    return out


def bin_end(ts, step):
    """The evaluation time, in seconds, of the window (t - step, t] that holds a time."""
    return -(-(ts - corpus.START_S * NS) // (step * NS)) * step + corpus.START_S


def count_errors():
    """Windows begin after their start: the first record of each service is outside."""
    return corpus.count_lines('[eE][rR][rR][oO][rR]') - sum(1 for app in corpus.apps() if re.search('(?i)error', corpus.service_records(app)[0][2]))


def count_slow():
    return sum(1 for t, _, line in corpus.service_records('postgres') if t > corpus.START_S * NS and re.search(r'[0-9]{6}\.[0-9]+ ms', line))


def counts_by_app(step):
    return {app: dict(collections.Counter(bin_end(r[0], step) for r in corpus.service_records(app))) for app in corpus.apps()}


def counts_by_status(step):
    out = {}
    for t, _, line in corpus.service_records('storefront-api'):
        points = out.setdefault(str(json.loads(line)['status']), collections.Counter())
        points[bin_end(t, step)] += 1
    return out


def quantiles(q, step):
    """As Prometheus computes them: between the two nearest ranks."""
    values = {}
    for t, _, line in corpus.service_records('storefront-api'):
        fields = json.loads(line)
        values.setdefault(fields['method'], {}).setdefault(bin_end(t, step), []).append(fields['bytes'])
    return {method: {t: quantile(q, sorted(v)) for t, v in points.items()} for method, points in values.items()}


def quantile(q, ordered):
    rank = q * (len(ordered) - 1)
    low = int(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def newest_times(app, n, pattern=''):
    out = []
    for t, _, line in reversed(corpus.service_records(app)):
        if re.search(pattern, line):
            out.append(t)
            if len(out) == n:
                break
    return out


def last_of_pod(app, pod, n):
    return [line for _, p, line in corpus.service_records(app) if p == pod][-n:]


# --- the like over generated work: the same ids where the question is the same ---

def generated_queries(work, facts, seed, literals=20):
    """facts: what the senders made (generate.facts, added up). Without a kind of line that has ids, queries for ids are left out."""
    rnd, start, end = random.Random(seed), generate.T0, work.end_s
    found = draw_generated(work, rnd, 3 * literals)
    pod = rnd.choice(work.pods[:len(work.kinds)])
    absent = [''.join(rnd.choices('ghijklmnopqrstuvwxyz', k=9)) + 'zq' for _ in range(literals)]
    middle = rnd.randrange(max(1, work.bodies - 2))
    window = [generate.T0 + k * generate.LINES // generate.RATE for k in (middle, min(middle + 2, work.bodies))]
    ask = lambda text, check, **kw: lines_ask(text, check, start, end, **kw)
    out = [
        Query('q01', 'an id, everywhere', [ask('%s |= "%s"' % (ALL, i), needle(i, lambda line=line: [line])) for line, _, i in found[:literals]]),
        Query('q02', 'an id, one app', [ask('{app="%s"} |= "%s"' % (p.app, i), needle(i, lambda line=line: [line])) for line, p, i in found[literals:2 * literals]]),
        Query('q03', 'an absent word', [ask('%s |= "%s"' % (ALL, word), needle(word, lambda: [])) for word in absent]),
        Query('q04', '15 characters inside an id', [ask('%s |= "%s"' % (ALL, i[8:23]), needle(i[8:23], lambda line=line: [line])) for line, _, i in found[2 * literals:3 * literals]]),
        Query('q05', 'a regex, no match', [ask(ALL + ' |~ "trace=[0-9a-f]{8}zz[0-9a-f]{4}"', needle('zz', lambda: []))]),
        Query('q06', 'count of (?i)error', [instant_ask('sum(count_over_time(%s |~ "(?i)error" [%ds]))' % (ALL, end - start), value(lambda: facts['errors']), end)]),
        Query('q08', 'count by app', [range_ask('sum by (app)(count_over_time(%s[%ds]))' % (ALL, end - start),
                                                series('app', lambda: {app: {end: n} for app, n in facts['apps'].items()}), end, end, end - start)]),
        Query('q12', 'last 100 of a pod', [ask('{app="%s",pod="%s"}' % (pod.app, pod.name), exactly(lambda: last_generated(work, pod, 100)))]),
        Query('q13', 'last 1000 of all', [ask(ALL, exactly_times(lambda: work.body(work.bodies - 1).times[-1000:]), limit=1000)]),
        Query('q14', 'an app, some seconds', [lines_ask('{app="%s"}' % pod.app, exactly(lambda: app_window(work, pod.app, middle, 5000)), window[0], window[1], 5000)]),
    ]
    return [q for q in out if q.asks]


def draw_generated(work, rnd, n):
    """[(line, Pod, id)]: n records with an id, out of random bodies."""
    found = []
    while len(found) < n and {'access', 'json'} & set(work.kinds):
        body = work.body(rnd.randrange(work.bodies))
        for i in rnd.sample(range(len(body.lines)), 40):
            m = re.search('[0-9a-f]{32}', body.lines[i])
            if m:
                found.append((body.lines[i], work.pods[body.pods[i]], m.group()))
    rnd.shuffle(found)
    return found[:n]


def last_generated(work, pod, n):
    out = []
    for k in reversed(range(work.bodies)):
        out = [line for _, line, _ in work.records_of(k, k + 1, lambda _, p: p.name == pod.name)] + out
        if len(out) >= n:
            break
    return out[-n:]


def app_window(work, app, first, n):
    """The newest n lines of an app in two bodies."""
    return [line for _, line, _ in work.records_of(first, min(first + 2, work.bodies), lambda _, p: p.app == app)][-n:]
