"""The real kubectl, unmodified, each that is there, against a store that was loaded through Kafka: what it prints, to the byte.

Pods of three weeks ago, whose nodes are gone, and some that live. Oracle: the lines that were sent; texts and tables are those a real cluster gives.
"""
import hashlib, json, re, time

import pytest
import yaml

from kube import fluent_bit, rfc3339, stamp
from server import SLOW, wait_for
from test_kafka import flags, rows

SECOND = 10 ** 9
API, WORKER, WEB = 'storefront-api-7d4b9c6f5-aaaaa', 'storefront-api-7d4b9c6f5-bbbbb', 'web-5f6d8c9b7-ccccc'
JOB, AGENT = 'nightly-28500000-xyz12', 'agent-9xk2p'
UIDS = {API: '11111111-2222-3333-4444-555555550001', WORKER: '11111111-2222-3333-4444-555555550002', WEB: '11111111-2222-3333-4444-555555550003',
        JOB: '11111111-2222-3333-4444-555555550004', AGENT: '11111111-2222-3333-4444-555555550005'}
OLD_UID, NEW_UID = '11111111-2222-3333-4444-555555550031', '11111111-2222-3333-4444-555555550032'
API_LABELS = {'app': 'storefront-api', 'pod-template-hash': '7d4b9c6f5', 'app.kubernetes.io/part-of': 'storefront'}


