"""Target attention of one request's candidates over its events, as few matrix products and one compiled pass.

    z_cj = bias_c + K_j A' + q_c . (P * k_j)        the first layer of DIN's unit, for candidate c and event j

All (P * k_j) of a request stand in one matrix [d, L h], so that z is one product with the candidates; it is made and
consumed in pieces that stay in the cache. Hidden channels are padded with zeros to a multiple of 8, for vectors of 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.log import kernels
from ethogram.nn.attention import TargetAttention
from ethogram.nn.interest import Attended
from ethogram.nn.prepared.dense import FAST, F, Gate, array
from ethogram.nn.prepared.past import Past
from ethogram.nn.sweeps import sigmoid

EVENTS, CANDIDATES, LANES = 64, 128, 8
"""Events and candidates of a piece, and channels that are counted at once."""


@dataclass(frozen=True, eq=False)
class Unit:
    """DIN's network for pairs with one hidden layer; matrices [dim, h], h padded."""

    key: np.ndarray
    query: np.ndarray
    product: np.ndarray
    bias: np.ndarray
    line: np.ndarray
    bent: np.ndarray
    gate: Gate
    last: np.float32

    @classmethod
    def of(cls, unit: Any) -> Unit:
        """Of a fitted `PairNetwork`."""
        if not unit.single:
            raise OptionError("prepared: no arrays for an attention with several hidden layers.")
        (act,), (layer,) = unit.acts, unit.layers
        h = len(unit.key)
        padded = -(-h // LANES) * LANES
        found = Gate.of(act, h)

        def wide(x: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(np.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, padded - h)]))

        out = array(layer.weight)[0]
        gate = Gate(wide(found.alpha), wide(found.mean), wide(found.scale), found.dice)
        return cls(
            *(wide(array(p).T) for p in (unit.key, unit.query, unit.product)), wide(array(unit.bias)),
            wide(out * found.alpha), wide(out * (1 - found.alpha)), gate, F(array(layer.bias)[0]),
        )  # fmt: skip

    def weights(self, events: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """a of every pair, float32[C, L]."""
        out = np.empty((len(candidates), len(events)), F)
        mine, (dim, h) = candidates @ self.query + self.bias, self.product.shape
        gate = self.gate
        held = np.empty((min(CANDIDATES, len(candidates)), min(EVENTS, len(events)) * h), F)
        for at in range(0, len(events), EVENTS):
            few = events[at : at + EVENTS]
            matrix = (few.T[:, :, None] * self.product[:, None, :]).reshape(dim, -1)
            own = few @ self.key
            for first in range(0, len(candidates), CANDIDATES):
                some = candidates[first : first + CANDIDATES]
                z = held[: len(some), : matrix.shape[1]] if matrix.shape[1] == held.shape[1] else None
                z = np.matmul(some, matrix, out=z)
                _weigh(z, own, mine, self.line, self.bent, gate.mean, gate.scale, gate.dice, self.last, out, first, at)
        return out


@dataclass(frozen=True, eq=False)
class Attending:
    """Interest of DIN's or dot-product attention over a history or its last events."""

    unit: Unit | None
    dim: int
    last: int | None
    mean: bool
    softmax: bool

    @classmethod
    def of(cls, part: Attended) -> Attending:
        """Of a fitted part.

        Raises
        ------
        OptionError
            It retrieves before it attends.
        """
        attention: TargetAttention = part.attention
        if attention.kind == "topk":
            raise OptionError("prepared: no arrays for attention that retrieves by tags.")
        unit = None if attention.unit is None else Unit.of(attention.unit)
        return cls(unit, attention.dim, part.last, part.mean, attention.normalise == "softmax")

    def read(self, past: Past, candidates: np.ndarray) -> np.ndarray:
        """[C, dim] for candidates [C, dim]."""
        events = past.vectors
        if self.last is not None and len(events) > self.last:
            events = events[cut(past.starts, self.last) :]
        if not len(events):
            return np.zeros_like(candidates)
        if self.unit is None:
            weights = candidates @ events.T
            weights *= F(self.dim**-0.5)
        else:
            weights = self.unit.weights(events, candidates)
        if self.softmax:
            weights -= weights.max(1, keepdims=True)
            np.exp(weights, out=weights)
            weights /= weights.sum(1, keepdims=True)
        found = weights @ events
        if self.mean:
            found /= F(len(events))
        return found


def cut(starts: np.ndarray, last: int) -> int:
    """Where the last events of a history begin, at a group of equal time."""
    ends = np.array([0]), np.array([len(starts)])
    return int(kernels.cut_at_group(*ends, starts, last)[0])


@njit(**FAST)
def _weigh(z, own, mine, line, bent, mean, scale, dice, last, out, first, at):  # type: ignore[no-untyped-def]
    """out[first + c, at + j] = sum_h w_h f(z[c, j h + h] + own[j, h] + mine[first + c, h]) + last."""
    length, h = own.shape
    for c in range(z.shape[0]):
        for j in range(length):
            t, o = F(0), j * h
            if dice:
                for i in range(h):
                    x = z[c, o + i] + own[j, i] + mine[first + c, i]
                    t += x * (line[i] + bent[i] * sigmoid((x - mean[i]) * scale[i]))
            else:
                for i in range(h):
                    x = z[c, o + i] + own[j, i] + mine[first + c, i]
                    t += line[i] * x + bent[i] * max(x, F(0))
            out[first + c, at + j] = t + last
