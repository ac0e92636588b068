"""A person as the model of an agent: from their own log a persona and a policy, held against what they did later.

    P(a at the next occasion) = w_1 own share of a, late occasions more (half-life in occasions)
                              + w_2 own share of a at the last occasion
                              + w_3 share of a in everybody else's log until then             (the floor: w_3 = 1)

Acts of one time are one occasion, unordered: each is predicted from what was done strictly before.
Weights and half-life are chosen on the last fifth of the person's own past, by EM and likelihood; what is held out is
looked at once. The persona tells what they do more than others (share over share of all).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import OptionError, UnknownName
from ethogram.log import Log
from ethogram.world.people.persona import Persona

HALF_LIVES = (5.0, 20.0, 80.0, 1e9)
LEAST, OCCASIONS = 20, 10
"""Acts that a person must have done, and occasions."""


@dataclass(frozen=True)
class Prototype:
    """A fitted person.

    Attributes
    ----------
    persona : in words. actions : what can be done, in the order of `chance`. weight : [3], see the module.
    held : acts held out. gains, gain : log probability of each above the population's, and the mean.
    hits, floor : share of them that the policy (the population) puts first. chance : float64[A], of what comes next.
    """

    persona: Persona
    actions: list[Any]
    weight: np.ndarray
    half_life: float
    held: int
    gain: float
    gains: np.ndarray
    hits: float
    floor: float
    chance: np.ndarray


def prototyped(log: Log, user: Any, *, of: str = "item", held: float = 0.2) -> Prototype:
    """Fit one person of a log.

    Parameters
    ----------
    of : column that says what was done: of the events, or of the items. held : last share of the acts, held out.

    Raises
    ------
    UnknownName
        The log has no such user or column. OptionError: they did too little.
    """
    who, what, time, actions = acts(log, of)
    code = log.vocabulary("user").encode([user])[0]
    if code < 0:
        raise UnknownName(f"the log has no user '{user}'.")
    return fitted(who, what, time, actions, int(code), str(user), held=held)


def acts(log: Log, of: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Any]]:
    """(user code, action code, time) of all events in order of time, and the actions; others are left out."""
    table = log.table()
    if of in table.column_names:
        column = table.column(of)
    elif log.items is not None and of in log.items.column_names:
        import pyarrow.compute as pc

        at = pc.index_in(table.column("item"), log.items.column("item"))
        column = log.items.column(of).take(at)
    else:
        raise UnknownName(f"prototype: neither the events nor the items have a column '{of}'.")
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        raise OptionError(f"prototype: column '{of}' holds several values for one event; give one that holds one.")
    coded = column.combine_chunks().dictionary_encode()
    time = np.asarray(table.column("time" if "time" in table.column_names else "order").to_numpy())
    what = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    order = np.argsort(time, kind="stable")
    order = order[what[order] >= 0]
    who = np.asarray(log.vocabulary("user").encode(table.column("user")))
    return who[order], what[order].astype(np.int64), time[order], coded.dictionary.to_pylist()


def fitted(
    who: np.ndarray, what: np.ndarray, time: np.ndarray, actions: list[Any], code: int, name: str, *, held: float = 0.2
) -> Prototype:
    """See `prototyped`; acts are given as codes in order of time."""
    mine = who == code
    own = what[mine]
    occasion = np.unique(time[mine], return_inverse=True)[1]
    last = int(occasion[-1]) + 1 if len(own) else 0
    if len(own) < LEAST or last < OCCASIONS:
        raise OptionError(
            f"prototype: user '{name}' did {len(own)} things on {last} occasions; {LEAST} on {OCCASIONS} are needed."
        )
    cut = last - max(2, round(held * last))
    inner = cut - max(2, cut // 5)
    before = occasion < cut
    # others only up to when the held-out part begins: nobody's future is known
    until = time < time[mine][~before][0]
    count = np.bincount(what[until & ~mine], minlength=len(actions)) + 0.5
    others = count / count.sum()
    found = ((*_em(own, occasion, inner, cut, others, half), half) for half in HALF_LIVES)
    weight, _, half = max(found, key=lambda one: one[1])
    chance = {o: weight @ _parts(own, occasion, o, others, half) for o in np.unique(occasion[~before]).tolist()}
    true = own[~before]
    each = np.array([chance[o][a] for o, a in zip(occasion[~before].tolist(), true.tolist(), strict=True)])
    gains = np.log(each) - np.log(others[true])
    share = np.bincount(own[before], minlength=len(actions)) / before.sum()
    lift = share * np.log(np.maximum(share, 1e-12) / others)
    liked = [int(i) for i in np.argsort(-lift, kind="stable")[:5] if lift[i] > 0]
    again = 1 - len(set(own[before].tolist())) / before.sum()
    persona = Persona(
        id=name, demographics={"name": name}, interests={str(actions[i]): float(f"{share[i]:.3g}") for i in liked},
        attributes=(f"{100 * again:.0f}% of what is done was done before",),
        provenance={"by": "log", "acts": int(before.sum())},
    )  # fmt: skip
    first = [chance[o].argmax() for o in occasion[~before].tolist()]
    return Prototype(
        persona, actions, weight, half, len(true), float(gains.mean()), gains, float(np.mean(first == true)),
        float((true == others.argmax()).mean()), weight @ _parts(own, occasion, last, others, half),
    )  # fmt: skip


def _parts(own: np.ndarray, occasion: np.ndarray, at: int, others: np.ndarray, half: float) -> np.ndarray:
    """The three distributions before an occasion, float64[3, A]; what is not known is the population's."""
    made = np.tile(others, (3, 1))
    past = int(np.searchsorted(occasion, at))
    if past:
        age = occasion[past - 1] - occasion[:past]
        made[0] = np.bincount(own[:past], 0.5 ** (age / half), len(others))
        made[0] /= made[0].sum()
        made[1] = np.bincount(own[:past][age == 0], minlength=len(others)) / (age == 0).sum()
    return made


def _em(
    own: np.ndarray, occasion: np.ndarray, first: int, last: int, others: np.ndarray, half: float
) -> tuple[np.ndarray, float]:
    """(weights, mean log likelihood) of acts on occasions `first` to `last`, each given all before; the population
    always keeps some weight."""
    later = np.flatnonzero((occasion >= first) & (occasion < last))
    parts = {o: _parts(own, occasion, o, others, half) for o in np.unique(occasion[later]).tolist()}
    chance = np.array([parts[int(occasion[i])][:, own[i]] for i in later])
    weight = np.full(3, 1 / 3)
    for _ in range(60):
        share = chance * weight
        share /= share.sum(1, keepdims=True)
        weight = (share.sum(0) + np.array([0.5, 0.5, 1.0])) / (len(later) + 2.0)
    return weight, float(np.log(chance @ weight).mean())
