"""The HTTP layer (server/http.h) under honest, slow, rude and hostile clients, over raw sockets.

Drives http-probe (tests/system/http_probe.c), found in $LP_BUILD (default: the source tree). Every probe must end with
exit status 0 and a line of counters that proves no leak: requests started = done, nothing alive. Run it with the asan
and tsan builds too. Oracle: RFC 9110/9112 and the promises in server/http.h.
"""
import os
import random
import select
import socket
import threading
import time

import pytest
from http_client import PATIENCE, PROBE, Probe

if not PROBE.exists():
    if os.environ.get("CI") == "true":
        raise RuntimeError(f"{PROBE} is not built")
    pytest.skip(f"{PROBE} is not built (make http-probe; LP_BUILD names the folder)", allow_module_level=True)


@pytest.fixture
def start():
    probes = []

    def make(**settings):
        probes.append(Probe(**settings))
        return probes[-1]

    yield make
    for p in probes:
        try:
            p.stop()
        finally:
            if p.process.poll() is None:
                p.process.kill()
                p.process.wait()


@pytest.fixture
def probe(start):
    return start()


# --- what works ---


def test_requests_on_one_connection(probe):
    with probe.client() as c:
        for _ in range(3):
            r = c.get("/tiny")
            assert (r.status, r.body, r["Content-Type"]) == (200, b"ok\n", "text/plain")
            assert r["Connection"] is None and r["Date"]
        assert c.get("/tiny", "Connection: close\r\n")["Connection"] == "close"
        assert c.closed()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("size", [0, 1, 5000, 65536, 65537, 300_000, 1 << 20])
def test_bodies(probe, method, size):
    body = random.Random(size).randbytes(size)
    with probe.client() as c:
        for _ in range(2):
            r = c.post("/echo", body, method=method)
            assert r.status == 200 and r.body == body
            seen_method, peer, pad = r["X-Echo"].split()
            assert seen_method == method
            assert peer == f"127.0.0.1:{c.port()}"
            assert int(pad) >= 64  # readable bytes behind the body
            assert r["X-Bad"] is None and r["Set-Cookie"] is None


def test_head_has_no_body(probe):
    with probe.client() as c:
        r = c.get("/tiny", method="HEAD")
        assert (r.status, r["Content-Length"]) == (200, "3")
        assert c.get("/big?n=100000", method="HEAD")["Content-Length"] == "100000"
        assert c.get("/stream?n=3", method="HEAD").status == 200
        assert c.get("/nothing", method="HEAD").status == 404
        assert c.get("/tiny").body == b"ok\n"


def test_methods_and_routes(probe):
    with probe.client() as c:
        r = c.get("/tiny", method="OPTIONS")
        assert (r.status, r["Allow"], r["Content-Length"]) == (204, "GET, HEAD, OPTIONS", None)
        r = c.post("/tiny", b"x")
        assert (r.status, r["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert c.get("/nothing").status == 404
        assert c.get("*", method="OPTIONS").status == 204
        assert c.get("/label/a%2Fb/values").body == b"a/b"
        assert c.get("/rest/a/b?c").body == b"a/b"
        assert c.get("http://any/label/x/values").body == b"x"
        assert c.get("/label/%zz/values").status == 400
        assert c.get("/tiny").status == 200


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "FOO", "get"])
def test_unknown_method(probe, method):
    with probe.client() as c:
        r = c.get("/tiny", method=method)
        assert (r.status, r["Connection"]) == (501, "close")
        assert c.closed()


def test_parameters(probe):
    with probe.client() as c:
        assert c.get("/params?a=1&b=%7Bx%7D+y&a=2").body == b"a=1\nb={x} y\na=2\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\n"
        assert c.post("/params?a=1", b"q=%22&r", form).body == b'a=1\nq="\nr=\n'
        assert c.get("/params?a=%1").status == 400
        assert c.get("/params?" + "&".join(["a"] * 1001)).status == 400


