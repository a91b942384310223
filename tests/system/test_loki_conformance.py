"""Answers of a real Loki (tests/data/conformance/loki) and ours, group by group: once out of memory, once out of segments."""
import hashlib, http.client, json, os, subprocess, sys

import pytest

from server import ROOT, Server, SLOW

DATA = os.path.join(ROOT, 'tests', 'data', 'conformance', 'loki')
sys.path.insert(0, DATA)
import check  # noqa: E402

CASES = check.load(os.path.join(DATA, 'cases'))
GROUPS = sorted({c['group'] for c in CASES})
CORPUS_SHA256 = 'ba43b449cc6279b25666968cb113051e8960d76bbed513f5bd653e0d2f0fc3e9'


@pytest.fixture(scope='module')
def corpus(tmp_path_factory):
    """The bodies to be pushed: always the same bytes."""
    folder = str(tmp_path_factory.mktemp('corpus'))
    subprocess.run([sys.executable, os.path.join(DATA, 'gen_corpus.py'), folder], check=True, stdout=subprocess.DEVNULL)
    sha = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), 'rb') as f:
            sha.update(f.read())
    assert sha.hexdigest() == CORPUS_SHA256
    return folder


# Loki gives these equal times in an order that follows from nothing (docs/loki-compatibility.md); ours is that of arrival.
EQUAL_TIMES_MOVE = {'bulk-007', 'categorize-009'}


def by_time_and_line(text):
    answer = json.loads(text)
    for stream in answer['data']['result']:
        stream['values'].sort(key=lambda v: (v[0], json.dumps(v[1:], sort_keys=True)))
    return answer


def client_of(server):
    return check.Client('http://' + server.address, timeout=60 * SLOW)


@pytest.fixture(scope='module', params=['head', 'segments'])
def loki(request, corpus, tmp_path_factory):
    """A server with the corpus. We keep what is pushed twice, Loki does not: repeats are left out."""
    server = Server(str(tmp_path_factory.mktemp('loki')), '--reserve-bytes', '0').start()
    try:
        assert check.push(client_of(server), corpus, None, 30 * SLOW, drop_repeats=True)
        if request.param == 'segments':
            assert server.stop() == 0
            server.start()
        yield server
        assert server.process.poll() is None, 'the server ended: ' + server.tail()
    finally:
        server.kill()


def failure(client, case):
    """None, or why the answer is another than Loki's."""
    try:
        status, text = check.run_case(client, case)
        if case['id'] in EQUAL_TIMES_MOVE:
            case, text = dict(case, response=by_time_and_line(json.dumps(case['response']))), json.dumps(by_time_and_line(text))
        return check.judge(case, status, text)[0]
    except (OSError, http.client.HTTPException) as e:
        client.close()
        return 'no answer: %s: %s' % (type(e).__name__, e)


@pytest.mark.parametrize('group', GROUPS)
def test_answers_as_loki(loki, group):
    client = client_of(loki)
    cases = [c for c in CASES if c['group'] == group]
    failed = ['%s  %s' % (c['id'], why) for c, why in ((c, failure(client, c)) for c in cases) if why is not None]
    client.close()
    assert not failed, '%d of %d:\n%s' % (len(failed), len(cases), '\n'.join(failed))


def test_the_judge_sees_differences():
    """A checker that passes everything would prove nothing."""
    for case in CASES:
        if case['status'] != 200:
            assert check.judge(case, 200, '{"status":"success","data":["x"]}')[0], case['id']
            continue
        assert check.judge(case, 500, 'x')[0], case['id']
        assert check.judge(case, 200, '{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[]}]}}')[0], case['id']
