"""``ethogram act KEY GOAL``: pursue a goal among texts, and show the steps."""

from __future__ import annotations

from pathlib import Path

from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError, SourceError


def act(
    key: str,
    goal: str,
    /,
    *,
    texts: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    sets: Set = (),
    json: Json = None,
    **flags: str,
) -> None:
    """Pursue a goal: answer a question with the tools of a world of texts.

    Parameters
    ----------
    key
        The system, as in `ethogram systems`.
    goal
        What is asked.
    texts
        A file with a text on each line, "title: text" or the text alone, that the agent may search and read.
    out
        Also write the steps as a log directory.
    seed
        Seed of everything that is drawn.
    """
    from ethogram.system import info
    from ethogram.world.reading import Texts

    say = Output(json)
    if "act" not in info(key).verbs:
        raise OptionError(f"{key} cannot act; its verbs are {', '.join(info(key).verbs)}.")
    built = make(key, sets, flags)
    lines = ["There is nothing to read."]
    if texts is not None:
        if not texts.is_file():
            raise SourceError(f"--texts {texts}: there is no such file.")
        lines = [line.strip() for line in texts.read_text("utf-8").splitlines() if line.strip()]
        if not lines:
            raise SourceError(f"--texts {texts}: the file holds no text.")
    parts = [line.partition(":") for line in lines]
    named = {t.strip(): b.strip() for t, _, b in parts if b.strip()}
    log = built.act(goal, Texts(named if len(named) == len(lines) else lines), seed=seed)
    rows = log.table().to_pylist()
    say.table(("step", "kind", "text", "by"), [(i, r["kind"], r["text"], r["actor"]) for i, r in enumerate(rows)])
    if out is not None:
        log.write(out)
        say.line(f"written to {out}")
    say.result([{n: r.get(n) for n in ("order", "kind", "text", "actor", "value")} for r in rows])
