"""The server as an operator meets it: options, configuration, signals, the small endpoints."""
import resource, signal, subprocess

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
    assert server.get('/ready') == b'ready\n' and server.get('/healthz') == b'ok'
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


def test_open_segments_are_bounded(new_server):
    """Very many segments, few files, little memory: all is found, and then given back."""
    s = new_server('--seal-bytes', '64KiB', '--segment-cache', '128KiB', '--compact=off')  # merged, all of them would fit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        s.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with open('/proc/%d/limits' % s.process.pid) as f:
        limit = next(line.split()[3] for line in f if line.startswith('Max open files'))
    assert int(limit) == min(hard, 1 << 17)
    lines = ['{"_msg":"line %d of all","app":"a","pod":"p%d"}' % (i, i % 300) for i in range(60000)]
    for i in range(0, len(lines), 500):
        assert s.jsonline('\n'.join(lines[i:i + 500]).encode(), params='?_stream_fields=app,pod')[0] == 204
    wait_for(lambda: s.status()['store']['segments'] > 60, 60, 'segments')
    assert s.stop() == 0
    s.start()
    for pod in (0, 7, 299):
        assert s.export('{pod="p%d"}' % pod).count(b'\n') == 200
    assert s.export('{app="a"}').count(b'\n') == 60000
    wait_for(lambda: s.metric('logpond_segment_cache_bytes') <= 128 << 10, 10, 'memory given back')
    wait_for(lambda: 0 < s.metric('logpond_segments_open') < s.status()['store']['segments'], 10, 'some to be closed')
