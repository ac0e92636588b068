"""What is claimed of `ltl_agent`, and how it is measured."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim
from ethogram.claims.act import questions

SYMBOLS = ("a", "b", "c", "d")


@claim("ltl_agent", "Its automaton accepts exactly what the formula means")
def exact(bench: Any) -> Laws:
    return Laws(
        Law("differences from the definition, every trace to length 6 over 4 symbols", differences, "<=", 0),
        Law("comparisons made (thousands)", comparisons, ">=", 20 if bench.quick else 1_000),
        Law("milliseconds to compile the slowest of the ready specifications", building, "<=", 50),
        Law("planted faults in examples found at their exact place, of 20", faults, ">=", 20),
    )


@claim("ltl_agent", "No trace of a model leaves its specification; written freely, many do")
def form(bench: Any) -> Laws:
    return Laws(
        Law("share of guided traces that satisfy their specification", lambda b: shares(b)["guided"], ">=", 1.0),
        Law("share of repaired traces that do", lambda b: shares(b)["repaired"], ">=", 1.0),
        Law("share of free traces that do, same prompts and seeds", lambda b: shares(b)["free"], "<", 0.6),
        Law("longest guided trace over its bound", lambda b: shares(b)["longest"], "<=", 1.0),
    )


@claim("ltl_agent", "Questions over texts: held to ReAct with quoted answers, the same model answers more of them")
def answers(bench: Any) -> Laws:
    return Laws(Law("answered by guided ReAct − by free ReAct (share, paired)", gained, ">", 0.0))


@claim("ltl_agent", "A guard of the same formula lets no unsafe step through")
def safe(bench: Any) -> Laws:
    return Laws(
        Law("violations of 500 guarded episodes", lambda b: guarded(b, True), "<=", 0),
        Law("violations of 500 unguarded episodes", lambda b: guarded(b, False), ">", 0),
    )


@claim("ltl_agent", "What is admissible is known in less than a twentieth of the time of a token")
def speed(bench: Any) -> Laws:
    return Laws(Law("time of the mask over time of a token", overhead, "<=", 0.05))


def _compared(bench: Any) -> tuple[int, int]:
    from ethogram.errors import OptionError
    from ethogram.text.ltl import Automaton
    from ethogram.text.ltl.direct import every_trace, holds, random_formula

    rng, wrong, made = np.random.default_rng(1), 0, 0
    traces = [every_trace(4, n) for n in range(1, 5 if bench.quick else 7)]
    for _ in range(60 if bench.quick else 250):
        formula = random_formula(SYMBOLS, rng, int(rng.integers(1, 8)))
        truth = [holds(formula, SYMBOLS, t) for t in traces]
        made += sum(map(len, truth))
        try:
            machine = Automaton.of(formula, SYMBOLS)
        except OptionError:  # said to be satisfied by nothing
            wrong += sum(int(t.sum()) for t in truth)
            continue
        said = [machine.accepting[machine.run(t)[:, -1]] for t in traces]
        wrong += sum(int((a != b).sum()) for a, b in zip(said, truth, strict=True))
    return wrong, made


def differences(bench: Any) -> float:
    return float(_compared(bench)[0])


def comparisons(bench: Any) -> float:
    return _compared(bench)[1] / 1000


def building(bench: Any) -> float:
    from ethogram.act.ltl_agent import READY
    from ethogram.text.ltl import Automaton

    worst = 0.0
    for spec in READY.values():
        best = np.inf
        for _ in range(3):
            began = time.process_time()
            Automaton.of(spec.formula, spec.names)
            best = min(best, time.process_time() - began)
        worst = max(worst, best)
    return 1000 * worst


def faults(bench: Any) -> float:
    """A step dropped, repeated, exchanged with its neighbour, or put in; the place by trying every continuation."""
    from ethogram.act.ltl_agent import READY

    spec, found = READY["react"], 0
    block = ["thought", "action", "input", "observation"]
    whole = [["question", *block * n, "final_thought", "answer"] for n in range(7)]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        good = whole[int(rng.integers(1, 4))]
        at = int(rng.integers(1, len(good) - 1))
        bad = [
            [*good[:at], *good[at + 1 :]], [*good[: at + 1], *good[at:]],
            [*good[: at - 1], good[at], good[at - 1], *good[at + 1 :]], [*good[:at], "question", *good[at:]],
        ][seed % 4]  # fmt: skip
        starts = (i for i in range(len(bad)) if not any(t[: i + 1] == bad[: i + 1] for t in whole))
        found += spec.monitor.check(bad).position == next(starts, len(bad))
    return float(found)


def shares(bench: Any) -> dict[str, Any]:
    """Every ready specification, several questions, three ways of decoding; a babbling model in the quick run."""
    if not hasattr(bench, "_ltl_shares"):
        bench._ltl_shares = _shares(bench)
    return dict(bench._ltl_shares)


def _shares(bench: Any) -> dict[str, Any]:
    from ethogram.act.ltl_agent import READY, LTLAgent

    lm, most = _model(bench), 10
    kept: dict[str, list[float]] = {"guided": [], "repaired": [], "free": []}
    longest = 0.0
    asked = questions.QUESTIONS[: 2 if bench.quick else 4]
    for spec in READY.values():
        for seed, (question, _) in enumerate(asked):
            for way, found in kept.items():
                agent = LTLAgent(spec=spec.name, lm=lm, decoding=way, most=most)
                kinds = agent.act(question, questions.world(), seed=seed).table().column("kind").to_pylist()
                found.append(float(all(k in spec.names for k in kinds) and spec.monitor.check(kinds).accepted))
                if way == "guided":
                    longest = max(longest, len(kinds) / most)
    return {**{way: _share(found, exact=way != "free") for way, found in kept.items()}, "longest": longest}


def _share(values: list[float], exact: bool) -> float | Estimate:
    from ethogram.evaluate.bootstrap import mean

    if exact:
        return float(np.mean(values))
    found = mean(values)
    return Estimate(found.value, found.low, found.high, units=len(values), unit="traces")


def gained(bench: Any) -> Estimate:
    """On questions that no choice rests on; the specification was chosen on others.

    The arms differ in more than the specification: the guided one quotes one of at most 12 spans near the question,
    and decodes greedily where the free one draws.
    """
    from ethogram.act.ltl_agent import LTLAgent
    from ethogram.evaluate.bootstrap import mean_difference

    lm = _model(bench)
    right: dict[str, list[float]] = {"guided": [], "free": []}
    for seed, (question, truth) in enumerate(questions.UNSEEN_QUESTIONS[: 3 if bench.quick else None]):
        for way, found in right.items():
            spec = "grounded" if way == "guided" else "react"
            log = LTLAgent(spec=spec, lm=lm, decoding=way, most=7).act(question, questions.unseen_world(), seed=seed)
            rows = log.table().to_pylist()
            said = " ".join(r["text"] for r in rows if r["kind"] == "answer").lower()
            found.append(float(truth.lower() in said and len(said.split()) <= 12))
    found = mean_difference(right["guided"], right["free"])
    return Estimate(found.value, found.low, found.high, units=len(right["free"]), unit="questions")


def guarded(bench: Any, guard: bool) -> float:
    """A shopper who acts at random must not pay before confirming, nor open the door while nobody is at home."""
    from ethogram.text.ltl import Monitor

    names = ("look", "confirm", "pay", "leave", "return", "unlock")
    monitor = Monitor("(!pay W confirm) & G (pay -> N (!pay W confirm)) & G (leave -> (!unlock W return))", names)
    machine, rng, wrong = monitor.automaton, np.random.default_rng(0), 0
    for _ in range(50 if bench.quick else 500):
        state, trace = machine.start, []
        for left in range(12, 0, -1):
            open_ = np.flatnonzero(machine.admissible(state, left)) if guard else np.arange(len(names))
            trace.append(int(rng.choice(open_)))
            state = int(machine.table[state, trace[-1]])
        wrong += not monitor.check(trace).accepted
    return float(wrong)


def overhead(bench: Any) -> Any:
    """The admissible set of a step against one token of the embedded model's own speed, 16 ms where it is not run."""
    from ethogram.act.ltl_agent import READY

    machine = READY["reflexion"].monitor.automaton
    rng = np.random.default_rng(0)
    states = rng.integers(0, len(machine), 1_000)

    def mask() -> None:
        for state in states:
            machine.admissible(int(state), 20)

    lm = None if bench.quick else _model(bench)
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        mask()
        one = (time.perf_counter() - began) / len(states)
        token = 0.016
        if lm is not None:
            began = time.perf_counter()
            reply = lm.sync.chat("Count from one.", max_tokens=32, temperature=1.0)
            token = (time.perf_counter() - began) / max(1, reply.usage.completion)
        spent.append(one / token)
    return float(np.median(spent))


def _model(bench: Any) -> Any:
    if bench.quick:
        return questions.babbler()
    from ethogram.errors import LMError, MissingExtra
    from ethogram.lm import LM

    try:
        lm = LM.connect("local")
        lm.sync.capabilities()
    except (LMError, MissingExtra) as error:
        raise NotMeasurable(f"there is no local model: {error}") from None
    return lm