def test_http_1_0(probe):
    with probe.client() as c:
        r = c.get("/tiny", version="1.0", headers="Connection: keep-alive\r\n")
        assert (r.body, r["Connection"]) == (b"ok\n", "keep-alive")
        assert c.get("/tiny", version="1.0").body == b"ok\n"
        assert c.closed()
    for headers in ("", "Connection: keep-alive\r\n"):  # a stream's end is the connection's, whatever was asked for
        with probe.client() as c:
            r = c.get("/stream?n=1000&size=100", version="1.0", headers=headers)
            assert r["Transfer-Encoding"] is None and len(r.body) == 100_000
            assert c.closed()
    with probe.client() as c:
        assert c.get("/trailer", version="1.0").body == b"line\n"


def test_streams(probe):
    with probe.client() as c:
        for n, size in ((0, 16), (1, 16), (100_000, 16), (50, 200_000)):
            r = c.get(f"/stream?n={n}&size={size}")
            assert r.whole and r.trailers == [] and len(r.body) == n * size
            assert r.body == (b"s" * (size - 1) + b"\n") * n


def test_trailers(probe):
    with probe.client() as c:
        for _ in range(2):
            r = c.get("/trailer")
            assert r["Trailer"] == "X-Probe-Cursor, X-Probe-Lines"
            assert r.body == b"line\n"
            assert r.trailers == [("X-Probe-Cursor", "abc"), ("X-Probe-Lines", "1")]  # the one with CR LF is left out


def test_an_aborted_stream_does_not_look_whole(probe):
    with probe.client() as c:
        r = c.get("/stream?n=3&size=2000000&abort=1")
        assert r.status == 200 and not r.whole
    with probe.client() as c:  # given up before it began to be sent, or just after
        r = c.get("/stream?n=1&abort=1")
        assert (r.status == 200 and not r.whole) or r.status == 500


@pytest.mark.parametrize("options", ["", "&copy=1", "&here=1", "&here=1&copy=1"])
def test_large_answers(probe, options):
    with probe.client() as c:
        for n in (0, 65535, 65537, 8_000_000):
            assert c.get(f"/big?n={n}{options}").body == b"b" * n


def test_connections_spread_over_threads(start):
    probe = start(threads=3)
    clients = [probe.client() for _ in range(60)]
    ids = [c.get("/thread").body for c in clients]
    counts = sorted(ids.count(i) for i in set(ids))
    for c in clients:
        assert c.get("/thread").body == ids[clients.index(c)]  # a connection stays with its thread
        c.sock.close()
    assert len(counts) == 3 and counts[0] >= 5


def test_address_in_use(probe):
    with pytest.raises(RuntimeError, match="Address already in use"):
        Probe(port=probe.address[1])


# --- chunked requests ---


def chunked(body, size):
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 4096, 100_000, 1 << 20])
def test_chunked_bodies(probe, size):
    body = random.Random(size).randbytes(min(1 << 20, size * 3000))
    with probe.client() as c:
        for _ in range(2):
            c.send(CHUNKED + chunked(body, size))
            assert c.response().body == body


def test_chunked_body_cut_anywhere(probe):
    message = CHUNKED + b"5;x=y\r\nhello\r\nA\r\n world, \r\n\r\n0\r\nT: x\r\n\r\n"
    with probe.client() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(message), 3):
            c.send(message[:cut])
            c.send(message[cut:])
            r = c.response()
            assert r.body == b"hello world, \r\n"
        for byte in message:
            c.send(bytes([byte]))
        assert c.response().body == b"hello world, \r\n"


@pytest.mark.parametrize("bad", [b"x\r\n", b"5\nhello\r\n", b"5\r\nhelloX", b"-5\r\n", b"0\r\nno line end\n\r\n", b"ffffffffffffffff0\r\n"])
def test_malformed_chunks(probe, bad):
    with probe.client() as c:
        c.send(CHUNKED + bad)
        r = c.response()
        assert (r.status, r["Connection"]) == (400, "close")
        assert c.closed()


# --- limits ---


