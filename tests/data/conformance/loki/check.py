#!/usr/bin/env python3
"""Replay the recorded Loki cases against a log server and compare the answers.

  gen_corpus.py corpus                                   make the corpus, once
  check.py --url http://127.0.0.1:3100 --push            push the corpus, run all cases
  check.py --url http://127.0.0.1:3100 --group json -v   one group, with whole answers
  check.py --url ... --cases DIR                         another folder of cases
  check.py --url ... --id 'time-0*' --id json-003        some cases by name

Needs Python 3.6 or later and nothing else. The last line is `N passed, N failed`;
the exit status is 1 when a case failed, 2 when the run itself could not be done.
"""
import argparse
import fnmatch
import http.client
import json
import math
import os
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
REL, ABS = 1e-9, 1e-12
EXACT_DETAILS = False    # compare the texts in __error_details__ too


# ------------------------------------------------------------------ transport
class Client:
    def __init__(self, url, headers=None, timeout=120):
        u = urllib.parse.urlsplit(url if '//' in url else 'http://' + url)
        self.secure = u.scheme == 'https'
        self.host, self.port, self.base = u.hostname, u.port, u.path.rstrip('/')
        self.headers, self.timeout, self.conn = headers or {}, timeout, None

    def request(self, method, path, body=None, headers=None):
        """-> (status, text); one fresh try when a kept-alive connection was closed"""
        h = dict(self.headers)
        h.update(headers or {})
        for attempt in (0, 1):
            fresh = self.conn is None
            if fresh:
                cls = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
                self.conn = cls(self.host, self.port, timeout=self.timeout)
            try:
                self.conn.request(method, self.base + path, body, h)
                r = self.conn.getresponse()
                data = r.read()
                if r.will_close:
                    self.close()
                return r.status, data.decode('utf-8', 'replace')
            except (http.client.HTTPException, OSError):
                self.close()
                if fresh or attempt:
                    raise

    def close(self):
        if self.conn is not None:
            self.conn.close()
        self.conn = None


def run_case(client, case):
    q = urllib.parse.urlencode(case['params'], doseq=True)
    method = case.get('method', 'GET')
    headers = dict(case.get('headers') or {})
    if method == 'POST':
        headers['Content-Type'] = 'application/x-www-form-urlencoded'
        return client.request('POST', case['endpoint'], q.encode(), headers)
    return client.request(method, case['endpoint'] + ('?' + q if q else ''), None, headers)


# ------------------------------------------------------------ canonical answers
def key(x):
    return json.dumps(x, sort_keys=True, ensure_ascii=False)


def drop_labels(streams, names):
    """remove labels, then join the streams that became equal"""
    joined = {}
    for s in streams:
        labels = {k: v for k, v in s['stream'].items() if k not in names}
        vals = []
        for v in s['values']:
            if len(v) > 2 and isinstance(v[2], dict):
                v = v[:2] + [{c: {k: x for k, x in m.items() if k not in names} if isinstance(m, dict) else m for c, m in v[2].items()}] + v[3:]
            vals.append(v)
        joined.setdefault(key(labels), (labels, []))[1].extend(vals)
    for labels, vals in joined.values():
        vals.sort(key=lambda v: (v[0], v[1]))
    return [{'stream': a, 'values': b} for a, b in joined.values()]


def canonical(status, text, ordered=False, ignore_labels=()):
    """an answer with its accidental parts (statistics, order of sets) removed"""
    # {"status":"success"} and {"status":"success","data":[]} mean the same, as do {} and {"fields":[],"limit":1000}
    if status != 200:
        return {'error': text}
    try:
        j = json.loads(text)
    except ValueError:
        return {'text': text}
    if not isinstance(j, dict):
        return j
    data = j.get('data')
    j.pop('stats', None)
    if isinstance(data, dict):
        data.pop('stats', None)
        res, kind = data.get('result'), data.get('resultType')
        if isinstance(res, list):
            if kind == 'streams':
                if ignore_labels:
                    res = drop_labels(res, ignore_labels)
                res = sorted(res, key=lambda s: key(s.get('stream')))
            elif kind in ('vector', 'matrix'):
                for s in res if ignore_labels else ():
                    s['metric'] = {k: v for k, v in s['metric'].items() if k not in ignore_labels}
                if not ordered:
                    res = sorted(res, key=lambda s: (key(s.get('metric')), key(s.get('value', s.get('values')))))
            data['result'] = res
    elif isinstance(data, list) and data:
        j['data'] = sorted(data, key=key)
    elif not data:
        j.pop('data', None)
    elif isinstance(j.get('streams'), list):                 # old /api/prom/query
        if all(isinstance(s, dict) for s in j['streams']):
            j['streams'] = sorted(j['streams'], key=lambda s: key(s.get('labels')))
    for name in ('detectedLabels', 'fields', 'values'):
        if name in j and not j[name]:
            return {}
        if isinstance(j.get(name), list):
            j[name] = sorted(j[name], key=lambda f: f.get('label', '') if isinstance(f, dict) else str(f))
            for f in j[name]:
                if isinstance(f, dict) and 'parsers' in f:
                    f['parsers'] = f['parsers'] or None
    return j


