"""Clients that others wrote for the Kubernetes API: the official one for Python (the distribution's package `kubernetes`), and npm's @kubernetes/client-node.

Both check what they read: a field that has to be there and is not is their error.
"""
import importlib, json, os, subprocess, threading, time

import pytest

from conftest import missing
from kube import Following, fluent_bit, node_client, rfc3339
from server import ROOT, wait_for

SECOND = 10 ** 9


def record(t, line, pod, run=0, **more):
    named = dict({'uid': pod + '-uid', 'node': 'node-1', 'labels': {'app': 'api', 'statefulset.kubernetes.io/pod-name': pod}}, **more)
    return json.dumps(dict(json.loads(fluent_bit('shop', pod, 'api', t, line, container_id='%064x' % (run + 1), **named)), _time=str(t)))


def push(server, *records):
    assert server.request('POST', '/insert/jsonline', '\n'.join(records).encode())[0] == 204


@pytest.fixture
def shop(server):
    """api-0 and api-1, days ago, the first with a restart; live, which lives."""
    t = server.t = (int(time.time()) - 5 * 86400) * SECOND
    push(server, *[record(t + (10 * run + i) * SECOND, 'run %d line %d' % (run, i), 'api-0', run) for run in range(2) for i in range(3)], record(t, 'only', 'api-1', node='node-2'),
         *[record(time.time_ns() + i, 'line %d' % i, 'live', labels={'app': 'live'}) for i in range(3)])
    return server


# --- Python ---

@pytest.fixture
def python(shop):
    try:
        k = importlib.import_module('kubernetes')
    except ImportError:
        missing('Python package kubernetes')
    settings = k.client.Configuration()
    settings.host, settings.client_side_validation = 'http://' + shop.address, True
    return k, k.client.ApiClient(settings)


def test_python_reads(shop, python):
    k, api = python
    core, apps, batch = k.client.CoreV1Api(api), k.client.AppsV1Api(api), k.client.BatchV1Api(api)
    listed = core.list_namespaced_pod('shop')
    assert [p.metadata.name for p in listed.items] == ['api-0', 'api-1', 'live']
    names, token = [], None
    while token != '':
        page = core.list_pod_for_all_namespaces(limit=1, _continue=token)
        names += [p.metadata.name for p in page.items]
        token = page.metadata._continue or ''
    assert names == ['api-0', 'api-1', 'live']
    assert [p.metadata.name for p in core.list_namespaced_pod('shop', label_selector='app=api', field_selector='spec.nodeName=node-2').items] == ['api-1']
    pod = core.read_namespaced_pod('api-0', 'shop')
    assert (pod.metadata.uid, pod.spec.node_name, pod.status.phase, pod.status.container_statuses[0].restart_count) == ('api-0-uid', 'node-1', 'Unknown', 1)
    assert pod.metadata.creation_timestamp.timestamp() == shop.t // SECOND
    assert pod.status.container_statuses[0].state.terminated.reason == 'Gone' and core.read_namespaced_pod('live', 'shop').status.container_statuses[0].state.running
    assert core.read_namespaced_pod_log('api-0', 'shop') == 'run 1 line 0\nrun 1 line 1\nrun 1 line 2\n'
    assert core.read_namespaced_pod_log('api-0', 'shop', container='api', previous=True, tail_lines=1, timestamps=True) == rfc3339(shop.t // SECOND + 2, 0) + ' run 0 line 2\n'
    assert core.read_namespaced_pod_log('api-0', 'shop', since_seconds=60) == ''
    assert [n.metadata.name for n in core.list_namespace().items] == ['shop']
    assert [s.metadata.name for s in apps.list_namespaced_stateful_set('shop').items] == ['api']
    assert apps.list_deployment_for_all_namespaces().items == [] and batch.list_namespaced_job('shop').items == [] and core.list_namespaced_event('shop').items == []
    found = apps.read_namespaced_stateful_set('api', 'shop').spec.selector.match_labels
    assert [p.metadata.name for p in core.list_namespaced_pod('shop', label_selector=','.join('%s=%s' % i for i in found.items())).items] == ['api-0', 'api-1']
    assert {r.name for r in core.get_api_resources().resources} >= {'pods', 'namespaces'} and k.client.VersionApi(api).get_code().major == '1'
    for call, status in ((lambda: core.read_namespaced_pod('nope', 'shop'), 404), (lambda: core.read_namespaced_pod_log('api-0', 'shop', container='x'), 400), (lambda: core.delete_namespaced_pod('api-0', 'shop'), 405)):
        with pytest.raises(k.client.ApiException) as e:
            call()
        assert e.value.status == status and json.loads(e.value.body)['kind'] == 'Status'


def test_python_watches_and_follows(shop, python):
    k, api = python
    core = k.client.CoreV1Api(api)
    events = [(e['type'], e['object'].metadata.name) for e in k.watch.Watch().stream(core.list_namespaced_pod, 'shop', timeout_seconds=1)]
    assert events == [('ADDED', n) for n in ('api-0', 'api-1', 'live')]
    assert list(k.watch.Watch().stream(core.read_namespaced_pod_log, name='api-0', namespace='shop', follow=True)) == ['run 1 line %d' % i for i in range(3)]
    got, w = [], k.watch.Watch()

    def follow():
        for line in w.stream(core.read_namespaced_pod_log, name='live', namespace='shop', follow=True):
            got.append(line)
            if len(got) == 6:
                w.stop()
    t = threading.Thread(target=follow)
    t.start()
    wait_for(lambda: len(got) == 3, what='the past')
    push(shop, *[record(time.time_ns() + i, 'line %d' % (3 + i), 'live', labels={'app': 'live'}) for i in range(3)])
    t.join(20)
    assert not t.is_alive() and got == ['line %d' % i for i in range(6)]


# --- Node ---

@pytest.fixture
def node(shop):
    folder = node_client() or missing('Node or its package @kubernetes/client-node')
    with open(os.path.join(ROOT, 'tests', 'system', 'kube_client.mjs')) as f:
        script = f.read()

    def begin(step):
        return Following(['node', '--input-type=module', '--eval', script, '--', 'http://' + shop.address, step], cwd=folder)
    return begin


def test_node_reads(shop, node):
    p = node('read')
    assert p.join() == 0, p.err
    assert [json.loads(x) for x in p.lines] == [
        ['api-0', 'api-1', 'live'], ['api-0'], ['api-0-uid', True, 'node-1', [['api', 1]]], 'run 1 line 1\nrun 1 line 2\n', 'run 0 line 0\nrun 0 line 1\nrun 0 line 2\n', ['shop'], ['api'],
        [404, 'pods "nope" not found'], 405]


def test_node_watches(shop, node):
    p = node('watch')
    p.wait(lambda got: '"watching"' in got, what='the watch')
    push(shop, record(time.time_ns(), 'x', 'new'))
    assert p.join() == 0, p.err
    assert [json.loads(x) for x in p.lines] == ['watching', ['ADDED', 'new', 'Running']]


def test_node_follows(shop, node):
    p = node('follow')
    try:
        p.wait(lambda got: len(got) == 1, what='the past')
        push(shop, *[record(time.time_ns() + i, 'line %d' % (3 + i), 'live', labels={'app': 'live'}) for i in range(3)])
        assert p.wait(lambda got: len(got) == 4, what='live lines') == ['line %d' % i for i in range(2, 6)]
    finally:
        p.kill()
