"""Every criterion of the literature in one call, on one table of predictions, with intervals and by slices.

A table of predictions has a row per (person, item) that was asked: `user`, `item`, `label` (answered or not),
`probability`, and where there are any `value` (the rating), `rating` (the predicted one), `fold`, `weight`,
`popularity` (training events of the item), and whatever columns of people and items it is to be sliced by.
`predictions` makes one from a system and a cross-validation; any other program can.

=========  ===============================================================================================
group      metrics
=========  ===============================================================================================
rating     rmse, mae, pearson, spearman (`evaluate.ratings`)
ranking    precision, recall, f1, map, ndcg at k, and mrr, within each person's list (`evaluate.ranking`)
list       diversity, novelty, serendipity, coverage at k (`evaluate.variety`)
click      auc, pr_auc, user_auc, logloss, accuracy, precision, recall, f1, balanced, mcc
truth      ece, brier: are the probabilities true?
=========  ===============================================================================================

Intervals draw people with replacement. `paired` compares two tables person by person: bootstrap of the difference,
signed-rank test, both with Holm's correction over the metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, nearest
from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate import calibration, classification, decisions, ranking, ratings
from ethogram.evaluate.correction import holm
from ethogram.evaluate.signed_rank import signed_rank
from ethogram.evaluate.variety import variety

NEEDED = ("user", "item", "label", "probability")
_SCHEMA = pa.schema(
    [(n, pa.string()) for n in ("slice", "group", "metric")]
    + [(n, pa.float64()) for n in ("value", "low", "high")]
    + [(n, pa.int64()) for n in ("rows", "people")]
)


def toolbox(
    predictions: Any, *, k: int = 10, slices: Sequence[str] = (), category: str = "category", threshold: float = 0.5,
    resamples: int = boot.RESAMPLES, seed: int = 0,
) -> pa.Table:  # fmt: skip
    """Judge a table of predictions.

    Parameters
    ----------
    predictions : an Arrow table, or a mapping of columns.
    k : length of the lists. slices : columns by whose values everything is told again (``format=text``).
    category : column that tells whether two items are alike; without it there is no group `list`.
    threshold : probability from which a prediction says yes.

    Returns
    -------
    Table with `slice` ("" is all), `group`, `metric`, `value`, `low`, `high` (95%, null where there is none), `rows`,
    `people`.

    Raises
    ------
    OptionError
        A column is missing or wrong, or nothing is left to judge.
    """
    table = checked(predictions, (*NEEDED, *slices))
    rows: list[dict[str, Any]] = []
    for name, part in _slices(table, slices):
        people = len(pc.unique(part["user"]))
        for group, metric, value, draws in _judged(part, k, category, threshold, resamples, seed):
            ends = boot.interval(value, draws)[1:] if draws is not None else (np.nan, np.nan)
            row = {"slice": name, "group": group, "metric": metric, "rows": len(part), "people": people}
            for field, number in zip(("value", "low", "high"), (value, *ends), strict=True):
                row[field] = None if np.isnan(number) else float(number)
            rows.append(row)
    return pa.Table.from_pylist(rows, _SCHEMA)


def paired(a: Any, b: Any, *, k: int = 10, resamples: int = boot.RESAMPLES, seed: int = 0) -> pa.Table:
    """Two systems on the same rows, person by person.

    Returns
    -------
    Table with `metric`, `difference` (a - b, mean over people), `low`, `high`, `p` (bootstrap), `p_holm`,
    `signed_rank` (its p), `signed_rank_holm`, `effect` (rank-biserial), `people`. Losses are differences, too: below 0
    is better for a where the metric is an error.

    Raises
    ------
    OptionError
        The tables do not ask the same people about the same items in the same order.
    """
    left, right = checked(a, NEEDED), checked(b, NEEDED)
    if len(left) != len(right) or not all(left[n].equals(right[n]) for n in ("user", "item")):
        raise OptionError("paired: the two tables are not about the same people and items in the same order.")
    mine, theirs = per_person(left, k), per_person(right, k)
    rows: list[dict[str, Any]] = []
    for name in [n for n in mine if n in theirs]:
        found = boot.mean_difference(mine[name], theirs[name], resamples=resamples, seed=seed)
        test = signed_rank(mine[name], theirs[name])
        there = int((~np.isnan(mine[name] - theirs[name])).sum())
        rows.append({"metric": name, "difference": found.value, "low": found.low, "high": found.high, "p": found.p,
                     "signed_rank": test.p, "effect": test.effect, "people": there})  # fmt: skip
    made = pa.Table.from_pylist(rows)
    for name, told in (("p", "p_holm"), ("signed_rank", "signed_rank_holm")):
        made = made.append_column(told, pa.array(holm(made[name].to_numpy())))
    return made


def per_person(table: pa.Table, k: int = 10) -> dict[str, np.ndarray]:
    """Metrics of each person by itself, float64[people] in ascending order of their ids; NaN where undefined."""
    unit = boot.places(_column(table, "user"))[0]
    label, p = _numbers(table, "label"), _numbers(table, "probability")
    made: dict[str, np.ndarray] = {}

    def means(rows: np.ndarray, place: np.ndarray) -> np.ndarray:
        over, under = boot.by_unit(rows, place)
        with np.errstate(invalid="ignore"):
            return np.asarray((over / under)[:, 0])

    if "rating" in table.column_names and "value" in table.column_names:
        gap = _numbers(table, "rating") - _numbers(table, "value")
        made |= {"rmse": np.sqrt(means(gap**2, unit)), "mae": means(np.abs(gap), unit)}
    made["user_auc"] = classification.auc_by_group(label, p, groups=unit)[0]
    made |= {"logloss": means(calibration.log_losses(label, p), unit), "brier": means((p - label) ** 2, unit)}
    lists, offsets, order = _lists(table)
    found = ranking.per_question(standing(p[order], label[order] > 0, offsets), (k,))
    for name in (f"precision@{k}", f"recall@{k}", f"map@{k}", f"ndcg@{k}", "mrr"):
        made[name] = means(found[name], lists)
    return made


def predictions(
    system: Any, cut: Any, *, columns: Mapping[str, Sequence[str]] | None = None, seed: int = 0
) -> pa.Table:
    """What a system says of every held-out answer of a cross-validation, fitted anew on the rest of each fold.

    Parameters
    ----------
    cut : `log.split("new-user", folds=10)` or its like. columns : side columns to bring along, for example
        ``{"items": ["category", "format"], "users": ["gender"]}``.
    """
    from ethogram.evaluate.crossed import rated

    parts = []
    for number, fold in enumerate(cut.parts):
        system.fit(fold.train, None, seed=seed)
        asked = fold.test.questions("slates")
        codes, offsets = asked.candidates.flat(len(asked))
        owner = np.repeat(np.arange(len(asked)), np.diff(offsets))
        p = np.asarray(system.score(asked.histories, asked.candidates, asked.context or None)).ravel()
        met = fold.train.histories().tally()
        part: dict[str, Any] = {
            "user": asked.histories.vocabularies["user"].decode(asked.histories.users[owner]),
            "item": asked.candidates.vocabulary.decode(codes), "fold": np.full(len(codes), number),
            "label": asked.label,
            "weight": asked.weight, "probability": p, "popularity": met[codes],
        }  # fmt: skip
        values, told = fold.test.ratings(), rated(system, asked)
        if not np.isnan(values).any():
            part["value"] = values
        if told is not None:
            part["rating"] = told
        parts.append(pa.table(part))
    made = pa.concat_tables(parts)
    for side, names in (columns or {}).items():
        table = cut.log.tables.get(side)
        if table is None:
            raise OptionError(f"predictions: the log has no side table '{side}'; it has {', '.join(cut.log.tables)}.")
        key = table.column(0).combine_chunks()
        place = pc.index_in(made["user" if side == "users" else "item"], value_set=key)
        for name in names:
            if name not in table.column_names:
                raise OptionError(f"predictions: '{side}' has no column '{name}'.{nearest(name, table.column_names)}")
            made = made.append_column(name, table[name].combine_chunks().take(place.combine_chunks()))
    return made


def checked(given: Any, needed: Sequence[str]) -> pa.Table:
    """The predictions as a table with these columns.

    Raises
    ------
    OptionError
        A column is missing (the nearest is told), or there are no rows.
    """
    table = given if isinstance(given, pa.Table) else pa.table(dict(given))
    for name in needed:
        if name not in table.column_names:
            raise OptionError(f"toolbox: no column '{name}'.{nearest(name, table.column_names)}")
    if not len(table):
        raise OptionError("toolbox: the table of predictions has no rows.")
    return table


def standing(scores: np.ndarray, chosen: np.ndarray, offsets: np.ndarray) -> ranking.Standing:
    """How the chosen candidates stand among all candidates of their list."""
    question = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-scores, question))
    s, q = scores[order], question[order]
    first = np.ones(len(s), bool)
    first[1:] = (s[1:] != s[:-1]) | (q[1:] != q[:-1])
    starts = np.flatnonzero(first)
    level = np.diff(np.append(starts, len(s)))
    greater, equal = np.empty(len(s), np.int64), np.empty(len(s), np.int64)
    greater[order] = np.repeat(starts - offsets[q[starts]], level)
    equal[order] = np.repeat(level - 1, level)
    ends = np.concatenate([[0], np.cumsum(np.bincount(question[chosen], minlength=len(offsets) - 1))])
    return ranking.Standing(greater[chosen], equal[chosen], ends)


def _judged(
    table: pa.Table, k: int, category: str, threshold: float, resamples: int, seed: int
) -> Iterator[tuple[str, str, float, np.ndarray | None]]:
    unit = boot.places(_column(table, "user"))[0]
    label, p, w = _numbers(table, "label"), _numbers(table, "probability"), _numbers(table, "weight", 1.0)
    how = {"resamples": resamples, "seed": seed}
    if "rating" in table.column_names and "value" in table.column_names:
        found = ratings.evaluated(_numbers(table, "value"), _numbers(table, "rating"), unit, **how)
        for name, value in found.metrics.items():
            yield "rating", name, value, found.draws[name]

    def mean(rows: np.ndarray, place: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, np.ndarray]:
        over, under = boot.by_unit(rows, place, weight)
        with np.errstate(invalid="ignore"):
            return float(over.sum() / under.sum()), boot.ratio_draws(over, under, resamples, seed)[:, 0]

    lists, offsets, order = _lists(table)
    per = ranking.per_question(standing(p[order], label[order] > 0, offsets), (k,))
    precision, recall = per[f"precision@{k}"], per[f"recall@{k}"]
    with np.errstate(invalid="ignore"):
        per[f"f1@{k}"] = np.where(precision + recall > 0, 2 * precision * recall / (precision + recall), 0.0 * recall)
    for name in (*(f"{m}@{k}" for m in ("precision", "recall", "f1", "map", "ndcg")), "mrr"):
        yield "ranking", name, *mean(per[name], lists)
    if category in table.column_names:
        item, ids = boot.places(_column(table, "item"))
        counts = np.zeros(len(ids))
        counts[item] = _numbers(table, "popularity", 1.0)
        kinds = boot.places(_column(table, category))[0]
        found_lists = variety(p[order], offsets, item[order], kinds[order], label[order], counts, k)
        for name, values in found_lists.items():
            if name == "coverage":
                yield "list", f"{name}@{k}", float(values[0]), None
            else:
                yield "list", f"{name}@{k}", *mean(values, lists)
    area, under_curve = boot.curve_draws(label, p, unit, w, resamples, seed)
    yield "click", "auc", classification.auc(label, p, w), area
    yield "click", "pr_auc", classification.pr_auc(label, p, w), under_curve
    inside, weights, _ = classification.auc_by_group(label, p, w, groups=unit)
    yield "click", "user_auc", *mean(inside, np.arange(len(inside)), weights)
    yield "click", "logloss", *mean(calibration.log_losses(label, p), unit, w)
    held = decisions.cells(label, p, w, threshold=threshold, units=unit)
    drawn = decisions.of_cells(boot.sums(held, resamples, seed))
    for name, one in decisions.of_cells(held.sum(0)[None]).items():
        yield "click", name, float(one[0]), drawn[name]
    yield "truth", "ece", calibration.ece(label, p, w), None
    yield "truth", "brier", *mean(calibration.brier_losses(label, p), unit, w)


def _slices(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    yield "", table
    for name in names:
        for value in sorted(pc.unique(table[name]).drop_null().to_pylist()):
            yield f"{name}={value}", table.filter(pc.equal(table[name], value))


def _lists(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(place of each list's person, offsets of the lists, order of rows that brings each together): person and fold."""
    unit, _ = boot.places(_column(table, "user"))
    fold = boot.places(_column(table, "fold"))[0] if "fold" in table.column_names else np.zeros(len(unit), np.int64)
    held = unit * (int(fold.max(initial=0)) + 1) + fold
    order = np.argsort(held, kind="stable")
    found, first = np.unique(held[order], return_index=True)
    return found // (int(fold.max(initial=0)) + 1), np.append(first, len(order)), order


def _column(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].to_numpy())


def _numbers(table: pa.Table, name: str, default: float | None = None) -> np.ndarray:
    if name not in table.column_names and default is not None:
        return np.full(len(table), default)
    try:
        return np.asarray(table[name].cast(pa.float64()).to_numpy())
    except pa.ArrowException as error:
        raise OptionError(f"toolbox: column '{name}' holds no numbers: {error}") from None
