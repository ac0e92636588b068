"""The page of a replay: one file that opens offline, in light and dark, with everything in it."""

from __future__ import annotations

from importlib import resources

from ethogram.evaluate.plots import PALETTE
from ethogram.evaluate.report.html import Html, json_script, tag
from ethogram.replay.gathering import Gathered

# the browser itself refuses whatever would leave the file
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def page(found: Gathered) -> str:
    """The whole document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"{found.data['run']}: {found.data['title']}"),
        tag("style", Html(_palette() + _file("page.css"))),
    )
    data = json_script("run", {**found.data, "left": found.left})
    scripts = [tag("script", Html(_file(f"{name}.js"))) for name in ("stage", "page")]
    body = tag("body", Html(_file("page.html")), data, *scripts)
    return "<!doctype html>\n" + tag("html", head, body, lang="en")


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _palette() -> str:
    light, dark = ("".join(f"--{name}:{pair[i]};" for name, pair in PALETTE.items()) for i in (0, 1))
    night = "@media screen and (prefers-color-scheme:dark)"
    return f":root{{color-scheme:light dark;{light}}}{night}{{:root{{{dark}}}}}\n"
