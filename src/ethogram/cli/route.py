"""``ethogram route MODEL PROMPT...``: which model of a library a prompt should go to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.asking import fitted
from ethogram.cli.opening import open_log
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, SourceError


def route(
    model: Path,
    /,
    *prompts: str,
    texts: Path | None = None,
    flags: Annotated[tuple[str, ...], Parameter(name="--flag", negative=())] = (),
    front: str | None = None,
    log: str | None = None,
    every: Annotated[bool, Parameter(negative=())] = False,
    json: Json = None,
) -> None:
    """Say which model of a library a prompt should go to, with a saved router.

    Parameters
    ----------
    model
        Folder of a saved router.
    prompts
        What is asked; flags such as [Flag: smallest model] are read and taken out.
    texts
        File with a prompt on each line.
    flags
        A wish for all prompts, such as "smallest model", "newest 0.5" or "size <= 1e9"; can be repeated.
    front
        Show what this wish costs: loss against cost for a row of weights.
    log
        Judge the router on a log of known losses: regret against the best model for each prompt.
    every
        Show all models for each prompt, not the first alone.
    """
    say = Output(json)
    built = fitted(model, "route")
    asked = list(prompts)
    if texts is not None:
        if not texts.is_file():
            raise SourceError(f"--texts {texts}: there is no such file.")
        asked += [line.strip() for line in texts.read_text("utf-8").splitlines() if line.strip()]
    if not asked and log is None:
        raise OptionError("give a prompt, --texts FILE, or --log LOG to judge the router.")
    told: dict[str, object] = {}
    if log is not None:
        table = built.judge(open_log(log, None, say), flags=flags)
        say.table(table.column_names, [tuple(r.values()) for r in table.to_pylist()])
        told["judged"] = table.to_pylist()
    if asked and front is not None:
        table = built.front(asked, front)
        say.table(table.column_names, [tuple(r.values()) for r in table.to_pylist()])
        told["front"] = table.to_pylist()
    elif asked:
        rows = built.route(asked, flags=flags).to_pylist()
        shown = [r for r in rows if every or r["rank"] == 1]
        say.table(
            ("prompt", "model", "rank", "predicted", "penalty", "why"),
            [(asked[r["question"]][:40], r["model"], r["rank"], r["predicted"], r["penalty"], r["why"]) for r in shown],
        )
        told["routes"] = rows
    say.result(told)
