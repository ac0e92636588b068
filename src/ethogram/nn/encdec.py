"""An encoder of what was, and a decoder that writes words of what comes, letter by letter.

The encoder reads one vector for each past thing, the sum of its letters' vectors and of its place; all see all. The
decoder reads letters: in the place of a thing's first letter stands [BOS], together with the last letter of the thing
before. Logits are products with the vectors of the letters of the level that comes.

`Cached` decodes step by step for many beams of each question: keys and values of the past are kept, and those of the
encoder are shared by all beams of a question.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.mixture import SparseMixture


@dataclass(frozen=True)
class Shape:
    """Sizes: `k` letters a level, `levels` a word, `things` written and `length` read at most; blocks and widths."""

    k: int
    levels: int
    things: int
    length: int
    dim: int = 64
    heads: int = 2
    encoder: int = 1
    decoder: int = 2
    experts: int = 8
    active: int = 2
    dropout: float = 0.1


class EncoderDecoder(nn.Module):
    """See the module."""

    def __init__(self, shape: Shape, *, seed: int = 0) -> None:
        super().__init__()
        if shape.dim % shape.heads:
            raise OptionError(f"encoder-decoder: {shape.heads} heads do not divide width {shape.dim}.")
        s = self.shape = shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.letters = nn.Embedding(s.levels * s.k, s.dim)
            self.begin, self.start = nn.Parameter(torch.zeros(s.dim)), nn.Parameter(torch.zeros(s.dim))
            self.back = nn.Embedding(s.length, s.dim)
            self.place = nn.Embedding(s.things * s.levels, s.dim)
            self.encoder = nn.ModuleList(_Block(s, cross=False) for _ in range(s.encoder))
            self.decoder = nn.ModuleList(_Block(s, cross=True) for _ in range(s.decoder))
            self.norm, self.last = nn.LayerNorm(s.dim), nn.LayerNorm(s.dim)
            for table in (self.letters, self.back, self.place):
                nn.init.normal_(table.weight, 0.0, s.dim**-0.5)
            nn.init.normal_(self.begin, 0.0, s.dim**-0.5)
            nn.init.normal_(self.start, 0.0, s.dim**-0.5)
        self.register_buffer("shift", torch.arange(s.levels) * s.k, persistent=False)

    def encode(self, codes: Tensor, distance: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """(memory [n, 1 + T, dim], hidden bool[n, 1 + T]): a start that stands for everybody, then the past.

        Parameters
        ----------
        codes : int64[n, T, levels]. distance : int64[n, T], from the end. there : bool[n, T], real rows.
        """
        read = self.letters(codes + self.shift).sum(2) + self.back(distance.clamp(max=self.shape.length - 1))
        x = torch.cat([self.start.expand(len(read), 1, -1), read], 1)
        hidden = torch.cat([~there.new_ones(len(there), 1), ~there], 1)
        x = F.dropout(x, self.shape.dropout, self.training)
        for block in self.encoder:
            x = block(x, hidden=hidden)
        return self.norm(x), hidden

    def forward(self, memory: tuple[Tensor, Tensor], codes: Tensor) -> Tensor:
        """Logits of all letters of given words, [n, things, levels, k], each from the letters before it."""
        n, things, levels = codes.shape
        x = self._inputs(codes)
        x = F.dropout(x, self.shape.dropout, self.training)
        for block in self.decoder:
            x = block(x, memory=memory, causal=True)
        return self.logits(self.last(x).view(n, things, levels, -1))

    def _inputs(self, codes: Tensor) -> Tensor:
        n, things, levels = codes.shape
        read = self.letters(codes + self.shift).view(n, things * levels, -1)
        x = torch.cat([torch.zeros_like(read[:, :1]), read[:, :-1]], 1)
        first = torch.zeros(levels, 1)
        first[0] = 1
        return x + (first * self.begin).repeat(things, 1) + self.place.weight[: things * levels]

    def logits(self, states: Tensor) -> Tensor:
        """[..., levels, dim] -> [..., levels, k]."""
        table = self.letters.weight.view(self.shape.levels, self.shape.k, -1)
        return torch.einsum("...ld,lkd->...lk", states, table)

    def balance(self) -> Tensor | float:
        """Mean balance loss of the decoder's mixtures in the last forward; it is told once."""
        found = [b.feed.balance for b in self.decoder]
        for block in self.decoder:
            block.feed.balance = 0.0  # it holds the graph, which no copy of the model could
        return sum(found[1:], found[0]) / len(found)


