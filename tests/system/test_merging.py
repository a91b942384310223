"""Merging of segments: answers stay, files become few, and a kill at any point of it neither loses nor doubles a line."""
import json, os, signal, subprocess

import pytest

import segment
from server import BINARY, SLOW, wait_for

T0 = 1795132800 * 10**9
DAY = 86400 * 10**9
FLAGS = ['--seal-bytes', '256KiB', '--compact=off']


def push(server, batches, days=1, lines=1000):
    """Batches of their own generation each."""
    for b in batches:
        t = T0 + b % days * DAY + b * 10**9
        body = b''.join(b'{"_msg":"batch %d line %d id=%08x %s","app":"a%d","pod":"p%d","_time":"%d"}\n' % (b, i, (b * 7919 + i) * 2654435761 % 2**32, b'y' * (i % 90), i % 3, i % 11, t + i % 7)
                        for i in range(lines))
        status, text, _ = server.jsonline(body)
        assert status == 204, text


def sealed(server, segments):
    wait_for(lambda: server.status()['store']['segments'] >= segments, what='%d segments' % segments)


def files(server):
    return sorted(n for n in os.listdir(os.path.join(server.data, 'segments')))


def cli(server, *args):
    return subprocess.run([BINARY, *args, '--server', 'http://' + server.address], capture_output=True, text=True, timeout=120)


def ask_merge(server):
    status, body, _ = server.request('POST', '/admin/compact')
    assert status == 202, body
    return json.loads(body)['request']


def test_merged_segments_answer_alike(new_server):
    server = new_server(*FLAGS).start()
    push(server, range(12), days=3)
    sealed(server, 8)
    assert server.stop() == 0
    server.start()
    before = {f: server.export(fmt=f) for f in ('raw', 'jsonl')}
    result = cli(server, 'compact')
    assert result.returncode == 0 and 'became 3 of' in result.stdout, result
    assert {f: server.export(fmt=f) for f in ('raw', 'jsonl')} == before
    wait_for(lambda: len(files(server)) == 3, what='the old files to go')
    status = server.status()
    assert status['store']['segments'] == 3 and status['store']['records'] == 12000 and status['compaction']['debt_bytes'] == 0
    assert server.stop() == 0
    server.start()
    assert {f: server.export(fmt=f) for f in ('raw', 'jsonl')} == before
    assert cli(server, 'compact').stdout.startswith('3 segments of'), 'nothing is left to be merged'


def test_pages_of_an_export_go_on_over_a_merge(new_server):
    server = new_server(*FLAGS).start()
    push(server, range(8))
    sealed(server, 6)
    whole = server.export(fmt='raw')
    status, first, headers = server.request('GET', '/api/v1/export?query=%7B%7D&format=jsonl&limit=3001')
    assert status == 200
    cursor = json.loads(first.split(b'\n')[-2])['cursor']
    ask_merge(server)
    wait_for(lambda: server.status()['compaction']['answered'] == 1, what='the merge')
    rest = server.get('/api/v1/export', query='{}', format='raw', cursor=cursor)
    lines = [json.loads(row)['line'] for row in first.split(b'\n')[:-2]]
    assert ''.join(line + '\n' for line in lines).encode() + rest == whole


@pytest.mark.parametrize('stage', ['merge-block', 'merge-block:2', 'seal-footer', 'seal-rename', 'seal-folder', 'replace', 'commit:2', 'unlink', 'forget'])
def test_killed_in_a_merge_nothing_is_lost_or_twice(new_server, stage):
    server = new_server(*FLAGS).start()
    push(server, range(10), days=2)
    sealed(server, 8)
    assert server.stop() == 0
    server.start()
    before = server.export()
    assert server.stop() == 0
    server.start(env={'LP_HOOK': stage + '=kill'})
    ask_merge(server)
    wait_for(lambda: server.process.poll() is not None, what='the kill')
    server.kill()
    server.start()
    assert server.export() == before
    assert len(files(server)) == server.status()['store']['segments'], 'files that no row names are gone'
    assert os.listdir(os.path.join(server.data, 'lost+found')) == []
    ask_merge(server)
    wait_for(lambda: server.status()['compaction']['answered'] == 1, what='the merge')
    assert server.status()['store']['segments'] == 2
    assert server.export() == before


