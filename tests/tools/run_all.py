"""The steps of ./runtests, in order, with their output in build/logs and their counts added up. Called by ./runtests."""
import os, re, subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, 'build', 'logs')
JOBS = str(min(4, os.cpu_count() or 2))
PLAIN = ['--enable-werror', '--enable-test-hooks']
started = float(os.environ.get('LP_STARTED') or time.time())
total = {'passed': 0, 'failed': 0, 'skipped': 0}


def say(text):
    print('%5.0f s  %s' % (time.time() - started, text), flush=True)


def tail(path, n=60):
    with open(path, errors='replace') as f:
        sys.stdout.write(''.join(f.readlines()[-n:]))


def run(name, command, cwd, env=None, timeout=1500):
    """Runs a command with its output in a log; (exit status, the log's text)."""
    path = os.path.join(LOGS, name + '.log')
    with open(path, 'wb') as log:
        try:
            status = subprocess.call(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, **(env or {})), timeout=timeout)
        except subprocess.TimeoutExpired:
            status = 'took over %d s' % timeout
    with open(path, errors='replace') as f:
        return status, f.read()


counting = threading.Lock()


def count(name, status, text):
    with counting:
        return add_up(name, status, text)


def add_up(name, status, text):
    """Adds up every 'N passed, N failed' line and pytest's summary; a step that fails without counting counts as one failure."""
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    for line in text.split('\n'):
        m = re.match(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', line)
        if m:
            counts['passed'] += int(m.group(1))
            counts['failed'] += int(m.group(2))
            counts['skipped'] += int(m.group(3) or 0)
        elif re.match(r'^=+ .*\b(passed|failed|error|errors|skipped)\b.* in [\d.]+s.*=+$', line):
            for n, word in re.findall(r'(\d+) (passed|failed|errors?|skipped)', line):
                counts['failed' if word.startswith('error') else word] += int(n)
    if status != 0 and counts['failed'] == 0:
        counts['failed'] = 1
    for k in total:
        total[k] += counts[k]
    say('%-14s %d passed, %d failed%s' % (name, counts['passed'], counts['failed'], ', %d skipped' % counts['skipped'] if counts['skipped'] else ''))
    if status != 0:
        log = name.replace(' ', '-')
        print('--- %s failed (%s); the end of build/logs/%s.log:' % (name, status, log))
        tail(os.path.join(LOGS, log + '.log'), 120)
    for line in text.split('\n'):
        if line.startswith('SKIPPED'):
            print('         ' + line)
    return counts['failed'] == 0


def build(name, flags, targets, env=None):
    """Configures build/NAME and makes the targets. A failure ends the run: nothing can be tested then."""
    folder = os.path.join(ROOT, 'build', name)
    os.makedirs(folder, exist_ok=True)
    steps = []
    if not os.path.exists(os.path.join(ROOT, 'configure')):
        steps.append(('autogen', ['./autogen.sh'], ROOT))
    if not os.path.exists(os.path.join(folder, 'Makefile')):
        steps.append(('configure-' + name, ['../../configure', '-q'] + flags, folder))
    steps.append(('build-' + name, ['make', '-s', '-j' + JOBS] + targets, folder))
    for step, command, cwd in steps:
        status, _ = run(step, command, cwd, env)
        if status != 0:
            say('%s failed' % step)
            tail(os.path.join(LOGS, step + '.log'))
            total['failed'] += 1
            finish()
    say('built ' + name)
    return folder


def lint():
    for name, args in (('lint', []), ('lint-self', ['--self-test'])):
        status, text = run(name, ['/usr/bin/python3', 'tests/tidy.py'] + args, ROOT)
        if not re.search(r'^\d+ passed, \d+ failed', text, re.M):
            text += '\n%d passed, %d failed' % (status == 0, status != 0)
        count(name, status, text)


UNIT = ['unit-base', 'unit-store', 'unit-ingest', 'unit-query', 'unit-server', 'unit-client', 'unit-kube', 'replay-push', 'replay-journal', 'replay-otlp', 'replay-segment', 'replay-table', 'replay-http', 'replay-kube']


# Suites of codecs and of the language: one thread each, so there is no race to be found, and ThreadSanitizer makes them ten times as slow. The other builds run them.
THREADLESS = {'unit-store': ['-block', '-column', '-corpus', '-idindex', '-match', '-page'],
              'unit-query': ['-logql_text', '-logql_parse', '-logql_print', '-logql_match', '-logql_random', '-fields', '-pipe', '-acc', '-level', '-patterns',
                             '-template_query', '-template_funcs', '-gotime', '-decimal', '-metric_nodes']}


def unit(folder, name, env=None):
    """As many programs beside each other as there are processors; those that take longest begin first."""
    env = dict({'LP_TEST_DATA': os.path.join(ROOT, 'tests', 'data')}, **(env or {}))
    with ThreadPoolExecutor(int(JOBS)) as pool:
        ends = [(program, pool.submit(run, '%s-%s' % (name, program), ['./' + program] + (THREADLESS.get(program, []) if name == 'tsan' else []), folder, env)) for program in sorted(UNIT, key=lambda p: p != 'unit-store')]
        for program, end in ends:
            count('%s %s' % (name, program), *end.result())


def system(folder, name, env=None, select=None, files=('tests/system',)):
    """pytest over tests/system, with the binary of this build."""
    command = ['/usr/bin/python3', '-m', 'pytest', '-p', 'no:cacheprovider', '-q', '-ra', '--tb=short', *files]
    command += ['-k', select] if select else []
    status, text = run('system-' + name, command, ROOT, dict({'LOGPOND': os.path.join(folder, 'logpond'), 'LP_BUILD': folder}, **(env or {})))
    text = re.sub(r'^(\d+ (?:passed|failed|skipped|error).* in [\d.]+s.*)$', r'= \1 =', text, flags=re.M)
    count('system ' + name, status, text)


def halves():
    """The files of the system tests in two parts that take about as long."""
    files = sorted('tests/system/' + f for f in os.listdir(os.path.join(ROOT, 'tests', 'system')) if f.startswith('test_'))
    return files[0::2], files[1::2]


def run_jobs(jobs):
    """System tests: two jobs beside each other, as they wait more than they work; who is done takes the next."""
    def work():
        while jobs:
            system(*jobs.pop(0))
    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def fetch_kube():
    import kube
    for missing in kube.fetch():  # the tests that need it say so
        say('no %s' % missing)
    say('kubectl: %s' % (', '.join(kube.kubectls()) or 'none'))


def fetch_broker():
    import broker
    try:
        broker.fetch()
        say('Kafka broker is there')
    except Exception as e:  # offline: the tests that need it say so
        say('no Kafka broker: %s' % e)


def finish():
    line = '%(passed)d passed, %(failed)d failed' % total
    print(line + (', %d skipped' % total['skipped'] if total['skipped'] else ''), flush=True)
    sys.exit(1 if total['failed'] or not total['passed'] else 0)


# The sanitizer builds run the unit tests and those system tests that reach every path once; the long ones run plain.
SANITIZED = 'not corpus and not slow and not both_logs and not made_again and not kafka_broker and not test_kubectl and not kube_clients'
ASAN = {'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=0:exitcode=99', 'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1', 'LP_TEST_SLOW': '4'}
ONE_THREAD = ' and not test_cli.py and not test_logs_cli.py'  # which the thread sanitizer has nothing to say about
TSAN = {'TSAN_OPTIONS': 'halt_on_error=0:exitcode=66:suppressions=' + os.path.join(ROOT, 'tests', 'tools', 'tsan.supp'), 'LP_TEST_SLOW': '6'}


def main():
    os.makedirs(LOGS, exist_ok=True)
    steps = sys.argv[1:] or ['lint', 'unit', 'system', 'asan', 'tsan']
    targets = ['logpond', 'http-probe'] + UNIT
    if 'lint' in steps:
        lint()
    jobs = []
    if 'unit' in steps or 'system' in steps:
        folder = build('test', PLAIN + ['--enable-debug'], targets)
        if 'unit' in steps:
            unit(folder, 'plain')
        if 'system' in steps:
            jobs.append((folder, 'plain'))
    for name, env, flag in (('asan', ASAN, '--enable-asan'), ('tsan', TSAN, '--enable-tsan')):
        if name in steps:
            folder = build(name, PLAIN + [flag, 'CFLAGS=-O1 -g', 'CXXFLAGS=-O1 -g'], targets)
            unit(folder, name, env)
            select = SANITIZED + (ONE_THREAD if name == 'tsan' else '')
            jobs += [(folder, '%s-%d' % (name, i + 1), env, select, files) for i, files in enumerate(halves())]
    if jobs:
        sys.path.insert(0, os.path.join(ROOT, 'tests', 'tools'))
        fetch_broker()
        fetch_kube()
    run_jobs(jobs)
    finish()


if __name__ == '__main__':
    main()
