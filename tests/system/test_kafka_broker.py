"""Brokers that go away and come back, ask for passwords, compress, and grow topics: nothing lost, nothing twice, nothing secret shown."""
import collections, os, re, subprocess, time

import pytest

import broker as broker_tool
from server import BINARY, SLOW, wait_for
from test_kafka import flags, message, produce, rows

USERS = {'alice': 'first-Secret-1', 'bob': 'second-Secret-2'}
TICK = os.sysconf('SC_CLK_TCK')


def cpu_seconds(server):
    with open('/proc/%d/stat' % server.process.pid) as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def log_of(server):
    with open(server.log_path, errors='replace') as f:
        return f.read()


def assert_each_once(servers, count, text='message %d'):
    got = collections.Counter()
    for s in servers:
        got.update(s.export().decode().split('\n')[:-1])
    want = {text % i for i in range(count)}
    assert set(got) == want and set(got.values()) == {1}, 'missing %d, foreign %d, twice %d' % (
        len(want - set(got)), len(set(got) - want), sum(1 for n in got.values() if n > 1))


@pytest.fixture(scope='module')
def own(broker, tmp_path_factory):
    """A broker of this file's own, that may be stopped; with passwords and TLS. `broker` decides whether there can be one."""
    b = broker_tool.Broker(str(tmp_path_factory.mktemp('own')), users=USERS, tls=True).start()
    yield b
    b.stop()


@pytest.fixture
def producing():
    """producing(address, topic, rate): a Producer of numbered messages, ended with the test."""
    made = []

    def make(address, topic, rate):
        made.append(broker_tool.Producer(address, topic, message, rate))
        return made[-1]
    yield make
    for p in made:
        p.kill()


# --- away and back ---

def caught_up(server, producer, rate):
    """Waits until the server has all but the last half second; (seconds from the first new row, rows in that time)."""
    base = rows(server)
    wait_for(lambda: rows(server) > base, 60, 'the first message after the outage')
    begin, before = time.monotonic(), rows(server)
    wait_for(lambda: rows(server) >= producer.sent - rate / 2, 60, 'the server to catch up')
    return time.monotonic() - begin, rows(server) - before


def test_a_broker_away_for_twenty_seconds_slow(new_server, own, producing):
    own.topic('away')
    rate = 2000
    s = new_server(*flags(own, 'away')).start()
    producer = producing(own.address, 'away', rate)
    wait_for(lambda: rows(s) > rate, what='a beginning')
    own.stop()
    begin, used = time.monotonic(), cpu_seconds(s)
    time.sleep(20)  # the outage itself
    share = (cpu_seconds(s) - used) / (time.monotonic() - begin)
    assert s.try_status('/ready') == 200, 'what is stored can be searched meanwhile'
    own.start()
    seconds, gained = caught_up(s, producer, rate)
    count = producer.stop()
    wait_for(lambda: rows(s) >= count, 30, 'all %d messages' % count)
    assert_each_once([s], count)
    print('CPU while the broker was away: %.1f %%; %d messages in %.1f s afterwards' % (share * 100, gained, seconds))
    assert share < 0.05 * SLOW
    assert gained / seconds >= 2 * rate / SLOW


def test_a_rolling_restart_of_three_brokers_slow(new_server, broker, tmp_path, producing):
    cluster = broker_tool.Cluster(str(tmp_path / 'cluster'))
    try:
        cluster.start()
        cluster.topic('rolling')
        s = new_server(*flags(cluster, 'rolling')).start()
        producer = producing(cluster.address, 'rolling', 1000)
        wait_for(lambda: rows(s) > 500, what='a beginning')
        cluster.rolling_restart()
        at_end = producer.sent
        wait_for(lambda: rows(s) >= at_end, 60, 'what was produced meanwhile')
        count = producer.stop()
        wait_for(lambda: rows(s) >= count, 60, 'all %d messages' % count)
        assert_each_once([s], count)
        assert s.metric('logpond_kafka_gaps_total') == 0
        assert s.stop() == 0
    finally:
        cluster.stop()


# --- passwords and TLS ---

def settings(**properties):
    return [a for name, value in properties.items() for a in ('--kafka-set', '%s=%s' % (name.replace('_', '.'), value))]


def secured(own, how, password=USERS['alice']):
    plain = dict(security_protocol='SASL_PLAINTEXT', sasl_username='alice', sasl_password=password)
    if how == 'TLS':
        return own.tls_address, settings(security_protocol='SSL', ssl_ca_location=own.ca)
    return own.sasl_address, settings(sasl_mechanisms=how, **plain)


@pytest.mark.parametrize('how', ['PLAIN', 'SCRAM-SHA-256', 'TLS'])
def test_brokers_that_ask_for_passwords_or_talk_tls(new_server, own, tmp_path, how):
    topic = 'secured-' + how
    produce(own, topic, [message(i) for i in range(200)], tmp_path)
    address, more = secured(own, how)
    s = new_server('--kafka-brokers', address, '--kafka-topics', topic, '--kafka-group', topic, *more).start()
    wait_for(lambda: rows(s) >= 200, what='200 messages')
    assert_each_once([s], 200)
    assert USERS['alice'] not in s.get('/config').decode() + log_of(s)


