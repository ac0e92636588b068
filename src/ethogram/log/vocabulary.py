"""Ids and their codes. A code, once given, never changes: appended ids take the next free codes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNKNOWN = -1


class Vocabulary:
    """Distinct ids of one entity (users, items, kinds ...); the code of an id is its place.

    Parameters
    ----------
    ids : array-like of str or int, distinct, without nulls.

    Examples
    --------
    >>> v = Vocabulary(["b", "a"])
    >>> v.encode(["a", "z"]).tolist(), v.decode([0, 1]).to_pylist()
    ([1, -1], ['b', 'a'])
    """

    def __init__(self, ids: Any):
        if isinstance(ids, pa.ChunkedArray):
            ids = ids.combine_chunks()
        self.ids: pa.Array = ids if isinstance(ids, pa.Array) else pa.array(ids)
        if pa.types.is_null(self.ids.type):
            self.ids = self.ids.cast(pa.string())
        if pa.types.is_integer(self.ids.type) and self.ids.type != pa.int64():
            self.ids = self.ids.cast(pa.int64())
        if pa.types.is_large_string(self.ids.type) or pa.types.is_string_view(self.ids.type):
            self.ids = self.ids.cast(pa.string())
        self._maps: dict[int, tuple[Vocabulary, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Vocabulary, (self.ids,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and (self is other or self.fingerprint == other.fingerprint)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def is_integer(self) -> bool:
        return bool(pa.types.is_integer(self.ids.type))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the ids in order of their codes."""
        digest = hashlib.blake2b(str(self.ids.type).encode(), digest_size=16)
        for chunk in (self.ids.to_numpy(zero_copy_only=False),) if self.is_integer else ():
            digest.update(np.ascontiguousarray(chunk).tobytes())
        if not self.is_integer:
            joined = "\x1f".join(map(str, self.ids.to_pylist()))
            digest.update(joined.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @cached_property
    def _dense(self) -> tuple[int, np.ndarray] | None:
        """Direct table id - low -> code where integer ids are dense enough to afford one."""
        if not self.is_integer or len(self) == 0:
            return None
        ids = self.ids.to_numpy()
        low, high = int(ids.min()), int(ids.max())
        if high - low > max(4_000_000, 8 * len(ids)):
            return None
        table = np.full(high - low + 1, UNKNOWN, np.int32)
        table[ids - low] = np.arange(len(ids), dtype=np.int32)
        return low, table

    def encode(self, values: Any) -> np.ndarray:
        """Codes of ids, int32 of the same length; -1 where an id is unknown or null.

        Ids given as text match integer ids and the other way round (``"42"`` finds 42).
        """
        values = values if isinstance(values, pa.Array | pa.ChunkedArray) else _as_array(values)
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if len(values) == 0 or len(self) == 0:
            return np.full(len(values), UNKNOWN, np.int32)
        values = _cast(values, self.ids.type)
        if self._dense is not None and values.null_count == 0:
            low, table = self._dense
            shifted = values.to_numpy() - low
            inside = (shifted >= 0) & (shifted < len(table))
            if inside.all():
                return table[shifted]
            return np.where(inside, table[np.where(inside, shifted, 0)], UNKNOWN).astype(np.int32)
        codes = pc.index_in(values, value_set=self.ids, skip_nulls=True)
        return pc.fill_null(codes, UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int32)

    def decode(self, codes: np.ndarray | Sequence[int]) -> pa.Array:
        """Ids of codes; null where a code is -1."""
        codes = np.asarray(codes, np.int64)
        return self.ids.take(pa.array(codes, mask=codes < 0))

    def extend(self, values: pa.Array) -> Vocabulary:
        """A vocabulary that also knows `values`: new ids in ascending order behind the old ones."""
        values = _cast(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values, self.ids.type)
        fresh = pc.unique(values.drop_null())
        if len(self):
            fresh = fresh.filter(pc.invert(pc.is_in(fresh, value_set=self.ids)))
        if len(fresh) == 0:
            return self
        return Vocabulary(pa.concat_arrays([self.ids, fresh.take(pc.sort_indices(fresh))]))

    def codes_in(self, other: Vocabulary) -> np.ndarray:
        """For each own code the code that `other` gives the same id, -1 if none; int32[len(self)]."""
        if other is self:
            return np.arange(len(self), dtype=np.int32)
        kept = self._maps.get(id(other))
        if kept is None or kept[0] is not other:
            kept = (other, other.encode(self.ids))
            self._maps = {id(other): kept}  # one neighbour at a time: a system and the log that it serves
        return kept[1]


def _as_array(values: Any) -> pa.Array:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuUS":
        return pa.array(values)
    values = list(values)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else str(v) for v in values])


def _cast(values: pa.Array, to: pa.DataType) -> pa.Array:
    """Cast ids to a vocabulary's type; what has no counterpart becomes null (and so unknown)."""
    if values.type == to:
        return values
    if pa.types.is_integer(to) and not pa.types.is_integer(values.type):
        text = values.cast(pa.string())
        whole = pc.match_substring_regex(text, r"^-?\d{1,18}$")
        return pc.if_else(whole, text, None).cast(to)
    return values.cast(to)