class Cached:
    """Decoding of `width` beams for each of n questions; begins before the first letter."""

    def __init__(self, model: EncoderDecoder, memory: tuple[Tensor, Tensor], width: int) -> None:
        self.model, self.width, self.step = model, width, 0
        self.memory = [block.remember(memory[0]) for block in model.decoder]
        self.hidden = memory[1]
        self.n = len(memory[0])
        self.past: list[tuple[Tensor, Tensor] | None] = [None] * len(model.decoder)

    def next(self, letters: Tensor | None, parents: Tensor | None = None) -> Tensor:
        """Logits [n, width, k] of the next letter.

        Parameters
        ----------
        letters : int64[n, width], what was written last; None at the beginning.
        parents : int64[n, width], the beam that each goes on from.
        """
        s, level = self.model.shape, self.step % self.model.shape.levels
        x = self.model.place.weight[self.step].expand(self.n, self.width, -1)
        if letters is not None:
            x = x + self.model.letters(letters + (self.step - 1) % s.levels * s.k)
        if level == 0:
            x = x + self.model.begin
        if parents is not None:
            row = (parents + torch.arange(self.n)[:, None] * self.width).reshape(-1)
            self.past = [None if p is None else (p[0][row], p[1][row]) for p in self.past]
        for i, block in enumerate(self.model.decoder):
            x, self.past[i] = block.advance(x, self.past[i], self.memory[i], self.hidden)
        self.step += 1
        table = self.model.letters.weight[level * s.k : (level + 1) * s.k]
        return self.model.last(x) @ table.T


class _Block(nn.Module):
    def __init__(self, s: Shape, cross: bool) -> None:
        super().__init__()
        self.heads, self.dropout = s.heads, s.dropout
        self.qkv, self.out, self.first = nn.Linear(s.dim, 3 * s.dim), nn.Linear(s.dim, s.dim), nn.LayerNorm(s.dim)
        self.cross = cross
        if cross:
            self.ask, self.told = nn.Linear(s.dim, s.dim), nn.Linear(s.dim, 2 * s.dim)
            self.bring, self.middle = nn.Linear(s.dim, s.dim), nn.LayerNorm(s.dim)
        self.second = nn.LayerNorm(s.dim)
        experts, active = (s.experts, s.active) if cross else (1, 1)
        # a plain layer does the work of as many experts as are active
        self.feed = SparseMixture(s.dim, 2 * s.dim * (1 if experts > 1 else s.active), experts, active)

    def forward(
        self, x: Tensor, *, hidden: Tensor | None = None, memory: tuple[Tensor, Tensor] | None = None,
        causal: bool = False,
    ) -> Tensor:  # fmt: skip
        q, k, v = self._split(self.qkv(self.first(x)), 3)
        mask = None if hidden is None else ~hidden[:, None, None, :]
        x = x + self._drop(self.out(_joined(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal))))
        if memory is not None:
            x = x + self._drop(self._read(x, self.remember(memory[0]), memory[1]))
        return x + self._drop(self._feed(x))

    def remember(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the encoder's rows."""
        k, v = self._split(self.told(memory), 2)
        return k, v

    def advance(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, memory: tuple[Tensor, Tensor], hidden: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One more position of [n, width, dim]."""
        n, width, dim = x.shape
        q, k, v = self._split(self.qkv(self.first(x)).reshape(n * width, 1, 3 * dim), 3)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        x = x + self.out(_joined(F.scaled_dot_product_attention(q, k, v))).view(n, width, dim)
        x = x + self._read(x, memory, hidden)
        return x + self._feed(x), (k, v)

    def _read(self, x: Tensor, memory: tuple[Tensor, Tensor], hidden: Tensor) -> Tensor:
        (q,) = self._split(self.ask(self.middle(x)), 1)
        return self.bring(_joined(F.scaled_dot_product_attention(q, *memory, attn_mask=~hidden[:, None, None, :])))

    def _feed(self, x: Tensor) -> Tensor:
        return self.feed(self.second(x).reshape(-1, x.shape[-1])).reshape(x.shape)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        n, length, _ = x.shape
        return x.reshape(n, length, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def _joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)
