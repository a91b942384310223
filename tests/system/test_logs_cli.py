"""`logpond logs` and `logpond kubeconfig` as a person uses them. A model of the server speaks the endpoint where the connection has to break at a certain line;
what the real server answers is asked of the real one."""
import calendar, fcntl, http.server, json, os, pty, re, select, signal, socket, struct, subprocess, termios, threading, time, urllib.parse

import pytest
from conftest import missing
from kube import kubectls
from server import BINARY, SLOW, wait_for


def environment(address, **more):
    env = dict(os.environ, LOGPOND_SERVER='http://' + address, TZ='UTC', TERM='dumb')
    for name in ('NO_COLOR', 'PAGER', 'LESS', 'LOGPOND_NAMESPACE'):
        env.pop(name, None)
    env.update(more)
    return env


def line(second, text, pod='api-1', container='app', restart=0, **more):
    return dict({'time': '2026-01-02T03:04:%02d.000000000Z' % second, 'namespace': 'shop', 'pod': pod, 'uid': 'u-' + pod, 'container': container,
                 'restart': restart, 'stream': 'stdout', 'line': text}, **more)


def status(code, reason, message, kind=None, name=None):
    details = {'details': {'name': name, 'kind': kind}} if kind else {}
    return code, dict({'kind': 'Status', 'apiVersion': 'v1', 'metadata': {}, 'status': 'Failure', 'message': message, 'reason': reason, 'code': code}, **details)


def pod_object(name, containers=('app',), restarts=0, namespace='shop', **annotations):
    return {'kind': 'Pod', 'apiVersion': 'v1', 'metadata': {'name': name, 'namespace': namespace, 'uid': 'u-' + name, 'annotations': annotations},
            'spec': {'containers': [{'name': c} for c in containers]},
            'status': {'containerStatuses': [{'name': c, 'restartCount': restarts} for c in containers]}}


