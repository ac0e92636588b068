"""Scores of (event, candidate) pairs by a one-layer network, without ever holding the pairs.

A network on [k ; q ; k*q ; q-k] has a first layer that splits,

    z_h(k, q) = k . (P_h * q + A_h) + (B q + b)_h,      A = W_k - W_d,  B = W_q + W_d,  P = W_kq

so for a fixed candidate it is one linear layer on the events: the key part and the product part are the same
matrix product, the candidate's part is its bias. Scores are sum_h w_h f(z_h). The work goes through pieces that
stay in the cache, forwards and backwards; the backward pass computes each piece again instead of keeping it.
Memory is the scores, never times h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from ethogram.nn.activation import Dice
from ethogram.nn.bends import Bell, Leaky
from ethogram.nn.blocks import Block
from ethogram.nn.ragged import segments, unpad
from ethogram.nn.rows import add_rows

PIECE = 2**18
"""Floats of one piece of hidden values: 1 MB, a core's second cache; the optimum is flat."""


def expand(queries: Tensor, product: Tensor, key: Tensor) -> Tensor:
    """Each candidate's own first layer, [B, C * h, d] from [B, C, d]."""
    b, c, d = queries.shape
    return torch.addcmul(key, queries.unsqueeze(2), product).view(b, c * len(key), d)


class Weights:
    """First-layer weights [h, d] and their gradients."""

    def __init__(self, product: Tensor, key: Tensor) -> None:
        self.product, self.key = product, key
        self.to_product, self.to_key = torch.zeros_like(product), torch.zeros_like(key)


class Layout(Protocol):
    """Where pairs come from: how pieces are cut, computed, and how their gradients go back."""

    scores: Tensor

    def pieces(self) -> Iterator[Any]: ...
    def hidden(self, piece: Any) -> Tensor: ...
    def mask(self, piece: Any) -> Tensor | None: ...
    def put(self, piece: Any, scores: Tensor) -> None: ...
    def take(self, piece: Any, grad: Tensor) -> Tensor: ...
    def back(self, piece: Any, grad: Tensor) -> None: ...
    def gradients(self) -> tuple[Tensor, Tensor, Tensor]: ...


