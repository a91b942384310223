"""node.py - the Logpond that is measured: start, wait, ask, end; its CPU time is that of its whole life (wait4).

One Node is one process over one data folder. The functions raise BenchError with the log's place when the server does what it should not.
"""
import http.client, json, os, re, signal, subprocess, time, urllib.parse

from .measure import BenchError, Memory, Profile, on_disk

ALL_TIME = {'start': 0, 'end': 4102444800}


class Node:
    def __init__(self, binary, folder, flags=(), name='server'):
        self.binary, self.flags, self.data = binary, list(flags), os.path.join(folder, 'data')
        self.folder, self.log = folder, os.path.join(folder, name + '.log')
        self.process = self.memory = self.profile = None

    def start(self, profile=False):
        """Started and ready; memory is sampled from the first moment on."""
        with open(self.log, 'w') as out:
            self.process = subprocess.Popen([self.binary, 'serve', '--data', self.data, '--listen', '127.0.0.1:0'] + self.flags, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.memory = Memory(self.process.pid)
        self.memory.start()
        self.profile = Profile(self.process.pid, self.folder) if profile else None
        self.address = self.wait_for(self.listening, 60, 'to listen')
        self.wait_for(lambda: self.get('/ready')[0] == 200, 120, 'to be ready')
        return self

    def listening(self):
        with open(self.log, errors='replace') as f:
            m = re.search(r'listening on http://([\d.]+):(\d+)', f.read())
        return m and (m.group(1), int(m.group(2)))

    def wait_for(self, condition, seconds, what, interval=0.02):
        deadline = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None:
                raise BenchError('the server ended with %s: see %s' % (self.process.returncode, self.log))
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise BenchError('waited %d s for the server %s: see %s' % (seconds, what, self.log))
            time.sleep(interval)

    def get(self, path, timeout=120, **params):
        """(status, body)."""
        c = http.client.HTTPConnection(*self.address, timeout=timeout)
        try:
            c.request('GET', path + ('?' + urllib.parse.urlencode(params) if params else ''))
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def json(self, path, **params):
        status, body = self.get(path, **params)
        if status != 200:
            raise BenchError('%s was answered %d: %s' % (path, status, body[:300].decode('utf8', 'replace')))
        return json.loads(body)

    def rows(self):
        """Records that were taken: stored ones and those of the head."""
        status = self.json('/admin/status')
        return status['store']['records'] + status['head']['rows']

    def compact(self):
        """Has everything stored rewritten into final files, and waits for it."""
        c = http.client.HTTPConnection(*self.address, timeout=120)
        try:
            c.request('POST', '/admin/compact')
            r = c.getresponse()
            body = r.read()
        finally:
            c.close()
        if r.status != 202:
            raise BenchError('/admin/compact was answered %d: %r' % (r.status, body[:300]))
        request = json.loads(body)['request']
        self.wait_for(lambda: self.json('/admin/status')['compaction']['answered'] >= request, 3600, 'to merge everything', interval=0.05)
        problem = self.json('/admin/status')['compaction']['problem']
        if problem:
            raise BenchError('merging failed: ' + problem)

    def stop(self):
        """A clean end, which seals what is left: the CPU time and memory of the process, and what lies on the disk."""
        self.process.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.memory.stop()
        if self.process.returncode != 0:
            raise BenchError('the server ended with %d: see %s' % (self.process.returncode, self.log))
        segments, catalog = os.path.join(self.data, 'segments'), os.path.join(self.data, 'catalog')
        return {'cpu_s': round(usage.ru_utime + usage.ru_stime, 3), 'user_s': round(usage.ru_utime, 3), 'system_s': round(usage.ru_stime, 3),
                'rss_anon_peak_bytes': self.memory.peak, 'vm_hwm_bytes': self.memory.hwm, 'segments': len(os.listdir(segments)),
                'segment_bytes': on_disk(segments), 'stored_bytes': on_disk(segments) + on_disk(catalog)}

    def kill(self):
        """Ends it whatever it does; no figures."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            self.process.wait()
            self.memory.stop()


def stored_records(binary, folder, selector='{app=~".+"}'):
    """The records of a store, counted by a server of its own: the measured one has ended."""
    node = Node(binary, folder, name='count')
    try:
        return node.start().json('/loki/api/v1/index/stats', query=selector, **ALL_TIME)['entries']
    finally:
        node.kill()


def version(binary):
    return subprocess.run([binary, 'version'], check=True, capture_output=True, text=True).stdout.strip()
