"""measure.py - CPU time, memory and wall time of processes, and the yardsticks that make them comparable between machines.

Y1 is the CPU time of `zstd -1 -c raw >/dev/null`, Y2 the wall time of `zstd -dc raw.1.zst | rg -c -F NEEDLE`; both the best of some,
measured over the same raw messages in the same run as what is compared with them. Where only a sample of the messages is at hand
(generated work), both are scaled by bytes.
"""
import os, resource, shutil, statistics, subprocess, sys, threading, time


class BenchError(Exception):
    """Something that makes a figure worthless: wrong counts, a server that ended, a tool that failed."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


def child_cpu(command, stdin=None):
    """CPU seconds of a command and what it waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=stdin, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def into_page_cache(paths):
    for path in paths:
        with open(path, 'rb', buffering=0) as f:
            while f.read(1 << 20):
                pass


def on_disk(folder):
    """Bytes that the files of a folder take on the disk."""
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in os.listdir(folder)) if os.path.isdir(folder) else 0


class Yardsticks:
    """Y1 and Y2 over sample_bytes of raw messages, for work of work_bytes of them. Each is the least of its samples, which are taken all
    through a run: other work on the machine slows both the yardstick and what is measured, and the least of each is what it disturbed least."""

    def __init__(self, y1_cpu_s, y2_wall_s, sample_bytes, zstd1_bytes=0, work_bytes=None, paths=None, needle=None):
        self.y1_samples, self.y2_samples, self.sample_bytes, self.zstd1_bytes = list(y1_cpu_s), list(y2_wall_s), sample_bytes, zstd1_bytes
        self.scale, self.paths, self.needle = (work_bytes or sample_bytes) / sample_bytes, paths, needle

    def y1_cpu_s(self):
        return min(self.y1_samples)

    def y2_wall_s(self):
        return min(self.y2_samples)

    def again(self):
        """One more sample of each."""
        self.y1_samples.append(child_cpu(['zstd', '-q', '-1', '-c', self.paths[0]]))
        self.y2_samples.append(grep_wall(self.paths[1], self.needle))

    def over_y1(self, cpu_s):
        return round(cpu_s / (self.y1_cpu_s() * self.scale), 3)

    def over_y2(self, ms):
        return round(ms / 1000 / (self.y2_wall_s() * self.scale), 4)

    def spread(self):
        """The worst sample of Y1 over the best: near 1 on a quiet machine."""
        return max(self.y1_samples) / min(self.y1_samples)

    def json(self):
        return {'y1_cpu_s': round(self.y1_cpu_s(), 4), 'y2_wall_s': round(self.y2_wall_s(), 4), 'y2_tool': search_tool(), 'y1_spread': round(self.spread(), 3),
                'y1_samples': [round(v, 4) for v in self.y1_samples], 'y2_samples': [round(v, 4) for v in self.y2_samples],
                'sample_bytes': self.sample_bytes, 'zstd1_bytes': self.zstd1_bytes, 'scale': round(self.scale, 4)}


def search_tool():
    """The search tool of Y2: ripgrep, else grep (which makes Y2 another yardstick: the result names it)."""
    return 'rg' if shutil.which('rg') else 'grep'


def grep_wall(packed, needle):
    """Wall seconds of unpacking and searching once."""
    begin = time.monotonic()
    unpack = subprocess.Popen(['zstd', '-q', '-dc', packed], stdout=subprocess.PIPE)
    found = subprocess.run([search_tool(), '-c', '-F', needle], stdin=unpack.stdout, stdout=subprocess.PIPE)
    unpack.stdout.close()
    if unpack.wait() != 0 or int(found.stdout or 0) < 1:
        raise BenchError('the needle of Y2 was not found in ' + packed)
    return time.monotonic() - begin


def measure_yardsticks(raw, needle, folder, work_bytes=None, repeats=3):
    """Yardsticks over the file `raw`; the needle must be in it. Leaves raw.1.zst in the folder."""
    if not shutil.which('zstd'):
        raise BenchError('the yardsticks need the program zstd')
    into_page_cache([raw])
    packed = os.path.join(folder, 'raw.1.zst')
    subprocess.run(['zstd', '-q', '-f', '-1', '-o', packed, raw], check=True)
    yards = Yardsticks([], [], os.path.getsize(raw), os.path.getsize(packed), work_bytes, (raw, packed), needle)
    for _ in range(repeats):
        yards.again()
    return yards


class Memory(threading.Thread):
    """Peak RssAnon of a process, sampled; its high-water mark by the kernel's own count."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path, self.peak, self.hwm, self.done = '/proc/%d/status' % pid, 0, 0, threading.Event()

    def run(self):
        while not self.done.wait(0.02):
            try:
                with open(self.path) as f:
                    kib = dict((line.split(':')[0], int(line.split()[1])) for line in f if line.startswith(('RssAnon:', 'VmHWM:')))
            except OSError:
                return
            if kib:  # a process that ends has none
                self.peak, self.hwm = max(self.peak, kib['RssAnon'] << 10), max(self.hwm, kib['VmHWM'] << 10)

    def stop(self):
        self.done.set()
        self.join()


class Profile:
    """perf over a running process, its flat profile at the end. Nothing without perf."""

    def __init__(self, pid, folder):
        self.path = os.path.join(folder, 'perf.data')
        self.process = None
        if shutil.which('perf'):
            self.process = subprocess.Popen(['perf', 'record', '-q', '-F', '499', '-p', str(pid), '-o', self.path], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 30
            while not (os.path.exists(self.path) and os.path.getsize(self.path)) and self.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)  # it has attached to the threads when it begins to write

    def result(self, n=30):
        """The shares of functions (what a library does not name is one row) and of threads, after the process has ended (perf ends with it)."""
        if self.process is None:
            return {'symbols': [], 'threads': []}
        self.process.wait()
        symbols = {}
        for percent, rest in self.report('overhead,dso,sym'):
            dso, _, symbol = rest.partition(' ')
            symbol = symbol.strip()[4:]  # behind "[.] " or "[k] "
            key = (dso, '(unnamed)' if symbol.startswith('0x') else symbol)
            symbols[key] = symbols.get(key, 0) + percent
        rows = sorted(symbols.items(), key=lambda item: -item[1])[:n]
        return {'symbols': [{'percent': round(v, 2), 'object': dso, 'symbol': symbol} for (dso, symbol), v in rows],
                'threads': [{'percent': percent, 'name': name} for percent, name in self.report('overhead,comm')]}

    def report(self, fields):
        """[(percent, the rest of the line)]"""
        text = subprocess.run(['perf', 'report', '-i', self.path, '--stdio', '-q', '--no-children', '-F', fields, '-s', fields.partition(',')[2]], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        rows = [line.split(None, 1) for line in text.split('\n') if '%' in line]
        return [(float(r[0].rstrip('%')), r[1].strip()) for r in rows if len(r) == 2]