class Model(http.server.ThreadingHTTPServer):
    """Knows pods and lines, and says what it was asked. Lines come as JSON objects, past and live; cut() breaks all connections, add() brings lines."""
    daemon_threads, allow_reuse_address = True, True

    def __init__(self, port=0):
        super().__init__(('127.0.0.1', port), Ask)
        self.lines, self.objects, self.asked, self.answers = [], [], [], {}
        self.changed, self.cuts, self.ended, self.following, self.open = threading.Condition(), 0, False, 0, True
        self.thread = threading.Thread(target=self.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return '127.0.0.1:%d' % self.server_port

    def add(self, *lines):
        with self.changed:
            self.lines += lines
            self.changed.notify_all()

    def cut(self):
        with self.changed:
            self.cuts += 1
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def close(self):
        self.end()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # clients leave in the middle of an answer

    def logs(self):
        """The parameters of each time that a log was asked for."""
        return [dict(params) for path, params in self.asked if path.endswith('/log')]


class Ask(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        m, url = self.server, urllib.parse.urlsplit(self.path)
        params = urllib.parse.parse_qsl(url.query)
        m.asked.append((urllib.parse.unquote(url.path), params))
        path = m.asked[-1][0]
        if path in m.answers:
            return self.whole(*m.answers[path])
        if path.endswith('/log'):
            return self.log(dict(params))
        for o in m.objects:
            if path == '/api/v1/namespaces/%s/pods/%s' % (o['metadata']['namespace'], o['metadata']['name']):
                return self.whole(200, o)
        if path == '/api/v1/pods':
            name = dict(params)['fieldSelector'].split('=')[1]
            return self.whole(200, {'kind': 'PodList', 'items': [o for o in m.objects if o['metadata']['name'] == name]})
        name = path.rsplit('/', 1)[1]
        return self.whole(*status(404, 'NotFound', 'pods "%s" not found' % name, 'pods', name))

    def whole(self, code, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log(self, p):
        m = self.server
        with m.changed:
            cuts, at = m.cuts, len(m.lines)
            newest = {}
            for r in m.lines:
                newest[r['pod'], r['container']] = max(r['restart'], newest.get((r['pod'], r['container']), 0))
            past = sorted((r for r in m.lines if r['time'] >= p.get('sinceTime', '') and ('restart' in p or r['restart'] == newest[r['pod'], r['container']])),
                          key=lambda r: r['time'])
            past = past[max(0, len(past) - int(p['tailLines'])):] if 'tailLines' in p else past
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        self.send(past, p)
        if p.get('follow') == 'true':
            with m.changed:
                m.following += 1
            while True:
                with m.changed:
                    while m.cuts == cuts and not m.ended and len(m.lines) == at:
                        m.changed.wait()
                    live, at, cut = m.lines[at:], len(m.lines), m.cuts != cuts
                    m.following -= cut
                if cut:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send(live, p)
                if m.ended:
                    break
        self.wfile.write(b'0\r\n\r\n')

    def send(self, lines, p):
        raw = p['format'] == 'raw'
        data = b''.join(((('[pod/%s/%s] ' % (r['pod'], r['container']) if p.get('prefix') else '') + (r['time'] + ' ' if p.get('timestamps') else '')
                          + r['line'] if raw else json.dumps(r)) + '\n').encode() for r in lines)
        if data:
            self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))

    def log_message(self, *args):
        pass


@pytest.fixture
def model():
    m = Model()
    yield m
    m.close()


def runner(address):
    """run(*args, code=0, NAME=VALUE...): what `logpond logs` wrote on standard output, as bytes, and standard error."""
    def call(*args, code=0, **env):
        p = subprocess.run([BINARY, 'logs', *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW,
                           env=environment(address, **env))
        assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
        return p.stdout, p.stderr.decode()
    return call


@pytest.fixture
def run(model):
    return runner(model.address)


class Following:
    """A `logpond logs -f` that runs, and what it has printed."""

    def __init__(self, address, *args):
        self.p = subprocess.Popen([BINARY, 'logs', '-f', *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(address))
        self.out, self.err = b'', b''
        self.threads = [threading.Thread(target=self.read, args=(name, getattr(self.p, 'std' + name))) for name in ('out', 'err')]
        for t in self.threads:
            t.start()

    def read(self, name, f):
        while True:
            data = os.read(f.fileno(), 65536)
            if not data:
                return
            setattr(self, name, getattr(self, name) + data)

    def texts(self):
        return self.out.decode().splitlines()

    def wait_texts(self, *want):
        wait_for(lambda: len(self.texts()) >= len(want), 30, '%d lines: %s %s' % (len(want), self.out, self.err))
        assert self.texts() == list(want)

    def finish(self):
        code = self.p.wait(60 * SLOW)
        for t in self.threads:
            t.join()
        self.p.stdout.close()
        self.p.stderr.close()
        return code


@pytest.fixture
def follow():
    """follow(server, *args): a Following; all are ended."""
    made = []

    def make(server, *args):
        made.append(Following(server.address, *args))
        return made[-1]
    yield make
    for f in made:
        if f.p.poll() is None:
            f.p.kill()
            f.finish()


# --- what is asked for, and how lines go out ---

def test_lines_of_a_pod_go_out_as_they_are(model, run):
    model.objects = [pod_object('api-1')]
    model.lines = [line(1, 'one'), line(2, '\x1b[31mtwo\x1b[0m')]
    assert run('-n', 'shop', 'api-1') == (b'one\n\x1b[31mtwo\x1b[0m\n', '')
    assert model.asked == [('/api/v1/namespaces/shop/pods/api-1', []), ('/api/v1/namespaces/shop/pods/api-1/log', [('format', 'raw')])]
    assert run('-n', 'shop', 'pod/api-1', '--timestamps', '--prefix')[0].splitlines()[0] == b'[pod/api-1/app] 2026-01-02T03:04:01.000000000Z one'
    assert json.loads(run('-n', 'shop', 'api-1', '-o', 'json')[0].splitlines()[1]) == line(2, '\x1b[31mtwo\x1b[0m')
    assert run('-n', 'shop', 'api-1', '-o', 'raw')[0] == b'one\n\x1b[31mtwo\x1b[0m\n'


def test_everything_that_can_be_asked_for(model, run):
    model.lines = [line(5, 'one')]
    run('deploy/api', 'sts/db', '-c', 'app', '-p', '--since', '2026-01-02T03:04:05Z', '--until', '2026-01-02 03:05', '--tail=5', '--grep', 'a b', '--grep', 'c',
        '--regex', 'x+', '--node', 'n1', '--stream', 'stderr', '-n', 'shop')
    assert model.asked == [('/api/v1/namespaces/shop/log', [
        ('format', 'raw'), ('target', 'deploy/api'), ('target', 'sts/db'), ('fieldSelector', 'spec.nodeName=n1'), ('container', 'app'), ('previous', 'true'),
        ('sinceTime', '2026-01-02T03:04:05.000000000Z'), ('untilTime', '2026-01-02T03:05:00.000000000Z'), ('tailLines', '5'), ('stream', 'Stderr'),
        ('match', 'a b'), ('match', 'c'), ('regex', 'x+')])]
    begun = time.time()
    run('-l', 'app in (a, b)', '--all-restarts', '--since', '2d', code=1, LOGPOND_NAMESPACE='dev')
    path, params = model.asked[-1]
    assert path == '/api/v1/namespaces/dev/log' and params[1:3] == [('labelSelector', 'app in (a, b)'), ('restart', 'all')]
    asked = time.strptime(params[3][1][:19], '%Y-%m-%dT%H:%M:%S')
    assert abs(begun - 2 * 86400 - calendar.timegm(asked)) < 60
    run('--restart', '3')
    assert model.asked[-1] == ('/api/v1/namespaces/default/log', [('format', 'raw'), ('restart', '3')])


def test_options_that_mean_nothing_are_refused(model, run):
    for args, words in ((['-p', '--restart', '1', 'x'], '-p, --restart and --all-restarts exclude each other'), (['-l', 'a=b', 'x'], '-l selects pods by their labels'),
                        (['--uid', 'u', 'deploy/x'], '--uid goes with the name of one pod'), (['-f', '--until', '1h', 'x'], '-f has no end'),
                        (['node/x'], 'of this kind there are no logs'), (['deploy/'], 'the name of a pod is expected'), (['--tail', 'x'], '--tail x: a number of lines'),
                        (['--restart', '-1'], '--restart -1: the number of a run'), (['--stream', 'x'], '--stream x: stdout or stderr'), (['-o', 'yaml'], '--output yaml: default, raw'),
                        (['--since', 'x'], '--since x: a time like'), (['-n', ''], '-n: the name of a namespace'), (['--nope'], 'unknown option --nope')):
        _, err = run(*args, code=2)
        assert err.startswith('logpond logs: ') and words in err, err
    assert model.asked == []
    assert run('--help')[0].startswith(b'usage: logpond logs ')


def test_refusals_are_said_plainly(model, run):
    _, err = run('-n', 'shop', 'api-1', code=2)
    assert err == 'logpond logs: pods "api-1" not found\n'
    model.objects = [pod_object('api-1', namespace='dev'), pod_object('api-1', namespace='shop')]
    _, err = run('api-1', code=2)
    assert err == 'logpond logs: pod api-1 is in namespaces dev, shop: use -n dev\n'
    assert model.asked[-1] == ('/api/v1/pods', [('fieldSelector', 'metadata.name=api-1'), ('limit', '5')])
    model.objects.pop(0)
    _, err = run('api-1', code=2)
    assert err == 'logpond logs: pod api-1 is in namespace shop: use -n shop\n'
    model.answers['/api/v1/namespaces/shop/pods/api-1/log'] = status(400, 'BadRequest', 'container x is not valid for pod api-1\x1b[31m')
    assert run('-n', 'shop', 'api-1', '-c', 'x', code=2)[1] == 'logpond logs: container x is not valid for pod api-1\\x1b[31m\n'
    model.answers['/api/v1/namespaces/shop/pods/api-1/log'] = 404, b'nothing here'
    assert 'what answers at this address is no Logpond' in run('-n', 'shop', 'api-1', code=2)[1]
    model.answers['/api/v1/namespaces/shop/pods/api-1/log'] = 503, b'starting'
    assert run('-n', 'shop', 'api-1', '-f', code=2)[1] == 'logpond logs: starting\n'  # one that never began is not tried again
    assert 'Start one with: logpond serve' in run('x', code=2, LOGPOND_SERVER='http://127.0.0.1:9')[1]


def test_no_lines_is_a_status_of_its_own(model, run):
    model.objects = [pod_object('api-1')]
    assert run('-n', 'shop', 'api-1', code=1) == (b'', '')
    assert run('-n', 'shop', 'api-1', '-o', 'json', code=1) == (b'', '')


def test_warnings_go_to_standard_error(model, run):
    model.objects = [pod_object('api-1')]
    model.answers['/api/v1/namespaces/shop/pods/api-1/log'] = 200, json.dumps(line(1, 'one')).encode() + b'\n{"warning":"a block is damaged\\u001b[31m"}\n' + json.dumps(line(2, 'two')).encode() + b'\n'
    out, err = run('-n', 'shop', 'api-1', '-o', 'json')
    assert [json.loads(x)['line'] for x in out.splitlines()] == ['one', 'two'] and err == 'logpond logs: warning: a block is damaged\\x1b[31m\n'


def test_a_reader_that_leaves_ends_it_quietly(model):
    model.lines = [line(1, 'x' * 1000)] * 5000
    p = subprocess.Popen([BINARY, 'logs'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(model.address))
    p.stdout.readline()
    p.stdout.close()
    assert p.stderr.read() == b'' and p.wait(30 * SLOW) != 0
    p.stderr.close()


# --- following ---

def test_a_follow_goes_on_until_the_log_ends(model, follow):
    model.objects, model.lines = [pod_object('api-1')], [line(1, 'one')]
    f = follow(model, '-n', 'shop', 'api-1')
    f.wait_texts('one')
    model.add(line(2, 'two'))
    f.wait_texts('one', 'two')
    model.end()
    assert f.finish() == 0 and f.err == b''


def test_ctrl_c_ends_a_follow_quietly(model, follow):
    model.objects, model.lines = [pod_object('api-1')], [line(1, 'one')]
    f = follow(model, '-n', 'shop', 'api-1')
    f.wait_texts('one')
    f.p.send_signal(signal.SIGINT)
    assert f.finish() == 0 and f.err == b''


def test_a_follow_that_breaks_loses_and_repeats_nothing(model, follow):
    """What came meanwhile is shown, what came late, too; what was shown is not, but a line that is there twice is there twice."""
    model.objects, model.lines = [pod_object('api-1'), pod_object('api-2')], [line(1, 'one'), line(2, 'same'), line(2, 'same')]
    f = follow(model, '-n', 'shop')
    f.wait_texts('one', 'same', 'same')
    model.cut()
    model.lines += [line(2, 'same'), line(2, 'late'), line(1, 'late, and of another pod', pod='api-2'), line(3, 'new')]
    f.wait_texts('one', 'same', 'same', 'late, and of another pod', 'same', 'late', 'new')
    model.add(line(4, 'live'), line(1, 'live, and late'))
    f.wait_texts(*(f.texts()[:7] + ['live', 'live, and late']))
    model.cut()
    wait_for(lambda: model.following == 1, 30, 'the third connection')
    model.end()
    assert f.finish() == 0
    assert len(f.texts()) == 9
    errs = f.err.decode().splitlines()
    assert re.match(r'logpond logs: .*closed the connection.*; trying again in 1 s$', errs[0]) and errs[1] == 'logpond logs: connected again', errs
    assert [p.get('sinceTime') for p in model.logs()] == [None] + ['2026-01-02T03:04:01.000000000Z'] * 2


def test_a_follow_goes_on_behind_a_restart_that_came_meanwhile(model, follow):
    model.objects, model.lines = [pod_object('api-1')], [line(1, 'run 0'), line(2, 'run 1 begins', restart=1)]
    f = follow(model, '-n', 'shop', 'api-1', '--tail', '5')
    f.wait_texts('run 1 begins')
    model.cut()
    model.lines += [line(3, 'run 1 ends', restart=1), line(4, 'run 2 begins', restart=2)]
    f.wait_texts('run 1 begins', 'run 1 ends', 'run 2 begins')
    model.end()
    assert f.finish() == 0
    assert model.logs() == [{'format': 'json', 'tailLines': '5', 'follow': 'true'},
                            {'format': 'json', 'restart': 'all', 'uid': 'u-api-1', 'sinceTime': '2026-01-02T03:04:02.000000000Z', 'follow': 'true'}]


def test_a_follow_waits_for_a_server_that_starts_again(model, follow):
    model.objects, model.lines = [pod_object('api-1')], [line(1, 'one')]
    f = follow(model, '-n', 'shop', 'api-1')
    f.wait_texts('one')
    port = model.server_port
    model.shutdown()
    model.socket.close()
    model.cut()
    wait_for(lambda: b'Connection refused; trying again' in f.err, 30, 'a try in vain')
    again = Model(port)
    try:
        again.lines, again.objects = [line(1, 'one'), line(2, 'two')], model.objects
        again.answers['/api/v1/namespaces/shop/pods/api-1/log'] = status(503, 'ServiceUnavailable', 'starting')
        wait_for(lambda: b'starting; trying again' in f.err, 30, 'a try that is refused')
        del again.answers['/api/v1/namespaces/shop/pods/api-1/log']
        f.wait_texts('one', 'two')
        again.answers['/api/v1/namespaces/shop/pods/api-1/log'] = status(404, 'NotFound', 'pods "api-1" not found', 'pods', 'api-1')
        again.objects = []
        again.cut()
        assert f.finish() == 2 and f.err.endswith(b'logpond logs: pods "api-1" not found\n'), f.err
    finally:
        again.close()


# --- on a terminal ---

class Terminal:
    """Runs `logpond logs` on a terminal of its own."""

    def __init__(self, model, *args, **env):
        env = environment(model.address, **dict({'TERM': 'xterm', 'PAGER': 'cat'}, **env))
        try:
            pid, self.fd = pty.fork()
        except OSError as e:  # a bare chroot has no /dev/pts
            pytest.skip('no terminal can be made here: %s' % e)
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs in the background ignores it, and so would the pager
            os.execve(BINARY, [BINARY, 'logs'] + list(args), env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 120, 0, 0))
        self.pid, self.shown = pid, b''

    def read(self):
        """False: the other side has closed."""
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return False
            self.shown += data
            return data != b''
        return True

    def wait_shown(self, text):
        try:
            wait_for(lambda: not self.read() or text in self.shown, 30, '%r on the terminal' % text)
        except AssertionError:
            os.killpg(self.pid, signal.SIGKILL)
            raise
        assert text in self.shown, self.shown

    def finish(self):
        deadline = time.monotonic() + 60 * SLOW
        while time.monotonic() < deadline and self.read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.shown.decode().replace('\r\n', '\n')


def on_terminal(model, *args, **env):
    return Terminal(model, *args, **env).finish()


def test_a_terminal_gets_a_colour_a_pod(model):
    model.objects = [pod_object('api-1')]
    model.lines = [line(1, 'one'), line(2, 'two', pod='api-2'), line(3, 'error \x1b[31m', stream='stderr'), line(4, 'other container', container='side')]
    code, shown = on_terminal(model, '-n', 'shop', '--grep', 'wo', '--timestamps')
    assert code == 0 and shown.splitlines() == [
        '\x1b[36mapi-1 app\x1b[0m \x1b[2m2026-01-02T03:04:01.000000000Z\x1b[0m one',
        '\x1b[33mapi-2 app\x1b[0m \x1b[2m2026-01-02T03:04:02.000000000Z\x1b[0m t\x1b[1;31mwo\x1b[0m',
        '\x1b[31mapi-1 app\x1b[0m \x1b[2m2026-01-02T03:04:03.000000000Z\x1b[0m error \\x1b[31m',
        '\x1b[36mapi-1 side\x1b[0m \x1b[2m2026-01-02T03:04:04.000000000Z\x1b[0m other container'], shown
    assert on_terminal(model, '-n', 'shop', '--no-prefix', NO_COLOR='1')[1].splitlines() == ['one', 'two', 'error \\x1b[31m', 'other container']
    assert on_terminal(model, '-n', 'shop', '--color', 'never')[1].splitlines()[1] == 'api-2 app two'
    model.lines = model.lines[:1]
    assert on_terminal(model, '-n', 'shop', 'api-1') == (0, 'one\n')  # it can only be this container
    assert on_terminal(model, '-n', 'shop', 'api-1', '--prefix', NO_COLOR='1') == (0, 'api-1 app one\n')
    model.objects = [pod_object('api-1', ('app', 'side'))]
    assert on_terminal(model, '-n', 'shop', 'api-1', NO_COLOR='1') == (0, 'api-1 app one\n')
    assert on_terminal(model, '-n', 'shop', 'api-1', '-c', 'app', NO_COLOR='1') == (0, 'one\n')
    assert on_terminal(model, '-n', 'shop', 'api-1', '-o', 'raw') == (0, 'one\n')


def test_a_terminal_gets_hints(model):
    model.objects, model.lines = [pod_object('api-1', restarts=2, **{'logpond.io/earlier-uids': 'u-7,u-6'})], [line(1, 'one')]
    assert on_terminal(model, '-n', 'shop', 'api-1') == (0, 'one\n(it restarted 2 times: -p shows the run before, --restart N a certain one, --all-restarts all)\n'
                                                            '(there was a pod of this name before: --uid u-7)\n')
    assert on_terminal(model, '-n', 'shop', 'api-1', '-p') == (0, 'one\n')
    model.objects, model.lines = [pod_object('api-1', **{'logpond.io/last-line': '2026-01-02T03:04:05.000000006Z'})], []
    assert on_terminal(model, '-n', 'shop', 'api-1', '--grep', 'x') == (1, "(no lines that fit; the pod's last line came at 2026-01-02 03:04:05.000)\n")
    assert on_terminal(model) == (1, '(no lines in namespace default; -n names another one)\n')


ODD = [b'', b'5', b'[]', b'null', b'{"kind":"Status","message":5}', b'{"kind":"Status","message":"\\u001b[31m","details":[]}', b'{"metadata":[],"status":{"containerStatuses":{"a":1}}}',
       b'{"metadata":{"annotations":{"logpond.io/last-line":"x","logpond.io/earlier-uids":"\\u001b[31m"}},"status":{"containerStatuses":[[],{"name":5,"restartCount":"x"}]}}',
       b'{"items":[5,{"metadata":{"namespace":"\\u001b[31m"}}]}', b'{"time":"2026-01-02T03:04:05Z"}\n{"time":"2026-01-02T03:04:05Z","pod":5,"line":"\\u001b[31m","line_b64":"*"}\n',
       b'{"time":5,"line":"x"}\n{"warning":"\\u001b[31m"}\n{"warning":', b'\x1b[31m\n\xff\n\n', b'x' * 100000]


def test_odd_answers_are_borne(model):
    """Whatever answers: no crash, and no escape sequence of it reaches the terminal."""
    one, log = '/api/v1/namespaces/default/pods/p', '/api/v1/namespaces/default/log'
    for code in (200, 307, 400, 404):
        for body in ODD:
            for paths, args in (((one,), ('p',)), ((log,), ('-l', 'a=b')), ((log,), ('-f',)), ((one, '/api/v1/pods'), ('p',))):
                model.answers = {path: (code, body) for path in paths}
                exit_code, shown = on_terminal(model, *args, NO_COLOR='1')
                assert exit_code in (0, 1, 2) and '\x1b' not in shown and 'Sanitizer' not in shown and 'runtime error' not in shown, (body, args, exit_code, shown)


def pager(tmp_path, text):
    """The environment with a pager that does this."""
    f = tmp_path / 'pager'
    f.write_text('#!/bin/sh\n' + text)
    f.chmod(0o755)
    return {'PAGER': '%s an argument' % f}


def test_a_terminal_gets_a_pager(model, tmp_path):
    model.objects, model.lines = [pod_object('api-1', restarts=1)], [line(i, 'line %d' % i) for i in range(50)]
    wraps = pager(tmp_path, 'echo "<$# $LESS"; cat; echo ">"\n')
    code, shown = on_terminal(model, '-n', 'shop', 'api-1', **wraps)
    assert code == 0 and shown.startswith('<2 FRX\nline 0\n') and '\nline 49\n>\n(it restarted 1 time: ' in shown, shown
    for args in (('--no-pager',), ('-n', 'shop', 'nope')):  # an error is not to be paged
        shown = on_terminal(model, *args, **wraps)[1]
        assert '<' not in shown
    for none in ('', 'cat', '/there is no such program'):
        assert on_terminal(model, '-n', 'shop', 'api-1', PAGER=none)[1].startswith('line 0\n')
    assert '<' not in on_terminal(model, TERM='dumb', **wraps)[1]


def test_leaving_the_pager_ends_it(model, tmp_path):
    model.lines = [line(1, 'x' * 1000)] * 5000
    code, shown = on_terminal(model, '--no-prefix', **pager(tmp_path, 'head -n 1; exit 0\n'))
    assert code == 0 and shown == 'x' * 1000 + '\n', shown[:3000]


def test_ctrl_c_in_the_pager_is_the_pagers(model, tmp_path):
    """The rest is not fetched, and what there is stays to be read until the person leaves."""
    model.objects = [pod_object('api-1')]
    body = json.dumps(line(1, 'only line')).encode() + b'\n'
    quit_file = tmp_path / 'quit'
    ways = pager(tmp_path, 'trap "echo caught" INT\n(trap "" INT; cat)\nwhile [ ! -e "%s" ]; do sleep 0.05; done\necho left\n' % quit_file)

    class Slow(Ask):
        def log(self, p):
            self.send_response(200)
            self.send_header('Content-Length', '100000')
            self.end_headers()
            self.wfile.write(body)
            wait_for(lambda: quit_file.exists(), 60, 'the end of the test')
            self.close_connection = True
    model.RequestHandlerClass = Slow
    t = Terminal(model, '-n', 'shop', 'api-1', **ways)
    t.wait_shown(b'only line')
    os.write(t.fd, b'\x03')
    t.wait_shown(b'caught')
    quit_file.touch()
    code, shown = t.finish()
    assert code == 130 and shown.endswith('left\n'), shown


# --- kubeconfig ---

def test_kubeconfig_needs_no_server(tmp_path):
    def call(*args, **env):
        p = subprocess.run([BINARY, 'kubeconfig', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment('127.0.0.1:9', **env))
        return p.returncode, p.stdout.decode(), p.stderr.decode()
    code, out, err = call()
    assert (code, err) == (0, '') and out.startswith('# ') and '    server: "http://127.0.0.1:9"\n' in out and 'current-context: logpond\n' in out
    assert '    server: "https://logs.example"\n' in call('--server', 'https://logs.example', '--name', 'old')[1]
    for args, words in ((['--name', 'a b'], '--name a b'), (['--server', 'ftp://x'], 'is no address of a server'), (['x'], 'unexpected argument x')):
        code, out, err = call(*args)
        assert (code, out) == (2, '') and err.startswith('logpond kubeconfig: ') and words in err, err
    assert call('--help')[1].startswith('usage: logpond kubeconfig')


# --- the real server ---

def push(server, *streams):
    """Streams of (pod, container, uid, run, lines, labels); a line is (time in seconds, text)."""
    body = [{'stream': dict({'namespace': 'shop', 'pod': pod, 'container': container, 'stream': 'stdout', '__pod_uid__': uid, '__incarnation__': run}, **labels),
             'values': [['%d' % (t * 1e9), text] for t, text in lines]} for pod, container, uid, run, lines, labels in streams]
    code, answer, _ = server.request('POST', '/loki/api/v1/push', json.dumps({'streams': body}), {'Content-Type': 'application/json'})
    assert code == 204, answer


def told(pod, container, run):
    """Two lines of that run, a minute apart from those of the next one, and a second from those of another container."""
    at = 1767323045 + 60 * run + len(container)
    return [(at, '%s %s %d begins' % (pod, container, run)), (at + 10, '%s %s %d ends' % (pod, container, run))]


@pytest.fixture
def fleet(server):
    """Pods that are gone: api-...-x2x4q (containers app, which ran three times, and side), api-...-bbbbb on another node, and a db-0 that was made twice."""
    push(server, *[('api-7d4b9c6f5-x2x4q', 'app', 'u-a', str(r), told('a', 'app', r), {'app': 'api', 'node': 'n1'}) for r in range(3)])
    push(server, ('api-7d4b9c6f5-x2x4q', 'side', 'u-a', '0', told('a', 'side', 0), {'app': 'api', 'node': 'n1'}),
         ('api-7d4b9c6f5-bbbbb', 'app', 'u-b', '0', told('b', 'app', 5), {'app': 'api', 'node': 'n2'}),
         ('db-0', 'pg', 'u-d0', '0', told('db', 'pg', 0), {}), ('db-0', 'pg', 'u-d1', '0', told('db', 'pg', 9), {'stream': 'stderr'}))
    return server


def lines_of(*runs):
    return ''.join('%s %s %d begins\n%s %s %d ends\n' % (2 * run) for run in runs).encode()


def test_logs_of_pods_that_are_gone(fleet):
    run = runner(fleet.address)
    pod = 'api-7d4b9c6f5-x2x4q'
    run_2, run_1 = lines_of(('a', 'app', 2)), lines_of(('a', 'app', 1))
    for args, want in (((pod, '-c', 'app'), run_2), ((pod, '-c', 'app', '-p'), run_1), ((pod, '-c', 'app', '--restart', '0'), lines_of(('a', 'app', 0))),
                       ((pod, '--restart', '1'), run_1), ((pod, '-c', 'app', '--all-restarts', '--tail', '4'), run_1 + run_2),
                       (('db-0',), lines_of(('db', 'pg', 9))), (('db-0', '-p'), lines_of(('db', 'pg', 0))), (('db-0', '--uid', 'u-d0'), lines_of(('db', 'pg', 0))),
                       (('deploy/api', '-c', 'app'), run_2 + lines_of(('b', 'app', 5))), (('-l', 'app=api', '--node', 'n2'), lines_of(('b', 'app', 5))),
                       (('rs/api-7d4b9c6f5', 'sts/db', '--grep', 'ends', '--regex', '^(a app|db)'), b'a app 2 ends\ndb pg 9 ends\n'),
                       (('svc/api', '--tail', '1'), b'b app 5 ends\n'), (('--stream', 'stderr'), lines_of(('db', 'pg', 9))),
                       (('--all-restarts', '--until', '2026-01-02T03:04:08Z'), b'db pg 0 begins\n'),
                       ((pod, 'db-0', '--since', '2026-01-02T03:06:10Z', '--tail', '3'), b'a app 2 ends\n' + lines_of(('db', 'pg', 9))),
                       ((pod, '--timestamps', '--prefix', '--grep', 'side 0 ends'), b'[pod/%s/side] 2026-01-02T03:04:19.000000000Z a side 0 ends\n' % pod.encode())):
        assert run('-n', 'shop', *args) == (want, ''), args
    rows = [json.loads(x) for x in run('-n', 'shop', pod, '-c', 'app', '-p', '-o', 'json')[0].splitlines()]
    assert rows[1] == {'time': '2026-01-02T03:05:18.000000000Z', 'namespace': 'shop', 'pod': pod, 'uid': 'u-a', 'container': 'app', 'restart': 1, 'stream': 'stdout',
                       'node': 'n1', 'line': 'a app 1 ends'}


def test_what_is_not_there(fleet):
    run = runner(fleet.address)
    for args, words in ((['-n', 'shop', 'nope'], 'pods "nope" not found'), (['db-0'], 'pod db-0 is in namespace shop: use -n shop'),
                        (['-n', 'shop', 'db-0', '-c', 'x'], 'container x is not valid for pod db-0'), (['-n', 'shop', 'deploy/nope'], 'deployments.apps "nope" not found in namespace shop'),
                        (['-n', 'shop', 'api-7d4b9c6f5-bbbbb', '-p'], 'previous terminated container "app" in pod "api-7d4b9c6f5-bbbbb" not found'),
                        (['-n', 'none'], 'no such pods found in namespace none'), (['-n', 'shop', 'db-0', '--regex', '('], 'missing )')):
        out, err = run(*args, code=2)
        assert out == b'' and err.startswith('logpond logs: ') and words in err, (args, err)
    assert run('-n', 'shop', 'db-0', '--since', '1h', code=1) == (b'', '')
    code, shown = on_terminal(fleet, '-n', 'shop', 'db-0', '--since', '1h')
    assert (code, shown) == (1, '(no lines that fit; the pod\'s last line came at 2026-01-02 03:13:17.000)\n')
    code, shown = on_terminal(fleet, '-n', 'shop', 'api-7d4b9c6f5-x2x4q', '-c', 'app', '--tail', '1')
    assert code == 0 and shown.startswith('a app 2 ends\n(it restarted 2 times: -p shows the run before'), shown
    code, shown = on_terminal(fleet, '-n', 'shop', 'db-0', '--tail', '1')
    assert code == 0 and shown == 'db pg 9 ends\n(there was a pod of this name before: --uid u-d0)\n', shown


def test_bytes_come_as_they_were(server, follow):
    odd = b'\xff\xfe \x1b[31m caf\xe9\n'
    subprocess.run([BINARY, 'push', '--quiet', '--label', 'namespace=shop', '--label', 'pod=odd', '--label', 'container=app', '-'], input=odd, check=True,
                   env=environment(server.address))
    run = runner(server.address)
    assert run('-n', 'shop', 'odd')[0] == run('-n', 'shop', 'odd', '-o', 'raw', '--color', 'always')[0] == odd
    f = follow(server, '-n', 'shop', 'odd')
    wait_for(lambda: f.out == odd, 30, 'the line')
    assert on_terminal(server, '-n', 'shop', 'odd', NO_COLOR='1') == (0, '\ufffd\ufffd \\x1b[31m caf\ufffd\n')


def test_a_follow_of_a_gone_pod_ends_at_once(fleet, follow):
    f = follow(fleet, '-n', 'shop', 'db-0')
    assert f.finish() == 0 and f.out == lines_of(('db', 'pg', 9))


def test_a_follow_goes_on_over_restarts_of_container_and_server(new_server, follow):
    """Each line once, whatever ends: the container, the connection (kill -9), the server (a stop)."""
    s, now = new_server().start(), time.time()
    texts, sent = [], []

    def say(run, *late):
        for seconds in late:
            sent.append((now - seconds, 'line %d of run %d' % (len(sent), run)))
            texts.append(sent[-1][1])
            push(s, ('live-1', 'app', 'u-1', str(run), sent[-1:], {}))
    say(0, 30, 25)
    push(s, ('live-1', 'app', 'u-1', '1', [(now - 20, 'the newest run begins')], {}))
    texts[:] = ['the newest run begins']
    f = follow(s, '-n', 'shop', 'live-1')
    f.wait_texts(*texts)
    say(1, 15, 18)  # the second one is late
    f.wait_texts(*texts)
    say(2, 14)
    f.wait_texts(*texts)
    for end in (s.kill, s.stop):
        end()
        s.start(listen=s.address)
        say(2, 13, 19)
        say(3, 12)
        wait_for(lambda: len(f.texts()) >= len(texts), 60, '%s of %s: %s' % (f.out, texts, f.err))
        assert sorted(f.texts()) == sorted(texts), f.err
        say(3, 11)
        wait_for(lambda: len(f.texts()) >= len(texts), 60, 'a live line')
    assert sorted(f.texts()) == sorted(texts) and len(set(texts)) == len(texts)
    f.p.send_signal(signal.SIGINT)
    assert f.finish() == 0
    assert f.err.decode().count('connected again') == 2, f.err


def test_a_follow_of_several_pods_goes_on_over_a_restart(new_server, follow):
    """With pods that are new, before, during and after it."""
    s, texts = new_server().start(), []

    def say(pod, container, *seconds):
        for ago in seconds:
            texts.append('line %d of %s %s' % (len(texts), pod, container))
            push(s, (pod, container, 'u-' + pod, '0', [(time.time() - ago, texts[-1])], {'app': 'w'}))

    def shown():
        wait_for(lambda: len(f.texts()) >= len(texts), 60, '%s of %s: %s' % (f.out, texts, f.err))
        assert sorted(f.texts()) == sorted(texts)
    say('w-a', 'app', 30, 20)
    say('w-a', 'side', 25)
    f = follow(s, '-n', 'shop', '-l', 'app=w')
    shown()
    say('w-b', 'app', 1, 2)
    shown()
    s.kill()
    s.start(listen=s.address)
    say('w-a', 'app', 1, 15)
    say('w-c', 'app', 1, 3)
    shown()
    say('w-d', 'app', 1)
    say('w-b', 'app', 4)
    shown()
    f.p.send_signal(signal.SIGINT)
    assert f.finish() == 0 and len(f.texts()) == len(texts)


def test_kubectl_takes_the_kubeconfig(fleet, tmp_path):
    kubectl = next(iter(kubectls().values()), None) or missing('kubectl')
    env = environment(fleet.address, KUBECONFIG='%s:%s' % (tmp_path / 'own', tmp_path / 'pond'), HOME=str(tmp_path))
    (tmp_path / 'own').write_text('apiVersion: v1\nkind: Config\ncurrent-context: own\nclusters: [{name: own, cluster: {server: "http://127.0.0.1:9"}}]\n'
                                  'contexts: [{name: own, context: {cluster: own, user: own}}]\nusers: [{name: own, user: {}}]\n')
    (tmp_path / 'pond').write_bytes(subprocess.run([BINARY, 'kubeconfig'], env=env, stdout=subprocess.PIPE, check=True).stdout)

    def call(*args):
        return subprocess.run([kubectl, *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW)
    assert call('config', 'current-context').stdout == b'own\n'
    p = call('--context', 'logpond', '-n', 'shop', 'logs', 'db-0')
    assert p.stdout == lines_of(('db', 'pg', 9)), p.stderr
