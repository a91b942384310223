"""Starting, asking, killing the real binary in tests. Standard library only."""
import http.client, json, os, re, signal, subprocess, time, urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get('LOGPOND') or os.path.join(ROOT, 'logpond')
SLOW = float(os.environ.get('LP_TEST_SLOW', '1'))  # timeouts grow with it under sanitizers


def wait_for(condition, seconds=30, what='condition'):
    """Polls a condition; the value it first answers truthy with."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError('waited %.0f s for: %s' % (seconds * SLOW, what))
        time.sleep(0.02)


class Server:
    def __init__(self, folder, *flags, env=None):
        self.data, self.flags, self.env = os.path.join(folder, 'data'), list(flags), dict(os.environ, **(env or {}))
        self.log_path = os.path.join(folder, 'server.log')
        self.process, self.address = None, None

    def start(self, ready=True, env=None, listen='127.0.0.1:0'):
        """Starts the process; with ready, waits until /ready says so."""
        begin = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.log = open(self.log_path, 'ab')
        self.process = subprocess.Popen([BINARY, 'serve', '--data', self.data, '--listen', listen] + self.flags, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=dict(self.env, **(env or {})))

        def listening():
            with open(self.log_path, errors='replace') as f:
                f.seek(begin)
                m = re.search(r'listening on http://(\S+)', f.read())
            if m is None and self.process.poll() is not None:
                raise AssertionError('the server ended: ' + self.tail())
            return m and m.group(1)
        self.address = wait_for(listening, 60, 'the server to listen')
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=120):
        wait_for(lambda: self.process.poll() is not None or self.try_status('/ready') == 200, seconds, '/ready')
        assert self.process.poll() is None, 'the server ended: ' + self.tail()

    def tail(self):
        with open(self.log_path, errors='replace') as f:
            return f.read()[-3000:]

    def try_status(self, path):
        try:
            return self.request('GET', path)[0]
        except OSError:
            return None
        except http.client.HTTPException:
            return None

    def request(self, method, path, body=None, headers=None, timeout=60):
        host, port = self.address.rsplit(':', 1)
        c = http.client.HTTPConnection(host, int(port), timeout=timeout * SLOW)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.read(), dict((k.lower(), v) for k, v in r.getheaders())
        finally:
            c.close()

    def get(self, path, **params):
        status, body, _ = self.request('GET', path + ('?' + urllib.parse.urlencode(params) if params else ''))
        assert status == 200, (status, body)
        return body

    def json(self, path, **params):
        return json.loads(self.get(path, **params))

    def jsonline(self, body, headers=None, params=''):
        return self.request('POST', '/insert/jsonline' + params, body, headers)

    def entries(self):
        return self.json('/loki/api/v1/index/stats', query='{job=~".+"} ', start=0, end=4102444800)['entries']

    def export(self, query='{}', fmt='raw'):
        return self.get('/api/v1/export', query=query, format=fmt)

    def status(self):
        return self.json('/admin/status')

    def metric(self, name):
        for line in self.get('/metrics').decode().split('\n'):
            if line.startswith(name + ' '):
                return float(line.split()[1])
        raise KeyError(name)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.log.close()
            self.process = None

    def stop(self, seconds=90):
        """SIGTERM; the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError('the server did not stop: ' + self.tail())
        self.log.close()
        self.process = None
        return status
