"""``ethogram show KEY``: one system."""

from __future__ import annotations

from dataclasses import asdict

from ethogram import system as registry
from ethogram.cli.options import shown
from ethogram.cli.output import Json, Output
from ethogram.cli.systems import as_json
from ethogram.options import Option


def show(key: str, /, *, json: Json = None) -> None:
    """Show one system: paper, verbs, options with their defaults.

    Parameters
    ----------
    key
        The system, as in `ethogram systems`.
    """
    out = Output(json)
    known = registry.info(key)
    out.line(f"{known.key}: {known.summary}")
    facts = {"paper": f"{known.paper} ({known.year})" if known.paper else "-", "area": known.area, "verbs": known.verbs}
    if known.needs:
        lacking = known.missing()
        facts["needs"] = ", ".join(f"{n} (not installed)" if n in lacking else n for n in known.needs)
    if known.uses:
        facts["uses"] = known.uses
    if known.baseline:
        facts["baseline"] = True
    out.facts(facts)
    if known.options:
        out.line()
        rows = [
            (f"--{o.name.replace('_', '-')}", o.type, "required" if o.required else shown(o.default), _doc(o))
            for o in known.options
        ]
        out.table(("option", "type", "default", ""), rows)
    out.result({**as_json(known), "options": [asdict(o) for o in known.options]})


def _doc(option: Option) -> str:
    """What an option means, and where `ethogram tune` looks."""
    space = option.space
    if space is None:
        return option.doc
    if "among" in space:
        return f"{option.doc} [tuned among {', '.join(shown(v) for v in space['among'])}]"
    ratio = ", by ratio" if space["log"] else ""
    return f"{option.doc} [tuned from {shown(space['low'])} to {shown(space['high'])}{ratio}]"
