"""Many splits of one log, one behind the other in time: sliding windows, and a stream revealed block by block.

The last events of the log, `windows` times the share `test`, are cut into blocks of equal numbers of events (equal
times stay together). Block w is judged by what was learned before it:

- ``sliding``: a new fit for each block, on everything before or on the latest share `train` only; the share `valid`
  before the block decides when to stop.
- ``stream``: one fit before the first block; then each block is first predicted and then revealed, to histories at
  once and to the system by `update`, or by a new fit where it has none.

Answers often come late: a click within hours, and that nobody clicked is known only then. With `attribution` a stream
reveals before each block what is older than that window, and nothing younger (`Rolling.reveals`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ethogram.errors import OptionError, StepError
from ethogram.log import facts
from ethogram.log.condition import duration
from ethogram.log.split import Split, Window

if TYPE_CHECKING:
    from ethogram.log.log import Log

ROLLING = ("sliding", "stream")


class Rolling(NamedTuple):
    """Splits of one log, the earliest first."""

    parts: tuple[Split, ...]
    log: Log
    protocol: str
    reveals: tuple[Log, ...] = ()
    "Of a stream: what is revealed between block w and block w + 1."
    attribution: int = 0
    "Microseconds until an answer is known."

    def splits(self) -> Iterator[Split]:
        """One after the other."""
        return iter(self.parts)


def rolling(
    log: Log,
    protocol: str,
    *,
    windows: int = 5,
    test: float = 0.1,
    valid: float | None = None,
    train: float | None = None,
    attribution: str | None = None,
) -> Rolling:
    """Cut a log for a rolling protocol.

    Parameters
    ----------
    windows : blocks that are judged. test : share of the events in each.
    valid : share of the events before a block that decide when to stop; 0.1 for ``sliding``, none for ``stream`` if not
        given. In a stream it is held out of the fit before the first block and not revealed again.
    train : share of the events before that which a fit may see (``sliding``); None is everything.
    attribution : time until an answer is known, such as ``6h`` (``stream``).

    Raises
    ------
    OptionError, StepError
        Shares that do not fit into the log, a log without times, or so many equal times that a block is empty.
    """
    held = (0.0 if protocol == "stream" else 0.1) if valid is None else valid
    if windows < 1 or not (0 < test < 1 and 0 <= held < 1) or windows * test + held >= 1:
        raise OptionError(
            f"split: {windows} windows of test={test} and valid={valid} leave nothing to train on; their sum has to be "
            "below 1."
        )
    if train is not None and not 0 < train < 1:
        raise OptionError(f"split: train={train} is not a share; give a number in (0, 1), or none for everything.")
    if protocol == "stream" and train is not None:
        raise OptionError("split: train= is for sliding windows; a stream learns from everything before.")
    if attribution is not None and protocol != "stream":
        raise OptionError("split: attribution= is for a stream, where answers are revealed as time goes by.")
    delay = 0 if attribution is None else int(duration(attribution))
    sequences = log.sequences()
    if "time" not in sequences.columns:
        raise StepError("split: the log has no time, so no block is later than another; use leave-last-out or by-user.")
    time = np.asarray(sequences.columns["time"])
    n = len(time)

    def at(share: float) -> int:
        return facts.kth(time, min(max(round(share * n), 0), n - 1))

    if not n:
        raise StepError("split: the log holds no events.")
    begins = [1 - test * (windows - w) for w in range(windows)]
    cuts = [at(b) for b in begins]
    if any(b <= a for a, b in pairwise(cuts)) or cuts[0] <= int(time.min()):
        raise StepError(f"split: too many events have equal times for {windows} windows of {test:.0%}; take fewer.")
    made = []
    for w, begin in enumerate(begins):
        stop = cuts[w + 1] if w + 1 < windows else None
        first = at(begin - held) if held else cuts[w]
        start = None if train is None else at(max(begin - held - train, 0.0))
        known = max(first, cuts[w] - delay) if held else cuts[w] - delay
        first = min(first, known)
        named = [Window("train", start, first), Window("valid", first, known), Window("test", cuts[w], stop)]
        parts = [log.with_step(step) for step in named]
        made.append(Split(parts[0], parts[1], parts[2], log, protocol))
    if cuts[0] - delay <= int(time.min()):
        raise StepError(f"split: nothing is older than the attribution window of {attribution} before the first block.")
    if protocol != "stream":
        return Rolling(tuple(made), log, protocol)
    reveals = [log.with_step(Window("test", a - delay, b - delay)) for a, b in pairwise(cuts)]
    return Rolling(tuple(made), log, protocol, tuple(reveals), delay)
