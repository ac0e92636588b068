import json

import numpy as np
import pytest
from tests.evaluate.worlds import Counting, Failing, Random, open_listens

from ethogram.errors import OptionError
from ethogram.evaluate import RecordStore, run
from ethogram.evaluate.record import FAILED
from ethogram.evaluate.subject import code_of, options_of


def test_a_run_is_found_again(tmp_path):
    store, log = RecordStore(tmp_path), open_listens()
    before = Counting.fits
    first = run(Counting(), log, "leave-last-out", store=store, bootstrap=30, data="toy")
    second = run(Counting(), log, "leave-last-out", store=store, bootstrap=30)
    assert Counting.fits == before + 1
    assert (second.key, dict(second.metrics)) == (first.key, pytest.approx(dict(first.metrics), nan_ok=True))
    assert second.data == {"name": "toy", "fingerprint": log.fingerprint()}
    run(Counting(), log, "leave-last-out", store=store, bootstrap=30, again=True)
    assert Counting.fits == before + 2


def test_every_setting_that_moves_a_number_is_another_record():
    log = open_listens()
    runs = [
        run(system, log, protocol, bootstrap=20, **given)
        for system, protocol, given in (
            (Random(), "leave-last-out", {}), (Random(), "leave-last-out", {"seed": 1}),
            (Counting(), "leave-last-out", {}), (Counting(power=2), "leave-last-out", {}),
            (Random(), "temporal", {}), (Random(), "temporal", {"split": {"test": 0.3}}),
            (Random(), "leave-last-out", {"ks": (3,)}), (Random(), "leave-last-out", {"exclude_seen": False}),
            (Random(), "leave-last-out", {"part": "valid"}), (Random(), "leave-last-out", {"bootstrap_seed": 1}),
        )
    ]  # fmt: skip
    assert len({r.key for r in runs}) == len(runs)
    other = run(Random(), open_listens(seed=5), "leave-last-out", bootstrap=20)
    assert other.key not in {r.key for r in runs}


def test_the_same_run_gives_the_same_numbers():
    first, second = (run(Random(), open_listens(), "leave-last-out", seed=2, bootstrap=40) for _ in range(2))
    assert first.metrics == second.metrics
    assert first.intervals == second.intervals
    assert first.draws.equals(second.draws)


def test_a_record_tells_how_it_came_about():
    made = run(Counting(power=0.5), open_listens(repeats=0.5), "leave-last-out", bootstrap=20)
    assert (made.system, made.options, made.seed) == ("counting", {"power": 0.5, "names": []}, 0)
    assert made.protocol["name"] == "leave-last-out"
    assert made.facts["exclude_seen"] is False
    assert set(made.costs) == {"fit", "evaluate"}
    assert made.costs["evaluate"].wall_seconds > 0
    assert made.version
    json.dumps(made.json(), allow_nan=False)


def test_a_split_can_be_given_itself():
    split = open_listens().split("leave-last-out")
    given, named = run(Counting(), split, bootstrap=20), run(Counting(), open_listens(), "leave-last-out", bootstrap=20)
    assert given.metrics == named.metrics
    assert given.plan == named.plan


def test_a_failed_run_is_kept_and_made_again(tmp_path):
    store, system = RecordStore(tmp_path), Failing()
    with pytest.raises(RuntimeError, match="no convergence"):
        run(system, open_listens(), "leave-last-out", store=store)
    (kept,) = store
    assert (kept.status, kept.error) == (FAILED, "RuntimeError: no convergence")
    with pytest.raises(RuntimeError, match="no convergence"):
        run(system, open_listens(), "leave-last-out", store=store)
    assert len(store) == 1


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(OptionError, match="task 'rating'"):
        run(Counting(), open_listens(), task="rating")
    with pytest.raises(OptionError, match="part 'all'"):
        run(Counting(), open_listens(), part="all")


def test_a_system_among_the_options_is_told_with_its_own():
    outer = Counting(names=(Random(),))
    assert options_of(outer)["names"] == [{"system": "random", "options": {}}]
    with pytest.raises(OptionError, match="counting: names holds a Generator"):
        options_of(Counting(names=(np.random.default_rng(0),)))


def test_code_is_that_of_the_module_and_of_parts(tmp_path):
    assert code_of(Counting()) == code_of(Counting(power=3))
    assert code_of(Counting()) != code_of(Random())


def test_a_name_is_no_system():
    with pytest.raises(OptionError, match="'popularity' is no system"):
        run("popularity", None)
