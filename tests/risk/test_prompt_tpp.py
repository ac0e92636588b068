"""PromptTPP: streams learned window by window, forecasts, judgements of people, bad input."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import torch

from ethogram import data
from ethogram.data.registry import find
from ethogram.errors import NotFitted, OptionError, StepError
from ethogram.log import Histories, Log
from ethogram.log.histories import FOREVER
from ethogram.risk.prompt_tpp.reading import Marks, streams
from ethogram.system import load, system

SMALL = {"hidden": 8, "clock": 4, "heads": 1, "epochs": 3, "update_epochs": 2, "points": 4, "batch": 8, "draws": 8}
HOUR = 3_600_000_000
SIZE = {"users": 12, "windows": 3, "hours": 12.0, "seed": 1}


@cache
def windows() -> list[Log]:
    """The three windows of a stream, one for each regime."""
    made = find("regime_hawkes")(**SIZE)
    table = data.load("regime_hawkes", **SIZE).table()
    time = table.column("time").cast(pa.int64()).to_numpy()
    cut = zip(made.instants[:-1], made.instants[1:], strict=True)
    return [Log.open(table.filter(pa.array((time >= a) & (time < b)))) for a, b in cut]


def made(**options):
    return system("prompt_tpp", **{**SMALL, **options})


@cache
def fitted(**options):
    return made(**options).fit(windows()[0], seed=1)


def log(*rows, **columns):
    names = ("user", "time", "kind")
    table = {n: [r[i] for r in rows] for i, n in enumerate(names)} | columns
    table["time"] = (
        pa.array(table["time"], pa.timestamp("us", "UTC")) if rows and isinstance(rows[0][1], int) else table["time"]
    )
    return Log.open(pa.table(table))


@pytest.mark.parametrize("stream", ["prompts", "online", "replay", "retrain", "once"])
def test_each_way_goes_on_with_the_next_window(stream, tmp_path):
    built = made(stream=stream, buffer=5).fit(windows()[0], seed=1)
    before = {n: v.copy() for n, v in built.state().arrays.items()}
    built.update(windows()[1])
    after = built.state().arrays
    moved = {n for n in before if n.startswith("model.") and not np.array_equal(before[n], after[n])}
    assert bool(moved) == (stream != "once")
    assert built.fitted.windows == 2
    if stream == "replay":
        assert len(built.fitted.kept) == 5
        assert built.fitted.met == 24
    else:
        assert built.fitted.kept is None  # nothing of the past is held
    built.save(tmp_path / "model")
    back = load(tmp_path / "model")
    built.update(windows()[2])
    back.update(windows()[2])
    for name, value in built.state().arrays.items():
        assert np.array_equal(value, back.state().arrays[name]), name


def test_the_network_is_held_back_where_prompts_learn():
    built = fitted(base_rate=0.0)
    base = [p.detach().clone() for p in built.fitted.process.base()]
    prompts = [p.detach().clone() for p in built.fitted.process.prompts()]
    again = made(base_rate=0.0).fit(windows()[0], seed=1).update(windows()[1])
    network = again.fitted.process
    assert all(np.allclose(a, b.detach()) for a, b in zip(base, network.base(), strict=True))
    assert not all(np.allclose(a, b.detach()) for a, b in zip(prompts, network.prompts(), strict=True))
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("epochs", [1, 2])
def test_in_turns_prompts_come_first(epochs):
    built = made(alternate=True, update_epochs=epochs).fit(windows()[0], seed=1)
    network = built.fitted.process
    before = [[p.detach().clone() for p in group] for group in (network.prompts(), network.base())]
    built.update(windows()[1])
    prompts, base = (
        any(not torch.equal(a, b.detach()) for a, b in zip(old, group, strict=True))
        for old, group in zip(before, (network.prompts(), network.base()), strict=True)
    )
    assert prompts
    assert base == (epochs > 1)


def test_a_regime_writes_into_entries_of_its_own():
    """Two windows of different kinds: each leaves the other's prompts as they were."""
    rng = np.random.default_rng(0)

    def window(names):
        rows = [
            (u, int(t), names[int(rng.integers(2))]) for u in range(12) for t in np.cumsum(rng.exponential(HOUR, 15))
        ]
        return log(*rows)

    built = made(kinds=("a", "b", "c", "d"), base_rate=0.0, vote=True).fit(window("ab"), seed=1)
    pool = built.fitted.process.pools[0]
    used = (pool.used > 0).numpy()
    held = pool.prompt.detach().clone().view(2, 6, -1)
    built.update(window("cd"))
    pool = built.fitted.process.pools[0]
    fresh = (pool.used > 0).numpy() & ~used
    now = pool.prompt.detach().view(2, 6, -1)
    assert used.sum() == 2
    assert fresh.sum() == 2
    assert torch.equal(now[:, used], held[:, used])
    assert not torch.equal(now[:, fresh], held[:, fresh])
    table = built.usage(window("ab")).to_pandas()
    own = table[(table.layer == 0) & table.entry.isin(np.flatnonzero(used))].share.sum() / 24
    assert own > 0.8  # the first regime is found again


