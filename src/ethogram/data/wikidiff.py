"""What an edit of a wiki added and deleted, from the table in which MediaWiki shows a difference.

A cell of class ``diff-addedline`` or ``diff-deletedline`` holds a line; what changed inside a line that stands on both
sides is marked by ``<ins>`` and ``<del>``. A line without marks was added (deleted) whole.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

_ROW = re.compile(r"<tr[^>]*>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r'<td class="diff-(added|deleted)line"[^>]*>(.*?)</td>', re.DOTALL)
_MARK = {
    "added": re.compile(r"<ins[^>]*>(.*?)</ins>", re.DOTALL),
    "deleted": re.compile(r"<del[^>]*>(.*?)</del>", re.DOTALL),
}
_TAG = re.compile(r"<[^>]+>")


class Change(NamedTuple):
    """Text that was added and text that was deleted, a line per line changed."""

    added: str
    deleted: str


def change(diff: str) -> Change:
    """Read a difference.

    >>> change('<tr><td class="diff-deletedline"><div>a <del>b</del></div></td>'
    ...        '<td class="diff-addedline"><div>a <ins>c &amp; d</ins></div></td></tr>')
    Change(added='c & d', deleted='b')
    """
    made: dict[str, list[str]] = {"added": [], "deleted": []}
    for row in _ROW.findall(diff):
        cells = _CELL.findall(row)
        both = len(cells) == 2
        for side, cell in cells:
            marked = _MARK[side].findall(cell)
            if marked:
                made[side].append(" ".join(map(_plain, marked)))
            elif not both or not any(m.search(c) for (s, c) in cells for m in (_MARK[s],)):
                made[side].append(_plain(cell))
    return Change(*("\n".join(line for line in made[side] if line) for side in ("added", "deleted")))


def _plain(cell: str) -> str:
    return html.unescape(_TAG.sub("", cell)).strip()
