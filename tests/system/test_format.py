"""A store that an earlier version left (tests/data/format, made by tests/fuzz/seeds.py) must be read for ever, its journal included."""
import json, lzma, os, random, shutil, subprocess, time

import pytest

from server import BINARY, SLOW

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FORMAT = os.path.join(ROOT, 'tests', 'data', 'format')


@pytest.mark.parametrize('version', sorted(os.listdir(FORMAT)))
def test_a_store_of_an_earlier_version_is_read(new_server, version):
    server = new_server('--compact=off')
    shutil.copytree(os.path.join(FORMAT, version, 'data'), server.data)
    path = os.path.join(FORMAT, version, 'export.jsonl')
    with open(path, 'rb') if os.path.exists(path) else lzma.open(path + '.xz') as f:
        expected = sorted(f.read().split(b'\n'))
    for _ in range(2):  # as it was left, and sealed by this version
        server.start()
        found = server.export('{}', 'jsonl') + server.export('{__quarantine__=~".+"}', 'jsonl')
        assert sorted(found.split(b'\n')) == expected
        assert server.stop() == 0


@pytest.mark.parametrize('version', sorted(os.listdir(FORMAT)))
def test_what_an_earlier_version_received_stays_a_day(tmp_path, version):
    """Its catalog does not say when segments were sealed; their headers do."""
    data = str(tmp_path / 'data')
    shutil.copytree(os.path.join(FORMAT, version, 'data'), data)
    os.makedirs(os.path.join(data, 'lost+found'), exist_ok=True)
    folder = os.path.join(data, 'segments')
    created = []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'rb') as f:
            created.append(int.from_bytes(f.read(64)[48:56], 'little') / 10**9)

    def retain(at):
        env = dict(os.environ, LP_CLOCK_OFFSET=str(int(at - time.time())))
        p = subprocess.run([BINARY, 'retain', '--data', data, '--retention', 'age=1h', '--json'], env=env, capture_output=True, timeout=60 * SLOW)
        assert p.returncode == 0, p
        return json.loads(p.stdout)['goes']['rows']
    assert retain(min(created) + 20 * 3600) == 0
    assert retain(max(created) + 40 * 86400) > 200


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


@pytest.mark.parametrize('merged', [False, True], ids=['asleft', 'merged'])
@pytest.mark.parametrize('version', sorted(os.listdir(FORMAT)))
def test_a_store_of_an_earlier_version_is_searched(new_server, version, merged):
    server = new_server(*[] if merged else ['--compact=off'])
    shutil.copytree(os.path.join(FORMAT, version, 'data'), server.data)
    server.start()
    if merged:
        assert subprocess.run([BINARY, 'compact', '--server', 'http://' + server.address], timeout=60 * SLOW).returncode == 0
    lines, wrong = found(server, '{app=~".+"}'), []
    for needle in needles(random.Random(3), [line for line in lines if line], 60):
        for operator, holds in (('|=', True), ('!=', False)):
            want = [line for line in lines if (needle in line) == holds]
            wrong += [(operator, needle)] * (found(server, '{app=~".+"} %s %s' % (operator, json.dumps(needle))) != want)
    assert len(lines) > 300 and wrong == []
