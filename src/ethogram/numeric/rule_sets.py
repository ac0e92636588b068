"""Rules on disk: what `ethogram risk clusters --rules FILE` writes and `ethogram serve --rules FILE` reads.

    {"format": 1, "system": KEY, "clusters": [{"cluster": "3", "narrative": "...", "rules": JSONLOGIC}, ...],
     "columns": {"steps of group 3": "what it counts", ...}}

JSONLOGIC is that of `rule_formats`, so that other rule engines read it too; `columns`, which may be absent, says what
those columns are that the log itself does not have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ethogram.errors import OptionError
from ethogram.numeric.rule_formats import json_logic, read_json_logic
from ethogram.numeric.rules import Rule

FORMAT = 1


def written(
    system: str, clusters: Sequence[tuple[str, str, Sequence[Rule]]], columns: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """(cluster, narrative, rules) of each as the content of the file."""
    told = [{"cluster": c, "narrative": said, "rules": json_logic(rules)} for c, said, rules in clusters]
    return {"format": FORMAT, "system": system, "clusters": told, "columns": dict(columns or {})}


def read(path: Path) -> tuple[str, list[tuple[str, Rule]]]:
    """(key of the system, (cluster, rule) of each rule) in a file.

    Raises
    ------
    OptionError
        It is no such file.
    """
    try:
        held = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"rules {path}: it cannot be read ({error}).") from None
    if not isinstance(held, Mapping) or held.get("format") != FORMAT or not isinstance(held.get("clusters"), list):
        raise OptionError(f"rules {path}: no file that `ethogram risk clusters --rules` wrote.")
    found = []
    for n, one in enumerate(held["clusters"]):
        if not isinstance(one, Mapping) or not {"cluster", "rules"} <= set(one):
            raise OptionError(f"rules {path}: entry {n} has no `cluster` or no `rules`.")
        try:
            found += [(str(one["cluster"]), rule) for rule in read_json_logic(one["rules"])]
        except OptionError as error:
            raise OptionError(f"rules {path}: cluster {one['cluster']}: {error}") from None
    return str(held.get("system", "")), found
