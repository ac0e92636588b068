"""Pages of the site that are generated elsewhere in the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"benchmarks.md": "benchmarks/results/README.md"}


def on_files(files: Any, config: Any) -> Any:
    for name, source in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    return files
