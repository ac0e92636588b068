"""Order of edges, and who is joined."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, inline="always")
def lighter(m, d, than):  # type: ignore[no-untyped-def]
    """(m, d) before the pair `than`."""
    return m < than[0] or (m == than[0] and d < than[1])


@njit(cache=True, nogil=True)
def find(above, i):  # type: ignore[no-untyped-def]
    """Root of i in a forest of parents, the path halved on the way."""
    while above[i] != i:
        above[i] = above[above[i]]
        i = above[i]
    return i
