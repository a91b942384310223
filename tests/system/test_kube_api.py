"""The Kubernetes API over plain HTTP: discovery, what kubectl was seen to ask, objects and lists, watches, logs, and every refusal with the Status of a real API server."""
import json, os, random, re, threading, time, urllib.parse

import pytest

from kube import Answer, fluent_bit, rfc3339, stamp
from server import ROOT, SLOW, wait_for

SECOND = 10 ** 9
API, WORKER = 'storefront-api-7d4b9c6f5-aaaaa', 'storefront-api-7d4b9c6f5-bbbbb'
TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'
PODS, LOG = '/api/v1/namespaces/shop/pods', '/api/v1/namespaces/shop/pods/%s/log'
DISCOVERY = 'application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList'


def record(t, line, ns='shop', pod=API, container='api', **more):
    """As fluent-bit's, with an exact time."""
    return json.dumps(dict(json.loads(fluent_bit(ns, pod, container, t, line, **more)), _time=str(t)))


def push(server, records, headers=None):
    for first in range(0, len(records), 5000):
        status, text, _ = server.request('POST', '/insert/jsonline', '\n'.join(records[first:first + 5000]).encode(), headers)
        assert status == 204, text


def ask(server, path, accept=None, method='GET', headers=None, body=None):
    """(status, JSON, headers)"""
    status, text, said = server.request(method, path, body, dict({'Accept': accept} if accept else {}, **(headers or {})))
    assert said['content-type'].startswith('application/json'), (path, status, text[:300], said)
    return status, json.loads(text), said


def get(server, path, accept=None, **params):
    status, body, _ = ask(server, path + ('?' + urllib.parse.urlencode(params, doseq=True) if params else ''), accept)
    assert status == 200, (path, params, body)
    return body


def log(server, pod, **params):
    return server.get(LOG % pod, **params).decode()


def names(body):
    return [p['metadata']['name'] for p in body['items']]


def refused(server, path, code, reason, words='', method='GET', body=None):
    """The Status object of an error."""
    status, said, _ = ask(server, path, method=method, body=body)
    assert (status, said.get('kind'), said.get('apiVersion'), said.get('status'), said.get('reason'), said.get('code')) == (code, 'Status', 'v1', 'Failure', reason, code), (path, status, said)
    assert words in said['message'] and said['metadata'] == {}, said
    return said


def some(now):
    """Two pods of a Deployment, days ago, as kubectl was recorded with."""
    labels, t0 = {'app': 'storefront-api', 'pod-template-hash': '7d4b9c6f5'}, (now - 10 * 86400) * SECOND
    for i in range(5):
        yield record(t0 + i * SECOND, 'api %d' % i, uid='u-a', container_id='a' * 64, node='node-1', labels=labels)
        for run in range(4):
            yield record(t0 + (run * 100 + i) * SECOND, 'run %d line %d' % (run, i), pod=WORKER, uid='u-b', container_id='%064x' % (run + 7), node='node-2', labels=labels)
        yield record(t0 + i * SECOND, 'sidecar %d' % i, pod=WORKER, container='sidecar', uid='u-b', container_id='b' * 64, node='node-2', labels=labels)


@pytest.fixture(scope='module')
def store(module_server):
    s = module_server().start()
    push(s, list(some(int(time.time()))))
    yield s
    assert s.stop() == 0  # under sanitizers: nothing was found in all these tests


# --- discovery ---

def test_discovery(store):
    assert get(store, '/api')['versions'] == ['v1'] and get(store, '/api')['kind'] == 'APIVersions'
    groups = get(store, '/apis')
    assert groups['kind'] == 'APIGroupList' and {g['name'] for g in groups['groups']} >= {'apps', 'batch'}
    for g in groups['groups']:
        assert g['preferredVersion'] in g['versions']
        assert get(store, '/apis/' + g['name'])['kind'] == 'APIGroup'
    kinds = {}
    for version in ['/api/v1'] + ['/apis/' + v['groupVersion'] for g in groups['groups'] for v in g['versions']]:
        body = get(store, version)
        assert (body['kind'], body['groupVersion']) == ('APIResourceList', version.split('/', 2)[2])
        for r in body['resources']:
            kinds[r['name']] = r['kind']
            assert set(r['verbs']) <= {'get', 'list', 'watch'} and isinstance(r['namespaced'], bool) and 'singularName' in r
    assert {k: kinds[k] for k in ('pods', 'pods/log', 'namespaces', 'services', 'deployments', 'replicasets', 'statefulsets', 'daemonsets', 'jobs', 'cronjobs')} == {
        'pods': 'Pod', 'pods/log': 'Pod', 'namespaces': 'Namespace', 'services': 'Service', 'deployments': 'Deployment', 'replicasets': 'ReplicaSet', 'statefulsets': 'StatefulSet',
        'daemonsets': 'DaemonSet', 'jobs': 'Job', 'cronjobs': 'CronJob'}
    version = get(store, '/version')
    assert version['major'] == '1' and version['gitVersion'].startswith('v1.' + version['minor'].rstrip('+'))
    assert [store.get(p) for p in ('/healthz', '/readyz', '/livez')] == [b'ok'] * 3
    refused(store, '/apis/nope/v1', 404, 'NotFound', 'could not find the requested resource')
    assert store.request('GET', '/openapi/v3')[0] == 404 and store.request('GET', '/openapi/v2')[0] == 404


