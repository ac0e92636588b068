"""``ethogram loop``: recommenders tried on simulated households that were fitted on a real log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ethogram.cli.opening import LogName, Reading, describes, open_log, options_in
from ethogram.cli.options import make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

if TYPE_CHECKING:
    from ethogram.log import Log

Several = Parameter(negative=())
GRID = ((1.5, 0.5), (4.0, 0.5), (2.0, 0.0), (2.0, 1.0))
"""(response, displacement) of --sensitivity."""


def loop(
    *,
    log: LogName = "complete_journey:households=300",
    recommenders: Annotated[tuple[str, ...], Parameter(name="--recommender", negative=())] = (
        "personal_frequency", "item_knn",
    ),
    days: int = 30,
    held: int = 56,
    levels: Annotated[tuple[str, ...], Parameter(name="--level", negative=())] = (),
    kind: str | None = None,
    k: int = 10,
    response: float = 2.0,
    displacement: float = 0.5,
    seeds: int = 3,
    check: bool = True,
    copies: int = 10,
    sensitivity: bool = False,
    report: Path | None = None,
    picture: Path | None = None,
    json: Json = None,
    reading: Reading | None = None,
) -> None:  # fmt: skip
    """Fit households on a log, try recommenders on them, train again on what they did, and check the simulator.

    Parameters
    ----------
    log
        A log directory, a file or folder of events, or a data set, for which options may stand behind a colon.
    recommenders
        Systems, with options after a colon: als:factors=32; can be repeated.
    days
        Simulated days.
    held
        Real days at the end that nothing is fitted on, a number of whole weeks; they check the simulator.
    levels
        Columns that group the items, coarse to fine; can be repeated. Those of complete_journey are known.
    kind
        Only events of this kind.
    k
        Items shown on a trip.
    response
        By what the odds of a shown item are multiplied: an assumption, no log without recommendations tells it.
    displacement
        Share of what is bought because it was shown that takes the place of something else, 0 to 1: an assumption.
    seeds
        Paired runs.
    check
        Whether to compare the simulator with resampling on the held-out days.
    copies
        Runs that the check reads its forecasts from.
    sensitivity
        Repeat the trial under other responses and displacements.
    report
        Also write a page that opens offline.
    picture
        Also write the effects as an SVG file.
    """
    from ethogram.world.people import telling
    from ethogram.world.people.loop import close_loop

    out = Output(json)
    for flag, path in (("--report", report), ("--picture", picture)):
        if path is not None and not path.absolute().parent.is_dir():
            raise OptionError(f"{flag} {path}: there is no folder {path.absolute().parent}.")
    name, _, given = log.partition(":")
    if name == "complete_journey":
        # displays answer another question, and are slow to read
        given = given if "exposures=" in given else ",".join(filter(None, [given, "exposures=false"]))
        log, levels = f"{name}:{given}", levels or ("department", "product_category", "product_type")
    fits = {arm: fitting(arm) for arm in recommenders}
    events = open_log(log, reading, out)
    out.line(f"log: {describes(events)}")
    with out.progress("loop") as watch:
        found = close_loop(
            events, fits, days=days, held=held, levels=levels, kind=kind, k=k, response=response,
            displacement=displacement, seeds=seeds, check=check, copies=copies,
            sensitivity=GRID if sensitivity else (), watch=watch,
        )  # fmt: skip
    if found.check is not None:
        out.table(*telling.check_rows(found), title="the simulator beside resampling, on the real held-out days")
        out.line()
    out.table(*telling.effect_rows(found.effects), title="effects, paired; 95% over households and seeds")
    out.line()
    if found.sensitivity:
        out.table(*telling.sensitivity_rows(found), title="under other assumptions, one seed")
        out.line()
    out.table(*telling.retrained_rows(found), title="trained again: the first real trip behind the simulated days")
    out.line()
    for sentence in telling.sentences(found):
        out.line(sentence)
    if report is not None:
        out.line(f"report: {telling.page(found, report)}")
    if picture is not None:
        out.line(f"picture: {telling.picture(found, picture)}")
    told = None if found.check is None else {"rows": found.check.rows, **found.check.facts}
    out.result({"facts": found.facts, "check": told, "effects": found.effects, "retrained": found.retrained,
                "sensitivity": found.sensitivity})  # fmt: skip


def fitting(arm: str) -> Callable[[Log], Any]:
    """What fits a system such as ``als:factors=32`` on a log."""
    key, _, given = arm.partition(":")
    sets = options_in(given)
    if not {"score", "recommend"} & set(make(key, sets, None).info.verbs):
        raise OptionError(f"{key} neither scores nor recommends.")
    return lambda train: make(key, sets, None).fit(train, seed=0)
