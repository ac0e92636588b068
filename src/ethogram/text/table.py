"""One table of texts that many share: each distinct text once, its vector once.

Twenty-five people who heard the same sentence hold its code, not the sentence. Vectors are float16 in one matrix that
doubles when it is full; a vector is computed when it is first asked for, all missing ones in one call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, StateError
from ethogram.text.dense import Embed, hashed, unit


class TextTable:
    """Distinct texts with codes 0, 1, 2 ... in order of arrival.

    Examples
    --------
    >>> table = TextTable()
    >>> table.add(["tea", "milk", "tea"]).tolist(), len(table), table[1]
    ([0, 1, 0], 2, 'milk')
    """

    def __init__(self, embed: Embed = hashed):
        self.embed = embed
        self._texts: list[str] = []
        self._codes: dict[str, int] = {}
        self._vectors = np.zeros((0, 0), np.float16)
        self._embedded = 0

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, code: int) -> str:
        return self._texts[code]

    def add(self, texts: Sequence[str]) -> np.ndarray:
        """Codes of these texts, int32[n]; new ones are taken in."""
        made = np.empty(len(texts), np.int32)
        for at, text in enumerate(texts):
            code = self._codes.setdefault(text, len(self._texts))
            if code == len(self._texts):
                self._texts.append(text)
            made[at] = code
        return made

    def vectors(self) -> np.ndarray:
        """Unit vectors of all texts, float16[N, d]; a view of the shared matrix."""
        fresh = self._texts[self._embedded :]
        if fresh:
            made = unit(self.embed(fresh)).astype(np.float16)
            if self._embedded and made.shape[1] != self._vectors.shape[1]:
                raise OptionError(f"the encoder gives {made.shape[1]} numbers, before {self._vectors.shape[1]}.")
            if len(self._texts) > len(self._vectors):
                grown = np.zeros((max(64, 2 * len(self._texts)), made.shape[1]), np.float16)
                if self._embedded:
                    grown[: self._embedded] = self._vectors[: self._embedded]
                self._vectors = grown
            self._vectors[self._embedded : len(self._texts)] = made
            self._embedded = len(self._texts)
        return self._vectors[: len(self._texts)]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of questions that are not kept, float32[n, d]; known texts are not embedded again."""
        known = [self._codes.get(t, -1) for t in texts]
        strange = [t for t, code in zip(texts, known, strict=True) if code < 0]
        held = self.vectors()
        made = np.zeros((len(texts), held.shape[1]), np.float32) if len(held) else None
        if strange or made is None:
            new = unit(self.embed(strange or list(texts)))
            made = np.zeros((len(texts), new.shape[1]), np.float32) if made is None else made
            # rounded as what is kept is: a question must not change with who else has said the same before
            made[[at for at, code in enumerate(known) if code < 0]] = new.astype(np.float16)
        place = [at for at, code in enumerate(known) if code >= 0]
        if place:
            made[place] = held[[known[at] for at in place]]
        return made

    def copy(self) -> TextTable:
        """A table with the same texts and codes, which grows by itself."""
        made = TextTable(self.embed)
        made._texts, made._codes = list(self._texts), dict(self._codes)
        made._vectors, made._embedded = self._vectors[: self._embedded].copy(), self._embedded
        return made

    def to_arrow(self) -> pa.Table:
        """The texts; vectors are computed again from them."""
        return pa.table({"text": pa.array(self._texts, pa.large_string())})

    @classmethod
    def from_arrow(cls, table: pa.Table, embed: Embed = hashed) -> TextTable:
        made = cls(embed)
        texts = table.column("text").to_pylist()
        made.add(texts)
        if len(made) != len(texts):
            raise StateError(f"a text table holds {len(texts) - len(made)} texts twice.")
        return made
