import dataclasses
import json

import numpy as np
import pytest
from tests.evaluate.taste import FITS, Taster, world

from ethogram.errors import MissingData, OptionError
from ethogram.evaluate.bench import QUICK, Bench
from ethogram.evaluate.grid import Data, Grid, Outcome
from ethogram.evaluate.record import RecordStore
from ethogram.evaluate.verdict import Estimate, Gap, Law, Laws, Level, NotMeasurable, Ratio

LOGS = {"first": lambda: world(seed=1), "second": lambda: world(seed=2)}


def load(name, **options):
    if name == "absent":
        raise MissingData("data set 'absent' is not here: put it there.")
    return LOGS[name]()


def make_bench(store=None, **options):
    FITS.clear()
    return Bench(lambda key, **given: Taster(name=key, **given), load, lambda name: world(users=20), store, **options)


def make_grid(**changes):
    standard = {
        "arms": {"good": ("good", {}), "blurred": ("blurred", {"noise": 1.0}), "guess": ("guess", {"knows": False})},
        "data": ["first"],
        "metric": "auc",
        "holds": [Gap("good", "guess") >= 0.05],
    }
    return Grid(**{**standard, **changes})


def one(outcomes):
    (outcome,) = outcomes
    return outcome


# -- what is run ----------------------------------------------------------------------------------------------------


def test_first_data_set_gets_all_seeds_and_ablations_the_others_one_seed():
    grid = make_grid(data=["first", "second"], seeds=2, ablations={"mean": "mean"})
    assert [tuple(c) for c in grid.cells()] == [
        *[(arm, "first", seed) for seed in (0, 1) for arm in ("good", "blurred", "guess", "mean")],
        *[(arm, "second", 0) for arm in ("good", "blurred", "guess")],
    ]


