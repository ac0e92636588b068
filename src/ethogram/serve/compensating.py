"""An error memory (`reloop2`) that learns while it serves: answers are joined to decisions and revealed to it.

Each replica reads the ledger for itself (`step`) and reveals closed decisions (`ethogram.serve.joining`) in blocks of
a fixed number. What it learns follows from the ledger alone, so that all replicas have equal memories, and so has one
that was killed and goes on from its last snapshot: byte for byte those of an uninterrupted run. (A user who is
forgotten is left out from then on; how far each replica had come by then may differ.)

A snapshot is one fact of the store, compressed: arrays of the memory, open decisions, and the place in the ledger
behind which it goes on. The first one is taken where a replica first begins, so that all begin at the same place.
"""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import EthogramError, NotFitted, OptionError, StateError, StoreError
from ethogram.log.histories import Questions
from ethogram.serve.behaviour import parted
from ethogram.serve.joining import Joiner, Slate
from ethogram.serve.state import Entry, Store

log = logging.getLogger("ethogram.serve")
BLOCK = 8
"""Decisions that are revealed together."""
EVERY = 4_096
"""Decisions after which a snapshot is written, in a thread of its own: compressing a large memory takes a while."""
HISTORY = 1_024
"""Events of a user that the base reads at most, unless it says so."""


class Asked(NamedTuple):
    """A decision as a question: what the user had done when it was asked, what was shown, and what came of it."""

    decision: Entry
    events: Sequence[Entry]
    label: np.ndarray


Ask = Callable[[Sequence[Asked]], Questions]
"""From decisions to the questions of a ranking system, in their order; labels and weights beside the candidates."""


