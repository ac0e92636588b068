"""Shortest paths over a grid by A*, four neighbours, a step each.

The distance in steps without walls never overestimates and never falls by more than a step (it is consistent), and a
step changes f = g + h by 0 or by 2: so two stacks, of this f and of the next, stand for the queue.

Hart, Nilsson, Raphael: A Formal Basis for the Heuristic Determination of Minimum Cost Paths (1968).
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def _search(solid: np.ndarray, width: int, start: int, goal: int, came: np.ndarray) -> bool:
    size = len(solid)
    best = np.full(size, 2**30, np.int32)
    closed = np.zeros(size, np.bool_)
    now, later = np.empty(4 * size, np.int32), np.empty(4 * size, np.int32)
    goal_x, goal_y = goal % width, goal // width
    best[start] = 0
    now[0] = start
    here, there = 1, 0
    while True:
        if here == 0:
            if there == 0:
                return False
            now, later = later, now
            here, there = there, 0
        here -= 1
        tile = now[here]
        if closed[tile]:
            continue
        if tile == goal:
            return True
        closed[tile] = True
        x, y = tile % width, tile // width
        far = abs(x - goal_x) + abs(y - goal_y)
        for k in range(4):
            nx = x + (1 if k == 0 else -1 if k == 1 else 0)
            ny = y + (1 if k == 2 else -1 if k == 3 else 0)
            if nx < 0 or nx >= width or ny < 0 or ny * width >= size:
                continue
            near = ny * width + nx
            if solid[near] or closed[near] or best[near] <= best[tile] + 1:
                continue
            best[near] = best[tile] + 1
            came[near] = tile
            if abs(nx - goal_x) + abs(ny - goal_y) < far:
                now[here] = near
                here += 1
            else:
                later[there] = near
                there += 1


def path(solid: np.ndarray, width: int, start: int, goal: int) -> list[int] | None:
    """Tiles of a shortest path, both ends within; None where there is none.

    >>> path(np.array([0, 1, 0, 0, 0, 0], bool), 3, 0, 2)
    [0, 3, 4, 5, 2]
    """
    if solid[start] or solid[goal]:
        return None
    came = np.full(len(solid), -1, np.int32)
    if not _search(solid, width, start, goal, came):
        return None
    made = [int(goal)]
    while made[-1] != start:
        made.append(int(came[made[-1]]))
    return made[::-1]
