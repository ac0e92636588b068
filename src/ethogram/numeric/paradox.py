"""The friendship paradox and its generalised forms on a graph of any size.

    FP(i)     = 1[ mean_{j in N(i)} x_j > x_i ]        N(i): whom i is tied to (outgoing ties); strict
    share     = sum_i FP(i) / #{ i : N(i) not empty }  agents without ties are left out, and counted
    hierarchy = sum_ij w_ij 1[x_j > x_i] / sum_ij w_ij share of tie weight that leads upward

x is the degree (Feld: Why your friends have more friends than you do. American Journal of Sociology 1991) or any other
attribute of the agents (generalised: Eom and Jo, Scientific Reports 2014). With `median`, the middle of N(i)'s values
stands in place of the mean, so that one hub among the neighbours does not decide. Weak ties have weights up to the
median of all ties' weights, strong ties larger ones.

Sums are compared, not quotients (sum_j x_j > |N(i)| x_i): whole numbers decide exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.numeric.graphs import Graph

Statistic = Literal["mean", "median"]
STATISTICS: tuple[Statistic, ...] = ("mean", "median")


@dataclass(frozen=True)
class Paradox:
    """How many agents have neighbours with more than themselves.

    Attributes
    ----------
    share : of the agents with ties for whom it holds; NaN where nobody has ties. equal : share for whom both are
    equal. agents : with ties. excluded : without. ratio : mean over agents with ties of what the neighbours have, over
    the mean of what they have themselves. holds : int8[n], 1 holds, 0 does not, -1 no ties.
    """

    share: float
    equal: float
    agents: int
    excluded: int
    ratio: float
    holds: np.ndarray


@njit(cache=True, nogil=True)
def _means(offsets, targets, x, middle, sign):  # type: ignore[no-untyped-def]
    for i in range(len(offsets) - 1):
        count = offsets[i + 1] - offsets[i]
        total = 0.0
        for e in range(offsets[i], offsets[i + 1]):
            total += x[targets[e]]
        if count:
            middle[i] = total / count
            own = count * x[i]
            sign[i] = 1 if total > own else (0 if total == own else -1)


@njit(cache=True, nogil=True)
def _medians(offsets, targets, x, middle, sign):  # type: ignore[no-untyped-def]
    for i in range(len(offsets) - 1):
        count = offsets[i + 1] - offsets[i]
        if count:
            values = np.sort(x[targets[offsets[i] : offsets[i + 1]]])
            twice = values[(count - 1) // 2] + values[count // 2]
            middle[i] = twice / 2
            sign[i] = 1 if twice > 2 * x[i] else (0 if twice == 2 * x[i] else -1)


def neighbours(graph: Graph, x: np.ndarray, statistic: Statistic = "mean") -> tuple[np.ndarray, np.ndarray]:
    """What each agent's neighbours have, float64[n] (NaN without ties), and its sign against the own, int8[n].

    Raises
    ------
    OptionError
        `x` is not one finite number per agent, or the statistic is not known.
    """
    values = checked(graph, x)
    if statistic not in STATISTICS:
        raise OptionError(f"paradox: statistic '{statistic}' is neither mean nor median.")
    middle, sign = np.full(len(graph), np.nan), np.zeros(len(graph), np.int8)
    (_means if statistic == "mean" else _medians)(graph.offsets, graph.targets, values, middle, sign)
    return middle, sign


def paradox(graph: Graph, x: np.ndarray, statistic: Statistic = "mean") -> Paradox:
    """The paradox of an attribute.

    Parameters
    ----------
    x : float[n], the attribute of each agent.

    Examples
    --------
    >>> star = Graph.of([0, 0, 0], [1, 2, 3], 5).symmetric()
    >>> found = paradox(star, star.in_degree)
    >>> found.share, found.agents, found.excluded
    (0.75, 4, 1)
    """
    middle, sign = neighbours(graph, x, statistic)
    tied = graph.out_degree > 0
    agents = int(tied.sum())
    holds = np.where(tied, sign > 0, -1).astype(np.int8)
    if not agents:
        return Paradox(np.nan, np.nan, 0, len(graph), np.nan, holds)
    own = float(np.mean(np.asarray(x, np.float64)[tied]))
    ratio = float(np.mean(middle[tied])) / own if own else np.nan
    share, equal = float(np.mean(sign[tied] > 0)), float(np.mean(sign[tied] == 0))
    return Paradox(share, equal, agents, len(graph) - agents, ratio, holds)


def upward(graph: Graph, x: np.ndarray) -> tuple[float, float]:
    """Share of tie weight that leads to an agent with a larger attribute, and to one with the same; NaN without ties.

    >>> upward(Graph.of([0, 1], [1, 0], 2, [3.0, 1.0]), np.array([1, 5]))
    (0.75, 0.0)
    """
    values = checked(graph, x)
    total = float(graph.weights.sum())
    if not total:
        return np.nan, np.nan
    gap = values[graph.targets] - values[graph.sources]
    return float(graph.weights[gap > 0].sum()) / total, float(graph.weights[gap == 0].sum()) / total


def by_strength(graph: Graph) -> tuple[Graph, Graph, float]:
    """(weak ties, strong ties, the median weight that parts them); strong ones are none where all weigh the same."""
    if not graph.ties:
        return graph, graph, np.nan
    middle = float(np.median(graph.weights))
    strong = graph.weights > middle
    return graph.kept(~strong), graph.kept(strong), middle


def checked(graph: Graph, x: np.ndarray) -> np.ndarray:
    """An attribute as float64[n].

    Raises
    ------
    OptionError
        It has another length, or holds what is no finite number.
    """
    values = np.asarray(x, np.float64)
    if values.shape != (len(graph),):
        raise OptionError(f"paradox: {values.shape} values for {len(graph)} agents; one of each is needed.")
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        raise OptionError(f"paradox: the value of agent {at} is {values[at]}, not a finite number.")
    return values
