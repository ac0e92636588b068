"""Banned accounts of Wikipedia, the accounts of the same people before or after, and what some of them edited."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set
from ethogram.data.wikidiff import change

FOLDERS = ("ban_evasion_pairs", "task1", "task2", "task3a", "task3b")
METAS = (
    *("ban_evasion_pairs/evasion_pairs_meta.csv", "task1/task1_matched_pairs_meta.csv"),
    *("task2/task2_matched_pairs_meta.csv", "task3a/task3a_matched_pairs_meta.csv"),
    "task3b/task3b_matched_pairs_meta.csv",
)
STAMP = pa.timestamp("us", "UTC")


@data_set(
    "ban_evasion",
    what="a sample of accounts that evaded a ban on Wikipedia: 45 pairs, 572 edits of 21 accounts, 40 revisions",
    licence="none stated; published for research by M. Niverthi, G. Verma, S. Kumar (WWW 2022)",
    origin="github.com/srijankr/ban_evasion (final_data)",
    get="put the folders of final_data into ban-evasion/ of the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class BanEvasion:
    """Edits (user, item: the page's title, time, comment, ns, size, sizediff, minor, revision; text and deleted where
    the revision is in the sample), and the accounts as users: account (number), created, blocked, parent, master.

    Rows that contradict themselves are set aside; see `aside`. Pairs with their tasks are told by `pairs`.
    """

    def files(self) -> tuple[Path, ...]:
        return found("ban_evasion", *(f"ban-evasion/{m}" for m in METAS))

    def read(self) -> Reading:
        loaded = self._loaded
        events = pa.Table.from_pylist(loaded.events, _EVENTS)
        roles = {name: name for name in ("user", "item", "time", "text", "kind")}
        return Reading(events, roles, users=pa.Table.from_pylist(list(loaded.users.values()), _USERS))

    def pairs(self) -> pa.Table:
        """Every row of the five lists: `task`, `parent`, `child` (null in task1), `master`, `label`."""
        return pa.Table.from_pylist(self._loaded.pairs, _PAIRS)

    def revisions(self) -> pa.Table:
        """Revision texts: `revision`, `item`, `ns`, `added`, `deleted`."""
        return pa.Table.from_pylist(list(self._loaded.revisions.values()), _REVISIONS)

    def aside(self) -> pa.Table:
        """What was set aside or cannot be used: `file`, `row` (0 for a whole file), `reason`."""
        return pa.Table.from_pylist(self._loaded.aside, _ASIDE)

    @cached_property
    def _loaded(self) -> _Loaded:
        root, made = self.files()[0].parent.parent, _Loaded()
        for path in sorted(p for f in FOLDERS for p in (root / f / "revision_text").glob("*.json")):
            made.revision(path)
        for path in self.files():
            made.meta(path)
        for path in sorted(p for f in FOLDERS for p in (root / f / "user_contribs").glob("*.json")):
            made.contributions(path)
        told = {e["revision"] for e in made.events}
        for number in sorted(set(made.revisions) - told):
            made.leave(f"{number}.json", 0, "revision of no account whose contributions are here")
        return made


def _schema(text: str) -> pa.Schema:
    kinds = {"t": pa.string(), "i": pa.int64(), "b": pa.bool_(), "s": STAMP}
    return pa.schema([(n, kinds[k]) for n, k in (part.split(":") for part in text.split())])


_EVENTS = _schema("user:t item:t time:s text:t deleted:t comment:t ns:i size:i sizediff:i minor:b revision:i kind:t")
_USERS = _schema("user:t account:i created:s blocked:s parent:t master:t")
_PAIRS = _schema("task:t parent:t child:t master:t label:i")
_REVISIONS = _schema("revision:i item:t ns:i added:t deleted:t")
_ASIDE = _schema("file:t row:i reason:t")


@dataclass
class _Loaded:
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    revisions: dict[int, dict[str, Any]] = field(default_factory=dict)
    aside: list[dict[str, Any]] = field(default_factory=list)

    def leave(self, file: str, row: int, reason: str) -> None:
        self.aside.append({"file": file, "row": row, "reason": reason})

    def meta(self, path: Path) -> None:
        """Accounts and pairs of one list."""
        with path.open(encoding="utf-8", newline="") as lines:
            for at, row in enumerate(csv.DictReader(lines), 1):
                sides = [side for side in ("parent", "child") if f"{side}-id" in row]
                accounts = {side: self._account(path, at, row, side) for side in sides}
                if any(a is None for a in accounts.values()):
                    continue
                parent, child = accounts["parent"], accounts.get("child")
                name = child["user"] if child else None
                label = int(row.get("label") or 1)
                task = path.parent.name
                if child and label == 1:
                    wrong = _no_evasion(parent, child, self.users.get(name, {}))
                    if wrong:
                        self.leave(path.name, at, wrong)
                        continue
                    self.users[name]["parent"] = parent["user"]
                    for one in (parent["user"], name):
                        self.users[one]["master"] = row.get("master-username") or self.users[one]["master"]
                told = {"task": task, "parent": parent["user"], "child": name, "master": row.get("master-username")}
                self.pairs.append(told | {"label": label})

    def _account(self, path: Path, at: int, row: dict[str, str], side: str) -> dict[str, Any] | None:
        name = row[f"{side}-username"].strip()
        created, blocked = (_instant(row.get(f"{side}-{what}-time", "")) for what in ("creation", "block"))
        known = self.users.get(name)
        reason = ""
        if not name or not row[f"{side}-id"].isdigit():
            reason = f"{side} without name or number"
        elif not created or blocked is False:
            reason = f"{side} '{name}' without a time that can be read"
        elif blocked and blocked < created:
            reason = f"{side} '{name}' was banned before it was made"
        elif side == "parent" and blocked is None:
            reason = f"parent '{name}' without a time of its ban"
        elif known and (known["account"], known["created"]) != (int(row[f"{side}-id"]), created):
            reason = f"{side} '{name}' is told twice, differently"
        if reason:
            self.leave(path.name, at, reason)
            return None
        made = known or {"user": name, "account": int(row[f"{side}-id"]), "created": created, "blocked": None,
                         "parent": None, "master": None}  # fmt: skip
        made["blocked"] = made["blocked"] or blocked
        self.users[name] = made
        return made

    def contributions(self, path: Path) -> None:
        """Edits of one account."""
        rows = _json(path)
        if not isinstance(rows, list):
            return self.leave(path.name, 0, "no list of contributions")
        if not rows:
            return self.leave(path.name, 0, "the account has no contributions")
        for at, row in enumerate(rows, 1):
            lacking = [n for n in ("user", "revid", "title", "timestamp", "ns") if row.get(n) is None]
            time = None if lacking else _instant(str(row["timestamp"]))
            if lacking or not time:
                self.leave(path.name, at, f"contribution without {', '.join(lacking) or 'a time that can be read'}")
                continue
            held = self.revisions.get(row["revid"], {})
            self.events.append(
                {
                    "user": row["user"], "item": row["title"], "time": time, "text": held.get("added", ""),
                    "deleted": held.get("deleted", ""), "comment": row.get("comment", ""), "ns": row["ns"],
                    "size": row.get("size"), "sizediff": row.get("sizediff"), "minor": "minor" in row,
                    "revision": row["revid"], "kind": "edit",
                }
            )  # fmt: skip
        return None

    def revision(self, path: Path) -> None:
        """What one revision added and deleted; a page that was new was added whole."""
        try:
            page = next(iter(_json(path)["pages"].values()))
            told = page["revisions"][0]
            both = change(told["diff"]["*"]) if "from" in told["diff"] else (told["*"], "")
            made = {"revision": int(told["diff"]["to"]), "item": page["title"], "ns": page["ns"]}
        except (KeyError, TypeError, StopIteration, IndexError, AttributeError):
            return self.leave(path.name, 0, "no revision with its text")
        self.revisions[made["revision"]] = made | {"added": both[0], "deleted": both[1]}
        return None


def _no_evasion(parent: dict[str, Any], child: dict[str, Any], known: dict[str, Any]) -> str:
    if child["created"] <= parent["blocked"]:
        return f"child '{child['user']}' was made before its parent was banned"
    other = known.get("parent")
    return f"child '{child['user']}' has another parent, '{other}'" if other not in (None, parent["user"]) else ""


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _instant(text: str) -> Any:
    """The instant, None for nothing, False for what cannot be read."""
    if not text:
        return None
    try:
        return pc.assume_timezone(pa.array([text.rstrip("Z")]).cast(pa.timestamp("us")), "UTC")[0].as_py()
    except pa.ArrowInvalid:
        return False