@pytest.mark.parametrize("process", ["hawkes", "renewal", "poisson", "recurrent"])
def test_other_processes_answer_alike(process, tmp_path):
    built = made(process=process).fit(windows()[0], seed=1).update(windows()[1])
    built.save(tmp_path / "model")
    told = windows()[2].histories()
    first, second = built.forecast(told), load(tmp_path / "model").forecast(told)
    assert first.equals(second)
    assert built.assess(windows()[2]).num_rows == 12
    assert built.usage(windows()[2]).num_rows == 0
    made_ = built.predictions(windows()[2])
    total = np.sum(made_.column("loglikelihood").to_numpy() - made_.column("tail").to_numpy())
    assert np.isfinite(total)


def test_a_hawkes_forecast_is_what_its_law_expects():
    """A Poisson process of one kind: the next event is 1 / rate away, whenever it is asked."""
    rng = np.random.default_rng(0)
    rows = [(u, int(t), "a") for u in range(20) for t in np.cumsum(rng.exponential(HOUR, 60))]
    built = made(process="poisson", draws=4_000).fit(log(*rows))
    told = log((1, 0, "a")).histories()
    told = Histories(
        told.columns, told.starts, told.start, told.stop, told.users, np.array([5 * HOUR]), told.vocabularies
    )
    row = built.forecast(told, seed=3).to_pylist()[0]
    rate = float(built.fitted.process.rate.sum()) / built.fitted.unit
    wait = row["time"].timestamp() * 1e6 - 5 * HOUR
    assert wait == pytest.approx(1 / rate, rel=0.05)
    assert row["low"].timestamp() * 1e6 - 5 * HOUR == pytest.approx(-np.log(0.9) / rate, rel=0.1)
    assert (row["kind"], row["probability"]) == ("a", 1.0)


def test_the_kind_is_the_likeliest_at_the_expected_time_and_not_the_most_frequent():
    """A burst of one kind that is over long before the mean of the draws, which the other kind's draws carry off."""
    from ethogram.numeric.hawkes import Hawkes

    built = made(process="hawkes", draws=2_000).fit(windows()[0], seed=1)
    law = Hawkes(np.array([0.001, 0.2]), np.array([[0.9, 0.0], [0.0, 0.0]]), 50.0)
    own = Marks("kind", built.fitted.marks.ids.__class__(["burst", "other"]))
    built.fitted.process, built.fitted.marks, built.fitted.unit = law, own, float(HOUR)
    told = log(("a", 0, "burst")).histories()
    _, kinds = built.fitted.answers.next(*_asked(built, told), 2_000)
    assert (kinds == 0).mean() > 0.5
    row = built.forecast(told).to_pylist()[0]
    assert row["kind"] == "other"
    assert row["probability"] > 0.9


def _asked(built, told):
    found = streams(told, built.fitted.marks, built.fitted.unit)[0]
    return found, found.last()


def test_predictions_are_of_each_event_behind_the_first_and_add_up():
    built = fitted()
    table = built.predictions(windows()[1], draws=2)
    sequences = windows()[1].sequences()
    assert table.num_rows == len(sequences) - len(sequences.users)
    from ethogram.risk.prompt_tpp.reading import window

    own = window(windows()[1], built.fitted.marks, True)[0].scaled(built.fitted.unit)
    from ethogram.nn.processes import Neural

    total = Neural(built.fitted.process, 1.0).loglikelihood(own).sum()
    said = table.column("loglikelihood").to_numpy().sum() - table.column("tail").to_numpy().sum()
    # whose only event is the first has silence, but no row
    lone = own.take(own.lengths == 1)
    rest = Neural(built.fitted.process, 1.0).loglikelihood(lone).sum() if len(lone) else 0.0
    assert said == pytest.approx(total - rest, rel=1e-4)
    assert (table.column("gap").to_numpy() >= 0).all()
    assert (table.column("predicted_gap").to_numpy() > 0).all()


