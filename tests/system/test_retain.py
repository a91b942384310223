"""Retention as a person uses it: rules, dry runs and runs, of a running server and of a stopped store; killed and run again; by itself; months in little."""
import json, os, signal, subprocess, sys, time

import pytest

from server import BINARY, ROOT, SLOW, wait_for
from test_disk_full import MIB, Ballast, disk, free  # noqa: F401  (a small file system of its own)

sys.path.insert(0, os.path.join(ROOT, 'tests', 'retention'))
import days  # noqa: E402

DAY = 86400
RULES = ['--retention', 'namespace=dev-* age=3d', '--retention', 'selector={app="audit"} age=400d', '--retention', 'namespace=* age=30d']


def rows(ns, age_days, n=100, **more):
    at = time.time() - age_days * DAY
    return [json.dumps(dict({'_time': int((at - i / 1000) * 10**9), '_msg': '%s %g days old, line %d' % (ns, age_days, i), 'namespace': ns,
                             'pod': 'p', 'container': 'c'}, **more)) for i in range(n)]


def put(server, *parts):
    """Each part becomes a segment."""
    for part in parts:
        assert server.jsonline('\n'.join(part).encode())[0] == 204
        assert server.stop() == 0
        server.start()


def at(offset_days):
    return {'LP_CLOCK_OFFSET': str(int(offset_days * DAY))}


def retain(*args, code=0, env=None):
    p = subprocess.run([BINARY, 'retain'] + [str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=120 * SLOW, env=dict(os.environ, TZ='UTC', **(env or {})))
    assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout.decode(), p.stderr.decode()


def counts(server, *namespaces):
    return [server.export('{namespace="%s"}' % ns).count(b'\n') for ns in namespaces]


def segments_bytes(server):
    folder = os.path.join(server.data, 'segments')
    return sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder))


@pytest.fixture
def store(new_server):
    """A server with rules whose lines were received two days ago: dev 10 and 1 days old then, prod 10 and 60, its audit 60."""
    s = new_server('--compact=off', *RULES).start()  # what goes and what it frees is counted
    put(s, rows('dev-a', 10) + rows('prod', 10), rows('dev-a', 1), rows('prod', 60) + rows('prod', 60, 50, container='d', app='audit'), rows('prod', 0))
    assert s.stop() == 0
    return s


def test_a_dry_run_says_what_the_run_does(store):
    store.start(env=at(2.5))
    out, _ = retain('--dry-run', '--server', 'http://' + store.address)
    lines = out.split('\n')
    assert lines[0].split() == ['NAMESPACE', 'LINES', 'BYTES', 'FREES', 'FROM', 'TO']
    assert [line.split()[:2] for line in lines[1:4]] == [['dev-a', '200'], ['prod', '100'], ['in', 'all']]
    assert lines[4].startswith('Would free ') and ': 1 segments dropped, 2 written again' in lines[4]
    assert counts(store, 'dev-a', 'prod') == [200, 350]
    said = store.request('POST', '/admin/retain?dry_run=1')[1]
    before = segments_bytes(store)
    report = json.loads(retain('--json', '--server', 'http://' + store.address)[0])
    assert report['goes'] == json.loads(said)['goes'] and report['namespaces'] == json.loads(said)['namespaces']
    assert counts(store, 'dev-a', 'prod') == [0, 250]
    wait_for(lambda: segments_bytes(store) == before - report['done']['freed_bytes'], what='files to go')
    out, _ = retain('--server', 'http://' + store.address)
    assert out.startswith('Nothing has expired: all of 250 lines')
    ledger = [json.loads(line) for line in store.get('/admin/ledger').decode().split('\n') if line]
    assert [e['kind'] for e in ledger] == ['retention begun', 'retention ended'] * 2
    assert ledger[0]['data']['drop'] == report['drop'] and [r['rule'] for r in ledger[0]['data']['rules']] == RULES[1::2]
    assert ledger[1]['data']['begun'] == ledger[0]['number'] and ledger[1]['data']['done'] == report['done']
    assert [json.loads(line)['number'] for line in store.get('/admin/ledger', n=1).decode().split('\n') if line] == [ledger[-1]['number']]
    store.kill()  # what is gone stays gone
    store.start(env=at(2.5))
    assert counts(store, 'dev-a', 'prod') == [0, 250]


