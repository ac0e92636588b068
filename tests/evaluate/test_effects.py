import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from ethogram.evaluate.effects import costs, estimate, over_rounds
from ethogram.evaluate.machine import Cost
from ethogram.evaluate.record import Record
from ethogram.evaluate.verdict import Gap, Level, NotMeasurable, Ratio


def record(value, draws, **more):
    return Record(system="x", metrics={"auc": value, "coverage@10": value}, draws=pa.table({"auc": draws}), **more)


def test_a_gap_is_paired_draw_by_draw():
    # The two arms swing widely and together: only the pairing shows that one is always 0.1 better.
    swing = np.linspace(0.3, 0.8, 101)
    cells = {"a": [record(0.6, swing + 0.1)], "b": [record(0.5, swing)]}
    found = estimate(Gap("a", "b"), "auc", cells, 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    alone = estimate(Level("a"), "auc", cells, 0.95)
    assert alone.high - alone.low == pytest.approx(0.475)


def test_seeds_are_averaged_before_the_quantiles():
    rng = np.random.default_rng(0)
    runs = [record(v, rng.normal(v, 0.1, 2000)) for v in (0.5, 0.7)]
    found = estimate(Level("a"), "auc", {"a": runs}, 0.90)
    expected = np.quantile((np.array(runs[0].draw("auc")) + np.array(runs[1].draw("auc"))) / 2, [0.05, 0.95])
    assert (found.value, found.low, found.high) == pytest.approx((0.6, *expected))
    assert found.seeds == (0.5, 0.7)


def test_a_ratio_of_metrics():
    cells = {"a": [record(0.8, [0.8, 0.9])], "b": [record(0.4, [0.4, 0.3])]}
    found = estimate(Ratio("a", "b"), "auc", cells, 0.95)
    assert found.value == pytest.approx(2.0)
    assert 2.0 < found.low < found.high < 3.0


def test_rounds_have_students_interval_over_pairs():
    left, right = [2.0, 2.5, 2.2, 2.9], [1.0, 1.1, 1.3, 1.2]
    gap = over_rounds(Gap("a", "b"), [left, right], 0.95)
    low, high = stats.t.interval(0.95, 3, np.mean(np.subtract(left, right)), stats.sem(np.subtract(left, right)))
    assert (gap.low, gap.high) == pytest.approx((low, high))
    logs = np.log(np.divide(left, right))
    low, high = stats.t.interval(0.95, 3, logs.mean(), stats.sem(logs))
    ratio = over_rounds(Ratio("a", "b"), [left, right], 0.95)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((np.exp(logs.mean()), np.exp(low), np.exp(high)))


def test_a_slow_round_cancels_in_a_ratio():
    ratio = over_rounds(Ratio("a", "b"), [[8.0, 80.0, 8.0], [1.0, 10.0, 1.0]], 0.95)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((8.0, 8.0, 8.0))


def test_metrics_without_draws_need_three_seeds():
    cells = {"a": [record(v, [v]) for v in (0.5, 0.6)]}
    with pytest.raises(NotMeasurable, match="3 seeds bound it, 2 ran"):
        estimate(Level("a"), "coverage@10", cells, 0.95)
    cells = {"a": [record(v, [v]) for v in (0.5, 0.6, 0.7)]}
    assert estimate(Level("a"), "coverage@10", cells, 0.95).value == pytest.approx(0.6)


def test_costs_are_read_from_the_record():
    spent = {"fit": Cost(cpu_seconds=3.0, peak_mb=10.0), "evaluate": Cost(cpu_seconds=9.0, peak_mb=50.0)}
    found = costs(record(0.5, [0.5], costs=spent, facts={"score_seconds": 2.0}))
    assert found == {"seconds": 5.0, "fit_seconds": 3.0, "score_seconds": 2.0, "peak_mb": 50.0}
    assert np.isnan(costs(record(0.5, [0.5]))["seconds"])
