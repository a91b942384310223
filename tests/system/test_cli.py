"""The commands push, query, labels, series and status as a person uses them: the real binary against a real server."""
import fcntl, gzip, http.server, json, os, pty, re, select, signal, socket, struct, subprocess, termios, threading, time

import pytest
from server import BINARY, SLOW, Server, wait_for

UID = '7d3b0f0e-3f7e-4a53-9d3c-0d5c5a3f1a11'
NOWHERE = 'http://127.0.0.1:9'  # the discard port: nobody listens


@pytest.fixture
def run(server, tmp_path):
    """run('push', ..., stdin=b'', code=0): (stdout, stderr) of a command that talks to the server."""
    def call(*args, stdin=None, code=0, env=None, cwd=None):
        p = subprocess.run([BINARY] + [str(a) for a in args], input=stdin if stdin is not None else b'', stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=120 * SLOW, cwd=cwd or tmp_path, env=environment(server, **(env or {})))
        assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
        return p.stdout, p.stderr.decode()
    return call


def environment(server, **more):
    env = dict(os.environ, LOGPOND_SERVER='http://' + server.address, TZ='UTC', TERM='dumb')
    env.pop('NO_COLOR', None)
    env.update(more)
    return env


def rows(server, query='{}'):
    """Every row that the store holds, oldest first."""
    found = [json.loads(line) for line in server.export(query, 'jsonl').decode().split('\n') if line]
    return [r for r in found if 'line' in r]


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


# --- push ---

def test_push_keeps_every_byte_of_a_file(server, run, tmp_path):
    data = b''.join(bytes([b]) + b' \xff\xfe\r\n' for b in range(1, 256) if b != 10) + b'\n\nlast line without end'
    f = write(tmp_path / 'odd bytes.log', data)
    out, _ = run('push', f)
    lines = data.count(b'\n') + 1
    assert re.match(rb'stored %d lines \(1\.\d KiB\) of 1 file in ' % lines, out), out
    assert server.export('{filename="%s"}' % f) == data + b'\n'
    row = rows(server)[0]
    assert row['labels'] == {'filename': str(f), 'job': 'push', 'node': socket.gethostname()}


def test_push_reads_container_logs(server, run, tmp_path):
    pods = tmp_path / 'var/log/pods'
    write(pods / ('shop_web-1_%s/app/2.log' % UID),
          '2026-01-02T03:04:05.000000001Z stdout F whole\n'
          '2026-01-02T03:04:06Z stdout P one, \n'
          '2026-01-02T03:04:07Z stderr F other stream\n'
          '2026-01-02T03:04:08Z stdout F two\n')
    write(tmp_path / ('var/log/containers/db-0_prod_pg-%s.log' % ('ab' * 32)),
          '{"log":"part ","stream":"stderr","time":"2026-01-02T03:04:09Z"}\n'
          '{"log":"and end\\n","stream":"stderr","time":"2026-01-02T03:04:10Z"}\n')
    os.symlink('../pods/shop_web-1_%s/app/2.log' % UID, tmp_path / ('var/log/containers/web-1_shop_app-%s.log' % ('cd' * 32)))
    out, _ = run('push', tmp_path / 'var')
    assert b'stored 4 lines' in out and b'of 2 files' in out, out
    web = {'namespace': 'shop', 'pod': 'web-1', 'container': 'app'}
    assert [(r['time'], r['labels'], r['line'], r.get('instance')) for r in rows(server)] == [
        ('2026-01-02T03:04:05.000000001Z', dict(web, stream='stdout'), 'whole', {'uid': UID, 'incarnation': '2'}),
        ('2026-01-02T03:04:06.000000000Z', dict(web, stream='stdout'), 'one, two', {'uid': UID, 'incarnation': '2'}),
        ('2026-01-02T03:04:07.000000000Z', dict(web, stream='stderr'), 'other stream', {'uid': UID, 'incarnation': '2'}),
        ('2026-01-02T03:04:09.000000000Z', {'namespace': 'prod', 'pod': 'db-0', 'container': 'pg', 'stream': 'stderr'},
         'part and end', {'uid': '', 'incarnation': 'ab' * 32})]


def test_push_takes_times_from_lines(server, run, tmp_path):
    begun = time.time()
    write(tmp_path / 'app.log', '2026-01-02 03:04:05,678 ERROR broke\n    at main()\n2026-01-02T05:00:00+01:00 fine\n')
    write(tmp_path / 'plain.txt', 'no time at all\n')
    run('push', 'app.log', 'plain.txt')
    times = {r['line']: r['time'] for r in rows(server)}
    assert times['2026-01-02 03:04:05,678 ERROR broke'] == times['    at main()'] == '2026-01-02T03:04:05.678000000Z'
    assert times['2026-01-02T05:00:00+01:00 fine'] == '2026-01-02T04:00:00.000000000Z'
    assert times['no time at all'][:19] >= time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(begun - 2))


