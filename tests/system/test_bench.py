"""The benchmark harness tests itself: arithmetic, generator, that wrong answers are noticed, and a tiny run with this build's binary."""
import os, subprocess, sys

from server import BINARY, ROOT


def test_selftest_of_bench_run_slow():
    """Slow: the figures of a sanitizer build mean nothing."""
    out = subprocess.run([sys.executable, os.path.join(ROOT, 'bench', 'run'), '--selftest', '--build', os.path.dirname(BINARY)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert out.returncode == 0, out.stderr[-5000:]
    assert ' passed, 0 failed' in out.stdout
