"""The page of a report: one file that opens offline, in light and dark, on a phone and on paper."""

from __future__ import annotations

from importlib import resources
from typing import Any

from ethogram.errors import MissingExtra
from ethogram.evaluate.plots import PALETTE
from ethogram.evaluate.report.html import Html, figure, join, json_script, prose, tag

# The browser itself refuses whatever would leave the file. Vega compiles its expressions, hence unsafe-eval.
_POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
NO_CHARTS = (
    "Pictures are left out: the packages `altair` and `vl-convert-python` are not installed. Tables are complete."
)


class Page:
    """Collects sections and charts, then writes them as one HTML document.

    Parameters
    ----------
    title, subtitle : shown at the top.
    charts : False leaves the pictures out (they are also left out, with a note, where Altair is absent).
    style, script : of parts that have their own, behind the page's.
    """

    def __init__(self, title: str, subtitle: str = "", *, charts: bool = True, style: str = "", script: str = ""):
        self.title = title
        self.subtitle = subtitle
        self.charts = charts and _can_draw()
        self._sections: list[tuple[str, str, Html]] = []
        self._specs: dict[str, Any] = {}
        self._lead: list[str] = []
        self._style, self._script = style, script

    def lead(self, *sentences: str) -> None:
        """What was found, in words; stands above everything."""
        self._lead += [s for s in sentences if s]

    def section(self, identity: str, heading: str, *parts: Html | None) -> None:
        """A section; one without content is left out."""
        content = [p for p in parts if p]
        if content:
            self._sections.append((identity, heading, join(content)))

    def chart(self, identity: str, draw: Any, caption: str, how_to_read: str, *, square: bool = False) -> Html | None:
        """A picture with its words; `draw` is called without arguments, and only where charts can be drawn."""
        if not self.charts:
            return None
        import vl_convert

        spec = {k: v for k, v in draw().to_dict().items() if k != "$schema"}
        drawing = Html(vl_convert.vegalite_to_svg(spec))
        self._specs[f"chart-{identity}"] = spec
        place = tag("div", drawing, id=f"chart-{identity}", class_="chart square" if square else "chart",
                    role="img", aria_label=caption)  # fmt: skip
        return figure(place, caption, how_to_read)

    def html(self) -> str:
        """The whole document."""
        return "<!doctype html>\n" + tag("html", self._head(), self._body(), lang="en")

    def _head(self) -> Html:
        return tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("title", self.title),
            tag("style", Html(_palette() + _file("page.css") + self._style)),
        )

    def _body(self) -> Html:
        links = [tag("li", tag("a", heading, href=f"#{i}")) for i, heading, _ in self._sections]
        sections = [tag("section", tag("h2", heading), content, id=i) for i, heading, content in self._sections]
        return tag(
            "body",
            tag(
                "header",
                tag("h1", self.title),
                tag("p", self.subtitle, class_="sub") if self.subtitle else None,
                tag("div", *(tag("p", prose(s)) for s in self._lead), class_="lead") if self._lead else None,
                tag("nav", tag("ul", *links), aria_label="Contents") if len(links) > 2 else None,
            ),
            tag("main", *sections, None if self.charts else tag("p", prose(NO_CHARTS), class_="note")),
            self._scripts(),
        )

    def _scripts(self) -> Html | None:
        own = tag("script", Html(self._script)) if self._script else None
        if not self._specs:
            return own
        import vl_convert

        bundle: Any = vl_convert.javascript_bundle  # its stub asks for a snippet; without one the result is kept
        scripts = (tag("script", Html(code)) for code in (bundle(), _file("page.js")))
        return join([json_script("charts", self._specs), *scripts, own])


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _palette() -> str:
    light = "".join(f"--{name}:{pair[0]};" for name, pair in PALETTE.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in PALETTE.items())
    return f":root{{color-scheme:light dark;{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _can_draw() -> bool:
    from ethogram.evaluate import plots

    try:
        plots.altair_()
        import vl_convert  # noqa: F401
    except (ImportError, MissingExtra):
        return False
    return True
