"""The queue: cases by risk times money, each with its reasons, its timeline and a verdict that can be downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.evaluate.report.html import Html, join, tag
from ethogram.evaluate.risk.cases import SESSION_LABEL, Cases
from ethogram.evaluate.risk.page import tables
from ethogram.evaluate.risk.page.strip import strip
from ethogram.evaluate.risk.timeline import timelines
from ethogram.log import Log

EVENTS = 25
"""Latest events of a case that are listed."""
VERDICTS = {"": "no verdict", "bad": "bad", "good": "good", "ask": "ask again"}
TOOLS = (
    ("all", "all"),
    ("declined", "declined"),
    ("approved", "approved"),
    ("open", "no verdict yet"),
)


def queue(cases: Cases, order: np.ndarray, log: Log, threshold: float) -> Html:
    """The cases at these places, as a list that can be searched and filtered; without a script it is whole."""
    shown = cases.table.take(order).to_pylist()
    past = timelines(log, [r["user"] for r in shown], [r.get("session") for r in shown])
    most = float((cases.risk * cases.money)[order].max()) or 1.0
    cards = [
        _case(n + 1, row, cases, int(place), events, threshold, most)
        for n, (row, place, events) in enumerate(zip(shown, order, past, strict=True))
    ]
    buttons = [
        tag("button", words, type="button", data_show=kind, aria_pressed="true" if kind == "all" else "false")
        for kind, words in TOOLS
    ]
    search = tag("input", type="search", id="find", placeholder="User, merchant, reason", aria_label="Find")
    tools = tag(
        "div",
        search,
        tag("div", *buttons, class_="choices", role="group", aria_label="Which cases"),
        tag("button", "Download verdicts", type="button", id="download"),
        class_="tools",
        hidden=True,
    )
    names = {"rank": "", "who": "case", "risk": "risk", "money": "at stake", "loss": "risk × money"}
    heads = tag("div", *(tag("span", words, class_=name) for name, words in names.items()), class_="heads")
    rest = len(cases) - len(order)
    more = tag("p", f"{rest:,} cases with less at stake are not shown.", class_="note") if rest else None
    words = (
        f"Ordered by risk times money ({cases.money_is}). Open a case for its reasons and what was done. A verdict "
        "stays in this browser until it is downloaded."
    )
    count = tag("p", f"{len(order):,} cases", class_="note", id="count", aria_live="polite")
    return join(
        [tag("p", words, class_="note"), tools, count, tag("div", heads, *cards, class_="queue", id="cases"), more]
    )


def _case(
    rank: int,
    row: dict[str, Any],
    cases: Cases,
    place: int,
    events: list[dict[str, Any]],
    threshold: float,
    most: float,
) -> Html:
    risk, money = float(cases.risk[place]), float(cases.money[place])
    declined = risk > threshold
    session = row.get("session")
    who = str(row["user"]) + ("" if session is None else f" · {session}")
    tags = [tag("span", "decline" if declined else "approve", class_="tag warn" if declined else "tag good")]
    if cases.outcome is not None and not np.isnan(cases.label[place]):
        # a label of 0 may mean that nobody has tagged it so far
        good, bad = (
            ("not labelled bad", "labelled bad")
            if cases.outcome == SESSION_LABEL
            else ("turned out good", "turned out bad")
        )
        tags.append(tag("span", bad if cases.label[place] else good, class_="tag"))
    head = tag(
        "summary",
        tag("span", rank, class_="rank"),
        tag("span", tag("b", who), *tags, class_="who"),
        tag("span", tag("span", f"{risk:.1%}"), _meter(risk), class_="risk", title="risk"),
        tag("span", tables.money(money), class_="money", title="money at stake"),
        tag(
            "span",
            tag("b", tables.money(risk * money)),
            _meter(risk * money / most),
            class_="loss",
            title="risk times money",
        ),
        tag("span", row.get("reason") or "No reason in words.", class_="why"),
    )
    reasons = [r for r in row.get("reasons") or () if isinstance(r, dict)]
    marked = {str(r[k]) for r in reasons for k in ("what", "value") if r.get(k) is not None}
    body = tag(
        "div",
        tag("div", tag("h4", "Reasons"), _reasons(reasons), _verdict(row), class_="left"),
        tag(
            "div",
            tag("h4", "What was done"),
            strip(events, [str(r["what"]) for r in reasons]),
            _events(events),
            class_="right",
        ),
        class_="body",
    )
    words = " ".join([who, str(row.get("reason") or ""), *marked, *{str(e.get("item")) for e in events}]).lower()
    return tag(
        "details",
        head,
        body,
        class_="case",
        data_words=words,
        data_kind="declined" if declined else "approved",
        data_user=row["user"],
        data_session=session,
        data_risk=f"{risk:.6g}",
    )


def _meter(value: float) -> Html:
    return tag("i", tag("i", style=f"width:{100 * min(max(value, 0), 1):.1f}%"), class_="meter", aria_hidden="true")


def _reasons(reasons: list[dict[str, Any]]) -> Html:
    if not reasons:
        return tag("p", "The system names none.", class_="note")
    rows = []
    for r in reasons:
        share = r.get("share")
        bar = None
        if share is not None:
            wide = f"width:{100 * min(abs(share), 1):.1f}%"
            bar = tag(
                "i", tag("i", style=wide, class_="less" if share < 0 else None), class_="meter", aria_hidden="true"
            )
        told = None if share is None else tag("span", f"{share:.0%}".replace("-", "−"), class_="share")
        rows.append(tag("li", tag("span", tag("b", r.get("what")), " ", r.get("value"), class_="what"), told, bar))
    return tag("ul", *rows, class_="reasons")


def _verdict(row: dict[str, Any]) -> Html:
    options = [tag("option", words, value=value) for value, words in VERDICTS.items()]
    label = tag("label", "Verdict ", tag("select", *options, aria_label=f"Verdict on {row['user']}"))
    return tag("p", label, class_="verdict", hidden=True)


def _events(events: list[dict[str, Any]]) -> Html | None:
    if not events:
        return tag("p", "No event of this case is in the log.", class_="note")
    latest = events[: -EVENTS - 1 : -1]
    there = [c for c in ("time", "kind", "item", "value", "text") if any(e.get(c) is not None for e in latest)]
    body = [tag("tr", *(_cell(c, e.get(c)) for c in there)) for e in latest]
    head = tag("thead", tag("tr", *(tag("th", c, scope="col", class_="n" if c == "value" else None) for c in there)))
    title = f"Latest {len(latest)} of {len(events):,} events" if len(events) > len(latest) else f"{len(events)} events"
    table = tag("div", tag("table", head, tag("tbody", *body)), class_="scroll", tabindex="0", role="region")
    return tag("details", tag("summary", title), table)


def _cell(name: str, value: Any) -> Html:
    if value is None:
        return tag("td", "–", class_="n" if name == "value" else None)
    if name == "time":
        return tag("td", f"{value:%Y-%m-%d %H:%M}", class_="when")
    if name == "value":
        return tag("td", f"{value:,.2f}", class_="n")
    return tag("td", value)