def test_oversize_body_is_answered_while_the_client_sends(probe):
    """A plain close would reset the connection under the client's feet, and the answer with it."""
    body = b"x" * (8 << 20)
    with probe.client() as c:
        r = c.post("/echo", body)
        assert (r.status, r["Connection"]) == (413, "close")
        assert b"1048576" in r.body
        assert c.closed()
    with probe.client() as c:
        assert c.post("/echo100", b"x" * 100).status == 200
        assert c.post("/echo100", b"x" * 101).status == 413
        assert c.closed()
    assert probe.settled()["refused"] == 2


def test_oversize_client_that_never_stops_is_cut(start):
    probe = start(linger_ms=200)
    with probe.client() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert c.response().status == 413
        with pytest.raises(ConnectionError):
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                c.send(b"x" * 65536)
    probe.settled()


def test_expect_continue(probe):
    with probe.client() as c:
        head = "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
        for _ in range(3):  # also behind other answers on the connection
            c.send((head % ("/echo", 5)).encode())
            assert c.response().status == 100
            c.send(b"hello")
            assert c.response().body == b"hello"
        c.send((head % ("/echo", 5)).encode() + b"early")  # the body is there already: no 100 needed
        assert c.response().body == b"early"
        c.send((head % ("/echo", 2 << 20)).encode())
        r = c.response()
        assert (r.status, r["Connection"]) == (413, "close")  # and no 100 before it
        assert c.closed()
    for target, status in (("/nothing", 404), ("/tiny", 405)):
        with probe.client() as c:
            c.send((head % (target, 5)).encode())
            assert c.response().status == status
    with probe.client() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: magic\r\n\r\n")
        assert c.response().status == 417
    with probe.client() as c:  # chunked, with Expect
        c.send(CHUNKED.replace(b"Host", b"Expect: 100-continue\r\nHost"))
        assert c.response().status == 100
        c.send(chunked(b"abc", 2))
        assert c.response().body == b"abc"


def test_oversize_chunked_bodies(probe):
    with probe.client() as c:  # announced in one chunk: refused before it comes
        c.send(CHUNKED + b"100001\r\n")
        assert c.response().status == 413
        assert c.closed()
    with probe.client() as c:  # in many chunks
        c.send(CHUNKED + chunked(b"x" * (4 << 20), 5000))
        assert c.response().status == 413
        assert c.closed()
    with probe.client() as c:  # exactly the limit is fine
        c.send(CHUNKED + chunked(b"x" * (1 << 20), 65536))
        assert len(c.response().body) == 1 << 20


