"""Live tails over WebSocket: frames, cursors over reconnects, restarts and seals, slow clients, refusals, hostile frames."""
import asyncio, json, os, signal, subprocess, threading, time

import pytest

from server import BINARY, SLOW, wait_for
from ws import CLOSE, PING, PONG, TEXT, Closed, Tail

QUERY = '{app="tail"}'


def push(server, lines, app='tail', start=None, **labels):
    """Pushes lines as one batch, with rising times."""
    start = start or time.time_ns()
    values = [[str(start + i), line] for i, line in enumerate(lines)]
    body = json.dumps({'streams': [{'stream': dict(labels, app=app), 'values': values}]})
    status, answer, _ = server.request('POST', '/loki/api/v1/push', body, {'Content-Type': 'application/json'})
    assert status == 204, answer
    return start


def numbers(first, n):
    return ['line %d' % i for i in range(first, first + n)]


def test_new_lines_come(server):
    push(server, ['before'], start=time.time_ns() - 7200 * 10 ** 9)
    t = Tail(server.address, QUERY, headers={'Origin': 'http://elsewhere.example'})
    begin = push(server, ['one', 'two <3>'], level='info')
    f = t.next()
    assert f['streams'] == [{'stream': dict(app='tail', level='info', service_name='tail', **extra(f)),
                             'values': [[str(begin), 'one'], [str(begin + 1), 'two <3>']]}]
    assert f['cursor'] and 'dropped_entries' not in f
    push(server, ['other'], app='other')
    push(server, ['three'])
    assert t.lines(1) == ['three']
    t.close()


def extra(frame):
    """Labels that are derived from the line, whatever the version."""
    return {k: v for k, v in frame['streams'][0]['stream'].items() if k == 'detected_level'}


def test_the_past_comes_first(server):
    now = time.time_ns()
    push(server, numbers(0, 250), start=now - 10 ** 9)
    push(server, ['old'], start=now - 3000 * 10 ** 9)
    t = Tail(server.address, QUERY, start=now - 60 * 10 ** 9, limit=120)
    frames = []
    assert t.lines(120, frames=frames) == numbers(130, 120)  # the newest, oldest first
    assert [len(f['streams'][0]['values']) for f in frames] == [100, 20]
    assert 'cursor' not in frames[0] and 'cursor' in frames[1]
    push(server, ['late'], start=now - 7200 * 10 ** 9)  # what arrives comes, whatever its time
    push(server, numbers(250, 3))
    assert t.lines(4) == ['late'] + numbers(250, 3)
    by_default = Tail(server.address, QUERY)
    assert len(by_default.lines(100)) == 100


def test_what_comes_after_the_handshake_comes(server):
    """Also where nothing of the past was asked for, and others keep the server busy with theirs."""
    now = time.time_ns()
    push(server, ['x' * 3000] * 5000, start=now - 10 ** 9)
    busy = [Tail(server.address, QUERY, start=now - 60 * 10 ** 9, limit=5000) for _ in range(8)]
    t = Tail(server.address, QUERY, start=now + 10 ** 12, end=now + 10 ** 13)
    push(server, ['new'])
    assert t.lines(1) == ['new']
    assert all(len(b.lines(5001)) == 5001 for b in busy)


def test_filters_and_categories(server):
    t = Tail(server.address, QUERY + ' |= "yes"', headers={'X-Loki-Response-Encoding-Flags': 'categorize-labels'})
    push(server, ['no', 'yes 1', 'no', 'yes 2'])
    f = t.next()
    assert [v[1] for v in f['streams'][0]['values']] == ['yes 1', 'yes 2']
    assert all(isinstance(v[2], dict) for v in f['streams'][0]['values'])
    assert f['encodingFlags'] == ['categorize-labels']


