"""Personas: what they say, how they are kept, and who is refused."""

import json

import numpy as np
import pytest

from ethogram.errors import OptionError, PersonaError
from ethogram.lm.blocking import run
from ethogram.lm.scripted import ScriptedLM
from ethogram.text.dense import hashed
from ethogram.world.people.contradictions import contradictions
from ethogram.world.people.expand import expand, expand_by, words
from ethogram.world.people.grammar import phrase
from ethogram.world.people.persona import TRAITS, Persona, read, write
from ethogram.world.people.prefab import PEOPLE, SCENES, Scene, person


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
def test_people_come_back_from_a_file_as_they_were(tmp_path, ending):
    extra = Persona(id="bare", demographics={"age": 30, "height": 1.7, "member": True}, provenance={"row": 3})
    path = write([*PEOPLE, extra], tmp_path / f"people.{ending}")
    assert read(path) == [*PEOPLE, extra]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "x", "goal": []}, r"number 1: unknown field 'goal'. Did you mean 'goals'"),
        ({"style": "x"}, "number 1: a persona needs an id"),
        ({"id": "x", "goals": "win"}, "goals must be a list"),
        ({"id": "x", "traits": {"openness": 3}}, "all of openness"),
        ({"id": "x", "traits": dict.fromkeys(TRAITS, 7)}, r"traits.openness = 7 is not a number from 1 to 5"),
        ({"id": "x", "interests": {"tea": -1}}, r"interests.tea = -1 is not a weight"),
        ({"id": " "}, "id must be a text"),
        ({"id": "x", "demographics": {"age": [3]}}, r"demographics.age must be"),
        ({"id": "x", "attributes": [3]}, "attributes must be a list of texts"),
        (["x"], "a persona is an object"),
        ({"id": "x", "attributes": ["is a vegetarian", "loves steak"]}, r'"is a vegetarian" contradicts "loves steak"'),
    ],
)
def test_a_bad_persona_is_refused_and_the_place_is_named(tmp_path, row, said):
    path = tmp_path / "people.json"
    path.write_text(json.dumps([row]))
    with pytest.raises(PersonaError, match=said) as told:
        read(path)
    assert "people.json" in str(told.value)


