"""A disk that fills up: intake is refused with 429 or 503, queries go on, and with space again all is as if nothing had been. On a tmpfs, so as root only."""
import errno, http.client, os, random, subprocess, threading

import pytest

from server import wait_for

MIB = 1 << 20
T0 = 1795132800 * 10**9
FLAGS = ['--seal-bytes', '2MiB', '--decoded-bytes', '1MiB', '--push-wait', '200ms']
SIZES = [64, pytest.param(256, id='256-slow'), pytest.param(1024, id='1024-slow')]


@pytest.fixture
def disk(tmp_path, request):
    """A file system of so many MiB of its own."""
    size = request.param
    if size > 64 and os.environ.get('LP_LONG') != '1':
        pytest.skip('a disk of %d MiB takes a while: only with LP_LONG=1' % size)
    path = tmp_path / 'disk'
    path.mkdir()
    mount = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dm' % size, 'logpond-test', str(path)], capture_output=True)
    if mount.returncode != 0:
        pytest.skip('no small file system can be mounted here: ' + mount.stderr.decode().strip())
    yield str(path)
    subprocess.run(['umount', '-l', str(path)], check=True)


def free(disk):
    s = os.statvfs(disk)
    return s.f_bavail * s.f_frsize


class Ballast:
    def __init__(self, disk):
        self.disk, self.path = disk, os.path.join(disk, 'ballast')

    def fill(self, leave):
        """Takes the disk's space but for `leave` bytes, while others write to it too."""
        with open(self.path, 'ab', buffering=0) as f:
            try:
                while free(self.disk) > leave:
                    f.write(bytes(min(MIB, free(self.disk) - leave)))
            except OSError as e:
                assert e.errno == errno.ENOSPC

    def remove(self):
        os.unlink(self.path)


class Pushes(threading.Thread):
    """A client that sends each batch again and again until it is taken, and counts how often it was not."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.server, self.client, self.acked, self.refused, self.waiting, self.error = server, name, 0, 0, None, None
        self.ending = threading.Event()
        self.start()

    def lines(self, batch):
        rng = random.Random('%s %d' % (self.client, batch))
        return ['%s batch %d line %d %s' % (self.client, batch, i, rng.randbytes(90).hex()) for i in range(200)]

    def body(self, batch):
        rows = ['{"_msg":"%s","app":"a%d","_time":"%d"}' % (line, batch % 5, T0 + batch * 1000 + i) for i, line in enumerate(self.lines(batch))]
        return '\n'.join(rows).encode()

    def run(self):
        try:
            body = self.body(0)
            while not self.ending.is_set():
                try:
                    status, text, _ = self.server.jsonline(body)
                except (OSError, http.client.HTTPException):
                    status, text = 0, b'killed'
                assert status in (0, 204, 429, 503), (status, text)
                if status == 204:
                    self.acked += 1
                    body = self.body(self.acked)
                else:
                    self.refused += status != 0
                    self.ending.wait(0.02)
        except Exception as e:
            self.error = e

    def end(self):
        self.ending.set()
        self.join(90)
        assert self.error is None, self.error


def acknowledged_are_there_once(server, clients):
    """Every answered batch exactly once; of the one that was not, all or nothing."""
    stored = server.export('{app=~"a.*"}').decode().split('\n')[:-1]
    found = {}
    for line in stored:
        found[line] = found.get(line, 0) + 1
    assert max(found.values(), default=1) == 1, 'a line is there twice'
    for c in clients:
        for batch in range(c.acked):
            missing = [line for line in c.lines(batch) if line not in found]
            assert not missing, '%s batch %d of %d: %d lines lost' % (c.client, batch, c.acked, len(missing))
            for line in c.lines(batch):
                del found[line]
        last = [line for line in c.lines(c.acked) if found.pop(line, 0)]
        assert len(last) in (0, 200)
    assert not found, 'lines that nobody sent'


def refusals(clients, more):
    """Waits until each client was refused so many times more."""
    begin = [c.refused for c in clients]
    wait_for(lambda: all(c.refused >= b + more or c.error for c, b in zip(clients, begin)), 120, 'pushes to be refused')


def taken(clients, more):
    begin = [c.acked for c in clients]
    wait_for(lambda: all(c.acked >= b + more or c.error for c, b in zip(clients, begin)), 120, 'pushes to be taken')


def restart(server):
    server.kill()
    server.start()


@pytest.mark.parametrize('leave', [0, 6 * MIB], ids=['at-once', 'by-and-by'])
@pytest.mark.parametrize('disk', SIZES, indirect=True)
def test_a_full_disk_stops_intake_and_nothing_else(new_server, disk, leave):
    server = new_server(*FLAGS)
    server.data = os.path.join(disk, 'data')
    server.start()
    clients, ballast = [Pushes(server, 'alice'), Pushes(server, 'bob')], Ballast(disk)
    taken(clients, 30)
    ballast.fill(leave)
    refusals(clients, 20)
    for c in clients:
        c.end()
    wait_for(lambda: server.metric('logpond_disk_full') == 1, what='the metric to say so')
    acknowledged_are_there_once(server, clients)  # queries go on
    stats = server.json('/loki/api/v1/index/stats', query='{app=~".+"}', start=0, end=4102444800)
    assert stats['entries'] >= 200 * sum(c.acked for c in clients)

    restart(server)  # in the full state
    acknowledged_are_there_once(server, clients)
    if leave == 0:
        more = Pushes(server, 'mallory')
        refusals([more], 5)
        more.end()
        clients.append(more)

    ballast.remove()
    again = [Pushes(server, 'carol'), Pushes(server, 'dave')]
    taken(again, 10)
    for c in again:
        c.end()
    acknowledged_are_there_once(server, clients + again)
    restart(server)
    acknowledged_are_there_once(server, clients + again)
    assert server.stop() == 0


@pytest.mark.parametrize('disk', SIZES, indirect=True)
def test_it_heals_by_itself_again_and_again(new_server, disk):
    server = new_server(*FLAGS)
    server.data = os.path.join(disk, 'data')
    server.start()
    clients, ballast = [Pushes(server, 'erin'), Pushes(server, 'frank')], Ballast(disk)
    for leave in (0, 2 * MIB, 100000):
        taken(clients, 10)
        ballast.fill(leave)
        refusals(clients, 10)
        ballast.remove()
        taken(clients, 3)
    for c in clients:
        c.end()
    acknowledged_are_there_once(server, clients)
    assert server.stop() == 0, 'a clean stop seals everything'
    server.start()
    acknowledged_are_there_once(server, clients)
