"""A small decoder of tokens, trained from scratch: what stands before says what comes next.

    h_0 = E[x] + P[place]      h_l = h + A(norm h),  + F(norm h)      logits = norm(h_L) E'

with causal attention, a feed-forward layer four times as wide, and one table E for what is read and what is said.
Losses and answers are asked at chosen places only, so that what is merely read costs no logits. Several continuations
of one beginning are judged in one pass (`branched`): each reads the beginning and itself, and not the others.

Vaswani et al.: Attention Is All You Need (NIPS 2017); Press, Wolf: Using the Output Embedding to Improve Language
Models (EACL 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.train import Trained, train

MATRICES = 20 / 3
"""Rate of the blocks' matrices over that of everything else."""


class Decoder(nn.Module):
    """See the module.

    Parameters
    ----------
    tokens : size of the vocabulary. context : most tokens of a row. dropout : of the branches, in training.
    seed : of the weights.
    """

    def __init__(
        self, tokens: int, *, layers: int = 2, width: int = 64, heads: int = 4, context: int = 256,
        dropout: float = 0.0, seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        if min(tokens, layers, width, heads, context) < 1 or width % heads:
            raise OptionError(f"decoder: width {width}, heads {heads}, layers {layers}: give a multiple of the heads.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.token, self.place = nn.Embedding(tokens, width), nn.Embedding(context, width)
            self.blocks = nn.ModuleList(_Block(width, heads, layers, dropout) for _ in range(layers))
            self.norm = nn.LayerNorm(width)
            for table in (self.token, self.place):
                nn.init.normal_(table.weight, 0.0, width**-0.5)

    @property
    def context(self) -> int:
        return self.place.num_embeddings

    def forward(self, tokens: Tensor, at: Tensor, place: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
        """Logits [k, V] at the k places that are true in `at`.

        Parameters
        ----------
        tokens : int64[n, T]. at : bool[n, T]. place : int64[n, T], 0 ... T - 1 if not given.
        seen : bool[n, T, T], what each token reads; everything up to itself if not given.
        """
        x = self.token(tokens) + (self.place.weight[: tokens.shape[1]] if place is None else self.place(place))
        mask = None if seen is None else seen[:, None]
        for block in self.blocks:
            x = block(x, mask)
        return F.linear(self.norm(x[at]), self.token.weight)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for part in (self.qkv, self.up):
            nn.init.normal_(part.weight, 0.0, width**-0.5)
        for part in (self.out, self.down):  # so that the sum of all layers begins as large as one
            nn.init.normal_(part.weight, 0.0, (part.in_features * 2 * layers) ** -0.5)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(self.first(x)).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        x = x + self._drop(self.out(read.transpose(1, 2).reshape(n, length, width)))
        return x + self._drop(self.down(F.gelu(self.up(self.second(x)), approximate="tanh")))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Rows(NamedTuple):
    """Token ids of examples, and of each token whether it is learned."""

    tokens: list[list[int]]
    learned: list[list[bool]]


class Falling:
    """What moves a decoder's weights; the rate rises over `warm` steps and falls to 0 as a cosine over `steps`.

    Matrices of the blocks move by `MATRICES` times the rate along the orthogonalised momentum of gradients (Muon),
    everything else moves by Adam at the rate. K. Jordan and others: Muon: An Optimizer for Hidden Layers in Neural
    Networks (2024).
    """

    def __init__(self, model: nn.Module, lr: float, steps: int, *, warm: int = 20) -> None:
        named = list(model.named_parameters())
        self.hidden = [p for n, p in named if p.dim() == 2 and n.startswith("blocks")]
        own = {id(p) for p in self.hidden}
        self.inner = torch.optim.Adam([p for _, p in named if id(p) not in own], lr=lr, betas=(0.9, 0.98))
        self.moved = [torch.zeros_like(p) for p in self.hidden]
        self.lr, self.steps, self.done = lr, max(steps, 1), 0
        self.warm = max(min(warm, steps // 4), 1)

    @torch.no_grad()
    def step(self) -> None:
        rise = min(1.0, (self.done + 1) / self.warm)
        rate = self.lr * rise * 0.5 * float(1 + np.cos(np.pi * min(self.done / self.steps, 1.0)))
        for group in self.inner.param_groups:
            group["lr"] = rate
        self.inner.step()
        for weight, moved in zip(self.hidden, self.moved, strict=True):
            if weight.grad is not None:
                moved.lerp_(weight.grad, 0.05)
                way = orthogonal(weight.grad.lerp(moved, 0.95))
                weight.add_(way, alpha=-MATRICES * rate * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5)
        self.done += 1

    def zero_grad(self) -> None:
        self.inner.zero_grad(set_to_none=True)
        for weight in self.hidden:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"inner": self.inner.state_dict(), "moved": self.moved, "done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state_dict(state["inner"])
        self.moved, self.done = list(state["moved"]), state["done"]


def orthogonal(matrix: Tensor) -> Tensor:
    """Near U V' of a matrix U S V': five Newton-Schulz steps move its singular values to about 1 (0.7 to 1.2)."""
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


def teach(
    model: Decoder, rows: Callable[[np.random.Generator], Rows], count: int, *, epochs: int, batch: int = 128,
    lr: float = 2e-3, seed: int = 0, precision: Literal["fp32", "bf16"] = "fp32",
    near: tuple[np.ndarray, np.ndarray] | None = None, watch: Any = None,
) -> Trained:  # fmt: skip
    """Teach a decoder in place by cross-entropy of the tokens that are learned.

    Parameters
    ----------
    rows : the examples of one epoch, drawn anew each time. count : how many those are.
    batch : examples of a step; examples of like length stand together.
    near : what is as good as a token: int64[V, k] other tokens and float32[V, k] their weights (sums above 1 make a
        token count more); None: nothing but itself. Bins of numbers are near their neighbours.
    """
    steps = -(-count // batch)
    optimiser = Falling(model, lr, epochs * steps)

    def batches(rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        drawn = rows(rng)
        longest = max(map(len, drawn.tokens), default=0)
        if longest > model.context:
            raise OptionError(f"an example has {longest} tokens; the decoder reads {model.context}.")
        lengths = np.array([len(t) for t in drawn.tokens])
        order = np.lexsort((rng.random(len(lengths)), lengths))
        cuts = [order[i : i + batch] for i in range(0, len(order), batch)]
        for j in rng.permutation(len(cuts)):
            yield padded([drawn.tokens[i] for i in cuts[j]], [drawn.learned[i] for i in cuts[j]])

    others, weights = (None, None) if near is None else map(torch.from_numpy, near)

    def loss(part: tuple[Tensor, Tensor]) -> Tensor:
        tokens, learned = part
        said, true = model(tokens[:, :-1], learned[:, 1:]).float(), tokens[:, 1:][learned[:, 1:]]
        if others is None or weights is None:
            return F.cross_entropy(said, true)
        told = torch.log_softmax(said, -1).gather(1, others[true])
        return -(weights[true] * told).sum() / weights[true].sum()

    return train(
        model, batches, loss, optimisers=[optimiser], epochs=epochs, seed=seed, clip=1.0, precision=precision,
        watch=watch,
    )  # fmt: skip


def padded(tokens: Sequence[Sequence[int]], learned: Sequence[Sequence[bool]]) -> tuple[Tensor, Tensor]:
    """(int64[n, T], bool[n, T]) of ragged rows."""
    width = max(map(len, tokens))
    x, y = np.zeros((len(tokens), width), np.int64), np.zeros((len(tokens), width), bool)
    for i, (t, l) in enumerate(zip(tokens, learned, strict=True)):  # noqa: E741
        x[i, : len(t)], y[i, : len(l)] = t, l
    return torch.from_numpy(x), torch.from_numpy(y)


@torch.no_grad()
def branched(
    model: Decoder, begins: Sequence[Sequence[int]], branches: Sequence[Sequence[Sequence[int]]], *, last: bool = False,
    cells: int = 16_384,
) -> list[list[np.ndarray]]:  # fmt: skip
    """What the decoder says of several continuations of each beginning.

    Returns
    -------
    for each beginning and branch: the log-probability of each of its tokens, float32[m]; with `last`, the
    log-probabilities of all tokens behind its last, float32[V].

    Parameters
    ----------
    begins : token ids of each beginning, one or more. branches : its continuations, none of them empty.
    cells : tokens of a pass.
    """
    model.eval()
    found: list[list[np.ndarray]] = [[] for _ in begins]
    sizes = np.array([len(b) + sum(map(len, parts)) for b, parts in zip(begins, branches, strict=True)])
    order = np.argsort(sizes, kind="stable")
    at = 0
    while at < len(order):
        end = at + 1
        while end < len(order) and (end + 1 - at) * sizes[order[end]] <= cells:
            end += 1
        _pass(model, begins, branches, order[at:end], int(sizes[order[end - 1]]), last, found)
        at = end
    return found


def _pass(
    model: Decoder, begins: Sequence[Sequence[int]], branches: Sequence[Sequence[Sequence[int]]], which: np.ndarray,
    width: int, last: bool, found: list[list[np.ndarray]],
) -> None:  # fmt: skip
    tokens, place, group = (np.zeros((len(which), width), np.int64) for _ in range(3))
    group -= 1
    asked = np.zeros((len(which), width), bool)
    for row, i in enumerate(which):
        begin, end = begins[i], len(begins[i])
        if not end or not all(branches[i]):
            raise OptionError("a beginning and its continuations have one token or more.")
        tokens[row, :end], place[row, :end], group[row, :end] = begin, np.arange(end), 0
        for b, part in enumerate(branches[i], 1):
            stop = end + len(part)
            tokens[row, end:stop], group[row, end:stop] = part, b
            place[row, end:stop] = len(begin) + np.arange(len(part))
            asked[row, stop - 1 if last else end : stop] = True
            end = stop
    if int(place.max()) >= model.context:
        raise OptionError(f"a text has {int(place.max()) + 1} tokens; the decoder reads {model.context}.")
    causal = np.tril(np.ones((width, width), bool))
    seen = causal & ((group[:, None, :] == 0) | (group[:, None, :] == group[:, :, None]))
    if not last:  # a token's probability is told by what stands before it
        for row, i in enumerate(which):
            begin = len(begins[i])
            asked[row] = group[row] > 0
            asked[row, begin - 1] = True
    said = torch.log_softmax(
        model(*map(torch.from_numpy, (tokens, asked, place, seen))).float(), -1
    ).numpy()  # fmt: skip
    counts = np.concatenate([[0], np.cumsum(asked.sum(1))])
    for row, i in enumerate(which):
        own = said[counts[row] : counts[row + 1]]
        if last:
            found[i] = list(own)
            continue
        end = 1
        for part in branches[i]:
            before = np.concatenate([[0], np.arange(end, end + len(part) - 1)])
            found[i].append(own[before, np.asarray(part)])
            end += len(part)