# ------------------------------------------------------------------ comparison
def num(x):
    try:
        return float(x)
    except (TypeError, ValueError):
        return None


def close(a, b, rel=REL, abs_=ABS):
    if a is None or b is None:
        return False
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= max(rel * max(abs(a), abs(b)), abs_)


def show(x, n=160):
    s = json.dumps(x, ensure_ascii=False, sort_keys=True) if not isinstance(x, str) else x.replace('\n', '\\n')
    return s if len(s) <= n else s[:n] + '... (%d characters)' % len(s)


def diff_samples(want, got, tol, path):
    """lists of [seconds, "number"]"""
    if not isinstance(got, list) or not all(isinstance(p, list) and len(p) == 2 for p in got):
        return '%s: not a list of samples: %s' % (path, show(got))
    wt, gt = [p[0] for p in want], [p[0] for p in got]
    for i, (w, g) in enumerate(zip(want, got)):
        if not close(num(w[0]), num(g[0]), 0, 0.0005):
            return '%s[%d]: sample time expected %s got %s (%d and %d samples)' % (path, i, w[0], g[0], len(wt), len(gt))
        if not isinstance(g[1], str):
            return '%s[%d]: sample value is not a string: %s' % (path, i, show(g[1]))
        if not close(num(w[1]), num(g[1]), *tol):
            return '%s[%d] at %s: expected %s got %s' % (path, i, w[0], w[1], g[1])
    if len(want) != len(got):
        return '%s: %d samples expected, %d came; %s' % (path, len(want), len(got), ('missing %s' % show(want[len(got)])) if len(want) > len(got) else ('extra %s' % show(got[len(want)])))
    return None


def diff(want, got, how, path=''):
    """None when equal, else one line about the first difference"""
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return '%s: expected an object, got %s' % (path or '.', show(got))
        skip = how.get('ignore', ())
        for k in sorted(want):
            if k in skip:
                continue
            if k not in got:
                return '%s.%s: missing, expected %s' % (path, k, show(want[k]))
            tol = how.get('approx', {}).get(k)
            if tol:
                if not close(num(want[k]), num(got[k]), tol['rel'], tol['abs']):
                    return '%s.%s: expected about %s, got %s' % (path, k, want[k], show(got[k]))
                continue
            d = diff(want[k], got[k], how, path + '.' + k)
            if d:
                return d
        extra = [k for k in sorted(got) if k not in want and k not in skip]
        if extra:
            return '%s.%s: not expected: %s' % (path, extra[0], show(got[extra[0]]))
        return None
    if isinstance(want, list):
        if not isinstance(got, list):
            return '%s: expected a list, got %s' % (path, show(got))
        for i, w in enumerate(want):
            if i >= len(got):
                return '%s: %d items expected, %d came; first missing: %s' % (path, len(want), len(got), show(w))
            d = diff(w, got[i], how, '%s[%d]' % (path, i))
            if d:
                if len(want) != len(got):
                    d += ' (%d items expected, %d came)' % (len(want), len(got))
                return d
        if len(got) > len(want):
            return '%s: %d items expected, %d came; first extra: %s' % (path, len(want), len(got), show(got[len(want)]))
        return None
    if isinstance(want, bool) or isinstance(got, bool) or not isinstance(want, (int, float)):
        return None if type(want) == type(got) and want == got else '%s: expected %s got %s' % (path, show(want), show(got))
    if isinstance(got, (int, float)) and close(float(want), float(got)):
        return None
    return '%s: expected %s got %s' % (path, want, show(got))