@pytest.mark.parametrize('how, said', [('PLAIN', 'Authentication failed'), ('SCRAM-SHA-256', 'Authentication failed'), ('TLS', 'certificate')])
def test_a_wrong_password_or_authority_is_said(own, tmp_path, how, said):
    broker_tool.make_certificates(str(tmp_path))  # another authority
    address, more = secured(own, how, 'not-the-Secret')
    if how == 'TLS':
        more += settings(ssl_ca_location=str(tmp_path / 'ca.crt'))
    log = tmp_path / 'log'
    with open(log, 'wb') as out:  # not a Server: it need not listen before it has met the brokers
        process = subprocess.Popen([BINARY, 'serve', '--data', str(tmp_path / 'data'), '--listen', '127.0.0.1:0', '--kafka-brokers', address,
                                    '--kafka-topics', 'any', '--kafka-group', 'any', *more], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(lambda: said.lower() in log.read_text().lower(), 30, 'the log to say "%s"' % said)
    finally:
        process.kill()
        process.wait()
    assert 'not-the-Secret' not in log.read_text()
    print(log.read_text())


def test_secrets_are_not_shown():
    secrets = settings(sasl_password='hidden-1', ssl_key_password='hidden-2', sasl_oauthbearer_client_secret='hidden-3', ssl_keystore_password='hidden-4',
                       ssl_key_pem='hidden-5', sasl_oauthbearer_config='principal=hidden-6')
    out = subprocess.run([BINARY, 'serve', '--print-config', *secrets, '--kafka-set', 'sasl.username=alice'], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    assert 'sasl.username=alice' in out.stdout and 'sasl.password=' in out.stdout
    assert re.findall('hidden-.', out.stdout + out.stderr) == []


# --- what lies in topics ---

def test_every_compression_is_read(new_server, broker, tmp_path):
    broker.topic('codecs')
    for n, codec in enumerate(['none', 'gzip', 'snappy', 'lz4', 'zstd']):
        path = tmp_path / codec
        path.write_text(''.join(message(i) + '\n' for i in range(n * 300, n * 300 + 300)))
        broker.produce('codecs', str(path), codec)
    s = new_server(*flags(broker, 'codecs')).start()
    wait_for(lambda: rows(s) >= 1500, what='1500 messages')
    assert_each_once([s], 1500)


def test_topics_by_pattern_and_new_partitions(new_server, broker, tmp_path):
    """A topic that begins to match, and partitions that are added, are found by themselves."""
    admin = broker.admin

    def give(topic, first, partition):
        path = tmp_path / 'piece'
        path.write_text(''.join(message(i) + '\n' for i in range(first, first + 100)))
        broker.produce(topic, str(path), partition=partition)
    admin.create('logs-a', 2)
    admin.create('other-logs-a', 1)
    give('logs-a', 0, 1)
    give('other-logs-a', 10000, 0)
    s = new_server(*flags(broker, '^logs-.*', 'pattern'), '--kafka-set', 'topic.metadata.refresh.interval.ms=300').start()
    wait_for(lambda: rows(s) >= 100, what='the first topic')
    admin.create('logs-b', 1)
    give('logs-b', 100, 0)
    wait_for(lambda: rows(s) >= 200, what='the topic that came later')
    admin.add_partitions('logs-a', 4)
    give('logs-a', 200, 3)
    give('logs-a', 300, 0)
    wait_for(lambda: rows(s) >= 400, what='the partition that came later')
    assert_each_once([s], 400)
    assert {(p['topic'], p['partition']) for p in s.status()['kafka']['partitions']} == {('logs-a', n) for n in range(4)} | {('logs-b', 0)}


# --- the group ---

def partitions(server):
    return sorted((p['topic'], p['partition']) for p in server.status()['kafka']['partitions'])


def test_a_reader_of_patterns_takes_no_pushes(new_server, broker):
    s = new_server(*flags(broker, '^nothing-.*', 'reader')).start()
    status, body, headers = s.jsonline(b'{"_msg":"x"}')
    assert status == 503 and b'kafka-push-topic' in body and 'retry-after' in headers


def test_a_static_members_restart_moves_nothing(new_server, broker, tmp_path):
    topic = 'static'
    produce(broker, topic, [message(i) for i in range(1000)], tmp_path)
    both = [new_server('--kafka-brokers', broker.address, '--kafka-topics', topic, '--kafka-group', topic, *settings(session_timeout_ms=20000, heartbeat_interval_ms=300, group_instance_id=name))
            for name in ('one', 'two')]
    for s in both:
        s.start()
    wait_for(lambda: [len(partitions(s)) for s in both] == [2, 2], 30, 'two partitions each')
    wait_for(lambda: sum(rows(s) for s in both) >= 1000, what='1000 messages')
    one, two = both
    mine, before = partitions(one), two.metric('logpond_kafka_rebalances_total')
    for end in (one.stop, one.kill):
        end()
        one.start()
        wait_for(lambda: partitions(one) == mine, 15, 'the same partitions as before')
    produce(broker, topic, [message(i) for i in range(1000, 2000)], tmp_path)
    wait_for(lambda: sum(rows(s) for s in both) >= 2000, what='2000 messages')
    assert_each_once(both, 2000)
    assert two.metric('logpond_kafka_rebalances_total') == before, 'the other one noticed nothing'
    assert {instance for instance, _ in broker.admin.members(topic)[1].values()} == {'one', 'two'}


def test_commits_say_which_store_and_owner(new_server, broker, tmp_path):
    produce(broker, 'said', [message(i) for i in range(300)], tmp_path)
    s = new_server(*flags(broker, 'said')).start()
    wait_for(lambda: rows(s) >= 300, what='300 messages')
    assert s.stop() == 0
    offsets = broker.admin.group_offsets('said')
    ends = broker.admin.offsets('said')
    assert {p: offset for (_, p), (offset, _) in offsets.items()} == {p: end for p, (_, end) in ends.items() if end > 0 or ('said', p) in offsets}
    said = {re.fullmatch(r'([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) ([0-9]+)', text) for _, text in offsets.values()}
    assert None not in said and len({m.group(1) for m in said}) == 1
