"""Searching over HTTP: Loki's query endpoints and the export, as clients call them. Oracle: the records that were pushed."""
import base64, http.client, json, os, shutil, socket, subprocess, time, urllib.parse, zlib

import pytest

BASE = 1795132800 * 10**9  # 2026-11-20T00:00:00Z
Q = '/loki/api/v1/query_range'


def push(server, streams):
    """streams: [(labels, [(ns, line) or (ns, line, metadata), ...]), ...]"""
    body = json.dumps({'streams': [{'stream': labels, 'values': [[str(v[0])] + list(v[1:]) for v in values]} for labels, values in streams]})
    status, text, _ = server.request('POST', '/loki/api/v1/push', body, {'Content-Type': 'application/json'})
    assert status == 204, text


def refused(server, path, status=400, method='GET', **params):
    got, text, headers = server.request(method, path + '?' + urllib.parse.urlencode(params, doseq=True))
    assert got == status, (got, text)
    assert headers['content-type'] == 'text/plain; charset=utf-8'
    return text.decode()


def streams(server, query='{app=~".+"}', headers=None, **params):
    params = dict({'start': BASE, 'end': BASE + 3600 * 10**9, 'limit': 5000}, **params)
    status, body, _ = server.request('GET', Q + '?' + urllib.parse.urlencode(dict(params, query=query)), None, headers)
    assert status == 200, body
    data = json.loads(body)['data']
    assert data['resultType'] == 'streams'
    return data['result']


def lines(server, query='{app=~".+"}', **params):
    return [v[1] for s in streams(server, query, **params) for v in s['values']]


def export(server, headers=None, **params):
    """-> (body, trailers): http.client throws trailers away, so the chunks are read here. `headers` takes those of the answer."""
    accept = headers.pop('accept-encoding') if headers else 'identity'
    host, port = server.address.rsplit(':', 1)
    with socket.create_connection((host, int(port)), timeout=60) as s:
        s.sendall(('GET /api/v1/export?%s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\nConnection: close\r\n\r\n' % (urllib.parse.urlencode(params), accept)).encode())
        f = s.makefile('rb')
        assert f.readline().split()[1] == b'200'
        for line in iter(f.readline, b'\r\n'):
            name, value = line.decode().split(':', 1)
            (headers if headers is not None else {})[name.lower()] = value.strip()
        body = []
        while True:
            n = int(f.readline(), 16)
            if n == 0:
                break
            body.append(f.read(n))
            assert f.readline() == b'\r\n'
        trailers = {}
        for line in iter(f.readline, b'\r\n'):
            name, value = line.decode().split(':', 1)
            trailers[name.lower()] = value.strip()
        return b''.join(body), trailers


@pytest.fixture
def shop(server):
    """Ten lines a second apart in two streams, one of them with metadata."""
    push(server, [({'app': 'web', 'env': 'prod'}, [(BASE + i * 10**9, 'GET /item/%d' % i) for i in range(0, 10, 2)]),
                  ({'app': 'db', 'env': 'prod'}, [(BASE + i * 10**9, 'SELECT %d' % i, {'trace.id': 't%d' % i}) for i in range(1, 10, 2)])])
    return server


def test_order_and_limit(shop):
    every = [('GET /item/%d' if i % 2 == 0 else 'SELECT %d') % i for i in range(10)]
    for direction, expected in (('forward', every), ('FORWARD', every), ('backward', every[::-1]), ('', every[::-1])):
        for limit in (1, 3, 10):
            got = sorted((int(v[0]), v[1]) for s in streams(shop, direction=direction, limit=limit) for v in s['values'])
            if expected is not every:
                got.reverse()
            assert [line for _, line in got] == expected[:limit], (direction, limit)
    values = [s['values'] for s in streams(shop, direction='forward', query='{app="web"}')]
    assert values == [[[str(BASE + i * 10**9), 'GET /item/%d' % i] for i in range(0, 10, 2)]]


def test_line_filters(shop):
    assert lines(shop, '{app=~".+"} |= "item/4"') == ['GET /item/4']
    assert lines(shop, '{app=~".+"} |~ "SELECT [13]" != "3"') == ['SELECT 1']
    assert sorted(lines(shop, '{env="prod"} |= "item/0" or "SELECT 9"')) == ['GET /item/0', 'SELECT 9']
    assert lines(shop, '{env="dev"}') == []


