"""Loki's API besides searches: parameters and their refusals, old paths, limits, rules, deletion, gzip, CORS. Oracle: the contract, written out."""
import gzip, json, urllib.parse

import pytest

from server import wait_for

BASE = 1795132800 * 10**9  # 2026-11-20T00:00:00Z
S = BASE // 10**9
Q = '/loki/api/v1/query_range'


@pytest.fixture
def web(server):
    values = [[str(BASE + i * 1500 * 10**6), 'line %d' % i] for i in range(100)]
    body = json.dumps({'streams': [{'stream': {'app': 'web', 'q': 'a"b'}, 'values': values}]})
    assert server.request('POST', '/loki/api/v1/push', body, {'Content-Type': 'application/json'})[0] == 204
    return server


def ask(server, path, method='GET', headers=None, **params):
    status, body, got = server.request(method, path + '?' + urllib.parse.urlencode(params, doseq=True), None, headers)
    return status, body.decode(), got


def test_parameters_are_refused_in_lokis_words(web):
    for params, text in (
            ({'limit': 'abc'}, 'strconv.Atoi: parsing "abc": invalid syntax'),
            ({'limit': '99999999999'}, 'limit value 99999999999 is out of range [0, 4294967295]'),
            ({'limit': '9' * 30}, 'strconv.Atoi: parsing "%s": value out of range' % ('9' * 30)),
            ({'limit': '0'}, 'limit must be a positive value'),
            ({'limit': '-1'}, 'limit must be a positive value'),
            ({'limit': '5001'}, 'max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)'),
            ({'direction': 'sideways'}, "invalid direction 'sideways'"),
            ({'start': 'yesterday'}, 'could not parse \'start\' parameter: strconv.ParseInt: parsing "yesterday": invalid syntax'),
            ({'end': '2026-11-20'}, 'could not parse \'end\' parameter: strconv.ParseInt: parsing "2026-11-20": invalid syntax'),
            ({'end': '2026-11-20T01:00:00'}, 'could not parse \'end\' parameter: strconv.ParseInt: parsing "2026-11-20T01:00:00": invalid syntax'),
            ({'end': '2026-11-20 01:00:00Z'}, 'could not parse \'end\' parameter: strconv.ParseInt: parsing "2026-11-20 01:00:00Z": invalid syntax'),
            ({'since': '-5m', 'start': ''}, 'could not parse \'since\' parameter: not a valid duration string: "-5m"'),
            ({'start': S + 1, 'end': S}, 'end timestamp must not be before or equal to start time'),
            ({'step': 'abc'}, 'cannot parse "abc" to a valid duration'),
            ({'step': '1e400'}, 'cannot parse "1e400" to a valid duration'),
            ({'step': '1e12'}, 'cannot parse "1e12" to a valid duration. It overflows int64'),
            ({'step': '-5'}, 'zero or negative query resolution step widths are not accepted. Try a positive integer'),
            ({'step': '0'}, 'zero or negative query resolution step widths are not accepted. Try a positive integer'),
            ({'start': 0, 'end': S, 'step': '1'}, 'exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter'),
            ({'interval': 'abc'}, 'cannot parse "abc" to a valid duration'),
            ({'interval': '-1s'}, 'cannot parse "-1s" to a valid duration'),
            ({'interval': '-1'}, 'interval must be >= 0')):
        status, body, headers = ask(web, Q, **dict({'query': '{app="web"}', 'start': S, 'end': S + 60}, **params))
        assert (status, body, headers['content-type']) == (400, text, 'text/plain; charset=utf-8'), params
    # well formed they have to be also where they are not used
    for params in ({'limit': 'x'}, {'direction': 'up'}, {'interval': 'x'}):
        assert ask(web, Q, query='vector(1)', start=S, end=S + 60, **params)[0] == 400, params
        assert ask(web, '/loki/api/v1/query', query='vector(1)', **params)[0] == 400, params
    assert ask(web, '/loki/api/v1/query', query='vector(1)', time='x')[:2] == (400, 'strconv.ParseInt: parsing "x": invalid syntax')


def test_forms_of_times_and_steps(web):
    def lines(**params):
        status, body, _ = ask(web, Q, **dict({'query': '{app="web"}', 'direction': 'Forward', 'limit': 5000}, **params))
        assert status == 200, body
        return [v[1] for s in json.loads(body)['data']['result'] for v in s['values']]
    want = ['line 2', 'line 3']
    for start, end in ((S + 3, S + 6), ('%d.0' % (S + 3), '%d.000' % (S + 6)), (BASE + 3 * 10**9, BASE + 6 * 10**9), ('2026-11-20T00:00:03Z', '2026-11-20T00:00:06.0Z'),
                       ('2026-11-20T01:00:03+01:00', '2026-11-19T19:00:06-05:00'), ('%d.5' % (S + 1), '%d.999' % (S + 5))):
        got = lines(start=start, end=end)
        assert got == (['line 1'] + want if '.5' in str(start) else want), (start, end)
    assert lines(end=S + 6, since='3s') == want
    assert lines(end=S + 6, since='1h30m') == ['line 0', 'line 1'] + want
    assert lines(start=S, end=S + 6, interval='3s') == lines(start=S, end=S + 6, interval='3') == ['line 0', 'line 2']
    for step in ('60', '60.5', '1m', '60000ms', '1m30s'):
        assert lines(start=S + 3, end=S + 6, step=step) == want


