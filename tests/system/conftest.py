"""Fixtures of the system tests: `server` (a started one, with its own data folder), `new_server` (make your own), `broker` (a real Kafka)."""
import contextlib, os, sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools'))
import broker as broker_tool  # noqa: E402
import kube  # noqa: E402
from server import Server  # noqa: E402

SHARED = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))), 'shared')


@contextlib.contextmanager
def servers(place):
    """make(*flags, env=None): a Server in its own folder; all are killed at the end."""
    made = []

    def make(*flags, env=None, name=None):
        folder = place / (name or 's%d' % len(made))
        folder.mkdir(exist_ok=True)
        made.append(Server(str(folder), *flags, env=env))
        return made[-1]
    yield make
    for s in made:
        s.kill()
        reserve = os.path.join(s.data, 'reserve')  # 64 MiB each: pytest keeps the folders of three runs
        if os.path.exists(reserve):
            os.remove(reserve)


@pytest.fixture
def new_server(tmp_path):
    """new_server(*flags, env=None) makes a Server in its own folder; all are killed at the end."""
    with servers(tmp_path) as make:
        yield make


@pytest.fixture(scope='module')
def module_server(tmp_path_factory):
    """The same for servers that the tests of a module share."""
    with servers(tmp_path_factory.mktemp('servers')) as make:
        yield make


@pytest.fixture
def server(new_server):
    s = new_server().start()
    yield s
    assert s.process is None or s.process.poll() is None, 'the server ended: ' + s.tail()


@pytest.fixture(scope='session')
def broker(tmp_path_factory):
    if not broker_tool.available():
        if os.environ.get('CI') == 'true':
            pytest.fail('with CI=true the real-broker tests may not be skipped, but the broker or Java is missing')
        pytest.skip('no Kafka broker: Java or the jars are missing (./runtests gets them)')
    b = broker_tool.Broker(str(tmp_path_factory.mktemp('broker'))).start()
    yield b
    b.stop()


@pytest.fixture(scope='session')
def shared():
    """The folder with corpus and fixtures beside the repository."""
    if not os.path.isdir(os.path.join(SHARED, 'corpus')):
        pytest.skip('no ../shared/corpus beside the repository')
    return SHARED


def missing(what):
    """Skips, where tests may be skipped."""
    if os.environ.get('CI') == 'true':
        pytest.fail('with CI=true tests may not be skipped, but there is no ' + what)
    pytest.skip('no %s (./runtests gets it)' % what)


def pytest_generate_tests(metafunc):
    if 'kubectl_path' in metafunc.fixturenames:
        found = kube.kubectls()
        metafunc.parametrize('kubectl_path', list(found.values()) or [None], ids=list(found) or ['none'], scope='module')


@pytest.fixture(scope='module')
def kubectl(kubectl_path, tmp_path_factory):
    """kubectl(server, namespace='shop'): a Kubectl, for each program of that name that is there; discovery is kept for each server."""
    if kubectl_path is None:
        missing('kubectl')
    home = tmp_path_factory.mktemp('kubectl')
    return lambda server, **more: kube.Kubectl(kubectl_path, server.address, str(home), **more)
