"""HTML that cannot be broken by data: text is escaped unless this module made it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Html", "figure", "join", "json_script", "prose", "table", "tag"]

_VOID = {"br", "hr", "meta", "link", "col"}


class Html(str):
    """Markup that is already safe; every other string is escaped when it enters a tag."""

    __slots__ = ()


def text(value: Any) -> Html:
    """Any value as safe text."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def join(parts: Iterable[Any], between: str = "") -> Html:
    """Parts one after another, each escaped unless it is `Html`; None is left out."""
    return Html(html.escape(between).join(text(p) for p in parts if p is not None))


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """One element.

    >>> tag("td", "<b> & co", class_="n")
    '<td class="n">&lt;b&gt; &amp; co</td>'
    """
    pairs = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            pairs.append(f" {key}")
        elif value is not None and value is not False:
            pairs.append(f' {key}="{html.escape(str(value), quote=True)}"')
    opening = f"<{name}{''.join(pairs)}>"
    return Html(opening if name in _VOID else f"{opening}{join(children)}</{name}>")


def prose(words: str) -> Html:
    """Words with `code` in backquotes; everything else is plain text."""
    parts = re.split(r"`([^`]*)`", words)
    return join(tag("code", p) if i % 2 else p for i, p in enumerate(parts))


def table(
    head: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    numbers: Sequence[int] = (),
    marked: Sequence[int] = (),
    caption: str | None = None,
    kinds: Sequence[str] | None = None,
    wide: bool = False,
) -> Html:
    """A table in a box that scrolls sideways where it is too wide.

    Parameters
    ----------
    numbers : columns with aligned digits. marked : rows to emphasise. kinds : a class per row.
    wide : may stand out over the text on both sides.
    """

    def cells(name: str, row: Sequence[Any]) -> list[Html]:
        made = []
        for i, value in enumerate(row):
            first = name == "td" and i == 0
            made.append(
                tag("th" if first else name, value, class_="n" if i in numbers else None,
                    scope="row" if first else ("col" if name == "th" else None))
            )  # fmt: skip
        return made

    body = []
    for i, row in enumerate(rows):
        classes = [*(["best"] if i in marked else []), *([kinds[i]] if kinds and kinds[i] else [])]
        body.append(tag("tr", *cells("td", row), class_=" ".join(classes) or None))
    made = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", *cells("th", head))) if any(head) else None,
        tag("tbody", *body),
    )
    return tag(
        "div",
        made,
        class_="scroll wide" if wide else "scroll",
        tabindex="0",
        role="region",
        aria_label=caption or "table",
    )


def figure(picture: Any, caption: str, how_to_read: str) -> Html:
    """A picture with a title and the words that say how to read it."""
    words = tag("figcaption", tag("strong", caption), " ", prose(how_to_read))
    return tag("figure", words, picture)


def json_script(identity: str, value: Any) -> Html:
    """Data for a script as an inert element: no content of it can close the element or start another."""
    dumped = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    safe = dumped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Html(f'<script type="application/json" id="{html.escape(identity, quote=True)}">{safe}</script>')
