"""Models that keep their own time: planted subjects whose speed is known, and devices that are only described.

Such a model writes without computing; its clock goes on by what each token would take, and `ethogram.lm.timing` reads
that clock, so that a simulation of minutes takes milliseconds and does not hang on what else the machine does.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from ethogram.audit.melt.devices import Device, Model
from ethogram.lm import protocol
from ethogram.lm.broker import Broker
from ethogram.lm.model import LM
from ethogram.lm.scripted import Scripted
from ethogram.lm.wire import CHAT


class Paced(Scripted):
    """The wire. A token is a word; `read` and `write` are seconds: for so many tokens at once, and for the next one
    after so many.

    `bits`: per byte of any text, NaN where it scores none. `memory_mb`: what it is said to take. `fits`: False where it
    cannot run.
    """

    def __init__(
        self, name: str, read: Callable[[int], float], write: Callable[[int], float], *, bits: float = 2.0,
        memory_mb: float | None = None, fits: bool = True,
    ):  # fmt: skip
        def rate(prompt: str, texts: Sequence[str]) -> list[float]:
            return [-bits * math.log(2) * len(t.encode()) for t in texts]

        super().__init__("word", None if math.isnan(bits) else rate, name)
        self._read, self._write, self.memory_mb, self.fits = read, write, memory_mb, fits
        self._now = 0.0

    def clock(self) -> float:
        """Simulated seconds."""
        return self._now

    async def send(self, path: str, body: bytes, seconds: float) -> bytes:
        asked = json.loads(body)
        if path != CHAT:
            return await super().send(path, body, seconds)
        count, size = _words(asked), int(asked["max_tokens"])
        self._now += self._read(count) + sum(self._write(count + i) for i in range(1, size))
        usage = {"prompt_tokens": count, "completion_tokens": size}
        said = {"role": "assistant", "content": " word" * size}
        return protocol.encode({"choices": [{"message": said, "finish_reason": "length"}], "usage": usage})

    async def stream(self, path: str, body: bytes, seconds: float) -> AsyncIterator[bytes]:
        asked = json.loads(body)
        count, size = _words(asked), int(asked["max_tokens"])
        for i in range(size):
            self._now += self._read(count) if i == 0 else self._write(count + i)
            yield protocol.encode({"choices": [{"delta": {"content": " word"}}]})
        usage = {"prompt_tokens": count, "completion_tokens": size}
        yield protocol.encode({"choices": [{"delta": {}, "finish_reason": "length"}], "usage": usage})


def _words(asked: dict[str, Any]) -> int:
    return sum(len(str(m["content"]).split()) for m in asked["messages"])


def steady(name: str, read_tps: float, write_tps: float, *, bits: float = 2.0) -> LM:
    """A model of constant speeds."""
    return LM(Paced(name, lambda n: n / read_tps, lambda _: 1 / write_tps, bits=bits), Broker.bare())


def described(device: Device, model: Model, context: int) -> LM:
    """A model on a described device; see `devices`."""
    wire = Paced(
        f"simulated: {model.name} on {device.name}", lambda n: n / device.read_tps(model),
        lambda c: 1 / device.write_tps(model, c), memory_mb=model.memory(context) / 2**20,
        fits=device.fits(model, context), bits=math.nan,
    )  # fmt: skip
    return LM(wire, Broker.bare())
