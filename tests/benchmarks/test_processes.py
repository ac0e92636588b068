"""Point processes beside EasyTPP: whose turn it is, and what is made of both sides' answers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from benchmarks.cases import processes
from benchmarks.peers.peer import PeerError

TURNS: list[str] = []


def ours(pair, seed):
    TURNS.append(f"ours {seed}")
    net = SimpleNamespace(parameters=lambda: [torch.zeros(3, 2)])
    return {
        "test": -2.0 - seed / 100,
        "epoch": 2,
        "cpu": 1.0 + seed,
        "network": net,
        "events_per_cpu": 100.0 - 10 * seed,
    }


def theirs(model, parts, kinds, *, settings, seed, epochs, draws):
    TURNS.append(f"{model} {seed}")
    rows = [(-2.5, -2.4), (-2.1, -2.05 + seed / 100), (-2.2, -1.0)]  # the second epoch is the best by validation
    curve = [
        {"epoch": i + 1, "valid": v, "test": t - 0.1, "trapezoid": t, "train_cpu": 2.0} for i, (v, t) in enumerate(rows)
    ]
    return {"curve": curve, "events_per_cpu_second": 40.0, "parameters": 7, "peak_mb": 5.0, "asked": 30,
            "draw_cpu": 0.5 if draws else None}  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    TURNS.clear()
    processes.parts.cache_clear()
    for name, value in {
        "COUNTS": {"train": 4, "valid": 2, "test": 3}, "SEEDS": 3, "train": ours, "draws": lambda *_: 6_000.0,
        "rescaled": lambda _: (0.4, 0.6),
    }.items():  # fmt: skip
        monkeypatch.setattr(processes, name, value)
    monkeypatch.setattr(processes.easytpp, "ask", theirs)
    yield processes.PAIRS[0]
    processes.parts.cache_clear()


def test_both_sides_take_turns_and_are_judged_by_their_best_epoch(small):
    found = processes.run(small)
    assert TURNS == ["ours 0", "NHP 0", "ours 1", "NHP 1", "ours 2", "NHP 2"]
    assert found.values["train"] == pytest.approx(80 / 40)  # the worst turn
    assert found.values["draw"] == pytest.approx(6_000 / (30 * processes.DRAWS / 0.5))
    assert found.values["gap"] == pytest.approx(-2.02 + 2.03)  # our worst seed, their best
    ceiling = found.rows[0][processes.LIKELIHOOD]
    row = found.rows[-1]
    assert row[processes.LIKELIHOOD] == pytest.approx(-2.04)
    assert row[processes.LOWEST] == pytest.approx(ceiling + 2.05)
    assert (row["epochs"], row["CPU s"]) == (2, 6.0)


def test_without_the_peer_nothing_is_compared(small, monkeypatch):
    def missing(*_, **__):
        raise PeerError("easytpp is not installed")

    monkeypatch.setattr(processes.easytpp, "ask", missing)
    found = processes.run(small)
    assert [w.endswith("not installed") for w in found.absent] == [True]
    assert "gap" not in found.values
    assert found.values["law p"] == 0.4