def test_times(shop):
    second = BASE // 10**9
    for start, end in (('%d' % (second + 2), '%d' % (second + 4)), ('%d.0' % (second + 2), '%d.000' % (second + 4)),
                       (BASE + 2 * 10**9, BASE + 4 * 10**9), ('2026-11-20T00:00:02Z', '2026-11-20T01:00:04+01:00')):
        assert sorted(lines(shop, start=start, end=end)) == ['GET /item/2', 'SELECT 3'], start  # the end is outside
    assert lines(shop, start=second + 2, end=second + 2) == []
    assert lines(shop, start=BASE + 2 * 10**9, end=BASE + 2 * 10**9 + 1) == ['GET /item/2']
    body = json.loads(shop.get(Q, query='{app="web"}', end=second + 7, since='3s'))
    assert sorted(v[1] for s in body['data']['result'] for v in s['values']) == ['GET /item/4', 'GET /item/6']
    assert 'end timestamp must not be before or equal to start time' in refused(shop, Q, query='{app="web"}', start=second, end=second - 1)
    assert "could not parse 'start'" in refused(shop, Q, query='{app="web"}', start='yesterday')
    assert "could not parse 'since'" in refused(shop, Q, query='{app="web"}', since='-5m')


def test_the_last_hour_is_the_default(server):
    now = time.time_ns()
    push(server, [({'app': 'a'}, [(now - 4000 * 10**9, 'long ago'), (now - 10 * 10**9, 'just now'), (now + 3600 * 10**9, 'in an hour')])])
    body = server.json(Q, query='{app="a"}')
    assert [v[1] for s in body['data']['result'] for v in s['values']] == ['just now']
    push(server, [({'app': 'b', 'old': 'x'}, [(now - 4000 * 10**9, 'long ago')])])
    assert server.json('/loki/api/v1/labels')['data'] == ['app', 'service_name']  # only what was seen in the range


def test_interval(shop):
    got = streams(shop, interval='3s', direction='forward')
    assert sorted(v[1] for s in got for v in s['values']) == ['GET /item/0', 'GET /item/6', 'SELECT 3', 'SELECT 9']


def test_metadata_becomes_labels(shop):
    got = streams(shop, '{app="db"} |= "SELECT 3"')
    assert got == [{'stream': {'app': 'db', 'detected_level': 'unknown', 'env': 'prod', 'service_name': 'db', 'trace_id': 't3'},
                    'values': [[str(BASE + 3 * 10**9), 'SELECT 3']]}]
    assert len(streams(shop, '{app="db"}')) == 5
    got = streams(shop, '{app="db"}', headers={'X-Loki-Response-Encoding-Flags': 'categorize-labels'}, limit=2)
    assert got == [{'stream': {'app': 'db', 'env': 'prod', 'service_name': 'db'},
                    'values': [[str(BASE + i * 10**9), 'SELECT %d' % i, {'structuredMetadata': {'detected_level': 'unknown', 'trace_id': 't%d' % i}}] for i in (9, 7)]}]


def test_get_and_post_agree(shop):
    form = urllib.parse.urlencode({'query': '{app=~".+"}', 'start': BASE, 'end': BASE + 10**10, 'limit': 4})
    _, get, _ = shop.request('GET', Q + '?' + form)
    status, post, _ = shop.request('POST', Q, form, {'Content-Type': 'application/x-www-form-urlencoded'})
    assert status == 200
    assert json.loads(get)['data']['result'] == json.loads(post)['data']['result'] != []


def test_refusals_say_why(shop):
    assert refused(shop, Q, query='{app=').startswith('parse error at line 1, col 6: ')
    assert 'queries require at least one regexp or equality matcher' in refused(shop, Q, query='{}')
    assert 'queries require at least one regexp or equality matcher' in refused(shop, Q, query='{app=~".*"}')
    assert refused(shop, Q, query='approx_topk(1, count_over_time({app="web"}[1m]))') == 'approx_topk is only supported on instant queries'
    per_app, span = 'sum by (app)(count_over_time({env="prod"}[1m]))', dict(start=BASE, end=BASE + 10**10, step=5)
    assert refused(shop, Q, query='%s + on (env) sum(count_over_time({env="prod"}[1m]))' % per_app, **span) == (
        'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)')
    assert refused(shop, Q, query='label_replace(%s, "app", "x", "app", ".*")' % per_app, **span).startswith(
        'the answer would have several series with the labels {app="x"}')
    assert refused(shop, Q, query='sum by (x)(rate({app="web"} | json [1m]))', **span).startswith("pipeline error: 'JSONParserErr' for series: '{")
    assert refused(shop, Q, query='{app="web"}', limit=5001) == \
        'max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)'
    for bad in (dict(limit=0), dict(limit='abc'), dict(direction='sideways'), dict(step='abc'), dict(step='-1'), dict(interval='x')):
        refused(shop, Q, **dict(bad, query='{app="web"}'))
    assert 'exceeded maximum resolution of 11,000 points' in refused(shop, Q, query='{app="web"}', start=0, end=BASE, step='1')
    assert refused(shop, '/loki/api/v1/query', query='{app="web"}') == \
        'log queries are not supported as an instant query type, please change your query to a range query type'
    assert refused(shop, '/loki/api/v1/index/stats', query='{app="web"} |= "x"') == 'only label matchers are supported'
    refused(shop, '/loki/api/v1/series', **{'match[]': '{app="web"} |= "x"'})


