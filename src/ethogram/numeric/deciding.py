"""What systems share that judge people as of a decision: where outcome and moment stand, and the form of reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.log.cases import Cases, cases

REASON = pa.struct([("what", pa.string()), ("value", pa.string()), ("share", pa.float64())])
"""One reason: what the answer looked at, what is to be seen there, and how much of the answer it is."""


def listed(what: list[str], value: list[str], share: Any, offsets: Any) -> pa.Array:
    """Reasons of each case as a list; case i has the rows ``offsets[i]:offsets[i + 1]``."""
    columns = [pa.array(what, pa.string()), pa.array(value, pa.string()), pa.array(share, pa.float64())]
    rows = pa.StructArray.from_arrays(columns, fields=list(REASON))
    return pa.ListArray.from_arrays(pa.array(np.asarray(offsets, np.int32)), rows)


def money(value: float) -> str:
    """A sum as it is read aloud.

    >>> money(10_523.4), money(390.84), money(0.313)
    ('10,523', '390.8', '0.313')
    """
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e15 else f"{value:,.4g}"


@dataclass(kw_only=True)
class Deciding:
    """Options of the users' side table; see `ethogram.log.cases`."""

    label: str = "default"
    "Column of the users' side table: 1 for yes, 0 for no, null where it is not known yet."
    decided: str = "decided"
    "Column of the users' side table: the moment of the decision; without it, all are judged behind the last event."
    known: str = "known"
    "Column of the users' side table: when the outcome was known; may be missing."
    leak: Literal["refuse", "cut"] = "refuse"
    "What to do with events at or behind a decision."
    profile: tuple[str, ...] = ()
    "Columns of the users' side table that are read beside the events (numbers and names)."

    def check_profile(self, key: str) -> None:
        """Raise OptionError if the profile holds what came of the decision, or when."""
        if own := [c for c in self.profile if c in (self.label, self.known, self.decided)]:
            raise OptionError(f"{key}: profile holds '{own[0]}', which says what came of the decision or when.")

    def cases(self, log: Log, *, needed: bool = False) -> Cases:
        """The people of a log as of their decisions."""
        how: dict[str, Any] = {"label": self.label, "decided": self.decided, "known": self.known, "leak": self.leak}
        return cases(log, needed=needed, **how)

    def two_kinds(self, key: str, found: Cases, learn: np.ndarray) -> np.ndarray:
        """Places of the cases in `learn` (bool[n]); OptionError unless they hold both outcomes."""
        mine = np.flatnonzero(learn)
        if len(np.unique(found.label[mine] > 0.5)) < 2:
            raise OptionError(
                f"{key}: of {len(found):,} people {len(mine):,} have a known outcome to learn from, all of one kind; "
                f"'{self.label}' needs both 0 and 1."
            )
        return mine
