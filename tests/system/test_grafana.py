"""What Grafana sends to a data source of type Loki, in its own words, and what it reads from the answers: the health check, Explore, the
log volume, and the pages of Logs Drilldown. Oracle: the lines that were pushed."""
import json, urllib.parse

import pytest

BASE = 1795132800 * 10**9  # 2026-11-20T00:00:00Z
MINUTE = 60 * 10**9
SPAN = {'start': BASE, 'end': BASE + 10 * MINUTE}
HEADERS = {'X-Loki-Response-Encoding-Flags': 'categorize-labels', 'X-Query-Tags': 'Source=grafana', 'Accept-Encoding': 'identity'}
API = '/loki/api/v1'


def push(server, streams):
    body = json.dumps({'streams': [{'stream': s, 'values': [[str(v[0])] + list(v[1:]) for v in values]} for s, values in streams]})
    status, text, _ = server.request('POST', API + '/push', body, {'Content-Type': 'application/json'})
    assert status == 204, text


@pytest.fixture
def shop(server):
    """Ten minutes of a web server that logs JSON, a worker that logs logfmt, and one whose lines are text."""
    def web(i):
        return json.dumps({'level': 'error' if i % 5 == 0 else 'info', 'path': '/item/%d' % i, 'took': '%dms' % (i + 1), 'user': {'id': i % 3}})
    push(server, [
        ({'namespace': 'shop', 'app': 'web', 'pod': 'web-1'}, [(BASE + i * MINUTE // 2, web(i), {'trace.id': 't%d' % i}) for i in range(20)]),
        ({'namespace': 'shop', 'app': 'worker', 'pod': 'worker-1'}, [(BASE + i * MINUTE, 'level=warn msg="retry" n=%d size=4kB' % i) for i in range(10)]),
        ({'namespace': 'db', 'app': 'store', 'pod': 'store-1'}, [(BASE + i * MINUTE, 'connection %d from 10.0.0.%d closed' % (i, i % 4)) for i in range(10)]),
    ])
    return server


def get(server, path, headers=HEADERS, **params):
    status, body, _ = server.request('GET', API + path + '?' + urllib.parse.urlencode(params, doseq=True), None, headers)
    assert status == 200, (path, body)
    return json.loads(body)


def test_health(server):
    body = get(server, '/query', direction='backward', query='vector(1)+vector(1)', time='4000000000')
    assert body['status'] == 'success' and body['data']['resultType'] == 'vector'
    assert body['data']['result'] == [{'metric': {}, 'value': [4000000000, '2']}]
    assert get(server, '/query', direction='', query='vector(1)+vector(1)', time='4000000000')['data']['result'][0]['value'][1] == '2'


def test_explore(shop):
    body = get(shop, '/query_range', query='{app="web"} |= ""', limit=1000, step='2000ms', direction='backward', **SPAN)
    data = body['data']
    assert data['resultType'] == 'streams' and data['encodingFlags'] == ['categorize-labels']
    assert [s['stream'] for s in data['result']] == [{'namespace': 'shop', 'app': 'web', 'pod': 'web-1', 'service_name': 'web'}]
    values = data['result'][0]['values']
    assert [int(v[0]) for v in values] == [BASE + i * MINUTE // 2 for i in range(19, -1, -1)]
    assert [v[2]['structuredMetadata'] for v in values[:2]] == [{'trace_id': 't19', 'detected_level': 'info'}, {'trace_id': 't18', 'detected_level': 'info'}]
    assert {'summary', 'querier', 'ingester', 'cache', 'index'} <= set(data['stats'])
    # what the query builder and the label browser ask
    assert get(shop, '/labels', **SPAN)['data'] == ['app', 'namespace', 'pod', 'service_name']
    assert get(shop, '/label/app/values', query='{namespace="shop"}', **SPAN)['data'] == ['web', 'worker']
    assert len(get(shop, '/series', **dict(SPAN, **{'match[]': '{namespace=~"shop|db"}'}))['data']) == 3
    stats = get(shop, '/index/stats', query='{app="worker"}', **SPAN)
    assert (stats['streams'], stats['entries']) == (1, 10)


def test_log_volume(shop):
    """Bars by level above the lines of Explore."""
    query = 'sum by (level, detected_level) (count_over_time({namespace="shop"} | drop __error__[5m]))'
    headers = dict(HEADERS, **{'X-Query-Tags': 'Source=logvolhist'})
    data = get(shop, '/query_range', headers, query=query, step='300000ms', **SPAN)['data']
    assert data['resultType'] == 'matrix'
    counted = {}
    for s in data['result']:
        assert set(s['metric']) <= {'level', 'detected_level'}
        level = s['metric'].get('detected_level')
        counted[level] = counted.get(level, 0) + sum(int(v[1]) for v in s['values'])
    assert counted == {'error': 4, 'info': 16, 'warn': 10}


def test_drilldown_start(shop):
    """The landing page: what the server can, then the services with most bytes, then their lines and levels."""
    limits = get(shop, '/drilldown-limits')
    assert limits['pattern_ingester_enabled'] is True and tuple(map(int, limits['version'].split('.'))) >= (3, 2)
    assert {'discover_log_levels', 'discover_service_name', 'log_level_fields', 'max_entries_limit_per_query', 'max_query_series', 'retention_period',
            'query_timeout', 'volume_enabled', 'volume_max_series'} <= set(limits['limits'])
    assert limits['limits']['volume_enabled'] is True and 'service' in limits['limits']['discover_service_name']
    build = get(shop, '/status/buildinfo')
    assert tuple(map(int, build['version'].split('.'))) >= (3, 2) and {'revision', 'branch', 'buildDate', 'buildUser', 'goVersion'} <= set(build)
    data = get(shop, '/index/volume', query='{service_name=~".+"}', limit=5000, **SPAN)['data']
    assert data['resultType'] == 'vector'
    assert [(s['metric'], s['value'][0]) for s in data['result']] == [({'service_name': n}, (BASE + 10 * MINUTE) // 10**9) for n in ('web', 'worker', 'store')]
    sizes = [int(s['value'][1]) for s in data['result']]
    assert sizes == sorted(sizes, reverse=True) and sizes[1] == sum(len('level=warn msg="retry" n=%d size=4kB' % i) for i in range(10))
    data = get(shop, '/index/volume_range', query='{service_name="worker"}', step='5m', **SPAN)['data']
    assert data['resultType'] == 'matrix'
    assert [v[0] for v in data['result'][0]['values']] == [BASE // 10**9 + 299.999, BASE // 10**9 + 600]
    assert sum(int(v[1]) for v in data['result'][0]['values']) == sizes[1]
    data = get(shop, '/index/volume', query='{namespace="shop"}', aggregateBy='labels', targetLabels='app,pod', **SPAN)['data']
    assert [s['metric'] for s in data['result']] == [{'app': ''}, {'pod': ''}]


def test_drilldown_of_a_service(shop):
    """Labels, fields and patterns to choose from."""
    labels = get(shop, '/detected_labels', query='{service_name="web"}', **SPAN)['detectedLabels']
    assert labels == [{'label': n, 'cardinality': 1} for n in ('app', 'namespace', 'pod', 'service_name')]
    assert [l['cardinality'] for l in get(shop, '/detected_labels', query='', **SPAN)['detectedLabels'] if l['label'] == 'app'] == [3]
    body = get(shop, '/detected_fields', query='{service_name="web"}', line_limit=1000, limit=1000, step='1m', **SPAN)
    assert body['limit'] == 1000
    fields = {f.pop('label'): f for f in body['fields']}
    assert fields == {
        'detected_level': {'type': 'string', 'cardinality': 2, 'parsers': None},
        'level': {'type': 'string', 'cardinality': 2, 'parsers': ['json'], 'jsonPath': ['level']},
        'path': {'type': 'string', 'cardinality': 20, 'parsers': ['json'], 'jsonPath': ['path']},
        'took': {'type': 'duration', 'cardinality': 20, 'parsers': ['json'], 'jsonPath': ['took']},
        'trace_id': {'type': 'string', 'cardinality': 20, 'parsers': None},
        'user_id': {'type': 'int', 'cardinality': 3, 'parsers': ['json'], 'jsonPath': ['user', 'id']},
    }
    # with stages: of the lines that are left, with the labels that stages made
    body = get(shop, '/detected_fields', query='{service_name="web"} | json | level="error" | label_format lane="x{{.user_id}}"', line_limit=1000, **SPAN)
    fields = {f['label']: (f['cardinality'], f['parsers']) for f in body['fields']}
    assert fields == {'detected_level': (1, None), 'lane': (3, ['json']), 'level': (1, ['json']), 'path': (4, ['json']), 'took': (4, ['json']),
                      'trace_id': (4, None), 'user_id': (3, ['json'])}
    assert get(shop, '/detected_field/lane/values', query='{service_name="web"} | json | label_format lane="x{{.user_id}}"', **SPAN)['values'] == ['x0', 'x1', 'x2']
    assert get(shop, '/detected_field/user_id/values', query='{service_name="web"}', **SPAN) == {'values': ['0', '1', '2'], 'limit': 1000}
    assert get(shop, '/detected_field/size/values', query='{service_name="worker"}', **SPAN)['values'] == ['4.0kB']
    patterns = get(shop, '/patterns', query='{service_name="store"}', step='60s', **SPAN)
    assert patterns['status'] == 'success'
    assert patterns['data'] == [{'pattern': 'connection <_> from <_> closed', 'level': 'unknown',
                                 'samples': [[BASE // 10**9 + 60 * i, 1] for i in range(10)]}]
    found = get(shop, '/query_range', query='{service_name="store"} |> "connection <_> from <_> closed"', **SPAN)
    assert sum(len(s['values']) for s in found['data']['result']) == 10
    everything = get(shop, '/patterns', query='{service_name=~".+"}', **SPAN)['data']
    assert sum(n for p in everything for _, n in p['samples']) == 40


def test_drilldown_by_a_field(shop):
    query = 'sum(count_over_time({service_name="web"} | detected_level != "" | json | logfmt | drop __error__, __error_details__ [10m])) by (user_id)'
    data = get(shop, '/query_range', query=query, step='600000ms', start=BASE, end=BASE + 10 * MINUTE)['data']
    assert data['resultType'] == 'matrix'
    # windows are (t - 10m, t]: the first line alone at the start, all others at the end
    assert {s['metric']['user_id']: [int(v[1]) for v in s['values']] for s in data['result']} == {'0': [1, 6], '1': [7], '2': [6]}