def everywhere(server, since, namespace='dev-a'):
    """How many lines of a namespace each way of asking finds."""
    q = '{namespace="%s"}' % namespace
    now = int(float(server.json('/admin/status')['now_ns']))
    matrix = server.json('/loki/api/v1/query', query='sum(count_over_time(%s[90d]))' % q, time=now)['data']['result']
    return {'export': server.export(q).count(b'\n'),
            'filter': server.export(q + ' |= "old"').count(b'\n'),
            'range': sum(len(r['values']) for r in server.json('/loki/api/v1/query_range', query=q, start=since, end=now, limit=5000)['data']['result']),
            'stats': server.json('/loki/api/v1/index/stats', query=q, start=since, end=now)['entries'],
            'metric': sum(int(r['value'][1]) for r in matrix)}


def names(server, since):
    end = server.json('/admin/status')['now_ns']
    return (server.json('/loki/api/v1/label/pod/values', start=since, end=end).get('data'),
            sorted(s['pod'] for s in server.json('/loki/api/v1/series', start=since, end=end, **{'match[]': '{namespace="dev-a"}'})['data']))


def test_what_has_expired_is_invisible_at_once(new_server):
    """Lines of ten days in one file, of which no group has expired as a whole: nothing can be removed yet."""
    s = new_server('--compact=off', '--retention', 'selector={app="audit"} age=400d', '--retention', 'namespace=dev-* age=3d').start()
    put(s, sum((rows('dev-a', d) for d in range(10)), []) + rows('dev-a', 9, pod='gone') + rows('dev-a', 9, pod='kept', app='audit'),
        rows('dev-b', 1) + rows('dev-b', 5))
    since = int((time.time() - 80 * DAY) * 10**9)
    assert set(everywhere(s, since).values()) == {1200}
    assert names(s, since) == (['gone', 'kept', 'p'], ['gone', 'kept', 'p'])
    assert s.stop() == 0
    s.start(env=at(1.5))
    out, _ = retain('--server', s.address)
    assert out.startswith('Nothing has expired') or 'Freed 0 B' in out, out
    for again in range(2):  # of the nine days two are left, and the audit; also after a crash
        found = everywhere(s, since)
        assert set(found.values()) == {100 * 2 + 100}, found
        found = everywhere(s, since, 'dev-b')  # one stream, of which a part has expired
        assert set(found.values()) == {100}, found
        assert names(s, since) == (['kept', 'p'], ['kept', 'p'])
        s.kill()
        s.start(env=at(1.5))
    # a longer age brings back what is not yet removed
    assert s.stop() == 0
    s.flags = ['--compact=off', '--retention', 'namespace=dev-* age=6d']
    s.start(env=at(1.5))
    retain('--server', s.address)
    assert set(everywhere(s, since).values()) == {100 * 5}
    assert names(s, since) == (['p'], ['p'])


def test_nothing_goes_within_a_day_of_its_receipt(new_server):
    s = new_server('--retention', 'age=1h').start()
    put(s, rows('a', 100))
    assert s.stop() == 0
    for offset, left in ((0.99, 100), (1.01, 0)):
        out, _ = retain('--data', s.data, '--retention', 'age=1h', env=at(offset))
        assert ('Nothing has expired' in out) == (left > 0), out
        s.start(env=at(offset))
        assert counts(s, 'a') == [left]
        assert s.stop() == 0


def test_of_a_stopped_store(store, tmp_path):
    config = tmp_path / 'logpond.yaml'
    config.write_text('retention:\n  - namespace=dev-* age=3d\n  - selector={app="audit"} age=400d\n  - namespace=* age=30d\n')
    later = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 40 * DAY))
    assert 'Nothing has expired' in retain('--data', store.data, '--config', config, '--dry-run')[0]
    out, _ = retain('--data', store.data, '--config', config, '--dry-run', '--at', later)
    assert [line.split()[:2] for line in out.split('\n')[1:4]] == [['dev-a', '200'], ['prod', '300'], ['in', 'all']], out
    out, _ = retain('--data', store.data, '--config', config, env=at(2.5))
    assert 'Ledger: entry 2.' in out
    store.start(env=at(2.5))
    assert counts(store, 'dev-a', 'prod') == [0, 250]
    _, err = retain('--data', store.data, code=2)
    assert 'is in use. Is its server running? Then use --server' in err
    # limits of the disk know no exception
    assert store.stop() == 0
    out, _ = retain('--data', store.data, '--retention', 'age=forever', '--retention-total-bytes', '1', env=at(3))
    assert 'prod' in out
    store.start(env=at(3))
    assert counts(store, 'prod') == [0]


