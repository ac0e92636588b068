"""Child of test_append_kill: appends and writes that are killed by SIGKILL, each in a process of its own.

``python killed.py step|time FOLDER``: reads nothing else, prints one JSON line per kill: what was killed, after
which step, and which of the two states the log was found in.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.log import journal, store
from ethogram.log.importer import read
from ethogram.log.store import append, open_stored, verify, write

pa.set_cpu_count(1)


def events(first: int, n: int, users: int) -> dict:
    rng = np.random.default_rng(first)
    return {
        "event": np.arange(first, first + n),
        "user": [f"u{u}" for u in rng.integers(0, users, n)],
        "item": rng.integers(0, 9, n),
        "time": rng.integers(0, 100, n),
        "value": rng.normal(size=n),
    }


BAD = {"event": [999], "user": [None], "item": [1], "time": [1], "value": [0.0]}
FIRST = read(events(0, 60, 5))
MORE = pa.concat_tables([pa.table(events(60, 30, 9)), pa.table(BAD)], promote_options="permissive")


def kill_at(step: int) -> None:
    """Let this process die before its `step`-th call (from 1) of anything that changes the disk.

    Of the writes to one file only the second counts, which leaves the file begun and not ended.
    """
    count = 0
    written: dict[journal.HashingFile, int] = {}

    def dying(do):
        def call(*args, **kwargs):
            nonlocal count
            if isinstance(args[0], journal.HashingFile):
                written[args[0]] = written.get(args[0], 0) + 1
                if written[args[0]] != 2:
                    return do(*args, **kwargs)
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*args, **kwargs)

        return call

    os.fsync, os.replace, os.rename, os.unlink, os.rmdir, os.mkdir = map(
        dying, (os.fsync, os.replace, os.rename, os.unlink, os.rmdir, os.mkdir)
    )
    journal.HashingFile.write = dying(journal.HashingFile.write)


def child(do, prepare=lambda: None, after: float | None = None) -> bool:
    """Run `do` in a forked process; True if it was killed before it was through."""
    pid = os.fork()
    if pid == 0:
        try:
            prepare()
            do()
        except BaseException as e:
            print(repr(e), file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the child failed with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def files(log: Path) -> set[str]:
    return {p.relative_to(log).as_posix() for p in log.rglob("*") if p.is_file() and p.name != ".lock"}


def state(log: Path, old, new) -> str:
    """old, new or what is wrong; then the append is done again and must give the new state without leftovers."""
    found = open_stored(log)
    verify(log)
    name = {old.fingerprint: "old", new.fingerprint: "new"}.get(found.fingerprint, "neither")
    if not found.table().equals((old if name == "old" else new).table()):
        return "content is neither"
    append(log, MORE)
    again = open_stored(log)
    verify(log)
    if not again.table().equals(new.table()):
        return "cannot go on"
    left = files(log) - {"log.toml"} - store.manifests.read(log).paths()
    return f"left behind: {sorted(left)}" if left else name


def appends(folder: Path, trials) -> None:
    base, done = folder / "base", folder / "done"
    write(FIRST, base)
    shutil.copytree(base, done)
    began = time.monotonic()
    append(done, MORE)
    usual = time.monotonic() - began
    old, new = open_stored(base), open_stored(done)
    for trial in trials(usual):
        log = folder / "log"
        shutil.rmtree(log, ignore_errors=True)
        shutil.copytree(base, log)
        killed = child(lambda log=log: append(log, MORE), **trial["how"])
        print(json.dumps({"killed": killed, "at": trial["at"], "found": state(log, old, new)}), flush=True)
        if not killed and "step" in trial:
            return


def writes(folder: Path) -> None:
    for step in range(1, 1000):
        log = folder / "written"
        shutil.rmtree(log, ignore_errors=True)
        killed = child(lambda log=log: write(FIRST, log), prepare=lambda step=step: kill_at(step))
        if log.exists():
            found = "new" if open_stored(log).fingerprint == FIRST.fingerprint else "neither"
        else:
            write(FIRST, log)  # what the killed one left is no obstacle
            found = "old" if open_stored(log).table().equals(FIRST.table()) else "neither"
        verify(log)
        if (folder / ".written.writing").exists():
            found = "left behind"
        print(json.dumps({"killed": killed, "at": step, "found": found}), flush=True)
        if not killed:
            return


def steps(_: float):
    for step in range(1, 1000):
        yield {"at": step, "step": step, "how": {"prepare": lambda step=step: kill_at(step)}}


def moments(usual: float):
    for after in np.random.default_rng(0).uniform(0, 1.2 * usual, 15).tolist():
        yield {"at": after, "how": {"after": after}}


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    if what == "write":
        writes(where)
    else:
        appends(where, {"step": steps, "time": moments}[what])
