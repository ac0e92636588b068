"""Training without a framework stops where validation says so, and keeps the best."""

import numpy as np
import pytest

from ethogram.errors import OptionError, StateError
from ethogram.numeric import course
from ethogram.verbs import Enough


def counter(weights, losses=None):
    def epoch():
        weights[0] += 1
        return 1.0 if losses is None else losses[int(weights[0]) - 1]

    return epoch


def test_the_best_epoch_is_kept():
    weights, values = np.zeros(1), [1.0, 3.0, 2.0, 2.5, 9.0]
    done = course.run(counter(weights), [weights], epochs=9, patience=2, valid=lambda: values[int(weights[0]) - 1])
    assert (done.epoch, done.best_epoch, done.best, done.stopped) == (4, 2, 3.0, "patience")
    assert weights[0] == 2
    assert [row["valid"] for row in done.curve] == values[:4]


def test_without_validation_the_last_is_kept():
    weights = np.zeros(1)
    assert course.run(counter(weights), [weights], epochs=3).stopped == "epochs"
    assert weights[0] == 3


def test_an_interrupt_leaves_the_best():
    weights, values = np.zeros(1), [1.0, 3.0, 2.0, 2.5]

    def watch(facts):
        if facts["epoch"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        course.run(counter(weights), [weights], epochs=9, valid=lambda: values[int(weights[0]) - 1], watch=watch)
    assert weights[0] == 2


def test_a_watch_may_say_enough():
    weights = np.zeros(1)

    def watch(facts):
        if facts["valid"] >= 3:
            raise Enough

    done = course.run(counter(weights), [weights], epochs=9, valid=lambda: float(weights[0]), watch=watch)
    assert (done.epoch, done.best_epoch, done.stopped) == (3, 3, "asked")


def test_a_loss_without_end_is_told():
    weights = np.zeros(1)
    with pytest.raises(StateError, match="epoch 2"):
        course.run(counter(weights, [1.0, np.nan]), [weights], epochs=3)
    with pytest.raises(OptionError, match="epochs = 0"):
        course.run(counter(weights), [weights], epochs=0)