def test_stages(server):
    """As a search over the same lines, in memory and from segments."""
    query = QUERY + ' | json | code >= 500 | line_format "{{.method}} {{.code}}"'
    t = Tail(server.address, query)
    push(server, [json.dumps({'method': m, 'code': c}) for m in ('GET', 'PUT') for c in (200, 500, 503)] + ['{"other":1}'])
    want = ['GET 500', 'GET 503', 'PUT 500', 'PUT 503']
    frames = []
    assert sorted(t.lines(4, frames=frames)) == want
    found = server.json('/loki/api/v1/query_range', query=query, direction='forward')['data']['result']
    by_labels = {json.dumps(s['stream'], sort_keys=True): s['values'] for s in found}
    assert {json.dumps(s['stream'], sort_keys=True): s['values'] for f in frames for s in f['streams']} == by_labels
    cursor = frames[0]['cursor']
    push(server, ['{"method":"GET","code":501}'] * 3)
    t.lines(3)
    server.stop()
    server.start()
    assert Tail(server.address, query, cursor=cursor).lines(3) == ['GET 501'] * 3


@pytest.mark.parametrize('params,words', [
    ({'query': 'rate({app="tail"}[1m])'}, 'only queries for lines'),
    ({'query': '{app='}, 'parse error'),
    ({'query': ''}, 'parse error'),
    ({'query': QUERY, 'limit': '0'}, 'limit'),
    ({'query': QUERY, 'limit': 'x'}, 'invalid'),
    ({'query': QUERY, 'start': 'yesterday'}, 'start'),
    ({'query': QUERY, 'delay_for': '6'}, 'delay_for'),
    ({'query': QUERY, 'cursor': 'nonsense'}, 'cursor'),
    ({'query': QUERY, 'cursor': '1-0-0'}, 'another store'),
])
def test_refused_before_the_upgrade(server, params, words):
    t = Tail(server.address, **params)
    assert t.status == 400 and words in t.body, (t.status, t.body)


@pytest.mark.parametrize('headers,status', [
    ({'Upgrade': None}, 400), ({'Connection': 'keep-alive'}, 400), ({'Sec-WebSocket-Key': 'short'}, 400),
    ({'Sec-WebSocket-Key': None}, 400), ({'Sec-WebSocket-Version': '8'}, 426)])
def test_no_websocket(server, headers, status):
    t = Tail(server.address, QUERY, headers=headers)
    assert t.status == status, (t.status, t.body)
    if status == 426:
        assert t.head['sec-websocket-version'] == '13'


def test_too_many(new_server):
    server = new_server('--tails', '2').start()
    two = [Tail(server.address, QUERY) for _ in range(2)]
    assert Tail(server.address, QUERY).status == 429
    two[0].close()
    wait_for(lambda: server.metric('logpond_tails') == 1, what='the tail to end')
    assert Tail(server.address, QUERY).status == 101


def test_pings_every_second(server):
    t = Tail(server.address, QUERY)
    begin = time.monotonic()
    while t.pings < 3:
        t.frame()
    assert 2 < time.monotonic() - begin < 8 * SLOW


def test_closing_handshake(server):
    t = Tail(server.address, QUERY)
    t.send(CLOSE, b'\x03\xe8bye')
    with pytest.raises(Closed) as e:
        while True:
            t.frame()
    assert e.value.code == 1000
    with pytest.raises(Closed) as e:
        t.fill()
    wait_for(lambda: server.metric('logpond_tails') == 0, what='the tail to end')


def test_the_client_may_say_something(server):
    t = Tail(server.address, QUERY)
    t.send(TEXT, b'hello')
    t.send(TEXT, b'a', fin=False)
    t.send(PING, b'are you there')
    t.send(0, b'b')
    while True:
        opcode, payload = t.frame()
        if opcode == PONG:
            break
    assert payload == b'are you there'
    push(server, ['still'])
    assert t.lines(1) == ['still']


@pytest.mark.parametrize('frame,code', [
    (dict(opcode=TEXT, payload=b'not masked', masked=False), 1002),
    (dict(opcode=TEXT, payload=b'x', rsv=4), 1002),
    (dict(opcode=3, payload=b'x'), 1002),
    (dict(opcode=PING, payload=b'x' * 126), 1002),
    (dict(opcode=PING, payload=b'x', fin=False), 1002),
    (dict(opcode=0, payload=b'continues nothing'), 1002),
    (dict(opcode=CLOSE, payload=b'\x00'), 1002),
    (dict(opcode=TEXT, payload=b'', length=1 << 40), 1009),
])
def test_hostile_frames(server, frame, code):
    t = Tail(server.address, QUERY)
    t.send(**frame)
    with pytest.raises(Closed) as e:
        while True:
            t.frame()
    assert e.value.code in (code, 1005)  # where the frame itself cannot be read, wslay says goodbye without a code
    wait_for(lambda: server.metric('logpond_tails') == 0, what='the tail to end')


