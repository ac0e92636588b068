"""The claims of the systems, measured: `ethogram reproduce KEY`.

A claim is a module ``ethogram.claims.<area>.<key>`` that says what must be true and plans how to see it:

    from ethogram.claims import Gap, Grid, claim

    @claim("sdim", "Matches target attention on long histories")
    def quality(bench):
        return Grid(
            arms={"sdim": "sdim", "short only": ("sdim", {"long": 0}), "target attention": "din"},
            data=["interests", "ml_100k"],
            metric="auc",
            holds=[Gap("sdim", "short only") >= 0.01, Gap("target attention", "sdim") <= 0.005],
        )

Equalities and speed laws are functions of the bench (`bench.load`, `bench.run`, `bench.race`):

    @claim("sdim", "Costs the same whatever the length of the history")
    def speed(bench):
        return Laws(Law("time at 16,384 events over time at 256", lambda bench: flatness(bench), "<=", 1.3))
"""

from ethogram.claims.declared import Claim, claim, claims, keys
from ethogram.claims.results import read_results, write_results
from ethogram.claims.running import Result, measure, run
from ethogram.evaluate.grid import Grid
from ethogram.evaluate.verdict import Estimate, Gap, Law, Laws, Level, NotMeasurable, Ratio

__all__ = [
    "Claim",
    "Estimate",
    "Gap",
    "Grid",
    "Law",
    "Laws",
    "Level",
    "NotMeasurable",
    "Ratio",
    "Result",
    "claim",
    "claims",
    "keys",
    "measure",
    "read_results",
    "run",
    "write_results",
]