def test_the_format_says_enough_to_read_merged_files(new_server):
    """A reader made from store/FORMAT.md alone: every row, every id in the index, every bound; of blocks that were copied, too."""
    server = new_server('--seal-bytes', '16MiB', '--compact=off').start()
    push(server, [0, 1], lines=200)
    push(server, [2], lines=100000)
    assert server.jsonline(b'{"_msg":"not json"\n{"_msg":"ok","app":"a0"}')[0] == 204
    assert server.stop() == 0
    server.start()
    push(server, [3, 4], lines=200)
    assert server.stop() == 0
    server.start()
    ask_merge(server)
    wait_for(lambda: server.status()['compaction']['answered'] == 1, what='the merge')
    assert server.status()['compaction']['copied_blocks'] >= 2
    exported = sorted(server.export().split(b'\n')[:-1])
    assert server.stop() == 0
    rows = [r for s in segment.segments(server.data) for r in s.rows()]
    assert all(s.merged is not None for s in segment.segments(server.data))
    assert sorted(r.line for r in rows if '__quarantine__' not in r.labels) == exported and len(exported) == 100801


def test_it_merges_by_itself(new_server):
    server = new_server('--seal-bytes', '256KiB', '--compact-settle', '0s').start()
    push(server, range(24))
    wait_for(lambda: server.status()['compaction']['merges'] >= 1, what='a merge')
    wait_for(lambda: len(server.export().split(b'\n')) == 24001, what='all lines')
    assert 'merged ' in server.tail()


def test_a_damaged_segment_stays_and_the_rest_is_merged(new_server):
    server = new_server(*FLAGS).start()
    push(server, range(6))
    sealed(server, 5)
    assert server.stop() == 0
    path = os.path.join(server.data, 'segments', files(server)[2])
    with open(path, 'r+b') as f:
        f.seek(2000)
        was = f.read(1)
        f.seek(2000)
        f.write(bytes([was[0] ^ 1]))
    server.start()
    n = server.status()['store']['segments']
    result = cli(server, 'compact')
    assert result.returncode == 0, result
    left = server.status()['store']['segments']
    assert 2 <= left < n and server.metric('logpond_compaction_failures_total') >= 1
    assert os.path.exists(path), 'nothing damaged is deleted'


def test_a_stop_does_not_wait_for_a_merge(new_server, tmp_path):
    """Not even while a run of retention waits for its end, which the stop waits for."""
    server = new_server(*FLAGS, '--retention', 'age=1d').start()
    push(server, range(6))
    sealed(server, 5)
    assert server.stop() == 0
    go = str(tmp_path / 'go')
    server.start(env={'LP_HOOK': 'merge-block=pause:' + go, 'LP_CLOCK_OFFSET': str(10**8)})
    before, n = files(server), server.status()['store']['segments']
    ask_merge(server)
    wait_for(lambda: os.path.exists(go + '.reached'), what='the merge')
    retain = subprocess.Popen([BINARY, 'retain', '--server', server.address], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: b'retention begun' in server.get('/admin/ledger'), what='the run of retention')
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: 'signal TERM: stopping' in server.tail(), what='the stop to begin')
    open(go, 'w').close()
    assert server.process.wait(60 * SLOW) == 0
    assert retain.wait(60 * SLOW) != 0 and b'stopping' in retain.stderr.read()
    assert 'merged ' not in server.tail() and files(server) == before
    server.start(env={'LP_HOOK': ''})
    assert server.status()['store']['segments'] == n


def test_the_command_ends_with_the_server_it_asked(new_server, tmp_path):
    """Numbers of requests begin anew with each process: the one that is waited for would never be answered."""
    server = new_server(*FLAGS).start()
    push(server, range(4))
    sealed(server, 3)
    assert server.stop() == 0
    server.start(env={'LP_HOOK': 'merge-block=pause:' + str(tmp_path / 'never')})
    p = subprocess.Popen([BINARY, 'compact', '--server', server.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: server.status()['compaction']['asked'] == 1, what='the request')
    p.send_signal(signal.SIGSTOP)  # else it might ask while there is no server
    server.kill()
    server.start(env={'LP_HOOK': ''}, listen=server.address)
    p.send_signal(signal.SIGCONT)
    assert p.wait(30 * SLOW) == 2
    assert b'the server was started anew meanwhile' in p.stderr.read()


def test_what_the_command_says(new_server):
    server = new_server(*FLAGS).start()
    assert cli(server, 'compact', '--no-wait').returncode == 0
    assert server.stop() == 0
    gone = cli(server, 'compact')
    assert gone.returncode == 2 and gone.stderr.startswith('logpond compact: '), gone
    assert cli(server, 'compact', 'x').returncode == 2
    assert 'usage: logpond compact' in cli(server, 'compact', '--help').stdout