def test_constants(server):
    # what Grafana asks to see whether its data source works
    got = server.json('/loki/api/v1/query', query='vector(1)+vector(1)', direction='', time='4000000000')
    assert got['data']['result'] == [{'metric': {}, 'value': [4000000000, '2']}]
    assert got['data']['resultType'] == 'vector'
    assert server.json('/loki/api/v1/query', query='1 + 1', time=10)['data']['result'] == [10000, '2']
    got = server.json(Q, query='vector(2) * 3', start=60, end=240, step=60)['data']
    assert got['resultType'] == 'matrix' and got['result'] == [{'metric': {}, 'values': [[60, '6'], [120, '6'], [180, '6'], [240, '6']]}]


def matrix(server, query, **params):
    """{labels as sorted pairs: [[time s, value], ...]} of a range query."""
    data = server.json(Q, query=query, **params)['data']
    assert data['resultType'] == 'matrix'
    return {tuple(sorted(s['metric'].items())): s['values'] for s in data['result']}


def test_series_over_time(shop):
    at = BASE // 10**9
    span = dict(start=at, end=at + 9, step=3)  # start and end become multiples of the step, as at is one
    for _ in range(2):
        # windows leave out their first instant and hold their last; those without lines have no sample
        assert matrix(shop, 'count_over_time({app="web"}[3s])', **span) == {
            (('app', 'web'), ('detected_level', 'unknown'), ('env', 'prod'), ('service_name', 'web')): [[at, '1'], [at + 3, '1'], [at + 6, '2'], [at + 9, '1']]}
        assert matrix(shop, 'sum by (app)(count_over_time({env="prod"} != "item/2" [1s]))', start=at + 1, end=at + 4, step=1) == {
            (('app', 'db'),): [[at + 1, '1'], [at + 3, '1']], (('app', 'web'),): [[at + 4, '1']]}
        assert matrix(shop, 'sum(rate({env="prod"}[4s]))', **span) == {(): [[at, '0.25'], [at + 3, '1'], [at + 6, '1'], [at + 9, '1']]}
        assert matrix(shop, 'sum(bytes_over_time({env="prod"}[3s] offset 3s))', **span) == {
            (): [[at + 3, '11'], [at + 6, str(2 * 8 + 11)], [at + 9, str(2 * 11 + 8)]]}
        assert matrix(shop, 'sum(count_over_time({app="none"}[3s]))', **span) == {}
        # aligned: from 0 on, to 10 on
        assert matrix(shop, 'max without (app, service_name)(sum by (app, env)(count_over_time({app=~".+"}[5s])))', start=at + 1, end=at + 8, step=5) == {
            (('env', 'prod'),): [[at, '1'], [at + 5, '3'], [at + 10, '2']]}
        assert shop.stop() == 0  # the second time it all comes from a segment
        shop.start()


def test_samples_of_an_instant(shop):
    at = BASE // 10**9
    get = lambda query, **params: shop.json('/loki/api/v1/query', query=query, **params)['data']
    data = get('sum by (env)(bytes_rate({app="web"} |= "GET" [10s]))', time=at + 8)
    assert data['resultType'] == 'vector' and data['result'] == [{'metric': {'env': 'prod'}, 'value': [at + 8, '5.5']}]
    summary = data['stats']['summary']
    assert (summary['totalLinesProcessed'], summary['totalPostFilterLines'], summary['totalBytesProcessed']) == (5, 5, 95)  # the batch is searched as one text, the other app's lines too
    assert summary['totalEntriesReturned'] == 1 and summary['execTime'] > 0
    # metadata is among the labels, as in streams
    assert [s['metric'].get('trace_id') for s in get('count_over_time({app="db"}[10s])', time=at + 9)['result']] == ['t1', 't3', 't5', 't7', 't9']
    assert get('count by (app)(count_over_time({env="prod"}[10s]))', time=at + 9)['result'] == [
        {'metric': {'app': 'db'}, 'value': [at + 9, '5']}, {'metric': {'app': 'web'}, 'value': [at + 9, '1']}]
    body = urllib.parse.urlencode({'query': 'sum(count_over_time({env="prod"}[1h]))', 'time': at + 9.5})
    status, text, _ = shop.request('POST', '/loki/api/v1/query', body, {'Content-Type': 'application/x-www-form-urlencoded'})
    assert status == 200 and json.loads(text)['data']['result'] == [{'metric': {}, 'value': [at + 9.5, '10']}]


