"""What is claimed of `tryage`, and how it is measured: eight tiny experts of four kinds of text (see `experts`)."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim
from ethogram.claims.act import experts
from ethogram.errors import LMError, MissingExtra

FLAGS = ("smallest model", "newest", "secure", "concise", "readable")
ASKED = 24
"""Prompts that a language model is asked about."""


@claim("tryage", "It finds the best of eight experts for a prompt, far more often than chance or the experts' cards")
def finds(bench: Any) -> Laws:
    return Laws(
        Law(
            "share of prompts sent to the best expert (chance: 0.125)",
            lambda b: level(b, "ngrams", "top1"),
            ">=",
            0.375,
        ),
        Law("the same, sentence vectors", lambda b: level(b, "vectors", "top1"), ">=", 0.375),
        Law("the same, byte transformer", lambda b: level(b, "transformer", "top1"), ">=", 0.375),
        Law("share sent to the best, letter groups − nearest model card", lambda b: over(b, "cards"), ">=", 0.1),
        Law("letter groups − a local language model that is asked to choose", lambda b: over(b, "asked"), ">", 0.0),
        Law("R² of the predicted losses", determination, ">", 0.6),
    )


@claim("tryage", "It closes most of the way from the best single expert to the oracle")
def closes(bench: Any) -> Laws:
    return Laws(
        Law("share of the way that is closed, letter groups", lambda b: level(b, "ngrams", "closed"), ">=", 0.7),
        Law("the same, sentence vectors", lambda b: level(b, "vectors", "closed"), ">=", 0.7),
        Law("the same, byte transformer", lambda b: level(b, "transformer", "closed"), ">=", 0.7),
        Law("bits per byte, best single expert − routed", lambda b: level(b, "ngrams", "gain"), ">", 0.0),
        Law(
            "the same where the prompt joins two kinds of text",
            lambda b: level(b, "ngrams", "gain", joined=True),
            ">",
            0.0,
        ),
        Law(
            "ablation: bits per byte on joined prompts, routed by the kind of the first half − routed",
            kind_only,
            ">",
            0.0,
        ),
        Law("ablation: regret where each prompt was put to one expert − to all (bits per byte)", partial, ">=", 0.0),
    )


@claim("tryage", "Its flags move the choice as asked, along a front")
def flagged(bench: Any) -> Laws:
    return Laws(
        Law("flags of five whose mean cost falls along the sweep", moved, ">=", 5),
        Law(
            "steps of the sweep over size at which size rises or the true loss falls by more than 0.01", broken, "<=", 0
        ),
        Law("area behind the front of true loss and size over that of random routing", volume, ">", 1.0),
        Law("decisions that differ from the least sum, 200 prompts by 9 weights", differing, "<=", 0),
    )


@claim("tryage", "It decides in milliseconds")
def quick(bench: Any) -> Laws:
    return Laws(Law("CPU milliseconds for a prompt, letter groups", latency, "<=", 5.0))


def _bench(bench: Any) -> experts.Bench:
    if not hasattr(bench, "_experts"):
        try:
            bench._experts = experts.make((120, 60), 0) if bench.quick else experts.make((400, 200), 100)
        except (MissingExtra, ImportError) as error:
            raise NotMeasurable(f"experts cannot be trained: {error}") from None
    return bench._experts  # type: ignore[no-any-return]


def _router(bench: Any, reader: str) -> Any:
    from ethogram.system import system

    kept = bench.__dict__.setdefault("_routers", {})
    if reader not in kept:
        options: dict[str, Any] = {"reader": reader, "letters": experts.LETTERS}
        if bench.quick:
            options |= {"encoder": "hash", "epochs": 1, "width": 16}
        kept[reader] = system("tryage", **options).fit(_bench(bench).log())
    return kept[reader]


def _predicted(bench: Any, reader: str) -> np.ndarray:
    """Losses as the reader sees them, of the judged prompts (the first `ASKED` where a language model is asked)."""
    kept = bench.__dict__.setdefault("_predictions", {})
    if reader not in kept:
        prompts = _bench(bench).prompts["test"]
        if reader == "asked":
            if bench.quick:
                raise NotMeasurable("needs the local model; not in a quick run")
            prompts = prompts[:ASKED]
        try:
            kept[reader] = _router(bench, reader).predict(prompts)
        except (LMError, MissingExtra) as error:
            raise NotMeasurable(f"there is no local model: {error}") from None
    return kept[reader]  # type: ignore[no-any-return]


def _single(bench: Any) -> int:
    return int(_bench(bench).losses["train"].mean(0).argmin())


def level(bench: Any, reader: str, what: str, joined: bool = False) -> Estimate:
    from ethogram.evaluate.regret import regret

    made = _bench(bench)
    rows = np.array(["+" in k for k in made.kinds["test"]]) if joined else np.ones(len(made.kinds["test"]), bool)
    chosen = _predicted(bench, reader).argmin(1)
    found = getattr(regret(made.losses["test"][rows], chosen[rows], _single(bench)), what)
    return Estimate(found.value, found.low, found.high, units=int(rows.sum()), unit="prompts")


def over(bench: Any, other: str) -> Estimate:
    from ethogram.evaluate.bootstrap import mean_difference

    theirs = _predicted(bench, other)
    best = _bench(bench).losses["test"][: len(theirs)].argmin(1)
    ours = _predicted(bench, "ngrams")[: len(theirs)]
    found = mean_difference(ours.argmin(1) == best, theirs.argmin(1) == best)
    return Estimate(found.value, found.low, found.high, units=len(best), unit="prompts")


def determination(bench: Any) -> Estimate:
    """1 - residual over total sum of squares, all prompts and experts; interval over prompts."""
    from ethogram.evaluate.bootstrap import interval, sums

    true, said = _bench(bench).losses["test"], _predicted(bench, "ngrams")
    parts = np.stack([((true - said) ** 2).sum(1), (true**2).sum(1), true.sum(1)], 1)
    k, n = true.shape[1], len(true)

    def share(total: np.ndarray) -> np.ndarray:
        return np.asarray(1 - total[..., 0] / (total[..., 1] - total[..., 2] ** 2 / (n * k)))

    found = interval(float(share(parts.sum(0))), share(sums(parts, 1000, 0)))
    return Estimate(found.value, found.low, found.high, units=n, unit="prompts")


def kind_only(bench: Any) -> Estimate:
    """The true kind of the first half, told for free, decides: what a perfect classifier of kinds would do."""
    from ethogram.evaluate.bootstrap import mean_difference

    made = _bench(bench)
    plain = made.kinds["train"]
    best = {k: int(made.losses["train"][plain == k].mean(0).argmin()) for k in experts.KINDS}
    rows = np.flatnonzero(["+" in k for k in made.kinds["test"]])
    by_kind = np.array([best[made.kinds["test"][i].partition("+")[0]] for i in rows])
    losses = made.losses["test"][rows]
    ours = _predicted(bench, "ngrams")[rows].argmin(1)
    found = mean_difference(losses[np.arange(len(rows)), by_kind], losses[np.arange(len(rows)), ours])
    return Estimate(found.value, found.low, found.high, units=len(rows), unit="prompts")


def partial(bench: Any) -> Estimate:
    """A log in which one expert, drawn at random, was asked each prompt, as a service writes it."""
    from ethogram.evaluate.bootstrap import mean_difference
    from ethogram.system import system

    made = _bench(bench)
    n, k = made.losses["train"].shape
    seen = np.random.default_rng(0).integers(0, k, n)[:, None] == np.arange(k)
    less = system("tryage", letters=experts.LETTERS).fit(made.log(seen=seen)).predict(made.prompts["test"])
    losses, rows = made.losses["test"], np.arange(len(made.losses["test"]))
    found = mean_difference(losses[rows, less.argmin(1)], losses[rows, _predicted(bench, "ngrams").argmin(1)])
    return Estimate(found.value, found.low, found.high, units=len(rows), unit="prompts")


def _sweep(bench: Any, flag: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean true loss and mean cost along thirteen weights, from none to ten times the spread of the losses."""
    from ethogram.act.tryage import flags

    made, said = _bench(bench), _predicted(bench, "ngrams")
    wish = flags.parse(flag)
    assert isinstance(wish, flags.Wish)
    cost = flags.costs(made.library, wish)
    spread = float((said.max(1) - said.min(1)).mean())
    rows = np.arange(len(said))
    chosen = [np.argmin(said + w * cost, 1) for w in (0.0, *(spread * np.geomspace(0.01, 10, 12)))]
    return np.array([made.losses["test"][rows, c].mean() for c in chosen]), np.array([cost[c].mean() for c in chosen])


