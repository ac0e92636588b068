"""Memory streams, reflection, notebooks and contexts."""

import numpy as np
import pytest

from ethogram.errors import ContextExceeded, OptionError, UnknownName
from ethogram.lm.blocking import run
from ethogram.lm.context import Notebook, Part, about, assemble
from ethogram.lm.memory import HOUR, Memory
from ethogram.lm.reflecting import importance, reflect
from ethogram.lm.scripted import ScriptedLM
from ethogram.text.dense import hashed
from ethogram.text.table import TextTable


def stream(n=50, seed=0, **options):
    rng = np.random.default_rng(seed)
    made = Memory(TextTable(), **options)
    for i in range(n):
        made.add(f"event {rng.integers(0, 30)} at place {i}", time=i * HOUR, importance=float(rng.integers(1, 11)))
    return made


def test_the_score_is_the_sum_of_three_scaled_parts():
    made, now = stream(), 60 * HOUR
    found = made.retrieve("event 7 at place 9", 50, now=now, weights=(0.5, 2, 3), touch=False)
    texts = [made.text(i) for i in range(50)]
    parts = np.stack(
        [
            0.995 ** (60.0 - np.arange(50)),
            made.column("importance").astype(float),
            hashed(texts).astype(np.float16).astype(float) @ hashed(["event 7 at place 9"])[0],
        ],
        1,
    )
    scaled = (parts - parts.min(0)) / np.ptp(parts, axis=0)
    np.testing.assert_allclose(found.scores, (scaled @ [0.5, 2, 3])[found.records], atol=1e-5)
    assert (np.diff(found.scores) <= 1e-12).all()
    assert sorted(found.records.tolist()) == list(range(50))


def test_recency_counts_from_the_last_access():
    made = Memory(TextTable(), weights=(1, 0, 0))
    for i in range(3):
        made.add(f"event {i}", time=i * HOUR)
    assert made.retrieve("x", 1, now=3 * HOUR, touch=False).records.tolist() == [2]
    made._held["accessed"][0] = 4 * HOUR
    assert made.retrieve("x", 2, now=5 * HOUR).records.tolist() == [0, 2]
    assert made.column("accessed").tolist() == [5 * HOUR, HOUR, 5 * HOUR]


TOPICS = ("umbrella", "station", "hospital", "garden", "bakery", "harbour", "yellow")


def by_topic(texts):
    """Vectors that see topics and nothing else."""
    return np.array([[float(t in text) for t in TOPICS] + [0.01] for text in texts], np.float32)