class Dense:
    """A padded block: every event of a question with every candidate; scores [B, L, C]."""

    def __init__(self, block: Block, keys: Tensor, queries: Tensor, bias: Tensor, weights: Weights) -> None:
        self.block, self.weights = block, weights
        self.keys, self.queries, self.bias = block.keys(keys), block.queries(queries), block.queries(bias)
        self.scores = keys.new_empty(block.shape)
        self.to: list[Tensor] = []

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        (n, length, count), (h, d) = self.block.shape, self.weights.key.shape
        one = max(length, d) * h
        some = min(count, max(1, PIECE // one))
        many = max(1, PIECE // (one * some)) if some == count else 1
        for i in range(0, n, many):
            for j in range(0, count, some):
                yield slice(i, min(n, i + many)), slice(j, min(count, j + some))

    def hidden(self, piece: tuple[slice, slice]) -> Tensor:
        keys, bias = self.keys[piece[0]], self.bias[piece]
        self.layer = expand(self.queries[piece], self.weights.product, self.weights.key)
        z = torch.baddbmm(bias.reshape(len(bias), 1, -1), keys, self.layer.transpose(1, 2))
        return z.view(-1, bias.shape[-1])

    def mask(self, piece: tuple[slice, slice]) -> Tensor | None:
        real = self.block.cell_mask
        return None if real is None else real[piece[0], :, piece[1]].reshape(-1).to(self.keys.device)

    def put(self, piece: tuple[slice, slice], scores: Tensor) -> None:
        there = self.scores[piece[0], :, piece[1]]
        there.copy_(scores.view(there.shape))

    def take(self, piece: tuple[slice, slice], grad: Tensor) -> Tensor:
        return grad[piece[0], :, piece[1]].reshape(-1)

    def back(self, piece: tuple[slice, slice], grad: Tensor) -> None:
        i, _ = piece
        if not self.to:
            self.to = [torch.zeros_like(self.keys), torch.empty_like(self.queries), torch.empty_like(self.bias)]
        (b, c, h), d = self.bias[piece].shape, self.keys.shape[-1]
        down = grad.view(b, -1, c * h)
        self.to[0][i] += torch.bmm(down, self.layer)
        to_layer = torch.bmm(down.transpose(1, 2), self.keys[i]).view(b, c, h, d)
        self.to[1][piece] = (to_layer * self.weights.product).sum(2)
        self.to[2][piece] = down.sum(1).view(b, c, h)
        self.weights.to_product += (to_layer * self.queries[piece].unsqueeze(2)).sum((0, 1))
        self.weights.to_key += to_layer.sum((0, 1))

    def gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of events, candidates and biases, packed."""
        block = self.block
        return unpad(self.to[0], block.key_spans), block.packed(self.to[1]), block.packed(self.to[2])


class Rows:
    """One candidate per question: nothing is shared within a question, so events stay packed; scores [T]."""

    def __init__(self, offsets: Tensor, keys: Tensor, queries: Tensor, bias: Tensor, weights: Weights) -> None:
        self.keys, self.queries, self.bias, self.weights = keys, queries, bias, weights
        self.question = segments(offsets, keys.device)
        self.scores = keys.new_empty(len(keys))
        self.to: list[Tensor] = []

    def pieces(self) -> Iterator[slice]:
        step = max(1, PIECE // (2 * max(self.weights.key.shape)))
        for at in range(0, len(self.keys), step):
            yield slice(at, min(len(self.keys), at + step))

    def hidden(self, piece: slice) -> Tensor:
        mine = self.question[piece]
        self.asked = self.queries.index_select(0, mine)
        self.both = self.keys[piece] * self.asked
        z = self.bias.index_select(0, mine).addmm_(self.both, self.weights.product.T)
        return z.addmm_(self.keys[piece], self.weights.key.T)

    def mask(self, piece: slice) -> Tensor | None:
        return None

    def put(self, piece: slice, scores: Tensor) -> None:
        self.scores[piece] = scores

    def take(self, piece: slice, grad: Tensor) -> Tensor:
        return grad[piece]

    def back(self, piece: slice, grad: Tensor) -> None:
        if not self.to:
            self.to = [torch.empty_like(self.keys), torch.zeros_like(self.queries), torch.zeros_like(self.bias)]
        keys, mine = self.keys[piece], self.question[piece]
        self.weights.to_product.addmm_(grad.T, self.both)
        self.weights.to_key.addmm_(grad.T, keys)
        to_both = grad @ self.weights.product
        torch.addmm(to_both * self.asked, grad, self.weights.key, out=self.to[0][piece])
        add_rows(self.to[1], mine, to_both.mul_(keys))
        add_rows(self.to[2], mine, grad)

    def gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of events, candidates and biases, packed."""
        if not self.to:
            return torch.zeros_like(self.keys), torch.zeros_like(self.queries), torch.zeros_like(self.bias)
        return self.to[0], self.to[1], self.to[2]


def _layouts(frame: list[Block] | Tensor, given: tuple[Tensor, ...], weights: Weights) -> Iterator[Layout]:
    keys, queries, bias = given
    if isinstance(frame, Tensor):
        yield Rows(frame, keys, queries, bias, weights)
        return
    at, asked = 0, 0
    for block in frame:
        k, q = at + int(block.key_spans[-1]), asked + int(block.query_spans[-1])
        yield Dense(block, keys[at:k], queries[asked:q], bias[asked:q], weights)
        at, asked = k, q


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, frame: Any, act: Any, keys: Tensor, queries: Tensor, bias: Tensor, product: Tensor,
        key: Tensor, out: Tensor, alpha: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        bend = _bend(act, alpha, out)
        given, weights = (keys, queries, bias), Weights(product, key)
        if isinstance(bend, Bell) and bend.learn:
            for layout in _layouts(frame, given, weights):
                for piece in layout.pieces():
                    bend.look(layout.hidden(piece), layout.mask(piece))
            bend.settle()
            act.move(bend.count, bend.mean, bend.variance)
        scores = []
        for layout in _layouts(frame, given, weights):
            for piece in layout.pieces():
                layout.put(piece, bend.value(layout.hidden(piece)))
            scores.append(layout.scores)
        ctx.frame, ctx.act = frame, act
        ctx.learn = isinstance(bend, Bell) and bend.learn
        moments = (bend.count, bend.mean, bend.variance) if isinstance(bend, Bell) else ()
        ctx.save_for_backward(keys, queries, bias, product, key, out, alpha, *moments)
        return tuple(scores)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        keys, queries, bias, product, key, out, alpha, *moments = ctx.saved_tensors
        given, weights = (keys, queries, bias), Weights(product, key)
        bend = _bend(ctx.act, alpha, out)
        if isinstance(bend, Bell):
            bend.learn, (bend.count, bend.mean, bend.variance) = ctx.learn, moments
            for layout, grad in zip(_layouts(ctx.frame, given, weights), grads, strict=True):
                for piece in layout.pieces():
                    bend.look_back(layout.hidden(piece), layout.mask(piece), layout.take(piece, grad))
        parts = []
        for layout, grad in zip(_layouts(ctx.frame, given, weights), grads, strict=True):
            for piece in layout.pieces():
                z = layout.hidden(piece)
                layout.back(piece, bend.back(z, layout.mask(piece), layout.take(piece, grad)))
            parts.append(layout.gradients())
        to_given = [torch.cat(p) if len(p) > 1 else p[0] for p in zip(*parts, strict=True)]
        return None, None, *to_given, weights.to_product, weights.to_key, bend.to_out, bend.to_alpha


def _bend(act: Any, alpha: Tensor, out: Tensor) -> Leaky | Bell:
    if isinstance(act, Dice):
        return Bell(alpha, out, act.eps, act.mean, act.variance, act.training)
    return Leaky(alpha, out)


def pair_scores(
    frame: list[Block] | Tensor, act: torch.nn.Module, keys: Tensor, queries: Tensor, bias: Tensor,
    product: Tensor, key: Tensor, out: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Scores of the events of questions for their candidates.

    Parameters
    ----------
    frame : blocks whose rows `keys` and `queries` are (one result [B, L, C] each), or offsets of the events of
        questions with one candidate each (one result [T]).
    act : Dice, PReLU or ReLU. In training Dice takes its mean over all blocks.
    keys : [T, d] events. queries : [Q, d] candidates. bias : [Q, h], their own part of the first layer.
    product, key : [h, d], weights of k*q and of k. out : [h], weights of the second layer.
    """
    alpha = getattr(act, "alpha", getattr(act, "weight", None))
    alpha = torch.zeros_like(out) if alpha is None else alpha
    given = (keys, queries, bias, product, key, out, alpha)
    if not torch.is_autocast_enabled(keys.device.type):
        return _Scores.apply(frame, act, *given)
    with torch.autocast(keys.device.type, enabled=False):  # sums over thousands of pairs need their 24 bits
        return _Scores.apply(frame, act, *(t.float() for t in given))
