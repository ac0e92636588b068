"""What it costs to run a language model here: speed of reading a prompt and of writing, time to the first token,
memory, energy where the machine tells it, quality, which a coarser quantisation pays with; and on another device.

    read_tps = tokens read / time to the first token          write_tps = (tokens written - 1) / time from first to last
    bits     = -log2 p(rest of a text | its first words) / bytes of the rest           energy = joules / tokens written

Speeds are means over repeats with their intervals, at several lengths of the prompt, after a warm-up, one reply at a
time; tokens that the server still had in its cache are not counted as read. `clock="cpu"` counts processor seconds
instead of seconds on the clock, for a model in this process on a machine that others use too. Bits are per byte, so
that models with other tokenizers compare.

A subject is any model (`local`, `torch`, an endpoint), or ``device:DEVICE:MODEL``: a described device, whose speed is
simulated from its memory bandwidth and arithmetic (`devices`). The verdict is about use by people: the first token
comes within `first_limit` and words come as fast as they are read.

Deviations: the prompts are drawn words, or conversations of a file; decoding is greedy (the paper samples, which costs
the same); energy is that of processor packages or battery, not of an external meter.

Laskaridis et al.: MELTing point: Mobile Evaluation of Language Transformers (2024).
"""

from __future__ import annotations

import asyncio
import json
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from ethogram.audit.melt import devices, paced
from ethogram.audit.melt.texts import TEXTS, prompt
from ethogram.errors import CapabilityError, OptionError
from ethogram.evaluate import machine, power
from ethogram.evaluate.bootstrap import interval, sums
from ethogram.system import system
from ethogram.verbs import Item, Planted, Report, State, Table, Transcript

SPEEDS = ("read_tps", "first_s", "write_tps", "chars_s")
BUSY = 0.85
_turns: weakref.WeakKeyDictionary[Any, asyncio.Lock] = weakref.WeakKeyDictionary()
_warm: weakref.WeakSet[Any] = weakref.WeakSet()