@pytest.mark.parametrize('version', ['v2', 'v2beta1'])
def test_aggregated_discovery(store, version):
    """The same resources in one answer for each root, whatever else stands in Accept."""
    accept = ','.join([DISCOVERY % v for v in (('v2', 'v2beta1') if version == 'v2' else ('v2beta1',))] + ['application/json'])
    found = {}
    for root in ('/api', '/apis'):
        status, body, headers = ask(store, root + '?timeout=32s', accept)
        assert status == 200 and body['kind'] == 'APIGroupDiscoveryList' and body['apiVersion'] == 'apidiscovery.k8s.io/' + version
        assert headers['content-type'].replace(' ', '') == DISCOVERY % version
        for group in body['items']:
            for v in group['versions']:
                path = '/api/v1' if root == '/api' else '/apis/%s/%s' % (group['metadata']['name'], v['version'])
                for r in v['resources']:
                    found[path, r['resource']] = (r['responseKind']['kind'], r['scope'] == 'Namespaced', set(r['verbs']))
                    for sub in r.get('subresources', []):
                        found[path, '%s/%s' % (r['resource'], sub['subresource'])] = (sub['responseKind']['kind'], r['scope'] == 'Namespaced', set(sub['verbs']))
    plain = {(path, r['name']): (r['kind'], r['namespaced'], set(r['verbs'])) for path in {p for p, _ in found} for r in get(store, path)['resources']}
    assert found == plain
    newest = ask(store, '/apis', DISCOVERY % version + ';profile=nopeer,application/json')[1]
    assert newest['kind'] == 'APIGroupDiscoveryList'


# --- what kubectl was seen to ask ---

def recorded():
    with open(os.path.join(ROOT, 'tests', 'data', 'kubectl', 'requests.json')) as f:
        return [(version, *r) for version, rows in json.load(f).items() for r in rows]


def expected(path, accept):
    """The kind of an answer, 'log', or a code."""
    target, _, query = path.partition('?')
    parts, params = target.split('/'), urllib.parse.parse_qs(query)
    if target.endswith('/log'):
        return 'log'
    if parts[-1] == 'nope':
        return 404
    listed = parts[-1] in ('pods', 'namespaces', 'events')
    if 'as=Table' in accept:
        return 'watch' if 'watch' in params else 'Table'
    if 'apidiscovery' in accept and target in ('/api', '/apis'):
        return 'APIGroupDiscoveryList'
    known = {'/api': 'APIVersions', '/apis': 'APIGroupList', '/version': None}
    if target in known:
        return known[target]
    if target in ('/api/v1', '/apis/apps/v1', '/apis/batch/v1'):
        return 'APIResourceList'
    return {'pods': 'PodList', 'namespaces': 'NamespaceList', 'events': 'EventList'}[parts[-1]] if listed else {'pods': 'Pod', 'namespaces': 'Namespace', 'deployments': 'Deployment'}[parts[-2]]


def test_recorded_requests(store):
    for version, method, path, accept in recorded():
        if method != 'GET':
            status, said, _ = ask(store, path, accept, method)
            assert (status, said['reason']) == (405, 'MethodNotAllowed')
            continue
        want, headers = expected(path, accept), {'Accept': accept, 'User-Agent': 'kubectl/v' + version}
        if want == 'watch':
            a = Answer(store.address, path, headers)
            assert a.status == 200
            a.close()
        elif want == 'log' and 'previous=true' in path and API in path:
            assert store.request('GET', path, None, headers)[0] == 400
        elif want == 'log':
            a = Answer(store.address, path, headers)
            text = a.rest()
            # the recorder asked without a container of a pod with two; one of them has to be named to the real server, too
            assert a.status == 200 and a.headers['content-type'].startswith('text/plain'), (path, a.status, text)
            assert text or 'tailLines=0' in path or 'since' in path, path
        else:
            status, body, _ = ask(store, path, accept)
            assert (status, body['code']) == (404, 404) if want == 404 else status == 200 and body.get('kind') == want, (version, path, status, body)


# --- refusals ---

@pytest.mark.parametrize('path,code,reason,words', [
    (LOG % 'nope', 404, 'NotFound', 'pods "nope" not found'),
    ('/api/v1/namespaces/elsewhere/pods/%s/log' % API, 404, 'NotFound', 'pods "%s" not found' % API),
    (PODS + '/nope', 404, 'NotFound', 'pods "nope" not found'),
    ('/api/v1/namespaces/elsewhere', 404, 'NotFound', 'namespaces "elsewhere" not found'),
    ('/apis/apps/v1/namespaces/shop/deployments/nope', 404, 'NotFound', 'deployments.apps "nope" not found'),
    ('/apis/batch/v1/namespaces/shop/jobs/nope', 404, 'NotFound', 'jobs.batch "nope" not found'),
    ('/api/v1/namespaces/shop/services/nope', 404, 'NotFound', 'services "nope" not found'),
    (LOG % API + '?container=nope', 400, 'BadRequest', 'container nope is not valid for pod ' + API),
    (LOG % WORKER, 400, 'BadRequest', 'a container name must be specified for pod %s, choose one of: [api sidecar]' % WORKER),
    (LOG % API + '?previous=true', 400, 'BadRequest', 'previous terminated container "api" in pod "%s" not found' % API),
    (LOG % API + '?tailLines=-1', 422, 'Invalid', 'tailLines'),
    (LOG % API + '?limitBytes=0', 422, 'Invalid', 'limitBytes'),
    (LOG % API + '?sinceSeconds=0', 422, 'Invalid', 'sinceSeconds'),
    (LOG % API + '?sinceSeconds=-5', 422, 'Invalid', 'sinceSeconds'),
    (LOG % API + '?sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z', 422, 'Invalid', 'at most one of `sinceTime` or `sinceSeconds` may be specified'),
    (LOG % API + '?tailLines=many', 400, 'BadRequest', 'many'),
    (LOG % API + '?tailLines=99999999999999999999', 400, 'BadRequest', '99999999999999999999'),
    (LOG % API + '?sinceTime=yesterday', 400, 'BadRequest', 'yesterday'),
    (LOG % API + '?stream=Both', 422, 'Invalid', 'stream'),
    (LOG % API + '?stream=Stdout&tailLines=1', 422, 'Invalid', 'tailLines'),
    (LOG % API + '?regex=(', 400, 'BadRequest', ''),
    (LOG % API + '?restart=x', 400, 'BadRequest', 'restart'),
    (LOG % API + '?restart=7', 400, 'BadRequest', ''),
    (LOG % API + '?untilTime=x', 400, 'BadRequest', ''),
    (LOG % API + '?format=xml', 400, 'BadRequest', 'format'),
    (LOG % API + '?uid=nope', 404, 'NotFound', API),
    (PODS + '?limit=x', 400, 'BadRequest', 'x'),
    (PODS + '?labelSelector=app%3D%3D%3Dx', 400, 'BadRequest', ''),
    (PODS + '?labelSelector=a+in+b', 400, 'BadRequest', ''),
    (PODS + '?fieldSelector=spec.colour%3Dred', 400, 'BadRequest', 'spec.colour'),
    (PODS + '?continue=nonsense', 400, 'BadRequest', 'continue'),
    (PODS + '?continue=bm9uc2Vuc2U', 400, 'BadRequest', 'continue'),
    ('/api/v1/namespaces/shop/widgets', 404, 'NotFound', 'the server could not find the requested resource'),
    ('/api/v1/namespaces/shop/pods/%s/exec' % API, 404, 'NotFound', ''),
    ('/api/v1/widgets', 404, 'NotFound', 'the server could not find the requested resource'),
    ('/api/v2/pods', 404, 'NotFound', 'the server could not find the requested resource'),
    ('/apis/apps/v1/namespaces/shop/widgets', 404, 'NotFound', 'the server could not find the requested resource'),
    ('/apis/apps/v2/deployments', 404, 'NotFound', 'the server could not find the requested resource'),
])
def test_refusals(store, path, code, reason, words):
    refused(store, path, code, reason, words)


