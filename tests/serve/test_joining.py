"""Answers find their decisions, windows close in the order of time, and nothing depends on where reading stopped."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram.errors import OptionError, StateError
from ethogram.serve.joining import Joiner
from ethogram.serve.state import Entry, Kept

HOUR = 3_600_000_000


class Told:
    """A ledger of its own, and what was joined."""

    def __init__(self, **options: object) -> None:
        self.joiner = Joiner(HOUR, **options)  # type: ignore[arg-type]
        self.closed: list[tuple[str, list[float]]] = []
        self.seq = 0

    def take(self, entry: Entry) -> str | None:
        found = self.joiner.take(Kept(self.seq, entry))
        self.seq += 1
        self.closed += [(s.kept.entry.id, s.label.tolist()) for s in found.closed]
        return None if found.decision is None else found.decision.entry.id

    def show(self, id: str, time: int, items: str = "abc", user: str = "ann") -> None:
        self.take(Entry(id, user, None, "decision", time, {"candidates": list(items)}))

    def act(self, item: str, time: int, user: str = "ann", kind: str = "click", **content: object) -> str | None:
        return self.take(Entry(f"e{self.seq}", user, item, kind, time, content))


def test_the_latest_decision_that_showed_the_item_is_answered() -> None:
    told = Told()
    told.show("d1", 0, "abcd")
    told.show("d2", 10, "cx")
    assert told.act("b", 20) == "d1"
    assert told.act("c", 20) == "d2"
    assert told.act("c", 5) == "d1"  # d2 was not shown yet
    assert told.act("z", 20) is None
    assert told.act("b", 20, user="bob") is None
    assert told.act("x", 20, decision_id="d1") is None
    assert told.act("a", 20, decision_id="d1") == "d1"
    assert told.act("a", 20, decision_id="nothing") is None
    assert told.act("a", 20, user="bob", decision_id="d1") is None
    assert told.closed == []
    assert len(told.joiner) == 2
    told.act("z", HOUR + 5)
    assert told.closed == [("d1", [1, 1, 1, 0])]
    told.act("z", HOUR + 11)
    assert told.closed[1:] == [("d2", [1, 0])]
    assert len(told.joiner) == 0


def test_nothing_outside_the_window_counts() -> None:
    told = Told()
    told.show("d1", 0)
    assert told.act("a", HOUR) == "d1"
    assert told.act("b", HOUR + 1) is None
    assert told.closed == [("d1", [1, 0, 0])]
    assert told.act("c", 5) is None  # late in the ledger: the answer is out


def test_labels_of_their_own_close_a_decision_early_but_not_before_its_turn() -> None:
    told = Told()
    told.show("d1", 0, "ab")
    told.show("d2", 1, "c")
    told.act("c", 2, label=0)
    told.act("a", 2, label=1)
    assert told.closed == []
    told.act("b", 3, label=0)
    assert told.closed == [("d1", [1, 0]), ("d2", [0])]


def test_decisions_that_come_out_of_order_close_in_the_order_of_time() -> None:
    told = Told()
    for id, time in (("late", 9), ("early", 3), ("middle", 6)):
        told.show(id, time)
    told.act("z", 5 * HOUR)
    assert [id for id, _ in told.closed] == ["early", "middle", "late"]


def test_only_kinds_that_are_answers_answer() -> None:
    told = Told(kinds=["buy"])
    told.show("d1", 0)
    assert told.act("a", 1) is None
    assert told.act("a", 1, kind="buy") == "d1"
    told.take(Entry("none", "ann", None, "decision", 1, {}))  # shows nothing
    assert len(told.joiner) == 1


def test_going_on_from_a_state_is_as_if_nothing_had_stopped() -> None:
    rng = np.random.default_rng(0)
    whole, parts = Told(), Told()
    for n in range(600):
        time, user = n * HOUR // 40 + int(rng.integers(-3, 3)) * HOUR // 20, f"u{rng.integers(4)}"
        items = "".join(rng.choice(list("abcdef"), 3, replace=False))
        for told in (whole, parts):
            if n % 3 == 0:
                told.show(f"d{n}", time, items, user)
            else:
                told.act(items[0], time, user, **({"label": n % 2} if n % 5 == 0 else {}))
        if rng.random() < 0.2:
            kept = parts.joiner.state()
            parts.joiner = Joiner(HOUR)
            parts.joiner.restore(kept)
            assert parts.joiner.state() == kept == whole.joiner.state()
    assert whole.closed == parts.closed
    assert len(whole.closed) > 150


def test_wrong_windows_and_states_are_refused() -> None:
    with pytest.raises(OptionError, match="window"):
        Joiner(0)
    with pytest.raises(StateError, match="open decisions"):
        Joiner(1).restore(b"x")
