"""Saved systems: whole or not at all, verified, never a pickle."""

import json
import shutil
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from tests.counter import Counter

import ethogram
from ethogram import saving
from ethogram.errors import NotFitted, OptionError, StateError, UnknownName
from ethogram.system import system
from ethogram.testing import example
from ethogram.verbs import State


@system("holder", paper="none", year=2026, area="study", verbs=(), baseline=True)
@dataclass(kw_only=True)
class Holder:
    """Holds any state."""

    width: int = 1

    def state(self):
        return self.fitted

    def restore(self, state):
        self.fitted = state
        return self


def hold(state: State) -> Holder:
    return Holder().restore(state)


@pytest.fixture
def model(tmp_path):
    Counter(own=2.0).fit(example()).save(tmp_path / "model")
    return tmp_path / "model"


def test_everything_comes_back(tmp_path):
    state = State(
        {
            "z": np.arange(6, dtype=np.int64).reshape(2, 3),
            "a": np.asfortranarray(np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)),
            "scalar": np.array(3.5),
            "empty": np.zeros((0, 4), np.float32),
            "yes": np.array([True, False]),
        },
        {"vocabulary.My / column": pa.table({"id": ["é", None]}), "b": pa.table({"x": pa.array([1], pa.int32())})},
        {"deep": {"b": [1, 2.5, None], "a": "x"}, "number": np.float32(0.5), "count": np.int64(7)},
        {"inner": State({"w": np.ones(2)}, {}, {"n": 1}, {"again": State({}, {}, {"m": 2})})},
    )
    hold(state).save(tmp_path / "m")
    back = ethogram.load(tmp_path / "m").fitted
    assert list(back.arrays) == list(state.arrays)
    for name, array in state.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(back.arrays[name], array)
        assert back.arrays[name].shape == array.shape
    assert list(back.tables) == list(state.tables)
    assert all(back.tables[n].equals(t) for n, t in state.tables.items())
    assert back.json == {"deep": {"b": [1, 2.5, None], "a": "x"}, "number": 0.5, "count": 7}
    assert list(back.json["deep"]) == ["b", "a"]
    assert back.parts["inner"].json == {"n": 1}
    assert back.parts["inner"].parts["again"].json == {"m": 2}


def test_members_are_plain_files(model):
    assert sorted(p.name for p in model.iterdir()) == ["arrays.safetensors", "items.parquet", "state.json"]
    head = json.loads((model / "state.json").read_text())
    assert head["format"] == 1
    assert head["key"] == "counter"
    assert head["options"]["own"] == 2.0
    assert set(head["sha256"]) == {"arrays.safetensors", "items.parquet"}


@pytest.mark.parametrize("member", ["arrays.safetensors", "items.parquet", "state.json"])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_is_found(model, member, place):
    data = bytearray((model / member).read_bytes())
    data[int(place * len(data))] ^= 1
    (model / member).write_bytes(bytes(data))
    with pytest.raises(StateError, match=member):
        ethogram.load(model)


@pytest.mark.parametrize("member", ["arrays.safetensors", "items.parquet"])
def test_a_missing_or_shortened_member_is_named(model, member):
    data = (model / member).read_bytes()
    (model / member).write_bytes(data[:-1])
    with pytest.raises(StateError, match=f"{member} is damaged"):
        ethogram.load(model)
    (model / member).unlink()
    with pytest.raises(StateError, match=f"{member} is missing"):
        ethogram.load(model)


def test_parts_are_verified(tmp_path):
    hold(State({}, {}, {}, {"inner": State({"w": np.ones(2)})})).save(tmp_path / "m")
    with pytest.raises(StateError, match="belongs to a part"):
        ethogram.load(tmp_path / "m" / "parts" / "inner")
    (tmp_path / "m" / "parts" / "inner" / "arrays.safetensors").unlink()
    with pytest.raises(StateError, match=r"parts/inner/arrays.safetensors is missing"):
        ethogram.load(tmp_path / "m")


def test_a_newer_version_is_refused(model):
    head = json.loads((model / "state.json").read_text())
    (model / "state.json").write_text(json.dumps({**head, "format": 2}))
    with pytest.raises(StateError, match=r"state.json was written by a newer version \(format 2; .* up to 1\)"):
        ethogram.load(model)


