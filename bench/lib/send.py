"""send.py - clients that cost next to nothing: plain sockets, sendfile, one thread a connection.

A push that is answered 429 or 503 (no room at the moment) is sent again; any other answer than 2xx ends the run.
"""
import os, re, socket, threading, time

from .measure import BenchError

JSONLINE = ('/insert/jsonline', 'application/x-ndjson')
LOKI = ('/loki/api/v1/push', 'application/x-protobuf')
LOKI_JSON = ('/loki/api/v1/push', 'application/json')


class Connection:
    """One keep-alive connection to one target = (path, content type)."""

    def __init__(self, address, target):
        self.s = socket.create_connection(address)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = 'POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: %s\r\nContent-Length: ' % target

    def close(self):
        self.s.close()

    def post(self, size, write):
        """Sends one body, as often as it takes; write(socket) puts the bytes of it on the wire."""
        while True:
            self.s.sendall(b'%s%d\r\n\r\n' % (self.head.encode(), size))
            write(self.s)
            status, body = self.answer()
            if 200 <= status < 300:
                return
            if status not in (429, 503):
                raise BenchError('a push was answered %d: %s' % (status, body[:300].decode('utf8', 'replace')))
            time.sleep(0.05)

    def post_file(self, path):
        def write(s):
            with open(path, 'rb') as f:
                s.sendfile(f)
        self.post(os.path.getsize(path), write)

    def answer(self):
        got = b''
        while b'\r\n\r\n' not in got:
            got += self.more(65536)
        head, _, body = got.partition(b'\r\n\r\n')
        m = re.search(rb'(?i)content-length: *(\d+)', head)
        while len(body) < (int(m.group(1)) if m else 0):
            body += self.more(65536)
        return int(head.split(b' ')[1]), body

    def more(self, n):
        got = self.s.recv(n)
        if not got:
            raise BenchError('the server closed the connection')
        return got


class FileSender(threading.Thread):
    """Sends files one after the other, pause_s between them; error is what stopped it, sent how many are through."""

    def __init__(self, address, target, files, pause_s):
        super().__init__(daemon=True)
        self.address, self.target, self.files, self.pause_s, self.error, self.sent = address, target, files, pause_s, None, 0

    def run(self):
        try:
            c = Connection(self.address, self.target)
            for path in self.files:
                c.post_file(path)
                self.sent += 1
                time.sleep(self.pause_s)
            c.close()
        except Exception as e:
            self.error = e


class Files:
    """A load: the bodies of a folder, over some connections."""

    def __init__(self, target, files, connections=2, pause_s=0):
        self.target, self.files, self.connections, self.pause_s = target, files, connections, pause_s

    def start(self, address):
        self.senders = [FileSender(address, self.target, self.files[i::self.connections], self.pause_s) for i in range(self.connections)]
        for s in self.senders:
            s.start()

    def alive(self):
        return any(s.is_alive() for s in self.senders)

    def sent(self):
        return sum(s.sent for s in self.senders)

    def wait(self):
        for s in self.senders:
            s.join()
        for s in self.senders:
            if s.error:
                raise s.error

    def body_bytes(self):
        return sum(map(os.path.getsize, self.files))
