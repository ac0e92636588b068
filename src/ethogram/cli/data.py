"""``ethogram data``: the named data sets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ethogram.cli.opening import describes
from ethogram.cli.options import Set, read, shown
from ethogram.cli.output import Json, Output
from ethogram.errors import LogFormatError


def ls_(*, json: Json = None) -> None:
    """List the data sets, and which are on this machine."""
    from ethogram import data

    out = Output(json)
    found = [data.describe(name) for name in data.names()]
    out.table(("data set", "here", "what it holds"), [(d.name, d.here, d.what) for d in found])
    out.result([{"name": d.name, "here": d.here, "what": d.what, "licence": d.licence} for d in found])


def describe_(name: str, /, *, json: Json = None) -> None:
    """Say what a data set holds, its licence, where it comes from, how to get it, and its options.

    Parameters
    ----------
    name
        The data set, as in `ethogram data ls`.
    """
    from ethogram import data

    out = Output(json)
    found = data.describe(name)
    facts = {"what": found.what, "licence": found.licence, "origin": found.origin, "get": found.get, "here": found.here}
    out.line(found.name)
    out.facts({**facts, **({"missing": found.missing} if found.missing else {})})
    if found.documentation:
        out.line(f"\n{found.documentation.strip()}")
    if found.options:
        out.line()
        out.table(
            ("option", "type", "default", ""),
            [(o.name, o.type, "required" if o.required else shown(o.default), o.doc) for o in found.options],
        )
    out.result({"name": found.name, **facts, "missing": found.missing, "options": [asdict(o) for o in found.options]})


def get_(name: str, /, *, out: Path | None = None, sets: Set = (), json: Json = None) -> None:
    """Load a data set into the cache, or write it as a log.

    Parameters
    ----------
    name
        The data set, as in `ethogram data ls`.
    out
        A folder to write it to as a log.
    """
    from ethogram import data

    say = Output(json)
    cls = data.find(name)
    given = read(name, cls, sets)
    if out is not None and (out / "log.toml").exists():
        raise LogFormatError(f"{out} is a log already; choose another folder.")
    log = data.load(name, **given)
    if out is not None:
        log = log.write(out)
    say.line(f"{name}: {describes(log)}" + (f" written to {out}" if out else ", in the cache"))
    say.result({"name": name, "path": str(out) if out else None, **log.describe()})
