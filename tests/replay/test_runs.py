"""Runs in folders: continued after a kill, repeated, decided anew from the recording, forked, compared."""

import json
import warnings

import numpy as np
import pytest
from tests.replay.conftest import END, OPTIONS

from ethogram.errors import NotRecorded, OptionError, StateError, WorldError
from ethogram.lm.scripted import Scripted
from ethogram.replay import Manifest, begin, compared, first_difference, fork, opened
from ethogram.replay.running import again, command, ticks


def test_a_run_that_was_killed_goes_on_to_the_same_end(whole, broken):
    tape = broken / "events.bin"
    tape.write_bytes(tape.read_bytes()[:-9])  # in the middle of a record
    with opened(broken) as run:
        assert run.world.tick < 12
        assert run.until(END).world.fingerprint == whole[1]


def test_the_same_command_continues_and_another_is_refused(broken, whole):
    with begin(broken, "friendship_paradox", OPTIONS, seed=7, minds=3, lm="scripted") as run:
        assert run.until(END).world.fingerprint == whole[1]
    for change, said in (
        ({"seed": 8}, "seed 7, not 8"), ({"minds": 2}, "minds 3, not 2"), ({"lm": None}, "lm scripted, not none"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=said):
            begin(broken, "friendship_paradox", OPTIONS, **{"seed": 7, "minds": 3, "lm": "scripted", **change})
    with pytest.raises(OptionError, match="options people=40, not people=41"):
        begin(broken, "friendship_paradox", {"people": "41"}, seed=7, minds=3, lm="scripted")


def test_a_walk_meets_every_tick_and_asks_nobody(whole, monkeypatch):
    async def refuse(*_):
        raise AssertionError("the model was asked")

    with opened(whole[0]) as run:
        monkeypatch.setattr(Scripted, "send", refuse)
        told = [(live.tick, len(record)) for live, record in run.walk()]
        assert sum(n for _, n in told) == run.world.events
        assert [t for t, _ in told] == sorted({t for t, _ in told})


def test_all_is_decided_anew_from_the_recording(whole, monkeypatch):
    sent = []
    send = Scripted.send

    async def counted(self, *given):
        sent.append(1)
        return await send(self, *given)

    monkeypatch.setattr(Scripted, "send", counted)
    with opened(whole[0]) as run:
        assert run.calls()["sent"] > 50
        assert again(run) == whole[1]
    assert not sent
    import sqlite3

    with sqlite3.connect(whole[0] / "calls.lmrun") as db:
        db.execute("DELETE FROM answers WHERE key IN (SELECT key FROM answers LIMIT 1)")
    with opened(whole[0]) as run, pytest.raises(NotRecorded):
        again(run)


def test_a_branch_shares_the_past_and_differs_by_what_was_done(whole, tmp_path):
    with fork(whole[0], tmp_path / "same", 10) as same:
        assert same.until(END).world.fingerprint == whole[1]
    do = ["set column=rate value=1.0 rows=[5,6,7]"]
    with fork(whole[0], tmp_path / "busy", "10h", do) as busy, opened(whole[0]) as run:
        busy.until(END)
        first = first_difference(busy.world, run.world)
        assert first.tick == 10
        assert first.one == 'the world: command "set column="rate" rows=[5, 6, 7] value=1.0"'
        assert first.other == "nothing"
        acting = first_difference(busy.world, run.world, people=True)
        assert acting.tick >= 10
        assert acting.one.split(":")[0] in ("person 5", "person 6", "person 7")
        assert sum(1 for _ in busy.walk())
    with fork(whole[0], tmp_path / "luck", 10, seed=3) as luck:
        end = luck.until(END).world.fingerprint
        assert end != whole[1]
        assert sum(len(r) for _, r in luck.walk()) == luck.world.events
    with fork(tmp_path / "luck", tmp_path / "twice", 20, do) as twice:
        assert [b.at for b in twice.told.branches] == [10, 20]
        assert sum(len(r) for _, r in twice.until(END).walk()) == twice.world.events


def test_what_cannot_be_forked_leaves_nothing(whole, tmp_path):
    for at, do, error, said in (
        (END + 1, [], WorldError, "has not happened"), ("2w", [], WorldError, "has not happened"),
        (3, ["sett column=rate"], WorldError, "Did you mean 'set'"), (3, ["set column"], OptionError, "no argument"),
        ("soon", [], OptionError, "no length of time"),
    ):  # fmt: skip
        with pytest.raises(error, match=said):
            fork(whole[0], tmp_path / "no", at, do)
        assert not (tmp_path / "no").exists()
    with opened(whole[0]) as run:
        assert run.world.fingerprint == whole[1]


def test_half_a_checkpoint_is_told(whole, broken):
    newest = sorted((whole[0] / "checkpoints").iterdir())[-1] / "state.json"
    newest.write_text(newest.read_text()[:200])
    with warnings.catch_warnings(record=True) as told, opened(whole[0]) as run:
        assert run.world.fingerprint == whole[1]
        assert "is damaged" in str(told[0].message)
    only = sorted((broken / "checkpoints").iterdir())[-1] / "state.json"
    only.write_text(only.read_text()[:200])
    with pytest.raises(StateError, match="is damaged"):
        opened(broken)


def test_folders_that_are_no_run(tmp_path, whole):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("x")
    with pytest.raises(OptionError, match=r"holds no run\.json"):
        opened(tmp_path / "full")
    with pytest.raises(OptionError, match="there is no such folder"):
        opened(tmp_path / "nix")
    with pytest.raises(OptionError, match="holds no run; give a new folder"):
        begin(tmp_path / "full", "friendship_paradox")
    with pytest.raises(OptionError, match="cannot simulate"):
        begin(tmp_path / "new", "popularity")
    assert not (tmp_path / "new").exists()
    path = whole[0] / "run.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(StateError, match="newer version"):
        opened(whole[0])
    path.write_text("{")
    with pytest.raises(StateError, match="is damaged"):
        Manifest.read(whole[0])


def test_one_run_is_open_once(whole):
    with opened(whole[0]), pytest.raises(WorldError, match="open elsewhere"):
        opened(whole[0])


def test_differences_are_those_of_the_logs(whole, tmp_path):
    with fork(whole[0], tmp_path / "busy", 5, ["set column=rate value=1.0"]) as busy, opened(whole[0]) as run:
        found = compared([busy.until(END)], [run], resamples=200)
        assert (found.people, found.ticks, found.paired) == (40, END, True)
        row = {r["metric"]: r for r in found.rows}["like"]
        for name, one in (("one", busy), ("other", run)):
            kinds = one.world.log().table().column("kind").to_pylist()
            assert row[name] == pytest.approx(kinds.count("like") / 40)
        assert row["difference"] == pytest.approx(row["one"] - row["other"])
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["low"] > 0  # everybody is active at every tick
    with opened(whole[0]) as run:
        same = compared([run], [run], resamples=50)
        assert same.parting is None
        assert not any(r["difference"] for r in same.rows)


def test_several_seeds_are_paired_by_seed():
    runs = [[begin(None, "friendship_paradox", OPTIONS, seed=s).until(6) for s in seeds] for seeds in ((1, 2), (2, 3))]
    found = compared(*runs, resamples=50)
    assert found.people == 40  # the seed that both have
    assert found.parting is None
    with pytest.raises(OptionError, match="no seed is on both sides"):
        compared([*runs[0]], [begin(None, "friendship_paradox", OPTIONS, seed=9)])


def test_times_and_commands_as_they_are_typed():
    world = begin(None, "friendship_paradox", OPTIONS).world  # a tick is an hour
    assert [ticks(t, world) for t in ("7", 7, "2d", "90m")] == [7, 7, 48, 2]
    made = command("set column=rate value=0.5 rows=[1,2]")
    assert (made.name, made.arguments) == ("set", {"column": "rate", "value": 0.5, "rows": [1, 2]})
    assert command("whisper uid=1 text='hello you'").arguments["text"] == "hello you"
    assert np.isclose(command("set value=1e-3").arguments["value"], 0.001)
