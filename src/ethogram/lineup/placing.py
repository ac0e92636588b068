"""Where labels go in a crowded picture: beside their points, on no other label and on no point.

Every point tries places around itself and takes the cheapest of those that are free: near beats far, right beats left,
and crossing a bar costs a little. Points with the most neighbours choose first. Where nothing is free within `REACHES`,
the label is left out (None); the tables name everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ANGLES = (0, 180, -25, 25, 155, 205, -55, 55, 125, 235, -90, 90)
REACHES = (11, 17, 25, 35, 47, 61, 77, 95, 115, 140, 170, 205)
LETTER, LINE = 6.6, 14.0
"""Width of a letter and height of a line, pixels, at font size 12: a little more than fonts need."""


class Label(NamedTuple):
    """A label's box (left, top, right, bottom) and whether it is so far from its point that a line has to join them."""

    left: float
    top: float
    right: float
    bottom: float
    far: bool


def place(
    at: np.ndarray, words: Sequence[str], bars: np.ndarray, room: tuple[float, float, float, float],
    lines: np.ndarray | None = None, mark: float = 6.0,
) -> list[Label | None]:  # fmt: skip
    """A box for each label.

    Parameters
    ----------
    at : float[n, 2] pixels of the points, y downwards. words : the labels. bars : float[n, 2], top and bottom of the
        vertical bar through each point. room : left, top, right, bottom of where labels may stand. lines :
        float[m, 4], boxes of further lines that labels rather do not cross. mark : half the size of a point.
    """
    near = (np.abs(at[:, None] - at[None]) < [90, 30]).all(2).sum(1)
    marks = np.column_stack([at - mark, at + mark])
    placed: list[Label | None] = [None] * len(at)
    crossed = np.column_stack([at[:, 0] - 1, bars[:, 0], at[:, 0] + 1, bars[:, 1]])
    along = np.zeros((0, 4)) if lines is None else lines
    for i in np.argsort(-near, kind="stable"):
        boxes, price, far = _choices(at[i], LETTER * len(words[i]), mark)
        taken = np.array([p[:4] for p in placed if p is not None]).reshape(-1, 4)
        free = ~_meet(boxes, taken).any(1) & ~_meet(boxes, marks).any(1)
        free &= (boxes[:, :2] >= room[:2]).all(1) & (boxes[:, 2:] <= room[2:]).all(1)
        if not free.any():
            continue
        price = price + 7.0 * _meet(boxes, crossed).sum(1) + 20.0 * _meet(boxes, along).sum(1)
        best = int(np.argmin(np.where(free, price, np.inf)))
        placed[i] = Label(*map(float, boxes[best]), bool(far[best]))
    return placed


def _choices(at: np.ndarray, wide: float, mark: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes around a point [m, 4], what each costs [m], and whether it needs a line [m]."""
    angle, reach = (g.ravel() for g in np.meshgrid(np.deg2rad(ANGLES), REACHES))
    order = np.tile(np.arange(len(ANGLES)), len(REACHES))
    anchor = at + np.column_stack([np.cos(angle), np.sin(angle)]) * reach[:, None]
    side = np.where(np.abs(np.cos(angle)) < 0.1, 0.5, np.where(np.cos(angle) > 0, 0.0, 1.0))
    left, top = anchor[:, 0] - side * wide, anchor[:, 1] - LINE / 2
    return np.column_stack([left, top, left + wide, top + LINE]), reach + 1.5 * order, reach > 2.5 * mark


def _meet(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which boxes of a [m, 4] overlap which of b [n, 4]."""
    return ((a[:, None, :2] < b[None, :, 2:]) & (b[None, :, :2] < a[:, None, 2:])).all(2)