def test_arms_of_a_round_run_in_turn():
    make_bench().grid(make_grid(seeds=2))
    assert [(arm, seed) for seed in (0, 1) for arm in ("good", "blurred", "guess")] == FITS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holds": [Gap("good", "gues") >= 0]}, "unknown arm 'gues'. Did you mean 'guess'"),
        ({"holds": [(Gap("good", "guess") >= 0).on("frist")]}, "unknown data set 'frist'. Did you mean 'first'"),
        ({"arms": {}}, "at least one arm"),
        ({"seeds": 0}, "one seed"),
        ({"data": ["first", ("first", {})]}, "two data sets have one label"),
        ({"ablations": {"good": "x"}}, "is an arm and an ablation"),
        (
            {"ablations": {"m": "m"}, "data": ["first", "second"], "holds": [(Gap("good", "m") > 0).on("second")]},
            "an ablation is only run on first",
        ),
        ({"data": [3]}, "is no data set"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused_before_anything_runs(changes, message):
    with pytest.raises(OptionError, match=message):
        make_grid(**changes)


def test_data_sets_are_named_loaded_or_made():
    made = Data.of(("short", lambda: world()))
    assert (made.label, made.name) == ("short", None)
    assert Data.of(("first", {"users": 3})).options == {"users": 3}

    def shop():
        return world()

    assert Data.of(shop).label == "shop"
    outcome = one(make_bench().grid(make_grid(data=[shop], seeds=1)))
    assert outcome.data == "shop"


def test_arms_may_be_keys_options_systems_or_functions():
    bench = make_bench()
    mine = Taster(name="mine", noise=0.5)
    assert bench.build("key").name == "key"
    assert bench.build(("key", {"noise": 2.0})).noise == 2.0
    built = bench.build(mine)
    assert built == mine
    assert built is not mine
    assert bench.build(lambda: mine) is mine
    assert bench.build(Taster) == Taster()


# -- what is decided ------------------------------------------------------------------------------------------------


def test_verdicts_come_from_the_interval_over_users():
    outcomes = make_bench().grid(
        make_grid(
            holds=[
                Gap("good", "guess") >= 0.05,
                Gap("guess", "good") >= 0.05,
                Gap("good", "blurred") >= 0.03,
                Level("good") >= 0.6,
                Ratio("good", "guess") >= 1.1,
                Gap("good", "good").within(0.001),
            ]
        )
    )
    assert [o.verdict for o in outcomes] == ["holds", "fails", "fails", "holds", "holds", "holds"]
    better, worse, straddling, *_ = outcomes
    assert "violates" in worse.why
    assert worse.measured.value == pytest.approx(-better.measured.value)
    assert straddling.measured.low < 0.03 < straddling.measured.high
    assert "includes the threshold 0.03" in straddling.why
    assert better.text == "auc on first: good − guess ≥ 0.05"


def test_interval_agrees_with_the_normal_approximation_over_users_and_seeds_are_averaged(tmp_path):
    store = RecordStore(tmp_path)
    grid = make_grid(metric="mrr", questions="next", holds=[Gap("good", "guess") >= 0], arms={
        "good": ("good", {}), "guess": ("guess", {"knows": False})})  # fmt: skip
    bench = make_bench(store)
    measured = one(bench.grid(grid)).measured
    by_arm = {}
    kept = [(arm, store.get(record.key).vectors) for arm, _, _, record in bench.records]
    for arm, vectors in kept:
        by_arm.setdefault(arm, []).append(np.array(vectors["mrr"]))
    users = np.array(kept[0][1]["user"])
    gap = np.mean(by_arm["good"], 0) - np.mean(by_arm["guess"], 0)
    assert len(np.unique(users)) == len(users)  # one question each, so rows are users
    error = gap.std(ddof=1) / np.sqrt(len(gap))
    assert measured.value == pytest.approx(gap.mean())
    assert measured.low == pytest.approx(gap.mean() - 1.96 * error, abs=0.3 * error)
    assert measured.high == pytest.approx(gap.mean() + 1.96 * error, abs=0.3 * error)
    assert measured.seeds == pytest.approx([(a - b).mean() for a, b in zip(*by_arm.values(), strict=True)])


def test_one_seed_is_marked():
    outcomes = make_bench().grid(make_grid(data=["first", "second"], seeds=2))
    assert [o.text for o in outcomes] == [
        "auc on first: good − guess ≥ 0.05",
        "auc on second, 1 seed: good − guess ≥ 0.05",
    ]


def test_a_condition_can_be_about_one_data_set():
    grid = make_grid(data=["first", "second"], seeds=1, holds=[(Gap("good", "guess") >= 0.05).on("second")])
    assert [o.data for o in make_bench().grid(grid)] == ["second"]


def test_unknown_metric_tells_the_nearest():
    with pytest.raises(OptionError, match=r"unknown metric 'gacu'\. Did you mean 'gauc'"):
        make_bench().grid(make_grid(metric="gacu", seeds=1))


# -- what is kept ---------------------------------------------------------------------------------------------------


def test_a_killed_grid_goes_on_where_it_was(tmp_path):
    store = RecordStore(tmp_path)
    broken = make_grid(seeds=2, arms={**make_grid().arms, "guess": ("guess", {"knows": False, "fails": "interrupt"})})
    with pytest.raises(KeyboardInterrupt):
        make_bench(store).grid(broken)
    assert FITS == [("good", 0), ("blurred", 0), ("guess", 0)]
    whole = one(make_bench(store).grid(make_grid(seeds=2)))
    assert FITS == [("guess", 0), ("good", 1), ("blurred", 1), ("guess", 1)]
    again = one(make_bench(store).grid(make_grid(seeds=2)))
    assert FITS == []
    assert again == whole


def test_costs_are_measured_in_rounds_of_all_arms(tmp_path):
    store = RecordStore(tmp_path)
    make_bench(store).grid(make_grid())  # records without a common round are not enough for a ratio of times
    grid = make_grid(holds=[Ratio("good", "guess", metric="fit_seconds") > 0])
    first = one(make_bench(store).grid(grid))
    assert len(FITS) == 9
    assert first.measured.unit == "rounds"
    assert len(first.measured.seeds) == 3
    second = one(make_bench(store).grid(grid))
    assert FITS == []
    assert second == first


def test_a_cost_takes_three_rounds():
    outcome = one(make_bench().grid(make_grid(seeds=2, holds=[Ratio("good", "guess", metric="seconds") > 0])))
    assert (outcome.verdict, outcome.measured) == ("not measurable", None)
    assert "3 rounds" in outcome.why


# -- what cannot be measured ----------------------------------------------------------------------------------------


def test_missing_data_is_not_measurable_and_the_others_go_on():
    outcomes = make_bench().grid(make_grid(data=["absent", "second"], seeds=1))
    assert [o.verdict for o in outcomes] == ["not measurable", "holds"]
    assert outcomes[0].why == "data set 'absent' is not here: put it there."
    assert outcomes[0].summary()["measured"] is None


def test_a_used_up_budget_is_not_measurable(tmp_path):
    outcome = one(make_bench().grid(make_grid(budget="0s")))
    assert (outcome.verdict, FITS) == ("not measurable", [])
    assert "budget of 0s" in outcome.why


def test_whole_rounds_within_the_budget_count_and_are_marked(monkeypatch):
    grid = make_grid(budget="40s")
    ticks = iter(np.arange(0, 1000, 1.3))
    monkeypatch.setattr("ethogram.evaluate.machine.time.process_time", lambda: float(next(ticks)))
    outcome = one(make_bench().grid(grid))
    assert 3 <= len(FITS) < 9
    assert outcome.verdict == "holds"
    assert "of 3 seeds: the budget of 40s of CPU time was used up" in outcome.why


def test_too_little_memory_is_not_measurable():
    outcome = one(make_bench().grid(make_grid(memory_gb=1e6)))
    assert outcome.verdict == "not measurable"
    assert FITS == []


def test_arms_that_answered_other_questions_are_not_compared():
    bench = make_bench()
    records = {"a": [bench.run("a", world(seed=1), task="slates")], "b": [bench.run("b", world(seed=2), task="slates")]}
    from ethogram.evaluate.effects import estimate

    with pytest.raises(NotMeasurable, match="did not answer the same questions"):
        estimate(Gap("a", "b"), "auc", records, 0.95)


def test_a_fault_of_a_system_passes_through():
    with pytest.raises(ValueError, match="a fault in the system"):
        make_bench().grid(make_grid(arms={"good": "good", "guess": ("guess", {"fails": "fault"})}))


# -- quick runs -----------------------------------------------------------------------------------------------------


def test_a_quick_run_runs_every_arm_once_and_decides_nothing(tmp_path):
    store = RecordStore(tmp_path)
    grid = make_grid(data=["absent", "second"], ablations={"mean": "mean"}, holds=[
        Gap("good", "guess") >= 0.99, Ratio("good", "mean", metric="fit_seconds") >= 8])  # fmt: skip
    outcomes = make_bench(store, quick=True).grid(grid)
    assert [(arm, 0) for arm in ("good", "blurred", "guess", "mean")] == FITS
    assert {(o.verdict, o.why) for o in outcomes} == {("ran", QUICK)}
    assert outcomes[0].measured is not None
    assert len(store) == 0


def test_a_quick_run_sets_quick_options_where_an_arm_has_them():
    bench = make_bench(quick=True)
    assert bench.build("x", {"epochs": 1, "layers": 1}).epochs == 1
    assert bench.build("x", {"layers": 1}) == Taster(name="x")


def test_a_factory_is_told_that_the_run_is_quick():
    seen = []

    def shop(quick=False):
        seen.append(quick)
        return world(users=20)

    make_bench(quick=True).grid(make_grid(data=[shop]))
    make_bench().grid(make_grid(data=[shop], seeds=1))
    assert seen == [True, False]


# -- laws -----------------------------------------------------------------------------------------------------------


def test_laws_are_decided_by_value_interval_or_by_what_they_return():
    bench = make_bench()
    laws = Laws(
        Law("error", lambda bench: 0.004, "<=", 0.01),
        Law("error", lambda bench: 0.04, "<=", 0.01),
        Law("speed", lambda bench: Estimate(9.0, 7.5, 11.0), ">=", 8.0),
        Law("speed", lambda bench: (Estimate(9.0, 8.5, 11.0), 8.0, ">=")),
    )
    assert [bench.law(law).verdict for law in laws] == ["holds", "fails", "fails", "holds"]
    assert bench.law(laws[3]).summary()["threshold"] == 8.0


def test_a_law_that_cannot_be_measured_says_why():
    def law(bench):
        raise NotMeasurable("it takes an accelerator.")

    outcome = make_bench().law(Law("speed", law, ">=", 8.0))
    assert (outcome.verdict, outcome.why) == ("not measurable", "it takes an accelerator.")


def test_quick_laws_only_ran():
    outcome = make_bench(quick=True).law(Law("error", lambda bench: 0.5 if bench.quick else 0.0, "<=", 0.01))
    assert (outcome.verdict, outcome.measured.value) == ("ran", 0.5)


def test_outcomes_are_strict_json():
    outcome = Outcome("x", ">=", float("nan"), "fails", "broken", Estimate.exact(float("inf")))
    assert outcome.summary() == {"text": "x", "measured": None, "threshold": None, "verdict": "fails", "why": "broken"}
    told = json.loads(json.dumps(outcome.json(), allow_nan=False))
    assert told["interval"] == [None, None]
    assert "fails: x" in str(dataclasses.replace(outcome, threshold=1.0))
