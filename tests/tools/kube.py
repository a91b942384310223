"""Clients of Kubernetes for tests: every kubectl of this machine and the distribution's, npm's @kubernetes/client-node, and records as agents send them of pods.

Debian's kubectl (package kubernetes-client) is unpacked, not installed: another one may have its path. It and the npm package are kept in a folder outside
the tree: $LOGPOND_KUBE_CLIENTS, else ~/.cache/logpond-kube-1. fetch() fills it.
"""
import glob, http.client, json, os, re, shutil, socket, subprocess, tempfile, threading, time

from server import SLOW, wait_for

CLIENTS = os.environ.get('LOGPOND_KUBE_CLIENTS') or os.path.join(os.path.expanduser('~'), '.cache', 'logpond-kube-1')
DEBIAN = os.path.join(CLIENTS, 'debian', 'usr', 'bin', 'kubectl')
NODE_PACKAGE = '@kubernetes/client-node@1.4.0'  # the last that runs with Node 20
NODE = os.path.join(CLIENTS, 'node')


def node_client():
    """The folder that scripts of Node are to run in, None without Node or the package."""
    there = os.path.exists(os.path.join(NODE, 'node_modules', '@kubernetes', 'client-node', 'package.json'))
    return NODE if there and shutil.which('node') else None


def kubectls():
    """{name: path}: the one on PATH, Debian's; with LP_LONG=1 also the versions that lie beside the first."""
    found, own = {}, shutil.which('kubectl')
    if own:
        found['path'] = own
        beside = glob.glob(os.path.join(os.path.dirname(os.path.realpath(own)), 'kubectl.[0-9]*'))
        beside.sort(key=lambda p: [int(n) for n in re.findall(r'\d+', os.path.basename(p))])
        found.update((os.path.basename(p).replace('kubectl.', 'v'), p) for p in (beside if os.environ.get('LP_LONG') else []))
    if os.path.exists(DEBIAN):
        found['debian'] = DEBIAN
    return found


def fetch_debian():
    """Raises where the distribution has no such package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['apt-get', 'download', '-q', 'kubernetes-client'], cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        [package] = glob.glob(os.path.join(folder, '*.deb'))
        subprocess.run(['dpkg', '-x', package, os.path.join(folder, 'debian')], check=True, timeout=60)
        install(os.path.join(folder, 'debian'), os.path.join(CLIENTS, 'debian'))


def fetch_node():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--prefix', folder, NODE_PACKAGE],
                       cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=300)
        install(folder, NODE)


def install(made, place):
    """As a whole: a folder that is there is complete."""
    os.makedirs(CLIENTS, exist_ok=True)
    part = place + '.part'
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(made, part, symlinks=True)
    shutil.rmtree(place, ignore_errors=True)
    os.rename(part, place)


def fetch():
    """Gets what is not there; yields what could not be had, and why. Without Debian's kubectl another one will do."""
    for what, there, get in (("Debian's kubectl", lambda: os.path.exists(DEBIAN), fetch_debian), (NODE_PACKAGE, node_client, fetch_node)):
        try:
            if not there():
                get()
        except (OSError, subprocess.SubprocessError) as e:
            yield '%s: %s' % (what, e)


class Kubectl:
    """One kubectl with a home of its own, for the server at an address."""

    def __init__(self, path, address, home, namespace='shop'):
        self.path, self.address, self.namespace = path, address, namespace
        os.makedirs(home, exist_ok=True)
        # a kubectl that chooses another by the server's version finds it by its own path; nothing of this machine's configuration counts
        self.env = {'HOME': str(home), 'PATH': os.environ['PATH'], 'KUBECONFIG': os.devnull, 'TZ': 'UTC', 'LC_ALL': 'C'}

    def command(self, args):
        return [self.path, '--server=http://' + self.address, '--namespace=' + self.namespace] + list(args)

    def run(self, *args, seconds=30):
        """(exit status, standard output, standard error)"""
        p = subprocess.run(self.command(args), stdin=subprocess.DEVNULL, capture_output=True, env=self.env, timeout=seconds * SLOW)
        return p.returncode, p.stdout.decode(errors='surrogateescape'), p.stderr.decode(errors='replace')

    def out(self, *args, err=''):
        """Standard output of a command that ends well, and says nothing but err beside it."""
        status, out, said = self.run(*args)
        assert (status, said) == (0, err), (args, status, out, said)
        return out

    def fails(self, *args):
        """Standard error of a command that fails, and prints nothing."""
        status, out, said = self.run(*args)
        assert status == 1 and out == '', (args, status, out, said)
        return said

    def begin(self, *args):
        return Following(self.command(args), self.env)


