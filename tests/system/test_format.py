"""A store that an earlier version left (tests/data/format, made by tests/fuzz/seeds.py) must be read for ever, its journal included."""
import json, lzma, os, random, shutil

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FORMAT = os.path.join(ROOT, 'tests', 'data', 'format')


@pytest.mark.parametrize('version', sorted(os.listdir(FORMAT)))
def test_a_store_of_an_earlier_version_is_read(new_server, version):
    server = new_server()
    shutil.copytree(os.path.join(FORMAT, version, 'data'), server.data)
    path = os.path.join(FORMAT, version, 'export.jsonl')
    with open(path, 'rb') if os.path.exists(path) else lzma.open(path + '.xz') as f:
        expected = sorted(f.read().split(b'\n'))
    for _ in range(2):  # as it was left, and sealed by this version
        server.start()
        found = server.export('{}', 'jsonl') + server.export('{__quarantine__=~".+"}', 'jsonl')
        assert sorted(found.split(b'\n')) == expected
        assert server.stop() == 0


def needles(rng, lines, n):
    """Pieces of lines, and such that are in none."""
    for i in range(n):
        line = rng.choice(lines)
        at = rng.randrange(len(line))
        piece = line[at:at + rng.randrange(1, 20)]
        yield piece + 'q' if i % 5 == 4 else piece


def found(server, query):
    """The lines that are text, sorted."""
    rows = [json.loads(line) for line in server.export(query, 'jsonl').split(b'\n')[:-1]]
    return sorted(r['line'] for r in rows if 'line' in r and 'line_b64' not in r)


@pytest.mark.parametrize('version', sorted(os.listdir(FORMAT)))
def test_a_store_of_an_earlier_version_is_searched(new_server, version):
    server = new_server()
    shutil.copytree(os.path.join(FORMAT, version, 'data'), server.data)
    server.start()
    lines, wrong = found(server, '{app=~".+"}'), []
    for needle in needles(random.Random(3), [line for line in lines if line], 60):
        for operator, holds in (('|=', True), ('!=', False)):
            want = [line for line in lines if (needle in line) == holds]
            wrong += [(operator, needle)] * (found(server, '{app=~".+"} %s %s' % (operator, json.dumps(needle))) != want)
    assert len(lines) > 300 and wrong == []
