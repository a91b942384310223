"""Queries share the machine: short ones are not held up by long ones, and each and all have their budgets."""
import json, socket, threading, time, urllib.parse

import pytest

from server import SLOW, wait_for

T0 = 1795132800 * 10**9
LONG = 'sum by (pod)(count_over_time({app="a"} |~ "x[0-9]+y(a|b|c)*z$|[a-f]{4}q" [1s]))'
ALL = {'start': T0 // 10**9, 'end': T0 // 10**9 + 1000}


def fill(server, batches=60, lines=5000):
    for b in range(batches):
        body = b''.join(b'{"_msg":"line %d of %d %s id=%016x","app":"a","pod":"p%d","_time":"%d"}\n' % (
            i, b, b'x%dy ' % (i * 7) * 20, (b * lines + i) * 0x9e3779b97f4a7c15 % 2**64, i % 50, T0 + (b * lines + i) * 10**6) for i in range(lines))
        assert server.jsonline(body)[0] == 204


def query(server, q, **params):
    return server.request('GET', '/loki/api/v1/query_range?' + urllib.parse.urlencode(dict(ALL, query=q, **params)), timeout=300)


def test_a_short_query_goes_before_long_ones(new_server):
    server = new_server('--seal-bytes', '16MiB', '--query-timeout', '10m').start()  # a dozen long ones in one or two places, under a sanitizer too
    fill(server)
    begin = time.monotonic()
    assert query(server, LONG, step=1)[0] == 200
    alone = time.monotonic() - begin
    statuses, longs = [], 12
    threads = [threading.Thread(target=lambda: statuses.append(query(server, LONG, step=1)[0]), daemon=True) for _ in range(longs)]
    for t in threads:
        t.start()
    wait_for(lambda: server.metric('logpond_queries_running') >= longs, what='the long queries to run')
    took = []
    while len(statuses) < longs and len(took) < 20:
        begin = time.monotonic()
        assert query(server, '{app="a"} |= "id=%016x"' % (777 * 0x9e3779b97f4a7c15 % 2**64))[0] == 200
        took.append(time.monotonic() - begin)
    for t in threads:
        t.join()
    assert statuses == [200] * longs
    # one after the other it would have waited for most of them
    assert sorted(took)[len(took) // 2] < longs * alone / 4, (took, alone)


def test_a_query_reads_no_more_than_it_may(new_server):
    server = new_server('--query-scan', '1MiB').start()
    fill(server, batches=4)
    status, body, _ = query(server, LONG, step=1)
    assert status == 400 and b'more than the 1 MiB that a query may' in body, body
    assert query(server, '{app="a", pod="p3"}', limit=5)[0] == 200


@pytest.mark.parametrize('flag', ['--query-bytes', '--query-bytes-total'])
def test_answers_have_a_budget(new_server, flag):
    server = new_server(flag, '1MiB').start()
    fill(server, batches=4)
    status, body, _ = query(server, '{app="a"}', limit=5000)
    assert (status, b'MiB of memory' in body) == (400 if flag == '--query-bytes' else 429, True), (status, body)
    assert query(server, '{app="a"}', limit=5)[0] == 200


# Templates over every line: seconds of work, in which no block is finished for long.
HEAVY = 'sum by (pod)(count_over_time({app="a"} | logfmt | line_format `{{ regexReplaceAll "([a-f])([0-9])" __line__ "${2}${1}" | upper | repeat 3 }}` | regexp `(?P<y>[0-9]+A)` | y != "none" [1s]))'


def test_a_query_ends_when_its_client_leaves(new_server):
    server = new_server('--seal-bytes', '16MiB', '--query-timeout', '10m').start()
    fill(server, batches=30)
    for leave_after in (0.05, 0.3):
        before = server.metric('logpond_queries_canceled_total')
        host, port = server.address.split(':')
        with socket.create_connection((host, int(port))) as s:
            s.sendall(('GET /loki/api/v1/query_range?%s HTTP/1.1\r\nHost: x\r\n\r\n' % urllib.parse.urlencode(dict(ALL, query=HEAVY, step=1))).encode())
            wait_for(lambda: server.metric('logpond_queries_running') == 1, what='the query to run')
            left = time.monotonic() + leave_after
            wait_for(lambda: time.monotonic() >= left, what='some of its work')
            assert server.metric('logpond_queries_running') == 1, 'it ended too early to say anything'
        begin = time.monotonic()
        wait_for(lambda: server.metric('logpond_queries_running') == 0, what='it to end')
        took = time.monotonic() - begin
        assert server.metric('logpond_queries_canceled_total') == before + 1
        assert took < 0.1 * SLOW + 0.05, took  # the answer to what asks takes some, too
