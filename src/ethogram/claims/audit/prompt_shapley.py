"""What is claimed of `prompt_shapley`, and how it is measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim


@claim("prompt_shapley", "Its shares are Shapley values, and few evaluations come near them")
def exactness(bench: Any) -> Laws:
    return Laws(
        Law("largest miss of the planted weights of an additive chooser", additive, "<=", 1e-9),
        Law("largest violation of efficiency, symmetry and dummy", axioms, "<=", 1e-9),
        Law("share of order estimates within 3 standard errors", within, ">=", 0.95),
        Law("evaluations of the regression over those of plain orders at equal error, 14 slots", economy, "<=", 0.5),
    )


@claim("prompt_shapley", "Removing what it calls noise removes a framing bias that sits in the noise")
def framing(bench: Any) -> Laws:
    return Laws(
        Law("bias of a planted chooser without its noise slot over its bias with it", removed, "<=", 0.2),
        Law("error of the price for an hour, from a planted chooser's choices", traded, "<=", 0.1),
    )


@claim("prompt_shapley", "A language model's choice between flights is moved by words that say nothing")
def local(bench: Any) -> Laws:
    return Laws(
        Law("noise share of the local model", lambda b: flights(b)["noise"], ">", 0.0),
        Law(
            "rank correlation of the shares between two halves of the variants",
            lambda b: flights(b)["halves"],
            ">=",
            0.9,
        ),
    )


def _random_game(n: int, seed: int) -> np.ndarray:
    from ethogram.numeric.shapley import coalitions

    rng = np.random.default_rng(seed)
    rows = coalitions(n).astype(np.float32)
    pairs = np.triu(rng.normal(size=(n, n)), 1).astype(np.float32) / n
    z = rows @ rng.normal(size=n).astype(np.float32) + ((rows @ pairs) * rows).sum(1)
    return np.asarray((1 / (1 + np.exp(-z)))[:, None], np.float64)


def _lookup(values: np.ndarray) -> Any:
    n = int(np.log2(len(values)))
    return lambda rows: values[rows @ (1 << np.arange(n))]


def additive(bench: Any) -> float:
    from ethogram.audit.prompt_shapley import PromptShapley
    from ethogram.lm.auditing import audit
    from ethogram.lm.blocking import run

    worst = 0.0
    for template in ("framing",) if bench.quick else ("flights", "framing"):
        built = PromptShapley(template=template, variants=1, rotations=1)
        for one in built.planted():
            found = run(audit(built, one.lm)).metrics
            worst = max([worst, *(abs(found[name][0] - truth) for name, truth in one.truth.items())])
    return worst


def axioms(bench: Any) -> float:
    from ethogram.numeric.shapley import coalitions, exact

    worst = 0.0
    for seed in range(3 if bench.quick else 20):
        values = _random_game(8, seed)
        worst = max(worst, abs(float(exact(values).sum() - (values[-1] - values[0])[0])))
        rows = coalitions(8)
        z = 0.7 * (rows[:, 0] ^ rows[:, 1]) + rows[:, 2] * (rows[:, 0] + rows[:, 1]) + np.sin(rows[:, 3:6].sum(1))
        phi = exact(z[:, None])[:, 0]
        worst = max(worst, abs(phi[0] - phi[1]), abs(phi[3] - phi[5]), abs(phi[6]), abs(phi[7]))
    return float(worst)


def within(bench: Any) -> float:
    from ethogram.numeric.shapley import by_orders, exact

    inside = []
    for seed in range(4 if bench.quick else 40):
        values = _random_game(10, seed)
        found = by_orders(_lookup(values), 10, orders=60, se=0.0, seed=seed)
        inside.append(np.abs(found.phi - exact(values)) <= 3 * found.se + 1e-12)
    return float(np.mean(inside))


def economy(bench: Any) -> float:
    """Evaluations that each needs for a mean error of 0.004, by a ladder of efforts; medians over games."""
    from ethogram.numeric.shapley import by_orders, by_regression, exact

    ratios = []
    for seed in range(2 if bench.quick else 10):
        values = _random_game(14, seed)
        truth, game = exact(values), _lookup(values)
        needed = []
        for way in ("regression", "orders"):
            for effort in (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096):
                errors, used = [], []
                for draw in range(3):
                    if way == "regression":
                        found = by_regression(game, 14, evaluations=effort, seed=draw)
                    else:
                        found = by_orders(game, 14, orders=2 * max(1, effort // 26), se=0.0, seed=draw, paired=False)
                    errors.append(float(np.abs(found.phi - truth).mean()))
                    used.append(found.evaluations)
                if np.mean(errors) <= 0.004:
                    break
            needed.append(float(np.mean(used)))
        ratios.append(needed[0] / needed[1])
    return float(np.median(ratios))


def removed(bench: Any) -> float:
    """A chooser whose frame works through a word of the filler: the bias, before and after the filler is taken out."""
    from dataclasses import replace

    from ethogram.audit.prompt_shapley import PromptShapley
    from ethogram.audit.templates import READY
    from ethogram.lm.auditing import audit
    from ethogram.lm.blocking import run
    from ethogram.lm.scripted import ScriptedLM

    def rate(prompt: str, texts: Any) -> list[float]:
        pushed = 0.3 * ("proposed by the office" in prompt) * (1 if "saved" in prompt else -1)
        p = 0.5 + pushed + (0.02 if "saved" in prompt else 0.0)
        return [float(np.log(p if t == "Program A" else 1 - p)) for t in texts]

    built = PromptShapley(template="framing", variants=2, rotations=1)
    subject, made = ScriptedLM("unused", rater=rate), READY["framing"]
    before = run(audit(built, subject))
    noise = [s.name for s in made[0].slots if not s.informative]
    loud = max(noise, key=lambda name: abs(before.metrics[f"gain: phi {name}"][0]))
    rest = tuple(
        replace(t, text=t.text.replace(f"{{{loud}}}", ""), slots=tuple(s for s in t.slots if s.name != loud))
        for t in made
    )
    built.templates = lambda: rest  # type: ignore[method-assign]
    after = run(audit(built, subject))
    gaps = [abs(next(iter(r.contrasts.values()))[0]) for r in (before, after)]
    return gaps[1] / gaps[0]


def traded(bench: Any) -> float:
    """A chooser with known worth of money and time: a logistic regression on its choices gives their ratio back."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    price, hours = rng.uniform(-350, 350, 4000), rng.uniform(-10, 10, 4000)
    chosen = rng.random(4000) < 1 / (1 + np.exp(0.01 * price + 0.4 * hours))
    made = LogisticRegression(C=1e6).fit(np.stack([price / 100, hours], 1), chosen)
    ratio = made.coef_[0][1] / (made.coef_[0][0] / 100)
    return float(abs(ratio / 40 - 1))


def flights(bench: Any) -> dict[str, Any]:
    if not hasattr(bench, "_flights"):
        bench._flights = _flights(bench)
    return dict(bench._flights)


def _flights(bench: Any) -> dict[str, Any]:
    from scipy.stats import spearmanr

    from ethogram.audit.prompt_shapley import PromptShapley
    from ethogram.errors import LMError, MissingExtra
    from ethogram.lm import LM
    from ethogram.lm.auditing import audit
    from ethogram.lm.blocking import run

    built = PromptShapley(variants=2 if bench.quick else 4, rotations=1 if bench.quick else 2)
    try:
        lm = list(built.planted())[1].lm if bench.quick else LM.connect("local")
        report = run(audit(built, lm))
    except (LMError, MissingExtra) as error:
        raise NotMeasurable(f"there is no local model: {error}") from None
    assert report.rows is not None
    phi = np.array([report.rows.column(n).to_pylist() for n in report.rows.column_names if n.startswith("phi ")])
    half = phi.shape[1] // 2
    value, low, high = report.metrics["noise_share"]
    together = float(spearmanr(phi[:, :half].mean(1), phi[:, half:].mean(1)).statistic)
    return {"noise": Estimate(value, low, high, units=phi.shape[1], unit="variants"), "halves": together}
