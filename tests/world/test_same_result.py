"""What must not change a result: threads, batches, latencies, kills, the order of rows."""

import contextlib
import os
import random
import signal

import numpy as np
import pytest
from tests.world.market import market, slow

from ethogram.world import Action, Acts, World, everyone, first_wins
from ethogram.world.permuting import relabelled


class Killed(BaseException):
    """The process goes away."""


@pytest.fixture(scope="module")
def plain():
    return market(minds=2).run(24)


def test_the_market_does_what_is_tested(plain):
    table = plain.log(refused=True).table()
    assert set(table["kind"].to_pylist()) >= {"buy", "buy (refused)", "praise"}
    assert plain.shares()["model"] > 0.02
    assert (plain.state["stall.stock"] >= 0).all()
    assert plain.state["stall.fame"].sum() == sum(k == "praise" for k in table["kind"].to_pylist())


@pytest.fixture(scope="module")
def many():
    """More people than a batch of 1,000."""
    return market(people=1_500, minds=4).run(4)


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("batch", [1, 7, 1_000, 1_000_000])
def test_threads_and_batches_change_nothing(many, workers, batch):
    other = market(people=1_500, minds=4, workers=workers, batch=batch, lm=slow(0.004, batch)).run(4)
    assert other.fingerprint == many.fingerprint
    for name in many.state:
        assert other.state[name].tobytes() == many.state[name].tobytes(), name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_latencies_of_the_model_change_nothing(plain, seed):
    assert market(minds=2, lm=slow(0.004, seed)).run(24).fingerprint == plain.fingerprint


def test_a_run_in_pieces_is_the_run(plain):
    world = market(minds=2)
    for until in (1, 2, 9, 9, 20, 24):
        world.run(until)
    assert world.fingerprint == plain.fingerprint
    assert market(minds=2, seed=4).run(24).fingerprint != plain.fingerprint


@pytest.mark.filterwarnings("ignore:checkpoint")  # the tape lost what a checkpoint had seen
def test_twenty_kills_change_nothing(plain, tmp_path):
    """Killed at random moments (before, within and behind the writing of a tick), with half a record on the disk."""
    luck = random.Random(0)
    until, kills = 24, 0
    while kills < 20:
        world = market(minds=2, folder=tmp_path / "run", every=6, resume=True)
        if kills % 3 == 0:
            world.live.policies["shopper"] = Dying(world.live.policies["shopper"], luck.randrange(1, 6))
        with contextlib.suppress(Killed):
            world.run(min(until, world.tick + luck.randrange(1, 5)))
        kills += 1
        world.close()
        if kills % 2 and world.tick:
            file = tmp_path / "run" / "events.bin"
            file.write_bytes(file.read_bytes()[: -luck.randrange(1, 60)])
    world = market(minds=2, folder=tmp_path / "run", every=6, resume=True).run(until)
    assert world.fingerprint == plain.fingerprint
    assert world.state["money"].tobytes() == plain.state["money"].tobytes()


def dies(root, writes, until):
    """A process that runs the market, and is killed by the kernel within one of its writes; its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        world = market(folder=root, every=5, resume=True)
        world.live.tape._file = Fatal(world.live.tape._file, writes)
        world.run(until)
        os._exit(0)
    except BaseException:
        os._exit(3)


class Fatal:
    """A file within which the process is killed, after half of a piece was written."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, piece):
        self.left -= 1
        if not self.left:
            self.file.write(piece[: len(piece) // 2])
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file.write(piece)


def test_twenty_processes_that_are_killed_leave_the_run(tmp_path):
    plain, luck = market().run(30), random.Random(1)
    killed = 0
    while killed < 20:
        status = dies(tmp_path / "a", luck.randrange(2, 40), 30)
        if not status:  # it came to its end first
            (tmp_path / "a").rename(tmp_path / f"done {killed}")
            continue
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed += 1
    world = market(folder=tmp_path / "a", every=5, resume=True).run(30)
    assert world.fingerprint == plain.fingerprint
    assert world.state["money"].tobytes() == plain.state["money"].tobytes()


class Dying:
    """A policy within which the process ends."""

    def __init__(self, policy, after):
        self.policy, self.after = policy, after
        self.wait = policy.wait

    def act(self, rows, seen, luck):
        self.after -= 1
        if not self.after:
            raise Killed
        return self.policy.act(rows, seen, luck)


def test_the_order_of_rows_changes_nothing():
    assert relabelled(lambda: market(minds=3), 25) == []


def forgetful(apply, rule=None):
    def build():
        def eat(rows, seen, luck):
            return Acts("eat", rows, object=luck.integers("which", 3)[:, 0], value=luck.uniform("much")[:, 0])

        return World(
            40, columns={"full": 0.0}, things={"pot": {"left": np.full(3, 100.0), "last": np.full(3, -1.0)}},
            actions=[Action("eat", on="pot", rule=rule or everyone(), apply=apply)], policies={"eat": eat}, seed=1,
        )  # fmt: skip

    return build


def test_an_update_that_forgets_who_else_acts_is_noticed():
    """``left[object] -= 1`` keeps one of several buyers; ``last[object] = value`` keeps whoever stands last."""

    def careless(state, done):
        state["pot.last"][done.object] = done.value

    def by_row(state, done):
        state["full"][done.rows] += done.rows % 2

    def lossy(state, done):
        left = state["pot.left"]
        left[done.object] = left[done.object] - done.value

    def careful(state, done):
        np.subtract.at(state["pot.left"], done.object, 1.0)

    def winner(state, done):
        state["pot.last"][done.object] = done.value

    assert relabelled(forgetful(careful), 6) == []
    assert relabelled(forgetful(winner, first_wins()), 6) == []
    assert relabelled(forgetful(winner, first_wins(fair=True)), 6) == []
    assert relabelled(forgetful(careless), 6) == ["eat: pot.last"]
    assert relabelled(forgetful(lossy), 6) == ["eat: pot.left"]
    assert relabelled(forgetful(by_row), 6) == ["full"]
