"""Searches for ids in sealed blocks, which the id index may exclude. Oracle: the lines that were pushed."""
import json, random, string

import pytest

import segment
from test_query_api import BASE, lines, push

KINDS = [(letters, n) for letters, lengths in (('0123456789abcdef', [4, 7, 8, 9, 16, 32]), ('0123456789ABCDEF', [7, 8, 12]), (string.digits, [3, 8, 19, 20]),
                                               (string.ascii_letters + string.digits, [5, 6, 11, 64, 65, 90]), (string.ascii_lowercase, [5, 6, 20])) for n in lengths]


def records(rng):
    """{app: lines}: each app is a block; of each kind of id, those that are in the index and those that just are not, there is a table."""
    return {'a%d' % app: ['%s id=%s end %d' % ('-' * form, ''.join(rng.choices(letters, k=n)), i) for form, (letters, n) in enumerate(KINDS) for i in range(60)]
            for app in range(6)}


def ids_of(rng, made, n):
    for _ in range(n):
        line = rng.choice(made[rng.choice(sorted(made))])
        yield line.split('id=')[1].split(' ')[0]


def ask_all(server, made, rng, n):
    """Searches for whole ids, ids with what stands around them, parts of them, ids that are not there; in either case and direction, over all and a part."""
    wrong = []
    for i, one in enumerate(ids_of(rng, made, n)):
        needle = [one, 'id=%s' % one, 'id=%s ' % one, one[1:], one[:-1] + 'z', one.upper(), one.lower()][i % 7]
        first, end = [(0, 10**6), (200, 1003)][i % 2]
        some = [line for v in made.values() for line in v[first:end]]
        how = {'start': BASE + first * 10**6, 'end': BASE + end * 10**6, 'direction': ['backward', 'forward'][i // 2 % 2]}
        want = sorted(line for line in some if needle in line)
        if sorted(lines(server, '{app=~".+"} |= %s' % json.dumps(needle), **how)) != want:
            wrong.append((needle, how))
        want = sorted(line for line in some if needle.lower() in line.lower())
        if sorted(lines(server, '{app=~".+"} |~ %s' % json.dumps('(?i)' + needle), **how)) != want:
            wrong.append(('(?i)' + needle, how))
    return wrong


@pytest.fixture
def stored(new_server):
    """A server stopped with one segment of several blocks, and what is in it."""
    made = records(random.Random(8))
    server = new_server().start()
    for app, v in made.items():
        push(server, [({'app': app}, [(BASE + i * 10**6, line) for i, line in enumerate(v)])])
    assert server.stop() == 0
    return server, made


def test_ids_are_found_in_the_blocks_that_have_them(stored):
    server, made = stored
    (whole,) = segment.segments(server.data)
    assert sum(1 for _ in whole.rows()) == sum(map(len, made.values()))
    assert whole.seen['ids'] > 1000 and len(whole.blocks) == len(made)
    server.start()
    assert ask_all(server, made, random.Random(9), 210) == []


def test_with_a_damaged_index_everything_is_found(stored):
    server, made = stored
    (whole,) = segment.segments(server.data)
    codec, offset, size, _, _ = whole.sections['IDIX']
    with open(whole.path, 'r+b') as f:
        f.seek(offset)
        data = bytearray(f.read(size))
        for at in range(100, size, 50):  # its buckets; the head stays
            data[at] ^= 1
        f.seek(offset)
        f.write(data)
    server.start()
    assert ask_all(server, made, random.Random(10), 70) == []
