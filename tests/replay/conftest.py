"""A run of a small social network, three of whose people are played by rule through a model's broker."""

import shutil

import pytest

from ethogram.replay import begin

OPTIONS = {"people": "40"}
END = 30


@pytest.fixture(scope="session")
def _whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with begin(folder, "friendship_paradox", OPTIONS, seed=7, minds=3, lm="scripted") as run:
        run.world.run(12)
        broken = folder.parent / "broken"
        shutil.copytree(folder, broken)  # what a process leaves that is killed now
        run.until(END)
        return folder, broken, run.world.fingerprint


@pytest.fixture
def whole(_whole, tmp_path):
    """(folder of a whole run, its fingerprint)."""
    return shutil.copytree(_whole[0], tmp_path / "whole"), _whole[2]


@pytest.fixture
def broken(_whole, tmp_path):
    """The folder of the same run, killed at tick 12."""
    return shutil.copytree(_whole[1], tmp_path / "broken")