def test_a_flood_of_pings_is_bounded(server):
    t = Tail(server.address, QUERY, rcvbuf=4096)
    t.s.settimeout(20 * SLOW)
    with pytest.raises(OSError):
        for _ in range(10 ** 6):  # and reads nothing
            t.s.sendall(b'\x89\xfdmask' + b'x' * 125)
    t.close()
    wait_for(lambda: server.metric('logpond_tails') == 0, what='the tail to end')


def test_garbage(server):
    for seed in range(50):
        t = Tail(server.address, QUERY)
        t.s.sendall(os.urandom(200 + seed))
        t.close()
    wait_for(lambda: server.metric('logpond_tails') == 0, what='the tails to end')
    assert server.try_status('/ready') == 200


def test_a_cursor_goes_on(new_server):
    """Reconnects after every few frames, while lines come, are sealed, and the server is stopped and killed."""
    server = new_server('--seal-bytes', '65536').start()
    t = Tail(server.address, QUERY)
    sent, got, cursor = 0, [], None
    for step in range(24):
        for _ in range(8):
            push(server, numbers(sent, 130), pad='x' * 50)
            sent += 130
        if step == 9:
            assert server.stop() == 0
            server.start()
        if step == 17:
            server.kill()
            server.start()
        if step in (9, 17):
            with pytest.raises(Closed) as e:
                while True:
                    f = t.next()
                    got += [v[1] for s in f['streams'] for v in s['values']]
                    cursor = f.get('cursor', cursor)
            assert e.value.code is None  # just cut: clients take that as a reason to come back
        elif step % 3 != 2:
            frames = []
            got += t.lines(150, frames=frames)
            cursor = frames[-1]['cursor']
            assert not any('notice' in f for f in frames), (step, [f['notice'] for f in frames if 'notice' in f])
        t.close()
        t = Tail(server.address, QUERY, cursor=cursor)
        assert t.status == 101, t.body
    got += t.lines(sent - len(got))
    assert got == numbers(0, sent)
    push(server, ['the end'])
    assert t.lines(1) == ['the end']


def test_a_cursor_of_what_was_merged_is_told(new_server):
    server = new_server('--seal-bytes', '65536').start()
    t = Tail(server.address, QUERY)
    sent = 0
    for _ in range(40):
        push(server, numbers(sent, 130), pad='x' * 50)
        sent += 130
    frames = []
    got = t.lines(1000, frames=frames)
    assert got == numbers(0, len(got))
    t.close()
    asked = json.loads(server.request('POST', '/admin/compact')[1])['request']
    wait_for(lambda: server.status()['compaction']['answered'] >= asked, 60, 'the merge')
    t = Tail(server.address, QUERY, cursor=frames[-1]['cursor'])
    f = t.next()
    later = [v[1] for s in f['streams'] for v in s['values']]
    push(server, ['the end'])
    while 'the end' not in later:
        frames.append(t.next())
        later += [v[1] for s in frames[-1]['streams'] for v in s['values']]
    assert 'notice' in f or got + later[:-1] == numbers(0, sent), f  # told, or nothing of it is missing or twice


def test_many_at_once(server):
    """20 tails, some with a query of their own, while 4 threads push."""
    tails = [Tail(server.address, QUERY if i % 4 else QUERY + ' |= "line"') for i in range(20)]
    per, rounds = 100, 60

    def sender(number):
        for r in range(rounds):
            push(server, numbers(r * per, per), sender=str(number))
    threads = [threading.Thread(target=sender, args=(i,)) for i in range(4)]
    for x in threads:
        x.start()
    got = [{} for _ in tails]

    def reader(i):
        n = 0
        while n < 4 * per * rounds:
            for s in tails[i].next()['streams']:
                n += len(s['values'])
                got[i].setdefault(s['stream']['sender'], []).extend(v[1] for v in s['values'])
    readers = [threading.Thread(target=reader, args=(i,)) for i in range(len(tails))]
    for x in readers:
        x.start()
    for x in threads + readers:
        x.join(120 * SLOW)
        assert not x.is_alive()
    for g in got:
        assert g == {str(i): numbers(0, per * rounds) for i in range(4)}


