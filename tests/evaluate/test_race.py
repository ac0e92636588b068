import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.race import race


class Clock:
    """A clock that only moves when somebody works."""

    def __init__(self):
        self.now = 0.0
        self.order = []

    def __call__(self):
        return self.now

    def runner(self, name, seconds):
        def work():
            self.order.append(name)
            self.now += seconds() if callable(seconds) else seconds

        return work


def test_runners_take_turns_and_ratios_are_paired():
    clock = Clock()
    slow = [1.0]  # the machine slows everybody down in the second of three rounds

    def at(seconds):
        return lambda: seconds * slow[0]

    def end():
        slow[0] = 10.0 if len(clock.order) == 6 else 1.0

    a, b = clock.runner("a", at(8.0)), clock.runner("b", at(1.0))
    found = race({"a": lambda: (end(), a()), "b": b}, rounds=3, calls=1, clock=clock)
    assert clock.order[-6:] == ["a", "b"] * 3
    assert found.seconds["b"][1] == 10.0
    assert found.ratio("a", "b").value == pytest.approx(8.0)
    assert found.ratio("a", "b").high == pytest.approx(8.0)


def test_short_calls_are_repeated_until_the_clock_can_tell():
    clock = Clock()
    found = race({"a": clock.runner("a", 0.001)}, rounds=3, calls=1, least=0.01, clock=clock)
    assert len(clock.order) == 2 + 3 * 10
    assert found.level("a").value == pytest.approx(0.001)


def test_the_fastest_of_several_calls_counts():
    clock = Clock()
    times = iter([1.0, 1.0, *[5.0, 2.0, 9.0] * 3])
    found = race({"a": clock.runner("a", lambda: next(times))}, rounds=3, calls=3, clock=clock)
    assert found.seconds["a"] == (2.0, 2.0, 2.0)


def test_bad_races_are_refused():
    with pytest.raises(OptionError, match="at least 1"):
        race({})
    found = race({"a": Clock().runner("a", 1.0)}, rounds=3, clock=Clock())
    with pytest.raises(OptionError, match="unknown runner 'b'"):
        found.ratio("a", "b")