def test_people_unlike_the_stream_are_risky():
    built = made(process="hawkes").fit(windows()[0], seed=1)
    usual = built.assess(windows()[0]).to_pylist()
    assert np.mean([r["risk"] for r in usual]) < 0.5
    assert sum(r["risk"] > 0.95 for r in usual) <= 2
    start = 1_704_067_200_000_000
    burst = log(*[("bot", start + i * 1_000_000, "k0") for i in range(40)])
    row = built.assess(burst).to_pylist()[0]
    assert row["risk"] > 0.999
    assert row["events"] == 39
    assert sum(r["share"] for r in row["reasons"]) == pytest.approx(1)
    assert row["reason"] == row["reasons"][0]["what"]
    few = built.assess(log(("new", start, "k1"))).to_pylist()[0]
    assert (few["risk"], few["reason"], few["reasons"]) == (0.0, "too few events", [])


def test_usage_is_shares_of_a_persons_events():
    table = fitted().usage(windows()[1])
    sums = table.group_by(["user", "layer"]).aggregate([("share", "sum")]).column("share_sum").to_numpy()
    np.testing.assert_allclose(sums, 2.0)  # two entries are chosen at each event
    with pytest.raises(NotFitted):
        made().usage(windows()[1])


def test_numbers_become_kinds_by_quantiles():
    rows = [("a", i * HOUR, "x") for i in range(9)]
    told = log(*rows, value=[1.0, 2, 3, 4, 5, 6, 7, 8, 9])
    marks = Marks.of(told.histories(), "value", 3)
    assert np.bincount(streams(told.histories(), marks, 1.0)[0].kind).tolist() == [3, 3, 3]
    assert marks.names().to_pylist()[0].startswith("up to")
    back = streams(log(*rows[:2], value=pa.array([None, 8.0], pa.float64())).histories(), marks, 1.0)[0]
    assert back.kind.tolist() == [-1, 2]


def test_order_inside_an_instant_and_in_the_source_says_nothing():
    rows = [("a", 0, "x"), ("a", HOUR, "y"), ("a", HOUR, "x"), ("b", 5, "y"), ("a", 3 * HOUR, "y")]
    one, other = log(*rows), log(*[rows[i] for i in (4, 2, 1, 3, 0)])  # backwards in the source
    marks = Marks.of(one.histories(), None, 3)
    first, second = (streams(x.histories(), marks, 1.0)[0] for x in (one, other))
    assert np.array_equal(first.time, second.time)
    assert np.array_equal(first.kind, second.kind)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", 0, "x"), ("b", HOUR, "x")], "nobody has two events"),
        ([("a", 0, "x"), ("a", 0, "y")], "nobody has two events"),
    ],
)
def test_logs_without_gaps_are_refused(rows, said):
    with pytest.raises(StepError, match=said):
        made(silence=False).fit(log(*rows))


