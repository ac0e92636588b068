"""Write the index of systems: ``python -m ethogram.registry`` (`make index`), or with the name of another package.

Every module of the package's areas is imported, its declared systems are collected, and `systems.json` is
written beside the package's `__init__.py`. Nothing else imports all systems.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ethogram import options
from ethogram.catalogue import AREAS, SystemInfo
from ethogram.errors import OptionError, UnknownName


def modules(package: str = "ethogram") -> Iterator[str]:
    """Names of the modules that may declare systems: those in the areas; of another package, all."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UnknownName(f"no installed package '{package}'.")
    if package == "ethogram":
        yield "ethogram.pipeline"
    for found in pkgutil.walk_packages(spec.submodule_search_locations, f"{package}."):
        inside = found.name.removeprefix(f"{package}.").split(".")
        if (package != "ethogram" or (inside[0] in AREAS and len(inside) > 1)) and inside[-1] != "__main__":
            yield found.name


def collect(package: str = "ethogram") -> list[dict[str, Any]]:
    """Rows of systems.json, in order of area and key.

    Raises
    ------
    OptionError
        A default that JSON cannot hold, or `uses` that differs from the systems that the defaults name.
    """
    found: dict[str, type] = {}
    for name in modules(package):
        for value in vars(importlib.import_module(name)).values():
            known = getattr(value, "info", None)
            # only where it is defined, so that a re-export counts once
            if isinstance(value, type) and isinstance(known, SystemInfo) and known.module == name:
                found[known.key] = value
    order = sorted(found, key=lambda k: (AREAS.index(_info(found[k]).area), k))
    return [row(found[key]) for key in order]


def row(cls: type) -> dict[str, Any]:
    """One system as systems.json has it."""
    known = _info(cls)
    resolved = sorted({o.default for o in options.table(cls) if _names_system(cls, o)})
    if resolved != sorted(known.uses):
        raise OptionError(f"{known.key}: uses={sorted(known.uses)} but its defaults name {resolved}.")
    return {
        "key": known.key,
        "area": known.area,
        "paper": known.paper,
        "year": known.year,
        "verbs": list(known.verbs),
        "uses": list(known.uses),
        "needs": list(known.needs),
        "baseline": known.baseline,
        "module": known.module,
        "class": known.class_name,
        "summary": _summary(sys.modules[cls.__module__].__doc__ or ""),
        "options": [_option(known.key, o) for o in options.table(cls)],
    }


def path(package: str = "ethogram") -> Path:
    """Where a package's index lies."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / "systems.json"


def text(package: str = "ethogram") -> str:
    """The index as it is written, one system per block."""
    return json.dumps(collect(package), indent=1, ensure_ascii=False) + "\n"


def _summary(doc: str) -> str:
    """The first sentence of a module's docstring, on one line.

    >>> _summary("Recommends what everybody\\ntakes. The first floor.")
    'Recommends what everybody takes'
    """
    paragraph = " ".join(doc.strip().split("\n\n", 1)[0].split())
    return paragraph.split(". ", 1)[0].rstrip(".")


def _info(cls: Any) -> SystemInfo:
    known: SystemInfo = cls.info
    return known


def _names_system(cls: type, option: options.Option) -> bool:
    annotation = options.hints(cls)[option.name]
    return isinstance(option.default, str) and options.verb(annotation) is not None


def _option(key: str, option: options.Option) -> dict[str, Any]:
    made: dict[str, Any] = {"name": option.name, "type": option.type}
    if option.required:
        made["required"] = True
    else:
        made["default"] = list(option.default) if isinstance(option.default, tuple) else option.default
    if option.choices:
        made["choices"] = list(option.choices)
    if option.space is not None:
        made["space"] = dict(option.space)
    made["doc"] = option.doc
    try:
        return dict(json.loads(json.dumps(made)))
    except TypeError:
        raise OptionError(f"{key}: the default of option '{option.name}' is not plain JSON.") from None


def main(arguments: list[str]) -> int:
    package = arguments[0] if arguments else "ethogram"
    place = path(package)
    written = text(package)
    place.write_text(written, "utf-8")
    print(f"{place}: {len(json.loads(written))} systems")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
