"""The server as an operator meets it: options, configuration, signals, the small endpoints."""
import signal, subprocess

from server import BINARY, wait_for


def serve(*args):
    return subprocess.run([BINARY, 'serve'] + list(args), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def test_reload_takes_what_it_can_and_names_the_rest(new_server, tmp_path):
    config = tmp_path / 'c.yaml'
    config.write_text('push-wait: 5s\n')
    s = new_server('--config', str(config)).start()
    config.write_text('push-wait: 7s\nseal-bytes: 1MiB\n')
    s.process.send_signal(signal.SIGHUP)
    wait_for(lambda: 'settings reloaded; these need a restart: seal-bytes' in s.tail(), 10, 'the reload')
    assert b'push-wait: 7s' in s.get('/config')
    config.write_text('push-wait: never\n')
    s.process.send_signal(signal.SIGHUP)
    wait_for(lambda: 'settings were not reloaded' in s.tail(), 10, 'the refusal')
    assert s.stop() == 0


def test_flags_win_over_the_file(tmp_path):
    config = tmp_path / 'c.yaml'
    config.write_text('listen: 127.0.0.1:1\nseal_bytes: 1MiB\n')
    out = serve('--config', str(config), '--listen', '127.0.0.1:2', '--print-config')
    assert out.returncode == 0 and 'listen: "127.0.0.1:2"' in out.stdout and 'seal-bytes: 1MiB' in out.stdout


def test_wrong_options_are_told(tmp_path):
    for args, text in ((['--nonsense'], 'unknown option --nonsense'), (['--seal-bytes', 'much'], 'seal-bytes'), (['--listen'], 'needs a value'),
                       (['--config', str(tmp_path / 'none')], 'none')):
        out = serve(*args)
        assert out.returncode == 2 and text in out.stderr, (args, out)


def test_a_taken_port_is_told(new_server, server):
    out = serve('--data', server.data + '-other', '--listen', server.address)
    assert out.returncode == 1 and 'in use' in out.stderr.lower()


def test_small_endpoints(server):
    assert server.get('/ready') == b'ready\n' and server.get('/healthz') == b'ok\n'
    assert server.json('/loki/api/v1/status/buildinfo')['version'] >= '3.2'
    assert server.jsonline(b'{"_msg":"one","app":"a"}')[0] == 204
    assert server.metric('logpond_ingest_records_total') == 1
    st = server.status()
    assert st['ready'] and st['head']['rows'] == 1 and st['log'] == 'journal'


def test_sigterm_seals(new_server):
    s = new_server().start()
    assert s.jsonline(b'{"_msg":"one","app":"a"}')[0] == 204
    assert s.stop() == 0
    s.start()
    st = s.status()
    assert st['store']['records'] == 1 and st['head']['rows'] == 0
