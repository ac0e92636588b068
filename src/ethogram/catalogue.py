"""Which systems exist: read from generated indices, importing none of them."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethogram.errors import MissingExtra, UnknownName, unknown
from ethogram.options import Option

AREAS = (
    *("rank", "recommend", "risk", "decide", "simulate", "converse", "act", "perceive", "align", "moderate"),
    *("audit", "study"),
)
ENTRY_POINTS = "ethogram.systems"
"""Each entry point names a package that holds a `systems.json` (``python -m ethogram.registry PACKAGE``)."""


@dataclass(frozen=True)
class SystemInfo:
    """What is known of a system without importing it.

    Attributes
    ----------
    verbs : what a program can ask of it (keys of `ethogram.verbs.VERBS`).
    needs : modules beyond the core that it imports. uses : keys of systems that its defaults resolve.
    baseline : a floor or a known method, not one of the published systems that the catalogue counts.
    """

    key: str
    area: str
    paper: str
    year: int
    verbs: tuple[str, ...]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    baseline: bool = False
    module: str = ""
    class_name: str = ""
    summary: str = ""
    options: tuple[Option, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """The modules in `needs` that are not installed."""
        return tuple(n for n in self.needs if importlib.util.find_spec(n) is None)

    def require(self) -> None:
        """Raise MissingExtra, with what to install, if a module in `needs` is not installed."""
        if missing := self.missing():
            raise MissingExtra(f"{self.key} needs {', '.join(missing)}: pip install {_brings(missing[0])}")


def systems(area: str | None = None, verb: str | None = None) -> list[SystemInfo]:
    """All installed systems by area and key, read from the generated indices; no system is imported."""
    if area is not None and area not in AREAS:
        raise UnknownName(unknown("area", area, AREAS))
    known = {v for i in index().values() for v in i.verbs}
    if verb is not None and verb not in known:
        raise UnknownName(unknown("verb", verb, known))
    found = [i for i in index().values() if area in (None, i.area) and (verb is None or verb in i.verbs)]
    return sorted(found, key=lambda i: (AREAS.index(i.area) if i.area in AREAS else len(AREAS), i.key))


@functools.cache
def index() -> Mapping[str, SystemInfo]:
    """All installed systems by key; a third party's index that cannot be read is left out with a warning."""
    found = _read(Path(__file__).with_name("systems.json"))
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.value)
        places = spec.submodule_search_locations if spec else None
        try:
            if not places:
                raise FileNotFoundError(f"no package '{point.value}'")
            found = {**_read(Path(next(iter(places))) / "systems.json"), **found}
        except (OSError, ValueError, TypeError, KeyError) as error:
            warnings.warn(f"systems of '{point.value}' are left out: {error}", stacklevel=2)
    return found


def _read(path: Path) -> dict[str, SystemInfo]:
    rows = json.loads(path.read_text("utf-8"))
    return {r["key"]: info_from_json(r) for r in rows}


def info_from_json(row: Mapping[str, Any]) -> SystemInfo:
    """A row of systems.json as SystemInfo."""
    facts: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in row.items() if n != "class"}
    options = tuple(Option(**{**o, "choices": tuple(o.get("choices", ()))}) for o in row.get("options", ()))
    return SystemInfo(**{**facts, "class_name": row["class"], "options": options})


def _brings(module: str) -> str:
    """What to install for a module: the extra of this package that brings it, else the module's own name."""
    for wanted in importlib.metadata.requires("ethogram") or ():
        found = re.match(r"\s*([\w.-]+).*extra\s*==\s*['\"]([\w-]+)['\"]", wanted)
        # `all` and `dev` bring it too, with everything else
        if found and found[2] not in ("all", "dev") and re.sub(r"[-.]", "_", found[1]).lower() == module.lower():
            return f"'ethogram[{found[2]}]'"
    return module
