"""Where data files lie that have no licence to be packaged: in `ETHOGRAM_DATA`, else beside the project."""

from __future__ import annotations

import os
from pathlib import Path

from ethogram.errors import MissingData

BESIDE = Path("..", "shared", "data")


def roots() -> tuple[Path, ...]:
    """Folders that are looked through, in this order.

    ``ETHOGRAM_DATA`` alone if it is set; else ``../shared/data`` beside the project that this package was
    installed from (if it was) and beside the project of the working folder (the nearest parent with a
    pyproject.toml, else the folder itself).
    """
    if given := os.environ.get("ETHOGRAM_DATA"):
        return (Path(given).expanduser(),)
    here = Path.cwd()
    work = next((p for p in (here, *here.parents) if (p / "pyproject.toml").is_file()), here)
    own = [p for p in Path(__file__).resolve().parents if (p / "pyproject.toml").is_file()][:1]
    return tuple(dict.fromkeys((p / BESIDE).resolve() for p in (work, *own)))


def found(name: str, *members: str) -> tuple[Path, ...]:
    """Paths of the files `members` of data set `name`, all in the first folder that has them.

    Raises
    ------
    MissingData
        No folder has them all; says where it was looked and how to say where they are.
    """
    for root in roots():
        if all((root / m).is_file() for m in members):
            return tuple(root / m for m in members)
    lacking = [m for m in members if not (roots()[0] / m).is_file()]
    raise MissingData(
        f"data set '{name}' is not here: no {', '.join(lacking)} in {' or '.join(map(str, roots()))}. "
        f"Set ETHOGRAM_DATA to the folder that holds {members[0].split('/')[0]}/ "
        f"(ethogram data describe {name} says where it comes from)."
    )
