"""Positions that the brokers no longer have, topics made again, copied stores, takeovers: nothing that a broker has is skipped, and gaps are told."""
import json, re, shutil, signal

import pytest

import segment
from server import wait_for
from test_kafka import flags, message, rows

UUID = r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'


@pytest.fixture
def topic(broker, request):
    """A topic of one partition, named after the test."""
    name = re.sub(r'\W+', '-', request.node.name)[:100]
    broker.admin.create(name, 1)
    return name


@pytest.fixture
def give(broker, topic, tmp_path):
    """give(first, end, life='') produces numbered messages to the topic."""
    def produce(first, end, life=''):
        path = tmp_path / 'messages'
        path.write_text(''.join(message(i, text='message %s%d' % (life, i)) + '\n' for i in range(first, end)))
        broker.produce(topic, str(path))
    return produce


def lines(server):
    """All lines but the rows of gaps, sorted."""
    return sorted(server.export().decode().split('\n')[:-1])


def texts(first, end, life=''):
    return ['message %s%d' % (life, i) for i in range(first, end)]


def gaps(server, topic):
    """[(from, to, reason, line)] of the rows that tell of gaps."""
    found = [json.loads(line) for line in server.export('{__quarantine__="kafka"}', 'jsonl').split(b'\n')[:-1]]
    out = []
    for r in found:
        if 'line' in r:
            place = re.fullmatch(re.escape(topic) + r'/0/(\d+)-(\d+)', r['metadata']['place'])
            assert r['line'].startswith('gap:') and place, r
            out.append((int(place.group(1)), int(place.group(2)), r['metadata']['reason'], r['line']))
    return out


def assert_gap(server, topic, first, end):
    """One gap, counted and told, and still told after a restart."""
    for again in (False, True):
        if again:
            assert server.stop() == 0
            server.start()
        found = gaps(server, topic)
        assert [g[:2] for g in found] == [(first, end)] and found[0][2] and topic in found[0][3], found
        if not again:
            assert server.metric('logpond_kafka_gaps_total') == 1
    return found[0]


def consumed(new_server, broker, topic, give, count=1000):
    s = new_server(*flags(broker, topic)).start()
    give(0, count)
    wait_for(lambda: rows(s) >= count, what='%d messages' % count)
    return s


def remade(broker, topic):
    broker.admin.delete(topic)
    broker.admin.create(topic, 1)


# --- what is gone ---

def test_records_deleted_while_stopped_are_a_gap(new_server, broker, topic, give):
    s = consumed(new_server, broker, topic, give)
    assert s.stop() == 0
    give(1000, 1500)
    broker.admin.delete_records(topic, {0: 1300})
    s.start()
    wait_for(lambda: rows(s) >= 1201, what='the rest and the gap')
    assert lines(s) == sorted(texts(0, 1000) + texts(1300, 1500))
    assert_gap(s, topic, 1000, 1300)
    give(1500, 1600)
    wait_for(lambda: 'message 1599' in lines(s), what='what came later')
    assert lines(s) == sorted(texts(0, 1000) + texts(1300, 1600))


def test_records_deleted_up_to_the_position_are_no_gap(new_server, broker, topic, give):
    s = consumed(new_server, broker, topic, give)
    assert s.stop() == 0
    broker.admin.delete_records(topic, {0: 1000})
    s.start()
    give(1000, 1100)
    wait_for(lambda: rows(s) >= 1100, what='the rest')
    assert lines(s) == sorted(texts(0, 1100)) and gaps(s, topic) == [] and s.metric('logpond_kafka_gaps_total') == 0


def test_records_deleted_while_running_are_a_gap(new_server, broker, topic, give):
    """The server is frozen, so that it is behind when the records go."""
    s = new_server('--kafka-brokers', broker.address, '--kafka-topics', topic, '--kafka-group', topic, '--kafka-set', 'session.timeout.ms=30000').start()
    give(0, 1000)
    wait_for(lambda: rows(s) >= 1000, what='1000 messages')
    s.process.send_signal(signal.SIGSTOP)
    give(1000, 1001)  # answers the fetch that is under way
    give(1001, 1500)
    broker.admin.delete_records(topic, {0: 1400})
    s.process.send_signal(signal.SIGCONT)
    give(1500, 1501)
    wait_for(lambda: 'message 1500' in lines(s), what='the end')
    first, end = gaps(s, topic)[0][:2]
    assert 1000 <= first <= 1001 and end == 1400
    assert lines(s) == sorted(texts(0, first) + texts(1400, 1501))
    assert_gap(s, topic, first, 1400)


def test_a_fresh_store_begins_at_the_oldest_record_without_a_gap(new_server, broker, topic, give):
    give(0, 500)
    broker.admin.delete_records(topic, {0: 200})
    s = new_server(*flags(broker, topic)).start()
    wait_for(lambda: rows(s) >= 300, what='the rest')
    assert lines(s) == sorted(texts(200, 500)) and gaps(s, topic) == []


# --- topics made again ---

