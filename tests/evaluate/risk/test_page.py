"""The case report: everything in it, nothing from elsewhere, and no data that could become code."""

import re
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pytest
from tests.evaluate.test_report import Reader
from tests.risky import LenderShare, payments

from ethogram.errors import OptionError
from ethogram.evaluate.risk import cases_of, judge
from ethogram.evaluate.risk.page import risk_report

EVIL = "<img src=x onerror=alert(1)>\"'</script>"
CARDS = pa.table(
    {
        "cluster": [3, 1], "size": [48, 20], "tag_rate": [0.25, 0.0], "tag_low": [0.14, 0.0], "tag_high": [0.38, 0.1],
        "lift": [12.8, 0.0], "at_risk": [1882.0, 7.0], "flagged": [True, False],
        "rules": pa.array([[f"device is {EVIL}"], []], pa.list_(pa.string())), "narrative": [f"48 of {EVIL}", None],
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(page, cases of the test window, judgement) of a log in which a merchant has an evil name."""
    log = payments(300, seed=2, unfair=0.2, evil=EVIL)
    judged = LenderShare().fit(payments(300, seed=1)).assess(log)
    place = judged.column_names.index("reason")
    evil = judged.set_column(place, "reason", pa.array([f"{EVIL} {r}" for r in judged["reason"].to_pylist()]))
    cases = cases_of(log, evil)
    early = cases.time < np.median(cases.time)
    valid, test = cases.take(early), cases.take(~early)
    told = judge(valid, test, resamples=50)
    path = risk_report(
        tmp_path_factory.mktemp("page") / "deep" / "report.html", told, valid, test, log, title=f"Cases {EVIL}",
        subtitle=EVIL, words=EVIL, cards=CARDS, limit=9, notes=[EVIL], machine={"system": EVIL},
    )  # fmt: skip
    return path, test, told


@pytest.fixture(scope="module")
def page(written):
    return written[0].read_text("utf-8")


def test_nothing_that_came_with_the_data_is_markup(page):
    outside = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert "<img" not in outside
    assert "onerror=alert(1)&gt;" in page
    found = Reader(page)
    assert {name for name, _ in found.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "h4", "p", "div", "nav", "ul"),
        *("li", "a", "main", "section", "details", "summary", "span", "b", "i", "input", "button", "label", "select"),
        *("option", "svg", "line", "table", "caption", "thead", "tbody", "tr", "th", "td", "small", "dl", "dd", "dt"),
        *("article", "code", "script", "figure", "figcaption", "strong", "footer", "g", "path", "text", "rect", "defs"),
        *("clippath", "desc"),
    }
    assert not any(k.startswith("on") for _, attributes in found.tags for k in attributes)
    assert "default-src &#x27;none&#x27;" in page
    assert not re.search(r'(src|href)="(?!#)|@import|url\(', outside)


def test_the_queue_is_ordered_by_risk_times_money(page, written):
    _, test, told = written
    found = Reader(page)
    cases = [a for name, a in found.tags if name == "details" and a.get("class") == "case"]
    order = np.argsort(-test.risk * test.money, kind="stable")[:9]
    assert [c["data-user"] for c in cases] == [test.users[int(n)].as_py() for n in order]
    kinds = ["declined" if test.risk[n] > told.threshold else "approved" for n in order]
    assert [c["data-kind"] for c in cases] == kinds
    words = found.words()
    assert f"{len(test) - 9:,} cases with less at stake are not shown." in words
    assert "share of payments to lenders" in words
    assert words.count("What was done") == 9


def test_everything_that_was_found_is_told(page, written):
    _, test, told = written
    words = Reader(page).words()
    assert f"{len(test) - told.test.approved} of {len(test)} cases lie above the threshold" in words
    for heading in ("Queue", "Clusters", "Threshold", "Costs", "Drift since the validation window", "Groups"):
        assert heading in words
    for note in told.notes:
        assert note in words
    assert any(w in words for ws in told.groups["warnings"].to_pylist() for w in ws)
    assert "1 of 2 clusters are flagged." in words
    assert "tagged (14.0%–38.0%)" in words
    for chart in ("risks", "trade-off", "cost", "cost-curve", "calibration"):
        assert f'id="chart-{chart}"' in page


def test_a_page_without_outcomes_or_pictures(tmp_path):
    log = payments(80, seed=2)
    cases = cases_of(log, LenderShare().fit(payments(200, seed=1)).assess(log))
    from dataclasses import replace

    blank = replace(cases, label=np.full(80, np.nan), outcome=None, group=None)
    told = judge(blank, blank)
    path = risk_report(tmp_path / "r.html", told, blank, blank, log, charts=False, limit=200)
    words = Reader(path.read_text()).words()
    assert "No outcome is known of any case" in words
    assert "Costs" not in words
    assert "not shown" not in words
    with pytest.raises(OptionError, match="0 cases"):
        risk_report(tmp_path / "r.html", told, blank, blank, log, limit=0)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser here")
def test_the_script_runs_in_a_browser(written, tmp_path):
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--dump-dom",
    ]
    done = subprocess.run([*command, f"file://{written[0]}"], capture_output=True, text=True, timeout=60)
    assert ">9 of 9 cases<" in done.stdout  # the script counted them, and showed its tools
    assert re.search(r'<div class="tools">', done.stdout)
    assert "vega-embed" in done.stdout


def test_a_strip_marks_what_the_first_reason_names():
    from datetime import UTC, datetime

    from ethogram.evaluate.risk.page.strip import strip

    def event(day, item, value):
        return {"time": datetime(2024, 3, day, tzinfo=UTC), "item": item, "category": "shop", "value": value}

    events = [event(1, "rent", 400.0), event(2, "lender 3", 100.0), event(9, "lender 3", 25.0)]
    drawn = strip(events, ["mean payment", "Lender 3 (cash loan)", "rent"])
    assert drawn.count('class="hit"') == 2
    assert "Lender 3 (cash loan)</p>" in drawn
    highs = [float(v) for v in re.findall(r'y2="([\d.]+)"', drawn)[1:]]  # rent first, as marked ones lie above
    top = [72 - 4 - h for h in highs]
    assert top[1] / top[0] == pytest.approx(0.5, abs=0.01)  # the root of a quarter
    assert top[2] / top[0] == pytest.approx(0.25, abs=0.01)
    assert "2024-03-01" in drawn
    assert strip(events, []).count("hit") == 0
    assert strip([], ["rent"]) is None
    assert strip([{"item": "a", "value": None}], []).count("<line") == 2
