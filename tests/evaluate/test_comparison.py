import dataclasses

import numpy as np
import pytest
from tests.evaluate.worlds import Counting, Random, open_listens

from ethogram.errors import OptionError, UnknownName
from ethogram.evaluate import bootstrap, compare, run
from ethogram.evaluate.comparison import gap_of


@pytest.fixture(scope="module")
def records():
    split = open_listens(users=150).split("leave-last-out")
    seeds = [run(Random(), split, seed=s, bootstrap=300) for s in (0, 1)]
    return [run(Counting(), split, bootstrap=300), *seeds, run(Counting(power=-1.0), split, bootstrap=300)]


def test_a_difference_is_the_paired_bootstrap_of_its_users(records):
    first, inverse = records[0], records[3]
    row = compare([first, inverse]).row("counting (power=-1.0)", "ndcg@10")
    a, b = (np.asarray(r.vectors["ndcg@10"]) for r in (inverse, first))
    expected = bootstrap.mean_difference(a, b, resamples=300)
    assert row["difference"] == pytest.approx(expected.value)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(expected[1:3])
    assert row["p"] == pytest.approx(expected.p)
    assert row["difference"] < 0
    assert row["p"] < 0.05


def test_arms_and_seeds(records):
    table = compare(records)
    assert table.arms == ["counting (power=1.0)", "random", "counting (power=-1.0)"]
    assert table.reference == "counting (power=1.0)"
    row = table.row("random", "hr@5")
    assert row["seeds"] == 2
    assert row["value"] == pytest.approx(np.mean([records[1].metrics["hr@5"], records[2].metrics["hr@5"]]))
    draws = np.mean([records[1].draw("hr@5"), records[2].draw("hr@5")], 0)
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    assert table.row(table.reference, "hr@5")["p"] is None
    assert "between 1 and 2 seeds" in table.notes[0]


def test_the_reference_and_the_metrics_are_chosen(records):
    table = compare(records, reference="random", metrics=["coverage@5", "hr@5"])
    assert table.metrics == ["coverage@5", "hr@5"]
    assert table.row("random", "hr@5")["difference"] is None
    row = table.row("counting (power=1.0)", "coverage@5")
    assert row["value"] is not None
    assert row["difference"] is not None
    assert row["low"] is None
    assert row["p"] is None
    back = compare(records, metrics=["hr@5"]).row("random", "hr@5")
    there = table.row("counting (power=1.0)", "hr@5")
    assert back["difference"] == pytest.approx(-there["difference"])
    assert back["p"] == there["p"]


def test_it_prints_arms_values_and_stars(records):
    text = str(compare(records, metrics=["hr@5", "ndcg@10"]))
    gap = gap_of([records[3]], [records[0]], "ndcg@10")
    assert "random" in text
    assert f"{records[0].metrics['ndcg@10']:.4f}" in text
    assert f"{gap.value:+.4f}*" in text


def test_what_does_not_pair_is_refused(records):
    other = run(Random(), open_listens(users=150, seed=9).split("leave-last-out"), bootstrap=300)
    fewer = run(Random(), open_listens(users=150).split("leave-last-out"), bootstrap=200)
    for stranger in (other, fewer):
        with pytest.raises(OptionError, match="other questions or was resampled otherwise"):
            compare([records[0], stranger])
    moved = dataclasses.replace(records[1], vectors=records[1].vectors.slice(1))
    with pytest.raises(OptionError, match="different users"):
        compare([records[0], moved])


def test_names_and_failures(records):
    with pytest.raises(UnknownName, match="Did you mean 'random'"):
        compare(records, reference="randm")
    with pytest.raises(UnknownName, match="unknown metric 'hr@7'"):
        compare(records, metrics=["hr@7"])
    with pytest.raises(UnknownName, match="unknown arm"):
        compare(records).row("sasrec", "hr@5")
    with pytest.raises(OptionError, match="no records"):
        compare([])
    failed = dataclasses.replace(records[0], status="failed", error="ValueError: x")
    with pytest.raises(OptionError, match=r"'counting' failed \(ValueError: x\)"):
        compare([failed])