@pytest.mark.parametrize('count', [300, 1000, 1500])
def test_a_topic_made_again_while_stopped_is_read_whole(new_server, broker, topic, give, count):
    """With fewer messages than the old position, as many, and more: those that stand where ours stood are others."""
    s = consumed(new_server, broker, topic, give)
    assert s.stop() == 0
    remade(broker, topic)
    give(0, count, 'new ')
    s.start()
    wait_for(lambda: rows(s) >= 1000 + count + 1, what='all of the new topic')
    assert lines(s) == sorted(texts(0, 1000) + texts(0, count, 'new '))
    assert assert_gap(s, topic, 1000, 0)[2]
    give(count, count + 100, 'new ')
    wait_for(lambda: len(lines(s)) >= 1100 + count, what='what came later')
    assert s.stop() == 0
    s.start()
    assert lines(s) == sorted(texts(0, 1000) + texts(0, count + 100, 'new '))
    covered = sorted((i.first, i.next) for g in segment.segments(s.data) for i in g.intervals if i.log.startswith('kafka/'))
    assert covered[-1][1] <= max(1000, count + 100)


@pytest.mark.parametrize('count', [300, 1500])
def test_a_topic_made_again_while_running_is_read_whole(new_server, broker, topic, give, count):
    s = new_server('--seal-after', '1s', *flags(broker, topic), '--kafka-set', 'topic.metadata.refresh.interval.ms=300').start()
    give(0, 1000)
    wait_for(lambda: s.status()['store']['records'] >= 1000, what='1000 messages to be stored')
    broker.admin.delete(topic)
    wait_for(lambda: s.status()['kafka']['partitions'] == [], what='the deletion to be noticed')
    broker.admin.create(topic, 1)
    give(0, count, 'new ')
    wait_for(lambda: len(lines(s)) >= 1000 + count, 60, 'all of the new topic')
    assert lines(s) == sorted(texts(0, 1000) + texts(0, count, 'new '))
    assert_gap(s, topic, 1000, 0)


# --- whose position ---

def committed(broker, topic):
    """(offset, UUID, epoch) of the only partition's commit; None where there is none."""
    offset, said = broker.admin.group_offsets(topic).get((topic, 0), (-1, ''))
    m = re.fullmatch('(%s) ([0-9]+)' % UUID, said or '')
    return (offset, m.group(1), int(m.group(2))) if m else None


def uuid_of(server):
    return {s.uuid.hex() for s in segment.segments(server.data)}


def test_a_new_owner_claims_before_it_reads(new_server, broker, topic, give):
    """Its epoch is committed at the unchanged offset, although there is nothing to read; the former one comes back above it."""
    a = consumed(new_server, broker, topic, give)
    assert a.stop() == 0
    offset, first, epoch = committed(broker, topic)
    assert offset == 1000 and {first.replace('-', '')} == uuid_of(a) and epoch >= 1
    b = new_server(*flags(broker, topic)).start()
    wait_for(lambda: committed(broker, topic)[1] != first, what="the second store's claim")
    offset, second, higher = committed(broker, topic)
    assert (offset, higher) == (1000, epoch + 1)
    b.kill()
    a.start()
    wait_for(lambda: committed(broker, topic)[1] == first, what="the first store's claim")
    assert committed(broker, topic) == (1000, first, epoch + 2)
    give(1000, 1100)
    wait_for(lambda: rows(a) >= 1100, what='the rest')
    assert a.stop() == 0
    assert committed(broker, topic) == (1100, first, epoch + 2)
    epochs = [i.epoch for g in segment.segments(a.data) for i in g.intervals]
    assert epochs[-1] == epoch + 2 and epochs == sorted(epochs)


@pytest.mark.parametrize('offset', [10, 1050])
def test_offsets_that_somebody_else_reset_move_nothing(new_server, broker, topic, give, offset):
    """An operator's reset of the group's offsets, back or ahead, is a hint too: a store that has a position goes on there."""
    s = consumed(new_server, broker, topic, give)
    assert s.stop() == 0
    broker.admin.commit(topic, {(topic, 0): (offset, '')})
    give(1000, 1100)
    s.start()
    wait_for(lambda: rows(s) >= 1100, what='the rest')
    assert lines(s) == sorted(texts(0, 1100)) and gaps(s, topic) == []
    assert s.stop() == 0
    assert committed(broker, topic)[0] == 1100


def test_a_copied_store_is_another_store_and_reads_on_from_its_own_position(new_server, broker, topic, give):
    original = consumed(new_server, broker, topic, give)
    assert original.stop() == 0
    copy = new_server(*flags(broker, topic))
    shutil.copytree(original.data, copy.data)
    original.start()
    give(1000, 1400)
    wait_for(lambda: rows(original) >= 1400, what='the original to go on')
    assert original.stop() == 0
    assert committed(broker, topic)[0] == 1400
    copy.start()
    give(1400, 1500)
    wait_for(lambda: rows(copy) >= 1500, what='the copy to catch up from where it was copied')
    assert lines(copy) == sorted(texts(0, 1500)) and gaps(copy, topic) == []
    assert copy.stop() == 0
    assert len(uuid_of(original)) == 1 and len(uuid_of(copy)) == 2 and uuid_of(original) < uuid_of(copy)
    assert committed(broker, topic)[1].replace('-', '') in uuid_of(copy) - uuid_of(original)
    assert all(s.earlier == [bytes.fromhex(u) for u in uuid_of(original)] for s in segment.segments(copy.data) if s.uuid.hex() not in uuid_of(original))
    copy.start()
    assert copy.stop() == 0
    assert len(uuid_of(copy)) == 2, 'the same copy stays the same store'
    original.start()  # the copy is another store now, which went on: the rest of its messages are there
    give(1500, 1600)
    wait_for(lambda: rows(original) >= 1500, what='the original to go on')
    assert lines(original) == sorted(texts(0, 1400) + texts(1500, 1600))
