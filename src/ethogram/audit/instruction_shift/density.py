"""From an attribution matrix to how much a prompt's instruction counts."""

from __future__ import annotations

import numpy as np

from ethogram.errors import OptionError


def levels(attributed: np.ndarray, floor: int = 7) -> np.ndarray:
    """Ten levels of each answer token's column, int64[prompt, answer]: ``ceil(10 max(I, 0) / max of the column)``,
    0 where that is at most `floor`. A column without a positive entry is 0."""
    pushed = np.maximum(np.asarray(attributed, float), 0.0)
    top = pushed.max(axis=0, initial=0.0)
    share = np.divide(pushed, top, out=np.zeros_like(pushed), where=top > 0)
    found = np.ceil(np.round(10 * share, 9)).astype(np.int64)
    found[found <= floor] = 0
    return found


def density(level: np.ndarray, power: float = 4.0) -> np.ndarray:
    """Importance density of each prompt token, float64[prompt] in [0, 1]: ``|row|_1 / |row|_p``, over its largest.

    It is large for a token that counts for many tokens of the answer, whatever by how much; 0 for a row of zeros.
    """
    rows = np.asarray(level, float)
    norm = (rows**power).sum(axis=1) ** (1 / power)
    found = np.divide(rows.sum(axis=1), norm, out=np.zeros(len(rows)), where=norm > 0)
    return found / top if (top := found.max(initial=0.0)) > 0 else found


def score(dense: np.ndarray, instruction: np.ndarray) -> float:
    """Instruction score ``sum of the instruction's densities / log2(2 + its tokens)``.

    Raises
    ------
    OptionError
        No token belongs to the instruction.
    """
    marked = np.asarray(instruction, bool)
    if not marked.any():
        raise OptionError("no token of the prompt belongs to the instruction.")
    return float(dense[marked].sum() / np.log2(2 + marked.sum()))