def test_what_another_version_kept_is_told(tmp_path):
    from ethogram.saving import save

    other = Counter().fit(example())
    other.state = lambda: State({"counts": np.ones(3)})
    save(other, tmp_path / "m")
    with pytest.raises(
        StateError, match=r"was saved by a version that keeps other things \(KeyError: .*\)\. Fit it again"
    ):
        ethogram.load(tmp_path / "m")


def test_not_a_model(tmp_path):
    with pytest.raises(StateError, match=r"is not a saved system"):
        ethogram.load(tmp_path)
    with pytest.raises(StateError, match=r"is not a saved system"):
        ethogram.load(tmp_path / "nowhere")
    (tmp_path / "state.json").write_text("[]")
    with pytest.raises(StateError, match=r"state.json is damaged"):
        ethogram.load(tmp_path)


def resign(model, **changes):
    head = json.loads((model / "state.json").read_text())
    head.pop("checksum")
    head |= changes
    head["checksum"] = saving._checksum(head)
    (model / "state.json").write_text(json.dumps(head))


def test_unknown_option_and_unknown_system(model):
    resign(model, options={"own": 2.0, "ownn": 1})
    with pytest.raises(OptionError, match=r"counter has no option 'ownn'\. Did you mean 'own'"):
        ethogram.load(model)
    resign(model, key="countr")
    with pytest.raises(UnknownName, match="Did you mean 'counter'"):
        ethogram.load(model)


def test_unfitted_is_not_saved(tmp_path):
    with pytest.raises(NotFitted):
        Counter().save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_or_refused(model, tmp_path):
    Counter(own=5.0).fit(example()).save(model)
    assert ethogram.load(model).own == 5.0
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    other = tmp_path / "letters"
    other.mkdir()
    Counter().fit(example()).save(other)  # an empty folder is free
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years")
    with pytest.raises(StateError, match="is not a saved system; it is left as it is"):
        Counter().fit(example()).save(tmp_path / "full")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years"


def test_a_failed_save_leaves_what_was_there(model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    before = {p.name: p.read_bytes() for p in model.iterdir()}
    monkeypatch.setattr(saving, "_sync", full)
    with pytest.raises(OSError, match="No space"):
        Counter(own=9.0).fit(example()).save(model)
    assert {p.name: p.read_bytes() for p in model.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_replacing_where_the_system_cannot_swap(model, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "_exchange", lambda one, other: False)
    Counter(own=5.0).fit(example()).save(model)
    assert ethogram.load(model).own == 5.0
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_what_cannot_be_written_is_refused(tmp_path):
    for state, said in (
        (State({"a": np.array(["text"])}), "array 'a'"),
        (State({}, {}, {"x": object()}), "object"),
        (State({}, {}, {"x": np.ones(3)}), "ndarray"),
        (State({}, {}, {}, {"..": State()}), "cannot name"),
    ):
        with pytest.raises(StateError, match=said):
            hold(state).save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_systems_inside_systems(tmp_path):
    log = example()
    both = (Counter(own=3.0) >> Counter(mode="plain")).fit(log)
    both.save(tmp_path / "m")
    back = ethogram.load(tmp_path / "m")
    assert (back.retriever.own, back.ranker.mode) == (3.0, "plain")
    assert back.recommend(log.histories(), 4).equals(both.recommend(log.histories(), 4))
    shutil.rmtree(tmp_path / "m" / "options" / "ranker")
    with pytest.raises(StateError, match="options/ranker"):
        ethogram.load(tmp_path / "m")


def test_a_model_is_readable_by_others(model):
    assert model.stat().st_mode & 0o777 == 0o755


def test_notes_are_kept_beside(tmp_path):
    Counter().fit(example()).save(tmp_path / "m", notes={"log": "here", "seed": 3})
    assert saving.notes(tmp_path / "m") == {"log": "here", "seed": 3}
    Counter().fit(example()).save(tmp_path / "m")
    assert saving.notes(tmp_path / "m") == {}