def test_selectors_where_only_labels_are_asked(web):
    span = {'start': S, 'end': S + 60}
    for path, name in (('labels', 'query'), ('label/app/values', 'query'), ('index/stats', 'query'), ('index/volume', 'query'), ('index/volume_range', 'query'),
                       ('detected_labels', 'query'), ('patterns', 'query'), ('series', 'match[]')):
        for text in ('{app="web"} |= "x"', 'rate({app="web"}[1m])', '{app="web"} | json'):
            assert ask(web, '/loki/api/v1/' + path, **dict(span, **{name: text}))[:2] == (400, 'only label matchers are supported'), (path, text)
        assert ask(web, '/loki/api/v1/' + path, **dict(span, **{name: '{app='}))[0] == 400
        # a selector has to select something, but {} is all series, and all volumes
        status = ask(web, '/loki/api/v1/' + path, **dict(span, **{name: '{}'}))[0]
        assert status == (200 if path in ('series', 'index/volume', 'index/volume_range') else 400), path
    for path in ('index/stats', 'index/volume', 'index/volume_range', 'patterns', 'detected_fields', 'detected_field/x/values'):
        assert ask(web, '/loki/api/v1/' + path, **span)[0] == 400, path
    assert ask(web, '/loki/api/v1/detected_fields', query='rate({app="web"}[1m])', **span)[:2] == (400, 'only log selector is supported')
    assert ask(web, '/loki/api/v1/detected_fields', query='{app="web"}', line_limit=5001, **span)[0] == 400
    assert ask(web, '/loki/api/v1/detected_fields', query='{app="web"}', limit=0, **span)[0] == 400
    assert ask(web, '/loki/api/v1/index/volume', query='{app="web"}', aggregateBy='x', **span)[:2] == (400, 'invalid aggregation option')
    assert ask(web, '/loki/api/v1/index/volume', query='{app="web"}', limit=0, **span)[0] == 200  # the default
    # an older name of the limit of fields; fields of lines of text are none
    assert json.loads(ask(web, '/loki/api/v1/detected_fields', query='{app="web"}', field_limit=7, **span)[1])['limit'] == 7


def test_old_paths(web):
    span = {'start': S, 'end': S + 6, 'direction': 'forward'}
    for text, extra, want in (('{app="web"}', {}, [0, 1, 2, 3]), ('{app="web"} # all', {'regexp': 'line [13]$'}, [1, 3])):
        status, body, headers = ask(web, '/api/prom/query', query=text, **dict(span, **extra))
        assert status == 200, body
        got = json.loads(body)
        assert sorted(got) == ['stats', 'streams']
        (stream,) = got['streams']
        assert stream['labels'].startswith('{app="web"') and 'q="a\\"b"' in stream['labels'] and 'service_name="web"' in stream['labels']
        times = {0: '2026-11-20T00:00:00Z', 1: '2026-11-20T00:00:01.5Z', 2: '2026-11-20T00:00:03Z', 3: '2026-11-20T00:00:04.5Z'}
        assert stream['entries'] == [{'ts': times[i], 'line': 'line %d' % i} for i in want]
    assert json.loads(ask(web, '/api/prom/query', query='{app="none"}', **span)[1])['streams'] == []
    status, body, _ = ask(web, '/api/prom/query', query='rate({app="web"}[1m])', **span)
    assert status == 400 and 'legacy endpoints only support streams result type' in body
    assert ask(web, '/api/prom/query', query='{app="web"}', limit='x', **span)[0] == 400
    assert json.loads(ask(web, '/api/prom/label', **span)[1])['data'] == ['app', 'q', 'service_name']
    assert json.loads(ask(web, '/api/prom/series', **dict(span, match='{app="web"}'))[1])['data'][0]['app'] == 'web'


def test_what_there_is_none_of(server):
    for path in ('/loki/api/v1/rules', '/loki/api/v1/rules/ns/group', '/api/prom/rules', '/api/prom/rules/ns'):
        assert ask(server, path)[:2] == (404, 'no rule groups found')
    assert json.loads(ask(server, '/prometheus/api/v1/rules')[1]) == {'status': 'success', 'data': {'groups': []}}
    assert json.loads(ask(server, '/prometheus/api/v1/alerts')[1]) == {'status': 'success', 'data': {'alerts': []}}
    for method in ('GET', 'POST', 'PUT', 'DELETE'):
        assert ask(server, '/loki/api/v1/delete', method, query='{a="b"}', start=S)[:2] == (400, 'Retention is not enabled')
    assert ask(server, '/loki/api/v1/nosuchendpoint')[0] == 404


