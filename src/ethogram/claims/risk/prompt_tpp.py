"""What is claimed of `prompt_tpp`, and how it is measured.

Streams of `regime_hawkes`: ten windows of three laws that take turns (A, B, C, A, ...); in each window 48 people are
learned from and 32 others are judged. From the fourth window on every law has been met before: these are the returning
regimes, judged before their window is learned. All arms of one process have the same network and the same epochs, but
``retrain``, which has those of a first fit in each window. Settings (step sizes, rows, `diversify`, alternation, first
layer's query) were chosen on a stream with another seed, on its judged people; nothing was chosen on the streams that
judge, nor on recorded behaviour. Reduced for its budget: two streams, one for ``retrain`` and the parts, one without
effect; one course each of CDNOW purchases (500 people), sessions of MovieLens ratings (300) and Complete Journey trips
(250 households); integrals of training by 8 random points; one training of the attentive process, of 1,500 sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim
from ethogram.claims.risk import calendar_streams, known_law, streaming, warned
from ethogram.claims.risk.streaming import Course, Window
from ethogram.claims.risk.warned import Asked

KINDS = tuple(f"k{i}" for i in range(5))
OWN: dict[str, Any] = {"kinds": KINDS, "batch": 8, "points": 8, "epochs": 20, "update_epochs": 10}
QUICK: dict[str, Any] = {"kinds": KINDS, "batch": 8, "epochs": 1, "update_epochs": 1, "points": 4, "hidden": 8,
                         "clock": 4, "heads": 1, "draws": 8}  # fmt: skip
ARMS: dict[str, dict[str, Any]] = {
    "prompts": {},
    "online": {"stream": "online"},
    "once": {"stream": "once"},
    "retrain": {"stream": "retrain"},
    "replay": {"stream": "replay"},
    "hawkes": {"process": "hawkes", "stream": "online"},
    "renewal": {"process": "renewal", "stream": "online"},
    "poisson": {"process": "poisson", "stream": "online"},
    "no time in prompts": {"timed": False},
    "no key loss": {"pull": 0.0},
    "one entry": {"prompts": 1, "chosen": 1},
    "nearness alone": {"diversify": 0.0},
}
CDNOW: dict[str, Any] = {**OWN, "kinds": (), "mark": "value", "bins": 3, "batch": 32}
FIRST = ("retrain", "no time in prompts", "no key loss", "one entry", "nearness alone")
"""Arms that are followed on the first stream alone."""
SIZE = {"users": 80, "windows": 10}
SESSIONS: dict[str, Any] = {**OWN, "batch": 16, "silence": False}


@claim("prompt_tpp", "Likelihoods, draws and the attentive process are right where the law is known")
def correct(bench: Any) -> Laws:
    return Laws(
        Law(
            "relative error of the integral by 20 even points, against the closed form", known_law.integral, "<=", 1e-3
        ),
        Law("the same of the likelihood", known_law.likelihood, "<=", 1e-3),
        Law(
            "p of time rescaling, 5,000 draws of the next event by thinning under a known law",
            known_law.thinned,
            ">=",
            0.05,
        ),
        Law(
            "nats per event below the true process, attentive process", lambda b: known_law.attentive(b)[0], "<=", 0.02
        ),
        Law("nats per event above a Poisson process", lambda b: known_law.attentive(b)[1], ">=", 0.05),
    )


@claim("prompt_tpp", "Where regimes return it is ready for them, without a buffer; learning on forgets them")
def streams(bench: Any) -> Laws:
    return Laws(
        Law(
            "wrong kinds on returning regimes, over learning on",
            lambda b: _ratio(b, "online", "wrong kind"),
            "<=",
            0.95,
        ),
        Law("RMSE of the gap, the same", lambda b: _ratio(b, "online", "rmse"), "<=", 0.95),
        Law("negative log-likelihood, the same", lambda b: _ratio(b, "online", "loglikelihood"), "<=", 0.95),
        Law("MAE of the gap, the same", lambda b: _ratio(b, "online", "mae"), "<=", 0.95),
        Law("RMSE of the log gap, the same", lambda b: _ratio(b, "online", "log gap rmse"), "<=", 0.95),
        Law("forgetting in nats per event, half of learning on's − own", kept, ">=", 0.0),
        *(
            Law(f"nats per event on returning regimes, own − {name}", lambda b, n=name: _gap(b, n), ">", 0.0)
            for name in ("once", "retrain", "replay", "hawkes", "renewal", "poisson")
        ),
        Law("where nothing changes, nats per event, own − learning on", still, ">=", -0.02),
    )


@claim("prompt_tpp", "Time in prompts, key loss and a pool each have their part; prompts follow the regime and are few")
def parts(bench: Any) -> Laws:
    return Laws(
        *(
            Law(f"nats per event on returning regimes, own − {name}", lambda b, n=name: _gap(b, n), ">", 0.0)
            for name in ("no time in prompts", "no key loss", "one entry", "nearness alone")
        ),
        Law("normalised mutual information of used entries and regime, better layer", follows, ">=", 0.5),
        Law("parameters of the prompts over those of the network", share, "<=", 0.15),
    )


@claim("prompt_tpp", "On real streams by calendar windows it is better than learning on, and than no memory")
def real(bench: Any) -> Laws:
    return Laws(
        *(
            Law(
                f"{said} over learning on, {name}",
                lambda b, m=m, n=name: _real(b, n, "online", m, True), "<", 1.0,
            )
            for name in ("cdnow", "ml_100k")
            for said, m in (
                ("wrong kinds", "wrong kind"), ("RMSE of the gap", "rmse"), ("MAE of the gap", "mae"),
                ("RMSE of the log gap", "log gap rmse"),
            )
        ),
        *(
            Law(
                f"nats per event on the window that comes, own − {other}, {name}",
                lambda b, o=other, n=name: _real(b, n, o, "loglikelihood", False), ">", 0.0,
            )
            for name in ("cdnow", "ml_100k")
            for other in ("online", "once", "hawkes", "renewal", "poisson")
        ),
    )  # fmt: skip


@claim("prompt_tpp", "It tells who does a thing soon better than decayed counts and a Poisson process of each person")
def warnings(bench: Any) -> Laws:
    names = ("regime_hawkes",) if bench.quick else ("regime_hawkes", "complete_journey")

    def law(said: str, name: str, one: str, other: str, metric: str, how: str = ">", bound: float = 0.0) -> Law:
        return Law(f"{said}, {name}", lambda b: warning(b, name, one, other, metric), how, bound)

    metrics = (("AUC", "auc"), ("PR-AUC", "pr_auc"), ("negative Brier score", "brier"))
    return Laws(
        *(
            law(f"{said}, own − {other}", name, "prompts", other, metric)
            for name in names
            for other in ("decayed counts", "poisson of each")
            for said, metric in metrics
        ),
        *(law(f"AUC, own − {other}", "regime_hawkes", "prompts", other, "auc") for other in ("online", "hawkes")),
        law("AUC, the true law − own", "regime_hawkes", "law", "prompts", "auc", "<=", 0.02),
    )


def stream(bench: Any, seed: int, effect: bool = True) -> list[Window]:
    from ethogram import data
    from ethogram.data.registry import find

    size = _size(bench)
    made = find("regime_hawkes")(**size, seed=seed, effect=effect)
    log = data.load("regime_hawkes", **size, seed=seed, effect=effect)
    regimes = [w % made.regimes if effect else 0 for w in range(made.windows)]
    return streaming.cut(log.table(), made.instants.tolist(), regimes, 0.4, seed)


def _size(bench: Any) -> dict[str, Any]:
    return {"users": 10, "windows": 4, "hours": 8.0} if bench.quick else SIZE


def courses(bench: Any, name: str, *, effect: bool = True) -> list[Course]:
    """One arm on the streams, kept for the other laws of the run."""
    held = bench.__dict__.setdefault("_prompt_tpp", {})
    seeds = [1] if bench.quick or not effect else [1, 2]
    if (name, effect) not in held:
        from ethogram.system import system

        if ("windows", effect) not in held:
            held["windows", effect] = [stream(bench, s, effect) for s in seeds]
        seeds = seeds[:1] if name in FIRST else seeds
        held[name, effect] = [
            streaming.follow(
                system("prompt_tpp", **{**(QUICK if bench.quick else OWN), **ARMS[name]}),
                w,
                s,
                returning=True,
                draws=2 if bench.quick else streaming.DRAWS,
            )
            for w, s in zip(held["windows", effect][: len(seeds)], seeds, strict=True)
        ]
    found: list[Course] = held[name, effect]
    return found


def returning(windows: int, regimes: int = 3) -> list[tuple[int, int]]:
    """Cells (after window i, on window i + 1) whose law was met before."""
    return [(i, i + 1) for i in range(regimes - 1, windows - 1)]


def _compared(bench: Any, other: str, name: str, *, ratio: bool, effect: bool = True) -> Estimate:
    one, two = courses(bench, "prompts", effect=effect), courses(bench, other, effect=effect)
    return streaming.compared(one[: len(two)], two, returning(one[0].windows), name, ratio=ratio)


def _ratio(bench: Any, other: str, name: str) -> Estimate:
    return _compared(bench, other, name, ratio=True)


def _gap(bench: Any, other: str) -> Estimate:
    return _compared(bench, other, "loglikelihood", ratio=False)


def still(bench: Any) -> Estimate:
    return _compared(bench, "online", "loglikelihood", ratio=False, effect=False)


def kept(bench: Any) -> Estimate:
    """Over the windows before the last three, which are the regimes' latest; windows of all streams are resampled."""
    own, other = courses(bench, "prompts"), courses(bench, "online")
    old = range(max(own[0].windows - 3, 1))
    gap = (streaming.lost(other, old) / 2 - streaming.lost(own, old)).ravel()
    rng = np.random.default_rng(0)
    drawn = gap[rng.integers(0, len(gap), (1_000, len(gap)))].mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(gap.mean()), float(low), float(high), units=len(gap), unit="windows")