def flood(server, quick, rounds=150):
    """Much more than a tail's buffer, all of which the quick one gets meanwhile."""
    sent = 0
    for _ in range(rounds):
        push(server, ['%d %s' % (sent + i, 'x' * 500) for i in range(200)])
        sent += 200
        assert [int(x.split()[0]) for x in quick.lines(200)] == list(range(sent - 200, sent))  # nobody waits for the slow one
    return sent


def test_a_slow_client_misses_nothing(new_server):
    """It falls out of the buffer, goes on from memory and from segments, and is with the others again at the end."""
    server = new_server('--tail-buffer', '1MiB', '--seal-bytes', '2MiB', '--tail-patience', '10m').start()
    slow, quick = Tail(server.address, QUERY, rcvbuf=4096), Tail(server.address, QUERY)
    push(server, ['first'])
    assert slow.lines(1) == ['first'] and quick.lines(1) == ['first']
    sent = flood(server, quick)
    frames = []
    assert [int(x.split()[0]) for x in slow.lines(sent, frames=frames)] == list(range(sent))
    assert not any('dropped_entries' in f or 'notice' in f for f in frames)
    push(server, ['last'])
    assert slow.lines(1) == ['last']


def test_a_client_that_takes_little_by_little_misses_nothing(new_server):
    """It takes longer than --tail-patience for what waits for it, but never takes nothing for so long."""
    server = new_server('--tail-buffer', '1MiB', '--tail-patience', '2s').start()
    slow, quick = Tail(server.address, QUERY, rcvbuf=4096), Tail(server.address, QUERY)
    push(server, ['first'])
    assert slow.lines(1) == ['first'] and quick.lines(1) == ['first']
    sent, done = [], threading.Event()

    def trickle():
        while not done.wait(0.05):
            slow.fill(16 << 10)
    taking = threading.Thread(target=trickle)
    taking.start()
    try:
        sent = flood(server, quick, rounds=60)
        begin = time.monotonic()
        wait_for(lambda: time.monotonic() > begin + 4, what='more than the patience')
    finally:
        done.set()
        taking.join()
    assert [int(x.split()[0]) for x in slow.lines(sent)] == list(range(sent))


def test_a_stalled_client_is_told(new_server):
    server = new_server('--tail-buffer', '1MiB', '--tail-patience', '100ms').start()
    slow, quick = Tail(server.address, QUERY, rcvbuf=4096), Tail(server.address, QUERY)
    push(server, ['first'])
    assert slow.lines(1) == ['first'] and quick.lines(1) == ['first']
    sent = flood(server, quick)
    time.sleep(0.3)
    got, told = [], []
    while not told:
        f = slow.next()
        got += [int(v[1].split()[0]) for s in f['streams'] for v in s['values']]
        if 'dropped_entries' in f:
            assert f['streams'] == [] and len(f['dropped_entries']) == 1000 and 'left out' in f['notice']
            assert f['dropped_entries'][0]['labels']['app'] == 'tail' and int(f['dropped_entries'][0]['timestamp']) > 10 ** 18
            told.append(f)
    assert got == list(range(len(got))) and len(got) < sent
    push(server, ['last'])
    assert slow.lines(1) == ['last']  # with what is new
    assert server.metric('logpond_tail_dropped_lines_total') >= 1000


def test_delay(server):
    t = Tail(server.address, QUERY, delay_for=2)
    push(server, ['first'])
    begin = time.monotonic()
    assert t.lines(1) == ['first']
    push(server, ['second'])
    begin = time.monotonic()
    assert t.lines(1) == ['second']
    assert time.monotonic() - begin > 1.5


def test_stop_drops_the_connection(new_server):
    server = new_server().start()
    tails = [Tail(server.address, QUERY) for _ in range(5)]
    push(server, ['x'])
    for t in tails:
        assert t.lines(1) == ['x']
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 8 * SLOW
    for t in tails:
        with pytest.raises(Closed) as e:
            while True:
                t.frame()
        assert e.value.code is None


