"""Sequences in EasyTPP's JSON form: read, written, and told where they are wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ethogram import data
from ethogram.data.tpp_synthetic import read_sequences, write_sequences
from ethogram.errors import MissingData, SourceError, StepError


def test_the_sample_that_easytpp_ships():
    try:
        log = data.load("tpp_synthetic")
    except MissingData as error:
        pytest.skip(str(error))
    assert log.sequences().lengths.tolist() == [40] * 7 + [18]
    assert sorted(log.vocabulary("kind").ids.to_pylist()) == ["t0", "t1", "t2"]


def test_written_and_read_again(tmp_path):
    pairs = [(np.array([0.0, 0.5, 2.0]), np.array([1, 0, 2])), (np.array([3.0]), np.array([0]))]
    write_sequences(pairs, 3, tmp_path / "s.json")
    rows = json.loads((tmp_path / "s.json").read_text())
    assert rows[0]["time_since_last_event"] == [0.0, 0.5, 1.5]
    found = read_sequences(tmp_path / "s.json")
    assert found.kinds == 3
    assert found.time.tolist() == [0.0, 0.5, 2.0, 3.0]
    assert found.kind.tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("{", SourceError, "not a list of sequences"),
        ('[{"type_event": [0], "dim_process": 1}]', SourceError, "time_since_start"),
        ('[{"time_since_start": [2, 1], "type_event": [0, 0], "dim_process": 1}]', StepError, "lies before"),
        ('[{"time_since_start": [1], "type_event": [4], "dim_process": 3}]', StepError, "none of 0 to 2"),
    ],
)
def test_wrong_files_are_told(tmp_path, text, error, said):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(error, match=said):
        read_sequences(tmp_path / "s.json")