def test_push_goes_on_past_what_cannot_be_read(server, run, tmp_path):
    write(tmp_path / 'd/a.log', 'a\n')
    write(tmp_path / 'd/binary', b'\x7fELF\x00\x00')
    write(tmp_path / 'd/empty.log', '')
    write(tmp_path / 'd/old.log.1.gz', gzip.compress(b'older\n'))
    write(tmp_path / 'd/broken.gz', gzip.compress(b'first line\n' + os.urandom(5000).hex().encode())[:4000])
    out, err = run('push', 'd', 'missing.log', '*.nope', code=1)
    assert 'missing.log: No such file' in err and '*.nope: no file matches' in err and 'broken.gz: ' in err
    assert b'1 binary file passed over' in out and b'3 NOT stored' in out, out
    lines = [r['line'] for r in rows(server)]
    assert 'a' in lines and 'older' in lines
    # nothing but binary files: nothing stored, and the status says so
    run('push', 'd/binary', code=1)
    run('push', 'd/empty.log')


def test_push_reads_standard_input(server, run):
    out, _ = run('push', '-', '--label', 'app=tool', '--label', 'node=', stdin=b'one\n\xff\ntwo')
    assert b'stored 3 lines' in out
    assert [r['labels'] for r in rows(server)] == [{'app': 'tool', 'filename': 'stdin', 'job': 'push'}] * 3
    run('push', stdin=b'without a dash\n')
    assert server.export('{} |= "dash"') == b'without a dash\n'


def test_push_of_a_pipe_does_not_wait_for_its_end(server):
    """tail -f FILE | logpond push: what came is stored while the pipe stays open."""
    p = subprocess.Popen([BINARY, 'push', '--quiet'], stdin=subprocess.PIPE, env=environment(server))
    p.stdin.write(b'early bird\n')
    p.stdin.flush()
    wait_for(lambda: b'early bird' in server.export(), 20, 'the line to be stored')
    p.stdin.write(b'late\n')
    p.stdin.close()
    assert p.wait(30 * SLOW) == 0
    assert server.export() == b'early bird\nlate\n'


def test_push_again_stores_nothing_twice(server, run, tmp_path):
    """Also lines without time, also a file that has grown meanwhile but for its last batch."""
    big = ''.join('line %07d of a file that takes several batches\n' % i for i in range(60000))
    f = write(tmp_path / 'big.log', big)
    run('push', f)
    out, _ = run('push', f)
    assert b'60,000 of them had been stored before, and are there once' in out, out
    assert server.export() == big.encode()
    write(tmp_path / 'small.log', big[:1000])
    out, _ = run('push', 'big.log', 'small.log')
    assert server.export('{filename="%s"}' % f) == big.encode()


class Grumpy(http.server.BaseHTTPRequestHandler):
    """A way to the server that breaks in each way once: answers 429, 503, closes before and after handing on."""
    protocol_version = 'HTTP/1.1'
    target, moods, keys, on_post = None, [], [], None

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        mood = self.moods.pop(0) if self.moods else 'good'
        self.keys.append(self.headers['Idempotency-Key'])
        if self.on_post:
            self.on_post(len(self.keys))
        if mood in ('429', '503'):
            self.send_response(int(mood))
            self.send_header('Content-Length', '5')
            self.end_headers()
            self.wfile.write(b'later')
        elif mood == 'gone':
            self.close_connection = True
        else:
            status, _, headers = self.target.request('POST', self.path, body, dict(self.headers))
            if mood == 'lost answer':
                self.close_connection = True
                return
            self.send_response(status)
            if 'x-logpond-duplicate' in headers:
                self.send_header('X-Logpond-Duplicate', '1')
            self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def grumpy(server):
    """grumpy(moods, on_post): the address of a way to the server that behaves like this, and the keys that came."""
    ways = []

    def make(moods=(), on_post=None):
        handler = type('H', (Grumpy,), {'target': server, 'moods': list(moods), 'keys': [], 'on_post': staticmethod(on_post) if on_post else None})
        way = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
        threading.Thread(target=way.serve_forever, daemon=True).start()
        ways.append(way)
        return '127.0.0.1:%d' % way.server_port, handler.keys
    yield make
    for way in ways:
        way.shutdown()
        way.server_close()


