"""Towers as arrays, for requests: a layer is one matrix product and one compiled pass over its values, in place.

Every activation here is x (alpha + (1 - alpha) p(x)), with p the gate of Dice, or [x > 0] for PReLU and ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from torch import nn

from ethogram.errors import OptionError
from ethogram.nn.activation import Dice
from ethogram.nn.bent import Bent
from ethogram.nn.dropout import Dropout
from ethogram.nn.mlp import Tower
from ethogram.nn.sweeps import sigmoid

F = np.float32
FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}


@dataclass(frozen=True, eq=False)
class Gate:
    """An activation: arrays float32[channels]."""

    alpha: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    dice: bool

    @classmethod
    def of(cls, act: nn.Module, channels: int) -> Gate:
        """Of a fitted activation.

        Raises
        ------
        OptionError
            It is another one.
        """
        if isinstance(act, Dice):
            scale = (act.variance + act.eps).rsqrt()
            return cls(array(act.alpha), array(act.mean), array(scale), True)
        alpha = np.zeros(channels, F)
        if isinstance(act, Bent | nn.PReLU) and act.weight is not None:
            alpha[:] = array(act.weight)
        elif not isinstance(act, Bent | nn.ReLU):
            raise OptionError(f"prepared: no arrays for the activation {type(act).__name__}.")
        return cls(alpha, np.zeros(channels, F), np.ones(channels, F), False)


@dataclass(frozen=True, eq=False)
class Dense:
    """Layers of a tower: matrices float32[inputs, outputs], and the activation behind all but the last."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    gates: tuple[Gate, ...]

    @classmethod
    def of(cls, tower: Tower) -> Dense:
        """Of a fitted tower.

        Raises
        ------
        OptionError
            It has a layer that is not here.
        """
        weights, biases, gates = [], [], []
        for layer in tower.layers:
            if isinstance(layer, nn.Linear):
                weights.append(np.ascontiguousarray(array(layer.weight).T))
                biases.append(array(layer.bias))
            elif isinstance(layer, nn.BatchNorm1d):
                raise OptionError("prepared: no arrays for a tower with batch normalisation.")
            elif not isinstance(layer, Dropout):
                gates.append(Gate.of(layer, len(biases[-1])))
        return cls(tuple(weights), tuple(biases), tuple(gates))

    def finish(self, first: np.ndarray, added: np.ndarray) -> np.ndarray:
        """Logits [n] from what the first layer's matrix gave, [n, hidden], and what is `added` to all rows, [hidden].

        `first` is overwritten.
        """
        if not self.gates:
            return np.asarray(first[:, 0] + added[0])
        out = first
        for gate, bias, weight in zip(self.gates, (added, *self.biases[1:-1]), self.weights[1:], strict=True):
            bend(out, bias, gate.alpha, gate.mean, gate.scale, gate.dice)
            out = out @ weight
        return np.asarray(out[:, 0] + self.biases[-1][0])


@njit(**FAST)
def bend(z, add, alpha, mean, scale, dice):  # type: ignore[no-untyped-def]
    """The activation of z + add, in z."""
    for n in range(z.shape[0]):
        if dice:
            for c in range(z.shape[1]):
                x = z[n, c] + add[c]
                z[n, c] = x * (alpha[c] + (F(1) - alpha[c]) * sigmoid((x - mean[c]) * scale[c]))
        else:
            for c in range(z.shape[1]):
                x = z[n, c] + add[c]
                z[n, c] = max(x, F(0)) + alpha[c] * min(x, F(0))


def array(values: object) -> np.ndarray:
    """A tensor as a float32 array of its own."""
    return np.array(values.detach().cpu().numpy(), F, order="C")  # type: ignore[attr-defined]
