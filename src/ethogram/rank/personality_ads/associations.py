"""Which traits go with liking which category of adverts, and with a tendency to buy.

Outcomes of a person: the mean value of the answers in each category (``category Cat3``), and the buying tendency:

    click share        share of the answers that are clicks
    high share         share of the values in the upper quarter of everybody's
    high strength      mean value of the clicked answers: how much those are liked that are bought
    mean value         how high the person rates altogether

Each against each trait, every trait less what the others tell, with permutation p-values over people and a
false-discovery rate over all cells (`ethogram.evaluate.associations`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.data.big_five import TRAITS
from ethogram.errors import OptionError, StepError, nearest
from ethogram.evaluate import associations as measured
from ethogram.log import Log
from ethogram.log.vocabulary import Vocabulary


def associations(
    log: Log, *, permutations: int = 2_000, level: float = 0.05, by: str | None = None, seed: int = 0
) -> pa.Table:
    """A row per (trait, outcome), the surest first; columns as in `ethogram.evaluate.associations`.

    Raises
    ------
    OptionError
        The table of people has no traits, the items no column `by`, or there are too few people.
    StepError
        No event carries a label.
    """
    traits = [] if log.users is None else [t for t in TRAITS if t in log.users.column_names]
    if log.users is None or not traits:
        raise OptionError(f"associations: the log has no table of people with traits ({', '.join(TRAITS)}).")
    rows = log.sequences()
    if "label" not in rows.columns:
        raise StepError("associations: no event carries a label; name the column that says what was clicked.")
    label = np.asarray(rows.columns["label"], np.float64)
    value = np.asarray(rows.columns["value"], np.float64) if "value" in rows.columns else label
    person = np.repeat(np.arange(len(rows.users)), rows.lengths)
    place = Vocabulary(log.users.column(0)).encode(rows.vocabularies["user"].ids)[rows.users]
    x = np.column_stack([log.users[t].cast(pa.float64()).to_numpy()[np.maximum(place, 0)] for t in traits])
    x[place < 0] = np.nan
    names, columns = _categories(log, by, np.asarray(rows.columns["item"]), person, value)
    outcomes = {
        **dict(zip(names, columns, strict=True)),
        "click share": _mean(label, person, ~np.isnan(label)),
        "high share": _mean(value >= np.nanquantile(value, 0.75), person, ~np.isnan(value)),
        "high strength": _mean(value, person, (label > 0) & ~np.isnan(value)),
        "mean value": _mean(value, person, ~np.isnan(value)),
    }
    y = np.column_stack(list(outcomes.values()))
    return measured.associations(x, y, traits, list(outcomes), permutations=permutations, level=level, seed=seed)


def _categories(
    log: Log, by: str | None, item: np.ndarray, person: np.ndarray, value: np.ndarray
) -> tuple[list[str], list[np.ndarray]]:
    side = log.items
    known = [] if side is None else [n for n in side.column_names[1:] if pa.types.is_string(side.schema.field(n).type)]
    if by is not None and by not in known:
        raise OptionError(f"associations: the items have no column '{by}' with categories.{nearest(by, known)}")
    chosen = by or ("category" if "category" in known else None)
    if side is None or chosen is None:
        return [], []
    place = Vocabulary(side.column(0)).encode(log.sequences().vocabularies["item"].ids)
    codes = pc.dictionary_encode(side[chosen].combine_chunks())
    code = np.append(codes.indices.fill_null(-1).to_numpy(), -1)[place][item]
    made, names = [], []
    for c, name in sorted(enumerate(codes.dictionary.to_pylist()), key=lambda pair: str(pair[1])):
        made.append(_mean(value, person, (code == c) & ~np.isnan(value)))
        names.append(f"{chosen} {name}")
    return names, made


def _mean(values: np.ndarray, person: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Mean of the used rows of each person, NaN where there are none."""
    people = int(person.max(initial=-1)) + 1
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(person[used], values[used], people) / np.bincount(person[used], minlength=people))
