"""Consuming from a real broker: every message exactly once, positions in the store, back-pressure, revoke, odd messages."""
import collections, hashlib, json, os, subprocess, sys, time

import pytest

from broker import free_port
from server import wait_for

T0 = 1795132800


def message(i, pod='p', text=None):
    return json.dumps({'@timestamp': T0 + i * 0.001, 'log': text or 'message %d' % i, 'stream': 'stdout',
                       'kubernetes': {'namespace_name': 'n', 'pod_name': pod, 'container_name': 'c', 'host': 'h', 'labels': {'app': 'x'}}})


def produce(broker, topic, lines, tmp_path):
    path = tmp_path / ('m-%s' % topic)
    path.write_text('\n'.join(lines) + '\n')
    broker.topic(topic)
    broker.produce(topic, str(path))


def flags(broker, topic, group=None):
    return ['--kafka-brokers', broker.address, '--kafka-topics', topic, '--kafka-group', group or topic,
            '--kafka-set', 'session.timeout.ms=8000', '--kafka-set', 'heartbeat.interval.ms=300']  # a starved machine must not look dead


def rows(s):
    st = s.status()
    return st['store']['records'] + st['head']['rows']


def exported(s, query='{}'):
    return collections.Counter(s.export(query).decode().split('\n')[:-1])


def test_messages_are_consumed_once_over_restarts(new_server, broker, tmp_path):
    produce(broker, 'once', [message(i) for i in range(3000)], tmp_path)
    s = new_server(*flags(broker, 'once')).start()
    wait_for(lambda: rows(s) >= 3000, what='3000 messages')
    assert s.stop() == 0
    s.start()
    produce(broker, 'once', [message(i) for i in range(3000, 4000)], tmp_path)
    wait_for(lambda: rows(s) >= 4000, what='4000 messages')
    got = exported(s)
    assert len(got) == 4000 and set(got.values()) == {1}
    entries = s.json('/loki/api/v1/query_range', query='{app="x", pod="p"} |= "message 77"', start=T0, end=T0 + 3600, limit=1)
    assert entries['data']['result'][0]['stream'] == {'app': 'x', 'container': 'c', 'namespace': 'n', 'node': 'h', 'pod': 'p', 'detected_level': 'unknown', 'service_name': 'x', 'stream': 'stdout'}


def test_the_groups_commit_is_only_a_hint(new_server, broker, tmp_path):
    """A store that is behind the group's commit of its own (restored from nothing) reads on from its own position."""
    produce(broker, 'hint', [message(i) for i in range(500)], tmp_path)
    s = new_server(*flags(broker, 'hint')).start()
    wait_for(lambda: rows(s) >= 500, what='500 messages')
    assert s.stop() == 0
    other = new_server(*flags(broker, 'hint')).start()  # another store, same group: it goes on behind the first
    produce(broker, 'hint', [message(i) for i in range(500, 700)], tmp_path)
    wait_for(lambda: rows(other) >= 200, what='the 200 new messages')
    assert exported(other).keys() == {'message %d' % i for i in range(500, 700)}


def test_two_instances_share_the_partitions(new_server, broker, tmp_path):
    lines = [message(i) for i in range(4000)]
    produce(broker, 'share', lines, tmp_path)
    a = new_server(*flags(broker, 'share')).start()
    wait_for(lambda: rows(a) >= 1000, what='a beginning')
    b = new_server(*flags(broker, 'share')).start()  # partitions are revoked from a: sealed, committed, released
    produce(broker, 'share', [message(i) for i in range(4000, 8000)], tmp_path)
    wait_for(lambda: rows(a) + rows(b) >= 8000, 60, 'all messages in one of the two')
    wait_for(lambda: b.status()['kafka']['partitions'], 30, 'partitions of b')
    assert a.stop() == 0
    produce(broker, 'share', [message(i) for i in range(8000, 9000)], tmp_path)
    a.start()
    wait_for(lambda: rows(a) + rows(b) >= 9000, 60, 'the rest')
    got = exported(a) + exported(b)
    assert len(got) == 9000 and set(got.values()) == {1}