BAD_HEADS = {
    "two lengths": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "two different lengths": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "length and coding": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "negative length": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
    "no length": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n", 400),
    "length of words": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\n", 400),
    "unknown coding": (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "coding in HTTP/1.0": (b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "blank before colon": (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello", 400),
    "folded header": (b"GET /tiny HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    "NUL byte": (b"GET /tiny HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400),
    "no host": (b"GET /tiny HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /tiny HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /tiny\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "request line too long": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "endless request line": (b"GET /" + b"a" * 20000, 414),
    "head too large": (b"GET /tiny HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 5000 + b"\r\n\r\n", 431),
    "endless head": (b"GET /tiny HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000, 431),
    "too many headers": (b"GET /tiny HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_heads(probe, name):
    message, status = BAD_HEADS[name]
    for first in (False, True):  # as the first request, and behind a good one
        with probe.client() as c:
            if first:
                assert c.get("/tiny").status == 200
            c.send(message)
            r = c.response()
            assert (r.status, r["Connection"]) == (status, "close")
            assert r["Content-Type"] == "text/plain; charset=utf-8" and r.body
            assert c.closed()


def test_head_of_exactly_the_limit(probe):
    with probe.client() as c:
        for extra, status in ((0, 200), (1, 431)):
            head = b"GET /tiny HTTP/1.1\r\nHost: x\r\nA: %s\r\n\r\n"
            c.send(head % (b"a" * (4096 - len(head % b"") + extra)))
            assert c.response().status == status


def test_line_ends_before_a_request_are_skipped(probe):
    with probe.client() as c:
        c.send(b"\r\n\r\nGET /tiny HTTP/1.1\r\nHost: x\r\n\r\n\r\n")
        assert c.response().status == 200
        assert c.get("/tiny").status == 200


def test_bytes_in_flight_are_limited(start):
    probe = start(inflight=1 << 20)
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with probe.client() as a, probe.client() as b, probe.client() as idle:
        a.send(head + b"a" * 900_000)
        probe.until(lambda s: s["body_bytes"] >= 900_000)
        idle.send(head)  # an announcement alone costs nothing
        b.send(head + b"b" * 900_000)
        r = b.response()
        assert (r.status, r["Retry-After"], r["Connection"]) == (503, "1", "close")
        a.send(b"a" * 100_000)
        assert len(a.response().body) == 1_000_000
        probe.until(lambda s: s["body_bytes"] == 0)
        idle.send(b"i" * 1_000_000)
        assert len(idle.response().body) == 1_000_000
    probe.settled()


def test_connections_are_limited(start):
    probe = start(connections=10)
    clients = [probe.client() for _ in range(10)]
    assert all(c.get("/tiny").status == 200 for c in clients)
    with probe.client() as c:
        r = c.response()
        assert (r.status, r["Retry-After"], r["Connection"]) == (503, "1", "close")
        assert c.closed()
    many = [probe.client() for _ in range(200)]  # these do not even get that answer, beyond some
    texts = [c.gone() for c in many]
    assert any(t.startswith(b"HTTP/1.1 503") for t in texts)
    assert all(t == b"" or t.startswith(b"HTTP/1.1 503") for t in texts)
    assert all(c.get("/tiny").status == 200 for c in clients)
    for c in clients + many:
        c.sock.close()
    probe_again = [None]

    def served(_=None):
        with probe.client() as c:
            c.send(b"GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n")
            probe_again[0] = c.response().status
            return probe_again[0] == 200

    end = time.monotonic() + PATIENCE
    while not served():
        assert time.monotonic() < end
    probe.settled()


def test_no_file_descriptors_left(start):
    probe = start(nofile=40, threads=1)
    with probe.client() as c:
        assert c.get("/tiny").status == 200
        waiting = [probe.client() for _ in range(60)]  # accepted by the kernel, not all by the server
        before = probe.cpu()
        assert c.get("/slow?ms=400").status == 200
        assert probe.cpu() - before < 0.2  # it must not spin on the listening socket
        for w in waiting[:50]:
            w.sock.close()
        assert waiting[59].get("/tiny").status == 200
        for w in waiting[50:]:
            w.sock.close()
    probe.stop()
    assert "cannot accept a connection" in probe.stderr


# --- times ---


def test_slowloris(start):
    """The head's time is absolute: sending a byte now and then does not help. Others are served meanwhile."""
    probe = start(header_ms=300)
    begin = time.monotonic()
    with probe.client() as slow, probe.client() as silent, probe.client() as other:
        slow.send(b"GET /tiny HTTP/1.1\r\nHost: x\r\n")
        while not select.select([slow.sock], [], [], 0.01)[0]:
            slow.send(b"A: b\r\n")
            assert other.get("/tiny").status == 200
            assert time.monotonic() < begin + PATIENCE
        took = time.monotonic() - begin
        assert slow.response().status == 408
        assert took >= 0.3
        assert silent.gone() == b""  # a client that said nothing hears nothing
        assert other.get("/tiny").status == 200
        other.send(b"GET /ti")  # the same for a later request on a connection
        assert other.response().status == 408
        assert other.closed()
    probe.settled()


def test_slow_body(start):
    probe = start(window_ms=200, rate=10_000, header_ms=100)
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"
    with probe.client() as stalled, probe.client() as slow, probe.client() as chunky, probe.client() as steady:
        stalled.send(head + b"x" * 40_000)  # quick at first: still judged by what comes later
        slow.send(head)
        chunky.send(CHUNKED)
        steady.send(head)
        sent = {slow: 0, chunky: 0, steady: 0}
        pieces = {slow: b"x", chunky: b"1\r\nx\r\n", steady: b"x" * 500}
        pending = {slow, chunky, steady}
        begin = time.monotonic()
        while pending:
            for c in list(pending):
                if select.select([c.sock], [], [], 0.002)[0] or (c is steady and sent[c] == 50_000):
                    pending.discard(c)
                else:
                    c.send(pieces[c])
                    sent[c] += len(pieces[c])
            assert time.monotonic() < begin + PATIENCE
        assert slow.response().status == 408
        assert chunky.response().status == 408
        assert stalled.response().status == 408
        assert sent[steady] == 50_000 and len(steady.response().body) == 50_000
    probe.settled()


def test_write_stall(start):
    probe = start(stall_ms=300)
    with probe.client(rcvbuf=4096) as c, probe.client(rcvbuf=4096) as s:
        c.send(b"GET /big?n=20000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        s.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")  # endless
        probe.until(lambda st: (st["canceled"], st["left"]) == (1, 2))  # both are cut without a byte read
        probe.settled()
        assert len(c.gone()) < 20_000_000


def test_slow_reader_is_not_cut(start):
    """2 MB/s is slow beside a stall of 300 ms and the megabytes that the kernel could hold back."""
    probe = start(stall_ms=300)
    with probe.client(rcvbuf=100_000) as c:
        c.send(b"GET /big?n=12000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        begin, got = time.monotonic(), 0
        while got < 12_000_000:
            data = c.sock.recv(100_000)
            assert data, f"cut after {got} bytes"
            got += len(data)
            if time.monotonic() - begin < 1.5:
                select.select([], [], [], 0.05)


def test_stream_is_paced_by_its_client(start):
    """The producer waits: an endless stream costs the server a bounded amount of memory."""
    probe = start(workers=8)
    clients = [probe.client(rcvbuf=4096) for _ in range(6)]
    for c in clients:
        c.send(b"GET /stream?size=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
    for c in clients:
        c.exactly(1_000_000)
    assert probe.rss() < (200 << 20)
    for c in clients:
        c.sock.close()
    probe.until(lambda s: s["canceled"] == 6)
    probe.settled()


def test_idle_connections_end(start):
    probe = start(idle_ms=200)
    with probe.client() as c:
        begin = time.monotonic()
        assert c.get("/tiny").status == 200
        assert c.closed()
        assert time.monotonic() - begin >= 0.2
    probe.settled()


def test_a_pending_request_has_all_the_time(start):
    probe = start(header_ms=50, idle_ms=50, stall_ms=50, window_ms=50)
    with probe.client() as c:
        assert c.get("/slow?ms=500").body == b"/slow?ms=500"
        assert c.get("/slow?ms=200").body == b"/slow?ms=200"


# --- pipelining ---


def test_pipelined_behind_a_slow_request(probe):
    """Neither lost, nor answered early, nor fatal; however the bytes fall into packets."""
    requests = [
        b"GET /slow?ms=100 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /stream?n=2 HTTP/1.1\r\nHost: x\r\n\r\n",
        CHUNKED + chunked(b"chunky", 4),
        b"HEAD /tiny HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"l" * 200_000,
        b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /trailer HTTP/1.1\r\nHost: x\r\n\r\n",
    ]

    def check(c):
        assert c.response().body == b"/slow?ms=100"
        assert c.response().body == b"hello"
        assert len(c.response().body) == 32
        assert c.response().body == b"chunky"
        assert c.response("HEAD")["Content-Length"] == "3"
        assert len(c.response().body) == 200_000
        assert c.response().status == 404
        assert c.response().trailers[0] == ("X-Probe-Cursor", "abc")

    with probe.client() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.send(b"".join(requests))
        check(c)
        for r in requests:  # the first is pending while the others come
            c.send(r)
        check(c)
        stream = b"".join(requests)
        rng = random.Random(1)
        while stream:
            n = rng.randrange(1, 3000)
            c.send(stream[:n])
            stream = stream[n:]
        check(c)


def test_pipelined_flood_behind_a_pending_request(probe):
    n = 20_000
    with probe.client() as c, probe.client() as other:
        c.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        probe.until(lambda s: s["hanging"] == 1)
        before = probe.rss()
        flood = b"".join(b"GET /label/%d/values HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(n))
        sender = threading.Thread(target=c.send, args=(flood,))
        sender.start()
        assert other.get("/slow?ms=200").status == 200
        assert probe.rss() - before < 8 << 20  # what is not read stays in the kernel
        assert other.get("/release").body == b"1"
        assert c.response().body == b"released\n"
        for i in range(n):
            assert c.response().body == b"%d" % i
        sender.join()


@pytest.mark.parametrize("name", ["two lengths", "TLS", "head too large", "endless request line"])
def test_bad_request_behind_a_pending_one(probe, name):
    bad, status = BAD_HEADS[name]
    with probe.client() as c:
        c.send(b"GET /slow?ms=50 HTTP/1.1\r\nHost: x\r\n\r\n" + bad)
        assert c.response().body == b"/slow?ms=50"
        assert c.response().status == status
        assert c.closed()


def test_pipelined_behind_connection_close(probe):
    with probe.client() as c:
        c.send(b"GET /slow?ms=20 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert c.response().status == 200
        assert c.closed()


# --- clients that leave ---


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /ti",
        b"GET /tiny HTTP/1.1\r\nHost: x\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 90_000,
        CHUNKED + b"5\r\nhel",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nxxx",
        b"GET /big?n=30000000 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /big?n=30000000&here=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /slow?ms=30 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /trailer HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /slow?ms=30 HTTP/1.1\r\nHost: x\r\n\r\nGET /tiny HTTP/1.1\r\nHost: x\r\n\r\nGET /ti",
    ],
)
def test_leaving(probe, sent, how):
    for _ in range(5):
        c = probe.client()
        c.send(sent)
        if how == "reset":
            c.reset()
        else:
            c.sock.close()
    probe.settled()


@pytest.mark.parametrize("here", [0, 1])
@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("pipelined", [b"", b"GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n" * 400])
def test_leaving_while_pending_is_noticed(start, how, pipelined, here):
    """The handler is told although nothing reads the connection, and its late answer finds nobody. A reset must not spin."""
    probe = start(threads=2)
    clients = [probe.client() for _ in range(8)]
    for c in clients:
        c.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
    probe.until(lambda s: s["hanging"] == 8)
    assert probe.stats()["gone"] == 0
    for c in clients:
        c.send(pipelined)
        if how == "reset":
            c.reset()
        elif how == "close":
            c.sock.close()
        else:
            c.sock.shutdown(socket.SHUT_WR)
    probe.until(lambda s: s["gone"] == 8, "notice")
    with probe.client() as c:
        before = probe.cpu()
        assert c.get("/slow?ms=300").status == 200
        assert probe.cpu() - before < 0.15
        assert c.get(f"/release?here={here}").body == b"8"
    if how == "half":  # these still listen, and are answered
        for c in clients:
            assert c.response().body == b"released\n"
            c.sock.close()
    probe.settled()


def test_half_closed_client_gets_its_whole_answer(probe):
    with probe.client() as c:
        c.send(b"GET /big?n=10000000&here=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        assert len(c.response().body) == 10_000_000
        assert c.closed()
    with probe.client() as c:  # a refused one too
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        assert c.response().status == 413
        assert c.closed()


def test_leaving_during_a_stream(probe):
    for how in ("close", "reset"):
        c = probe.client()
        c.send(b"GET /stream?size=5000 HTTP/1.1\r\nHost: x\r\n\r\n")
        c.exactly(3_000_000)
        if how == "reset":
            c.reset()
        else:
            c.sock.close()
    probe.until(lambda s: s["canceled"] == 2)
    probe.settled()


# --- stopping ---


def test_stop_tells_pending_requests_and_waits(start):
    probe = start(stop_ms=10_000, threads=1)  # one thread: what was sent first was read first
    slow, stream, idle, partial, body = (probe.client() for _ in range(5))
    assert idle.get("/tiny").status == 200
    slow.send(b"GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
    stream.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    stream.exactly(10_000)
    partial.send(b"GET /ti")
    body.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nxxx")
    probe.until(lambda s: s["requests"] == 4)  # slow, stream, body and the asking one
    begin = time.monotonic()
    probe.signal()
    r = slow.response()
    assert (r.status, r["Connection"]) == (503, "close") and slow.closed()
    assert b"0\r\n\r\n" not in stream.gone()[-10:]  # cut, not ended
    assert idle.gone() == b""
    for c in (partial, body):
        r = c.response()
        assert (r.status, r["Retry-After"]) == (503, "1")
        c.sock.close()
    probe.end()
    assert time.monotonic() - begin < 8


def test_stop_has_a_deadline(start):
    probe = start(stop_ms=300)
    clients = [probe.client() for _ in range(6)]
    for c in clients:
        c.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
    probe.until(lambda s: s["hanging"] == 6)
    begin = time.monotonic()
    probe.signal()
    assert all(c.gone() == b"" for c in clients)
    assert time.monotonic() - begin >= 0.3
    probe.end()  # the answers came after the threads had ended, and were dropped without a leak


def test_stop_under_load(start):
    probe = start(threads=3, workers=8, stop_ms=5000)
    stopping = threading.Event()

    def load(target):
        try:
            with probe.client() as c:
                while True:
                    c.get(target)
        except (AssertionError, OSError):
            assert stopping.is_set()

    targets = ["/tiny", "/slow?ms=1", "/stream?n=100", "/big?n=100000", "/trailer"] * 3
    threads = [threading.Thread(target=load, args=(t,)) for t in targets]
    for t in threads:
        t.start()
    probe.until(lambda s: s["done"] > 500)
    stopping.set()
    probe.stop()
    for t in threads:
        t.join()


# --- everything at once ---


def misbehave(probe, seed, rounds, failures):
    rng = random.Random(seed)
    whole = [
        b"GET /tiny HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /slow?ms=%d HTTP/1.1\r\nHost: x\r\n\r\n" % rng.randrange(20),
        b"GET /stream?n=200 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /big?n=200000 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /trailer HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000,
        CHUNKED + chunked(b"y" * 50_000, 3000),
        b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n",
    ] + [bad for bad, _ in BAD_HEADS.values()]
    try:
        for _ in range(rounds):
            with probe.client() as c:
                stream = b"".join(rng.choice(whole) for _ in range(rng.randrange(1, 5)))
                if rng.random() < 0.5:
                    stream = stream[: rng.randrange(len(stream))]
                try:
                    for i in range(0, len(stream), 40_000):
                        c.send(stream[i : i + 40_000])
                    if rng.random() < 0.5:
                        c.sock.settimeout(rng.random() * 0.01 + 0.001)
                        for _ in range(rng.randrange(10)):
                            if not c.sock.recv(rng.randrange(1, 100_000)):
                                break
                except (ConnectionError, TimeoutError):
                    pass
                if rng.random() < 0.5:
                    c.reset()
    except Exception as e:  # noqa: BLE001: reported by the test
        failures.append(e)


def test_many_rude_clients(start):
    """Nothing crashes, nothing leaks, and a polite client is served all the time."""
    probe = start(threads=3, workers=4, linger_ms=100)
    failures = []
    threads = [threading.Thread(target=misbehave, args=(probe, seed, 40, failures)) for seed in range(6)]
    for t in threads:
        t.start()
    with probe.client() as c:
        while any(t.is_alive() for t in threads):
            assert c.get("/tiny").body == b"ok\n"
            c.get("/release")
        for t in threads:
            t.join()
        probe.until(lambda s: c.get("/release").status == 200 and s["connections"] == 2 and s["requests"] == 1)
    assert failures == []
    probe.settled()