def test_details_of_not_found(store):
    assert refused(store, PODS + '/nope', 404, 'NotFound')['details'] == {'name': 'nope', 'kind': 'pods'}
    assert refused(store, '/apis/apps/v1/namespaces/shop/deployments/nope', 404, 'NotFound')['details'] == {'name': 'nope', 'group': 'apps', 'kind': 'deployments'}


@pytest.mark.parametrize('method', ['POST', 'PUT', 'PATCH', 'DELETE'])
@pytest.mark.parametrize('path', [PODS, PODS + '/' + API, LOG % API, '/api/v1/namespaces', '/api/v1/namespaces/shop', '/apis/apps/v1/namespaces/shop/deployments/storefront-api', '/api/v1/pods'])
def test_nothing_can_be_written(store, method, path):
    refused(store, path, 405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', method, b'{}' if method != 'DELETE' else None)


@pytest.mark.parametrize('path', [
    '/api/v1/namespaces/shop%2Fpods/pods', '/api/v1/namespaces/shop/pods/a%2Fb', '/api/v1/namespaces/shop/pods/%2e%2e', '/api/v1/namespaces/shop/pods/..%2F..%2Fkube-system',
    PODS + '/../pods/' + API, '/api/v1/namespaces/./shop/pods/' + API, '/api/v1/namespaces/../namespaces/shop', PODS + '/%ff%fe', PODS + '/' + 'x' * 254,
    PODS + '/' + 'x' * 4000, '/api/v1/namespaces/' + 'n' * 4000 + '/pods', PODS + '//' + API, '/api//v1/pods', PODS + '/%s/log/' % API + 'x', PODS + '/' + API.upper(), PODS + '/%25', PODS + '/a%0ab',
    '/api/v1/namespaces//pods/' + API, '/apis/../admin/status', '/api/v1/..%2f..%2fadmin/status'])
def test_path_tricks(store, path):
    """None of them finds something by another name than its own, and each is answered with a Status."""
    if path.startswith('/api/v1/namespaces/n'):
        assert get(store, path)['items'] == []  # a namespace that is not there has no pods, as everywhere
        return
    status, said, _ = ask(store, path)
    assert status in (400, 404) and said['kind'] == 'Status' and said['code'] == status and said['reason'] in ('NotFound', 'BadRequest'), (path, said)


def test_heads_that_cannot_be_read(store):
    for path in (PODS + '/%00', PODS + '/' + API + '%00', PODS + '/%zz'):
        assert store.request('GET', path)[0] == 400
    assert store.request('GET', PODS + '/' + 'x' * 100000)[0] in (414, 431)


def test_odd_parameters_are_taken_as_a_real_server_does(store):
    whole = log(store, API)
    assert whole == ''.join('api %d\n' % i for i in range(5))
    for more in ({'pretty': 'true'}, {'insecureSkipTLSVerifyBackend': 'true'}, {'follow': 'false'}, {'timestamps': '0'}, {'container': 'api'}, {'unknown': 'x'}, {'stream': 'All'}):
        assert log(store, API, **more) == whole, more
    assert log(store, API, follow='true') == whole == log(store, API, follow='1')  # it is gone: the end is there at once
    assert log(store, API, tailLines=0) == '' and log(store, API, tailLines=2) == 'api 3\napi 4\n'
    assert log(store, API, limitBytes=7) == whole[:7]
    assert log(store, API, timestamps='true').split('\n')[0][29:] == 'Z api 0' and log(store, API, timestamps='true', limitBytes=35) == log(store, API, timestamps='true')[:35]
    t = log(store, API, timestamps='true').split('\n')[3].split()[0]
    assert log(store, API, sinceTime=t) == 'api 3\napi 4\n' and log(store, API, sinceTime=t.replace('.000000000Z', '.000000001Z')) == 'api 4\n'
    assert log(store, API, sinceTime=t.replace('.000000000Z', '+00:00')) == 'api 3\napi 4\n'
    assert log(store, API, sinceSeconds=11 * 86400) == whole and log(store, API, sinceSeconds=3600) == ''


def test_bytes_of_a_line_stay(new_server):
    from test_push_kafka import PROTOBUF, entry, loki_protobuf
    s = new_server().start()
    now = time.time_ns() - 10 * SECOND
    raw = [b'\xff\xfe broken', b'cut \xf0\x9f\x98', b'nul \0 nul', 'ganz heil äöü\ttab'.encode(), b'', b'\r', b'two\nlines', b'L' * 300000]
    body = loki_protobuf((b'{namespace="shop", pod="p", container="c"}', [entry(line, now + i) for i, line in enumerate(raw)]))
    assert s.request('POST', '/loki/api/v1/push', body, PROTOBUF)[0] == 204
    assert s.get(LOG % 'p') == b''.join(line + b'\n' for line in raw)
    got = [json.loads(x) for x in s.get(LOG % 'p', format='json').split(b'\n')[:-1]]
    assert [re.sub('\ufffd+', '\ufffd', x['line']) for x in got] == [re.sub('\ufffd+', '\ufffd', line.decode(errors='replace')) for line in raw]


# --- objects and lists ---

def fleet(n, now, seed=3):
    """{(ns, name): (labels, node)} and records, of n pods that are gone."""
    r, known, records = random.Random(seed), {}, []
    for i in range(n):
        ns, name = 'ns-%d' % (i % 7), 'p-%s' % ''.join(r.choice('abcdefghij-0123456789') for _ in range(8)) + '-%d' % i
        labels = {k: v for k, v in (('app', 'app-%d' % r.randrange(5)), ('tier', r.choice(['front', 'back'])), ('version', r.choice(['1', '2', '10']))) if r.random() < 0.8}
        node = 'node-%d' % r.randrange(4)
        known[ns, name] = (labels, node)
        records.append(record((now - 86400 * r.randrange(2, 9)) * SECOND + i, 'of %s' % name, ns=ns, pod=name, container='c', uid='uid-%d' % i, node=node, labels=labels))
    return known, records


@pytest.fixture(scope='module')
def many(module_server):
    """3,000 pods, half of them sealed in small segments."""
    s = module_server('--seal-bytes', '256KiB').start()
    known, records = fleet(3000, int(time.time()))
    push(s, records[:1500])
    push(s, records[1500:])
    s.known = known
    yield s
    assert s.stop() == 0


def pages(server, path, limit, accept=None, **params):
    """(items of each page, metadata of each) until there is no more."""
    token, out = None, []
    while token != '':
        body = get(server, path, accept, limit=limit, **dict(params, **({'continue': token} if token else {})))
        items = body['rows'] if body['kind'] == 'Table' else body['items']
        assert len(items) <= limit and len(out) <= 4000 // min(limit, 500), 'it goes on and on'
        token = body['metadata'].get('continue', '')
        assert items or not token
        out.append(items)
    return out


@pytest.mark.parametrize('limit', [500, 333, 2999, 3000, 1 << 31])
def test_limit_and_continue(many, limit):
    """Each pod once, by rising namespace and name. A page may have less than was asked for."""
    got = pages(many, '/api/v1/pods', limit)
    assert limit > 500 or [len(p) for p in got] == [limit] * (3000 // limit) + [3000 % limit] * (3000 % limit > 0)
    assert [(p['metadata']['namespace'], p['metadata']['name']) for page in got for p in page] == sorted(many.known)


def test_limit_and_continue_of_a_part(many):
    want = sorted(k for k, (labels, _) in many.known.items() if k[0] == 'ns-3' and labels.get('app') == 'app-1')
    got = pages(many, '/api/v1/namespaces/ns-3/pods', 10, labelSelector='app=app-1')
    assert [(p['metadata']['namespace'], p['metadata']['name']) for page in got for p in page] == want
    rows = pages(many, '/api/v1/namespaces/ns-3/pods', 50, TABLE, fieldSelector='spec.nodeName=node-2')
    assert [row['object']['metadata']['name'] for page in rows for row in page] == sorted(n for (ns, n), (_, node) in many.known.items() if ns == 'ns-3' and node == 'node-2')
    one = pages(many, '/api/v1/pods', 1, fieldSelector='metadata.name=' + sorted(many.known)[100][1])
    assert [p['metadata']['name'] for page in one for p in page] == [sorted(many.known)[100][1]]


def test_without_a_limit_all(many):
    assert len(get(many, '/api/v1/pods')['items']) == 3000 and len(get(many, '/api/v1/pods', limit=0)['items']) == 3000
    assert [n['metadata']['name'] for n in get(many, '/api/v1/namespaces')['items']] == ['ns-%d' % i for i in range(7)]


SELECTORS = [
    ('app=app-1', lambda l: l.get('app') == 'app-1'), ('app==app-1', lambda l: l.get('app') == 'app-1'), ('app!=app-1', lambda l: l.get('app') != 'app-1'),
    ('app in (app-1,app-2)', lambda l: l.get('app') in ('app-1', 'app-2')), ('app notin (app-1, app-2)', lambda l: l.get('app') not in ('app-1', 'app-2')),
    ('app', lambda l: 'app' in l), ('!app', lambda l: 'app' not in l), ('app,tier', lambda l: 'app' in l and 'tier' in l),
    ('app=app-1,tier!=front', lambda l: l.get('app') == 'app-1' and l.get('tier') != 'front'), ('app in (app-9)', lambda l: False),
    ('tier in (front,back),version notin (10),!nothing', lambda l: l.get('tier') in ('front', 'back') and l.get('version') != '10'), ('', lambda l: True),
]


@pytest.mark.parametrize('selector,fits', SELECTORS, ids=[s or 'empty' for s, _ in SELECTORS])
def test_label_selectors(many, selector, fits):
    want = sorted(n for (ns, n), (labels, _) in many.known.items() if ns == 'ns-5' and fits(labels))
    assert names(get(many, '/api/v1/namespaces/ns-5/pods', labelSelector=selector)) == want


def test_field_selectors(many):
    of = lambda fits: sorted((k for k in many.known if fits(k, *many.known[k])))
    listed = lambda selector: [(p['metadata']['namespace'], p['metadata']['name']) for p in get(many, '/api/v1/pods', fieldSelector=selector)['items']]
    assert listed('spec.nodeName=node-1') == of(lambda k, l, node: node == 'node-1')
    assert listed('spec.nodeName!=node-1,metadata.namespace=ns-2') == of(lambda k, l, node: node != 'node-1' and k[0] == 'ns-2')
    assert listed('metadata.namespace!=ns-2,spec.nodeName==node-3') == of(lambda k, l, node: node == 'node-3' and k[0] != 'ns-2')
    assert listed('status.phase=Running') == [] and len(listed('status.phase=Unknown')) == 3000 and len(listed('status.phase!=Running')) == 3000


ROUGH = ('resourceVersion', 'logpond.io/last-line', 'startedAt', 'finishedAt', 'lastTransitionTime')  # of times that stored files tell within a thousandth of what they cover


def without(o, names):
    if isinstance(o, dict):
        return {k: without(v, names) for k, v in o.items() if k not in names}
    return [without(v, names) for v in o] if isinstance(o, list) else o


def test_objects_stay_the_same(new_server):
    """From memory, from segments, after a kill, and merged."""
    s = new_server('--seal-bytes', '64KiB').start()
    now = int(time.time())
    push(s, list(some(now)))
    _, records = fleet(400, now)
    push(s, records)

    def all_of():
        out = [get(s, path) for path in ('/api/v1/pods', '/api/v1/namespaces', '/apis/apps/v1/deployments', '/apis/apps/v1/replicasets', '/api/v1/services')]
        return without(out, ROUGH)
    first = all_of()
    assert len(first[0]['items']) == 402 and len(first[2]['items']) == 1
    s.kill()
    s.start()
    assert all_of() == first
    assert s.stop() == 0
    s.start()
    assert all_of() == first
    asked = json.loads(s.request('POST', '/admin/compact')[1])['request']
    wait_for(lambda: s.status()['compaction']['answered'] >= asked, 60, 'the merge')
    assert all_of() == first


def test_restarts_within_seconds(new_server):
    """A crash loop's runs are told apart and in order wherever they are, and in whatever order they came in."""
    s = new_server('--seal-bytes', '64KiB').start()
    now, r, runs = time.time_ns() - 5 * 86400 * SECOND, random.Random(5), 30
    ids = ['%064x' % r.getrandbits(256) for _ in range(runs)]
    records = [record(now + (run * 4 + i) * SECOND, 'run %d line %d' % (run, i), pod='crash', container='c', uid='u', container_id=ids[run]) for run in range(runs) for i in range(3)]
    r.shuffle(records)
    push(s, records)
    _, others = fleet(500, int(time.time()))
    push(s, others)

    def check():
        for run in range(runs):
            assert log(s, 'crash', restart=run) == ''.join('run %d line %d\n' % (run, i) for i in range(3)), run
        assert log(s, 'crash') == log(s, 'crash', restart=runs - 1) and log(s, 'crash', previous='true') == log(s, 'crash', restart=runs - 2)
        assert log(s, 'crash', restart='all') == ''.join(log(s, 'crash', restart=run) for run in range(runs))
        status = get(s, PODS + '/crash')['status']['containerStatuses'][0]
        assert (status['restartCount'], status['state']['terminated']['startedAt']) == (runs - 1, rfc3339((now + (runs - 1) * 4 * SECOND) // SECOND))
    check()
    assert s.stop() == 0
    s.start()
    check()
    asked = json.loads(s.request('POST', '/admin/compact')[1])['request']
    wait_for(lambda: s.status()['compaction']['answered'] >= asked, 60, 'the merge')
    check()


def test_restart_numbers_that_senders_say(server):
    """They count, also where lines of some runs never came."""
    t = time.time_ns() - 5 * 86400 * SECOND
    labels = lambda run: {'namespace': 'shop', 'pod': 'told', 'container': 'c', '__pod_uid__': 'u', '__incarnation__': str(run)}
    body = json.dumps({'streams': [{'stream': labels(run), 'values': [[str(t + run * SECOND), 'run %d' % run]]} for run in (3, 11, 7)]})
    assert server.request('POST', '/loki/api/v1/push', body, {'Content-Type': 'application/json'})[0] == 204
    assert log(server, 'told') == 'run 11\n' and log(server, 'told', previous='true') == 'run 7\n' and log(server, 'told', restart=3) == 'run 3\n'
    refused(server, LOG % 'told' + '?restart=4', 400, 'BadRequest')
    assert get(server, PODS + '/told')['status']['containerStatuses'][0]['restartCount'] == 11


def test_more_is_learned(server):
    """Labels that come late, from an agent that had not heard of the pod yet; a pod without a uid has one that stays."""
    t = time.time_ns() - 60 * SECOND
    push(server, [record(t, 'one', pod='late-5f6d8c9b7-abcde')])
    first = get(server, PODS + '/late-5f6d8c9b7-abcde')
    assert len(first['metadata']['uid']) == 36 and get(server, PODS + '/late-5f6d8c9b7-abcde')['metadata']['uid'] == first['metadata']['uid']
    push(server, [record(t + 1, 'two', pod='late-5f6d8c9b7-abcde', uid='the-uid', node='n1', image='reg/late:2', labels={'app.kubernetes.io/name': 'late', 'pod-template-hash': '5f6d8c9b7'})])
    pod = get(server, PODS + '/late-5f6d8c9b7-abcde')
    assert (pod['metadata']['uid'], pod['spec']['nodeName'], pod['spec']['containers']) == ('the-uid', 'n1', [dict(pod['spec']['containers'][0], name='api', image='reg/late:2')])
    assert pod['metadata']['labels']['app'] == 'late'  # decoders make it the label app, where there is none (contracts B.6); both find it
    for key in ('app', 'app.kubernetes.io/name'):
        assert [p['metadata']['name'] for p in get(server, PODS + '?labelSelector=%s%%3Dlate' % key)['items']] == [pod['metadata']['name']]
    assert names(get(server, PODS, labelSelector='app.kubernetes.io/name=late')) == ['late-5f6d8c9b7-abcde']
    assert log(server, 'late-5f6d8c9b7-abcde') == 'one\ntwo\n'
    assert names(get(server, '/apis/apps/v1/namespaces/shop/deployments')) == ['late']


def test_tables(store):
    body = get(store, PODS, TABLE, limit=500)
    assert (body['kind'], body['apiVersion']) == ('Table', 'meta.k8s.io/v1') and body['metadata']['resourceVersion']
    assert [c['name'] for c in body['columnDefinitions'] if c['priority'] == 0] == ['Name', 'Ready', 'Status', 'Restarts', 'Age']
    assert [r['cells'][:5] for r in body['rows']] == [[API, '0/1', 'Gone', '0', '10d'], [WORKER, '0/2', 'Gone', '3 (9d ago)', '10d']]
    assert {r['object']['kind'] for r in body['rows']} == {'PartialObjectMetadata'} and all(len(r['cells']) == len(body['columnDefinitions']) for r in body['rows'])
    whole = get(store, PODS, TABLE, includeObject='Object')
    assert [r['object']['kind'] for r in whole['rows']] == ['Pod'] * 2 and whole['rows'][0]['object']['spec']['nodeName'] == 'node-1'
    assert all('object' not in r or r['object'] is None for r in get(store, PODS, TABLE, includeObject='None')['rows'])
    for path in ('/api/v1/namespaces', '/api/v1/namespaces/shop', '/apis/apps/v1/namespaces/shop/deployments', '/apis/apps/v1/namespaces/shop/replicasets/storefront-api-7d4b9c6f5', '/api/v1/services', PODS + '/' + API):
        body = get(store, path, TABLE)
        assert body['kind'] == 'Table' and len(body['rows']) >= 1 and all(len(r['cells']) == len(body['columnDefinitions']) for r in body['rows']), path


def test_owners(store):
    deploy = get(store, '/apis/apps/v1/namespaces/shop/deployments/storefront-api')
    for path, key in (('/apis/apps/v1/namespaces/shop/deployments/storefront-api', 'logpond.io/deployment'), ('/apis/apps/v1/namespaces/shop/replicasets/storefront-api-7d4b9c6f5', 'logpond.io/replicaset')):
        o = get(store, path)
        [(label, value)] = o['spec']['selector']['matchLabels'].items()
        assert label == key and names(get(store, PODS, labelSelector='%s=%s' % (label, value))) == [API, WORKER]
    assert deploy['kind'] == 'Deployment' and deploy['metadata']['namespace'] == 'shop'
    [rs] = get(store, '/apis/apps/v1/namespaces/shop/replicasets')['items']
    assert rs['metadata']['name'] == 'storefront-api-7d4b9c6f5' and rs['metadata']['ownerReferences'][0]['name'] == 'storefront-api'
    service = get(store, '/api/v1/namespaces/shop/services/storefront-api')
    assert names(get(store, PODS, labelSelector=','.join('%s=%s' % i for i in service['spec']['selector'].items()))) == [API, WORKER]
    assert get(store, '/apis/apps/v1/statefulsets')['items'] == [] and get(store, '/apis/batch/v1/namespaces/shop/cronjobs')['kind'] == 'CronJobList'
    assert get(store, '/api/v1/namespaces/shop/events')['items'] == []


def test_tenants(new_server):
    s = new_server('--tenants').start()
    t = time.time_ns()
    push(s, [record(t, 'red line', pod='red')], {'X-Scope-OrgID': 'red'})
    push(s, [record(t, 'blue line', pod='blue')], {'X-Scope-OrgID': 'blue'})
    for who, other in (('red', 'blue'), ('blue', 'red')):
        headers = {'X-Scope-OrgID': who}
        assert names(ask(s, PODS, headers=headers)[1]) == [who]
        assert s.request('GET', LOG % who, None, headers)[1] == b'%s line\n' % who.encode()
        assert ask(s, LOG % other, headers=headers)[0] == 404


# --- watch ---

def test_watch(new_server):
    s = new_server('--pod-silence', '3s').start()
    t = (int(time.time()) - 3600) * SECOND
    push(s, [record(t, 'x', pod='a', uid='ua', labels={'app': 'w'}), record(t, 'x', pod='b', uid='ub', labels={'app': 'other'})])
    listed = get(s, PODS, labelSelector='app=w')
    w = Answer(s.address, PODS + '?watch=true&labelSelector=app%3Dw&resourceVersion=' + listed['metadata']['resourceVersion'])
    fresh = Answer(s.address, PODS + '?watch=1&labelSelector=app%3Dw')
    assert (w.status, fresh.status) == (200, 200)
    [e] = fresh.objects(1)
    assert (e['type'], e['object']['kind'], e['object']['metadata']['name']) == ('ADDED', 'Pod', 'a')
    now = time.time_ns()
    push(s, [record(now, 'x', pod='c', uid='uc', container_id='1' * 64, labels={'app': 'w'}), record(now, 'x', pod='d', labels={'app': 'other'})])
    for answer in (w, fresh):
        [e] = answer.objects(1)
        assert (e['type'], e['object']['metadata']['name'], e['object']['status']['phase']) == ('ADDED', 'c', 'Running')
    push(s, [record(time.time_ns(), 'x', pod='c', uid='uc', container_id='2' * 64, labels={'app': 'w'})])
    e = w.objects(1)[0]
    assert (e['type'], e['object']['metadata']['name'], e['object']['status']['containerStatuses'][0]['restartCount']) == ('MODIFIED', 'c', 1)
    e = w.objects(1)[0]  # and then it falls silent
    assert (e['type'], e['object']['metadata']['name'], e['object']['status']['phase']) == ('MODIFIED', 'c', 'Unknown')
    w.close()
    fresh.close()


def test_watch_ends_in_time(store):
    begin = time.monotonic()
    w = Answer(store.address, PODS + '?watch=true&timeoutSeconds=1')
    events = [json.loads(x) for x in w.rest().split('\n')[:-1]]
    assert 0.9 < time.monotonic() - begin < 10 * SLOW
    assert [(e['type'], e['object']['metadata']['name']) for e in events if e['type'] != 'BOOKMARK'] == [('ADDED', API), ('ADDED', WORKER)]
    table = Answer(store.address, PODS + '?watch=true&timeoutSeconds=1', {'Accept': TABLE})
    [first, second] = [e for e in map(json.loads, table.rest().split('\n')[:-1]) if e['type'] != 'BOOKMARK']
    assert first['object']['kind'] == 'Table' and len(first['object']['rows']) == 1 and first['object']['rows'][0]['cells'][0] == API and second['object']['rows'][0]['cells'][0] == WORKER


# --- a live cluster beside it ---

def test_pods_that_are_not_known_are_elsewhere(new_server):
    s = new_server('--kube-api', 'https://cluster.example:6443/').start()
    push(s, list(some(int(time.time()))))
    for path in (LOG % 'fresh' + '?follow=true&container=c%20d', PODS + '/fresh'):
        status, _, headers = s.request('GET', path)
        assert (status, headers['location']) == (307, 'https://cluster.example:6443' + path)
    assert log(s, API) and get(s, PODS + '/' + API)
    refused(s, '/apis/apps/v1/namespaces/shop/deployments/nope', 404, 'NotFound')


# --- logs of several pods ---

SEVERAL = '/api/v1/namespaces/shop/log'


def test_logs_of_several(store):
    get_lines = lambda **p: store.get(SEVERAL + ('?' + urllib.parse.urlencode(p, doseq=True) if p else '')).decode().split('\n')[:-1]
    both = ['[pod/%s/api] api %d' % (API, i) for i in range(5)]
    assert [x for x in get_lines(target='deploy/storefront-api', prefix='true', restart='all') if '/api] api' in x] == both
    assert get_lines(target=API) == ['api %d' % i for i in range(5)] == get_lines(target='pod/' + API)
    assert get_lines(target='deploy/storefront-api', container='sidecar') == ['sidecar %d' % i for i in range(5)]
    everything = get_lines(restart='all', prefix='true')
    assert len(everything) == 30 and sorted(everything) == sorted(both + ['[pod/%s/api] run %d line %d' % (WORKER, r, i) for r in range(4) for i in range(5)] + ['[pod/%s/sidecar] sidecar %d' % (WORKER, i) for i in range(5)])
    stamps = [x.split()[0] for x in get_lines(restart='all', timestamps='true')]
    assert stamps == sorted(stamps)  # merged by time
    assert get_lines(target=WORKER, container='api') == ['run 3 line %d' % i for i in range(5)]
    assert get_lines(target=WORKER, container='api', previous='true') == ['run 2 line %d' % i for i in range(5)]
    assert get_lines(target=WORKER, container='api', restart='1', tailLines=2) == ['run 1 line 3', 'run 1 line 4']
    assert get_lines(labelSelector='app=storefront-api', fieldSelector='spec.nodeName=node-1') == ['api %d' % i for i in range(5)]
    assert get_lines(target=[API, WORKER], match='line 4', container='api') == ['run 3 line 4']
    row = json.loads(get_lines(target=WORKER, container='sidecar', format='json', tailLines=1)[0])
    assert (row['pod'], row['container'], row['node'], row['line'], row['namespace'], row['uid']) == (WORKER, 'sidecar', 'node-2', 'sidecar 4', 'shop', 'u-b')
    refused(store, SEVERAL + '?target=deploy/nope', 404, 'NotFound', 'nope')
    refused(store, SEVERAL + '?target=what/ever', 400, 'BadRequest', 'target')
    refused(store, SEVERAL + '?labelSelector=(', 400, 'BadRequest')


def test_too_many_pods_at_once(new_server):
    s = new_server().start()
    t = (int(time.time()) - 5 * 86400) * SECOND
    push(s, [record(t + i, 'x', pod='p-%d' % i, container='c') for i in range(1001)])
    refused(s, SEVERAL, 400, 'BadRequest', '1000')
    assert len(s.get(SEVERAL + '?fieldSelector=metadata.name%21%3Dp-7').split(b'\n')) == 1001


# --- follow ---

def live(first, n, pod='live', t=None, container_id='c' * 64, **more):
    t = t or time.time_ns()
    return [record(t + i, 'line %d' % (first + i), pod=pod, container='c', uid=pod + '-uid', container_id=container_id, **more) for i in range(n)]


def numbers(first, n):
    return ['line %d' % i for i in range(first, first + n)]


def test_follow(server):
    push(server, live(0, 5))
    a = Answer(server.address, LOG % 'live' + '?follow=true')
    assert a.headers['content-type'].startswith('text/plain') and a.headers['transfer-encoding'] == 'chunked'
    assert a.lines(5) == numbers(0, 5)
    push(server, live(5, 3, container_id='d' * 64))  # its container was restarted
    push(server, live(1000, 3, pod='other'))
    assert a.lines(3) == numbers(5, 3)
    push(server, live(8, 2, t=time.time_ns() - 3600 * SECOND))  # late, and of the run before
    assert a.lines(2) == numbers(8, 2)
    tail = Answer(server.address, LOG % 'live' + '?follow=true&tailLines=0&timestamps=true&match=1')
    push(server, live(10, 2, container_id='d' * 64))
    assert a.lines(2) == numbers(10, 2)
    assert [x.split(' ', 1)[1] for x in tail.lines(2)] == numbers(10, 2)
    limited = Answer(server.address, LOG % 'live' + '?follow=true&tailLines=0&limitBytes=10')
    push(server, live(12, 3, container_id='d' * 64))
    assert limited.rest() == 'line 12\nli'
    a.close()


def test_follow_ends_when_the_name_is_anothers(server):
    push(server, live(0, 3, pod='db-0'))
    a = Answer(server.address, LOG % 'db-0' + '?follow=true')
    assert a.lines(3) == numbers(0, 3)
    push(server, [record(time.time_ns(), 'of the next', pod='db-0', container='c', uid='another')])
    assert a.rest() == ''
    assert log(server, 'db-0') == 'of the next\n' and log(server, 'db-0', previous='true') == ''.join(x + '\n' for x in numbers(0, 3))


def test_no_more_follows_than_allowed(new_server):
    s = new_server('--follows', '2').start()
    push(s, live(0, 1))
    two = [Answer(s.address, LOG % 'live' + '?follow=true') for _ in range(2)]
    assert [a.lines(1) for a in two] == [['line 0']] * 2
    status, said, headers = ask(s, LOG % 'live' + '?follow=true')
    assert (status, said['reason'], said['code']) == (429, 'TooManyRequests', 429) and int(headers['retry-after']) >= 1
    two[0].close()
    again = wait_for(lambda: (lambda a: a if a.status == 200 else a.close())(Answer(s.address, LOG % 'live' + '?follow=true')), what='room for another')
    assert again.lines(1) == ['line 0']


def test_a_server_that_stops_ends_follows(new_server):
    s = new_server().start()
    push(s, live(0, 1))
    a = [Answer(s.address, LOG % 'live' + '?follow=true') for _ in range(3)]
    assert [x.lines(1) for x in a] == [['line 0']] * 3
    begin = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - begin < 8 * SLOW


@pytest.mark.parametrize('seal', ['64MiB', '4MiB'], ids=['memory', 'segments'])
def test_nothing_is_lost_or_twice_behind_a_slow_reader(new_server, seal):
    """A long past is read page by page, while lines of now come in, and such of times that the reader has gone by or has not come to yet; and are sealed."""
    s = new_server('--seal-bytes', seal, '--compact=off').start()
    past, rounds, pad, r, ms = 60000, 40, ' ' + 'x' * 400, random.Random(7), 10 ** 6
    t0 = time.time_ns() - 600 * SECOND
    lines = lambda first, times: [record(t, '%d%s' % (first + i, pad), pod='live', container='c', uid='u', container_id='c' * 64) for i, t in enumerate(times)]
    push(s, lines(0, [t0 + i * ms for i in range(past)]))
    a = Answer(s.address, LOG % 'live' + '?follow=true', rcvbuf=4096, seconds=60)
    got, sent = [], past
    for _ in range(rounds):
        got += [int(x.split(' ', 1)[0]) for x in a.lines(past // rounds)]
        late = [t0 + r.randrange(-past // 10, past) * ms + 1 for _ in range(50)]
        push(s, lines(sent, late + [time.time_ns() + i for i in range(50)]))
        sent += 100
    got += [int(x.split(' ', 1)[0]) for x in a.lines(sent - len(got))]
    assert sorted(got) == list(range(sent))
    push(s, lines(sent, [time.time_ns()]))
    assert [int(x.split(' ', 1)[0]) for x in a.lines(1)] == [sent]
    a.close()


def rss_anon_mb(server):
    with open('/proc/%d/status' % server.process.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith('RssAnon:')) >> 10


@pytest.mark.skipif(SLOW > 1, reason='memory under sanitizers says nothing')
def test_stalled_follows_hold_no_generations(new_server):
    """Clients that stop reading, each at another time, cost a page each, not the generation that they were at."""
    s = new_server('--seal-bytes', '8MiB').start()
    sent, most, stalled = 0, 0, []

    def some_mb():
        nonlocal sent
        push(s, [record(time.time_ns() + i, '%d %s' % (sent + i, 'x' * 10000), pod='live', container='c', uid='u', container_id='c' * 64) for i in range(800)])
        sent += 800
    some_mb()
    for _ in range(20):  # the server alone takes more with time
        some_mb()
        most = max(most, rss_anon_mb(s))
    for _ in range(15):
        stalled.append(Answer(s.address, LOG % 'live' + '?follow=true&tailLines=0', rcvbuf=4096))
        some_mb()
    some_mb()
    assert rss_anon_mb(s) < most + 15 * 3, (rss_anon_mb(s), most)
    for a in stalled:
        a.close()


@pytest.mark.skipif(SLOW > 1, reason='memory under sanitizers says nothing')
def test_stalled_readers_hold_little(new_server):
    """Clients that stop reading in the middle of a long past."""
    s, r, t0 = new_server('--seal-bytes', '8MiB').start(), random.Random(1), time.time_ns() - 600 * SECOND
    for k in range(10):
        push(s, [record(t0 + (k * 1000 + i) * 1000, '%04000x' % r.getrandbits(16000), pod='long', container='c', uid='u', container_id='c' * 64) for i in range(1000)])
    log(s, 'long', tailLines=10)
    before, stalled = rss_anon_mb(s), []
    for _ in range(20):
        stalled.append(Answer(s.address, LOG % 'long', rcvbuf=4096))
        stalled[-1].lines(1)
    assert rss_anon_mb(s) < before + 20 * 6, (rss_anon_mb(s), before)
    for a in stalled:
        a.close()


def test_many_follows_while_others_push(server):
    """20 follows of 5 pods, 4 threads that push: each has every line once, each sender's in order."""
    per, rounds = 20, 25
    push(server, [x for p in range(5) for x in live(0, 1, pod='p%d' % p)])
    answers = [Answer(server.address, LOG % ('p%d' % (i % 5)) + '?follow=true', seconds=60) for i in range(20)]
    assert all(a.lines(1) == ['line 0'] for a in answers)

    def sender(number):
        for r in range(rounds):
            push(server, [x for p in range(5) for x in [record(time.time_ns(), '%d %d' % (number, r * per + i), pod='p%d' % p, container='c', uid='p%d-uid' % p, container_id='c' * 64) for i in range(per)]])
    got = {}

    def reader(i):
        got[i] = [tuple(map(int, x.split())) for x in answers[i].lines(4 * per * rounds)]
    threads = [threading.Thread(target=sender, args=(i,)) for i in range(4)] + [threading.Thread(target=reader, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120 * SLOW)
        assert not t.is_alive()
    for i in range(20):
        assert {n: [k for m, k in got[i] if m == n] for n in range(4)} == {n: list(range(per * rounds)) for n in range(4)}
    for a in answers:
        a.close()
