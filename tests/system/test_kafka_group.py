"""Several instances in one consumer group: what they store together is each message once, whoever comes, goes, dies or freezes."""
import collections, os, sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'crash'))
import membership  # noqa: E402

MESSAGES = {0: {o: b'message %d' % o for o in range(60)}}
ENDS = {0: (0, 60)}


def pair(store, generation, first, next_, epoch, rows=None):
    return membership.Pair(store, generation, 0, first, next_, epoch, collections.Counter(range(first, next_) if rows is None else rows))


# a's last interval was read again by b, which took over from a's commit at 20; a went on later
GROUP = [pair('a', 1, 0, 20, 1), pair('a', 2, 20, 40, 1), pair('b', 1, 20, 35, 2), pair('b', 2, 35, 50, 2), pair('a', 3, 50, 60, 3)]


def judge(pairs):
    return membership.judge(pairs, MESSAGES, ENDS)


def test_overlaps_of_whole_pairs_are_cut_by_epoch():
    problems, figures = judge(GROUP)
    assert problems == [] and figures == {'pairs': 5, 'overlaps': 2, 'cut': 1}


@pytest.mark.parametrize('change, complaint', [
    (lambda g: g[:2] + g[3:], 'a hole'),
    (lambda g: g[:4], 'no pair ends at 60'),
    (lambda g: g[1:], 'a hole'),
    (lambda g: g[:3] + [pair('b', 2, 35, 50, 2, [o for o in range(35, 50) if o != 41])] + g[4:], 'missing: 41'),
    (lambda g: g[:3] + [pair('b', 2, 35, 50, 2, list(range(35, 50)) + [36])] + g[4:], 'twice: 36'),
    (lambda g: g[:3] + [pair('b', 2, 35, 50, 2, range(35, 52))] + g[4:], 'outside the interval: 50-51'),
    (lambda g: g[:1] + [pair('a', 2, 20, 55, 1)] + g[2:], 'in one store'),
    (lambda g: g[:4] + [pair('b', 3, 50, 60, 3), g[4]], 'equal epochs'),
])
def test_the_judge_complains(change, complaint):
    problems, _ = judge(change(list(GROUP)))
    assert any(complaint in p for p in problems), problems


def test_members_come_go_die_and_freeze_slow(broker, tmp_path):
    """Twenty changes, and more until a member was taken for dead; tests/crash/membership.py makes as many as one likes."""
    result, problems = membership.run(str(tmp_path), 20, seed=7, broker=broker)
    assert not problems, '\n'.join(problems[:20]) + '\nkept: ' + str(tmp_path)
    assert result['events']['lost'] > 0 and result['done']['killed'] > 0, result
