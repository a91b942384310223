"""A store that an earlier version left (tests/data/format, made by tests/fuzz/seeds.py) must be read for ever, its journal included."""
import lzma, os, shutil

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