def test_with_the_websockets_package(server):
    """A client that others wrote."""
    websockets = pytest.importorskip('websockets') if os.environ.get('CI') != 'true' else __import__('websockets')

    async def follow():
        uri = 'ws://%s/loki/api/v1/tail?query=%%7Bapp%%3D%%22tail%%22%%7D' % server.address
        async with websockets.connect(uri, max_size=None, ping_interval=0.2) as ws:
            await asyncio.get_running_loop().run_in_executor(None, push, server, numbers(0, 1000))
            got = []
            while len(got) < 1000:
                got += [v[1] for s in json.loads(await asyncio.wait_for(ws.recv(), 20 * SLOW))['streams'] for v in s['values']]
            await asyncio.sleep(0.5)  # its own pings are answered meanwhile
            return got
    assert asyncio.run(follow()) == numbers(0, 1000)
    wait_for(lambda: server.metric('logpond_tails') == 0, what='the tail to end')


class Command:
    """`logpond query --tail`, its output gathered line by line."""

    def __init__(self, server, *args):
        self.p = subprocess.Popen([BINARY, 'query', '--tail', '--server', 'http://' + server.address] + list(args), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.out, self.err = [], []
        self.threads = [threading.Thread(target=self.gather, args=a) for a in ((self.p.stdout, self.out), (self.p.stderr, self.err))]
        for t in self.threads:
            t.start()

    def gather(self, pipe, lines):
        for line in pipe:
            lines.append(line.rstrip('\n'))

    def wait(self, n):
        wait_for(lambda: len(self.out) >= n or self.p.poll() is not None, 30, 'the command to show %d lines' % n)
        return self.out

    def end(self, sig=signal.SIGINT):
        if sig:
            self.p.send_signal(sig)
        status = self.p.wait(20 * SLOW)
        for t in self.threads:
            t.join()
        return status


def test_the_command(server):
    push(server, ['long ago'], start=time.time_ns() - 7200 * 10 ** 9)
    push(server, ['a moment ago'], start=time.time_ns() - 10 ** 9)
    past, now = Command(server, '--since', '5m', '--output', 'raw', QUERY), Command(server, '--output', 'jsonl', 'wonder')
    assert past.wait(1) == ['a moment ago']
    wait_for(lambda: server.metric('logpond_tails') == 2, what='both commands')
    push(server, ['one', 'no wonder "at" all'])
    assert past.wait(3) == ['a moment ago', 'one', 'no wonder "at" all']
    row = json.loads(now.wait(1)[0])
    assert row['line'] == 'no wonder "at" all' and row['labels']['app'] == 'tail' and row['time'].startswith('20')
    exported = [json.loads(x) for x in server.export('{app="tail"} |= "wonder"', 'jsonl').splitlines()][0]
    assert row['labels'] == dict(exported['labels'], service_name='tail') and row['time'] == exported['time']
    assert past.end() == 0 and now.end(signal.SIGTERM) == 0
    assert past.err == now.err == []


def test_the_command_comes_back(new_server):
    server = new_server().start()
    c = Command(server, '--output', 'raw', QUERY)
    wait_for(lambda: server.metric('logpond_tails') == 1, what='the command')
    push(server, numbers(0, 500))
    c.wait(500)
    address = server.address
    assert server.stop() == 0
    wait_for(lambda: any('trying again' in x for x in c.err), what='a word about it')
    server.start(listen=address)
    push(server, numbers(500, 500))
    assert c.wait(1000) == numbers(0, 1000)
    assert c.end() == 0
    assert any('connected again' in x for x in c.err)


@pytest.mark.parametrize('args,words', [(['{app='], 'parse error'), (['--end', '1h', QUERY], 'no end'), (['--forward', QUERY], 'no end')])
def test_the_command_refuses(server, args, words):
    c = Command(server, *args)
    assert c.end(None) == 2
    assert words in ' '.join(c.err)


def test_the_command_without_a_server(server):
    address = server.address
    server.stop()
    c = Command(server, QUERY)
    assert c.end(None) == 2 and address in ' '.join(c.err)
    server.start()