def test_clear_words_when_it_cannot_be(new_server, tmp_path):
    for args, words in ((['--data', tmp_path / 'nowhere'], 'there is no store in'),
                        (['--server', 'http://127.0.0.1:9'], 'Is it running?'),
                        (['--retention', 'age=3d'], 'go with --data'),
                        (['--at', '2026-01-01T00:00:00Z'], '--at goes with --dry-run'),
                        (['--data', tmp_path, '--server', 'x'], 'which is it?'),
                        (['--data', tmp_path, '--retention', 'age=3'], 'retention rule 1 (age=3), column 1: age: expected a time'),
                        (['--data', tmp_path, '--retention', 'selector={app=} age=3d'], 'column 10: parse error at line 1, col 6'),
                        (['now'], 'unexpected argument now')):
        _, err = retain(*args, code=2)
        assert words in err, err
    assert not os.path.exists(tmp_path / 'nowhere')
    s = new_server()
    p = subprocess.run([BINARY, 'serve', '--data', s.data, '--retention', 'age=1d', '--retention', 'namespace=a'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 2 and b'retention rule 2 (namespace=a), column 12: age= or bytes= must say what is kept' in p.stderr
    s.start()
    assert s.request('POST', '/admin/retain?at=1')[0] == 400 and s.request('GET', '/admin/retain')[0] == 405
    assert retain('--server', s.address)[0].startswith('There are no rules of retention. Nothing has expired')


def test_rules_are_read_again(store, tmp_path):
    config = tmp_path / 'logpond.yaml'
    config.write_text('retention:\n  - age=forever\n')
    store.flags = ['--config', str(config)]
    store.start(env=at(2.5))
    assert 'Nothing has expired' in retain('--server', store.address)[0]

    def reload(text):
        config.write_text(text)
        n = store.tail().count('reloaded')
        store.process.send_signal(signal.SIGHUP)
        wait_for(lambda: store.tail().count('reloaded') > n, what='the reload')
    reload('retention:\n  - namespace=dev-* age=3 d\n')
    assert 'settings were not reloaded' in store.tail() and 'retention rule 1 (namespace=dev-* age=3 d), column 17' in store.tail()
    assert 'Nothing has expired' in retain('--server', store.address)[0]
    reload('retention:\n  - namespace=dev-* age=3d\n')
    assert 'dev-a' in retain('--server', store.address)[0]
    assert counts(store, 'dev-a', 'prod') == [0, 350]


@pytest.mark.parametrize('stage', ['begun', 'expire', 'replace:1', 'replace:2', 'expired', 'ledger:1', 'ledger:2', 'commit:1', 'commit:2', 'commit:3', 'commit:4', 'commit:5'])
def test_killed_and_run_again_it_ends_right(store, stage):
    flags = ['--data', store.data] + RULES
    said = json.loads(retain('--dry-run', '--json', *flags, env=at(2.5))[0])
    before = segments_bytes(store)
    p = subprocess.run([BINARY, 'retain'] + flags, env=dict(os.environ, LP_HOOK=stage + '=kill', **at(2.5)), stdout=subprocess.DEVNULL)
    assert p.returncode in (0, -signal.SIGKILL)
    store.start(env=at(2.5))
    assert store.stop() == 0
    retain(*flags, env=at(2.5))
    freed = before - segments_bytes(store)
    assert abs(freed - said['goes']['stored_bytes']) <= 0.02 * said['goes']['stored_bytes'] + 1000
    store.start(env=at(2.5))
    assert counts(store, 'dev-a', 'prod') == [0, 250]
    ledger = [json.loads(line)['kind'] for line in store.get('/admin/ledger').decode().split('\n') if line]
    assert ledger[-2:] == ['retention begun', 'retention ended'] and 2 <= len(ledger) <= 4


def test_one_run_at_a_time(store, tmp_path):
    go = tmp_path / 'go'
    store.start(env=dict(at(2.5), LP_HOOK='expire=pause:%s' % go))
    p = subprocess.Popen([BINARY, 'retain', '--server', store.address], stdout=subprocess.PIPE)
    wait_for(lambda: os.path.exists(str(go) + '.reached'), what='the run to be on its way')
    _, err = retain('--server', store.address, code=1)
    assert 'answered 409: another run of retention is under way' in err
    assert 'Would free' in retain('--server', store.address, '--dry-run')[0]  # plans may be made meanwhile
    go.touch()
    assert p.wait(60 * SLOW) == 0
    assert counts(store, 'dev-a', 'prod') == [0, 250]


def test_what_expires_during_a_merge_does_not_come_back(store, tmp_path):
    """The merged file is younger than a day, so nothing of it would be hidden: what has expired must not be taken along."""
    go = str(tmp_path / 'go')
    store.start(env=at(2.5))
    assert store.jsonline('\n'.join(rows('late', 0)).encode())[0] == 204
    assert store.stop() == 0
    store.start(env=dict(at(2.5), LP_HOOK='merge-block:2=pause:' + go))
    assert counts(store, 'dev-a', 'prod', 'late') == [200, 350, 100]
    assert store.request('POST', '/admin/compact')[0] == 202
    wait_for(lambda: os.path.exists(go + '.reached'), what='the merge')
    p = subprocess.Popen([BINARY, 'retain', '--server', store.address], stdout=subprocess.DEVNULL)
    wait_for(lambda: counts(store, 'dev-a', 'prod') == [0, 250], what='what has expired to be hidden')
    open(go, 'w').close()
    assert p.wait(60 * SLOW) == 0
    wait_for(lambda: store.status()['compaction']['answered'] == 1, what='the merge')
    assert store.status()['compaction']['merges'] == 1 and store.status()['compaction']['problem'] == ''
    assert counts(store, 'dev-a', 'prod', 'late') == [0, 250, 100]


def test_the_server_runs_by_itself(store):
    store.flags += ['--retention-every', '1s']
    store.start(env=at(2.5))
    wait_for(lambda: counts(store, 'dev-a', 'prod') == [0, 250], what='what has expired to go')
    wait_for(lambda: store.metric('logpond_retention_runs_total') >= 1, what='the metrics')
    assert store.metric('logpond_retention_records_total') == 300
    ledger = [json.loads(line) for line in store.get('/admin/ledger').decode().split('\n') if line]
    assert ledger[0]['data']['by'] == 'server: retention-every has passed'
    assert len(ledger) == 2, 'runs that take nothing away leave no entries'


@pytest.mark.parametrize('disk', [64], indirect=True)
def test_the_oldest_goes_when_the_disk_fills(new_server, disk):  # noqa: F811
    s = new_server('--retention', 'age=forever', '--retention-free', '40%', '--min-free', '1MiB', '--reserve-bytes', '1MiB')
    s.data = os.path.join(disk, 'data')
    for i in range(6):  # a day each; incompressible
        s.start(env=at(i))
        rng = __import__('random').Random(i)
        body = [json.dumps({'_time': int((time.time() + i * DAY) * 10**9), '_msg': rng.randbytes(900).hex(), 'namespace': 'day-%d' % i, 'pod': 'p'}) for _ in range(3000)]
        assert s.jsonline('\n'.join(body).encode())[0] == 204
        assert s.stop() == 0
    ballast = Ballast(disk)
    ballast.fill(20 * MIB)
    s.start(env=at(8))
    wait_for(lambda: free(disk) > 0.39 * 64 * MIB, 60, 'space to come back')
    left = counts(s, *['day-%d' % i for i in range(6)])
    kept = [n > 0 for n in left]
    assert kept == sorted(kept) and kept[-1] and not kept[0], left  # the oldest first, and no more than was needed
    wait_for(lambda: 'less is free than retention-free 40%' in s.tail(), what='the log to say so')
    ledger = [json.loads(line) for line in s.get('/admin/ledger').decode().split('\n') if line]
    assert 'retention-free' in ledger[0]['data']['by'] and ledger[0]['data']['disk']['before_ns'] is not None


def test_status_tells_of_namespaces(store):
    store.start()
    out = subprocess.run([BINARY, 'status', '--server', store.address], stdout=subprocess.PIPE, env=dict(os.environ, TZ='UTC')).stdout.decode()
    table = out[out.index('NAMESPACE'):].split('\n')
    assert [line.split()[:2] for line in table[1:3]] == [['prod', '350'], ['dev-a', '200']], out
    assert time.strftime('%Y-%m-%d', time.gmtime(time.time() - 60 * DAY)) in table[1]
    usage = json.loads(subprocess.run([BINARY, 'status', '--json', '--server', store.address], stdout=subprocess.PIPE).stdout)['usage']
    assert [n['records'] for n in usage['namespaces']] == [200, 350] and usage['days_until_full'] is None
    assert 'not known yet' in out
    assert store.stop() == 0
    store.flags = ['--retention', 'age=30d']
    store.start(env=at(1))  # a day's growth is known
    usage = store.json('/admin/namespaces')
    assert usage['growth']['bytes_per_day'] > 0 and usage['growth']['measured_ns'] >= DAY * 10**9
    assert usage['stored_bytes_then'] >= 25 * usage['growth']['bytes_per_day']


def test_months_in_little_slow(tmp_path):
    days.run(str(tmp_path), days=24, namespaces=10, lines=60, every=4)


def test_months_in_little_with_kills_slow(tmp_path):
    days.run(str(tmp_path), days=24, namespaces=10, lines=60, every=4, kill=True, seed=2)