def test_push_tries_again_and_stores_once(server, grumpy, tmp_path):
    data = b''.join(b'%07d ' % i + os.urandom(20).hex().encode() + b'\n' for i in range(60000))
    f = write(tmp_path / 'x.log', data)
    address, keys = grumpy(['429', '503', 'gone', 'lost answer', 'good', 'lost answer', 'gone'])
    p = subprocess.run([BINARY, 'push', '--server', address, str(f)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * SLOW)
    assert p.returncode == 0, p.stderr
    assert server.export() == data
    assert len(keys) > len(set(keys)) >= 3


def test_an_interrupted_push_goes_on(server, run, grumpy, tmp_path):
    data = b''.join(b'2026-01-02 03:04:05 number %07d\n' % i for i in range(200000))
    f = write(tmp_path / 'big.log', data)
    started = threading.Event()
    address, _ = grumpy(on_post=lambda n: started.wait(60) and n == 2 and p.send_signal(signal.SIGINT))
    p = subprocess.Popen([BINARY, 'push', '--server', address, str(f)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.set()
    _, err = p.communicate(timeout=60 * SLOW)
    assert p.returncode == 130
    assert b'interrupted; run the same command again to go on' in err
    assert 0 < server.status()['intake']['records'] < 200000
    out, _ = run('push', f)
    assert b'of them had been stored before' in out
    assert server.export() == data


def test_an_interrupted_pipe_loses_nothing_that_came(server, grumpy):
    """Ctrl-C on `tail -f | logpond push`: both get it, and what was read is sent before the end."""
    address, _ = grumpy()
    p = subprocess.Popen([BINARY, 'push', '--server', address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(b'first\n')
    p.stdin.flush()
    wait_for(lambda: b'first' in server.export(), 20, 'the first line')
    p.stdin.write(b'second\n' * 50000)  # more than a pipe holds
    p.stdin.flush()
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=60 * SLOW)
    assert p.returncode == 130
    assert server.export() == b'first\n' + b'second\n' * 50000


def test_push_gives_up_when_told(new_server, tmp_path):
    s = new_server().start()
    fifo = tmp_path / 'pipe'
    os.mkfifo(fifo)
    p = subprocess.Popen([BINARY, 'push', '--retry-for', '1s', str(fifo)], env=environment(s), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open(fifo, 'wb') as pipe:
        pipe.write(b'before\n')
        pipe.flush()
        wait_for(lambda: s.export() == b'before\n', 20, 'the first line')
        s.stop()
        pipe.write(b'after\n')
    out, err = p.communicate(timeout=60 * SLOW)
    assert p.returncode == 1
    assert b'waiting for the server' in err and b'gave up' in err and b'1 NOT stored' in out, (out, err)


def test_push_survives_a_restart_of_the_server(new_server, tmp_path):
    s = new_server('--seal-bytes', '1MiB').start()
    big = b''.join(b'2026-01-02 03:04:05 number %07d\n' % i for i in range(600000))
    f = write(tmp_path / 'big.log', big)
    p = subprocess.Popen([BINARY, 'push', str(f)], env=environment(s), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: s.status()['intake']['records'] > 0, 30, 'the first batch')
    address = s.address
    s.kill()
    s.start(listen=address)
    _, err = p.communicate(timeout=120 * SLOW)
    assert p.returncode == 0, err
    assert s.export() == big


def test_commands_say_what_is_wrong(run, tmp_path):
    write(tmp_path / 'x.log', 'x\n')
    for args in (['push', 'x.log'], ['query', 'x'], ['status']):
        _, err = run(*args, '--server', NOWHERE, code=1 if args[0] == 'push' else 2)
        assert 'no server answers at http://127.0.0.1:9: Connection refused' in err and 'Start one with: logpond serve --data DIR' in err, err
    for args, words in ((['push', '--nope'], 'unknown option --nope'), (['query', '--since', 'x', 'y'], '--since x: a duration like'),
                        (['query', '--limit', '-1', 'y'], '--limit -1'), (['status', 'x'], 'unexpected argument x'),
                        (['push', '--label', '1=2', 'x.log'], '--label 1=2'), (['query', '--server', 'https://x', 'y'], 'https is not supported yet')):
        _, err = run(*args, code=2)
        assert words in err, err
    for command in ('push', 'query', 'labels', 'series', 'status', 'serve'):
        out, _ = run(command, '--help')
        assert out.startswith(b'usage: logpond ' + command.encode()), out


# --- query ---

@pytest.fixture
def shop(server):
    """Ten lines of a pod, a second apart, and one of another."""
    body = ''.join('{"_time":"2026-01-02T03:04:%02dZ","_msg":"request %d took %d ms","namespace":"shop","pod":"web-1","container":"app"}\n'
                   % (i, i, 10 * i) for i in range(10))
    body += '{"_time":"2026-01-02T03:05:00Z","_msg":"Connection RESET by peer","app":"db","env":"prod"}\n'
    assert server.jsonline(body)[0] == 204
    return server


def test_query_shows_the_newest_at_the_bottom(shop, run):
    out, err = run('query', '-n', 3, '{}')
    assert out.decode().split('\n') == [
        '2026-01-02 03:04:08.000 shop/web-1/app request 8 took 80 ms',
        '2026-01-02 03:04:09.000 shop/web-1/app request 9 took 90 ms',
        '2026-01-02 03:05:00.000 app=db Connection RESET by peer', '']
    assert err == ''
    out, _ = run('query', '--forward', '--limit=2', '--output', 'raw', 'request')
    assert out == b'request 0 took 0 ms\nrequest 1 took 10 ms\n'
    out, _ = run('query', '--limit', 0, '--output=raw', '{namespace="shop"}')
    assert out.decode().split('\n')[:-1] == ['request %d took %d ms' % (i, 10 * i) for i in range(10)]
    out, _ = run('query', '--limit', 1, '--output=jsonl', '{app="db"}')
    assert json.loads(out) == {'time': '2026-01-02T03:05:00.000000000Z', 'labels': {'app': 'db'}, 'metadata': {'env': 'prod'}, 'line': 'Connection RESET by peer'}


def test_query_searches_for_words(shop, run):
    assert run('query', '--output', 'raw', 'took', 'request 7')[0] == b'request 7 took 70 ms\n'
    assert run('query', '--output', 'raw', '-i', 'reset BY peer')[0] == b'Connection RESET by peer\n'
    assert run('query', '--output', 'raw', '{namespace="shop"} |= "took 90"')[0] == b'request 9 took 90 ms\n'
    assert run('query', '--output', 'raw', '{namespace="shop"}', '|=', '"took 90"')[0] == b'request 9 took 90 ms\n'


def test_query_says_when_nothing_is_found(shop, run):
    out, err = run('query', 'reset by', 'nothing', code=1)
    assert out == b''
    assert err.startswith('nothing found for {} |= "reset by" |= "nothing"\nsearched everything that is stored')
    assert 'without quotes each word is looked for by itself' in err and '-i takes words in any case' in err
    _, err = run('query', '--since', '1h', '{namespace="shop"}', code=1)
    assert re.search(r'searched from 20\d\d-.* to now; --since 7d goes further back', err), err


def test_query_takes_ranges(shop, run):
    assert run('query', '--output', 'raw', '--start', '2026-01-02T03:04:08Z', '--end', '2026-01-02 03:05', '{}')[0] == b'request 8 took 80 ms\nrequest 9 took 90 ms\n'
    assert run('query', '--output', 'raw', '--end', '2026-01-02 03:04:01', '{}')[0] == b'request 0 took 0 ms\n'
    assert run('query', '--output', 'raw', '--start', '2026-01-03', '{}', code=1)[0] == b''


def test_query_points_at_a_mistake(shop, run):
    _, err = run('query', '{app=db}', code=2)
    assert err.startswith('logpond query: parse error at line 1, col 6: ') and err.endswith('\n  {app=db}\n       ^\n'), err
    _, err = run('query', 'sum(rate({app="db"}[5m])', code=2)
    assert err.endswith('\n  sum(rate({app="db"}[5m])\n                          ^\n'), err


def test_query_keeps_odd_bytes(server, run):
    lines = [b'\xff\xfe not UTF-8', b'tab\tand \x1b[31mred\x1b[0m', '\u00fcml\u00e4ut'.encode()]
    run('push', stdin=b'\n'.join(lines))
    assert run('query', '--output', 'raw', '{}')[0] == b'\n'.join(lines) + b'\n'
    assert run('query', '--output', 'raw', b'\xff\xfe not'.decode('utf-8', 'surrogateescape'))[0] == lines[0] + b'\n'


def test_query_ends_quietly_when_its_reader_does(server):
    body = b''.join(b'{"_msg":"%d"}\n' % i for i in range(100000))
    assert server.jsonline(body)[0] == 204
    p = subprocess.Popen([BINARY, 'query', '--limit', '0', '{}'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(server))
    p.stdout.readline()
    p.stdout.close()
    assert p.stderr.read() == b''
    assert p.wait(30 * SLOW) != 0


MINUTE = ('--from', '2026-01-02T03:04:00Z', '--to', '2026-01-02T03:05:00Z')
COUNT = 'sum by (namespace, app) (count_over_time({%s=~".+"}[30s]))'


def test_query_shows_values_of_metric_queries(shop, run):
    out, err = run('query', *MINUTE, '--step', '30s', '--stats', COUNT % 'namespace')
    assert out == b'2026-01-02T03:04:00.000000000Z\t1\t{namespace="shop"}\n2026-01-02T03:04:30.000000000Z\t9\t{namespace="shop"}\n', out
    assert re.match(r'looked at 10 lines \(.*\) of 1 streams, \d+ blocks, in \d\.\d{3} s; 10 lines passed the filters\n$', err), err
    out, _ = run('query', *MINUTE, '--step', '5s', '--output', 'jsonl', COUNT % 'namespace')
    values = [json.loads(line) for line in out.splitlines()]
    assert [v['value'] for v in values] == [1, 6, 10, 10, 10, 10, 9, 4] and values[1]['time'] == '2026-01-02T03:04:05.000000000Z'
    assert all(v['labels'] == {'namespace': 'shop'} for v in values)
    out, _ = run('query', '--instant', '--to', '2026-01-02T03:05:00Z', 'avg_over_time({app="db"} | unwrap x [1s]) or (1 + vector(0.5)) * 2')
    assert out == b'2026-01-02T03:05:00.000000000Z\t3\t{}\n', out
    # the default step and range: it only has to be an answer
    run('query', COUNT % 'namespace', code=1)
    _, err = run('query', '--since', '5m', 'rate({namespace="none"}[5m])', code=1)
    assert err.startswith('no values for rate({namespace="none"}[5m])\nasked for 20') and 'goes further back' in err
    _, err = run('query', '--instant', 'rate({namespace="none"}[5m])', code=1)
    assert '--end TIME asks for another time' in err


def test_query_refuses_options_that_mean_nothing(run):
    metric = 'rate({a="b"}[5m])'
    for args, words in ((['--all', metric], '--all is for lines'), (['--limit', '5', metric], '--limit is for lines; of a metric query topk(N, ...)'),
                        (['--step', '5m', 'x'], '--step is for metric queries'), (['--instant', '{a="b"}'], '--instant is for metric queries'),
                        (['--step', '5m', '--instant', metric], 'exclude each other'), (['--step', '0s', metric], '--step 0s: a duration like'),
                        (['--all', '-n', '5', 'x'], '--all and --limit 5 exclude each other'), (['--cursor', 'x', 'y'], '--cursor goes with --all'),
                        (['--all', '--cursor', 'x', 'y'], 'the cursor is not one that an export gave'), (['--color', 'red', 'x'], '--color red: auto, always or never'),
                        (['-i', '{a="b"}'], '-i is for words'), (['--nope', 'x'], 'unknown option --nope')):
        _, err = run('query', *args, code=2)
        assert err.startswith('logpond query: ') and words in err, err


def test_query_says_what_it_looked_at(shop, run):
    for more in ((), ('--all',), ('--forward', '-n', '2')):
        out, err = run('query', *more, '--stats', 'request')
        assert out and re.match(r'looked at \d+ lines \(.*\) of 2 streams, 0 blocks, in \d+\.\d{3} s; \d+ lines passed the filters\n$', err), err
    _, err = run('query', '--stats', 'nowhere', code=1)
    assert err.startswith('looked at 11 lines (') and '; 0 lines passed the filters\nnothing found' in err, err


def test_labels_and_series(shop, run):
    assert run('labels')[0] == b'app\ncontainer\nnamespace\npod\nservice_name\n'
    assert run('labels', 'pod')[0] == b'web-1\n'
    assert run('labels', '--match', '{app="db"}')[0] == b'app\nservice_name\n'
    assert [json.loads(x) for x in run('labels', '--output', 'jsonl')[0].splitlines()][0] == {'label': 'app'}
    assert run('labels', 'app', '--output', 'jsonl')[0] == b'{"label":"app","value":"db"}\n'
    assert run('labels', 'pod', '--from', '2026-01-02', '--to', '2026-01-03', '--output', 'raw')[0] == b'web-1\n'
    db, web = b'{app="db", service_name="db"}\n', b'{container="app", namespace="shop", pod="web-1", service_name="app"}\n'
    assert run('series')[0] == db + web
    assert run('series', '{app="db"}')[0] == db
    assert run('series', '{app="db"}', '{namespace="shop"}')[0] == db + web
    assert json.loads(run('series', '--output=jsonl', '{app="db"}')[0]) == {'app': 'db', 'service_name': 'db'}
    assert run('labels', 'service_name')[0] == b'app\ndb\n'


def test_labels_and_series_say_what_is_wrong(shop, run):
    for args, code, words in ((['labels', 'nope'], 1, 'label nope has no values; `logpond labels` lists what there is\nsearched everything'),
                              (['labels', '--since', '1s'], 1, 'no labels found\nsearched from 20'), (['series', '{a="b"}'], 1, 'no series found\n'),
                              (['labels', 'a', 'b'], 2, 'unexpected argument b'), (['labels', '{app="db"}'], 2, 'a selector goes behind --match'),
                              (['series', '{app=db}'], 2, '\n  {app=db}\n       ^\n'), (['series', '--match', '{a="b"}'], 2, 'unknown option --match'),
                              (['labels', '--match', '{app="db"} |= "x"'], 2, 'only label matchers are supported'), (['labels', '--since', 'x'], 2, '--since x'),
                              (['series', '--server', NOWHERE], 2, 'Start one with: logpond serve')):
        out, err = run(*args, code=code)
        assert out == b'' and words in err, (args, err)
    for command in ('labels', 'series'):
        assert run(command, '--help')[0].startswith(b'usage: logpond ' + command.encode())


ODD = ['', '5', '[]', '{}', '{"data":5}', '{"data":{"result":5}}', '{"data":{"result":[]}}', '{"data":{"resultType":"matrix","result":[5,[],null,"x"]}}',
       '{"data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1],[1,2],["x","y"],[1e300,"1"],[-1,"NaN"],[1767323045,"x\\u001b[31m"]]},{"metric":5,"values":{}}]}}',
       '{"data":{"resultType":"vector","result":[{"metric":{"a\\u001b[31m":"b\\u001b[31m","c":[1]},"value":[1767323045,"\\u001b[31m"]},{"value":[1,"+Inf"]},{"value":5}]}}',
       '{"data":{"resultType":"scalar","result":[1,"\\u001b[31m"]}}', '{"data":{"resultType":"scalar","result":[]}}', '{"data":[5,["x"],{"a\\u001b[31m":"\\u001b[31m"},null]}',
       '{"cursor":5,"stats":[],"warnings":["x",5]}\n', '{"time":5}\n{"cursor":"x"}\n', '{"time":"x","labels":[{}],"line":{}}\n{"cursor":"x","warnings":{}}\n']


def test_odd_answers_are_borne(server):
    """Whatever answers: no crash, and no escape sequence of it reaches the terminal."""
    handler = type('O', (http.server.BaseHTTPRequestHandler,), {'log_message': lambda *args: None})

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)
    handler.do_GET = do_GET
    odd = http.server.HTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=odd.serve_forever, daemon=True).start()
    try:
        for body in ODD:
            handler.body = body.encode()
            for args in (['query', 'rate({a="b"}[5m])', '--since', '1h'], ['query', 'rate({a="b"}[5m])', '--instant', '--stats'], ['query', 'x', '--stats'],
                         ['query', '--all', 'x'], ['labels'], ['labels', 'a'], ['series']):
                code, shown = on_terminal(server, *args, LOGPOND_SERVER='http://127.0.0.1:%d' % odd.server_port, NO_COLOR='1')
                assert code in (0, 1, 2) and '\x1b' not in shown and 'Sanitizer' not in shown, (body, args, code, shown)
    finally:
        odd.shutdown()
        odd.server_close()


# --- exports ---

@pytest.fixture
def many(server):
    """More lines than an export has in two pages."""
    lines = [b'%07d of very many' % i for i in range(150000)]
    for at in range(0, len(lines), 50000):
        body = b''.join(b'{"_time":%d,"_msg":"%s","app":"many"}\n' % (1767323045000000000 + int(l[:7]) * 1000000, l) for l in lines[at:at + 50000])
        assert server.jsonline(body)[0] == 204
    server.lines = lines
    return server


def rest_of(server, err, *args):
    cursor = re.search(r"the same command with --cursor '([^']+)' \(append with >>\)", err).group(1)
    return subprocess.run([BINARY, 'query', '--all', '--output', 'raw', '--cursor', cursor] + list(args), env=environment(server), check=True,
                          timeout=120 * SLOW, stdout=subprocess.PIPE).stdout


def test_an_interrupted_export_goes_on_where_it_was(many):
    args = ('--since', '100000h', '{app="many"}')
    p = subprocess.Popen([BINARY, 'query', '--all', '--output', 'raw'] + list(args), bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=environment(many))
    out = p.stdout.read(1)  # a page is being written, and does not fit into the pipe
    p.send_signal(signal.SIGINT)
    more, err = p.communicate(timeout=60 * SLOW)
    assert p.returncode == 130
    out, err = out + more, err.decode()
    assert re.match(r'interrupted\n[\d,]+ lines were written; the rest: ', err), err
    assert 0 < out.count(b'\n') < len(many.lines)
    assert (out + rest_of(many, err, *args)).splitlines() == many.lines


class Cutting(http.server.BaseHTTPRequestHandler):
    """A way to the server that hands on so many bytes of an answer, with or without its length, and closes."""
    protocol_version, target, bytes, length = 'HTTP/1.1', None, 0, True

    def do_GET(self):
        _, body, _ = self.target.request('GET', self.path)
        self.send_response(200)
        if self.length:
            self.send_header('Content-Length', str(len(body)))
        self.send_header('Connection', 'close')
        self.end_headers()
        self.wfile.write(body[:self.bytes])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.mark.parametrize('length', [True, False])
def test_a_broken_export_goes_on_where_it_was(many, length):
    way = http.server.HTTPServer(('127.0.0.1', 0), type('C', (Cutting,), {'target': many, 'bytes': 10 << 20, 'length': length}))
    threading.Thread(target=way.serve_forever, daemon=True).start()
    try:
        p = subprocess.run([BINARY, 'query', '--all', '--output', 'raw', '{}', '--server', '127.0.0.1:%d' % way.server_port], env=environment(many),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * SLOW)
        assert p.returncode == 2
        assert (b'before its answer was whole' if length else b'the answer ended in the middle') in p.stderr
        assert 0 < p.stdout.count(b'\n') < len(many.lines)
        assert (p.stdout + rest_of(many, p.stderr.decode(), '{}')).splitlines() == many.lines
        way.RequestHandlerClass.bytes = 1000  # not even a page
        p = subprocess.run([BINARY, 'query', '--all', '{}', '--server', '127.0.0.1:%d' % way.server_port], env=environment(many),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * SLOW)
        assert p.returncode == 2 and p.stdout == b'' and b'no line was written: run the same command again' in p.stderr
    finally:
        way.shutdown()
        way.server_close()


def test_an_export_is_all_of_it(many, run):
    for args in (('--all',), ('--limit', '0')):
        out, err = run('query', *args, '--output', 'raw', '{}')
        assert out.splitlines() == many.lines and err == ''
    rows = run('query', '--all', '--output', 'jsonl', '{}')[0].splitlines()
    assert len(rows) == len(many.lines) and all(r.startswith(b'{"time":') for r in rows)


# --- status ---

def test_status_tells_how_it_is(shop, run):
    out, _ = run('status')
    text = out.decode()
    assert re.match(r'logpond \S+ at http://127\.0\.0\.1:\d+: ready, up ', text)
    assert '11 lines since it started' in text and re.search(r'^head +11 lines, ', text, re.M) and re.search(r'^journal +', text, re.M)
    assert re.search(r'^stored +0 lines ', text, re.M) and re.search(r'^disk +\S+ \S+ of ', text, re.M)
    assert json.loads(run('status', '--json')[0])['intake']['records'] == 11
    assert run('status', '--wait', '5s', '--json')[0]


def test_status_waits_until_ready(new_server):
    s = new_server()
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = '127.0.0.1:%d' % free.getsockname()[1]
    p = subprocess.Popen([BINARY, 'status', '--wait', '60s', '--server', address], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    s.start(ready=False, listen=address)
    out, err = p.communicate(timeout=90 * SLOW)
    assert p.returncode == 0 and b': ready, up ' in out, (out, err)


# --- on a terminal ---

class Terminal:
    """Runs a command on a terminal of its own and gathers what it shows."""

    def __init__(self, server, *args, env=None):
        self.shown = b''
        env = environment(server, **(env or {}))
        try:
            pid, self.fd = pty.fork()
        except OSError as e:  # a bare chroot has no /dev/pts
            pytest.skip('no terminal can be made here: %s' % e)
        if pid == 0:
            os.execve(BINARY, [BINARY] + list(args), env)
        self.pid = pid

    def finish(self):
        deadline = time.monotonic() + 60 * SLOW
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:  # the other side has closed
                    break
                if not data:
                    break
                self.shown += data
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def on_terminal(server, *args, **env):
    t = Terminal(server, *args, env=dict({'TERM': 'xterm'}, **env))
    return t.finish(), t.shown.decode()


def test_a_terminal_gets_colours_and_no_escape_sequences_of_logs(server, run):
    run('push', stdin=b'red \x1b[31malert\x1b[0m \x07\n')
    code, shown = on_terminal(server, 'query', 'alert')
    assert code == 0 and '\x1b[36mstdin\x1b[0m' in shown and '\x1b[1;31malert\x1b[0m' in shown, shown
    assert '\\x1b[31m' in shown and '\x1b[31malert' not in shown and '\x07' not in shown
    code, shown = on_terminal(server, 'query', 'alert', NO_COLOR='1')
    assert code == 0 and '\x1b' not in shown and '\\x1b[31malert' in shown
    code, shown = on_terminal(server, 'query', 'alert', TERM='dumb')
    assert code == 0 and '\x1b[3' not in shown.replace('\x1b[31malert\x1b[0m', '')
    code, shown = on_terminal(server, 'query', '-n', '1', 'alert')
    assert '(the newest 1 lines; more with --limit N, all with --all)' in shown
    code, shown = on_terminal(server, 'query', '--color', 'never', 'alert')
    assert code == 0 and '\x1b' not in shown
    out, _ = run('query', '--color=always', 'alert', env={'NO_COLOR': '1'})
    assert b'\x1b[36mstdin\x1b[0m' in out and b'\\x1b[31m' in out and b'\x1b[31malert' not in out


def test_a_terminal_gets_charts_and_tables(shop, run):
    code, shown = on_terminal(shop, 'query', *MINUTE, '--step', '5s', 'sum(count_over_time({namespace="shop"}[5s]))', NO_COLOR='1')
    assert code == 0, shown
    lines = shown.split('\r\n')
    assert lines[0] == '2026-01-02 03:04:00 to 2026-01-02 03:05:00, every 5s'
    assert lines[1].startswith('       5 \u2524     \u2588\u2588\u2588\u2588\u2588'), shown
    assert lines[9].split() == ['03:04:00', '03:05:00'] and lines[10].endswith('{}  min 1  max 5  last 4'), shown
    code, shown = on_terminal(shop, 'query', *MINUTE, '--step', '5s', 'sum by (app, pod) (count_over_time({service_name=~".+"}[5s]))')
    assert code == 0 and re.search(r'^SERIES +MIN +MAX +LAST\r$', shown, re.M) and re.search(r'^\{pod="web-1"\} .*\x1b\[36m.*\u2588.* 1 +5 +4\r$', shown, re.M), shown
    code, shown = on_terminal(shop, 'query', '--instant', '--end', '2026-01-02 03:05:00', 'sum by (app, pod) (count_over_time({service_name=~".+"}[5m]))')
    assert (code, shown) == (0, 'app  pod    VALUE\r\n     web-1     10\r\ndb              1\r\n'), shown
    code, shown = on_terminal(shop, 'labels', 'pod')
    assert (code, shown) == (0, 'web-1\r\n')


def test_an_export_shows_how_far_it_is(many, tmp_path):
    """On a terminal, while the lines go into a file."""
    try:
        ours, theirs = pty.openpty()
    except OSError as e:
        pytest.skip('no terminal can be made here: %s' % e)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 130, 0, 0))
    with open(tmp_path / 'all', 'wb') as f:
        p = subprocess.Popen([BINARY, 'query', '--all', '--output', 'raw', '--to', '2026-01-02 03:06', '{}'], stdout=f, stderr=theirs, env=environment(many, TERM='xterm'))
        os.close(theirs)
        shown = b''
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other side has closed
                break
            if not data:
                break
            shown += data
        os.close(ours)
        assert p.wait(60 * SLOW) == 0
    assert (tmp_path / 'all').read_bytes().splitlines() == many.lines[:115000]
    assert re.search(r'\[=+>? *\] +\d+ %  [\d.]+ MiB  [\d,]+ lines  [\d.]+ MiB/s  at 2026-01-02 03:05', shown.decode()) and shown.endswith(b'\r\x1b[K'), shown


def test_a_terminal_gets_a_progress_bar(server, tmp_path):
    f = write(tmp_path / 'x.log', b''.join(os.urandom(40).hex().encode() + b'\n' for i in range(600000)))  # long enough to be seen
    code, shown = on_terminal(server, 'push', str(f))
    assert code == 0
    assert re.search(r'(^|\r\x1b\[K)\[=+>? *\] +\d+ %  [\d.]+ \w+ of [\d.]+ MiB', shown), shown[:2000]
    assert shown.split('\r\x1b[K')[-1].startswith('stored 600,000 lines')
    assert server.entries() == 600000