def test_a_bad_file_is_refused(tmp_path):
    for name, text, said in (
        ("a.json", "{", "cannot be read"), ("b.json", "{}", "holds a list"), ("c.csv", "id", "read from .json"),
        ("d.parquet", "no", "cannot be read"), ("e.json", '[{"id":"x"},{"id":"x"}]', "'x' stands twice"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        with pytest.raises(PersonaError, match=said):
            read(tmp_path / name)
    with pytest.raises(PersonaError, match="there is no file"):
        read(tmp_path / "none.json")
    with pytest.raises(PersonaError, match="are written as"):
        write(PEOPLE, tmp_path / "people.csv")
    assert len(read_contradicting(tmp_path)) == 1


def read_contradicting(folder):
    path = write([Persona(id="x", attributes=("is single", "is married"))], folder / "odd.json")
    with pytest.raises(PersonaError, match="marital"):
        read(path)
    return read(path, contradicting=True)


@pytest.mark.parametrize(
    ("pair", "rule"),
    [
        (("likes coffee", "does not like coffee"), "negation"), (("enjoys running", "hates running"), "negation"),
        (("drinks tea", "never drinks tea"), "negation"), (("is shy", "is very outgoing"), "antonym"),
        (("is an early riser", "is a late riser"), "antonym"), (("has two children", "has 3 kids"), "number"),
        (("age: 34", "is 45 years old"), "slot: age"), (("works as a nurse", "works as a teacher"), "slot: job"),
        (("lives in Berlin", "lives in Rome with a cat"), "slot: home"), (("vegan", "loves cheese"), "slot: diet"),
        (("is an only child", "has two sisters"), "slot: siblings"),
        (("is married", "is single"), "slot: marital status"), (("I'm married", "I am single"), "slot: marital status"),
    ],
)  # fmt: skip
def test_contradictions_are_found(pair, rule):
    assert [c.rule for c in contradictions(pair)] == [rule]
    assert [c.rule for c in contradictions(pair[::-1])] == [rule]


@pytest.mark.parametrize(
    "pair",
    [
        ("likes coffee", "likes tea"), ("likes coffee", "does not like tea"), ("has two cats", "has 3 dogs"),
        ("is shy", "loves outgoing music"), ("does not eat meat", "is a vegetarian"), ("is shy", "is quiet"),
        ("works as a nurse", "has worked in Berlin"), ("lives in Berlin", "lives in Berlin with a cat"),
        ("works as a teacher", "also works as a custodian"), ("lives in the city", "lives in Rome"),
        ("I used to live in Rome", "I live in Oslo"), ("is not married", "is single"),
        ("is a vegetarian", "does not like meat"), ("has a sister", "has a brother"),
    ],
)  # fmt: skip
def test_what_goes_together_is_left_alone(pair):
    assert contradictions(pair) == []


def test_the_five_factors_are_statements():
    traits = dict(zip(TRAITS, (3, 3, 4.5, 3, 3), strict=True))
    found = contradictions(Persona(id="x", traits=traits, attributes=("is very shy",)))
    assert found[0].second == "outgoing (extraversion 4.5)"
    assert found[0].rule == "antonym"
    assert not contradictions(Persona(id="x", traits=traits | {"extraversion": 3}, attributes=("is very shy",)))


def test_a_thousand_people_from_ten_differ():
    made = expand(PEOPLE, 1_000, seed=1)
    told = [words(p).casefold() for p in made.people]
    assert len(set(told)) >= 950
    assert len({p.id for p in made.people}) == 1_000
    assert not any(contradictions(p) for p in made.people)
    v = hashed(told)
    close = v @ v.T - np.eye(len(v))
    assert close.max() <= 0.9 + 1e-3
    # less alike than the seeds drawn again and again
    seeds = hashed([words(PEOPLE[i]).casefold() for i in np.random.default_rng(0).integers(10, size=1_000)])
    assert close.mean() < (seeds @ seeds.T - np.eye(1_000)).mean() - 0.02
    ages = np.array([p.demographics["age"] for p in made.people])
    assert ages.min() >= 17
    assert ages.max() <= 70
    assert abs(ages.mean() - np.mean([p.demographics["age"] for p in PEOPLE])) < 3
    assert made.people[:50] == expand(PEOPLE, 50, seed=1).people


def test_near_duplicates_and_contradictions_are_thrown_away():
    seeds = [Persona(id="a", attributes=("is shy",)), Persona(id="b", attributes=("is outgoing", "is kind"))]
    made = expand(seeds, 2, grammar=None, tries=100)
    assert made.rejected["near-duplicate"] > 0
    assert made.rejected["contradiction"] > 0
    with pytest.raises(OptionError, match=r"only \d+ differ.*500 were asked for"):
        expand(seeds, 500, grammar=None, tries=2)
    with pytest.raises(OptionError, match="0 seeds"):
        expand([], 5)
    with pytest.raises(OptionError, match="near = 0"):
        expand(PEOPLE, 5, near=0)


def test_a_grammar_that_does_not_end_or_misses_a_rule():
    rng = np.random.default_rng(0)
    with pytest.raises(OptionError, match="never ends"):
        phrase({"a": ["{a}"]}, "a", rng)
    with pytest.raises(OptionError, match="unknown rule 'place'"):
        phrase({"a": ["to {place}"]}, "a", rng)


def test_a_model_continues_the_seeds():
    topics = ["chess", "whales", "opera", "stamps", "gliding", "cheese", "rowing", "judo"]

    def invent(messages, rng):
        if rng.random() < 0.2:
            return {"name": "Odd", "age": 40, "attributes": ["is shy", "is outgoing"], "goals": ["wins"],
                    "interests": ["tea"], "style": "dry"}  # fmt: skip
        a, b = rng.sample(topics, 2)
        return {"name": "Somebody", "age": rng.randint(20, 80), "attributes": [f"teaches {a}", f"dreams of {b}"],
                "goals": [f"wants to master {b}"], "interests": [a, b], "style": "dry"}  # fmt: skip

    lm = ScriptedLM(invent, seed=3)
    made = run(expand_by(lm, PEOPLE, 12, about="a club", seed=2))
    assert len(made.people) == 12
    assert made.rejected["contradiction"] > 0
    assert len({words(p) for p in made.people}) == 12
    assert made.people[0].provenance["by"] == "language model"
    prompts = {m[-1].text for m in lm.asked}
    assert len(prompts) > 1  # the examples rotate
    silent = run(expand_by(ScriptedLM("nothing"), PEOPLE, 2))
    assert silent.people == []
    assert silent.rejected["no answer"] == 6


def test_prefab_people_meet_in_scenes():
    assert not any(contradictions(p) for p in PEOPLE)
    for scene in SCENES:
        assert [p.id for p in scene.cast(PEOPLE)] == list(scene.people)
    assert person("mei").name == "Mei Tanaka"
    with pytest.raises(OptionError, match="Did you mean 'ines'"):
        person("inez")
    with pytest.raises(OptionError, match="unknown person 'kofi'"):
        Scene(id="x", place="", premise="", people=("ines",), told={"kofi": "psst"})
    with pytest.raises(OptionError, match="no hour"):
        Scene(id="x", place="", premise="", people=("ines",), start=25)
    with pytest.raises(OptionError, match="different ids"):
        Scene(id="x", place="", premise="", people=("ines", "ines"))
    with pytest.raises(OptionError, match="unknown person 'zoe'"):
        Scene(id="x", place="", premise="", people=("zoe",)).cast(PEOPLE)