def test_about_the_server(new_server):
    server = new_server('--max-entries', '77').start()
    limits = dict(line.split(': ', 1) for line in ask(server, '/config/tenant/v1/limits')[1].splitlines())
    assert limits['max_entries_limit_per_query'] == '77' and limits['query_timeout'] == '"1m0s"' and limits['discover_log_levels'] == 'true'
    assert json.loads(limits['log_level_fields'])[0] == 'level'
    assert json.loads(ask(server, '/loki/api/v1/drilldown-limits')[1])['limits']['max_entries_limit_per_query'] == 77
    assert 'store => Running' in ask(server, '/services')[1]
    config, diff, defaults = (ask(server, '/config', **params)[1] for params in ({}, {'mode': 'diff'}, {'mode': 'defaults'}))
    assert 'max-entries: 77' in config and 'max-entries: 77' in diff and 'max-entries: 5000' in defaults
    assert 'seal-bytes' in config and 'seal-bytes' not in diff
    assert json.loads(ask(server, '/log_level')[1]) == {'message': 'Current log level is info'}
    assert json.loads(ask(server, '/log_level', 'POST', log_level='debug')[1])['status'] == 'success'
    assert json.loads(ask(server, '/log_level')[1]) == {'message': 'Current log level is debug'}
    status, body, _ = ask(server, '/log_level', 'POST', log_level='loud')
    assert status == 400 and json.loads(body)['status'] == 'failed'
    wait_for(lambda: ' debug http: POST /log_level' in server.tail(), 10, 'a line of the log')


def test_answers_as_gzip(web):
    params = {'query': '{app="web"}', 'start': S, 'end': S + 3600, 'limit': 100}
    status, plain, headers = ask(web, Q, **params)
    assert status == 200 and 'content-encoding' not in headers
    for accept in ('gzip', 'deflate, gzip;q=0.5', '*'):
        status, body, headers = web.request('GET', Q + '?' + urllib.parse.urlencode(params), None, {'Accept-Encoding': accept})
        assert status == 200 and headers['content-encoding'] == 'gzip' and headers['vary'] == 'Accept-Encoding'
        assert int(headers['content-length']) == len(body) < len(plain) / 3
        assert json.loads(gzip.decompress(body))['data']['result'] == json.loads(plain)['data']['result']
    for accept in ('gzip;q=0', 'identity', 'br'):
        assert 'content-encoding' not in web.request('GET', Q + '?' + urllib.parse.urlencode(params), None, {'Accept-Encoding': accept})[2]
    # small answers and refusals are as they are
    for path in ('/loki/api/v1/labels', Q + '?query=%7B', '/loki/api/v1/query?query=' + urllib.parse.quote('{app="web"} |= "' + 'x' * 2000 + '"')):
        assert 'content-encoding' not in web.request('GET', path, None, {'Accept-Encoding': 'gzip'})[2], path
    status, body, headers = web.request('GET', '/metrics', None, {'Accept-Encoding': 'gzip'})  # answered on an HTTP thread
    assert headers['content-encoding'] == 'gzip' and b'logpond_' in gzip.decompress(body)
    status, body, headers = web.request('HEAD', '/metrics', None, {'Accept-Encoding': 'gzip'})
    assert status == 200 and body == b'' and 'content-encoding' not in headers


def test_pages_of_other_origins_may_read_where_it_is_set(web, new_server):
    assert 'access-control-allow-origin' not in web.request('GET', '/loki/api/v1/labels', None, {'Origin': 'http://dashboard.example'})[2]
    web = new_server('--cors-origin', '*').start()
    origin = {'Origin': 'http://dashboard.example'}
    for path in ('/loki/api/v1/labels', '/ready', Q + '?query=%7B'):
        assert web.request('GET', path, None, origin)[2]['access-control-allow-origin'] == '*'
    asked = dict(origin, **{'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'x-scope-orgid'})
    status, body, headers = web.request('OPTIONS', Q, None, asked)
    assert (status, body) == (204, b'') and headers['access-control-allow-origin'] == '*'
    assert headers['access-control-allow-methods'] == 'GET, HEAD, POST, OPTIONS'
    assert 'X-Scope-OrgID' in headers['access-control-allow-headers'] and 'X-Loki-Response-Encoding-Flags' in headers['access-control-allow-headers']
    assert web.request('OPTIONS', '/loki/api/v1/delete', None, asked)[2]['access-control-allow-methods'] == 'GET, HEAD, POST, OPTIONS'
    body = json.dumps({'streams': [{'stream': {'a': 'b'}, 'values': [[str(BASE), 'x']]}]})
    assert 'access-control-allow-origin' not in web.request('POST', '/loki/api/v1/push', body, {'Content-Type': 'application/json'})[2]
