"""Payments of cases in numbers, folded and ragged: what the network reads, from a log and what training learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import RolesError
from ethogram.log import kernels
from ethogram.log.cases import Cases
from ethogram.log.groups import Folded, folded, keyed
from ethogram.log.profile import BOUND, Profile
from ethogram.log.vocabulary import Vocabulary
from ethogram.numeric.hashing import mix, salt

DAY = 86_400_000_000
MONTHS = 12
TIME = ("hour sin", "hour cos", "weekday sin", "weekday cos", "day sin", "day cos", "gap", "gap to usual", "age")
AMOUNT = ("amount", "sign", "to own median", "to usual here")
STATS = ("count", "sum", "slope", "days since last", "days since first", "mean")


class Books(NamedTuple):
    """What training learned of the columns: names -> codes, amounts' quantiles, scales."""

    codes: dict[str, Vocabulary]
    edges: np.ndarray
    scales: dict[str, np.ndarray]  # float64[2, w]: means and deviations, by block of numbers
    profile: Profile

    def json(self) -> dict[str, Any]:
        told = {name: ids.ids.to_pylist() for name, ids in self.codes.items()}
        return {
            "codes": told, "edges": self.edges.tolist(), "profile": self.profile.json(),
            "scales": {name: scale.tolist() for name, scale in self.scales.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Books:
        codes = {name: Vocabulary(ids) for name, ids in told["codes"].items()}
        scales = {name: np.array(scale) for name, scale in told["scales"].items()}
        return cls(codes, np.array(told["edges"]), scales, Profile.from_json(told["profile"]))


@dataclass(frozen=True, eq=False)
class Encoded:
    """Cases as the network reads them; rows are those of `folded`.

    `codes` int64[T] (0 is missing or unseen), `numbers` float32[T, w], `text` int64[T] among `texts`, `step` int64[T]
    (number of the equal-time group), `when` float32[T] (log days to the decision), `stats` float32[G, 6],
    `static` int64[G] by field, `profile` float32[n, p]. `repeats` counts payments that are there twice.
    """

    cases: Cases
    folded: Folded
    codes: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    text: np.ndarray | None
    texts: list[str | None]
    step: np.ndarray
    when: np.ndarray
    stats: np.ndarray
    static: Mapping[str, np.ndarray]
    profile: np.ndarray
    whole: Folded
    repeats: int

    def __len__(self) -> int:
        return len(self.cases)


def encode(options: Any, cases: Cases, books: Books | None, learn: np.ndarray | None = None) -> tuple[Encoded, Books]:
    """Cases in numbers; without `books` they are learned first, from the cases where `learn` (bool[n]) holds."""
    columns = {name: keyed(cases.log, name) for name in _present(options, cases, books)}
    start = cases.since(options.days)
    amount, time = _amounts(cases), np.asarray(cases.sequences.columns["time"])
    pool = columns[options.category][0] if options.category in columns else None
    whole = folded(
        start, cases.stop, _key(options, cases, columns, start), top=options.merchants, pool=pool, by=options.rank,
        amount=amount, time=time,
    )  # fmt: skip
    owner = np.repeat(np.arange(len(whole.lengths)), whole.lengths)
    days = (np.repeat(cases.decided[whole.owner], whole.lengths) - time[whole.rows]) / DAY
    begins = np.ones(len(owner), bool)
    begins[1:] = (owner[1:] != owner[:-1]) | (np.diff(time[whole.rows]) != 0)
    numbers, repeats = _numbers(whole, owner, days, time, amount, columns)
    stats = _stats(whole, owner, days, amount)
    short, kept = whole.last(options.payments, begins)
    numbers = {name: block[kept] for name, block in numbers.items()}
    learned = np.ones(len(cases), bool) if learn is None else learn
    if books is None:
        mine = learned[short.owner]
        rows = np.repeat(mine, short.lengths)
        blocks = {**{n: b[rows] for n, b in numbers.items()}, "stats": stats[mine]}
        books = _learn(options, cases, columns, short, rows, blocks, learned)
    size = np.nan_to_num(numbers["amount"][:, 0], nan=-np.inf) if "amount" in numbers else None
    codes = _codes(columns, books, short.rows)
    if size is not None and len(books.edges):
        codes["quantile"] = np.where(np.isneginf(size), 0, np.searchsorted(books.edges, size) + 1)
    text, texts = (None, []) if "text" not in options.fields else _texts(options.text, cases, short.rows)
    steps = np.cumsum(begins)[kept]
    return Encoded(
        cases, short, codes, {n: _scaled(b, books.scales[n]) for n, b in numbers.items()}, text, texts, steps,
        np.log1p(np.maximum(days[kept], 0)).astype(np.float32), _scaled(stats, books.scales["stats"]),
        _static(options, columns, books, short), books.profile.rows(cases), whole, repeats,
    ), books  # fmt: skip


def _present(options: Any, cases: Cases, books: Books | None) -> list[str]:
    """Columns that are read: those that this log has, and those that training had and are missed now."""
    items = cases.log.items
    there = {*cases.sequences.columns, *(items.column_names[1:] if items is not None else ())}
    asked = [options.category, *options.columns] if books is None else list(books.codes)
    found = [name for name in dict.fromkeys(("item", *asked)) if name in there or (books and name in books.codes)]
    return [name for name in found if name in there]


def _key(
    options: Any, cases: Cases, columns: Mapping[str, tuple[np.ndarray, Vocabulary]], start: np.ndarray
) -> np.ndarray:
    time = np.asarray(cases.sequences.columns["time"])
    if options.fold == "all":
        return np.zeros(len(time), np.int64)
    if options.fold == "time":
        flat, offsets = kernels.ragged_rows(start, cases.stop)
        made = np.zeros(len(time), np.int64)
        back = np.repeat(cases.decided, np.diff(offsets)) - time[flat]
        made[flat] = (back / (DAY * options.chunk)).astype(np.int64)
        return made
    by = "item" if options.fold in ("item", "random") else options.fold
    if by == "item" and "item" not in columns:
        raise RolesError("lbsf: the log has no item (merchant) to fold by; fold by another column, or 'time', 'all'.")
    key = columns[by][0] if by in columns else keyed(cases.log, by)[0]
    if options.fold != "random":
        return np.asarray(key)
    # groups as large as the merchants', but made by chance: keys are dealt anew among the payments of a case
    flat, offsets = kernels.ragged_rows(start, cases.stop)
    case = np.repeat(np.arange(len(cases)), np.diff(offsets))
    chance = mix(
        salt("random fold"), time[flat] * 31 + np.arange(len(flat)) - np.repeat(offsets[:-1], np.diff(offsets))
    )
    dealt = np.array(key, np.int64)
    dealt[flat] = key[flat][np.lexsort((chance, case))]
    return dealt


def _amounts(cases: Cases) -> np.ndarray | None:
    if "value" not in cases.sequences.columns:
        return None
    return np.asarray(cases.sequences.columns["value"], np.float64)


def _numbers(
    whole: Folded, owner: np.ndarray, days: np.ndarray, time: np.ndarray, amount: np.ndarray | None,
    columns: Mapping[str, tuple[np.ndarray, Vocabulary]],
) -> tuple[dict[str, np.ndarray], int]:  # fmt: skip
    """Blocks of numbers of all rows, NaN where one is missing, and how many rows repeat the one before."""
    at = time[whole.rows]
    date = at.astype("datetime64[us]").astype("datetime64[D]")
    angles = (
        2 * np.pi * (at % DAY) / DAY,
        2 * np.pi * (date.astype(np.int64) % 7) / 7,
        2 * np.pi * ((date - date.astype("datetime64[M]")).astype(np.int64) / 31),
    )
    follows = np.zeros(len(owner), bool)
    follows[1:] = owner[1:] == owner[:-1]
    gap = np.full(len(owner), np.nan)
    gap[1:] = np.where(follows[1:], np.log1p(np.maximum(np.diff(at), 0) / DAY), np.nan)
    usual = _medians(gap, owner, len(whole.lengths))[owner]
    parts = [f(a) for a in angles for f in (np.sin, np.cos)]
    made = {"time": np.stack([*parts, gap, gap - usual, np.log1p(np.maximum(days, 0))], 1)}
    if amount is None:
        return made, 0
    value = amount[whole.rows]
    size = np.log1p(np.abs(value))
    case = np.repeat(whole.owner, whole.lengths)
    own, here = _medians(size, case, len(whole))[case], _medians(size, owner, len(whole.lengths))[owner]
    made["amount"] = np.stack([size, np.sign(value), size - own, size - here], 1)
    item = columns["item"][0][whole.rows] if "item" in columns else owner
    again = follows[1:] & (np.diff(at) == 0) & (np.diff(value) == 0) & (np.diff(item) == 0)
    return made, int(again.sum())


def _medians(values: np.ndarray, owner: np.ndarray, n: int) -> np.ndarray:
    """Median of each owner's values that are there, NaN without any, float64[n]."""
    there = np.flatnonzero(~np.isnan(values))
    order = there[np.lexsort((values[there], owner[there]))]
    count = np.bincount(owner[there], minlength=n)
    first = np.cumsum(count) - count
    out = np.full(n, np.nan)
    has = count > 0
    low, high = first[has] + (count[has] - 1) // 2, first[has] + count[has] // 2
    out[has] = (values[order[low]] + values[order[high]]) / 2
    return out


def _stats(whole: Folded, owner: np.ndarray, days: np.ndarray, amount: np.ndarray | None) -> np.ndarray:
    """Facts of each group about all of its payments, float64[G, 6]; the slope is of monthly sums, of their mean."""
    size = len(whole.lengths)
    value = np.zeros(len(owner)) if amount is None else np.abs(np.nan_to_num(amount[whole.rows]))
    count, total = np.maximum(whole.lengths, 1), np.bincount(owner, value, size)
    month = np.minimum(days // 30, MONTHS - 1).astype(np.int64)
    oldest = np.zeros(size, np.int64)
    np.maximum.at(oldest, owner, month)
    sums = np.bincount(owner * MONTHS + month, value, size * MONTHS).reshape(size, MONTHS)
    # months since the first payment, the latest highest
    there = np.arange(MONTHS) <= oldest[:, None]
    middle = oldest / 2
    back = np.where(there, middle[:, None] - np.arange(MONTHS), 0)
    spread = np.where(oldest > 0, (back**2).sum(1), 1.0)
    mean = np.maximum(total / (oldest + 1), 1e-9)
    slope = np.where(total > 0, (back * sums).sum(1) / spread / mean, 0.0)
    last, first = np.full(size, np.inf), np.zeros(size)
    np.minimum.at(last, owner, days)
    np.maximum.at(first, owner, days)
    parts = [np.log1p(count), np.log1p(total), np.clip(slope, -3, 3), np.log1p(last), np.log1p(first)]
    return np.stack([*parts, np.log1p(total / count)], 1)


def _learn(
    options: Any, cases: Cases, columns: Mapping[str, tuple[np.ndarray, Vocabulary]], short: Folded, rows: np.ndarray,
    blocks: Mapping[str, np.ndarray], learned: np.ndarray,
) -> Books:  # fmt: skip
    codes = {}
    case = np.repeat(short.owner, short.lengths)[rows]
    for name, (code, ids) in columns.items():
        mine = code[short.rows[rows]]
        # a merchant of a single person would be learned by heart; it is known by its category alone
        pair = np.unique(case[mine >= 0] * (len(ids) + 1) + mine[mine >= 0])
        people = np.bincount(pair % (len(ids) + 1), minlength=len(ids))
        least = options.least if name == "item" else 1
        codes[name] = Vocabulary(ids.ids.take(pa.array(np.flatnonzero(people >= least))))
    scales = {}
    for name, block in blocks.items():
        with np.errstate(all="ignore"):
            there = np.isfinite(block)
            count = np.maximum(there.sum(0), 1)
            mean = np.where(there, block, 0).sum(0) / count
            spread = np.sqrt(np.where(there, (block - mean) ** 2, 0).sum(0) / count)
        scales[name] = np.stack([mean, np.where(spread > 1e-9, spread, 1.0)])
    size = blocks["amount"][:, 0] if "amount" in blocks else np.zeros(0)
    size = size[np.isfinite(size)]
    edges = np.unique(np.quantile(size, np.arange(1, options.bins) / options.bins)) if len(size) else np.zeros(0)
    return Books(codes, edges, scales, Profile.learn(cases, options.profile, learned))


def _codes(columns: Mapping[str, tuple[np.ndarray, Vocabulary]], books: Books, rows: np.ndarray) -> dict[str, Any]:
    """Codes from 1 of what training knew, 0 for what it did not or what is missing."""
    found = {}
    for name, known in books.codes.items():
        if name not in columns:
            found[name] = np.zeros(len(rows), np.int64)
            continue
        code, ids = columns[name]
        place = np.append(ids.codes_in(known) + 1, 0)
        found[name] = place[code[rows]].astype(np.int64)
    return found


def _static(
    options: Any, columns: Mapping[str, tuple[np.ndarray, Vocabulary]], books: Books, short: Folded
) -> dict[str, np.ndarray]:
    """Merchant and category of each group, 0 where it is of several."""
    newest = short.rows[short.groups[1:] - 1]
    found = _codes({n: c for n, c in columns.items() if n in ("item", options.category)}, books, newest)
    of = {"item": options.fold == "item", options.category: options.fold in ("item", options.category)}
    return {
        name: np.where(short.pooled, code if name == options.category else 0, code if of[name] else 0)
        for name, code in found.items()
        if name in of
    }


def _texts(name: str, cases: Cases, rows: np.ndarray) -> tuple[np.ndarray | None, list[str | None]]:
    """Text of each row among the distinct ones; None where the log has none of that name."""
    sequences = cases.sequences
    if name in sequences.vocabularies:
        code, ids = np.asarray(sequences.columns[name]), sequences.vocabularies[name].ids
        return code[rows] + 1, [None, *ids.to_pylist()]
    if name not in cases.log.events.schema or not pa.types.is_string(cases.log.events.schema[name]):
        return None, []
    table = cases.log.table()
    told = pc.dictionary_encode(table[name].combine_chunks())
    place = np.empty(len(table), np.int64)
    event = np.argsort(table["event"].to_numpy(), kind="stable")
    place[:] = pc.fill_null(told.indices, -1).to_numpy(zero_copy_only=False)
    mine = np.searchsorted(table["event"].to_numpy()[event], np.asarray(sequences.columns["event"])[rows])
    return place[event][mine] + 1, [None, *told.dictionary.to_pylist()]


def _scaled(block: np.ndarray, scale: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.clip(np.nan_to_num((block - scale[0]) / scale[1], nan=0.0), -BOUND, BOUND).astype(np.float32)
