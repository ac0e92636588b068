"""Do simulated people choose what real ones chose? Sets of `a` items that a person went on to choose and `b` that they
never did; who decides takes the `a` best, and the overlap with the truth counts.

    precision = |taken and true| / a, a mean over people             taking blindly: a / (a + b)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap
from ethogram.lm.blocking import run as wait_for
from ethogram.simulate.recagent.scene import Scene, chosen
from ethogram.simulate.recagent.taste import Choices, never
from ethogram.verbs import Log, Table

SETS = ((1, 5), (3, 3), (3, 6), (1, 9))


def sets(after: Choices, everything: Choices, a: int, b: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(people int64[n], items int64[n, a + b], the true ones first) of those with `a` later choices or more."""
    rng = np.random.default_rng([seed, a, b])
    starts = after.starts
    who = np.flatnonzero(np.diff(starts) >= a)
    if not len(who):
        raise OptionError(f"fidelity: nobody has {a} later choices.")
    true = np.stack([rng.choice(after.item[starts[i] : starts[i + 1]], a, replace=False) for i in who])
    return who, np.c_[true, never(everything.chosen(), who, b, rng)]


def overlap(scores: np.ndarray, a: int, seed: int = 0) -> np.ndarray:
    """Precision of each row, the true items in the first `a` columns; equal scores in drawn order."""
    luck = np.random.default_rng([seed, 1]).random(scores.shape)
    best = np.lexsort((luck, -scores), axis=1)[:, :a]
    return np.asarray((best < a).mean(1))


def fidelity(
    log: Log, *, pairs: Sequence[tuple[int, int]] = SETS, seed: int = 0, encoder: str = "minilm", lm: Any = None,
    lm_people: int = 40, liked: float = 4.0, **options: Any,
) -> Table:  # fmt: skip
    """Columns `set` ("1 of 6"), `arm`, `precision`, `low`, `high` (95%, over people), `people`, `gap`, `gap_low`,
    `gap_high` (the policy's precision minus the arm's, same people and sets).

    Arms: the light policy; the most popular; the categories a person chose before; sentence vectors of profile and
    item; a blind draw; and a language model that is told the profile, for `lm_people` people (method of the choice in
    the metadata). Tastes, counts and profiles are of the earliest 80% of each person's choices.

    Parameters
    ----------
    encoder : of `lm.embed`. lm : a language model, or None. options : of `Scene.of`.
    """
    scene = Scene.of(log, liked=liked, seed=seed, **options)
    everything, _ = chosen(log, liked)
    before, after = everything.earliest(options.get("share", 0.8))
    if "people" in options:
        raise OptionError("fidelity: takes everybody of the log.")
    latest = before.latest(10)
    counts = np.bincount(before.item, minlength=before.items)
    categories = scene.categories / np.maximum(scene.categories.sum(1, keepdims=True), 1)
    share = np.zeros((before.people, len(scene.kinds)))
    np.add.at(share, before.person, categories[before.item])
    texts = _vectors(scene, encoder)
    rows: list[dict[str, Any]] = []
    for a, b in pairs:
        who, items = sets(after, everything, a, b, seed)
        arms = {
            "light policy": overlap(scene.taste.utility(who, items, latest[who]), a, seed),
            "popularity": overlap(counts[items], a, seed),
            "categories": overlap(np.einsum("nc,nkc->nk", share[who], categories[items]), a, seed),
            "profile text": overlap(np.einsum("nd,nkd->nk", texts[0][who], texts[1][items]), a, seed),
            "blind": overlap(np.zeros(items.shape), a, seed),
        }
        some = {name: np.arange(len(who)) for name in arms}
        if lm is not None:
            some["language model"] = np.sort(np.random.default_rng([seed, 2]).permutation(len(who))[:lm_people])
            mine = some["language model"]
            arms["language model"] = overlap(wait_for(_asked(scene, lm, who[mine], items[mine], seed)), a, seed)
        for name, values in arms.items():
            found = bootstrap.mean(values, seed=seed)
            gap = bootstrap.mean(arms["light policy"][some[name]] - values, seed=seed)
            rows.append(
                {
                    "set": f"{a} of {a + b}", "arm": name, "precision": found.value, "low": found.low,
                    "high": found.high, "people": len(values), "gap": gap.value, "gap_low": gap.low,
                    "gap_high": gap.high,
                }
            )  # fmt: skip
    return pa.Table.from_pylist(rows)


def _vectors(scene: Scene, encoder: str) -> tuple[np.ndarray, np.ndarray]:
    from ethogram.lm.embed import embed

    items = [f"{scene.words(i)}. {scene.about[i]}".strip() for i in range(len(scene.titles))]
    return embed(list(scene.profiles), encoder), embed(items, encoder)


async def _asked(scene: Scene, lm: Any, who: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities that the model gives each item of each person's set, listed in a drawn order."""
    import asyncio

    rng = np.random.default_rng([seed, 4])
    orders = [rng.permutation(items.shape[1]) for _ in who]

    async def one(person: int, shown: np.ndarray, order: np.ndarray) -> np.ndarray:
        texts = [f"{scene.words(int(i))} #{k}" for k, i in enumerate(shown[order], 1)]
        prompt = f"A person {scene.profiles[person]}. Which of these films do they watch next?"
        found = await lm.choose(prompt, texts, purpose="recagent: fidelity")
        made = np.empty(len(order))
        made[order] = found.probabilities
        return made

    return np.stack(await asyncio.gather(*(one(int(p), i, o) for p, i, o in zip(who, items, orders, strict=True))))
