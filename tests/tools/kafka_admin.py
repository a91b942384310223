"""Administration of a Kafka broker over its own protocol: topics, records, group offsets with their metadata.

The broker's shell tools cost a second of JVM start a call and do not show the metadata string of a group's commits, so this
speaks the few requests that tests need, in versions that Kafka 2.4 to 4.x take (without tagged fields).
Each call opens its own connection. An error code of the broker raises KafkaError.
"""
import socket, struct, time

RETRIED = {3: 'unknown topic or partition', 5: 'leader not available', 6: 'not leader', 14: 'coordinator loading', 15: 'coordinator not available',
           16: 'not coordinator', 7: 'request timed out', 8: 'broker not available', 41: 'not controller',
           38: 'all brokers are fenced'}
CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, CREATE_PARTITIONS, METADATA, LIST_OFFSETS = 19, 20, 21, 37, 3, 2
OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS = 8, 9, 10, 15


class KafkaError(Exception):
    def __init__(self, code, what):
        super().__init__('%s: error %d %s' % (what, code, RETRIED.get(code, '')))
        self.code = code


def string(s):
    return struct.pack('>h', -1) if s is None else struct.pack('>h', len(s.encode())) + s.encode()


def array(items):
    return struct.pack('>i', -1) if items is None else struct.pack('>i', len(items)) + b''.join(items)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        value = struct.unpack_from('>' + fmt, self.data, self.at)[0]
        self.at += struct.calcsize('>' + fmt)
        return value

    def i16(self):
        return self.take('h')

    def i32(self):
        return self.take('i')

    def i64(self):
        return self.take('q')

    def blob(self, n):
        self.at += max(n, 0)
        return None if n < 0 else self.data[self.at - n:self.at]

    def text(self):
        b = self.blob(self.i16())
        return None if b is None else b.decode()

    def list(self, item):
        return [item() for _ in range(self.i32())]