class Compensating:
    """The online loop of one fitted `reloop2`.

    Parameters
    ----------
    name : of the snapshot: the model and its version. system : scores from whatever thread calls `step`, too.
    ask : encodes decisions as requests are. window, kinds : see `Joiner`.
    block, every : decisions per reveal (the same for all replicas), and per snapshot.
    last : events of the history that the base reads.

    Attributes
    ----------
    place : in the ledger, behind which it goes on. refused : decisions since the start that could not be questions.

    Raises
    ------
    NotFitted, OptionError
        The system is no error memory, or lets its base learn (`slow_lr`), whose weights no snapshot holds.
    """

    def __init__(
        self, store: Store, name: str, system: Any, ask: Ask, *, window: int, kinds: Collection[str] | None = None,
        block: int = BLOCK, every: int = EVERY, last: int = HISTORY,
    ) -> None:  # fmt: skip
        loop = system.fitted
        if loop is None:
            raise NotFitted("online compensation: the system is not fitted; fit it, or load a saved one.")
        if not hasattr(loop, "reveal"):
            raise OptionError(f"online compensation: '{system.info.key}' has no error memory; serve reloop2 around it.")
        if loop.options.slow_lr:
            raise OptionError("online compensation: with slow_lr the base itself changes; serve one fitted without.")
        if block < 1 or every < 1:
            raise OptionError(f"online compensation: block = {block}, every = {every}; give 1 or more.")
        self.store, self.loop, self.ask, self.last = store, loop, ask, last
        self.block, self.every = block, every
        self._fact = f"compensation of {name}"
        self._joiner = Joiner(window, kinds=kinds)
        self._told = {"window": window, "kinds": None if kinds is None else sorted(kinds), "block": block}
        self._waiting: list[Slate] = []
        self._since = self.refused = 0
        self._writing: threading.Thread | None = None
        self.place = store.watermark()
        self._kept = store.fact(self._fact)
        if self._kept is None:
            self._kept = _packed(*self._now())
            if not store.settle(self._fact, self._kept, expected=None):
                self._kept = store.fact(self._fact)
        if self._kept is not None:
            self._restore(self._kept)

    def step(self, most: int | None = None) -> int:
        """Read what is new in the ledger, up to so many entries; how many there were."""
        read = 0
        for kept in self.store.entries(self.place, self.store.watermark()):
            self._waiting += self._joiner.take(kept).closed
            self.place = kept.seq
            read += 1
            while len(self._waiting) >= self.block:
                self._reveal(self._waiting[: self.block])
                del self._waiting[: self.block]
            if self._since >= self.every and not (self._writing and self._writing.is_alive()):
                self._since = 0
                self._writing = threading.Thread(target=self._tried, args=self._now(), daemon=True)
                self._writing.start()
            if read == most:
                break
        return read

    def _reveal(self, slates: Sequence[Slate]) -> None:
        asked = [found for slate in slates if (found := self._asked(slate)) is not None]
        self._since += len(slates)
        try:
            if asked:
                self.loop.reveal(self.ask(asked))
        except StoreError:
            raise
        except EthogramError as error:  # what cannot be a question today cannot be one tomorrow, nor elsewhere
            self.refused += len(asked)
            log.warning("%s: %d decisions taught nothing: %s", self._fact, len(asked), error)

    def _asked(self, slate: Slate) -> Asked | None:
        """None for who was forgotten meanwhile."""
        seq, entry = slate.kept.seq, slate.kept.entry
        if next(self.store.entries(seq - 1, seq), None) is None:
            return None
        # what the store knew then, of what it knows now; a ring holds more than the last events that are read
        events: list[Entry] = []
        for size in (2 * self.last, None):
            held = self.store.user(entry.user, size).ring if entry.user else ()
            events = [k.entry for k in held if k.seq < seq and k.entry.time < entry.time][-self.last :]
            if len(events) == self.last or size is None or len(held) < size:
                break
        # a clock that went back must not stop the loop, which takes answers in the order of time
        time = entry.time if self.loop.latest is None else max(entry.time, self.loop.latest)
        plain, labelled = parted(events)
        decision = Entry(entry.id, entry.user, entry.item, entry.kind, time, entry.content)
        return Asked(decision, plain or labelled, slate.label)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def keep(self) -> bool:
        """Write a snapshot now, unless another's lies further ahead; whether it was written."""
        if self._writing is not None:
            self._writing.join()
        self._since = 0
        return self._written(*self._now())

    def _tried(self, head: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        with suppress(StoreError):  # the next snapshot tries again; until then a restart learns more of the ledger anew
            self._written(head, arrays)

    def _written(self, head: dict[str, Any], arrays: dict[str, np.ndarray]) -> bool:
        made = _packed(head, arrays)
        while True:
            if self.store.settle(self._fact, made, expected=self._kept):
                self._kept = made
                return True
            self._kept = self.store.fact(self._fact)
            if self._kept is not None and _head(self._kept)["place"] >= head["place"]:
                return False

    def state(self) -> dict[str, np.ndarray]:
        """What the memory is now, for comparing."""
        held = {} if self.loop.memory is None else dict(self.loop.memory.arrays())
        return {**held, "losses": self.loop.losses}

    def _now(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """(facts, copies of all arrays)."""
        waiting = [(s.kept.seq, s.label.tolist()) for s in self._waiting]
        head = {
            "place": self.place, "revealed": self.loop.revealed, "latest": self.loop.latest, "waiting": waiting,
            **self._told,
        }  # fmt: skip
        arrays = {f"memory/{n}": np.array(a, order="C") for n, a in self.state().items()}
        return head, arrays | {"open": np.frombuffer(self._joiner.state(), np.uint8)}

    def _restore(self, kept: bytes) -> None:
        from safetensors.numpy import load

        head = _head(kept)
        for name, value in self._told.items():
            if head.get(name) != value:
                raise StateError(
                    f"online compensation: {name} is {value} here and {head.get(name)} in the snapshot that replicas "
                    "share; give the same, or a new version."
                )
        try:
            arrays = load(zlib.decompress(kept[8 + int.from_bytes(kept[:8], "big") :]))
        except (zlib.error, ValueError, KeyError) as error:
            raise StateError(f"online compensation: the snapshot is damaged: {error}.") from None
        held = {n.removeprefix("memory/"): a for n, a in arrays.items() if n.startswith("memory/")}
        self.loop.losses = np.array(held.pop("losses"))
        if self.loop.memory is not None:
            self.loop.memory.restore(held)
        self.loop.revealed, self.loop.latest, self.place = head["revealed"], head["latest"], head["place"]
        self._joiner.restore(arrays["open"].tobytes())
        self._waiting = []
        for seq, label in head["waiting"]:
            for found in self.store.entries(seq - 1, seq):  # none, of who was forgotten
                self._waiting.append(Slate(found, np.array(label, np.float32)))


def _packed(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "big") + text + zlib.compress(save(arrays), 1)


def _head(kept: bytes) -> dict[str, Any]:
    try:
        length = int.from_bytes(kept[:8], "big")
        head: dict[str, Any] = json.loads(kept[8 : 8 + length])
        head["place"], head["waiting"], head["revealed"], head["latest"]
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"online compensation: the snapshot is damaged: {error}.") from None
    return head
