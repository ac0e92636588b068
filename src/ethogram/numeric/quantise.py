"""Weights at few bits: round to nearest in groups, each with its own scale and offset.

    s = (max - min) / (2^b - 1)        q = round((w - min) / s)        w' = min + s q        per group of weights

so that |w - w'| <= s / 2. Storage is b bits a weight and two 16-bit numbers a group.
"""

from __future__ import annotations

import numpy as np

from ethogram.errors import OptionError


def round_to_nearest(weights: np.ndarray, bits: int, group: int = 32) -> np.ndarray:
    """The weights as `bits` would have them, same shape and float32; groups run along the last axis.

    Raises
    ------
    OptionError
        Bits outside 1 ... 8, or a last axis that is no multiple of `group`.

    >>> round_to_nearest(np.array([0.0, 0.3, 0.7, 1.0]), 1, group=4).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    if not 1 <= bits <= 8 or group < 1:
        raise OptionError(f"round_to_nearest: bits = {bits}, group = {group}; give 1 to 8 bits, a group of 1 or more.")
    w = np.asarray(weights, np.float32)
    if w.ndim == 0 or w.shape[-1] % group:
        raise OptionError(f"round_to_nearest: a last axis of {w.shape[-1:]} is no multiple of the group, {group}.")
    parts = w.reshape(*w.shape[:-1], -1, group)
    low, high = parts.min(-1, keepdims=True), parts.max(-1, keepdims=True)
    step = (high - low) / (2**bits - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        places = np.where(step > 0, np.round((parts - low) / step), 0)
    return np.asarray((low + step * places).reshape(w.shape), np.float32)


def bytes_of(weights: int, bits: int, group: int = 32) -> float:
    """Bytes that so many weights take.

    >>> bytes_of(32, 4)
    20.0
    """
    return weights * bits / 8 + weights / group * 4
