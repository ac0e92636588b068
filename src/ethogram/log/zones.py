"""Local times: clocks without a zone, read in the zone that somebody names.

Where clocks go back an hour, a local time stands for two instants: the earlier one is taken. Where they go forward,
some local times do not exist: their rows are set aside. Midnight stands for its day, so a midnight that does not exist
is the day's first instant.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError

DAY = 86_400_000_000


def instants(local: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """(microseconds since 1970 UTC, bool[N]: the local time does not exist) of clocks in a zone.

    Parameters
    ----------
    local : int64[N], microseconds since 1970 that the clock shows. zone : IANA name such as ``Europe/Berlin``.

    Raises
    ------
    OptionError
        There is no such zone.

    Examples
    --------
    >>> micros = np.array(["2024-03-31T01:59", "2024-03-31T02:30", "2024-10-27T02:30"], "datetime64[us]").astype(int)
    >>> found, missing = instants(micros, "Europe/Berlin")
    >>> found.astype("datetime64[us]").astype("datetime64[m]").tolist()[2].isoformat(), missing.tolist()
    ('2024-10-27T00:30:00', [False, True, False])
    """
    clock = pa.array(local).cast(pa.timestamp("us"))
    try:
        before = pc.assume_timezone(clock, zone, ambiguous="earliest", nonexistent="earliest")
        after = pc.assume_timezone(clock, zone, ambiguous="earliest", nonexistent="latest")
    except (pa.ArrowInvalid, ValueError) as error:
        raise OptionError(f"tz: no time zone '{zone}'; write an IANA name such as Europe/Berlin or UTC.") from error
    first, second = (t.cast(pa.int64()).to_numpy() for t in (before, after))
    gap = first != second
    midnight = local % DAY == 0
    return np.where(gap & midnight, second, first), gap & ~midnight


def applied(time: np.ndarray, local: np.ndarray | None, zone: str | pa.ChunkedArray) -> tuple[np.ndarray, ...]:
    """(instants, rows whose local time does not exist, rows without a zone that is known), each [N].

    Parameters
    ----------
    time : microseconds; of rows that are `local`, what the clock shows. zone : of all rows, or of each.
    """
    gap, unknown = np.zeros(len(time), bool), np.zeros(len(time), bool)
    if local is None or not local.any():
        return time, gap, unknown
    out = time.copy()
    if isinstance(zone, str):
        out[local], gap[local] = instants(time[local], zone)
        return out, gap, unknown
    names = pc.fill_null(zone.cast(pa.string()), "")
    for name in pc.unique(names).to_pylist():
        rows = local & pc.equal(names, name).to_numpy().astype(bool)
        if not rows.any():
            continue
        try:
            out[rows], gap[rows] = instants(time[rows], name)
        except OptionError:
            unknown |= rows
    return out, gap, unknown