def test_operators_over_series(shop):
    at = BASE // 10**9
    per_app = 'sum by (app)(count_over_time({env="prod"} != "item/2" [1m]))'
    app = lambda name, value: {'metric': {'app': name}, 'value': [at + 9, value]}
    get = lambda query: shop.json('/loki/api/v1/query', query=query, time=at + 9)['data']['result']
    assert get('sort(%s)' % per_app) == [app('web', '4'), app('db', '5')]
    assert get('sort_desc(%s)' % per_app) == [app('db', '5'), app('web', '4')]
    assert get('topk(1, %s)' % per_app) == [app('db', '5')]
    assert get('%s / on () group_left () sum(%s) > 0.5' % (per_app, per_app)) == [app('db', '0.5555555555555556')]
    assert get('%s %% 0' % per_app) == [app('db', 'NaN'), app('web', 'NaN')]
    assert get('label_replace(%s, "app", "${1}X", "app", "(.).*")' % per_app) == [app('dX', '5'), app('wX', '4')]
    # what is missing is filled with zeros
    assert matrix(shop, 'sum(count_over_time({app="web"}[1s])) or vector(0)', start=at + 6, end=at + 9, step=1) == {
        (): [[at + 6, '1'], [at + 7, '0'], [at + 8, '1'], [at + 9, '0']]}


def test_series_have_a_limit(server):
    push(server, [({'app': 'a', 'n': str(i)}, [(BASE, 'x')]) for i in range(501)])
    at = BASE // 10**9
    assert refused(server, '/loki/api/v1/query', query='count_over_time({app="a"}[1m])', time=at) == (
        'maximum number of series (500) reached for a single query; consider reducing query cardinality by adding more specific stream '
        'selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()')
    got = server.json('/loki/api/v1/query', query='count(count_over_time({app="a"}[1m]))', time=at)
    assert got['data']['result'] == [{'metric': {}, 'value': [at, '501']}]
    assert len(server.json('/loki/api/v1/query', query='count_over_time({app="a",n!="0"}[1m])', time=at)['data']['result']) == 500


def test_format_query(server):
    assert server.json('/loki/api/v1/format_query', query='{a="b"}|="x"') == {'status': 'success', 'data': '{a="b"} |= "x"'}
    status, body, _ = server.request('GET', '/loki/api/v1/format_query?query=%7B')
    assert status == 400 and json.loads(body)['status'] == 'invalid-query' and 'parse error' in json.loads(body)['error']


def test_labels_series_and_stats(shop):
    span = dict(start=BASE, end=BASE + 3600 * 10**9)
    web = {'app': 'web', 'env': 'prod', 'service_name': 'web'}
    db = {'app': 'db', 'env': 'prod', 'service_name': 'db'}
    for _ in range(2):
        for path in ('/loki/api/v1/labels', '/loki/api/v1/label'):
            assert shop.json(path, **span) == {'status': 'success', 'data': ['app', 'env', 'service_name']}
        assert shop.json('/loki/api/v1/label/app/values', **span)['data'] == ['db', 'web']
        assert shop.json('/loki/api/v1/label/app/values', query='{app!="db",env="prod"}', **span)['data'] == ['web']
        assert shop.json('/loki/api/v1/label/service_name/values', **span)['data'] == ['db', 'web']
        assert shop.json('/loki/api/v1/label/none/values', **span) == {'status': 'success'}
        assert shop.json('/loki/api/v1/labels', start=BASE - 100, end=BASE) == {'status': 'success'}
        assert shop.json('/loki/api/v1/series', **span)['data'] == [db, web]
        many = urllib.parse.urlencode([('match[]', '{app="web"}'), ('match', '{app="db"}'), ('start', BASE), ('end', BASE + 10**10)])
        assert json.loads(shop.get('/loki/api/v1/series?' + many))['data'] == [db, web]
        n = shop.json('/loki/api/v1/index/stats', query='{env="prod"}', **span)
        assert (n['streams'], n['entries'], n['bytes']) == (2, 10, 5 * len('GET /item/0') + 5 * len('SELECT 1'))
        n = shop.json('/loki/api/v1/index/stats', query='{env="prod"}', start=BASE + 10**9, end=BASE + 3 * 10**9)
        assert (n['streams'], n['entries'], n['bytes']) == (2, 2, len('GET /item/2') + len('SELECT 1'))
        assert shop.stop() == 0  # the second time it all comes from a segment
        shop.start()


