"""2,000 real descriptions of people, each consistent: none is accused; different people put together are found out."""

import csv

import pytest

from ethogram.data.files import found
from ethogram.errors import MissingData
from ethogram.world.people.contradictions import contradictions


def test_consistent_people_are_left_alone_and_mixed_ones_are_found():
    try:
        (path,) = found("persona-chat", "persona-chat/Synthetic-Persona-Chat_valid.csv")
    except MissingData as error:
        pytest.skip(str(error))
    with path.open(newline="", encoding="utf-8") as file:
        people = [row[f"user {u} personas"].split("\n") for row in csv.DictReader(file) for u in (1, 2)]
    assert len(people) == 2_000
    assert [p for p in people if contradictions(p)] == []
    mixed = [[*a, *b] for shift in (3, 11, 29) for a, b in zip(people, people[shift:], strict=False)]
    assert sum(bool(contradictions(p)) for p in mixed) >= 40
