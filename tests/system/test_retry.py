"""Pushes that come twice: stored once where they have an identity, each time where they have none; whatever happened to the first one."""
import http.client, os, shutil, subprocess, threading

import pytest

from server import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
T0 = 1795132800 * 10**9
UNTIMED = b'{"_msg":"without a time","job":"t"}\n{"_msg":"nor this","job":"t"}'
TIMED = b''.join(b'{"_msg":"line %d","job":"t","_time":"%d"}\n' % (i, T0 + i) for i in range(10))
KEY = {'Idempotency-Key': 'k-1'}


def lines(server):
    return sorted(server.export().split(b'\n')[:-1])


def lines_of(body, times=1):
    return sorted([row.split(b'"')[3] for row in body.strip().split(b'\n')] * times)


def stored(server, body, headers=None):
    """Pushes; whether the server said it had it already."""
    status, text, answer = server.jsonline(body, headers)
    assert status == 204, (status, text)
    return answer.get('x-logpond-duplicate') == '1'


def killed_and_started(server, env=None):
    server.kill()
    return server.start(env=env)


def test_equal_bodies_without_times_are_stored_each_time(server):
    assert [stored(server, UNTIMED), stored(server, UNTIMED)] == [False, False]
    assert lines(server) == lines_of(UNTIMED, 2)
    killed_and_started(server)
    assert lines(server) == lines_of(UNTIMED, 2)


@pytest.mark.parametrize('body,headers', [(TIMED, {}), (UNTIMED, KEY), (TIMED, KEY)])
def test_a_repeated_push_with_an_identity_is_stored_once(server, body, headers):
    assert [stored(server, body, headers), stored(server, body, headers)] == [False, True]
    killed_and_started(server)  # known from the journal
    assert stored(server, body, headers)
    assert server.stop() == 0
    server.start()              # known from the catalog
    assert stored(server, body, headers)
    assert lines(server) == lines_of(body)


def test_another_body_under_the_same_key_is_kept(server):
    assert not stored(server, UNTIMED, KEY)
    assert not stored(server, TIMED, KEY)
    assert lines(server) == sorted(lines_of(UNTIMED) + lines_of(TIMED))


def test_equal_lines_in_one_body_are_all_kept(server):
    assert not stored(server, TIMED + TIMED)
    assert lines(server) == lines_of(TIMED, 2)


# --- while the first one is still being synced ---

class Pushing(threading.Thread):
    def __init__(self, server, body, headers):
        super().__init__(daemon=True)
        self.server, self.args, self.answer = server, (body, headers), None
        self.start()

    def run(self):
        try:
            self.answer = self.server.jsonline(*self.args)
        except (OSError, http.client.HTTPException):
            pass  # the server was killed under it


def begin_and_repeat(server, gate, body, headers):
    """A push that hangs in its fsync, and the same one again, which the server has read."""
    first = Pushing(server, body, headers)
    wait_for(lambda: os.path.exists(gate + '.reached'), what='the push to reach its fsync')
    second = Pushing(server, body, headers)
    wait_for(lambda: server.metric('logpond_ingest_body_bytes_total') >= 2 * len(body) or second.answer, what='the retry to be read')
    return first, second


@pytest.mark.parametrize('body,headers', [(TIMED, {}), (UNTIMED, KEY)])
def test_a_retry_during_a_delayed_fsync_waits_and_is_answered_with_it(new_server, tmp_path, body, headers):
    gate = str(tmp_path / 'gate')
    server = new_server('--push-wait', '60s', env={'LP_HOOK': 'sync:1=pause:' + gate}).start()
    first, second = begin_and_repeat(server, gate, body, headers)
    assert first.answer is None and second.answer is None and lines(server) == [], 'nothing is answered or seen before it is safe'
    open(gate, 'w').close()
    wait_for(lambda: first.answer and second.answer, what='both answers')
    assert (first.answer[0], second.answer[0]) == (204, 204)
    assert 'x-logpond-duplicate' not in first.answer[2] and second.answer[2].get('x-logpond-duplicate') == '1'
    assert lines(server) == lines_of(body)
    killed_and_started(server, {'LP_HOOK': ''})
    assert lines(server) == lines_of(body)