class Admin:
    """address: HOST:PORT of any broker of the cluster, on a listener without encryption or passwords."""

    def __init__(self, address, timeout=20):
        self.address, self.timeout = address, timeout

    def call(self, key, version, body, address=None):
        host, port = (address or self.address).rsplit(':', 1)
        message = struct.pack('>hhi', key, version, 1) + string('logpond-test') + body
        with socket.create_connection((host, int(port)), self.timeout) as s:
            s.settimeout(self.timeout)
            s.sendall(struct.pack('>i', len(message)) + message)
            with s.makefile('rb') as f:
                n = struct.unpack('>i', self.exactly(f, 4))[0]
                r = Reader(self.exactly(f, n))
        assert r.i32() == 1, 'another correlation id'
        return r

    @staticmethod
    def exactly(f, n):
        data = f.read(n)
        if len(data) < n:
            raise ConnectionError('the broker closed the connection')
        return data

    def retried(self, attempt):
        """Repeats what a broker refuses because something is moving or being made; other errors at once."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                return attempt()
            except (KafkaError, OSError) as e:
                if isinstance(e, KafkaError) and e.code not in RETRIED or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    @staticmethod
    def check(code, what):
        if code != 0:
            raise KafkaError(code, what)

    def metadata(self, topics=None):
        """{'brokers': {id: address}, 'topics': {name: {partition: (leader, replicas, isr)}}}."""
        r = self.call(METADATA, 1, array(None if topics is None else [string(t) for t in topics]))
        brokers = {}
        for _ in range(r.i32()):
            node, host, port, _ = r.i32(), r.text(), r.i32(), r.text()
            brokers[node] = '%s:%d' % (host, port)
        r.i32()
        found = {}
        for _ in range(r.i32()):
            code, name, _ = r.i16(), r.text(), r.take('b')
            parts = {}
            for _ in range(r.i32()):
                r.i16()
                number, leader = r.i32(), r.i32()
                parts[number] = (leader, r.list(r.i32), r.list(r.i32))
            if code == 0:
                found[name] = parts
        return {'brokers': brokers, 'topics': found}

    def create(self, name, partitions=1, replication=1, **configs):
        """Makes a topic and waits until each partition has a leader. Configs with _ for the dots: max_message_bytes=..."""
        pairs = [string(k.replace('_', '.')) + string(str(v)) for k, v in configs.items()]
        body = array([string(name) + struct.pack('>ih', partitions, replication) + array([]) + array(pairs)]) + struct.pack('>ib', 20000, 0)

        def attempt():
            r = self.call(CREATE_TOPICS, 2, body)
            r.i32()
            for _ in range(r.i32()):
                topic, code, text = r.text(), r.i16(), r.text()
                self.check(code, 'creating topic %s (%s)' % (topic, text))
        self.retried(attempt)
        self.wait_leaders(name, partitions)

    def wait_leaders(self, name, partitions):
        def attempt():
            parts = self.metadata([name])['topics'].get(name, {})
            if len(parts) != partitions or any(leader < 0 for leader, _, _ in parts.values()):
                raise KafkaError(5, 'topic ' + name)
        self.retried(attempt)

    def delete(self, name):
        """Deletes a topic; done when no broker shows it any more."""
        r = self.call(DELETE_TOPICS, 1, array([string(name)]) + struct.pack('>i', 20000))
        r.i32()
        for _ in range(r.i32()):
            topic, code = r.text(), r.i16()
            self.check(code, 'deleting topic ' + topic)

        def gone():
            if name in self.metadata()['topics']:
                raise KafkaError(7, 'deleting topic ' + name)
        self.retried(gone)

    def add_partitions(self, name, total):
        body = array([string(name) + struct.pack('>i', total) + array(None)]) + struct.pack('>ib', 20000, 0)
        r = self.call(CREATE_PARTITIONS, 1, body)
        r.i32()
        for _ in range(r.i32()):
            topic, code, text = r.text(), r.i16(), r.text()
            self.check(code, 'adding partitions to %s (%s)' % (topic, text))
        self.wait_leaders(name, total)

    def by_leader(self, topic, partitions):
        """{address: [partitions]}."""
        meta, out = self.metadata([topic]), {}
        for p in partitions:
            leader = meta['topics'].get(topic, {}).get(p, (-1,))[0]
            if leader not in meta['brokers']:
                raise KafkaError(5, '%s/%d' % (topic, p))
            out.setdefault(meta['brokers'][leader], []).append(p)
        return out

    def delete_records(self, topic, before):
        """before: {partition: offset}; everything below is gone then."""
        def attempt():
            for address, parts in self.by_leader(topic, before).items():
                items = [struct.pack('>iq', p, before[p]) for p in parts]
                r = self.call(DELETE_RECORDS, 1, array([string(topic) + array(items)]) + struct.pack('>i', 20000), address)
                r.i32()
                for _ in range(r.i32()):
                    name = r.text()
                    for _ in range(r.i32()):
                        p, _, code = r.i32(), r.i64(), r.i16()
                        self.check(code, 'deleting records of %s/%d' % (name, p))
        self.retried(attempt)

    def offsets(self, topic):
        """{partition: (first, end)} of what the topic holds."""
        def attempt():
            parts = self.metadata([topic])['topics'].get(topic)
            if not parts:
                raise KafkaError(3, topic)
            both = [self.offsets_at(topic, parts, when) for when in (-2, -1)]
            return {p: (both[0][p], both[1][p]) for p in sorted(parts)}
        return self.retried(attempt)

    def offsets_at(self, topic, parts, when):
        out = {}
        for address, some in self.by_leader(topic, parts).items():
            items = [struct.pack('>iq', p, when) for p in some]
            r = self.call(LIST_OFFSETS, 1, struct.pack('>i', -1) + array([string(topic) + array(items)]), address)
            for _ in range(r.i32()):
                name = r.text()
                for _ in range(r.i32()):
                    p, code, _, offset = r.i32(), r.i16(), r.i64(), r.i64()
                    self.check(code, 'offsets of %s/%d' % (name, p))
                    out[p] = offset
        return out

    def coordinator(self, group):
        r = self.call(FIND_COORDINATOR, 1, string(group) + b'\0')
        r.i32()
        code, text, _, host, port = r.i16(), r.text(), r.i32(), r.text(), r.i32()
        self.check(code, 'coordinator of %s (%s)' % (group, text))
        return '%s:%d' % (host, port)

    def group_offsets(self, group):
        """{(topic, partition): (offset, metadata)} of the group's commits."""
        def attempt():
            r = self.call(OFFSET_FETCH, 2, string(group) + array(None), self.coordinator(group))
            out = {}
            for _ in range(r.i32()):
                topic = r.text()
                for _ in range(r.i32()):
                    p, offset, metadata, code = r.i32(), r.i64(), r.text(), r.i16()
                    self.check(code, 'offsets of group ' + group)
                    out[(topic, p)] = (offset, metadata)
            self.check(r.i16(), 'offsets of group ' + group)
            return out
        return self.retried(attempt)

    def commit(self, group, offsets):
        """Commits {(topic, partition): (offset, metadata)} as nobody; the group must have no members."""
        items = [string(topic) + array([struct.pack('>iq', p, offset) + string(text)]) for (topic, p), (offset, text) in offsets.items()]
        body = string(group) + struct.pack('>i', -1) + string('') + struct.pack('>q', -1) + array(items)

        def attempt():
            r = self.call(OFFSET_COMMIT, 2, body, self.coordinator(group))
            for _ in range(r.i32()):
                r.text()
                for _ in range(r.i32()):
                    r.i32()
                    self.check(r.i16(), 'commit of group ' + group)
        self.retried(attempt)

    def members(self, group):
        """(state, {member id: (instance id or None, {topic: [partitions]})})."""
        def attempt():
            r = self.call(DESCRIBE_GROUPS, 4, array([string(group)]) + b'\0', self.coordinator(group))
            r.i32()
            r.i32()  # one group
            self.check(r.i16(), 'group ' + group)
            r.text()
            state, _, _ = r.text(), r.text(), r.text()
            out = {}
            for _ in range(r.i32()):
                member, instance, _, _ = r.text(), r.text(), r.text(), r.text()
                r.blob(r.i32())
                out[member] = (instance, self.assignment(r.blob(r.i32())))
            return state, out
        return self.retried(attempt)

    @staticmethod
    def assignment(data):
        if not data:
            return {}
        r = Reader(data)
        r.i16()
        out = {}
        for _ in range(r.i32()):
            topic = r.text()
            out[topic] = r.list(r.i32)
        return out
