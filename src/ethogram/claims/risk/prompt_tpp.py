"""What is claimed of `prompt_tpp`, and how it is measured.

Streams of `regime_hawkes`: ten windows of three laws that take turns (A, B, C, A, ...); in each window 48 people are
learned from and 32 others are judged. From the fourth window on every law has been met before: these are the returning
regimes, judged before their window is learned. All arms of one process have the same network and the same epochs, but
``retrain``, which has those of a first fit in each window. Settings were chosen on a stream with another seed, on its
judged people; nothing was chosen on the streams that judge. Reduced for its budget: two streams; one without effect;
one course of CDNOW purchases (a sample of 500 people); one training of the attentive process, of 1,500 sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim
from ethogram.claims.risk import streaming
from ethogram.claims.risk.streaming import Course, Window

KINDS = tuple(f"k{i}" for i in range(5))
OWN: dict[str, Any] = {"kinds": KINDS, "batch": 8, "base_rate": 0.03, "epochs": 20, "update_epochs": 10}
QUICK: dict[str, Any] = {
    "kinds": KINDS,
    "batch": 8,
    "epochs": 1,
    "update_epochs": 1,
    "points": 4,
    "hidden": 8,
    "clock": 4,
    "heads": 1,
}
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
SIZE = {"users": 80, "windows": 10}
MONTHS = ("1997-01-01", "1997-03-01", "1997-05-01", "1997-07-01", "1997-09-01", "1997-11-01", "1998-01-01",
          "1998-03-01", "1998-05-01", "1998-07-01")  # fmt: skip


@claim("prompt_tpp", "Likelihoods, draws and the attentive process are right where the law is known")
def correct(bench: Any) -> Laws:
    return Laws(
        Law("relative error of the integral by 20 even points, against the closed form", integral, "<=", 1e-3),
        Law("the same of the likelihood", likelihood, "<=", 1e-3),
        Law("p of time rescaling, 5,000 draws of the next event by thinning under a known law", thinned, ">=", 0.05),
        Law("nats per event below the true process, attentive process", lambda b: attentive(b)[0], "<=", 0.02),
        Law("nats per event above a Poisson process", lambda b: attentive(b)[1], ">=", 0.05),
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


@claim("prompt_tpp", "On purchases of CDs by calendar windows it is better than learning on, and than no memory")
def real(bench: Any) -> Laws:
    return Laws(
        Law("wrong dollar terciles, over learning on", lambda b: _bought(b, "online", "wrong kind", True), "<", 1.0),
        Law("RMSE of the gap, the same", lambda b: _bought(b, "online", "rmse", True), "<", 1.0),
        Law("MAE of the gap, the same", lambda b: _bought(b, "online", "mae", True), "<", 1.0),
        Law("RMSE of the log gap, the same", lambda b: _bought(b, "online", "log gap rmse", True), "<", 1.0),
        *(
            Law(
                f"nats per event on the window that comes, own − {name}",
                lambda b, n=name: _bought(b, n, "loglikelihood", False), ">", 0.0,
            )
            for name in ("online", "once", "hawkes", "renewal", "poisson")
        ),
    )  # fmt: skip


def stream(bench: Any, seed: int, effect: bool = True) -> list[Window]:
    from ethogram import data
    from ethogram.data.registry import find

    size: dict[str, Any] = {"users": 14, "windows": 4, "hours": 8.0} if bench.quick else SIZE
    made = find("regime_hawkes")(**size, seed=seed, effect=effect)
    log = data.load("regime_hawkes", **size, seed=seed, effect=effect)
    regimes = [w % made.regimes if effect else 0 for w in range(made.windows)]
    return streaming.cut(log.table(), made.instants.tolist(), regimes, 0.4, seed)


def courses(bench: Any, name: str, *, effect: bool = True) -> list[Course]:
    """One arm on the streams, kept for the other laws of the run."""
    held = bench.__dict__.setdefault("_prompt_tpp", {})
    seeds = [1] if bench.quick or not effect else [1, 2]
    if (name, effect) not in held:
        from ethogram.system import system

        if ("windows", effect) not in held:
            held["windows", effect] = [stream(bench, s, effect) for s in seeds]
        held[name, effect] = [
            streaming.follow(
                system("prompt_tpp", **{**(QUICK if bench.quick else OWN), **ARMS[name]}), w, s, returning=True
            )
            for w, s in zip(held["windows", effect], seeds, strict=True)
        ]
    found: list[Course] = held[name, effect]
    return found


def returning(windows: int, regimes: int = 3) -> list[tuple[int, int]]:
    """Cells (after window i, on window i + 1) whose law was met before."""
    return [(i, i + 1) for i in range(regimes - 1, windows - 1)]


def _compared(bench: Any, other: str, name: str, *, ratio: bool, effect: bool = True) -> Estimate:
    one, two = courses(bench, "prompts", effect=effect), courses(bench, other, effect=effect)
    return streaming.compared(one, two, returning(one[0].windows), name, ratio=ratio)


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


def known(sequences: int, seed: int) -> tuple[Any, Any]:
    """(law, sequences of it): five kinds that call forth their own kind most."""
    from ethogram.numeric.hawkes import Hawkes

    law = Hawkes(np.full(5, 0.15), 0.8 * (0.25 * np.eye(5) + 0.08), 1.5)
    return law, law.sample(np.full(sequences, 40.0), seed=seed)


def _integrals(bench: Any) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    from ethogram.numeric.integrals import instants
    from ethogram.numeric.streams import States

    law, own = known(20 if bench.quick else 300, 1)
    when, weight = instants(own.gaps, 20, "trapezoid")
    states = States(*(np.repeat(a, 20) for a in (own.gaps.owner, own.gaps.known, own.gaps.start)))
    rate = law.after(own, states, when.ravel() - states.now).sum(1).reshape(when.shape)
    return law, own, (rate * weight).sum(1), law.residuals(own)


def integral(bench: Any) -> float:
    _, _, said, exact = _integrals(bench)
    return float(abs(said.sum() - exact.sum()) / exact.sum())


def likelihood(bench: Any) -> float:
    law, own, said, exact = _integrals(bench)
    total = float(law.loglikelihood(own).sum())
    return float(abs((said - exact).sum() / total))


def thinned(bench: Any) -> float:
    """Draws by the sampler that networks use, under a Hawkes intensity."""
    from ethogram.numeric.rescaling import kolmogorov
    from ethogram.numeric.streams import Streams
    from ethogram.numeric.thinning import first_arrivals

    law, own = known(5 if bench.quick else 100, 2)
    last, many = own.last(), 50
    keys = np.arange(len(own)).astype(np.uint64)
    gap = first_arrivals(lambda s, wait: law.after(own, last.take(s), wait).sum(1), keys, many)
    each = own.take(np.repeat(np.arange(len(own)), many))
    later = Streams(each.time, each.kind, each.offsets, each.end, each.end + gap.ravel(), 5)
    return kolmogorov(law.residuals(later))[1]


def attentive(bench: Any) -> tuple[float, float]:
    """(true process − trained, trained − Poisson), nats per event of held-out sequences."""
    held = bench.__dict__.setdefault("_prompt_tpp", {})
    if "attentive" not in held:
        from ethogram.nn.adam import adam
        from ethogram.nn.attentive_process import AttentiveProcess
        from ethogram.nn.processes import Neural, batch_loss
        from ethogram.numeric.renewal import Poisson

        epochs, size = (1, 16) if bench.quick else (14, 1_500)
        law, train = known(size, 3)
        _, test = known(max(size // 5, 4), 4)
        net, rng = AttentiveProcess(5, seed=0), np.random.default_rng(0)
        step = adam(net.parameters(), 5e-3)
        for epoch in range(epochs):
            step.lr = 5e-3 * min(1.0, 2 * (epochs - epoch) / epochs)  # type: ignore[union-attr]
            order = rng.permutation(len(train))
            for at in range(0, len(order), 16):
                step.zero_grad()
                batch_loss(net, train.take(order[at : at + 16]), 8, "random", rng).backward()
                step.step()
        events = int(test.judged.sum())
        own, best, none = (
            float(p.loglikelihood(test).sum()) / events for p in (Neural(net, 1.0), law, Poisson.fit(train))
        )
        held["attentive"] = best - own, own - none
    found: tuple[float, float] = held["attentive"]
    return found


def _bought(bench: Any, other: str, name: str, ratio: bool) -> Estimate:
    """On the windows that come, from the third on: all arms have seen two."""
    one, two = purchases(bench, "prompts"), purchases(bench, other)
    return streaming.compared([one], [two], [(i, i + 1) for i in range(1, one.windows - 1)], name, ratio=ratio)


def purchases(bench: Any, name: str) -> Course:
    if bench.quick:
        raise NotMeasurable("needs the purchases; not in a quick run")
    held = bench.__dict__.setdefault("_prompt_tpp", {})
    if ("cdnow", name) not in held:
        import pyarrow as pa
        import pyarrow.compute as pc

        from ethogram.log.condition import micros
        from ethogram.system import system

        if "cdnow" not in held:
            table = bench.load("cdnow").table()
            counts = table.group_by("user").aggregate([("time", "count")])
            often = np.sort(counts.filter(pc.greater_equal(counts.column("time_count"), 3)).column("user").to_numpy())
            some = np.random.default_rng(0).permutation(often)[:500]
            table = table.filter(pc.is_in(table.column("user"), pa.array(some)))
            held["cdnow"] = streaming.cut(table, [micros(m) for m in MONTHS], [-1] * (len(MONTHS) - 1), 0.4, 0)
        arm = system("prompt_tpp", **{**CDNOW, **ARMS[name]})
        held["cdnow", name] = streaming.follow(arm, held["cdnow"], 0, returning=True)
    found: Course = held["cdnow", name]
    return found