def diff_result(want, got, how):
    """query answers: numbers inside samples compare as numbers"""
    wd, gd = want.get('data'), got.get('data') if isinstance(got, dict) else None
    if not isinstance(wd, dict) or not isinstance(gd, dict) or wd.get('resultType') not in ('vector', 'matrix', 'scalar') or wd.get('resultType') != gd.get('resultType'):
        return diff(want, got, how)
    tol = how.get('values')
    tol = (tol['rel'], tol['abs']) if tol else (REL, ABS)
    w2, g2 = dict(want, data={k: v for k, v in wd.items() if k != 'result'}), dict(got, data={k: v for k, v in gd.items() if k != 'result'})
    d = diff(w2, g2, how)
    if d:
        return d
    w, g = wd.get('result'), gd.get('result')
    if wd['resultType'] == 'scalar':
        if isinstance(g, list) and len(g) == 2 and num(g[0]) is not None and close(num(g[0]) * 1000, num(w[0]), 0, 0.5):
            g = [w[0], g[1]]            # Loki gives milliseconds here; seconds are as good
        return diff_samples([w], [g], tol, 'result')
    if not isinstance(g, list):
        return 'result: expected a list, got %s' % show(g)
    wm, gm = [key(s['metric']) for s in w], [key(s.get('metric')) for s in g]
    if wm != gm:
        miss, extra = [m for m in wm if m not in gm], [m for m in gm if m not in wm]
        if miss:
            return 'result: %d series expected, %d came; missing %s%s' % (len(wm), len(gm), show(miss[0]), '; extra ' + show(extra[0]) if extra else '')
        if extra:
            return 'result: %d series expected, %d came; extra %s' % (len(wm), len(gm), show(extra[0]))
        return 'result: series in another order or repeated: expected %s got %s' % (show(wm), show(gm))
    for a, b, m in zip(w, g, wm):
        field = 'values' if 'values' in a else 'value'
        if field not in b:
            return 'result %s: no %s' % (m, field)
        d = diff_samples(a[field] if field == 'values' else [a[field]], b[field] if field == 'values' else [b[field]], tol, m)
        if d:
            return d
        other = diff({k: v for k, v in a.items() if k != field}, {k: v for k, v in b.items() if k != field}, how, m)
        if other:
            return other
    return None


def judge(case, status, text, ignore_labels=()):
    """-> (None or a short reason, the canonical answer that came)"""
    if not EXACT_DETAILS and '"__error_details__"' in key(case['response']):
        ignore_labels = list(ignore_labels) + ['__error_details__']
    how = case.get('compare') or {}
    try:
        got = canonical(status, text, how.get('ordered'), ignore_labels)
    except (AttributeError, IndexError, KeyError, TypeError) as e:
        return 'the answer has another shape (%s: %s): %s' % (type(e).__name__, e, show(text, 200)), {'text': text}
    if status != case['status'] and status not in how.get('status', ()):
        return 'status %d expected, got %d: %s' % (case['status'], status, show(text.strip(), 200)), got
    if status != 200:
        return None, got
    want = case['response']
    if ignore_labels:
        want = canonical(200, json.dumps(want), how.get('ordered'), ignore_labels)
    try:
        return (diff_result if isinstance(want, dict) and isinstance(got, dict) else diff)(want, got, how), got
    except (AttributeError, IndexError, KeyError, TypeError) as e:
        return 'the answer has another shape (%s: %s): %s' % (type(e).__name__, e, show(text, 200)), got


# ------------------------------------------------------------------------ push
def without_repeats(body, seen):
    """The body without records that are exactly equal (stream, time, line, metadata) to one in it or in seen."""
    data, met = json.loads(body.decode()), set(seen)
    for s in data['streams']:
        kept = []
        for v in s['values']:
            k = (key(s['stream']), key(v))
            if k not in met:
                met.add(k)
                kept.append(v)
        s['values'] = kept
    return json.dumps(data).encode()


def push(client, folder, flush, wait, drop_repeats=False):
    seen, files, last = set(), sorted(f for f in os.listdir(folder) if f.endswith('.json')), 0
    for f in files:
        with open(os.path.join(folder, f), 'rb') as fh:
            body = fh.read()
        if drop_repeats:
            body = without_repeats(body, seen)
        status, text = client.request('POST', '/loki/api/v1/push', body, {'Content-Type': 'application/json'})
        if status not in (200, 204):
            print('push of %s refused: %d %s' % (f, status, show(text.strip(), 400)))
            return False
        for s in json.loads(body.decode())['streams']:
            for v in s['values']:
                seen.add((key(s['stream']), key(v)))
                last = max(last, int(v[0]))
    print('%d files pushed, %d different records' % (len(files), len(seen)))
    if flush:
        print('flush: %d' % client.request('POST', flush)[0])
    # the records may become visible a little later
    query = urllib.parse.urlencode({'query': 'sum(count_over_time({app=~".+"}[3h]))', 'time': str(last + 10 ** 9)})
    until, n = time.time() + wait, None
    while True:
        status, text = client.request('GET', '/loki/api/v1/query?' + query)
        try:
            n = float(json.loads(text)['data']['result'][0]['value'][1])
        except (ValueError, KeyError, IndexError, TypeError):
            n = None
        if n is not None and n >= len(seen):
            break
        if time.time() > until:
            print('after %g s a count over all records answers %s (status %d), expected %d; going on' % (wait, n, status, len(seen)))
            break
        time.sleep(0.5)
    return True


