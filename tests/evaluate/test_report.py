import json
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from tests.evaluate.taste import Taster, world

from ethogram.errors import OptionError
from ethogram.evaluate import compare, run
from ethogram.evaluate.report import Row, Task, report
from ethogram.evaluate.report.html import Html, json_script, prose, table, tag
from ethogram.evaluate.report.page import NO_CHARTS, Page

EVIL = "<script>alert('x')</script>"


class Reader(HTMLParser):
    """Tags with attributes, and the text outside scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._inside = [], [], []
        self.feed(page)

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        if name in ("script", "style", "title"):
            self._inside.append(name)

    def handle_endtag(self, name):
        if self._inside and self._inside[-1] == name:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.text.append(data)

    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def records():
    log = world(users=60)
    made = [run(Taster(name="sdim", noise=0.2), log, task="slates", seed=s, data="world") for s in (0, 1)]
    made.append(run(Taster(name="item rates", noise=1.5), log, task="slates", data="world"))
    for name, knows in (("sasrec", True), ("popularity", False)):
        made.append(run(Taster(name=name, knows=knows), log, "leave-last-out", task="next", data="world"))
    return made


LABELS = {
    "Taster (name=sdim, noise=0.2)": "sdim",
    "Taster (name=item rates, noise=1.5)": "item rates",
    "Taster (knows=True, name=sasrec)": "sasrec",
    "Taster (knows=False, name=popularity)": "popularity",
}


@pytest.fixture(scope="module")
def page(records, tmp_path_factory):
    log = world(users=60)
    answers = pa.table(
        {"question": [0, 0, 1], "user": ["1228", "1228", None], "item": [2, 1, 3], "score": [0.2, 0.3, 0.1],
         "rank": [2, 1, 1]}
    )  # fmt: skip
    why = pa.table({"question": [0, 0, 0], "candidate": [1, 1, 1], "item": [7, 8, 7], "share": [0.2, 0.3, 0.25]})
    path = report(
        records,
        tmp_path_factory.mktemp("report") / "deep" / "report.html",
        title=f"A world {EVIL}",
        subtitle="measured & told",
        log_description={**log.describe(), "events": 1_469_307},
        lengths=log.sequences().lengths,
        floors=("item rates", "popularity"),
        labels=LABELS,
        curves={"sdim": [{"epoch": e, "loss": 1 / e} for e in range(1, 5)], "nobody": [{"epoch": 1, "loss": 1.0}]},
        recommendations=answers,
        reasons=why,
        words={1: f"milk {EVIL}", 2: "bread", 7: "butter", 8: "jam"},
        people=[{"title": "Household 1228", "note": "two adults", "recent": ["tea", EVIL]}],
        claims=[
            {
                "key": "sdim",
                "claims": [
                    {
                        "text": "beats it",
                        "measured": 0.02134,
                        "threshold": 0.01,
                        "verdict": "holds",
                        "why": "because",
                    },
                    {"text": "fast", "measured": None, "threshold": 8, "verdict": "not measurable", "why": "no data"},
                ],
            }
        ],
        limits=["`Displayed` is not seen."],
    )
    return path.read_text("utf-8")


def test_page_loads_nothing_from_anywhere(page):
    found = Reader(page)
    for name, attributes in found.tags:
        assert name not in ("link", "iframe", "object", "embed", "img", "base")
        for attribute in ("src", "srcset", "data", "action", "poster", "background"):
            assert attribute not in attributes, (name, attributes)
        if "href" in attributes:
            assert attributes["href"].startswith("#")
    styles = " ".join(re.findall(r"<style>(.*?)</style>", page, re.S))
    assert "url(" not in styles
    assert "@import" not in styles
    policy = next(a["content"] for n, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_charts_carry_their_data_and_no_address(page):
    specs = json.loads(re.search(r'<script type="application/json" id="charts">(.*?)</script>', page, re.S)[1])
    assert set(specs) == {
        *("chart-lengths", "chart-slates-1-forest", "chart-slates-1-cost", "chart-slates-1-calibration"),
        *("chart-slates-1-learning-loss", "chart-next-2-forest", "chart-next-2-cost", "chart-next-2-repeat"),
    }
    assert "http" not in json.dumps(specs)
    assert {name for name, a in Reader(page).tags if a.get("id") in specs} == {"div"}


def test_every_picture_is_drawn_before_any_script_runs(page):
    specs = json.loads(re.search(r'id="charts">(.*?)</script>', page, re.S)[1])
    for name in specs:
        after = page.split(f'id="{name}"')[1]
        assert after.split(">", 1)[1].startswith("<svg")


def test_data_cannot_become_markup(page):
    found = Reader(page)
    assert sum(name == "script" for name, _ in found.tags) == 3  # the charts' data, Vega, and what joins them
    assert EVIL not in page
    assert "alert('x')" in found.words()  # it is shown, as text
    specs = re.search(r'id="charts">(.*?)</script>', page, re.S)[1]
    assert "<" not in specs


def test_sections_stand_in_order_and_are_linked(page):
    found = Reader(page)
    sections = [a["id"] for n, a in found.tags if n == "section"]
    assert sections == ["data", "slates-1", "next-2", "recommendations", "claims", "limits", "machine"]
    assert [a["href"] for n, a in found.tags if n == "a"] == [f"#{s}" for s in sections]


def test_findings_name_the_first_and_the_best_floor(page):
    words = Reader(page).words()
    assert "Will they respond? sdim is first with group AUC" in words
    assert "the best floor, item rates, has" in words


def test_tables_hold_the_records_figures(page, records):
    words = Reader(page).words()
    mean = np.mean([r.metrics["gauc"] for r in records[:2]])
    assert f"sdim 2 seeds {mean:.4f}" in words
    assert "item rates floor" in words
    low, high = records[4].intervals["ndcg@10"]
    assert f"{low:.4f}–{high:.4f}" in words
    assert "1,469,307 events" in words
    assert "Split: leave-last-out." in words


def test_recommendations_come_in_order_of_rank_with_reasons_in_words(page):
    words = Reader(page).words()
    cards = words[words.index("Household 1228") :]
    assert cards.index("milk") < cards.index("bread")
    assert "because of butter (45%), jam (30%)" in cards  # two rows about butter are one reason
    assert "A stranger" in cards


def test_claims_limits_and_machine_are_told(page):
    words = Reader(page).words()
    assert "beats it 0.02134 0.01 holds because" in words
    assert "fast – 8 not measurable no data" in words
    assert "Displayed is not seen." in words
    assert "takes an experiment" in words
    assert "processor" in words
    assert "numpy" in words


def test_a_comparison_is_a_report_too(records, tmp_path):
    found = compare(records[:3], metrics=["auc", "gauc"])
    path = report(found, tmp_path / "r.html", title="Compared", charts=False)
    words = Reader(path.read_text("utf-8")).words()
    assert "Taster (name=sdim, noise=0.2) 2 seeds" in words
    assert f"{found.row('Taster (name=item rates, noise=1.5)', 'gauc')['difference']:+.4f}".replace("-", "−") in words


def test_without_charts_the_tables_stand_and_a_note_says_so(records, tmp_path, monkeypatch):
    path = report(records, tmp_path / "r.html", title="Plain", charts=False)
    page = path.read_text("utf-8")
    assert "<script" not in page
    assert Reader(prose(NO_CHARTS)).words() in Reader(page).words()

    def absent():
        raise ImportError("altair")

    monkeypatch.setattr("ethogram.evaluate.plots.altair_", absent)
    assert Page("x").charts is False


def test_equal_records_make_equal_pages(records, tmp_path):
    one = report(records, tmp_path / "a.html", title="x").read_bytes()
    two = report(records, tmp_path / "b.html", title="x").read_bytes()
    assert one == two


def test_nothing_to_report_is_an_error(tmp_path):
    with pytest.raises(OptionError, match="no records"):
        report([], tmp_path / "r.html", title="x")


def test_labels_that_merge_arms_are_refused(records, tmp_path):
    with pytest.raises(OptionError, match="one name"):
        report(records, tmp_path / "r.html", title="x", labels=dict.fromkeys(LABELS, "same"), charts=False)


# -- rows -----------------------------------------------------------------------------------------------------------


def task(**rows):
    made = [Row(name, {"ndcg@10": v, "logloss": 1 - v}, floor=name.startswith("f")) for name, v in rows.items()]
    return Task("t", "Next", "", "ndcg@10", made, "f1")


def test_a_system_below_the_best_floor_is_marked():
    found = task(f1=0.2, f2=0.1, sasrec=0.15)
    assert [r.label for r in found.ranked()] == ["f1", "sasrec", "f2"]
    assert found.best_floor().label == "f1"
    assert found.is_below(found.rows[2], found.best_floor())
    assert found.found() == "Next: f1 is first with NDCG@10 0.2000: no trained system beats it."


def test_lower_is_better_for_losses():
    found = Task("t", "T", "", "logloss", task(a=0.2, b=0.3).rows)
    assert [r.label for r in found.ranked()] == ["b", "a"]


def test_rows_without_the_metric_come_last():
    rows = [Row("x", {}), Row("y", {"auc": 0.5})]
    assert [r.label for r in Task("t", "T", "", "auc", rows).ranked()] == ["y", "x"]


# -- markup ---------------------------------------------------------------------------------------------------------


def test_tags_escape_text_and_attributes():
    assert tag("a", EVIL, title='"><b>') == (
        '<a title="&quot;&gt;&lt;b&gt;">&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;</a>'
    )
    assert tag("p", Html("<b>made here</b>"), None) == "<p><b>made here</b></p>"
    assert prose("a `b<c` d") == "a <code>b&lt;c</code> d"


def test_tables_mark_numbers_and_row_heads():
    made = table(["a", "b"], [["x", 1]], numbers=[1])
    assert '<th scope="row">x</th><td class="n">1</td>' in made


def test_inert_data_cannot_close_its_element():
    made = json_script("d", {"x": "</script><script>"})
    assert made.count("<") == 2
    inner = made[made.index(">") + 1 : made.rindex("<")]
    assert json.loads(inner) == {"x": "</script><script>"}


def test_what_speaks_against_is_told_and_deletions_have_their_table():
    from ethogram.evaluate.bootstrap import Difference
    from ethogram.evaluate.deleting import Deletion
    from ethogram.evaluate.report import sections
    from ethogram.evaluate.report.advice import cards

    asked = pa.table({"question": [0], "user": ["u"], "item": ["milk"], "score": [0.5], "rank": [1]})
    shares = {"item": ["tea", "rum", "jam"], "share": [-0.5, 0.3, 0.2]}
    why = pa.table({"question": [0] * 3, "candidate": ["milk"] * 3, **shares, "rank": [1, 2, 3]})
    said = cards(asked, why)[0]["items"][0]["why"]
    assert said == "because of rum (30%), jam (20%), in spite of tea (50%)"
    found = Deletion("din", 3, 1_500, 70, 0.25, 0.0625, Difference(0.1875, 0.1, 0.3, 0.001), True, pa.table({}))
    told = sections.deletions([found])
    for cell in ("din", "0.2500", "0.0625", "+0.1875", "+0.1000", "+0.3000", "1,500"):
        assert f">{cell}<" in told
    assert "How far the log odds moves" in told
    assert sections.deletions([]) is None
