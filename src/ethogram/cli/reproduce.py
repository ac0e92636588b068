"""``ethogram reproduce KEY...``: the claims of systems, measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError


def reproduce(
    *keys: str,
    every: Annotated[bool, Parameter(name="--all", negative=())] = False,
    quick: Annotated[bool, Parameter(negative=())] = False,
    store: Path = Path("records"),
    data: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    results: Path | None = None,
    json: Json = None,
) -> int:
    """Measure what the papers of systems claim, and say whether it holds on this machine.

    Parameters
    ----------
    keys
        The systems.
    every
        All systems that have claims.
    quick
        Only show that everything runs, on little data in a few seconds; no verdict.
    store
        Folder of the records; what is there already is not run again, so an interrupted run goes on.
    data
        Only on these data sets; can be repeated.
    results
        Also write each full result, and a page of all, to this folder.

    Returns
    -------
    1 where a quick run was stopped by a fault, else 0: a claim that fails is a result.
    """
    from ethogram import claims

    out = Output(json)
    if bool(keys) == every:
        raise OptionError("say which: system keys, or --all.")
    with out.progress("claims") as watch:
        found = claims.run(
            claims.keys() if every else keys,
            quick=quick,
            store=None if quick else store,
            only_data=data or None,
            results=results,
            watch=watch,
        )
    rows = [
        (one["key"], claim["verdict"], claim["text"], claim["measured"], claim["threshold"], claim["why"])
        for one in found
        for claim in one["claims"]
    ]
    out.table(("system", "verdict", "claim", "measured", "threshold", "why"), rows)
    out.line(f"{sum(one['seconds'] for one in found):,.0f} CPU s")
    out.result(found)
    return int(quick and any(claim["verdict"] == "fails" for one in found for claim in one["claims"]))
