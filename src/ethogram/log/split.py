"""Splits: which events train, which decide when to stop, which judge. Each part is a log with one more step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ethogram.errors import OptionError, StepError, nearest
from ethogram.log import condition, decisions, facts, kernels
from ethogram.log.distributed import Instants
from ethogram.log.sequences import Sequences

if TYPE_CHECKING:
    from ethogram.log.engine import Engine
    from ethogram.log.log import Log

Name = Literal["train", "valid", "test"]
NAMES: tuple[Name, ...] = ("train", "valid", "test")
PROTOCOLS = ("temporal", "leave-last-out", "by-user", "by-decision")


class Split(NamedTuple):
    """Three logs cut from one."""

    train: Log
    valid: Log
    test: Log
    log: Log
    protocol: str


@dataclass(frozen=True)
class LastGroups:
    """Leave-last-out: a user's last group of equal times is the test, the one before it the validation.

    Users with one group only train; with two they have no validation.
    """

    part: Name
    asks = "first"

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        clocks = [c for c in ("time", "order") if c in frame.collect_schema().names()]
        groups = frame.select("user_code", *clocks).unique().with_columns(_one=nw.lit(1))
        groups = groups.with_columns(
            _n=nw.col("_one").cum_sum().over("user_code", order_by=clocks), _all=nw.len().over("user_code")
        ).with_columns(_back=nw.col("_all") - nw.col("_n"))
        back, total = nw.col("_back"), nw.col("_all")
        test = (back == 0) & (total >= 2)
        valid = (back == 1) & (total >= 3)
        chosen = {"test": test, "valid": valid, "train": ~(test | valid)}[self.part]
        return frame.join(groups.filter(chosen).select("user_code", *clocks), on=["user_code", *clocks], how="semi")

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        if "last groups" not in sequences._kept:
            sequences._kept["last groups"] = np.stack(kernels.last_groups(sequences.offsets, sequences.starts))
        last, before_last = sequences._kept["last groups"]
        bounds = (sequences.offsets[:-1], before_last, last, sequences.offsets[1:])
        place = NAMES.index(self.part)
        return sequences.cut(bounds[place], bounds[place + 1])


@dataclass(frozen=True)
class Window:
    """Temporal: events with ``start <= time < stop`` in microseconds UTC; None is open."""

    part: Name
    start: int | None
    stop: int | None
    asks = "first"

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        if self.start is not None:
            frame = frame.filter(nw.col("time") >= nw.lit(condition.instant(self.start)))
        if self.stop is not None:
            frame = frame.filter(nw.col("time") < nw.lit(condition.instant(self.stop)))
        return frame

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        start = sequences.offsets[:-1] if self.start is None else sequences.before("time", self.start)
        stop = sequences.offsets[1:] if self.stop is None else sequences.before("time", self.stop)
        return sequences.cut(start, np.maximum(start, stop))


@dataclass(frozen=True)
class Users:
    """By user: whole users go to one part, by a seeded hash of their code; codes never change, nor does the part."""

    part: Name
    valid: float
    test: float
    seed: int
    asks = "last"

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        x = (nw.col("user_code").cast(nw.Int64) + self._salt()) % _PRIME
        for factor in _FACTORS:
            x = (x * factor + 12_345) % _PRIME
        return frame.filter(self._choose(x))

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        x = (sequences.users.astype(np.int64) + self._salt()) % _PRIME
        for factor in _FACTORS:
            x = (x * factor + 12_345) % _PRIME
        start = sequences.offsets[:-1]
        return sequences.cut(start, np.where(self._choose(x), sequences.offsets[1:], start))

    def _salt(self) -> int:
        return (self.seed * 7_919 + 104_729) % _PRIME

    def _choose(self, x: Any) -> Any:
        test, valid = round(self.test * _PRIME), round(self.valid * _PRIME)
        if self.part == "test":
            return x < test
        if self.part == "valid":
            return (x >= test) & (x < test + valid)
        return x >= test + valid


_PRIME = 2_147_483_647
_FACTORS = (48_271, 1_220_703_125, 630_360_016)
"""Multipliers of full period modulo 2^31 - 1: products stay below 2^63 on every engine."""

PARTS = (LastGroups, Window, Users, decisions.Decided)


def split(
    log: Log,
    protocol: str = "temporal",
    *,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    valid_from: Any = None,
    test_from: Any = None,
) -> Split:
    """Cut a log in three.

    Parameters
    ----------
    protocol : ``temporal`` (one cut for everybody: nothing after it trains; the default where there is a clock),
        ``leave-last-out`` (each user's last group of equal times), ``by-user`` (whole users), ``by-decision`` (whole
        users by column `decided` of their side table, see `ethogram.log.decisions`).
    valid, test : shares of the events (temporal) or users.
    valid_from, test_from : instants of the temporal cuts, instead of shares.

    Raises
    ------
    OptionError, StepError
        Unknown protocol, shares outside (0, 1), a temporal split without times, cuts in the wrong order.
    """
    if protocol not in PROTOCOLS:
        known = (*PROTOCOLS, "sliding", "stream", "within-user", "new-user", "new-item")
        raise OptionError(f"unknown protocol '{protocol}'.{nearest(protocol, known)} Protocols: {', '.join(known)}.")
    if not (0 < valid < 1 and 0 < test < 1 and valid + test < 1):
        raise OptionError(f"split: valid={valid}, test={test} must lie in (0, 1) and leave something to train on.")

    def cut(step: Any) -> Any:
        return log.with_step(step)

    if protocol == "leave-last-out":
        return Split(cut(LastGroups("train")), cut(LastGroups("valid")), cut(LastGroups("test")), log, protocol)
    if protocol == "by-user":
        part = {name: cut(Users(name, valid, test, seed)) for name in NAMES}
        return Split(part["train"], part["valid"], part["test"], log, protocol)
    if protocol == "by-decision":
        early, middle, late = (cut(step) for step in decisions.parts(log, valid, test))
        return Split(early, middle, late, log, protocol)
    if "time" not in log.events.schema:
        raise StepError(
            "split: the log has no time, so nothing is earlier for everybody; use leave-last-out or by-user."
        )
    clock = Instants(log.frame(), log.engine_()) if log.events.distributed else _Clock(log.sequences())
    first, second = _cuts(clock, valid, test, valid_from, test_from)
    return Split(
        cut(Window("train", None, first)),
        cut(Window("valid", first, second)),
        cut(Window("test", second, None)),
        log,
        protocol,
    )


class _Clock:
    """Times of the events in memory by their rank; what `Instants` is for those on a cluster."""

    def __init__(self, sequences: Sequences):
        self._time = np.asarray(sequences.columns["time"])

    def __len__(self) -> int:
        return len(self._time)

    def before(self, instant: int) -> int:
        return int(facts.below(self._time, instant))

    def at(self, place: int) -> int:
        return facts.kth(self._time, place)


def _cuts(clock: _Clock | Instants, valid: float, test: float, valid_from: Any, test_from: Any) -> tuple[int, int]:
    n = len(clock)
    if n == 0:
        raise StepError("split: the log holds no events.")
    if test_from is not None:
        second = condition.micros(test_from)
        earlier = clock.before(second)
        if valid_from is None and not earlier:
            raise StepError(f"split: no event before test_from={test_from}.")
        place = int(earlier * (1 - valid))
    else:
        second, earlier = clock.at(min(int(n * (1 - test)), n - 1)), n
        place = int(n * (1 - valid - test))
    first = clock.at(min(place, earlier - 1)) if valid_from is None else condition.micros(valid_from)
    if first > second:
        raise StepError(
            f"split: validation starts ({condition.instant(first)}) after the test ({condition.instant(second)})."
        )
    return first, second