def test_a_retry_that_waits_too_long_is_told_to_try_again(new_server, tmp_path):
    gate = str(tmp_path / 'gate')
    server = new_server('--push-wait', '100ms', env={'LP_HOOK': 'sync:1=pause:' + gate}).start()
    first, second = begin_and_repeat(server, gate, TIMED, {})
    wait_for(lambda: second.answer, what='the retry to be answered')
    assert second.answer[0] == 429 and first.answer is None
    open(gate, 'w').close()
    wait_for(lambda: first.answer, what='the first answer')
    assert first.answer[0] == 204 and stored(server, TIMED)
    assert lines(server) == lines_of(TIMED)


def test_a_retry_after_a_kill_in_the_fsync_is_stored_once(new_server, tmp_path):
    gate = str(tmp_path / 'gate')
    server = new_server(env={'LP_HOOK': 'sync:1=pause:' + gate}).start()
    Pushing(server, TIMED, {})
    wait_for(lambda: os.path.exists(gate + '.reached'), what='the push to reach its fsync')
    killed_and_started(server, {'LP_HOOK': ''})
    stored(server, TIMED)
    assert lines(server) == lines_of(TIMED)


# --- after an fsync that failed (an LD_PRELOAD shim; sanitizers want to be first, hence "slow") ---

@pytest.fixture(scope='session')
def shim(tmp_path_factory):
    if shutil.which('gcc') is None:
        pytest.skip('no gcc to build the shim that fails fsync')
    out = str(tmp_path_factory.mktemp('shim') / 'fail_sync.so')
    subprocess.run(['gcc', '-shared', '-fPIC', '-O1', '-o', out, os.path.join(HERE, 'fail_sync.c'), '-ldl'], check=True)
    return out


FIRST = b'{"_msg":"before","job":"t","_time":"%d"}' % (T0 - 1)
# The file's own sync is the first; that of the first push the second. The third fails, and more where a test says so.


def failing(new_server, shim, calls, suffix='.jnl', *flags):
    server = new_server(*flags, env={'LD_PRELOAD': shim, 'LP_FAIL_SYNC': '%s:%s' % (suffix, calls)}).start()
    assert not stored(server, FIRST)
    return server


@pytest.mark.parametrize('calls,refusals', [('3', 1), ('3,4', 2), ('3,5', 2), ('3,4,5,6', 4)])
def test_a_retry_after_a_failed_fsync_is_stored_once_slow(new_server, shim, calls, refusals):
    server = failing(new_server, shim, calls)
    for _ in range(refusals):
        status, text, _ = server.jsonline(TIMED)
        assert status == 503 and lines(server) == [b'before'], (status, text)
    assert not stored(server, TIMED), 'the failure took the identity back'
    assert stored(server, TIMED)
    expected = sorted([b'before'] + lines_of(TIMED))
    assert lines(server) == expected
    killed_and_started(server, {'LP_FAIL_SYNC': ''})
    assert lines(server) == expected and stored(server, TIMED)
    assert server.stop() == 0
    server.start(env={'LP_FAIL_SYNC': ''})
    assert lines(server) == expected


def test_what_an_fsync_failed_for_never_comes_back_on_its_own_slow(new_server, shim):
    """The bytes are in the broken file, whole; the void entry keeps replay from taking them."""
    server = failing(new_server, shim, '3')
    assert server.jsonline(UNTIMED)[0] == 503
    assert not stored(server, TIMED)
    expected = sorted([b'before'] + lines_of(TIMED))
    killed_and_started(server, {'LP_FAIL_SYNC': ''})
    assert lines(server) == expected


def test_a_retry_after_a_failed_fsync_and_a_kill_is_stored_once_slow(new_server, shim):
    server = failing(new_server, shim, '3')
    assert server.jsonline(TIMED)[0] == 503
    killed_and_started(server, {'LP_FAIL_SYNC': ''})
    stored(server, TIMED)
    assert lines(server) == sorted([b'before'] + lines_of(TIMED))


def test_a_segment_whose_fsync_fails_is_written_anew_slow(new_server, shim):
    server = failing(new_server, shim, '1,2', '.seg.tmp', '--seal-bytes', '64KiB')
    body = b''.join(b'{"_msg":"%d %s","job":"t","_time":"%d"}\n' % (i, b'x' * 200, T0 + i) for i in range(500))
    assert not stored(server, body)
    wait_for(lambda: server.status()['store']['segments'] >= 1, what='a seal in spite of two failures')
    assert server.metric('logpond_seal_failures_total') >= 2
    expected = sorted([b'before'] + lines_of(body))
    assert lines(server) == expected
    killed_and_started(server, {'LP_FAIL_SYNC': ''})
    assert lines(server) == expected
