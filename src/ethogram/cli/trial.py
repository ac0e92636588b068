"""``ethogram lm trial``: prompts put to several models, their losses kept as a log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, unknown


def trial_(
    cases: Path,
    /,
    *,
    models: Annotated[tuple[str, ...], Parameter(name="--model", negative=())],
    out: Path,
    facts: Path | None = None,
    loss: Literal["answer", "bits"] = "answer",
    max_tokens: int = 128,
    lanes: int = 8,
    json: Json = None,
) -> None:
    """Put prompts to several models and keep their losses as a log, for a router (`ethogram fit tryage`).

    Parameters
    ----------
    cases
        File with an object on each line: prompt, reference, id (or not).
    models
        NAME=WHERE, where it is as in `ethogram lm chat`; give it two times or more. WHERE#MODEL names one of several
        models at an endpoint.
    out
        Log directory to write.
    facts
        JSON file: NAME to an object of what is known of the model (size, released, price, security, card ...).
    loss
        answer: 1 - F1 of the words of reply and reference. bits: bits per byte of the reference.
    max_tokens
        Longest reply.
    lanes
        Prompts under way at once for each model.
    """
    from ethogram.lm import LM, blocking
    from ethogram.lm.trial import cases as read
    from ethogram.lm.trial import facts_of, trial

    say = Output(json)
    given, known = read(cases), facts_of(facts)
    named: dict[str, LM] = {}
    for text in models:
        name, sign, where = text.partition("=")
        if not sign or not name or name in named:
            raise OptionError(f"--model {text}: write NAME=WHERE, each name once.")
        place, _, model = where.partition("#")
        named[name] = LM.connect(place, model=model or None)
    for name in known:
        if name not in named:
            raise OptionError(unknown("model", name, named))
    with say.progress("trial") as watch:
        found = blocking.run(
            trial(named, given, loss=loss, facts=known, max_tokens=max_tokens, lanes=lanes, watch=watch)
        )
    log = found.log.write(out)
    means = log.table().group_by("item").aggregate([("value", "mean")]).to_pylist()
    values = {r["item"]: r["value_mean"] for r in means}
    say.table(("model", "mean loss", "no answer"), [(n, values.get(n), found.failed[n]) for n in named])
    say.line(f"written to {out}")
    say.result({"path": str(out), "prompts": len(given), "losses": values, "failed": found.failed})
