import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ethogram.evaluate import machine

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def fresh(code: str) -> float:
    """What `code` prints, run in a process of its own: here other tests' memory comes and goes while we look."""
    head = "import time, numpy as np; from ethogram.evaluate import machine\n"
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)


@linux
def test_the_peak_is_seen_after_it_is_gone():
    code = """
with machine.measure() as cost:
    before, until = machine.anonymous_bytes(), time.perf_counter() + 5
    block = np.ones(60 * 2**17)  # 60 MiB
    while machine.anonymous_bytes() < before + 55 * 2**20 and time.perf_counter() < until:
        time.sleep(0.01)  # the kernel counts pages lazily
    time.sleep(0.3)
    del block
print(cost.peak_mb)
"""
    assert fresh(code) == pytest.approx(60, abs=8)


@linux
def test_what_was_there_before_does_not_count():
    code = """
held = np.ones(60 * 2**17)
time.sleep(0.3)
with machine.measure() as cost:
    time.sleep(0.05)
print(cost.peak_mb + 0 * held[0])
"""
    assert fresh(code) < 8


def test_time_is_told_apart_from_work():
    with machine.measure() as cost:
        time.sleep(0.2)
    assert cost.wall_seconds >= 0.2
    assert cost.cpu_seconds < cost.wall_seconds


def test_a_failing_block_is_measured_and_fails():
    with pytest.raises(ValueError, match="inside"), machine.measure() as cost:
        raise ValueError("inside")
    assert cost.wall_seconds > 0


def test_where_the_system_tells_nothing_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_STATUS", Path(tmp_path / "absent"))
    with machine.measure() as cost:
        pass
    assert cost.peak_mb is None
    assert machine.anonymous_bytes() is None


def test_older_kernels_tell_resident_memory(monkeypatch, tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t  9000 kB\nVmRSS:\t   5000 kB\n")
    monkeypatch.setattr(machine, "_STATUS", status)
    assert machine.anonymous_bytes() == 5000 * 1024


def test_facts_are_strict_json():
    told = {"machine": machine.facts(), "versions": machine.versions()}
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["cpu"]
    assert told["versions"]["numpy"] == np.__version__
