"""The commands of runs: simulate, replay, fork, compare."""

import pytest

SMALL = ("simulate", "friendship_paradox", "--people", 30, "--seed", 7)


@pytest.fixture
def run(call):
    """The folder of a run of 8 ticks."""
    assert call(*SMALL, "--until", "8h", "--minds", 2, "--lm", "scripted", "--out", "run").code == 0
    return "run"


def test_simulate_replay_fork_compare(call, run, folder):
    said = call(*SMALL, "--until", 12, "--minds", 2, "--lm", "scripted", "--out", "run", "--json", "-")
    assert said.code == 0
    assert "run is at tick 8; it goes on from there." in said.err
    assert said.json["ticks"] == 12
    assert set(said.json["shares"]) == {"model", "rule"}
    assert said.json["calls"]["sent"] > 0
    once = call(*SMALL, "--until", 12, "--minds", 2, "--lm", "scripted", "--json", "-").json
    assert once["fingerprint"] == said.json["fingerprint"]

    shown = call("replay", "run", "--verify")
    assert "no model was asked" in shown.out
    assert "the same, to the last bit" in shown.out
    assert said.json["fingerprint"] in (folder / "run" / "replay.html").read_text()

    forked = call("fork", "run", "--at", "4h", "--do", "set column=rate value=1.0", "--out", "busy", "--json", "-")
    assert forked.json["ticks"] == 12
    assert forked.json["events"] > said.json["events"]
    found = call("compare", "busy", "run", "--json", "-")
    assert "first difference, 2024-01-01 04:00:00 (tick 4)" in found.err
    row = {r["metric"]: r for r in found.json[0]["rows"]}["events"]
    assert row["difference"] == pytest.approx((forked.json["events"] - said.json["events"]) / 30)
    on = call("simulate", "run", "--until", "14h", "--log", "log")
    assert "in 14 ticks" in on.out
    assert (folder / "log" / "log.toml").exists()


def test_each_mind_decides_every_ten_minutes_and_the_cost_is_told(call):
    said = call(
        *SMALL, "--minutes", 10, "--minds", 5, "--until", "1h", "--lm", "scripted", "--log", "log", "--json", "-"
    )
    assert said.json["ticks"] == 6
    assert said.json["asked"] == {"decisions": 30, "sources": {"model": 30}, "seconds": said.json["asked"]["seconds"]}
    assert 0 < said.json["asked"]["seconds"] < 1
    calls = said.json["calls"]["calls"]
    assert f"model: {calls:,} calls ({calls:,} per simulated hour), {calls:,} of them sent" in said.err
    again = call(*SMALL, "--minutes", 10, "--minds", 5, "--until", "1h", "--lm", "scripted", "--rest", 2, "--json", "-")
    assert again.json["asked"]["decisions"] == 15


def test_a_designed_community_is_run_shown_forked_and_compared(call, folder):
    said = call(
        "simulate", "social_simulacra", "--until", "12h", "--minds", 3, "--lm", "scripted", "--out", "a", "--json", "-"
    )
    assert said.json["kinds"]["post"] > 2
    assert "the same, to the last bit" in call("replay", "a", "--verify").out
    assert '"view":"feed"' in (folder / "a" / "replay.html").read_text()
    call("fork", "a", "--at", "6h", "--do", "say post=0 act=moderate", "--out", "b")
    assert "moderate: reply post 0" in call("compare", "b", "a").out


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("simulate", "friendship_paradox", "--lm", "local"), "give --minds"),
        (("simulate", "friendship_paradox", "--minutes", 0), "minutes = 0"),
        (("simulate", "recagent", "--minutes", 0), "minutes = 0"),
        (("simulate", "run", "--until", "soon"), "no length of time"),
        (("simulate", "run", "--minds", 3), "give only --until"),
        (("simulate", "friendship_paradox", "--minds", 0), "give 1 or more"),
        (("simulate", "friendship_paradox", "--minds", 3, "--people", 2, "--lm", "scripted"), "give 1 to 2"),
        (("simulate", "friendship_paradox", "--out", "more.csv"), "holds no run"),
        (("simulate", "friendshipparadox"), "Did you mean 'friendship_paradox'"),
        (("replay", "nix"), "nix is no run"),
        (("replay", "run", "--out", "nix/page.html"), "there is no folder"),
        (("replay", "run", "--people", 0), "give 1, 1 and 0 or more"),
        (("fork", "run", "--at", 99, "--out", "b"), "has not happened"),
        (("fork", "run", "--at", 2, "--out", "run"), "give the branch a new folder"),
        (("fork", "run", "--at", 2, "--do", "bnd policy=crowd", "--out", "b"), "Did you mean 'bind'"),
        (("compare", "run", "run"), "give two runs"),
        (("compare", "run", "nix"), "nix is no run"),
        (("compare", "run", "nix", "--reference", "rum"), "no run"),
    ],
)
def test_wrong_input_is_told_and_changes_nothing(run, refused, tokens, said):
    assert said in refused(*tokens)


def test_help_has_examples(call):
    assert "ethogram fork run --at 12h" in " ".join(call("fork", "--help").out.split())
    assert "ethogram simulate town --until 3d" in call("simulate", "--help").out


MINDS = ("--until", 12, "--minds", 2, "--lm", "scripted", "--json", "-")


def test_a_budget_stops_a_run_that_goes_on_with_a_larger_one_to_the_same_end(call, folder):
    whole = call(*SMALL, *MINDS).json
    asked = whole["calls"]["sent"]
    little = ("--budget", f"calls={asked - 3}", "--spent", "stop")
    said = call(*SMALL, *MINDS, "--out", "run", *little)
    assert said.code == 0
    assert "the budget of" in said.json["stopped"]
    assert 0 < said.json["ticks"] < 12
    assert "--until 12 --budget ... goes on" in said.err
    again = call("simulate", "run", "--until", 12, *little, "--json", "-").json
    assert again["ticks"] == said.json["ticks"]  # what was spent is spent
    on = call("simulate", "run", "--until", 12, "--budget", f"calls={asked}", "--spent", "stop", "--json", "-").json
    assert on["stopped"] == ""
    assert on["ticks"] == 12
    assert on["fingerprint"] == whole["fingerprint"]
    assert on["calls"]["sent"] == asked
    assert "the same, to the last bit" in call("replay", "run", "--verify").out


def test_a_spent_budget_leaves_decisions_to_the_rules_and_the_replay_does_too(call):
    said = call(*SMALL, *MINDS, "--out", "run", "--budget", "calls=25,tokens=1e9", "--prices", "0.5,1.5")
    assert said.code == 0
    assert said.json["ticks"] == 12
    assert said.json["asked"]["sources"].keys() == {"model", "fallback"}
    assert "fallback" in said.err
    assert said.json["calls"]["sent"] == 25
    assert said.json["calls"]["money"] > 0
    assert "the same, to the last bit" in call("replay", "run", "--verify").out


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("--budget", "dollars=3"), "unknown bound 'dollars'"), (("--budget", "calls=many"), "'many' is no number"),
        (("--budget", "money=3"), "needs --prices"), (("--prices", "1,2,3"), "one number, or two"),
        (("--spent", "pause"), "degrade"),
    ],
)  # fmt: skip
def test_a_budget_that_cannot_be_read(refused, tokens, said):
    assert said in refused(*SMALL, "--minds", 1, *tokens)
