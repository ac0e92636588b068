"""What a run is, as its folder says: enough to build its world again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ethogram.errors import OptionError, StateError

NAME = "run.json"
CALLS = "calls.lmrun"
FORMAT = 1


@dataclass(frozen=True)
class Branch:
    """Where a run left another one: at which tick, what was done there, the seed of its luck from there on."""

    at: int
    of: str = ""
    do: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Manifest:
    """See the module.

    Attributes
    ----------
    key, options : the system; options that were not given are absent. seed : of the run.
    minds : people that are played by a model, None for what the system has. lm : where the model is, "scripted" for
        the system's own rules, None for none. recording : file of the calls to it, in the folder.
    branches : forks that led here, the oldest first.
    """

    key: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    minds: int | None = None
    lm: str | None = None
    recording: str = CALLS
    branches: tuple[Branch, ...] = ()

    def write(self, folder: Path) -> None:
        """Into the folder; whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        told = {"format": FORMAT, **{f.name: getattr(self, f.name) for f in fields(self)}}
        told["branches"] = [vars(b) for b in self.branches]
        fresh = folder / f".{NAME}.writing"
        fresh.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(fresh, folder / NAME)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """That of a folder.

        Raises
        ------
        OptionError
            The folder holds no run. StateError: the file is damaged or of a newer version.
        """
        path = folder / NAME
        if not path.is_file():
            what = "there is no such folder" if not folder.is_dir() else f"the folder holds no {NAME}"
            raise OptionError(f"{folder} is no run: {what}; `ethogram simulate KEY --out {folder}` makes one.")
        try:
            told = json.loads(path.read_text("utf-8"))
            if told["format"] != FORMAT:
                raise StateError(f"{path} was written by a newer version (format {told['format']}); update ethogram.")
            branches = tuple(Branch(b["at"], b["of"], tuple(b["do"]), b["seed"]) for b in told["branches"])
            names = [f.name for f in fields(cls) if f.name != "branches"]
            return cls(**{n: told[n] for n in names}, branches=branches)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(f"{path} is damaged ({type(error).__name__}: {str(error)[:100]}).") from None

    def differs(self, other: Manifest) -> str:
        """What another run has otherwise, in words; "" where a run of the one can be continued as the other."""
        for name in ("key", "seed", "minds", "lm", "options"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name} {_shown(mine)}, not {_shown(theirs)}"
        return ""


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{k}={v}" for k, v in value.items()) or "as they come"
    return "none" if value is None else str(value)


def is_run(path: str | Path) -> bool:
    """Whether a folder is one of a run."""
    return (Path(path) / NAME).is_file()
