"""The order of effects: a kill, or a look, at each named point of a seal; what was acknowledged is there exactly once."""
import os

import pytest

from server import wait_for

T0 = 1795132800 * 10**9
FLAGS = ['--seal-bytes', '1MiB', '--seal-after', '1h']
# Two transactions make a store, the third notes its folder, the fourth reserves segment ids: the fifth is a first seal's own.
STAGES = ['encode', 'seal-footer', 'seal-rename', 'seal-folder', 'commit:4', 'commit:5', 'drop', 'release']


def body(batch):
    """About a quarter of a generation."""
    return b''.join(b'{"_msg":"batch %d line %d %s","_time":"%d"}\n' % (batch, i, b'x' * 150, T0 + batch * 1000 + i) for i in range(1000))


def lines_of(batches):
    return sorted(row.split(b'"')[3] for b in batches for row in body(b).split(b'\n')[:-1])


def push_until(server, reached, acked):
    """Pushes until the point is reached (or the server is dead); numbers of the answered batches go to acked."""
    while not reached() and server.process.poll() is None and len(acked) < 100:
        try:
            if server.jsonline(body(len(acked)))[0] == 204:
                acked.append(len(acked))
        except OSError:
            pass


def lines(server):
    return sorted(server.export().split(b'\n')[:-1])


@pytest.mark.parametrize('stage', STAGES + ['commit:6', 'encode:3', 'release:3'])
def test_killed_at_a_stage_nothing_is_lost_or_twice(new_server, stage):
    server = new_server(*FLAGS, '--push-wait', '1s', env={'LP_HOOK': stage + '=kill'}).start()
    acked = []
    push_until(server, lambda: False, acked)
    server.kill()
    server.start(env={'LP_HOOK': ''})
    found = lines(server)
    unanswered = [len(acked)] if len(found) > 1000 * len(acked) else []
    assert found == lines_of(acked + unanswered)
    for b in acked:
        assert server.jsonline(body(b))[2].get('x-logpond-duplicate') == '1', 'a retry is still known'
    assert lines(server) == found


@pytest.mark.parametrize('stage', STAGES)
def test_looked_at_in_a_stage_nothing_is_missing_or_twice(new_server, tmp_path, stage):
    gate = str(tmp_path / 'gate')
    server = new_server(*FLAGS, '--push-wait', '200ms', env={'LP_HOOK': '%s=pause:%s' % (stage, gate)})
    server.start()
    acked = []
    push_until(server, lambda: os.path.exists(gate + '.reached'), acked)
    assert lines(server) == lines_of(acked)
    open(gate, 'w').close()
    wait_for(lambda: server.status()['store']['segments'] >= 1, what='the seal to go on')
    assert lines(server) == lines_of(acked)


def test_a_seal_that_crashed_twice_stores_plain_text(new_server):
    server = new_server(*FLAGS, '--push-wait', '1s', env={'LP_HOOK': 'encode=kill'}).start()
    acked = []
    push_until(server, lambda: False, acked)
    server.kill()
    server.start(ready=False)  # replays, and crashes in the same seal
    wait_for(lambda: server.process.poll() is not None, what='the second crash')
    server.start(env={'LP_HOOK': ''})
    wait_for(lambda: server.metric('logpond_seals_total') >= 1, what='the seal')
    assert server.metric('logpond_seal_plain_total') == 1
    assert 'is stored as plain text' in server.tail()
    found = lines(server)
    assert found == lines_of(acked + ([len(acked)] if len(found) > 1000 * len(acked) else []))
    assert server.jsonline(body(90))[0] == 204
    assert server.stop() == 0
    server.start()
    assert server.metric('logpond_seal_plain_total') == 0 and not os.path.exists(os.path.join(server.data, 'sealing'))
