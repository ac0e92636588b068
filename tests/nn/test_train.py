"""The training loop: determinism, early stopping, interruption, and exact resume after a kill."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.nn.training_run import run

from ethogram.errors import OptionError, StateError
from ethogram.nn.train import Enough, threads, train


def test_same_seed_same_bytes():
    assert run()[0] == run()[0]
    assert run()[0] != run(seed=4)[0]


@pytest.mark.parametrize("where", [(0, 2), (2, 3), (4, 1)])
def test_a_killed_run_resumes_exactly(tmp_path, where):
    folder = tmp_path / "checkpoint"
    child = f"from tests.nn.training_run import run; run({str(folder)!r}, die_after={where!r})"
    assert subprocess.run([sys.executable, "-c", child], check=False).returncode == 9
    resumed, done = run(str(folder))
    plain, whole = run()
    assert resumed == plain
    assert done.curve == whole.curve


def test_a_finished_run_is_not_run_again(tmp_path):
    first, _ = run(str(tmp_path / "c"))
    again, done = run(str(tmp_path / "c"), die_after=(0, 1))
    assert again == first
    assert done.epoch == 6


def test_best_weights_come_back_and_patience_stops():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    values = iter([1.0, 3.0, 2.0, 2.5, 9.0])
    kept = []

    def loss(_):
        return -model.weight.sum()

    def valid():
        kept.append(model.weight.item())
        return next(values)

    done = train(model, lambda rng: [0], loss, optimisers=[torch.optim.SGD(model.parameters(), 1.0)], epochs=9,
                 valid=valid, patience=2)  # fmt: skip
    assert (done.epoch, done.best_epoch, done.stopped) == (4, 2, "patience")
    assert model.weight.item() == kept[1]


def test_interruption_leaves_the_best_weights():
    model = torch.nn.Linear(1, 1, bias=False)

    def watch(fact):
        if fact["epoch"] == 2 and fact["step"] == 2:
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        train(model, lambda rng: [0, 1, 2], lambda _: model.weight.sum(), epochs=5, watch=watch,
              optimisers=[torch.optim.SGD(model.parameters(), 1.0)],
              valid=lambda: seen.append(model.weight.item()) or 0.0)  # fmt: skip
    assert model.weight.item() == seen[0]
    assert not model.training


def test_the_callers_generators_are_untouched():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run()
    assert torch.equal(before, torch.get_rng_state())


def test_bf16_trains():
    _, done = run(precision="bf16")
    assert done.curve[-1]["loss"] < done.curve[0]["loss"]


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_bad_input_is_told(tmp_path):
    model = torch.nn.Linear(1, 1)
    sgd = [torch.optim.SGD(model.parameters(), 1.0)]
    with pytest.raises(OptionError, match="epochs = 0"):
        train(model, lambda rng: [], lambda _: 0, optimisers=sgd, epochs=0)
    with pytest.raises(OptionError, match="no batches"):
        train(model, lambda rng: [], lambda _: 0, optimisers=sgd, epochs=1)
    with pytest.raises(StateError, match="diverged"):
        train(model, lambda rng: [0], lambda _: model.weight.sum() * np.nan, optimisers=sgd, epochs=1)
    run(str(tmp_path / "c"))
    data = bytearray((tmp_path / "c" / "tensors.safetensors").read_bytes())
    (tmp_path / "c" / "tensors.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(StateError, match="damaged"):
        run(str(tmp_path / "c"))


def test_a_watch_that_has_seen_enough_ends_the_run_with_the_best_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    values, kept = iter([1.0, 3.0, 2.0, 9.0]), []

    def valid():
        kept.append(model.weight.item())
        return next(values)

    def watch(fact):
        if fact["step"] is None and fact["epoch"] == 3:
            raise Enough

    done = train(model, lambda rng: [0], lambda _: -model.weight.sum(), epochs=9, valid=valid, watch=watch,
                 optimisers=[torch.optim.SGD(model.parameters(), 1.0)])  # fmt: skip
    assert (done.epoch, done.best_epoch, done.stopped) == (3, 2, "asked")
    assert model.weight.item() == kept[1]