def test_bad_input_is_told():
    with pytest.raises(StepError, match="no times"):
        made().fit(Log.open({"user": [1, 1], "item": [1, 2]}, order="@row"))
    with pytest.raises(StepError, match="no column 'colour'"):
        made(mark="colour").fit(windows()[0])
    with pytest.raises(StepError, match="2 events of the window are of a kind that the fit did not meet"):
        fitted().update(log(("a", 0, "new"), ("a", HOUR, "newer"), ("a", 2 * HOUR, "k1")))
    with pytest.raises(OptionError, match="256 kinds are the most"):
        made().fit(log(*[("a", i * HOUR, f"kind {i}") for i in range(300)]))
    with pytest.raises(OptionError, match="none of kinds"):
        made(kinds=("k0", "k1")).fit(windows()[0])
    for wrong in ({"clock": 3}, {"chosen": 9}, {"lr": 0.0}, {"draws": 1}, {"pull": -1.0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            made(**wrong)


def test_kinds_that_come_later_can_be_named():
    built = made(kinds=("k0", "k1", "k2", "k3", "k4", "late")).fit(windows()[0], seed=1)
    built.update(log(("a", 0, "k0"), ("a", HOUR, "late"), ("a", 2 * HOUR, "k1")))
    assert len(built.fitted.marks) == 6


def test_what_is_wrong_with_events_is_told_or_kept_apart():
    """Without a time: quarantined. Backwards, or of one instant: one order. Unknown kinds at answer time: unknown."""
    rows = [("a", 3 * HOUR, "k0"), ("a", None, "k1"), ("a", HOUR, "k1"), ("a", HOUR, "k0"), ("b", HOUR, "k0")]
    time = pa.array([t for _, t, _ in rows], pa.timestamp("us", "UTC"))
    wrong = Log.open(pa.table({"user": [u for u, _, _ in rows], "time": time, "kind": [k for *_, k in rows]}))
    assert sum(wrong.events.quarantined.values()) == 1
    clean = log(*[rows[i] for i in (2, 3, 0, 4)])
    for process in ("attentive", "hawkes"):
        one, other = (made(process=process, epochs=1).fit(x, seed=1) for x in (wrong, clean))
        assert one.forecast(wrong.histories()).equals(other.forecast(clean.histories()))
    # b has one event: something is known, from what others did
    rows = fitted().forecast(log(("b", HOUR, "k0"), ("c", HOUR, "never met")).histories()).to_pylist()
    assert all(r["time"] is not None and r["kind"] in {f"k{i}" for i in range(5)} for r in rows)


def test_a_kind_that_never_came_is_possible_and_unlikely():
    built = made(process="hawkes", kinds=("k0", "k1", "k2", "k3", "k4", "never")).fit(windows()[0], seed=1)
    told = built.assess(windows()[0])
    assert np.isfinite(told.column("risk").to_numpy()).all()
    built.risky = "never"
    assert built.assess(windows()[0]).column("risk").to_numpy().max() < 0.2
    first = built.forecast(windows()[0].histories()).column("kind").to_pylist()
    assert "never" not in first


def test_warnings_are_the_laws_chances():
    """Of a kind that is called forth by another that comes by itself: its silence has a closed form."""
    from ethogram.numeric.hawkes import Hawkes
    from ethogram.risk.prompt_tpp.learning import Rescaled

    built = made(process="hawkes", draws=4_000, risky="call", horizon="2h").fit(windows()[0], seed=1)
    law = Hawkes(np.array([0.4, 0.1]), np.array([[0.0, 0.8], [0.0, 0.0]]), 1.5)  # an hour is the unit
    built.fitted.process, built.fitted.unit = law, float(HOUR)
    built.fitted.marks = Marks("kind", built.fitted.marks.ids.__class__(["itself", "call"]))
    now = ("z", 5 * HOUR, "call")
    rows = built.assess(log(("a", 5 * HOUR, "itself"), ("b", 0, "call"), now)).to_pylist()
    grid = np.linspace(0, 2, 20_001)
    late = 0.8 * (1 - np.exp(-1.5 * (2 - grid)))
    quiet = 0.1 * 2 + 0.4 * np.trapezoid(1 - np.exp(-late), grid)
    said = {r["user"]: r["risk"] for r in rows}
    assert said["b"] == pytest.approx(1 - np.exp(-quiet), abs=0.025)
    assert said["a"] == pytest.approx(1 - np.exp(-quiet - 0.8 * (1 - np.exp(-1.5 * 2))), abs=0.025)
    assert {r["user"]: r["events"] for r in rows} == {"a": 1, "b": 1, "z": 1}
    assert isinstance(built.fitted.answers, Rescaled)


def test_a_network_warns_alike_whoever_else_is_asked_about():
    built = fitted(risky="k1", horizon="3h")
    every = {r["user"]: r["risk"] for r in built.assess(windows()[0]).to_pylist()}
    assert all(0 <= r <= 1 for r in every.values())
    assert len(set(every.values())) > 2
    table = windows()[0].table()
    last = pa.compute.max(table.column("time")).as_py()
    keep = pa.compute.or_(
        pa.compute.equal(table.column("user"), 3), pa.compute.equal(table.column("time"), pa.scalar(last))
    )
    assert {r["user"]: r["risk"] for r in built.assess(Log.open(table.filter(keep))).to_pylist()}[3] == every[3]


def test_what_cannot_be_warned_of_is_told():
    with pytest.raises(StepError, match="no kind 'theft' to be warned of; there are: k0, k1"):
        fitted(risky="theft").assess(windows()[0])
    for wrong in ("soon", "0h", "-3d"):
        with pytest.raises(OptionError, match="horizon"):
            made(horizon=wrong)


def test_silences_of_centuries_and_single_events_are_answered():
    long = log(("a", 0, "k0"), ("a", 1, "k0"), ("a", 10**15, "strange"), ("b", 7, "k1"))
    told = long.histories()
    rows = fitted().forecast(told, 3).to_pylist()
    assert len(rows) == 6
    assert [r["step"] for r in rows] == [1, 2, 3, 1, 2, 3]
    assert np.isfinite(fitted().assess(long).column("risk").to_numpy()).all()
    bare = Histories.of([[1, 2], []])
    assert bare.time.tolist() == [FOREVER, FOREVER]
    assert [r["time"] for r in fitted().forecast(bare).to_pylist()] == [None, None]
