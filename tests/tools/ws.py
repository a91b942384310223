"""A WebSocket client that does what it is told, wrong things included: for tests of what a server makes of them. Standard library only."""
import base64, hashlib, json, os, socket, struct, time, urllib.parse

GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Closed(Exception):
    """The connection ended: code None without a closing handshake."""

    def __init__(self, code=None, reason=''):
        super().__init__('closed: %s %s' % (code, reason))
        self.code, self.reason = code, reason


def handshake_head(path, host, key, extra=None):
    headers = {'Host': host, 'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Key': key, 'Sec-WebSocket-Version': '13'}
    headers.update(extra or {})
    return 'GET %s HTTP/1.1\r\n%s\r\n\r\n' % (path, '\r\n'.join('%s: %s' % h for h in headers.items() if h[1] is not None))


class Tail:
    """One connection to /loki/api/v1/tail."""

    def __init__(self, address, query, headers=None, rcvbuf=None, timeout=20, **params):
        host, port = address.rsplit(':', 1)
        self.s = socket.socket()
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.s.settimeout(timeout * float(os.environ.get('LP_TEST_SLOW', '1')))
        self.s.connect((host, int(port)))
        self.buf, self.pings = b'', 0
        key = base64.b64encode(os.urandom(16)).decode()
        path = '/loki/api/v1/tail?' + urllib.parse.urlencode(dict(params, query=query))
        self.s.sendall(handshake_head(path, address, key, headers).encode())
        head = self.until(b'\r\n\r\n').decode()
        self.status = int(head.split()[1])
        self.head = dict((k.lower(), v) for k, v in (line.split(': ', 1) for line in head.split('\r\n')[1:] if line))
        if self.status != 101:
            self.body = self.exactly(int(self.head.get('content-length', 0))).decode()
            return
        want = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert self.head['sec-websocket-accept'] == want, head

    def fill(self, most=1 << 20):
        got = self.s.recv(most)
        if not got:
            raise Closed()
        self.buf += got

    def until(self, mark):
        while mark not in self.buf:
            self.fill()
        head, self.buf = self.buf.split(mark, 1)
        return head

    def exactly(self, n):
        while len(self.buf) < n:
            self.fill()
        got, self.buf = self.buf[:n], self.buf[n:]
        return got

    def send(self, opcode, payload=b'', fin=True, masked=True, rsv=0, length=None):
        n = len(payload) if length is None else length
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        mask = 0x80 if masked else 0
        head += bytes([mask | n]) if n < 126 else bytes([mask | 126]) + struct.pack('>H', n) if n < 65536 else bytes([mask | 127]) + struct.pack('>Q', n)
        if masked:
            key = os.urandom(4)
            head += key
            payload = bytes(b ^ key[i % 4] for i, b in enumerate(payload))
        self.s.sendall(head + payload)

    def frame(self):
        """(opcode, payload); pings are answered."""
        try:
            b0, b1 = self.exactly(2)
            assert b0 & 0x80 and not b0 & 0x70 and not b1 & 0x80, (b0, b1)  # whole, no extension, not masked
            n = b1 & 0x7f
            n = struct.unpack('>H', self.exactly(2))[0] if n == 126 else struct.unpack('>Q', self.exactly(8))[0] if n == 127 else n
            payload = self.exactly(n)
        except ConnectionError:
            raise Closed()
        if b0 & 15 == PING:
            self.pings += 1
            self.send(PONG, payload)
        if b0 & 15 == CLOSE:
            code = struct.unpack('>H', payload[:2])[0] if len(payload) >= 2 else 1005
            raise Closed(code, payload[2:].decode())
        return b0 & 15, payload

    def next(self, seconds=60):
        """The next text frame."""
        deadline = time.monotonic() + seconds * float(os.environ.get('LP_TEST_SLOW', '1'))
        while True:
            assert time.monotonic() < deadline, 'nothing but pings for %d s' % seconds
            opcode, payload = self.frame()
            if opcode == TEXT:
                return json.loads(payload)

    def lines(self, n, seconds=60, frames=None):
        """n lines as they come; frames: a list that gets the frames."""
        got, deadline = [], time.monotonic() + seconds * float(os.environ.get('LP_TEST_SLOW', '1'))
        while len(got) < n:
            assert time.monotonic() < deadline, '%d lines of %d' % (len(got), n)
            f = self.next()
            if frames is not None:
                frames.append(f)
            got += [v[1] for s in f['streams'] for v in s['values']]
        return got

    def close(self):
        self.s.close()