def follows(bench: Any) -> float:
    """Of judged people in the last windows, one of each regime: the entries that each used most, against the regime."""
    held = courses(bench, "prompts")
    windows: Sequence[list[Window]] = bench.__dict__["_prompt_tpp"]["windows", True]
    found = []
    for course, own in zip(held, windows, strict=True):
        arm, labels = course.built, {}
        for window in own[-3:]:
            table = arm.usage(window.judged)
            users, layers, entries, part = (table.column(n).to_pylist() for n in ("user", "layer", "entry", "share"))
            for user, layer, entry, value in zip(users, layers, entries, part, strict=True):
                labels.setdefault((layer, window.regime, user), []).append((-value, entry))
        scores = []
        for layer in range(arm.layers):
            used = [
                (tuple(sorted(e for _, e in sorted(v)[: arm.chosen])), k[1]) for k, v in labels.items() if k[0] == layer
            ]
            scores.append(information([u for u, _ in used], [r for _, r in used]))
        found.append(max(scores))
    return float(np.mean(found))


def information(one: Sequence[Any], other: Sequence[Any]) -> float:
    """Mutual information over the mean entropy, 0 to 1."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score([str(a) for a in one], [str(b) for b in other]))


def share(bench: Any) -> float:
    """Of the options as they are by default."""
    from ethogram.nn.attentive_process import AttentiveProcess
    from ethogram.system import system

    own = system("prompt_tpp")
    net = AttentiveProcess(
        5, hidden=own.hidden, time=own.clock, layers=own.layers, heads=own.heads, entries=own.prompts,
        chosen=own.chosen, rows=own.rows,
    )  # fmt: skip
    return sum(p.numel() for p in net.prompts()) / sum(p.numel() for p in net.base())


def _real(bench: Any, name: str, other: str, metric: str, ratio: bool) -> Estimate:
    """On the windows that come, from the third on: all arms have seen two."""
    one, two = followed(bench, name, "prompts"), followed(bench, name, other)
    return streaming.compared([one], [two], [(i, i + 1) for i in range(1, one.windows - 1)], metric, ratio=ratio)


def followed(bench: Any, name: str, arm: str) -> Course:
    """One arm on a real stream."""
    if bench.quick:
        raise NotMeasurable("needs recorded behaviour; not in a quick run")
    held = bench.__dict__.setdefault("_prompt_tpp", {})
    if (name, arm) not in held:
        from ethogram.system import system

        if name not in held:
            log = bench.load(name)
            held[name] = calendar_streams.sessions(log) if name == "ml_100k" else (calendar_streams.purchases(log), ())
        windows, kinds = held[name]
        own = {**SESSIONS, "kinds": kinds} if name == "ml_100k" else CDNOW
        held[name, arm] = streaming.follow(system("prompt_tpp", **{**own, **ARMS[arm]}), windows, 0, returning=True)
    found: Course = held[name, arm]
    return found


def warning(bench: Any, name: str, one: str, other: str, metric: str) -> Estimate:
    held = bench.__dict__.setdefault("_prompt_tpp", {})
    if ("warned", name) not in held:
        held["warned", name] = _warned_regimes(bench) if name == "regime_hawkes" else _warned_trips(bench)
    every, risks = held["warned", name]
    return warned.compared(every, risks[one], risks[other], metric)


def _warned_regimes(bench: Any) -> tuple[list[Asked], dict[str, list[np.ndarray]]]:
    """Of k0 within two hours, a third and two thirds into the last three windows, after all windows were learned."""
    from ethogram.data.registry import find
    from ethogram.risk.prompt_tpp.ahead import chances
    from ethogram.risk.prompt_tpp.learning import Rescaled
    from ethogram.risk.prompt_tpp.reading import window as reading

    hour, wanted = 3_600_000_000, lambda table: pc.equal(table.column("kind"), "k0")
    horizon, every = 2 * hour, []
    arms = {n: courses(bench, n) for n in ("prompts", "online", "hawkes")}
    risks: dict[str, list[np.ndarray]] = {n: [] for n in (*arms, "law")}
    streams_: list[list[Window]] = bench.__dict__["_prompt_tpp"]["windows", True]
    made = find("regime_hawkes")(**_size(bench))
    for number, windows in enumerate(streams_):
        for w in range(len(windows) - 3, len(windows)):
            begin, end = (int(t) for t in made.instants[w : w + 2])
            for share_ in (1 / 3, 2 / 3):
                one = warned.asked(windows[w], begin, round(begin + share_ * (end - begin)), horizon, wanted, number)
                every.append(one)
                for name, held in arms.items():
                    arm = held[number].built
                    arm.risky, arm.horizon = "k0", "2h"
                    risks[name].append(warned.told(arm, one))
                    arm.risky = ""
                found, done = reading(one.past, arms["prompts"][number].built.fitted.marks, True)
                true = chances(Rescaled(made.law(w), hour), found, 0, horizon, 64, 0)
                who = done.vocabularies["user"].decode(done.users).to_pylist()
                risks["law"].append(np.array([dict(zip(who, true, strict=True))[u] for u in one.label]))
    return every, risks | warned.simple(every, every, horizon, wanted)


def _warned_trips(bench: Any) -> tuple[list[Asked], dict[str, list[np.ndarray]]]:
    """Of a trip of the dearest third within three days, at four instants of each month, before the month is learned."""
    from ethogram.system import system

    windows = calendar_streams.trips(bench.load("complete_journey"))
    arm = system("prompt_tpp", **{**CDNOW, "horizon": "3d"})
    day = 86_400_000_000
    months = calendar_streams.instants(calendar_streams.TRIPS)
    arm.fit(windows[0].train, seed=0)
    edge = float(arm.fitted.marks.edges[-1])
    wanted = lambda table: pc.greater(table.column("value"), edge)  # noqa: E731
    arm.risky = arm.fitted.marks.names().to_pylist()[-1]
    before, every, risks = [], [], []
    for w in range(1, len(windows)):
        asked = [warned.asked(windows[w], months[w], months[w] + d * day, 3 * day, wanted) for d in (10, 14, 18, 22)]
        if w < 3:
            before += asked
        else:
            every += asked
            risks += [warned.told(arm, one) for one in asked]
        if w + 1 < len(windows):
            arm.update(windows[w].train)
    return every, {"prompts": risks, **warned.simple(before, every, 3 * day, wanted)}
