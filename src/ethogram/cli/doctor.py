"""``ethogram doctor``: what is installed, what is missing, where things are kept."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from ethogram.cli.output import Json, Output


def doctor(*, json: Json = None) -> None:
    """Show versions, cores, extras, data sets, folders and numeric libraries of this installation."""
    from ethogram import data
    from ethogram.evaluate import machine

    import numpy  # noqa: F401 - so that its BLAS is there to be looked at  # isort: skip

    out = Output(json)
    facts = machine.facts()
    found: dict[str, Any] = {
        "python": sys.executable,
        "versions": machine.versions(),
        "machine": facts,
        "extras": extras(),
        "blas": blas(),
        "data": {name: data.describe(name).here for name in data.names()},
        "folders": {name: {"path": str(p), "writable": writable(p)} for name, p in folders().items()},
        "systems": systems(),
        "language model": language_model(),
    }
    out.facts({"python": found["python"], **found["versions"]})
    out.line()
    out.facts({k: v for k, v in facts.items() if k != "threads"})
    for pool in found["blas"]:
        out.line(f"{pool['api']}: {pool['library']} {pool['version'] or ''}, {pool['threads']} threads")
    out.line()
    out.table(("extra", "installed", "missing"), [(n, not m, m) for n, m in found["extras"].items()])
    out.line()
    out.table(("data set", "here"), list(found["data"].items()))
    out.line()
    out.table(("folder", "writable", ""), [(n, f["writable"], f["path"]) for n, f in found["folders"].items()])
    out.line()
    out.facts({f"local language model: {k}": v for k, v in found["language model"].items()})
    lacking = {k: v for k, v in found["systems"].items() if v}
    out.line(
        f"\n{len(found['systems'])} systems" + (f", {len(lacking)} of them need more: {lacking}" if lacking else "")
    )
    out.result(found)


def extras() -> dict[str, list[str]]:
    """Extra -> its distributions that are not installed."""
    found: dict[str, list[str]] = {}
    for wanted in importlib.metadata.requires("ethogram") or ():
        match = re.match(r"\s*([\w.-]+).*extra\s*==\s*['\"]([\w-]+)['\"]", wanted)
        if match and match[1] != "ethogram":
            missing = found.setdefault(match[2], [])
            try:
                importlib.metadata.version(match[1])
            except importlib.metadata.PackageNotFoundError:
                missing.append(match[1])
    return found


def blas() -> list[dict[str, Any]]:
    """Numeric libraries that are loaded, with their threads."""
    from threadpoolctl import threadpool_info

    return [
        {
            "api": pool["user_api"],
            "library": pool["internal_api"],
            "version": pool.get("version"),
            "threads": pool["num_threads"],
        }
        for pool in threadpool_info()
    ]


def folders() -> dict[str, Path]:
    """Folders that are written to."""
    from ethogram import data

    return {"cache": data.folder(), "working folder": Path.cwd(), "temporary": Path(tempfile.gettempdir())}


def writable(path: Path) -> bool:
    """Whether a folder can be written, or made."""
    while not path.exists() and path.parent != path:
        path = path.parent
    return os.access(path, os.W_OK | os.X_OK)


def language_model() -> dict[str, Any]:
    """What the local language model is and can do; it is not started, so facts are those of the last probe."""
    from ethogram.errors import EthogramError

    try:
        from ethogram.lm import gguf, probe, weights

        path = weights.find()
        head = gguf.check(path)
        facts = probe.kept().get(weights.identity(path))
    except (EthogramError, ImportError) as error:
        return {"here": False, "why": str(error)}
    told: dict[str, Any] = {"here": True, "weights": str(path), "parameters": head.parameters, "context": head.context}
    if facts is None:
        return told | {"can": "not probed yet; run: ethogram lm probe"}
    can = [n for n in ("json_schema", "grammar", "tools", "stream", "seed") if getattr(facts, n)]
    return told | {"can": can, "log-probabilities": f"{facts.top_logprobs} top, given text: {facts.prompt_logprobs}"}


def systems() -> dict[str, list[str]]:
    """System -> modules that it needs and that are missing."""
    from ethogram import catalogue

    return {known.key: list(known.missing()) for known in catalogue.systems()}
