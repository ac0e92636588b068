"""A job in a process of its own: its memory is its own, and its crash or its length of time ends nothing else.

The processor's time of the child is bounded by the system (``RLIMIT_CPU``, where there is one), so that a busy machine
stops nobody earlier; the clock bounds it too, from far above, for a child that waits for ever.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from ethogram.errors import EthogramError

DONE, REFUSED, STOPPED, LATE, FAILED = "done", "left out", "stopped", "timed out", "failed"
CLOCKS, GRACE = 10.0, 120.0
"""The clock's bound: so many times the budget, and so many seconds for the start."""
_EVERY = 0.5

Tell = Callable[[Mapping[str, Any]], None]


class Ended(NamedTuple):
    """How a child ended: done (with the job's value), left out (a typed error), stopped (its budget of CPU time), timed
    out (the clock), failed.
    """

    how: str
    value: Any = None
    why: str = ""


def child(job: Callable[[Tell], Any], *, seconds: float, watch: Tell | None = None) -> Ended:
    """Run a picklable job in a fresh process and wait for it.

    Parameters
    ----------
    job : called with a function that tells progress; its value comes back. It calls `limit(seconds)` itself, when what
        counts begins.
    seconds : the budget in CPU seconds, by which the clock's bound is set. watch : told what the job tells.
    """
    context = get_context("spawn")  # a fork would carry the parent's memory and threads
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    ends = time.monotonic() + CLOCKS * seconds + GRACE
    try:
        while ours.poll(max(0.0, ends - time.monotonic())):
            try:
                how, value, why = ours.recv()
            except EOFError:
                break
            if how != "told":
                return Ended(how, value, why)
            if watch is not None:
                watch(value)
        else:
            return Ended(LATE, None, f"it had not ended {CLOCKS * seconds + GRACE:,.0f} s after its start")
        process.join(GRACE)
        return _died(process.exitcode, seconds)
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        ours.close()


def limit(seconds: float) -> None:
    """Let the system end this process after so many further CPU seconds, all threads together."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        soft = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


def _died(code: int | None, seconds: float) -> Ended:
    if code == -getattr(signal, "SIGXCPU", 0):
        return Ended(STOPPED, None, f"it had not ended after {seconds:,g} CPU s")
    if code == -getattr(signal, "SIGKILL", 0):
        return Ended(FAILED, None, "it was killed from outside, as a system does that runs out of memory")
    name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    return Ended(FAILED, None, f"its process ended by {name}")


def _run(job: Callable[[Tell], Any], pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    last = -_EVERY

    def tell(facts: Mapping[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            pipe.send(("told", dict(facts), ""))

    try:
        ended = (DONE, job(tell), "")
    except EthogramError as error:
        ended = (REFUSED, None, f"{type(error).__name__}: {error}")
    except MemoryError:
        ended = (FAILED, None, "the machine has too little memory for it")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        ended = (FAILED, None, f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}")
    pipe.send(ended)
    pipe.close()
