import json
import math

import pytest
from tests.evaluate.taste import FITS, Taster, world

from ethogram.claims import Gap, Grid, Law, Laws, NotMeasurable, claim, measure, read_results, run, write_results
from ethogram.claims.results import told, verdicts
from ethogram.errors import MissingExtra, OptionError, StateError, UnknownName
from ethogram.evaluate.bench import Bench
from ethogram.evaluate.record import RecordStore


@claim("tasteful", "Knows what people like")
def quality(bench):
    arms = {"knows": Taster(name="knows"), "guesses": Taster(name="guesses", knows=False)}
    return Grid(arms=arms, data=[("taste", world)], metric="auc", seeds=2, holds=[Gap("knows", "guesses") >= 0.05])


@claim("tasteful", "Keeps its laws")
def laws(bench):
    def impossible(bench):
        raise NotMeasurable("it takes a second machine.")

    return Laws(Law("error", lambda bench: 0.02, "<=", 0.01), Law("far", impossible, ">=", 1.0))


@claim("faulty", "Falls over")
def faulty(bench):
    return Law("x", lambda bench: 1 / 0, "<=", 1.0)


@claim("faulty", "Stands")
def standing(bench):
    return Law("x", lambda bench: 0.0, "<=", 1.0)


def make_bench(store=None, quick=False):
    FITS.clear()
    return Bench(None, None, lambda name: world(users=20), store, quick)


def test_measuring_gives_the_agreed_summary():
    found = measure("tasteful", make_bench()).summary()
    assert list(found) == ["key", "mode", "claims", "seconds", "peak_mb"]
    assert (found["key"], found["mode"]) == ("tasteful", "full")
    assert [list(c) for c in found["claims"]] == [["text", "measured", "threshold", "verdict", "why"]] * 3
    assert [c["verdict"] for c in found["claims"]] == ["holds", "fails", "not measurable"]
    assert found["claims"][0]["text"] == "Knows what people like: auc on taste: knows − guesses ≥ 0.05"
    assert found["claims"][1]["measured"] == 0.02
    json.dumps(found, allow_nan=False)


def test_quick_measuring_only_ran():
    found = measure("tasteful", make_bench(quick=True)).summary()
    assert found["mode"] == "quick"
    assert [c["verdict"] for c in found["claims"]] == ["ran", "ran", "not measurable"]
    assert FITS == [("knows", 0), ("guesses", 0)]


def test_a_fault_fails_its_claim_and_the_others_go_on(caplog):
    found = measure("faulty", make_bench()).summary()["claims"]
    assert [c["verdict"] for c in found] == ["fails", "holds"]
    assert found[0]["why"].startswith("stopped by ZeroDivisionError at test_running.py:")
    assert found[0]["threshold"] is None
    assert "ZeroDivisionError" in caplog.text


def test_what_a_system_needs_and_lacks_makes_it_not_measurable(monkeypatch):
    def lacking(key):
        raise MissingExtra("tasteful needs torch: pip install 'ethogram[nn]'")

    monkeypatch.setattr("ethogram.claims.running.claims", lacking)
    (found,) = measure("tasteful", make_bench()).summary()["claims"]
    assert (found["verdict"], found["why"]) == ("not measurable", "tasteful needs torch: pip install 'ethogram[nn]'")


def test_run_measures_keys_tells_what_it_does_and_keeps_records(tmp_path):
    heard = []
    (found,) = run(["tasteful"], store=tmp_path / "runs", results=tmp_path / "results", watch=heard.append)
    assert found["claims"][0]["verdict"] == "holds"
    assert len(RecordStore(tmp_path / "runs")) == 4
    assert {"key": "tasteful", "arm": "knows", "data": "taste", "seed": 1} in heard
    assert {"key": "tasteful", "claim": "Keeps its laws"} in heard
    assert {h.get("loss") for h in heard if "loss" in h} == {0.5}  # what the system itself tells comes through
    FITS.clear()
    (again,) = run(["tasteful"], store=tmp_path / "runs")
    assert FITS == []
    assert again["claims"] == found["claims"]
    assert set(read_results(tmp_path / "results")) == {"tasteful"}


def test_run_refuses_an_unknown_key_before_it_measures_anything():
    FITS.clear()
    with pytest.raises(UnknownName, match="'tastefull'"):
        run(["tasteful", "tastefull"], quick=True)
    assert FITS == []


def test_only_data_leaves_the_others_out_and_writes_no_results(tmp_path):
    (found,) = run(["tasteful"], only_data=["elsewhere"], results=tmp_path / "results")
    assert [c["verdict"] for c in found["claims"]] == ["fails", "not measurable"]
    assert not (tmp_path / "results").exists()


# -- results --------------------------------------------------------------------------------------------------------


def test_results_hold_cells_machine_versions_and_intervals(tmp_path):
    result = measure("tasteful", make_bench())
    page = write_results([result], tmp_path).read_text("utf-8")
    kept = read_results(tmp_path)["tasteful"]
    (outcome,) = kept["claims"][0]["outcomes"]
    low, high = outcome["interval"]
    assert low < outcome["measured"] < high
    assert len(outcome["seeds"]) == 2
    assert [(c["arm"], c["seed"]) for c in kept["cells"]] == [(a, s) for s in (0, 1) for a in ("knows", "guesses")]
    assert {"metrics", "intervals", "costs", "options", "record"} <= set(kept["cells"][0])
    assert {"machine", "versions", "made", "seconds"} <= set(kept)
    assert verdicts(kept) == {"holds": 1, "fails": 1, "not measurable": 1}
    assert "| [tasteful](#tasteful) | holds 1, fails 1, not measurable 1 |" in page
    assert "**Knows what people like**" in page
    assert f"{outcome['measured']:.4g} [{low:.4g}, {high:.4g}] | ≥ 0.05 | holds |" in page


def test_the_page_is_made_from_all_files_of_the_folder(tmp_path):
    write_results([measure("tasteful", make_bench())], tmp_path)
    page = write_results([measure("faulty", make_bench())], tmp_path).read_text("utf-8")
    assert page.index("## faulty") < page.index("## tasteful")


def test_quick_results_are_not_written(tmp_path):
    with pytest.raises(OptionError, match="a quick run decides nothing"):
        write_results([measure("tasteful", make_bench(quick=True))], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_results_are_named(tmp_path):
    (tmp_path / "din.json").write_text("{")
    with pytest.raises(StateError, match=r"din\.json is no readable result"):
        read_results(tmp_path)


def test_pipes_in_words_do_not_break_the_table(tmp_path):
    @claim("piped", "a | b")
    def piped(bench):
        return Law("x | y", lambda bench: 0.0, "<=", 1.0)

    page = write_results([measure("piped", make_bench())], tmp_path).read_text("utf-8")
    assert "| x \\| y | 0 | ≤ 1 | holds |" in page


def test_an_empty_folder_says_so(tmp_path):
    assert "Nothing is measured yet." in write_results([], tmp_path).read_text("utf-8")
    assert told({}) == "not measured"
    assert math.isnan(Law("x", lambda bench: 0.0).threshold)