@system(
    "melt",
    paper="MELTing point: Mobile Evaluation of Language Transformers",
    year=2024,
    area="audit",
    verbs=("audit",),
    needs=("aiohttp", "msgspec", "pydantic"),
)
@dataclass(kw_only=True)
class Melt:
    """See the module."""

    words: tuple[int, ...] = (32, 256)
    "Lengths of the prompts in words; the verdict is about the longest."
    tokens: int = 32
    "Tokens that are written after each prompt."
    repeats: int = 3
    "Runs of each length; the intervals are over them."
    clock: Literal["wall", "cpu"] = "wall"
    "wall: seconds on the clock. cpu: processor seconds of this process, for local and torch on a busy machine."
    conversations: str = ""
    "A .json file of conversations, each a list of what a user says in turn; they are replayed too."
    talks: int = 3
    "Conversations that are replayed."
    turns: int = 3
    "Turns of each conversation."
    texts: int = 4
    "Texts whose bits per byte are measured; 0 leaves quality out."
    held_out: str = ""
    "A file with a text on each line to measure quality on; if empty, texts of the package."
    first_limit: float = 10.0
    "Seconds within which the first token must come."
    write_limit: float = 5.0
    "Tokens per second that must be written: people read about five."
    context: int = 1024
    "Tokens of context that a described device must hold in memory."

    fitted = True  # nothing is learned

    def items(self, seed: int = 0) -> Sequence[Item]:
        """Every length in each repeat, the conversations, and the texts.

        Raises
        ------
        OptionError
            Sizes below 1, or a file that cannot be read.
        """
        if min([*self.words, self.repeats, self.tokens - 1, self.turns]) < 1 or min(self.texts, self.talks) < 0:
            raise OptionError("melt: words, repeats and turns are at least 1, tokens at least 2, texts and talks 0.")
        found = []
        for run in range(self.repeats):
            for size in self.words:
                said = prompt(size, seed * 1_000_003 + run * 1_009 + size)
                found.append(Item(f"{size} words, run {run}", {"turns": (said,)}, f"{size} words", f"run {run}"))
        for i, turns in enumerate(self._conversations()):
            found.append(Item(f"conversation {i}", {"turns": turns}, "conversations"))
        for i, text in enumerate(self._texts()):
            found.append(Item(f"text {i}", {"text": text}, "quality"))
        return found

    def _conversations(self) -> list[tuple[str, ...]]:
        if not self.conversations:
            return []
        try:
            told = json.loads(Path(self.conversations).read_text("utf-8"))
            found = [tuple(str(t) for t in talk[: self.turns]) for talk in told[: self.talks]]
        except (OSError, ValueError, TypeError) as error:
            raise OptionError(f"{self.conversations} cannot be read as lists of turns ({error}).") from None
        return [f for f in found if f]

    def _texts(self) -> Sequence[str]:
        if not self.held_out:
            return TEXTS[: self.texts]
        try:
            lines = [x.strip() for x in Path(self.held_out).read_text("utf-8").splitlines() if x.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"{self.held_out} cannot be read ({error}).") from None
        if short := next((x for x in lines if len(x.split()) < 8), None):
            raise OptionError(f"{self.held_out}: '{short[:40]}' is too short; a text has 8 words or more.")
        return lines[: self.texts]

    def subject(self, where: str) -> Any:
        """The model at a place; ``device:DEVICE:MODEL`` is simulated.

        Raises
        ------
        OptionError, UnknownName
            As `devices.device`, `devices.model` and `LM.connect`.
        """
        from ethogram.lm import LM, Broker

        kind, _, rest = where.partition(":")
        if kind != "device":
            return LM.connect(where, broker=Broker.bare())
        name, _, model = rest.partition(":")
        if not model:
            raise OptionError(
                f"'{where}': write device:DEVICE:MODEL. Devices: {', '.join(devices.DEVICES)}; models: "
                f"{', '.join(devices.MODELS)}, a .gguf or a .json file."
            )
        return paced.described(devices.device(name), devices.model(model), self.context)

    async def episode(self, item: Item, lm: Any) -> Transcript:
        """One conversation, timed turn by turn, or one text, scored; never two at once."""
        turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn:
            if getattr(lm.wire, "fits", True) is False:
                return Transcript(item.id, measured={"memory_mb": lm.wire.memory_mb, "fits": False})
            if "text" in item.inputs:
                return await self._scored(item, lm)
            return await self._timed(item, lm)

    async def _timed(self, item: Item, lm: Any) -> Transcript:
        from ethogram.lm.messages import Message
        from ethogram.lm.timing import timed

        clock = time.process_time if self.clock == "cpu" else time.perf_counter
        before = machine.resident_bytes() if not getattr(lm.wire, "loaded", True) else None
        if lm.wire not in _warm:
            await timed(lm, prompt(8, 0), max_tokens=2, purpose="melt")
            _warm.add(lm.wire)
        said: list[Message] = []
        rows: list[dict[str, float]] = []
        energy, cpu, wall = power.read(), time.process_time(), time.perf_counter()
        for text in item.inputs["turns"]:
            said.append(Message("user", text))
            one = await timed(lm, said, max_tokens=self.tokens, clock=clock, purpose="melt")
            first, rest = one.first, one.rest
            if not one.streamed and one.written > 1:
                # all came at once: the time of one token alone is the first's
                alone = await timed(lm, said, max_tokens=1, clock=clock, purpose="melt")
                first, rest = alone.first, max(one.first - alone.first, 1e-9)
            facts = {"read": one.read, "cached": one.cached, "written": one.written, "letters": len(one.text)}
            told = float(one.told.get("predicted_per_second") or np.nan)
            rows.append({**facts, "first": first, "rest": rest, "told": told})
            said.append(Message("assistant", one.text))
        after = machine.resident_bytes()
        spent = (time.process_time() - cpu) / max(time.perf_counter() - wall, 1e-9)
        threads = getattr(getattr(lm.wire, "settings", None), "cores", None)
        return Transcript(
            item.id,
            tuple((m.role, m.text) for m in said),
            {
                "rows": rows,
                "joules": None if hasattr(lm.wire, "clock") else power.read().since(energy),
                "memory_mb": (after - before) / 2**20 if before and after else getattr(lm.wire, "memory_mb", None),
                "busy": spent / threads if threads else None,
            },
        )

    async def _scored(self, item: Item, lm: Any) -> Transcript:
        text = item.inputs["text"]
        cut = len(" ".join(text.split(" ")[:4]))
        try:
            found = await lm.logprob(text[:cut], text[cut:], purpose="melt")
        except CapabilityError as error:
            return Transcript(item.id, measured={"bits": None, "why": str(error)})
        return Transcript(item.id, measured={"bits": float(-found.logprob[0] / np.log(2) / len(text[cut:].encode()))})

    def grade(self, item: Item, transcript: Transcript) -> Mapping[str, float | None]:
        """`read_tps`, `first_s`, `write_tps`, `chars_s`, `cached`, `told_ratio` (write_tps over the server's own),
        `joules_token`, `memory_mb`, `busy` (share of its threads' time that it got), `bits`, `fits`."""
        got = transcript.measured
        if "fits" in got:
            return {"fits": 0.0, "memory_mb": got["memory_mb"]}
        if "bits" in got:
            bits = got["bits"]
            return {"bits": None if bits is None or np.isnan(bits) else bits}
        rows = got["rows"]
        first, rest = sum(r["first"] for r in rows), sum(r["rest"] for r in rows)
        later = sum(r["written"] - 1 for r in rows)
        written = sum(r["written"] for r in rows)
        read = sum(r["read"] for r in rows)
        told = np.array([r["told"] for r in rows])
        write = later / rest if rest > 0 and later else None
        return {
            "read_tps": read / first if first > 0 and read else None,
            "first_s": first / len(rows),
            "write_tps": write,
            "chars_s": sum(r["letters"] for r in rows) / (first + rest) if first + rest > 0 else None,
            "cached": float(sum(r["cached"] for r in rows)),
            "told_ratio": None if np.isnan(told).any() or write is None else write / float(told.mean()),
            "joules_token": got["joules"] / written if got["joules"] is not None and written else None,
            "memory_mb": got["memory_mb"],
            "busy": got["busy"],
        }

    def summarise(self, rows: Table) -> Report:
        """Speeds per length and over all, quality over texts; writing with the longest prompt against the shortest,
        paired by run."""
        from ethogram.audit.melt.reporting import summarise

        return summarise(self, rows)

    def planted(self) -> Sequence[Planted]:
        """Models of known speed and quality, a fast and a slow one."""
        found = []
        for name, read, write, bits in (("fast", 500.0, 40.0, 1.5), ("slow", 20.0, 2.0, 3.0)):
            truth = {"read_tps": read, "write_tps": write}
            truth |= {f"first_s {size} words": size / read for size in self.words}
            truth |= {"bits": bits} if self._texts() else {}
            lm = paced.steady(f"{name}, {read:g} and {write:g} tokens/s", read, write, bits=bits)
            found.append(Planted(name, lm, truth, tolerance=1e-6))
        return found

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self


def mean(values: np.ndarray) -> tuple[float, float, float]:
    """Mean with the bootstrap's interval; NaN counts for nothing."""
    kept = values[~np.isnan(values)]
    found = interval(float(kept.mean()), sums(kept[:, None], 1000, 0)[:, 0] / len(kept))
    return found.value, min(found.low, found.value), max(found.high, found.value)
