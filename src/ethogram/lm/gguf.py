"""Reads the head of a GGUF file: what the model is, and whether the file holds all the tensors that it announces.

A file cut in half is found here, in a millisecond, with a plain message; llama.cpp would map it and fail later.
Layout: magic, version, counts, key-value pairs, tensor infos (name, shape, type, offset), padding, tensor data.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ethogram.errors import WeightsError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST = 1 << 28
# type of a tensor -> (values of a block, bytes of a block)
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2),
    26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip


@dataclass(frozen=True)
class Head:
    """What a file says of itself: `facts` are its scalar key-value pairs; sizes in bytes."""

    facts: dict[str, Any]
    tensors: int
    parameters: int
    needed: int
    size: int

    @property
    def name(self) -> str:
        return str(self.facts.get("general.name") or self.facts.get("general.basename") or "")

    @property
    def context(self) -> int | None:
        found = self.facts.get(f"{self.facts.get('general.architecture')}.context_length")
        return int(found) if found else None

    @property
    def instructed(self) -> bool:
        """Whether it carries a chat template."""
        return "tokenizer.chat_template" in self.facts


def check(path: Path) -> Head:
    """The head of a whole file.

    Raises
    ------
    WeightsError
        It is not GGUF, its head is damaged, or the file is shorter than its tensors.
    """
    try:
        with path.open("rb") as f:
            head = _head(f, path.stat().st_size)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (struct.error, UnicodeDecodeError, ValueError, KeyError, MemoryError):
        raise WeightsError(f"{path} is not a whole GGUF file: its head is cut off or damaged; pull it again.") from None
    if head is None:
        raise WeightsError(f"{path} is not a GGUF file.")
    if head.size < head.needed:
        raise WeightsError(
            f"{path} is cut off: {head.size:,} of {head.needed:,} bytes are there; pull or copy it again."
        )
    return head


def _head(f: BinaryIO, size: int) -> Head | None:
    if f.read(4) != b"GGUF":
        return None
    _, tensors, pairs = struct.unpack("<IQQ", f.read(20))
    if tensors > _MOST or pairs > _MOST:
        raise ValueError
    facts: dict[str, Any] = {}
    for _ in range(pairs):
        name = _text(f)
        value = _value(f, struct.unpack("<I", f.read(4))[0])
        if value is not None:
            facts[name] = value
    ends, parameters = 0, 0
    for _ in range(tensors):
        _text(f)
        dims = struct.unpack("<I", f.read(4))[0]
        if dims > 8:
            raise ValueError
        shape = struct.unpack(f"<{dims}Q", f.read(8 * dims))
        kind, offset = struct.unpack("<IQ", f.read(12))
        count = 1
        for n in shape:
            count *= n
        parameters += count
        values, blocks = _BLOCKS.get(kind, (1, 0))
        ends = max(ends, offset + count // values * blocks)
    align = int(facts.get("general.alignment", 32))
    start = (f.tell() + align - 1) // align * align
    return Head(facts, tensors, parameters, start + ends, size)


def _text(f: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", f.read(8))
    if length > _MOST:
        raise ValueError
    raw = f.read(length)
    if len(raw) != length:
        raise ValueError
    return raw.decode("utf-8", "replace")


def _value(f: BinaryIO, kind: int) -> Any:
    """A value; None for arrays, which are passed over."""
    if kind in _SCALARS:
        form = "<" + _SCALARS[kind]
        return struct.unpack(form, f.read(struct.calcsize(form)))[0]
    if kind == _STRING:
        return _text(f)
    if kind != _ARRAY:
        raise ValueError
    inner, count = struct.unpack("<IQ", f.read(12))
    if count > _MOST:
        raise ValueError
    if inner in _SCALARS:
        f.seek(count * struct.calcsize("<" + _SCALARS[inner]), 1)
    else:
        for _ in range(count):
            _value(f, inner)
    return None
