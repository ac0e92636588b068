"""Promises of every system, whatever its verbs."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.log import Candidates, Histories
from ethogram.system import load, options
from ethogram.testing.case import Case, answers, asked, by_name, equal, log, parts, refused


def not_fitted(case: Case) -> None:
    """A verb before `fit` raises NotFitted, and so does saving."""
    built, (histories, candidates) = case.make(), case.asked
    calls = {
        "score": lambda: built.score(histories, candidates),
        "recommend": lambda: built.recommend(histories, 3),
        "explain": lambda: built.explain(histories, candidates),
        "forecast": lambda: built.forecast(histories),
        "similar_items": lambda: built.similar_items([1]),
        "update": lambda: built.update(case.parts.valid),
    }
    refused({**{v: c for v, c in calls.items() if case.has(v)}, "state": built.state})


def options_stay(case: Case) -> None:
    """`fit` returns the system itself and changes none of its options; nor does answering."""
    built = case.make()
    before = {n: repr(v) for n, v in options(built).items()}
    assert built.fit(case.parts.train, case.parts.valid, seed=1) is built, "fit did not return the system"
    answers(built, *case.asked)
    after = {n: repr(v) for n, v in options(built).items()}
    assert before == after, f"options changed: {[n for n in before if before[n] != after[n]]}"


def deterministic(case: Case) -> None:
    """The same log, options and seed give the same bytes; asking twice too."""
    again = answers(case.fit(case.parts), *case.asked)
    first = answers(case.fitted, *case.asked)
    assert not (why := equal(first, again)), f"two fits with one seed differ: {why}"
    assert not (why := equal(first, answers(case.fitted, *case.asked))), f"asking twice differs: {why}"


def no_global_state(case: Case) -> None:
    """Neither fit nor answers touch the generators of Python, NumPy and torch, or torch's defaults."""
    before = _globals()
    answers(case.fit(case.parts), *case.asked)
    after = _globals()
    changed = [n for n, v in before.items() if n in after and repr(after[n]) != repr(v)]
    assert not changed, f"changed: {', '.join(changed)}"


def independent(case: Case) -> None:
    """Fitting another system of the same kind on another log changes nothing about the first."""
    before = answers(case.fitted, *case.asked)
    case.fit(parts(log(repeats=False, seed=8)), seed=5)
    assert not (why := equal(before, answers(case.fitted, *case.asked))), why


def inputs_untouched(case: Case) -> None:
    """The log, the histories and the candidates are as they were."""
    histories, candidates = case.asked
    arrays = {
        **{f"log {n}": np.asarray(c) for n, c in case.parts.train.sequences().columns.items()},
        **{f"history {n}": np.asarray(c) for n, c in histories.columns.items()},
        "start": histories.start,
        "stop": histories.stop,
        "users": histories.users,
        "candidates": candidates.items,
    }
    before = {n: a.tobytes() for n, a in arrays.items()}
    answers(case.fit(case.parts), histories, candidates)
    changed = [n for n, a in arrays.items() if a.tobytes() != before[n]]
    assert not changed, f"changed in place: {', '.join(changed)}"


