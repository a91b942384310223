"""A real Kafka for tests: KRaft nodes of Apache Kafka 3.9.1 on loopback, from the jars that fetch() gets.

Broker is one node, Cluster several; both stop, die and start again on the same ports and data. `admin` makes and changes topics
and shows what a group has committed (kafka_admin.py).
The jars come from Maven Central (46 MB) into a cache folder outside the tree: $LOGPOND_KAFKA_JARS, else ~/.cache/logpond-kafka-3.9.1.
"""
import base64, os, shutil, signal, socket, subprocess, tempfile, threading, time

from kafka_admin import Admin

VERSION = '3.9.1'
JARS = os.environ.get('LOGPOND_KAFKA_JARS') or os.path.join(os.path.expanduser('~'), '.cache', 'logpond-kafka-' + VERSION)
POM = '''<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>logpond</groupId><artifactId>test-broker</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>%s</version><scope>runtime</scope></dependency><dependency>
<groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version><scope>runtime</scope></dependency>
</dependencies></project>
''' % VERSION
# One compiler level and the plain collector: half the start-up time and memory of the server settings. The log has warnings only.
JAVA = ['java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        '-Dorg.slf4j.simpleLogger.showDateTime=true', '-cp', os.path.join(JARS, '*')]


def available():
    """True if Java and all jars are there; a cache from before slf4j-simple was asked for is not complete."""
    jars = os.listdir(JARS) if os.path.isdir(JARS) else []
    return all(any(n.startswith(want) for n in jars) for want in ('kafka_2.13', 'slf4j-simple')) and shutil.which('java') is not None


def fetch():
    """Gets the jars if they are not there. Raises subprocess.CalledProcessError when Maven cannot."""
    if available():
        return
    with tempfile.TemporaryDirectory() as d:
        with open(os.path.join(d, 'pom.xml'), 'w') as f:
            f.write(POM)
        part = JARS + '.part'
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(['mvn', '-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=' + part],
                       cwd=d, check=True, stdin=subprocess.DEVNULL, timeout=600)
        shutil.rmtree(JARS, ignore_errors=True)
        os.rename(part, JARS)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def cluster_id():
    """22 characters of base64; one that begins with - would be taken for an option."""
    return 'L' + base64.urlsafe_b64encode(os.urandom(16)).decode()[1:22]


def make_certificates(folder):
    """A certificate authority (ca.crt), and a broker's key and certificate for 127.0.0.1 signed by it (broker.pem)."""
    def openssl(*args):
        subprocess.run(['openssl'] + list(args), cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    key = ['-newkey', 'rsa:2048', '-nodes', '-days', '2']
    openssl('req', '-x509', *key, '-subj', '/CN=logpond test CA', '-keyout', 'ca.key', '-out', 'ca.crt')
    openssl('req', *key, '-subj', '/CN=127.0.0.1', '-keyout', 'broker.key', '-out', 'broker.csr')
    with open(os.path.join(folder, 'san'), 'w') as f:
        f.write('subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    openssl('x509', '-req', '-in', 'broker.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san', '-out', 'broker.crt')
    with open(os.path.join(folder, 'broker.pem'), 'w') as out:
        for name in ('broker.key', 'broker.crt'):
            with open(os.path.join(folder, name)) as f:
                out.write(f.read())


class Node:
    """One process of a cluster, broker and controller in one."""

    def __init__(self, folder, number, port, controller_port, voters, settings, users=None, tls=False, heap='512m'):
        self.dir, self.number, self.port, self.process, self.heap = folder, number, port, None, heap
        self.address = '127.0.0.1:%d' % port
        self.users, self.sasl_address, self.tls_address, self.ca = users, None, None, None
        os.makedirs(folder, exist_ok=True)
        self.config = os.path.join(folder, 'server.properties')
        listeners = {'PLAINTEXT': ('PLAINTEXT', self.address)}
        extra = []
        if users:
            self.sasl_address = '127.0.0.1:%d' % free_port()
            listeners['PASSWORD'] = ('SASL_PLAINTEXT', self.sasl_address)
            extra += self.sasl_settings(users)
        if tls:
            self.tls_address = '127.0.0.1:%d' % free_port()
            listeners['CRYPT'] = ('SSL', self.tls_address)
            extra += self.tls_settings()
        named = ['%s://%s' % (name, address) for name, (_, address) in listeners.items()]
        lines = ['process.roles=broker,controller', 'node.id=%d' % number, 'controller.quorum.voters=' + voters,
                 'listeners=' + ','.join(named + ['CONTROLLER://127.0.0.1:%d' % controller_port]),
                 'advertised.listeners=' + ','.join(named), 'controller.listener.names=CONTROLLER',
                 'listener.security.protocol.map=CONTROLLER:PLAINTEXT,' + ','.join('%s:%s' % (name, kind) for name, (kind, _) in listeners.items()),
                 'inter.broker.listener.name=PLAINTEXT', 'log.dirs=' + os.path.join(folder, 'logs')]
        with open(self.config, 'w') as f:
            f.write('\n'.join(lines + extra + ['%s=%s' % item for item in settings.items()]) + '\n')

    @staticmethod
    def sasl_settings(users):
        module = 'org.apache.kafka.common.security.%s required'
        known = ' '.join('user_%s="%s"' % item for item in users.items())
        return ['sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256',
                'listener.name.password.plain.sasl.jaas.config=%s %s;' % (module % 'plain.PlainLoginModule', known),
                'listener.name.password.scram-sha-256.sasl.jaas.config=%s;' % (module % 'scram.ScramLoginModule')]

    def tls_settings(self):
        make_certificates(self.dir)
        self.ca = os.path.join(self.dir, 'ca.crt')
        return ['listener.name.crypt.ssl.keystore.type=PEM', 'listener.name.crypt.ssl.keystore.location=' + os.path.join(self.dir, 'broker.pem')]

    def format(self, cluster):
        """Begins to prepare the data folder; the caller waits for the process."""
        scram = [a for user, password in (self.users or {}).items() for a in ('--add-scram', 'SCRAM-SHA-256=[name=%s,password=%s]' % (user, password))]
        return subprocess.Popen(JAVA + ['-Xmx256m', 'kafka.tools.StorageTool', 'format', '-t', cluster, '-c', self.config] + scram,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def launch(self):
        self.log = open(os.path.join(self.dir, 'broker.log'), 'ab')
        self.process = subprocess.Popen(JAVA + ['-Xmx' + self.heap, 'kafka.Kafka', self.config], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def wait_up(self, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.number in Admin(self.address, timeout=5).metadata([])['brokers']:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError('the broker did not start, see ' + os.path.join(self.dir, 'broker.log'))
            time.sleep(0.05)

    def signal(self, number):
        if self.process is not None:
            self.process.send_signal(number)

    def wait_down(self, seconds=30):
        if self.process is not None:
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
            self.log.close()


class Cluster:
    """n nodes. With three or more, topics have three replicas and two must have a message before it counts as written.

    start() is done when every node takes connections and shows itself; after stop() or kill() it may be started again."""

    def __init__(self, folder, nodes=3, session_timeout_ms=1000, partitions=4, users=None, tls=False, heap='384m', settings=None):
        self.dir, self.replication = folder, min(nodes, 3)
        ports = [(free_port(), free_port()) for _ in range(nodes)]
        voters = ','.join('%d@127.0.0.1:%d' % (i + 1, controller) for i, (_, controller) in enumerate(ports))
        common = {'offsets.topic.replication.factor': self.replication, 'transaction.state.log.replication.factor': self.replication,
                  'transaction.state.log.min.isr': max(1, self.replication - 1), 'default.replication.factor': self.replication,
                  'min.insync.replicas': max(1, self.replication - 1), 'offsets.topic.num.partitions': 4, 'group.initial.rebalance.delay.ms': 0,
                  'group.min.session.timeout.ms': session_timeout_ms, 'auto.create.topics.enable': 'true', 'num.partitions': partitions,
                  # a node that was killed may come back once its session has ended
                  'broker.session.timeout.ms': 5000, 'broker.heartbeat.interval.ms': 500, 'log.cleaner.enable': 'false', **(settings or {})}
        self.nodes = [Node(folder if nodes == 1 else os.path.join(folder, 'n%d' % (i + 1)), i + 1, port, controller, voters, common, users, tls, heap)
                      for i, (port, controller) in enumerate(ports)]
        self.address = ','.join(n.address for n in self.nodes)
        cluster = cluster_id()
        for process in [n.format(cluster) for n in self.nodes]:
            if process.wait(120) != 0:
                raise RuntimeError('kafka.tools.StorageTool failed for ' + folder)

    @property
    def admin(self):
        """Asks the first node that runs."""
        return Admin(next(n.address for n in self.nodes if n.process is not None))

    def start(self):
        for n in self.nodes:
            n.launch()
        for n in self.nodes:
            n.wait_up()
        return self

    def stop(self):
        for n in self.nodes:
            n.signal(signal.SIGTERM)
        for n in self.nodes:
            n.wait_down()

    def kill(self):
        for n in self.nodes:
            n.signal(signal.SIGKILL)
        for n in self.nodes:
            n.wait_down()

    def wait_in_sync(self, seconds=60):
        """Until every partition has a leader and all its replicas."""
        deadline = time.monotonic() + seconds
        while True:
            meta = self.admin.metadata()
            parts = [p for topic in meta['topics'].values() for p in topic.values()]
            if len(meta['brokers']) == len(self.nodes) and all(leader > 0 and len(isr) == len(replicas) for leader, replicas, isr in parts):
                return
            if time.monotonic() > deadline:
                raise RuntimeError('replicas are out of sync: %r' % meta)
            time.sleep(0.1)

    def rolling_restart(self):
        """One node after the other, each when all replicas are in sync again."""
        for n in self.nodes:
            self.wait_in_sync()
            n.signal(signal.SIGTERM)
            n.wait_down()
            n.launch()
            n.wait_up()
        self.wait_in_sync()

    def topic(self, name, partitions=None):
        """A topic of the broker's number of partitions; one that is there stays."""
        if name not in self.admin.metadata()['topics']:
            self.admin.create(name, partitions or int(self.setting('num.partitions')), self.replication)

    def setting(self, name):
        with open(self.nodes[0].config) as f:
            return dict(line.rstrip('\n').split('=', 1) for line in f)[name]

    def produce(self, topic, path, codec='lz4', partition=None):
        """One message a line of the file."""
        where = [] if partition is None else ['-p', str(partition)]
        done = subprocess.run(['kcat', '-b', self.address, '-t', topic, '-P', '-l', path, '-z', codec, '-X', 'linger.ms=20',
                               '-X', 'queue.buffering.max.messages=200000'] + where, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=600)
        if done.returncode != 0:
            raise RuntimeError('kcat could not produce: %s' % done.stderr[:300].decode(errors='replace'))

    def messages(self, topic):
        """What the broker holds: {partition: {offset: value}}; of lines without a newline inside."""
        out = subprocess.run(['kcat', '-b', self.address, '-t', topic, '-C', '-e', '-q', '-o', 'beginning', '-f', '%p %o %s\n'],
                             check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=600).stdout
        held = {}
        for line in out.split(b'\n')[:-1]:
            partition, offset, value = line.split(b' ', 2)
            held.setdefault(int(partition), {})[int(offset)] = value
        return held


class Broker(Cluster):
    """One node. users: {name: password} adds a listener with SASL (PLAIN, SCRAM-SHA-256) at sasl_address, tls one with TLS at
    tls_address, whose authority's certificate is the file `ca`."""

    def __init__(self, folder, session_timeout_ms=1000, partitions=4, users=None, tls=False, settings=None):
        # one broker alone must not be taken for dead by its own controller when the machine is starved
        patient = {'broker.session.timeout.ms': 60000, 'broker.heartbeat.interval.ms': 2000}
        super().__init__(folder, 1, session_timeout_ms, partitions, users, tls, '512m', {**patient, **(settings or {})})
        node = self.nodes[0]
        self.port, self.sasl_address, self.tls_address, self.ca = node.port, node.sasl_address, node.tls_address, node.ca

    @property
    def process(self):
        return self.nodes[0].process


class Producer:
    """Produces numbered messages, one a call of text(i), at a steady rate until stop(); brokers that are away are waited for.

    A thread writes lines to kcat (idempotent, acks=all). After stop() everything written is delivered, or this raises."""

    def __init__(self, address, topic, text, rate, partition=None):
        self.text, self.rate, self.sent, self.stopping, self.process = text, rate, 0, False, None
        where = [] if partition is None else ['-p', str(partition)]
        settings = ['enable.idempotence=true', 'linger.ms=20', 'message.timeout.ms=0', 'sticky.partitioning.linger.ms=40',
                    'queue.buffering.max.messages=1000000', 'reconnect.backoff.max.ms=500']
        self.process = subprocess.Popen(['kcat', '-E', '-b', address, '-t', topic, '-P'] + [a for x in settings for a in ('-X', x)] + where,
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        begin = time.monotonic()
        while not self.stopping:
            due = int((time.monotonic() - begin) * self.rate)
            if due > self.sent:
                self.process.stdin.write(b''.join(self.text(i).encode() + b'\n' for i in range(self.sent, due)))
                self.process.stdin.flush()
                self.sent = due
            time.sleep(0.02)

    def stop(self, seconds=60):
        """Ends; the number of messages, all of them delivered."""
        self.stopping = True
        self.thread.join(seconds)
        self.process.stdin.close()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if status != 0:
            raise RuntimeError('kcat could not deliver everything (%d)' % status)
        return self.sent

    def kill(self):
        self.stopping = True
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


if __name__ == '__main__':
    fetch()
    print(JARS)
