"""http_client.py - http-probe as a child process, and a client over raw sockets that reads answers byte-exactly."""
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

BUILD = Path(os.environ.get("LP_BUILD", Path(__file__).resolve().parents[2]))
PROBE = BUILD / "http-probe"
PATIENCE = 20.0  # seconds until a client gives up: a failed test, never a wait


class Response:
    def __init__(self, status, headers, body, trailers=None, whole=True):
        self.status, self.headers, self.body, self.trailers, self.whole = status, headers, body, trailers, whole

    def __getitem__(self, name):
        found = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None


class Client:
    """One connection; reads answers byte-exactly."""

    def __init__(self, probe, rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(probe.address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def port(self):
        return self.sock.getsockname()[1]

    def send(self, data):
        self.sock.sendall(data)

    def get(self, target, headers="", method="GET", version="1.1"):
        self.send(f"{method} {target} HTTP/{version}\r\nHost: x\r\n{headers}\r\n".encode())
        return self.response(method)

    def post(self, target, body, headers="", method="POST"):
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.send(head.encode() + body)
        return self.response()

    def more(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return data

    def until(self, mark):
        while mark not in self.buffer:
            assert self.more(), f"closed while {mark!r} was expected; got {self.buffer[:200]!r}"
        part, self.buffer = self.buffer.split(mark, 1)
        return part

    def exactly(self, n):
        parts, have = [self.buffer[:n]], min(len(self.buffer), n)
        self.buffer = self.buffer[n:]
        while have < n:
            data = self.sock.recv(min(n - have, 1 << 20))
            assert data, f"closed {n - have} bytes early"
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def rest(self):
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def closed(self):
        """True when the server has closed, and had nothing more to say."""
        return self.buffer == b"" and self.sock.recv(1) == b""

    def gone(self):
        """Waits until the connection ends in any way; returns what came before."""
        try:
            while self.more():
                pass
        except ConnectionError:
            pass
        return self.buffer

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def headers(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        return version, int(status), [tuple(line.split(": ", 1)) for line in lines[1:]]

    def response(self, method="GET"):
        version, status, headers = self.headers()
        r = Response(status, headers, b"")
        if status == 100 or method == "HEAD" or status in (204, 304):
            return r
        if r["Transfer-Encoding"] == "chunked":
            return self.chunks(r)
        if r["Content-Length"] is None:
            assert version == "HTTP/1.0" and r["Connection"] == "close"
            r.body = self.rest()
        else:
            r.body = self.exactly(int(r["Content-Length"]))
        return r

    def chunks(self, r):
        parts = []
        while True:
            try:  # an answer may be cut anywhere: before a chunk, inside it, behind it
                size = int(self.until(b"\r\n"), 16)
                if size == 0:
                    break
                parts.append(self.exactly(size))
                end = self.exactly(2)
            except (AssertionError, ConnectionError):
                r.whole = False
                break
            assert end == b"\r\n"
        r.body = b"".join(parts)
        r.trailers = []
        while r.whole:
            line = self.until(b"\r\n").decode()
            if not line:
                break
            r.trailers.append(tuple(line.split(": ", 1)))
        return r


class Probe:
    def __init__(self, nofile=None, **settings):
        def limit():
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        args = [str(PROBE)] + [f"{k}={v}" for k, v in settings.items()]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)
        line = self.process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError(self.process.communicate()[1].decode())
        host, port = line.rsplit(":", 1)
        self.address = (host, int(port))
        self.counters = None

    def client(self, **kw):
        return Client(self, **kw)

    def stats(self):
        with self.client() as c:
            text = c.get("/stats", "Connection: close\r\n").body.decode()
        return {k: int(v) for k, v in (p.split("=") for p in text.split())}

    def until(self, condition, what="a condition"):
        """Asks for the counters until they fulfil it."""
        end = time.monotonic() + PATIENCE
        while True:
            s = self.stats()
            if condition(s):
                return s
            assert time.monotonic() < end, f"{what}: still {s}"
            time.sleep(0.002)

    def settled(self):
        """Waits until only the asking request is alive."""
        return self.until(lambda s: s["connections"] == 1 and s["requests"] == 1 and s["body_bytes"] == 0, "idle")

    def cpu(self):
        f = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text()).group(1)) * 1024

    def signal(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        """Waits for the end and checks it."""
        if self.counters is None:
            out, err = self.process.communicate(timeout=60)
            assert self.process.returncode == 0, f"status {self.process.returncode}\n{out.decode()}\n{err.decode()}"
            assert b"Sanitizer" not in err
            self.stderr = err.decode()
            self.counters = dict(p.split("=") for p in out.decode().split())
            assert self.counters["started"] == self.counters["done"]
            assert self.counters["connections"] == self.counters["requests"] == self.counters["body_bytes"] == "0"

    def stop(self):
        if self.counters is None:
            self.signal()
            self.end()
