"""An event made of several fields, each with an encoder of its own, put together by gates.

v_f = E_f[code]            a categorical field, row 0 (missing, unseen) is zero
v_f = W_f numbers + b_f    a field of numbers (scaled by the caller)
v_f = mean of H[n-grams]   a text, hashed
g   = 2 sigmoid(G [v_1; ...; v_F] + c)         one gate for each field of each event, 1 at the start
x   = gelu(sum_f g_f v_f)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.log import kernels
from ethogram.log.columns import hashes


@dataclass(frozen=True, eq=False)
class Texts:
    """Distinct texts as bags of hashed n-grams: ``grams[offsets[i]:offsets[i + 1]]`` are those of text i."""

    grams: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, texts: Sequence[str | None], buckets: int) -> Texts:
        """Words and three-letter pieces of words; place 0 is what is missing."""
        bags = [_pieces(text) for text in texts]
        flat = [piece for bag in bags for piece in bag]
        places = hashes(pa.array(flat, pa.string())) % np.uint64(buckets - 1) + np.uint64(1) if flat else np.zeros(0)
        offsets = np.append(0, np.cumsum([len(bag) for bag in bags]))
        return cls(torch.from_numpy(places.astype(np.int64)), torch.from_numpy(offsets.astype(np.int64)))

    def take(self, places: np.ndarray) -> Texts:
        """Some of the texts, int64[k], in this order."""
        ends = self.offsets.numpy()
        rows, offsets = kernels.ragged_rows(ends[places], ends[places + 1])
        return Texts(self.grams[torch.from_numpy(rows)], torch.from_numpy(offsets))


def _pieces(text: str | None) -> list[str]:
    words = (text or "").lower().split()
    return [*words, *(f"<{word}>"[i : i + 3] for word in words for i in range(len(word)))]


@dataclass(frozen=True, eq=False)
class Fields:
    """What is known of T events: codes int64[T] and numbers float32[T, w] by field; `text` int64[T] among `texts`."""

    codes: Mapping[str, Tensor] = field(default_factory=dict)
    numbers: Mapping[str, Tensor] = field(default_factory=dict)
    text: Tensor | None = None
    texts: Texts | None = None


class MultiField(nn.Module):
    """The encoder of the module's equations.

    Parameters
    ----------
    dim : width of an event's vector.
    codes : field -> rows of its table. numbers : field -> how many numbers. buckets : hashed n-grams, 0 for no text.
    seed : of the weights.
    """

    def __init__(
        self, dim: int, codes: Mapping[str, int], numbers: Mapping[str, int], *, buckets: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed)
            self.tables = nn.ModuleDict({n: nn.Embedding(rows, dim, padding_idx=0) for n, rows in codes.items()})
            self.linear = nn.ModuleDict({n: nn.Linear(width, dim) for n, width in numbers.items()})
            self.grams = nn.Embedding(buckets, dim) if buckets else None
            count = len(codes) + len(numbers) + bool(buckets)
            self.gate = nn.Linear(count * dim, count)
            for table in (*self.tables.values(), *([self.grams] if self.grams is not None else [])):
                nn.init.normal_(table.weight, 0.0, 0.1)  # type: ignore[arg-type]
                with torch.no_grad():
                    table.weight[0] = 0.0  # type: ignore[index, operator]
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)

    def forward(self, fields: Fields) -> Tensor:
        """Vectors of events, [T, dim]."""
        found = [table(fields.codes[name]) for name, table in self.tables.items()]
        found += [layer(fields.numbers[name]) for name, layer in self.linear.items()]
        if self.grams is not None:
            assert fields.text is not None
            assert fields.texts is not None
            bags = F.embedding_bag(fields.texts.grams, self.grams.weight, fields.texts.offsets[:-1], mode="mean")
            found.append(bags.index_select(0, fields.text))
        gates = 2 * torch.sigmoid(self.gate(torch.cat(found, 1)))
        whole = torch.zeros_like(found[0])
        for i, vector in enumerate(found):
            whole = whole + gates[:, i : i + 1] * vector
        return F.gelu(whole, approximate="tanh")