def test_all_signals_together_find_more_than_any_alone():
    """Questions about a topic that was met twenty times: wanted is the latest of it, or what mattered most."""
    rng, made = np.random.default_rng(1), Memory(TextTable(by_topic))
    wanted: dict[str, set[int]] = {}
    for i in range(1000):
        topic = TOPICS[i % 50] if i % 50 < len(TOPICS) else ""
        latest = i % 50 % 2 == 0
        hit = bool(topic) and (i >= 900 if latest else (i // 50) % 10 == 3)
        worth = 9.5 if hit and not latest else rng.integers(1, 4)
        made.add(f"event {i} {topic}", time=int(i * 0.048 * HOUR), importance=worth)
        if hit:
            wanted.setdefault(topic, set()).add(i)

    def recall(weights):
        found = {q: made.retrieve(q, 4, now=48 * HOUR, weights=weights, touch=False).records for q in wanted}
        return np.mean([len(set(found[q].tolist()) & v) / len(v) for q, v in wanted.items()])

    together = recall((1, 1, 1))
    assert together >= 1.15 * max(recall(w) for w in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    assert together > 0.8


def test_forgetting_lets_go_of_the_weak_and_the_expired():
    made = stream(20)
    made.add("a plan", time=0, kind="plan", importance=10, expires=10 * HOUR)
    assert made.forget(11 * HOUR) == 1
    assert made.forget(30 * HOUR, most=5) == 15
    strength = made.column("importance") * 0.995 ** (30 - made.column("accessed") / HOUR)
    left = made.column("alive")
    assert strength[:20][left[:20]].min() >= strength[:20][~left[:20]].max()
    assert len(made.retrieve("event", 50, now=40 * HOUR).records) == 5


def test_nothing_is_found_before_it_happened_or_of_another_kind():
    made = stream(10)
    assert len(made.retrieve("event", 50, now=4 * HOUR).records) == 5
    made.add("a thought", time=0, kind="thought", evidence=[1, 2])
    assert made.retrieve("event", 50, now=40 * HOUR, kinds=["thought"]).texts == ["a thought"]
    assert len(Memory(TextTable()).retrieve("x", now=0).records) == 0


def test_a_stream_comes_back_from_a_table():
    made = stream(30)
    made.add("so", time=HOUR, kind="thought", evidence=[3, 4], expires=99 * HOUR)
    made.retrieve("event 3", 5, now=50 * HOUR)
    made.forget(50 * HOUR, most=20)
    back = Memory.from_arrow(made.to_arrow(), TextTable())
    for name in ("created", "accessed", "expires", "importance", "depth", "alive"):
        assert (back.column(name) == made.column(name)).all(), name
    assert back.pending == made.pending
    assert back.evidence == made.evidence
    a, b = (m.retrieve("event 9", 5, now=60 * HOUR) for m in (made, back))
    assert a.texts == b.texts


def test_reflection_keeps_only_what_cites_its_evidence():
    def policy(messages, random):
        if "questions about the person" in messages[-1].text:
            return {"questions": ["Does she like tea?"]}
        return {"insights": [{"insight": "She likes tea.", "because_of": [1, 2, 99]},
                             {"insight": "She is a pilot.", "because_of": [77]}]}  # fmt: skip

    made = Memory(TextTable(), threshold=20)
    for i in range(4):
        made.add(f"drank tea {i}", time=i, importance=6)
    assert made.due
    found = run(reflect(made, ScriptedLM(policy), now=HOUR))
    assert found.dropped == 1
    (thought,) = found.thoughts
    assert made.text(thought) == "She likes tea."
    assert len(made.evidence[thought]) == 2
    assert made.column("depth")[thought] == 1
    assert set(made.sources(thought)) == set(made.evidence[thought])
    assert made.column("expires")[thought] == HOUR + 30 * 24 * HOUR
    assert not made.due
    deeper = made.add("So buy her tea.", time=HOUR, kind="thought", evidence=[thought])
    assert made.column("depth")[deeper] == 2
    assert made.sources(deeper) == made.sources(thought)
    assert run(reflect(Memory(TextTable()), ScriptedLM(policy), now=0)).thoughts == ()


def test_importance_is_asked_but_not_of_the_idle():
    lm = ScriptedLM(lambda messages, _: {"importance": 8})
    assert run(importance(lm, "lost her job")) == 8
    assert run(importance(lm, "is idle")) == 1
    assert len(lm.wire.asked) == 1


def test_bad_records_are_refused():
    made = stream(3)
    with pytest.raises(OptionError, match="between 1 and 10"):
        made.add("x", time=0, importance=0)
    with pytest.raises(UnknownName, match="evidence 9 is no record"):
        made.add("x", time=0, evidence=[9])
    with pytest.raises(OptionError, match="decay"):
        Memory(TextTable(), decay=0)
    with pytest.raises(OptionError, match="weights"):
        Memory(TextTable(), weights=(0, 0, 0))


def test_a_context_holds_what_is_worth_most():
    parts = [Part("system rule"), Part("a " * 30, 1.0, "long"), Part("b b b", 0.5, "short"), Part("question?")]
    made = assemble(parts, 12)
    assert made.text == "system rule\n\nb b b\n\nquestion?"
    assert made.left_out == ("long",)
    assert made.tokens <= 12
    assert assemble(parts, 1000).text.startswith("system rule\n\na a")
    assert assemble(parts, 6, count=lambda t: len(t.split())).left_out == ("long",)
    with pytest.raises(ContextExceeded, match="required parts take"):
        assemble(parts, 3)
    assert about("word") == 1


def test_a_notebook_names_its_results():
    made = Notebook(window=2)
    for i in range(4):
        made.say("user", f"message {i} about tea")
    assert [t for _, t in made.recent] == ["message 2 about tea", "message 3 about tea"]
    made.write("pay <|secret|>", "trap")
    assert made.resolve("do <|trap|>") == "do pay <|secret|>"
    assert made.search("message 0", 1) == [("note_1", "message 0 about tea")]
    with pytest.raises(UnknownName, match="Did you mean 'trap'"):
        made.read("trpa")
    with pytest.raises(UnknownName, match="cannot be a name"):
        made.write("x", "two words")
    assert Notebook().search("x") == []