def container_id(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Past:
    """What is in the store: `lines` of each (pod, container, run), `records` to send."""

    def __init__(self):
        self.now = int(time.time())
        self.t0 = (self.now - 20 * 86400 - 3600) * SECOND + 6
        self.records, self.lines = [], {}
        for i in range(20):
            self.add(API, 'api', 0, self.t0 + 60 * i * SECOND, 'GET /item/%d 200' % i, node='node-1', labels=API_LABELS, stream='stderr' if i == 7 else 'stdout')
        for run in range(6):
            for i in range(2):
                self.add(WORKER, 'api', run, self.t0 + (600 * run + 60 * i) * SECOND, 'run %d line %d' % (run, i), node='node-2', labels=API_LABELS)
        for i in range(3):
            self.add(WORKER, 'sidecar', 0, self.t0 + 30 * i * SECOND, 'proxied %d' % i, node='node-2', labels=API_LABELS)
        postgres = {'app': 'postgres', 'statefulset.kubernetes.io/pod-name': 'postgres-0', 'controller-revision-hash': 'postgres-6b7d9c8f44'}
        for n, uid in enumerate((OLD_UID, NEW_UID)):
            for i in range(3):
                self.add('postgres-0', 'postgres', n, self.t0 + (n * 86400 + i) * SECOND, 'of the %s %d' % (('first', 'second')[n], i), uid=uid, node='node-%d' % n, labels=postgres)
        for i in range(2):
            self.add(JOB, 'backup', 0, self.t0 + i * SECOND, 'backup %d' % i, node='node-1', labels={'job-name': 'nightly-28500000', 'batch.kubernetes.io/job-name': 'nightly-28500000'})
        for i in range(2):
            self.add(AGENT, 'agent', 0, self.t0 + i * SECOND, 'agent %d' % i, ns='kube-system', node='node-1',
                     labels={'name': 'agent', 'controller-revision-hash': '5c6f7d8b9', 'pod-template-generation': '1'})
        for t in (self.now - 3 * 86400 - 600, self.now - 20):
            self.add(WEB, 'web', 0, t * SECOND, 'web at %d' % t, node='node-3', labels={'app': 'web', 'pod-template-hash': '5f6d8c9b7'})

    def add(self, pod, container, run, t, line, ns='shop', uid=None, **more):
        self.lines.setdefault((pod, container, run), []).append((t, line))
        self.records.append(fluent_bit(ns, pod, container, t, line, uid=uid or UIDS[pod], container_id=container_id('%s/%s/%d' % (pod, container, run)), image='reg/%s:1' % container, **more))

    def log(self, pod, container, run=0, first=0, timestamps=False, prefix=''):
        return ''.join('%s%s%s\n' % (prefix, stamp(t) + ' ' if timestamps else '', line) for t, line in self.lines[pod, container, run][first:])


class Shop:
    """A server that reads a topic, and what was put there."""

    def __init__(self, server, broker, topic, folder):
        self.server, self.broker, self.topic, self.folder, self.sent = server, broker, topic, folder, 0

    def send(self, records):
        """In the order given: one partition."""
        path = self.folder / 'records'
        path.write_text('\n'.join(records) + '\n')
        self.broker.produce(self.topic, str(path), partition=0)
        self.sent += len(records)

    def settle(self):
        wait_for(lambda: rows(self.server) >= self.sent, what='%d records' % self.sent)
        return self


@pytest.fixture(scope='module')
def past():
    return Past()


@pytest.fixture(scope='module')
def shop(broker, module_server, tmp_path_factory, past):
    broker.topic('kubectl')
    s = Shop(module_server(*flags(broker, 'kubectl')).start(), broker, 'kubectl', tmp_path_factory.mktemp('records'))
    s.send(past.records)
    return s.settle()


@pytest.fixture(scope='module')
def k(kubectl, shop):
    client = kubectl(shop.server)
    said = json.loads(client.run('version', '--client', '-o', 'json')[1])
    client.minor = int(said['clientVersion']['minor'].rstrip('+') or 99)  # built by hand: a new one
    return client


def table(*rows):
    """As kubectl pads: three blanks, columns of at least three letters."""
    cells = [r.split('|') for r in rows]
    wide = [max(3, max(len(c) for c in column)) + 3 for column in zip(*cells)]
    return ''.join(''.join(c.ljust(w) for c, w in zip(r[:-1], wide)) + r[-1] + '\n' for r in cells)


HEAD = 'NAME|READY|STATUS|RESTARTS|AGE'
ROWS = {JOB: '0/1|Gone|0|20d', 'postgres-0': '0/1|Gone|0|19d', API: '0/1|Gone|0|20d', WORKER: '0/2|Gone|5 (20d ago)|20d', WEB: '1/1|Running|0|3d'}


def pods(*names, head=HEAD, **more):
    return table(head, *['%s|%s' % (n, ROWS[n]) for n in names])


# --- logs ---

def test_the_log_of_a_pod_whose_node_is_gone(k, past):
    whole = past.log(API, 'api')
    assert k.out('logs', API) == whole
    assert k.out('logs', 'pod/' + API, '-c', 'api') == whole
    assert k.out('logs', API, '--all-containers') == whole
    assert k.out('logs', API, '--timestamps') == past.log(API, 'api', timestamps=True)
    assert k.out('logs', API, '--prefix') == past.log(API, 'api', prefix='[pod/%s/api] ' % API)


def test_parts_of_a_log(k, past):
    times = [t for t, _ in past.lines[API, 'api', 0]]
    assert k.out('logs', API, '--tail=3') == past.log(API, 'api', first=17)
    assert k.out('logs', API, '--tail=0') == ''
    assert k.out('logs', API, '--tail=100') == past.log(API, 'api')
    assert k.out('logs', API, '--limit-bytes=30') == past.log(API, 'api')[:30]
    since = int(time.time() - times[10] / 1e9 + 30)  # half a minute before that line, half a minute after the one before it
    assert k.out('logs', API, '--since=%ds' % since) == past.log(API, 'api', first=10)
    assert k.out('logs', API, '--since=1h') == ''
    assert k.out('logs', API, '--since-time=' + rfc3339(times[15] // SECOND)) == past.log(API, 'api', first=15)
    assert k.out('logs', API, '--since-time=' + rfc3339(times[15] // SECOND + 1)) == past.log(API, 'api', first=16)
    # the newest so many first, then those of the time
    assert k.out('logs', API, '--tail=5', '--since-time=' + rfc3339(times[17] // SECOND), '--timestamps') == past.log(API, 'api', first=17, timestamps=True)
    assert k.out('logs', API, '--tail=2', '--since-time=' + rfc3339(times[10] // SECOND)) == past.log(API, 'api', first=18)
    assert 'at most one of' in k.fails('logs', API, '--since=1h', '--since-time=2026-01-01T00:00:00Z')


def test_several_containers(k, past):
    api, sidecar = past.log(WORKER, 'api', 5), past.log(WORKER, 'sidecar')
    if k.minor < 22:
        assert k.fails('logs', WORKER) == 'error: a container name must be specified for pod %s, choose one of: [api sidecar]\n' % WORKER
    else:
        assert k.out('logs', WORKER, err='Defaulted container "api" out of: api, sidecar\n') == api
    assert k.out('logs', WORKER, '-c', 'sidecar') == sidecar
    assert k.out('logs', WORKER, 'api') == api
    assert k.out('logs', WORKER, '--all-containers') in (api + sidecar, sidecar + api)  # kubectl takes them as they come
    api, sidecar = [past.log(WORKER, c, r, prefix='[pod/%s/%s] ' % (WORKER, c)) for c, r in (('api', 5), ('sidecar', 0))]
    assert k.out('logs', WORKER, '--all-containers', '--prefix') in (api + sidecar, sidecar + api)
    assert k.fails('logs', WORKER, '-c', 'nope').rstrip('\n') in ['error: container nope is not valid for pod ' + WORKER + more for more in ('', ' out of: api, sidecar')]


def test_restarts(k, past):
    assert k.out('logs', WORKER, '-c', 'api', '-p') == past.log(WORKER, 'api', 4)
    assert k.out('logs', WORKER, '-c', 'api', '-p', '--tail=1', '--timestamps') == past.log(WORKER, 'api', 4, first=1, timestamps=True)
    log = '/api/v1/namespaces/shop/pods/%s/log?container=api' % WORKER
    for run in range(6):
        assert k.out('get', '--raw', log + '&restart=%d' % run) == past.log(WORKER, 'api', run)
    assert k.out('get', '--raw', log + '&restart=all') == ''.join(past.log(WORKER, 'api', run) for run in range(6))
    assert 'BadRequest' in k.fails('get', '--raw', log + '&restart=6')
    message = 'Error from server (BadRequest): previous terminated container "%s" in pod "%s" not found\n'
    assert k.fails('logs', API, '-p') == message % ('api', API)
    assert k.fails('logs', WORKER, '-c', 'sidecar', '-p') == message % ('sidecar', WORKER)


def test_two_pods_of_one_name(k, past):
    """A StatefulSet's: the newest is the pod, what the one before it said is the previous log."""
    first, second = [past.log('postgres-0', 'postgres', n) for n in (0, 1)]
    assert k.out('logs', 'postgres-0') == second
    assert k.out('logs', 'postgres-0', '-p') == first
    log = '/api/v1/namespaces/shop/pods/postgres-0/log?uid='
    assert k.out('get', '--raw', log + OLD_UID) == first
    assert k.out('get', '--raw', log + NEW_UID) == second
    assert 'not found' in k.fails('get', '--raw', log + '11111111-0000-0000-0000-000000000000')
    pod = json.loads(k.out('get', 'pod', 'postgres-0', '-o', 'json'))
    assert pod['metadata']['uid'] == NEW_UID and pod['metadata']['annotations']['logpond.io/earlier-uids'] == OLD_UID and pod['spec']['nodeName'] == 'node-1'
    pod = json.loads(k.out('get', '--raw', '/api/v1/namespaces/shop/pods/postgres-0?uid=' + OLD_UID))
    assert pod['metadata']['uid'] == OLD_UID and pod['spec']['nodeName'] == 'node-0'


def test_extensions(k, past):
    log = '/api/v1/namespaces/shop/pods/%s/log?' % API
    lines = [line for _, line in past.lines[API, 'api', 0]]
    assert k.out('get', '--raw', log + 'match=item/1').split('\n')[:-1] == [x for x in lines if 'item/1' in x]
    assert k.out('get', '--raw', log + 'match=item&match=/7').split('\n')[:-1] == ['GET /item/7 200']
    assert k.out('get', '--raw', log + 'regex=item/.7&match=GET').split('\n')[:-1] == ['GET /item/17 200']
    assert k.out('get', '--raw', log + 'stream=Stderr') == 'GET /item/7 200\n'
    until = stamp(past.lines[API, 'api', 0][2][0])
    assert k.out('get', '--raw', log + 'untilTime=' + until).split('\n')[:-1] == lines[:2]
    assert [json.loads(x) for x in k.out('get', '--raw', log + 'format=json&tailLines=1').split('\n')[:-1]] == [{
        'time': stamp(past.lines[API, 'api', 0][19][0]), 'namespace': 'shop', 'pod': API, 'uid': UIDS[API], 'container': 'api', 'restart': 0, 'stream': 'stdout', 'node': 'node-1',
        'line': 'GET /item/19 200'}]


def test_logs_by_selector(k, past):
    api, worker = past.log(API, 'api', first=10), past.log(WORKER, 'api', 5)  # ten lines of each by default
    assert k.out('logs', '-l', 'app=storefront-api', '-c', 'api') in (api + worker, worker + api)
    assert k.out('logs', '-l', 'app.kubernetes.io/part-of=storefront,app!=web', '-c', 'api', '--tail=-1') in (past.log(API, 'api') + worker, worker + past.log(API, 'api'))
    got = k.out('logs', '-l', 'app in (storefront-api, other)', '--all-containers', '--prefix', '--tail=1')
    want = [past.log(p, c, r, -1, prefix='[pod/%s/%s] ' % (p, c)) for p, c, r in ((API, 'api', 0), (WORKER, 'api', 5), (WORKER, 'sidecar', 0))]
    assert sorted(got.splitlines(True)) == sorted(want)
    status, out, err = k.run('logs', '-l', 'app=nobody')
    assert (status, out) == (0, '') and err in ('', 'No resources found in shop namespace.\n')


def test_logs_of_owners(k, past):
    status, out, err = k.run('logs', 'deploy/storefront-api', '-c', 'api', '--tail=1')
    assert status == 0 and err in ['Found 2 pods, using pod/%s\n' % p for p in (API, WORKER)], err
    assert out == (past.log(API, 'api', first=-1) if API in err else past.log(WORKER, 'api', 5, first=-1))
    rs = k.run('logs', 'rs/storefront-api-7d4b9c6f5', '-c', 'api', '--tail=1')
    assert rs == (status, out, err)
    assert k.run('logs', 'svc/storefront-api', '-c', 'api', '--tail=1') == (status, out, err)
    assert k.out('logs', 'sts/postgres') == past.log('postgres-0', 'postgres', 1)
    assert k.out('logs', 'job/nightly-28500000') == past.log(JOB, 'backup')
    assert k.out('logs', 'ds/agent', '-n', 'kube-system') == past.log(AGENT, 'agent')
    assert 'deployments.apps "nope" not found' in k.fails('logs', 'deploy/nope')
    if k.minor >= 32:
        got = k.out('logs', 'deploy/storefront-api', '--all-pods', '-c', 'api', '--tail=1', err=k.run('logs', 'deploy/storefront-api', '--all-pods', '-c', 'api', '--tail=1')[2])
        assert sorted(got.splitlines(True)) == sorted(past.log(p, 'api', r, -1, prefix='[pod/%s/api] ' % p) for p, r in ((API, 0), (WORKER, 5)))


def test_what_is_not_there(k):
    assert 'pods "nope" not found' in k.fails('logs', 'nope')
    assert k.fails('get', 'pod', 'nope') == 'Error from server (NotFound): pods "nope" not found\n'
    assert 'not found' in k.fails('logs', API, '-n', 'elsewhere')
    assert k.run('get', 'pods', '-n', 'elsewhere') == (0, '', 'No resources found in elsewhere namespace.\n')
    assert k.fails('get', 'ns', 'elsewhere') == 'Error from server (NotFound): namespaces "elsewhere" not found\n'


def test_nothing_can_be_changed(k):
    refused = 'Error from server (MethodNotAllowed): the server does not allow this method on the requested resource\n'
    assert k.fails('delete', 'pod', API, '--wait=false').endswith(refused)
    assert 'does not allow this method' in k.fails('annotate', 'pod', API, 'a=b')
    assert k.out('get', 'pod', API, '-o', 'name') == 'pod/%s\n' % API


# --- follow ---

def test_following_what_is_gone_ends(k, past):
    assert k.out('logs', '-f', API) == past.log(API, 'api')
    assert k.out('logs', '-f', API, '--tail=2', '--timestamps') == past.log(API, 'api', first=18, timestamps=True)
    assert k.out('logs', '-f', WORKER, '-c', 'api', '-p') == past.log(WORKER, 'api', 4)


def test_max_log_requests(k, past):
    args = ('logs', '-f', '-l', 'app=storefront-api', '--all-containers', '--tail=1')
    err = k.fails(*args, '--max-log-requests=2')
    assert err == 'error: you are attempting to follow 3 log streams, but maximum allowed concurrency is 2, use --max-log-requests to increase the limit\n'
    want = [past.log(p, c, r, -1) for p, c, r in ((API, 'api', 0), (WORKER, 'api', 5), (WORKER, 'sidecar', 0))]
    assert sorted(k.out(*args, '--max-log-requests=3').splitlines(True)) == sorted(want)


def live(pod, run, first, n, **more):
    """Records of a pod that writes now."""
    now = time.time_ns()
    return [fluent_bit('shop', pod, 'app', now + i, 'line %d' % (first + i), uid='%s-uid' % pod, container_id=container_id('%s/%d' % (pod, run)), node='node-9', labels={'app': pod}, **more) for i in range(n)]


def numbers(first, n):
    return ['line %d' % i for i in range(first, first + n)]


def test_following_a_live_pod_over_a_restart_of_its_container(k, shop, request):
    pod = 'live-%s' % request.node.callspec.id
    shop.send(live(pod, 0, 0, 5))
    shop.settle()
    f = k.begin('logs', '-f', pod)
    tail = k.begin('logs', '-f', pod, '--tail=1', '--prefix')
    try:
        f.wait(lambda got: len(got) >= 5)
        tail.wait(lambda got: len(got) >= 1)
        for run, first in ((0, 5), (1, 10), (2, 15)):
            shop.send(live(pod, run, first, 5))
            assert f.wait(lambda got: len(got) >= first + 5, what='lines of run %d' % run) == numbers(0, first + 5)
        assert tail.wait(lambda got: len(got) >= 16) == ['[pod/%s/app] %s' % (pod, x) for x in numbers(4, 16)]
    finally:
        f.kill()
        tail.kill()
    shop.settle()
    assert k.out('logs', pod) == '\n'.join(numbers(15, 5)) + '\n'  # the newest run
    assert k.out('logs', pod, '-p') == '\n'.join(numbers(10, 5)) + '\n'


class Alone:
    """A server with a journal, of a test's own."""

    def __init__(self, server):
        self.server = server.start()

    def send(self, records):
        body = '\n'.join(json.dumps(dict(r, _time=r['time'])) for r in map(json.loads, records))
        assert self.server.request('POST', '/insert/jsonline', body.encode())[0] == 204


def test_following_ends_with_the_pods_silence(kubectl, new_server):
    s = Alone(new_server('--pod-silence', '2s'))
    s.send(live('quiet', 0, 0, 3))
    f = kubectl(s.server).begin('logs', '-f', 'quiet')
    f.wait(lambda got: len(got) >= 3)
    s.send(live('quiet', 0, 3, 3))
    assert f.join() == 0
    assert f.lines == numbers(0, 6) and f.err == []


def test_following_over_restarts_of_the_server(kubectl, new_server):
    """As one would write it around kubectl: from the last second that was seen, without the lines that were."""
    s = Alone(new_server())
    s.send(live('steady', 0, 0, 50))
    k, seen, sent, address = kubectl(s.server), [], 50, s.server.address
    for end in (s.server.stop, s.server.kill, None):
        since = seen[-1].split(' ', 1)[0] if seen else '1970-01-01T00:00:00Z'
        f, known = k.begin('logs', '-f', 'steady', '--timestamps', '--since-time=' + since), set(seen)
        new = lambda got: [x for x in got if x not in known]
        f.wait(lambda got: len(new(got)) >= sent - len(seen), what='what came meanwhile')
        s.send(live('steady', 0, sent, 50))
        sent += 50
        f.wait(lambda got: len(new(got)) >= sent - len(seen), what='what came now')
        if end:
            end()
            f.join()
            s.server.start(listen=address)
            s.send(live('steady', 0, sent, 50))
            sent += 50
        else:
            f.kill()
        seen += new(f.lines)
    assert [x.split(' ', 1)[1] for x in seen] == numbers(0, sent)


# --- objects ---

def test_get_pods(k, past):
    order = sorted([JOB, 'postgres-0', API, WORKER, WEB])
    got = [line.split()[0] for line in k.out('get', 'pods').split('\n')[1:-1]]
    assert [n for n in got if not n.startswith('live-')] == order
    assert k.out('get', 'pods', '-l', 'app=storefront-api') == pods(API, WORKER)
    assert k.out('get', 'pod', WORKER) == pods(WORKER)
    assert k.out('get', 'pod', WEB, JOB, 'postgres-0') == pods(WEB, JOB, 'postgres-0')
    assert k.out('get', 'pods', '-l', 'app notin (storefront-api,web),app', '--field-selector=spec.nodeName=node-1') == pods('postgres-0')
    assert k.out('get', 'pods', '--field-selector=metadata.name=' + API, '--no-headers') == table('%s|%s' % (API, ROWS[API]))
    assert k.out('get', 'pods', '--field-selector=spec.nodeName=node-2') == pods(WORKER)
    assert k.out('get', 'pods', '-l', '!pod-template-hash', '--field-selector=status.phase!=Running,metadata.namespace=shop') == pods(JOB, 'postgres-0')
    assert k.out('get', 'pods', '-l', 'app', '--field-selector=status.phase=Running', '-o', 'name').split('\n')[-2] == 'pod/' + WEB
    assert k.out('get', 'pods', '-l', 'app=storefront-api', '--sort-by=.status.containerStatuses[0].restartCount') == pods(API, WORKER)
    assert k.out('get', 'pods', '-l', 'app=storefront-api', '--show-labels').split('\n')[0].split()[-1] == 'LABELS'
    assert k.out('get', 'pods', '-l', 'app=storefront-api', '-L', 'app') == table(HEAD + '|APP', *['%s|%s|storefront-api' % (n, ROWS[n]) for n in (API, WORKER)])
    assert k.out('get', 'pods', '-l', 'app=nobody', err='No resources found in shop namespace.\n') == ''


def test_get_pods_everywhere(k):
    shown = (('kube-system', AGENT, '0/1|Gone|0|20d'), ('shop', 'postgres-0', ROWS['postgres-0']), ('shop', API, ROWS[API]), ('shop', WORKER, ROWS[WORKER]))
    fields = '--field-selector=spec.nodeName!=node-3,spec.nodeName!=node-9'
    assert k.out('get', 'pods', '-A', '-l', '!job-name', fields) == table('NAMESPACE|' + HEAD, *['|'.join(row) for row in shown])
    owners = ('DaemonSet/agent|11111111-2222-3333-4444-555555550005', 'StatefulSet/postgres|' + NEW_UID, 'Deployment/storefront-api|' + UIDS[API], 'Deployment/storefront-api|' + UIDS[WORKER])
    nodes = ('node-1', 'node-1', 'node-1', 'node-2')
    assert k.out('get', 'pods', '-A', '-o', 'wide', '-l', '!job-name', fields) == table(
        'NAMESPACE|%s|IP|NODE|LAST LINE|OWNER|UID' % HEAD, *['|'.join(row + ('<none>', node, row[2].split('|')[-1], owner)) for row, node, owner in zip(shown, nodes, owners)])


def test_pods_as_objects(k, past):
    got = json.loads(k.out('get', 'pods', '-l', 'app=storefront-api', '-o', 'json'))
    assert (got['kind'], got['apiVersion'], [p['metadata']['name'] for p in got['items']]) == ('List', 'v1', [API, WORKER])
    pod = json.loads(k.out('get', 'pod', WORKER, '-o', 'json'))
    assert (pod['kind'], pod['apiVersion']) == ('Pod', 'v1')
    assert {key: pod['metadata'][key] for key in ('name', 'namespace', 'uid', 'creationTimestamp')} == {
        'name': WORKER, 'namespace': 'shop', 'uid': UIDS[WORKER], 'creationTimestamp': rfc3339(past.t0 // SECOND)}
    assert pod['metadata']['labels'].items() >= dict(API_LABELS, **{'logpond.io/deployment': 'storefront-api', 'logpond.io/replicaset': 'storefront-api-7d4b9c6f5'}).items()
    [owner] = pod['metadata']['ownerReferences']
    assert (owner['apiVersion'], owner['kind'], owner['name'], owner['controller']) == ('apps/v1', 'ReplicaSet', 'storefront-api-7d4b9c6f5', True)
    assert pod['spec']['nodeName'] == 'node-2' and [(c['name'], c['image']) for c in pod['spec']['containers']] == [('api', 'reg/api:1'), ('sidecar', 'reg/sidecar:1')]
    assert pod['status']['phase'] == 'Unknown'
    api, sidecar = pod['status']['containerStatuses']
    run = lambda r: [rfc3339(t // SECOND) for t, _ in past.lines[WORKER, 'api', r]]
    for state, r, reason in ((api['state'], 5, 'Gone'), (api['lastState'], 4, 'Unknown')):
        assert (state['terminated']['reason'], state['terminated']['exitCode']) == (reason, 0)
        assert [state['terminated']['startedAt'], state['terminated']['finishedAt']] == run(r)
    assert (api['name'], api['restartCount'], api['ready'], sidecar['name'], sidecar['restartCount']) == ('api', 5, False, 'sidecar', 0)
    assert 'terminated' not in sidecar.get('lastState', {})
    alive = yaml.safe_load(k.out('get', 'pod', WEB, '-o', 'yaml'))
    assert alive['status']['phase'] == 'Running' and alive['status']['containerStatuses'][0]['ready'] is True and 'running' in alive['status']['containerStatuses'][0]['state']
    assert {c['type']: c['status'] for c in alive['status']['conditions']}['Ready'] == 'True'
    assert k.out('get', 'pods', '-l', 'app=storefront-api', '-o', 'name') == 'pod/%s\npod/%s\n' % (API, WORKER)
    assert k.out('get', 'pod', API, '-o', 'jsonpath={.spec.containers[*].name}') == 'api'
    assert k.out('get', 'pods', '-l', 'app=storefront-api', '-o', 'custom-columns=N:.metadata.name,R:.status.containerStatuses[0].restartCount') == table('N|R', API + '|0', WORKER + '|5')


def test_other_objects(k):
    got = k.out('get', 'ns')
    assert got == table('NAME|STATUS|AGE', 'kube-system|Active|<unknown>', 'shop|Active|<unknown>')
    assert k.out('get', 'ns', 'shop', '-o', 'name') == 'namespace/shop\n'
    assert k.out('get', 'deploy', 'storefront-api') == table('NAME|READY|AGE', 'storefront-api|0/2|20d')
    assert k.out('get', 'deploy', '-o', 'wide', '--field-selector=metadata.name=storefront-api') == table(
        'NAME|READY|AGE|LAST LINE|CONTAINERS|SELECTOR', 'storefront-api|0/2|20d|20d|api,sidecar|logpond.io/deployment=storefront-api')
    assert k.out('get', 'deploy', '-o', 'name').split() == ['deployment.apps/storefront-api', 'deployment.apps/web']
    assert k.out('get', 'sts,job', '-o', 'name').split() == ['statefulset.apps/postgres', 'job.batch/nightly-28500000']
    assert k.out('get', 'ds', '-A', '-o', 'name').split() == ['daemonset.apps/agent']
    deploy = json.loads(k.out('get', 'deploy', 'storefront-api', '-o', 'json'))
    assert (deploy['kind'], deploy['apiVersion'], deploy['spec']['selector']) == ('Deployment', 'apps/v1', {'matchLabels': {'logpond.io/deployment': 'storefront-api'}})
    assert k.out('get', 'pods', '-l', 'logpond.io/deployment=storefront-api', '-o', 'name').split() == ['pod/' + API, 'pod/' + WORKER]


def test_describe(k, past):
    got = k.out('describe', 'pod', WORKER)
    fields = dict(line.split(':', 1) for line in got.split('\n') if line and not line.startswith(' ') and ':' in line)
    assert {n: fields[n].strip() for n in ('Name', 'Namespace', 'Node', 'Controlled By')} == {'Name': WORKER, 'Namespace': 'shop', 'Node': 'node-2/', 'Controlled By': 'ReplicaSet/storefront-api-7d4b9c6f5'}
    assert 'Restart Count:  5' in got and 'Last State:     Terminated' in got and 'reg/api:1' in got
    assert got.count('Terminated') == 3 and got.count('Gone') >= 2


def test_watch(k, shop, past, request):
    pod = 'live-watch-%s' % request.node.callspec.id
    w = k.begin('get', 'pods', '--watch', '-l', 'app in (storefront-api, %s)' % pod)
    try:
        w.wait(lambda got: len(got) >= 3)
        assert '\n'.join(w.lines[:3]) + '\n' == pods(API, WORKER)
        shop.send(live(pod, 0, 0, 1))
        w.wait(lambda got: any(x.startswith(pod) for x in got), what='the new pod')
    finally:
        w.kill()
    [row] = [x for x in w.lines if x.startswith(pod)]
    assert row.split()[1:4] == ['1/1', 'Running', '0'], w.lines


def test_versions_and_resources(k):
    said = json.loads(k.run('version', '-o', 'json')[1])
    assert said['serverVersion']['major'] == '1' and int(said['serverVersion']['minor']) >= 27
    rows_ = {line.split()[0]: line.split() for line in k.out('api-resources').split('\n')[1:-1]}
    assert rows_['pods'][1] == 'po' and {'namespaces', 'services', 'deployments', 'replicasets', 'statefulsets', 'daemonsets', 'jobs', 'cronjobs'} <= set(rows_)
    assert k.out('get', '--raw', '/healthz') == 'ok' and k.out('get', '--raw', '/readyz') == 'ok'
