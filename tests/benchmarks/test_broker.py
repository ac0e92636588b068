"""A contestant in another process: its own clock counts, scaled to the number of calls."""

import pytest
from benchmarks.cases import broker
from benchmarks.harness import Case, Target
from benchmarks.peers.peer import PeerError


def beside(readings):
    run = {broker.OURS: lambda problem: ([], []), broker.CLIENT: lambda problem: ([], [])}
    goal = Target("seconds of the client", lambda f: f[broker.CLIENT].cpu, most=10)
    case = Case("x", "x", lambda: None, run, lambda problem, answers: None, [goal], repeats=2)
    return broker.Beside(case, lambda: readings)


def test_the_clients_figure_is_its_own_clocks():
    share = broker.CLIENT_CALLS / broker.CALLS
    turns = [{"cpu": s * share, "wall": 2 * s * share} for s in (0.1, 9.0, 7.0)]
    found = beside(turns).measure()
    figure = found["figures"][broker.CLIENT]
    assert (figure["cpu"], figure["wall"]) == pytest.approx((7.0, 14.0))  # the first turn only warms up
    assert found["targets"][0]["value"] == pytest.approx(7.0)
    assert found["targets"][0]["met"]


def test_a_client_that_is_not_installed_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.peers.peer.ROOT", tmp_path)
    (case,) = broker.cases()
    assert case.case.available(None) == {broker.CLIENT: False}
    with pytest.raises(PeerError, match="make peers"):
        broker.openai.ask("http://127.0.0.1:9/v1", "{}", calls=1, at_once=1)
