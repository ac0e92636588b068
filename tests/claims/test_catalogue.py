from ethogram.catalogue import SystemInfo
from ethogram.claims.catalogue import catalogue, write

SYSTEMS = [
    SystemInfo("din", "rank", "Deep Interest | Network", 2018, ("score", "explain"), summary="Ranks candidates"),
    SystemInfo("popularity", "recommend", "none", 2000, ("recommend",), baseline=True, summary="Most bought"),
    SystemInfo("sasrec", "recommend", "Self-Attentive", 2018, ("recommend",), summary="Next items"),
]
RESULTS = {"din": {"claims": [{"outcomes": [{"verdict": "holds"}, {"verdict": "fails"}, {"verdict": "holds"}]}]}}


def test_systems_stand_by_area_with_what_their_claims_came_to():
    page = catalogue(SYSTEMS, RESULTS)
    assert "Published systems: 2. Floors and other baselines: 1." in page
    assert page.index("## rank:") < page.index("## recommend:")
    assert page.index("`sasrec`") < page.index("`popularity`")
    assert (
        "| `din` | Ranks candidates | Deep Interest \\| Network (2018) | score, explain |"
        " [holds 2, fails 1](results/README.md#din) |"
    ) in page
    assert "| `sasrec` | Next items | Self-Attentive (2018) | recommend | not measured |" in page
    assert "| recommend | baseline |" in page


def test_pages_are_written_from_the_index_and_the_results(tmp_path):
    pages = write(tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in pages] == ["catalogue.md", "results/README.md"]
    assert "`popularity`" in pages[0].read_text("utf-8")
    once = [p.read_bytes() for p in pages]
    assert [p.read_bytes() for p in write(tmp_path)] == once