def test_odd_messages(new_server, broker, tmp_path):
    odd = tmp_path / 'odd'
    odd.write_bytes(b'plain text\n[1, 2]\n"a string"\nnull\n{"log": "cut\n\xff\xfe\x01binary\n' + message(1).encode() + b'\n')
    broker.topic('odd')
    broker.produce('odd', str(odd))
    s = new_server(*flags(broker, 'odd')).start()
    wait_for(lambda: rows(s) >= 7, what='7 messages')
    seen = exported(s)
    assert {'plain text', '[1, 2]', '"a string"', 'null', 'message 1', '{"log": "cut'} <= set(seen)
    raw = s.export('{__quarantine__="kafka"}')
    assert raw == b'\xff\xfe\x01binary\n'


def test_a_journal_is_stored_before_kafka_takes_over(new_server, broker, tmp_path):
    s = new_server().start()
    assert s.jsonline(b'{"_msg":"from the journal","app":"x","_time":"1795132800"}')[0] == 204
    s.kill()
    produce(broker, 'takeover', [message(1)], tmp_path)
    s.flags = flags(broker, 'takeover')
    s.start()
    wait_for(lambda: rows(s) >= 2, what='both records')
    assert set(exported(s)) == {'from the journal', 'message 1'}


def test_a_push_goes_through_kafka_once(new_server, broker):
    s = new_server(*flags(broker, 'push')).start()
    body = b''.join(b'{"_msg":"line %d","app":"a%d","_time":"%d"}\n' % (i, i % 3, T0 + i) for i in range(1000))
    for _ in range(2):
        assert s.jsonline(body)[0] == 204
    wait_for(lambda: s.status()['intake']['duplicates'] >= 3, what='the repeat, one part for each group')
    wait_for(lambda: rows(s) >= 1000, what='the lines: repeats are told before the first are decoded')
    assert exported(s) == {'line %d' % i: 1 for i in range(1000)}
    assert s.stop() == 0
    s.start()  # the ids of before are read again from the log
    assert s.jsonline(body)[0] == 204
    wait_for(lambda: s.status()['intake']['duplicates'] >= 3, what='the repeat after a restart')
    assert s.jsonline(body, {'Idempotency-Key': 'another'})[0] == 204
    wait_for(lambda: rows(s) >= 2000, what='the same lines as another batch')
    assert set(exported(s).values()) == {2}


def test_a_new_owner_knows_what_the_one_before_stored(new_server, broker):
    """Another store takes the partitions over: what is sent again is known from the log itself."""
    a = new_server(*flags(broker, 'heir')).start()
    bodies = [b''.join(b'{"_msg":"batch %d line %d","app":"a%d","_time":"%d"}\n' % (n, i, i % 3, T0 + i) for i in range(100)) for n in range(20)]
    assert [a.jsonline(b)[0] for b in bodies] == [204] * 20
    wait_for(lambda: rows(a) >= 2000, what='all lines')
    assert a.stop() == 0
    b = new_server(*flags(broker, 'heir')).start()
    assert [b.jsonline(x)[0] for x in bodies] == [204] * 20
    assert b.jsonline(b'{"_msg":"new","app":"a0","_time":"%d"}' % T0)[0] == 204
    wait_for(lambda: b.status()['intake']['duplicates'] >= 60, what='three parts of each repeat')
    wait_for(lambda: rows(b) >= 1, what='what is new')
    assert exported(b) == {'new': 1}
    assert b.metric('logpond_kafka_reread_bytes_total') > 0


def test_brokers_that_are_not_there(new_server):
    """Searches are served, a push is refused in time with a word, and a stop does not wait for anybody."""
    s = new_server('--kafka-brokers', '127.0.0.1:%d' % free_port(), '--kafka-set', 'message.timeout.ms=500').start()
    assert s.export() == b''
    status, body, headers = s.jsonline(b'{"_msg":"x"}')
    assert status == 503 and b'kafka' in body and 'retry-after' in headers
    assert s.status()['kafka']['cluster'] == '' and s.metric('logpond_kafka_produce_failures_total') == 1
    assert s.stop(20) == 0