def load(folder):
    """cases of *.json (one a file) and *.jsonl (one a line)"""
    out = []
    for f in sorted(os.listdir(folder)):
        if f.endswith(('.json', '.jsonl')):
            with open(os.path.join(folder, f), encoding='utf-8') as fh:
                out.extend([json.load(fh)] if f.endswith('.json') else map(json.loads, fh))
    return out


def main():
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')
    ap = argparse.ArgumentParser(description='Replay recorded Loki cases against a log server.')
    ap.add_argument('--url', required=True, help='where the server listens, e.g. http://127.0.0.1:3100')
    ap.add_argument('--push', action='store_true', help='push the corpus first (into an empty server)')
    ap.add_argument('--drop-repeats', action='store_true', help='leave out the three exactly repeated records: for a server that, unlike Loki, keeps them')
    ap.add_argument('--corpus', default=os.path.join(HERE, 'corpus'))
    ap.add_argument('--cases', default=os.path.join(HERE, 'cases'))
    ap.add_argument('--group', action='append', help='only this group (may be repeated)')
    ap.add_argument('--id', action='append', help='only cases whose id matches this shell pattern (may be repeated)')
    ap.add_argument('--header', action='append', default=[], metavar='NAME:VALUE', help='send with every request, e.g. X-Scope-OrgID:x')
    ap.add_argument('--flush', metavar='PATH', help='POST to this path after the push (Loki: /flush)')
    ap.add_argument('--wait', type=float, default=30, help='seconds to wait until the pushed records can be counted')
    ap.add_argument('--timeout', type=float, default=60, help='seconds to wait for one answer')
    ap.add_argument('--ignore-label', action='append', default=[], metavar='NAME', help='leave this label out of log streams on both sides, e.g. detected_level')
    ap.add_argument('--exact-details', action='store_true', help='compare the texts in the label __error_details__ too (they come from libraries)')
    ap.add_argument('-v', '--verbose', action='store_true', help='show query and whole answers of failing cases, and the text of errors')
    ap.add_argument('--dump', metavar='DIR', help='write the answers that came to DIR/<id>.json')
    a = ap.parse_args()
    global EXACT_DETAILS
    EXACT_DETAILS = a.exact_details
    client = Client(a.url, dict((h.split(':', 1)[0].strip(), h.split(':', 1)[1].strip()) for h in a.header), a.timeout)
    try:
        cases = load(a.cases)
        if a.push and not push(client, a.corpus, a.flush, a.wait, a.drop_repeats):
            return 2
    except (OSError, http.client.HTTPException) as e:
        print('cannot run: %s' % e)
        return 2
    if a.group:
        cases = [c for c in cases if c['group'] in a.group]
    if a.id:
        cases = [c for c in cases if any(fnmatch.fnmatch(c['id'], p) for p in a.id)]
    if a.dump:
        os.makedirs(a.dump, exist_ok=True)
    table, order = {}, []
    for c in cases:
        if c['group'] not in table:
            table[c['group']] = [0, 0]
            order.append(c['group'])
        try:
            status, text = run_case(client, c)
            why, got = judge(c, status, text, a.ignore_label)
        except (OSError, http.client.HTTPException) as e:
            status, why, got, text = 0, 'no answer: %s: %s' % (type(e).__name__, e), None, ''
        if a.dump:
            with open(os.path.join(a.dump, c['id'] + '.json'), 'w', encoding='utf-8') as fh:
                json.dump({'status': status, 'response': got}, fh, ensure_ascii=False, indent=1, sort_keys=True)
        table[c['group']][0 if why is None else 1] += 1
        if why is not None:
            print('FAIL %s  %s' % (c['id'], why))
            if c['status'] != 200:
                print('     Loki says: %s' % show(c['response'].get('error', '').strip(), 200))
            if a.verbose:
                print('     %s %s %s' % (c.get('method', 'GET'), c['endpoint'], json.dumps(c['params'], ensure_ascii=False)))
                print('     expected %s' % show(c['response'], 4000))
                print('     got      %s' % show(got, 4000))
        elif a.verbose and c['status'] != 200:
            print('ok   %s  %d\n     Loki says: %s\n     this says: %s' % (c['id'], status, show(c['response'].get('error', '').strip(), 200), show(text.strip(), 200)))
    width = max([len(g) for g in order] + [5])
    print('%-*s %7s %7s' % (width, 'group', 'passed', 'failed'))
    for g in order:
        print('%-*s %7d %7d' % (width, g, table[g][0], table[g][1]))
    ok, bad = sum(t[0] for t in table.values()), sum(t[1] for t in table.values())
    print('%d passed, %d failed' % (ok, bad))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