class Following:
    """A command that goes on, its output gathered line by line."""

    def __init__(self, command, env=None, cwd=None):
        self.p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd, text=True)
        self.lines, self.err = [], []
        self.threads = [threading.Thread(target=self.gather, args=a, daemon=True) for a in ((self.p.stdout, self.lines), (self.p.stderr, self.err))]
        for t in self.threads:
            t.start()

    @staticmethod
    def gather(pipe, lines):
        for line in pipe:
            lines.append(line.rstrip('\n'))

    def wait(self, condition, seconds=20, what='output'):
        """Until the lines fulfil the condition; the lines."""
        wait_for(lambda: condition(self.lines) or self.p.poll() is not None, seconds, what)
        if not condition(self.lines):
            self.join()
        assert condition(self.lines), (what, self.lines[-20:], self.err)
        return self.lines

    def join(self, seconds=30):
        """Waits until it ends by itself; the exit status."""
        status = self.p.wait(seconds * SLOW)
        for t in self.threads:
            t.join()
        return status

    def kill(self):
        if self.p.poll() is None:
            self.p.kill()
        self.join()


def fluent_bit(ns, pod, container, t_ns, line, uid=None, container_id=None, node=None, image=None, labels=None, stream='stdout', annotations=None):
    """A record as fluent-bit's tail input with the kubernetes filter sends it to Kafka; `time` is exact, @timestamp a float."""
    seconds, ns_part = divmod(t_ns, 10 ** 9)
    known = {'pod_name': pod, 'namespace_name': ns, 'pod_id': uid, 'labels': labels, 'annotations': annotations, 'host': node, 'container_name': container,
             'docker_id': container_id, 'container_image': image}
    return json.dumps({'@timestamp': t_ns / 1e9, 'time': rfc3339(seconds, ns_part), 'stream': stream, '_p': 'F', 'log': line,
                       'kubernetes': {k: v for k, v in known.items() if v is not None}})


def rfc3339(seconds, ns=None):
    """With nine decimals, as logs have it; without ns whole seconds, as objects have it."""
    text = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))
    return text + ('Z' if ns is None else '.%09dZ' % ns)


def stamp(t_ns):
    return rfc3339(*divmod(t_ns, 10 ** 9))


class Answer:
    """A GET whose answer is read as it comes; rcvbuf: a small one makes a reader that the server has to wait for."""

    def __init__(self, address, path, headers=None, rcvbuf=None, seconds=30):
        host, port = address.rsplit(':', 1)
        self.c = http.client.HTTPConnection(host, int(port))
        self.c.sock = socket.socket()
        if rcvbuf:
            self.c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.c.sock.settimeout(seconds * SLOW)
        self.c.sock.connect((host, int(port)))
        self.c.request('GET', path, headers=headers or {})
        self.r = self.c.getresponse()
        self.status, self.headers = self.r.status, {k.lower(): v for k, v in self.r.getheaders()}

    def lines(self, n):
        """The next n lines."""
        got = [self.r.readline() for _ in range(n)]
        assert all(x.endswith(b'\n') for x in got), got[-1]
        return [x[:-1].decode() for x in got]

    def objects(self, n):
        return [json.loads(x) for x in self.lines(n)]

    def rest(self):
        """Everything until it ends."""
        return self.r.read().decode()

    def close(self):
        self.r.close()
        self.c.close()