@pytest.mark.parametrize('setting', ['auto.offset.reset=latest', 'enable.auto.commit=true', 'acks=1', 'enable.idempotence=false'])
def test_what_the_promises_rest_on_cannot_be_set(new_server, setting):
    with pytest.raises(AssertionError, match='is not free'):
        new_server('--kafka-brokers', '127.0.0.1:%d' % free_port(), '--kafka-set', setting).start()


def test_a_line_beyond_the_message_limit_is_refused_whole(new_server, broker):
    s = new_server(*flags(broker, 'huge')).start()
    body = b'{"_msg":"small","app":"a"}\n{"_msg":"%s","app":"a"}\n' % (b'x' * 1000000)
    status, text, _ = s.jsonline(body)
    assert status == 413 and b'message' in text
    assert s.jsonline(b'{"_msg":"after","app":"a"}')[0] == 204
    wait_for(lambda: rows(s) >= 1, what='the line after')
    assert exported(s) == {'after': 1}


def test_lag_is_shown(new_server, broker, tmp_path):
    produce(broker, 'lag', [message(i) for i in range(100)], tmp_path)
    s = new_server(*flags(broker, 'lag')).start()
    wait_for(lambda: rows(s) >= 100, what='100 messages')
    # in the head, so not stored yet; a partition without messages may be one whose end is not known (-1)
    wait_for(lambda: sum(max(p['lag'], 0) for p in s.status()['kafka']['partitions']) == 100, what='a lag of 100')
    assert len(s.status()['kafka']['partitions']) == 4
    assert b'logpond_kafka_lag_messages{topic="lag",partition="' in s.get('/metrics')


def test_no_room_pauses_and_goes_on_slow(new_server, broker, tmp_path):
    """A tiny head and much input: partitions are held back, nothing is lost."""
    produce(broker, 'press', [message(i, text='m %d %s' % (i, 'y' * 500)) for i in range(30000)], tmp_path)
    s = new_server('--seal-bytes', '256KiB', '--decoded-bytes', '1MiB', *flags(broker, 'press')).start()
    wait_for(lambda: rows(s) >= 30000, 120, 'all messages')
    got = exported(s)
    assert len(got) == 30000 and set(got.values()) == {1}


@pytest.fixture(scope='session')
def corpus_messages(shared, tmp_path_factory):
    out = tmp_path_factory.mktemp('corpus')
    cached = os.environ.get('LP_CORPUS')  # a folder with kafka/fluentbit.ndjson and raw, to save the half minute of making them
    if cached and os.path.exists(os.path.join(cached, 'kafka', 'fluentbit.ndjson')) and os.path.exists(os.path.join(cached, 'raw')):
        return cached
    script = os.path.join(shared, 'corpus', 'records.py')
    subprocess.run([sys.executable, script, 'payloads', str(out), 'kafka'], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, script, 'raw', str(out / 'raw')], check=True)
    return str(out)


def sorted_sha(path):
    out = subprocess.run('LC_ALL=C sort "%s" | sha256sum' % path, shell=True, check=True, capture_output=True)
    return out.stdout.split()[0]


def test_the_corpus_is_there_to_the_byte(new_server, broker, corpus_messages, tmp_path):
    broker.topic('corpus')
    broker.produce('corpus', os.path.join(corpus_messages, 'kafka', 'fluentbit.ndjson'))
    s = new_server(*flags(broker, 'corpus')).start()
    wait_for(lambda: rows(s) >= 1010593, 240, 'the corpus')
    stats = s.json('/loki/api/v1/index/stats', query='{app=~".+"}', start=0, end=4102444800)
    assert stats['entries'] == 1010593
    (tmp_path / 'export').write_bytes(s.export())
    assert sorted_sha(tmp_path / 'export') == sorted_sha(os.path.join(corpus_messages, 'raw'))