def saved(case: Case) -> None:
    """Saved and loaded, it gives the same bytes under the same options, from plain files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        case.fitted.save(path)
        odd = [p.name for p in path.rglob("*") if p.is_file() and p.suffix not in (".json", ".safetensors", ".parquet")]
        assert not odd, f"saved as something else than JSON, safetensors and Parquet: {odd}"
        back = load(path)
    assert repr(back) == repr(case.fitted), f"options changed: {back!r}"
    first = answers(case.fitted, *case.asked)
    assert not (why := equal(first, answers(back, *case.asked))), f"loaded, it differs: {why}"


def groups(case: Case) -> None:
    """The order of rows in the source, and so inside groups of equal time, changes no score."""
    other = parts(log(shuffled=True))
    theirs = asked(other, case.ranks)
    if not case.has("score"):
        first = _recommended(case.fitted, case.asked[0])
        second = _recommended(case.fit(other), theirs[0])
    else:
        first = by_name(*case.asked, case.fitted.score(*case.asked))
        second = by_name(*theirs, case.fit(other).score(*theirs))
    assert first.keys() == second.keys(), "other questions or other items"
    worst = max(first, key=lambda k: abs(first[k] - second[k]))
    gap = abs(first[worst] - second[worst])
    assert gap <= 1e-6 * max(1.0, abs(first[worst])), (
        f"user, time, item {worst}: {first[worst]} against {second[worst]}"
    )


def strangers(case: Case) -> None:
    """People who were not in training are answered, whatever they are called."""
    histories, candidates = case.asked
    lists = [histories.item_ids(i) for i in range(len(histories))]
    for users in (None, [f"stranger {i}" for i in range(len(lists))]):
        _finite(answers(case.fitted, Histories.of(lists, users=users), candidates), "strangers")


def empty_history(case: Case) -> None:
    """Nobody is turned away for having done nothing: known users and strangers with empty histories."""
    histories, candidates = case.asked
    known = Histories(
        histories.columns, histories.starts, histories.start, histories.start, histories.users, histories.time,
        histories.vocabularies, histories.tables,
    )  # fmt: skip
    for empty in (known, Histories.of([[]] * len(histories))):
        _finite(answers(case.fitted, empty, candidates), "empty histories")


def unseen_items(case: Case) -> None:
    """Items that training never saw are answered, in the history and among the candidates, and harm nobody else."""
    catalogue = case.log.vocabulary("item").ids.to_pylist()
    mixed = Candidates.of([*catalogue[:5], -77, 10**12])
    past = Histories.of([catalogue[:3], [*catalogue[:3], 10**12], [-5, 10**12]])
    said = answers(case.fitted, past, mixed)
    _finite(said, "unseen items")
    if case.has("score"):
        alone = case.fitted.score(past, Candidates.of(catalogue[:5]))
        np.testing.assert_allclose(said["score"][:, :5], alone, rtol=1e-5, atol=1e-7)
    if case.has("recommend"):
        wrong = set(said["recommend item"]) - set(catalogue)
        assert not wrong, f"recommends what does not exist: {wrong}"


def raw_ids(case: Case) -> None:
    """Histories and candidates as plain lists of the caller's ids, as numbers or as text, mean the same."""
    catalogue = case.log.vocabulary("item").ids.to_pylist()
    lists = [catalogue[:4], catalogue[10:12], catalogue[3:20]]
    numbers = answers(case.fitted, Histories.of(lists), Candidates.of(catalogue))
    as_text = Histories.of([[str(i) for i in h] for h in lists])
    texts = answers(case.fitted, as_text, Candidates.of([str(i) for i in catalogue]))
    for name in ("score", "recommend score"):
        if name in numbers:
            np.testing.assert_allclose(numbers[name], texts[name], rtol=1e-5, atol=1e-7, err_msg=name)


def _recommended(built: Any, histories: Histories) -> dict[tuple[Any, ...], float]:
    table = built.recommend(histories, 5)
    time = histories.time[table.column("question").to_numpy()].tolist()
    rows = zip(table.column("user").to_pylist(), time, table.column("rank").to_pylist(), strict=True)
    return dict(zip(rows, table.column("score").to_pylist(), strict=True))


def _finite(said: dict[str, Any], who: str) -> None:
    for name in ("score", "recommend score"):
        if name in said:
            assert np.isfinite(np.asarray(said[name], float)).all(), f"{who}: {name} is not finite"


def _globals() -> dict[str, Any]:
    found: dict[str, Any] = {"random": random.getstate(), "numpy": np.random.get_state()}  # noqa: NPY002
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.random.get_rng_state().numpy().tobytes()
        found["torch dtype"] = torch.get_default_dtype()
        found["torch threads"] = torch.get_num_threads()
        found["torch determinism"] = torch.are_deterministic_algorithms_enabled()
        found["torch gradients"] = torch.is_grad_enabled()
    return found


CHECKS = (
    not_fitted, options_stay, deterministic, no_global_state, independent, inputs_untouched, saved, groups,
    strangers, empty_history, unseen_items, raw_ids,
)  # fmt: skip