def moved(bench: Any) -> float:
    return float(
        sum((np.diff(cost) <= 1e-12).all() and cost[-1] < cost[0] for _, cost in (_sweep(bench, f) for f in FLAGS))
    )


def broken(bench: Any) -> float:
    loss, cost = _sweep(bench, "smallest model")
    return float(((np.diff(cost) > 1e-12) | (np.diff(loss) < -0.01)).sum())


def volume(bench: Any) -> float:
    """Random routing: every mixture of a random expert, and of the smallest, with weights from 0 to 1."""
    from ethogram.act.tryage import flags
    from ethogram.numeric.pareto import hypervolume

    made = _bench(bench)
    wish = flags.parse("smallest model")
    assert isinstance(wish, flags.Wish)
    cost, losses = flags.costs(made.library, wish), made.losses["test"]
    rng = np.random.default_rng(0)
    drawn = []
    for share in np.linspace(0, 1, 13):
        chosen = np.where(rng.random(len(losses)) < share, int(cost.argmin()), rng.integers(0, len(cost), len(losses)))
        drawn.append((losses[np.arange(len(losses)), chosen].mean(), cost[chosen].mean()))
    end = np.array([float(losses.mean(0).max()), 1.0 + 1e-9])
    return hypervolume(np.stack(_sweep(bench, "smallest model"), 1), end) / hypervolume(np.array(drawn), end)


def differing(bench: Any) -> float:
    """The system's own table against argmin of predicted loss + weight x cost, the cost written out by hand."""
    made, router = _bench(bench), _router(bench, "ngrams")
    prompts = made.prompts["test"][: 20 if bench.quick else 200]
    size = np.log1p(np.array(made.library.column("size").to_pylist(), float))
    cost, said, wrong = (size - size.min()) / (size.max() - size.min()), router.predict(prompts), 0
    for weight in np.linspace(0, 2, 9):
        rows = router.route(prompts, flags=[f"smallest model {weight}"]).to_pylist()
        first = [router.models.index(r["model"]) for r in rows if r["rank"] == 1]
        total = said + weight * cost
        wrong += int((total[np.arange(len(first)), first] > total.min(1) + 1e-12).sum())
    return float(wrong)


def latency(bench: Any) -> float:
    router, prompts = _router(bench, "ngrams"), _bench(bench).prompts["test"][:50]
    spent = []
    for prompt in prompts:
        began = time.process_time()
        router.route([prompt], flags=["smallest model"])
        spent.append(time.process_time() - began)
    return 1000 * float(np.median(spent))