def test_labels_and_series_of_a_range(server):
    """Days of streams that come and go, each day in a segment of its own and the last in memory; every range of whole days."""
    day, days = 86400 * 10**9, 5

    def pods(d):  # three old ones leave and three new ones come each day
        return ['pod-%03d' % i for i in range(3 * d, 3 * d + 40)]

    def labels(pod):
        return dict({'app': 'app-%d' % (int(pod[4:]) % 7), 'pod': pod}, **({} if int(pod[4:]) % 5 else {'zone': 'z' * 250 + pod[-1]}))
    for d in range(days):
        push(server, [(labels(pod), [(BASE + d * day + i * 10**9, 'd%d' % d) for i in range(3)]) for pod in pods(d)])
        if d < days - 1:
            assert server.stop() == 0
            server.start()
    for first in range(days):
        for last in range(first, days):
            span = dict(start=BASE + first * day, end=BASE + last * day + day // 2)
            there = [labels(pod) for pod in sorted({pod for d in range(first, last + 1) for pod in pods(d)})]
            for query, wanted in ((None, there), ('{app=~"app-[12]"}', [s for s in there if s['app'] in ('app-1', 'app-2')]),
                                  ('{app=~".+", zone="", pod!~"pod-.*1"}', [s for s in there if 'zone' not in s and not s['pod'].endswith('1')])):
                params = dict(span, **({'query': query} if query else {}))
                assert server.json('/loki/api/v1/labels', **params)['data'] == sorted({n for s in wanted for n in s} | {'service_name'})
                for name in ('app', 'pod', 'zone'):
                    assert server.json('/loki/api/v1/label/%s/values' % name, **params).get('data', []) == sorted({s[name] for s in wanted if name in s})
                assert server.json('/loki/api/v1/label/service_name/values', **params)['data'] == sorted({s['app'] for s in wanted})
                series = server.json('/loki/api/v1/series', **dict(span, **({'match[]': query} if query else {})))['data']
                assert series == sorted((dict(s, service_name=s['app']) for s in wanted), key=lambda s: (s['app'], s['pod']))


def test_answers_survive_a_restart(shop):
    asked = [dict(query='{app=~".+"}', limit=n, direction=d) for n in (1, 4, 100) for d in ('forward', 'backward')]
    before = [streams(shop, **a) for a in asked], export(shop, format='jsonl')
    assert shop.stop() == 0
    shop.start()
    assert ([streams(shop, **a) for a in asked], export(shop, format='jsonl')) == before


def test_statistics(shop):
    body = shop.json(Q, query='{app=~".+"} |= "SELECT"', start=BASE, end=BASE + 10**10)
    summary = body['data']['stats']['summary']
    assert (summary['totalEntriesReturned'], summary['totalLinesProcessed'], summary['totalPostFilterLines']) == (5, 10, 5)
    assert summary['totalBytesProcessed'] == 5 * len('GET /item/0') + 5 * len('SELECT 1')
    assert summary['execTime'] > 0


def test_quarantine_is_seen_by_name_only(server):
    good, bad = b'{"_time":"2026-11-20T00:00:00Z","_msg":"fine","app":"a"}', b'{"_time":"2026-11-20T00:00:00Z", not json'
    status, text, _ = server.jsonline(good + b'\n' + bad + b'\n')
    assert status == 204, text
    assert export(server)[0] == b'fine\n'
    assert server.json('/loki/api/v1/series', start=0, end=4102444800)['data'] == [{'app': 'a', 'service_name': 'a'}]
    assert export(server, query='{__quarantine__=~".+"}')[0] == bad + b'\n'


# ---------------------------------------------------------------- context

def around(server, **params):
    """-> [(line, mark)] by time, of every stream"""
    found = streams(server, **params)
    return [(v[1], s['stream'].get('context', '')) for v, s in sorted(((v, s) for s in found for v in s['values']), key=lambda x: int(x[0][0]))]


def test_lines_around(shop):
    web = ['GET /item/%d' % i for i in range(0, 10, 2)]
    for _ in range(2):
        for direction in ('forward', 'backward'):
            got = around(shop, query='{app=~".+"} |= "item/4"', context=1, direction=direction)
            assert got == [(web[1], 'before'), (web[2], ''), (web[3], 'after')]
        assert around(shop, query='{app="web"} |= "item/4"', before=5) == [(web[0], 'before'), (web[1], 'before'), (web[2], '')]
        assert around(shop, query='{app="web"} |= "item/4"', context=1, after=0) == [(web[1], 'before'), (web[2], '')]
        # stages act on what is found alone; the limit counts it alone; matches are no context
        assert around(shop, query='{app="web"} |~ "item/[24]" | line_format `<{{__line__}}>`', context=1, limit=1, direction='forward') == [
            (web[0], 'before'), ('<' + web[1] + '>', '')]
        # each row once, inside the range, of each stream by itself
        assert around(shop, query='{env="prod"} |~ "item/4|SELECT 5"', context=1, start=BASE + 3 * 10**9) == [
            ('SELECT 3', 'before'), (web[2], ''), ('SELECT 5', ''), (web[3], 'after'), ('SELECT 7', 'after')]
        assert shop.stop() == 0
        shop.start()
    # with categories the streams stay what they are
    found = streams(shop, '{app="db"} |= "SELECT 3"', headers={'X-Loki-Response-Encoding-Flags': 'categorize-labels'}, context=1)
    assert [s['stream'] for s in found] == [{'app': 'db', 'env': 'prod', 'service_name': 'db'}]
    assert [(v[1], v[2].get('context')) for v in found[0]['values']] == [('SELECT 5', 'after'), ('SELECT 3', None), ('SELECT 1', 'before')]
    assert found[0]['values'][0][2]['structuredMetadata'] == {'detected_level': 'unknown', 'trace_id': 't5'}
    rows = [json.loads(row) for row in export(shop, format='jsonl', query='{app="db"} |= "SELECT 3"', context=1)[0].split(b'\n')[:-2]]
    assert [(r['line'], r.get('context'), r['metadata']) for r in rows] == [('SELECT %d' % i, mark, {'trace.id': 't%d' % i}) for i, mark in ((1, 'before'), (3, None), (5, 'after'))]
    assert export(shop, query='{app="db"} |= "SELECT 3"', before=1)[0] == b'SELECT 1\nSELECT 3\n'
    for bad in (dict(context=1001), dict(context=-1), dict(before='x'), dict(after='1.5')):
        assert 'must be a number of lines from 0 to 1000' in refused(shop, Q, query='{app="web"}', **bad)
        assert 'must be a number of lines from 0 to 1000' in refused(shop, '/api/v1/export', **bad)
    assert 'interval' in refused(shop, Q, query='{app="web"}', context=1, interval='1s')


def test_a_label_named_context_gives_way(server):
    push(server, [({'app': 'a', 'context': 'own', 'zone': 'z'}, [(BASE, 'one'), (BASE + 1, 'two')])])
    assert sorted((s['stream']['context'], s['stream']['zone'], s['values'][0][1]) for s in streams(server, '{app="a"} |= "two"', context=1)) == [
        ('before', 'z', 'one'), ('own', 'z', 'two')]


def test_context_has_a_budget(new_server):
    server = new_server('--query-bytes', '1MiB', '--max-entries', '100000').start()
    for k in range(0, 20000, 5000):
        push(server, [({'app': 'a'}, [(BASE + i, '%d %s' % (i, 'x' * 100)) for i in range(k, k + 5000)])])
    assert 'MiB of memory' in refused(server, Q, query='{app="a"} |~ "^[0-9]*00 "', context=49, limit=1000, start=BASE, end=BASE + 10**9)
    # exports take smaller pages
    got = export(server, query='{app="a"} |~ "^[0-9]*00 "', before=49, after=50)[0]
    assert sorted(int(line.split()[0]) for line in got.split(b'\n')[:-1]) == list(range(51, 19951))


# ---------------------------------------------------------------- export

def test_export_forms(server):
    push(server, [({'app': 'x'}, [(BASE, 'a "quoted" <line>'), (BASE + 1, 'two\nlines', {'k.v': '1'}), (BASE + 2, '')])])
    assert export(server)[0] == b'a "quoted" <line>\ntwo\nlines\n\n'
    body, trailers = export(server, format='jsonl')
    *rows, last = [json.loads(line) for line in body.split(b'\n')[:-1]]
    assert rows == [{'time': '2026-11-20T00:00:00.000000000Z', 'labels': {'app': 'x'}, 'line': 'a "quoted" <line>'},
                    {'time': '2026-11-20T00:00:00.000000001Z', 'labels': {'app': 'x'}, 'metadata': {'k.v': '1'}, 'line': 'two\nlines'},
                    {'time': '2026-11-20T00:00:00.000000002Z', 'labels': {'app': 'x'}, 'line': ''}]
    assert last == {'cursor': trailers['x-logpond-cursor']}
    assert export(server, direction='backward', query='{app="x"} |= "l"')[0] == b'two\nlines\na "quoted" <line>\n'
    assert export(server, start=BASE + 1, end=BASE + 2)[0] == b'two\nlines\n'
    assert export(server, cursor=last['cursor']) == (b'', {'x-logpond-cursor': last['cursor']})  # nothing new behind it
    # stages act on exports, too
    assert export(server, query='{app="x"} |= "l" | pattern "<first> <_>" | line_format `{{.first | ToUpper}}`')[0] == b'A\nTWO\nLINES\n'
    rows = export(server, format='jsonl', query='{app="x"} | pattern "a <what> <_>" | what="\\"quoted\\""')[0].split(b'\n')[:-2]
    assert [json.loads(row)['parsed'] for row in rows] == [{'what': '"quoted"'}]
    for bad in (dict(format='xml'), dict(cursor='x'), dict(query='rate({a="b"}[1m])'), dict(query='{a="b"} | json | line_format `{{`')):
        refused(server, '/api/v1/export', **bad)


def test_export_of_nothing(server):
    assert export(server) == (b'', {'x-logpond-cursor': ''})
    assert json.loads(export(server, format='jsonl')[0]) == {'cursor': ''}


def test_export_marks_its_pages(server):
    """marks=true: behind every page, and at the end, an object with the cursor and with what was looked at so far."""
    for at in (0, 40000):
        push(server, [({'app': 'x'}, [(BASE + i, 'line %d' % i) for i in range(at, at + 40000)])])
    body = [json.loads(line) for line in export(server, format='jsonl', marks='true')[0].splitlines()]
    at = [i for i, row in enumerate(body) if 'line' not in row]
    assert len(at) == 2 and at[-1] == len(body) - 1 == 80001 and 0 < at[0] < 80000
    assert [sorted(body[i]) for i in at] == [['cursor', 'stats']] * 2
    assert sorted(body[-1]['stats']) == ['blocks', 'bytes', 'lines', 'ns', 'passed', 'streams']
    assert body[-1]['stats']['lines'] >= 80000 and body[-1]['stats']['streams'] == 1 and body[-1]['stats']['ns'] > body[at[0]]['stats']['ns'] > 0
    rest = export(server, cursor=body[at[0]]['cursor'])[0].decode().splitlines()
    assert [row['line'] for row in body[:at[0]]] + rest == ['line %d' % i for i in range(80000)]
    assert export(server, marks='true', limit=2)[0] == b'line 0\nline 1\n'  # raw has no room for them


@pytest.mark.parametrize('direction', ['forward', 'backward'])
def test_export_resumes_exactly_while_rows_arrive(server, direction):
    def batch(k, n):  # many equal times, in two streams
        push(server, [({'app': 'a%d' % s}, [(BASE + (k * 7 + i) % 5, '%d.%d.%d' % (k, s, i)) for i in range(n)]) for s in range(2)])
    batch(0, 50)
    before = set(export(server)[0].split())
    sent, cursor, k = [], '', 0
    while True:
        body, trailers = export(server, direction=direction, limit=9, cursor=cursor)
        rows = body.split()
        if not rows:
            break
        sent += rows
        cursor = trailers['x-logpond-cursor']
        k += 1
        if k < 6:
            batch(k, 5)
        if k == 4:
            assert server.stop() == 0  # what was in the head is in a segment now
            server.start()
    assert len(sent) == len(set(sent))
    assert before <= set(sent)
    whole = export(server, direction=direction)[0].split()
    places = [whole.index(row) for row in sent]
    assert places == sorted(places)  # in order, and every row that lay ahead when it came was sent


def test_export_of_many_pages(server):
    n, size = 150000, 5000
    for k in range(0, n, size):
        body = b''.join(b'{"_time":"%d","_msg":"row %d","app":"a%d"}\n' % (BASE + i * 1000, i, i % 7) for i in range(k, k + size))
        assert server.jsonline(body)[0] == 204
    expected = [b'row %d' % i for i in range(n)]
    assert export(server)[0].split(b'\n')[:-1] == expected
    assert export(server, direction='backward')[0].split(b'\n')[:-1] == expected[::-1]
    assert server.json('/loki/api/v1/index/stats', query='{app=~".+"}', start=BASE, end=BASE + 10**12)['entries'] == n
    for _ in range(6):  # clients that leave in the middle
        host, port = server.address.rsplit(':', 1)
        c = http.client.HTTPConnection(host, int(port))
        c.request('GET', '/api/v1/export')
        assert c.getresponse().read(100)
        c.close()
    assert export(server, query='{app="a3"}')[0].count(b'\n') == len(range(3, n, 7))


def unpacked(kind, data):
    """-> (what of the file can be read, whether it is whole)"""
    if kind == 'gzip':
        d = zlib.decompressobj(31)
        return d.decompress(data), d.eof
    p = subprocess.run(['zstd', '-dc'], input=data, capture_output=True)
    return p.stdout, p.returncode == 0


KINDS = ['gzip', pytest.param('zstd', marks=pytest.mark.skipif(not shutil.which('zstd'), reason='needs the zstd command'))]


@pytest.mark.parametrize('kind', KINDS)
def test_compressed_export(server, kind):
    for k in range(0, 100000, 5000):  # two pages
        assert server.jsonline(b''.join(b'{"_time":"%d","_msg":"row %d","app":"a"}\n' % (BASE + i * 1000, i) for i in range(k, k + 5000)))[0] == 204
    whole, end = export(server, format='jsonl')
    # as a file, whatever the client says it takes; or in transfer, to whom takes it
    for asked, accept, headers in ((dict(compress=kind), 'gzip, zstd', {'content-type': 'application/' + kind}),
                                   ({}, kind, {'content-type': 'application/x-ndjson', 'content-encoding': kind, 'vary': 'Accept-Encoding'})):
        got = {'accept-encoding': accept}
        packed, trailers = export(server, got, format='jsonl', **asked)
        assert headers.items() <= got.items() and ('content-encoding' in got) == ('content-encoding' in headers), got
        assert unpacked(kind, packed) == (whole, True) and trailers == end and len(packed) < len(whole) / 4
    # what was cut can be read up to there, and goes on at the cursor of the rows that it holds
    for at in (len(packed) // 4, len(packed) // 2, len(packed) - 10):
        part, complete = unpacked(kind, packed[:at])
        rows = part[:part.rindex(b'\n') + 1] if b'\n' in part else b''
        assert whole.startswith(part) and not complete
        if rows:
            n = min(rows.count(b'\n'), 100000)
            cursor = export(server, limit=n)[1]['x-logpond-cursor']
            rest = unpacked(kind, export(server, compress=kind, format='jsonl', cursor=cursor)[0])[0]
            assert rows.split(b'\n')[:n] + rest.split(b'\n')[:-2] == whole.split(b'\n')[:-2]
    if kind == 'gzip':  # a mark of zlib's stands where a page ends: all up to there can be read
        assert packed.count(b'\0\0\xff\xff') == 2
    assert unpacked(kind, export(server, compress=kind, query='{app="none"}')[0]) == (b'', True)


def test_compress_takes_what_there_is(server):
    for bad in ('none', 'lz4', 'GZIP'):
        assert 'compress must be gzip or zstd' in refused(server, '/api/v1/export', compress=bad)


def test_timeout(new_server):
    server = new_server('--query-timeout', '1ms').start()
    for k in range(12):
        body = b''.join(b'{"_time":"%d","_msg":"%s %d","app":"a"}\n' % (BASE + i, b'ab' * 100, i) for i in range(k * 10000, k * 10000 + 10000))
        assert server.jsonline(body)[0] == 204
    text = refused(server, Q, 504, query='{app="a"} |~ "([ab]+ ?)+[0-9]{7}$"', start=BASE, end=BASE + 10**10)
    assert text.startswith('request timed out, decrease the duration of the request or add more label matchers')
    # with partial results that is a warning
    assert server.stop() == 0
    server.flags.append('--partial-results')
    server.start()
    slow = dict(query='{app="a"} |~ "([ab]+ ?)+[0-9]{7}$"', start=BASE, end=BASE + 10**10)
    body = server.json(Q, **slow)
    assert [w.split(': ')[:2] for w in body['warnings']] == [
        ['the answer is not whole, it is what was found until then', 'request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed']]
    assert body['status'] == 'success' and body['data'] == {'resultType': 'streams', 'result': [], 'stats': body['data']['stats']}
    # not of numbers, which would be wrong ones, nor where there is no place for a warning
    refused(server, Q, 504, query='count_over_time({app="a"} |~ "([ab]+ ?)+[0-9]{7}$" [1h])', start=BASE, end=BASE + 10**10, step=1)
    refused(server, '/api/prom/query', 504, **slow)


def test_what_a_scan_found_until_it_had_read_its_bytes(new_server):
    server = new_server('--query-scan', '1MiB', '--partial-results', '--query-workers', '1').start()  # one part after another
    for k in range(8):  # a segment each
        push(server, [({'app': 'a'}, [(BASE + k * 10**9 + i, '%d %d %s' % (k, i, os.urandom(150).hex())) for i in range(3000)])])
        assert server.stop() == 0
        server.start()
    ask = dict(query='{app="a"} |~ " 1[0-9] "', limit=5000, start=BASE, end=BASE + 10**12)
    body = server.json(Q, **ask)
    found = [v[1] for s in body['data']['result'] for v in s['values']]
    assert 'reads more than the 1 MiB that a query may' in body['warnings'][0]
    assert 0 < len(found) < 80 and len(set(found)) == len(found), len(found)
    few = server.json(Q, **dict(ask, limit=1))  # the newest, which is found before
    assert 'warnings' not in few and [v[1][:5] for s in few['data']['result'] for v in s['values']] == ['7 19 ']


def test_invalid_utf8_is_exported_whole(server):
    """A protobuf push may hold any bytes; JSON answers show them replaced, the raw export as they were."""
    line = b'bad \xff\xfe byte'

    def field(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    def varint(number, v):
        out = [number << 3]
        while v >= 0x80:
            out.append(v & 0x7f | 0x80)
            v >>= 7
        return bytes(out + [v])
    entry = field(1, varint(1, BASE // 10**9)) + field(2, line)
    message = field(1, field(1, b'{app="bin"}') + field(2, entry))
    body = bytes([len(message), len(message) - 1 << 2]) + message  # a snappy block of one literal
    assert len(message) < 60
    status, text, _ = server.request('POST', '/loki/api/v1/push', body, {'Content-Type': 'application/x-protobuf'})
    assert status == 204, text
    assert export(server)[0] == line + b'\n'
    row = json.loads(export(server, format='jsonl')[0].split(b'\n')[0])
    assert row['line'] == 'bad \ufffd\ufffd byte' and base64.b64decode(row['line_b64']) == line
    assert lines(server) == ['bad \ufffd\ufffd byte']


def test_any_selector_where_it_is_set(new_server):
    server = new_server('--any-selector').start()
    push(server, [({'app': 'a'}, [(BASE, 'one')]), ({'app': 'b'}, [(BASE + 1, 'two')])])
    assert sorted(v[1] for s in streams(server, '{}') for v in s['values']) == ['one', 'two']
    assert [v[1] for s in streams(server, '{app=~".*"} |= "tw"') for v in s['values']] == ['two']
    got = server.json('/loki/api/v1/query', query='sum(count_over_time({}[1h]))', time=BASE + 10**9)['data']['result']
    assert [s['value'][1] for s in got] == ['2']
