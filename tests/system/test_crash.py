"""kill -9 and power loss: nothing acknowledged is lost, nothing is there twice. The long runs are the same code with larger numbers
(tests/crash/kill_loop.py, tests/crash/images.py)."""
import os, sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'crash'))
import images  # noqa: E402
import kill_loop  # noqa: E402


def test_kills_during_push_slow(tmp_path):
    r = kill_loop.run_http(str(tmp_path), kills=len(kill_loop.HTTP_STAGES), seed=11)
    print(r)
    assert kill_loop.good(r), r
    assert r['expected'] > 1000
    assert len(r['kills']) >= 11, 'the kills should fall into many stages: %r' % r
    assert r['merges'] >= 5, r


def test_kills_while_consuming_slow(tmp_path, broker):
    r = kill_loop.run_kafka(str(tmp_path), kills=10, seed=12, broker=broker, lines=220000)
    print(r)
    assert kill_loop.good(r), r


def test_kills_while_pushing_into_kafka_slow(tmp_path, broker):
    r = kill_loop.run_push(str(tmp_path), kills=8, seed=13, broker=broker)
    print(r)
    assert kill_loop.good(r), r
    assert r['expected'] > 1000 and r['answers'].get('-204', 0) > 0, r


@pytest.fixture
def fast_folder(tmp_path):
    """Memory where there is some: images are many small files."""
    return str(tmp_path)


def test_crash_images_of_the_journal_slow(fast_folder):
    r = images.run_journal(fast_folder, 100, seed=21)
    assert r['bad'] == 0, r
    assert r['commits'] >= 50 and r['acknowledged'] > 500, r


def test_crash_images_of_kafka_slow(fast_folder, broker):
    r = images.run_kafka(fast_folder, 8, seed=22, broker=broker)
    assert r['bad'] == 0, r
    assert r['commits'] >= 50, r


def test_a_catalog_that_is_gone_is_refused(new_server):
    s = new_server().start()
    assert s.jsonline(b'{"_msg":"kept","app":"a"}')[0] == 204
    assert s.stop() == 0
    segments = sorted(os.listdir(os.path.join(s.data, 'segments')))
    assert segments
    os.remove(os.path.join(s.data, 'catalog', 'data.mdb'))
    with pytest.raises(AssertionError, match='verify --rebuild'):
        s.start()
    assert sorted(os.listdir(os.path.join(s.data, 'segments'))) == segments


def test_a_second_process_is_refused(new_server):
    s = new_server().start()
    other = new_server()
    other.data = s.data
    with pytest.raises(AssertionError, match='another process is using the data folder'):
        other.start()
