"""A real Kafka broker for tests: one KRaft node of Apache Kafka 3.9.1 on loopback, from the jars that fetch() gets.

The jars come from Maven Central (46 MB) into a cache folder outside the tree: $LOGPOND_KAFKA_JARS, else ~/.cache/logpond-kafka-3.9.1.
"""
import os, shutil, signal, socket, subprocess, tempfile, time

VERSION = '3.9.1'
JARS = os.environ.get('LOGPOND_KAFKA_JARS') or os.path.join(os.path.expanduser('~'), '.cache', 'logpond-kafka-' + VERSION)
POM = '''<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>logpond</groupId><artifactId>test-broker</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>%s</version><scope>runtime</scope></dependency>
</dependencies></project>
''' % VERSION


def available():
    return os.path.isdir(JARS) and any(n.startswith('kafka_2.13') for n in os.listdir(JARS)) and shutil.which('java') is not None


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


class Broker:
    """start() is done when the broker takes connections and has its controller; stop() ends it."""

    def __init__(self, folder, session_timeout_ms=1000, partitions=4):
        self.dir, self.port, self.process = folder, free_port(), None
        self.address = '127.0.0.1:%d' % self.port
        os.makedirs(folder, exist_ok=True)
        self.config = os.path.join(folder, 'server.properties')
        controller = free_port()
        with open(self.config, 'w') as f:
            f.write('\n'.join([
                'process.roles=broker,controller', 'node.id=1', 'controller.quorum.voters=1@127.0.0.1:%d' % controller,
                'listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d' % (self.address, controller),
                'advertised.listeners=PLAINTEXT://' + self.address, 'controller.listener.names=CONTROLLER',
                'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
                'log.dirs=' + os.path.join(folder, 'logs'), 'offsets.topic.replication.factor=1',
                'transaction.state.log.replication.factor=1', 'transaction.state.log.min.isr=1', 'offsets.topic.num.partitions=4',
                'group.initial.rebalance.delay.ms=0', 'group.min.session.timeout.ms=%d' % session_timeout_ms,
                'auto.create.topics.enable=true', 'num.partitions=%d' % partitions, 'log.cleaner.enable=false', '']))
        cluster = self.java('kafka.tools.StorageTool', 'random-uuid').stdout.strip().split('\n')[-1]
        self.java('kafka.tools.StorageTool', 'format', '-t', cluster, '-c', self.config)

    def java(self, *args, **kw):
        return subprocess.run(['java', '-Xmx256m', '-cp', os.path.join(JARS, '*')] + list(args), check=True, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120, **kw)

    def start(self):
        self.log = open(os.path.join(self.dir, 'broker.log'), 'ab')
        self.process = subprocess.Popen(['java', '-Xmx512m', '-cp', os.path.join(JARS, '*'), 'kafka.Kafka', self.config],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 60
        while True:
            try:
                out = subprocess.run(['kcat', '-b', self.address, '-L', '-m', '5'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10)
                if out.returncode == 0 and b'broker 1 at' in out.stdout:
                    return self
            except subprocess.TimeoutExpired:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError('the broker did not start, see ' + os.path.join(self.dir, 'broker.log'))
            time.sleep(0.1)

    def topic(self, name):
        """A topic of the broker's number of partitions (asking for it makes it)."""
        subprocess.run(['kcat', '-b', self.address, '-t', name, '-L', '-X', 'allow.auto.create.topics=true'], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)

    def produce(self, topic, path, codec='lz4'):
        """One message a line of the file."""
        subprocess.run(['kcat', '-b', self.address, '-t', topic, '-P', '-l', path, '-z', codec, '-X', 'linger.ms=20',
                        '-X', 'queue.buffering.max.messages=200000'], check=True, stdin=subprocess.DEVNULL, timeout=600)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
            self.log.close()


if __name__ == '__main__':
    fetch()
    print(JARS)
