import pytest

from ethogram import claims as room
from ethogram.claims import Gap, Grid, Law, Laws, claim
from ethogram.claims.declared import Claim
from ethogram.errors import OptionError, UnknownName

GRID = Grid(arms={"a": "a", "b": "b"}, data=["interests"], holds=[Gap("a", "b") > 0])
LAW = Law("error", lambda bench: 0.0, "<=", 1.0)


def test_claims_are_declared_by_key_in_order():
    @claim("declared_here", "first")
    def first(bench):
        return GRID

    @claim("declared_here", "second")
    def second(bench):
        return LAW

    assert [c.text for c in room.claims("declared_here")] == ["first", "second"]


@pytest.mark.parametrize(
    ("made", "kinds"),
    [(GRID, [Grid]), (LAW, [Laws]), (Laws(LAW, LAW), [Laws]), ([GRID, LAW, Laws(LAW)], [Grid, Laws, Laws])],
)
def test_a_plan_returns_grids_and_laws(made, kinds):
    assert [type(p) for p in Claim("x", "text", lambda bench: made).parts(None)] == kinds


def test_a_plan_that_returns_something_else_is_told():
    with pytest.raises(OptionError, match="claim of x: its plan returned int; return Grid or Laws"):
        Claim("x", "text", lambda bench: 3).parts(None)


def test_unknown_claims_tell_the_nearest():
    known = room.keys()
    with pytest.raises(UnknownName, match="unknown claim"):
        room.claims("no_such_system")
    for key in known:
        with pytest.raises(UnknownName, match=f"Did you mean '{key}'"):
            room.claims(key[:-1] + "_")


def test_systems_without_claims_say_so():
    from ethogram.catalogue import index

    without = sorted(set(index()) - set(room.keys()))
    assert "popularity" in without  # a floor claims nothing
    with pytest.raises(UnknownName, match="system 'popularity' has no claims"):
        room.claims("popularity")
