"""Bytes of the stores: keys that sort as what they mean, ids of any text as hashes, entries without loss.

place    seq as 8 bytes                               the ledger's order
instant  time + 2^63 as 8 bytes, then the place       the ring's order (time, seq), before 1970 too
hash     blake2b-128 of the text                      any id, of any length and alphabet, as 16 bytes
body     msgpack of (id, user, item, kind, time, content), keys of mappings sorted; its hash tells contents apart
record   hash of the user, hash of the id, body       one line of the ledger
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from ethogram.errors import StoreError
from ethogram.serve.state import Entry, Kept

HASH = 16
PLACE = struct.Struct(">Q")
RING = struct.Struct(">QQ")
MIDDLE = 1 << 63
_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(tuple[str, str, str | None, str, int, dict[str, Any]])


class Packed(NamedTuple):
    """An entry as bytes: hashes of its user, its id and its whole content, and the body."""

    user: bytes
    id: bytes
    content: bytes
    body: bytes

    @property
    def record(self) -> bytes:
        return self.user + self.id + self.body


def hashed(text: str) -> bytes:
    """16 bytes for a text."""
    return hashlib.blake2b(text.encode(), digest_size=HASH).digest()


def packed(entries: Sequence[Entry]) -> list[Packed]:
    """All entries of a call, before anything of it is written.

    Raises
    ------
    StoreError
        A content is no JSON, an id no text, or a time outside 64 bits.
    """
    return [_pack(e) for e in entries]


def _pack(entry: Entry) -> Packed:
    line = (entry.id, entry.user, entry.item, entry.kind, entry.time, dict(entry.content))
    try:
        if not -MIDDLE <= entry.time < MIDDLE:
            raise ValueError(f"time {entry.time} is not within 64 bits")
        body = _encoder.encode(line)
        _decoder.decode(body)  # what could not be read back, such as a number for an id, is refused now
        return Packed(hashed(entry.user), hashed(entry.id), hashlib.blake2b(body, digest_size=HASH).digest(), body)
    except (TypeError, ValueError, OverflowError, RecursionError, AttributeError, msgspec.MsgspecError) as error:
        raise StoreError(f"entry {entry.id!r:.80} cannot be stored: {error}. Ids are text, contents JSON.") from None


def unpacked(seq: int, body: bytes | memoryview) -> Kept:
    """The inverse.

    Raises
    ------
    StoreError
        The bytes are damaged.
    """
    try:
        return Kept(seq, Entry(*_decoder.decode(body)))
    except msgspec.MsgspecError as error:
        raise StoreError(f"entry {seq} of the ledger is damaged: {error}. Restore the store from a copy.") from None


def place(seq: int) -> bytes:
    """Key of a ledger's line."""
    return PLACE.pack(seq)


def ring(time: int, seq: int) -> bytes:
    """Where an event stands in its user's ring."""
    return RING.pack(time + MIDDLE, seq)


def ring_seq(key: bytes | memoryview) -> int:
    """Of a key of `ring`, alone or behind other bytes."""
    return int.from_bytes(key[-8:], "big")


def order(kept: Kept) -> tuple[int, int]:
    """By which a ring is sorted."""
    return kept.entry.time, kept.seq
