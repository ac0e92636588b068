"""Tuning a small decoder from scratch: what it learns, what it does not, and what it leaves alone."""

import random

import numpy as np
import pytest

from ethogram.errors import CapabilityError, OptionError, WeightsError
from ethogram.evaluate.bootstrap import mean_difference
from ethogram.lm import LM, Broker
from ethogram.lm.messages import Message
from ethogram.lm.rewards import Reward, Term, alarms

pytest.importorskip("trl")
pytest.importorskip("peft")

from ethogram.lm.tiny import decoder, saved, tokenizer
from ethogram.lm.tune import IGNORED, Pair, Training, dpo, masked, preferences, sft, surprise

THINGS = ["tea", "silk", "salt", "wool", "glass", "honey", "paper", "bread", "iron", "rope"]


def talk(thing, answer):
    return [Message("user", f"get {thing}"), Message("assistant", answer)]


@pytest.fixture(scope="module")
def words():
    return tokenizer([f"get {t} here is {t} take {t} now please" for t in THINGS] * 3, 330)


@pytest.fixture(scope="module")
def taught(words, tmp_path_factory):
    """A decoder that answers "here is X" or "take X", both equally often."""
    face = saved(decoder(len(words), layers=2, width=48), words, tmp_path_factory.mktemp("blank"))
    talks = [talk(t, f"{how} {t}") for t in THINGS for how in ("here is", "take")]
    tuned = sft(face, talks, Training(steps=90, batch=20, lr=8e-3))
    return face, tuned, tuned.save(tmp_path_factory.mktemp("taught"))


def pairs(things):
    return [Pair(f"get {t}", f"here is {t}", f"take {t}") for t in things]


def test_examples_are_learned(taught):
    blank, tuned, face = taught
    assert np.mean(tuned.losses[-5:]) < 0.35 * np.mean(tuned.losses[:5])
    start = face.ids(face.prompt([{"role": "user", "content": "get tea"}]), control=True)
    ids, _, finish = face.write(start, max_tokens=20)
    assert finish == "stop"
    assert face.model_and_tokenizer[1].decode(ids) in ("here is tea", "take tea")
    ids, _, _ = blank.write(start, max_tokens=20)
    assert blank.model_and_tokenizer[1].decode(ids) not in ("here is tea", "take tea")


@pytest.mark.parametrize("rank", [0, 8])
def test_pairs_shift_the_preference_on_held_out_prompts(taught, rank, tmp_path):
    _, _, face = taught
    seen, held = pairs(THINGS[:6]), pairs(THINGS[6:])
    before = preferences(face, held)
    weights = {n: p.detach().clone() for n, p in face.model_and_tokenizer[0].named_parameters()}
    tuned = dpo(face, seen, Training(steps=30, batch=8, lr=2e-2 if rank else 2e-3, rank=rank), beta=0.2)
    shift = mean_difference(preferences(tuned.save(tmp_path), held), before, resamples=300)
    assert shift.low > 1.0, shift
    changed = [n for n, p in face.model_and_tokenizer[0].named_parameters() if not (p == weights[n]).all()]
    assert not changed, "the model it was taught from has changed"


def test_only_the_chosen_roles_are_learned(taught):
    _, _, face = taught
    words = face.model_and_tokenizer[1]
    said = [Message("system", "be brief"), *talk("tea", "here is tea"), *talk("salt", "take salt")]
    for role, told in (
        ("assistant", "here is tea<|im_end|>take salt<|im_end|>"),
        ("user", "get tea<|im_end|>get salt<|im_end|>"),
    ):
        ids, labels = masked(face, said, (role,))
        assert len(ids) == len(labels)
        assert words.decode([v for v in labels if v != IGNORED]) == told
        whole = words.apply_chat_template([{"role": m.role, "content": m.text} for m in said], tokenize=False)
        assert words.decode(ids) == whole


def test_a_text_that_looks_like_a_marker_stays_text(taught):
    _, _, face = taught
    ids, _ = masked(face, [Message("user", "say <|im_end|> now")])
    end = face.model_and_tokenizer[1].eos_token_id
    assert ids.count(end) == 1


def test_the_same_seed_gives_the_same_weights_and_nothing_else_changes(taught):
    _, _, face = taught
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    made = [dpo(face, pairs(THINGS[:4]), Training(steps=2, batch=4, seed=5)) for _ in range(2)]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # noqa: NPY002
    one, two = (dict(m.model.named_parameters()) for m in made)
    assert all((one[n] == two[n]).all() for n in one)


def test_bad_input_is_told(taught):
    _, _, face = taught
    with pytest.raises(OptionError, match="answers of pair 1 are equal"):
        dpo(face, [Pair("a", "b", "c"), Pair("a", "b", "b")])
    with pytest.raises(OptionError, match="0 pairs"):
        dpo(face, [])
    with pytest.raises(OptionError, match="does critic say anything"):
        sft(face, [talk("tea", "here")], learn=("critic",))
    with pytest.raises(OptionError, match="too small"):
        Training(steps=0)


def test_rewards_combine_and_tell_their_parts():
    half = Term(lambda p, r: [0.5] * len(r))
    ones = Term(lambda p, r: [1.0 if "yes" in t else 0.0 for t in r], weight=3)
    for mode, expected in (
        ("arithmetic", [0.875, 0.125]),
        ("geometric", [0.5**0.25, 0.0]),
        ("harmonic", [1 / 1.25, 0.0]),
    ):
        made = Reward({"half": half, "yes": ones}, mode)
        np.testing.assert_allclose(made(["?", "?"], ["yes", "no"]), expected)
        assert made.last["yes"].tolist() == [1, 0]
    squared = Reward({"x": Term(lambda p, r: [float(len(t)) for t in r], transform=lambda x: x**2)})
    assert squared(["?"], ["abc"]).tolist() == [9]
    for bad, said in (
        ({}, "one or more parts"),
        ({"x": Term(lambda p, r: [1.0])}, "gave"),
        ({"x": Term(lambda p, r: [float("nan")] * len(r))}, "NaN"),
    ):
        with pytest.raises(OptionError, match=said):
            Reward(bad)(["?", "?"], ["a", "b"])
    with pytest.raises(OptionError, match="leaves"):
        Reward({"x": Term(lambda p, r: [2.0] * len(r))}, "geometric")(["?"], ["a"])


def test_gaming_is_noticed():
    prompts = [f"tell me about {t} in a few words" for t in THINGS]
    fair = [f"{t} is a good thing to have at home" for t in THINGS]
    assert alarms(prompts, fair, fair) == []
    again = ["it is fine indeed " * 6 for _ in THINGS]
    assert [a.habit for a in alarms(prompts, again, fair)] == ["length", "repetition"]
    assert [a.habit for a in alarms(prompts, prompts, fair)] == ["copying"]


def served(path):
    """The embedded server of a file that was written."""
    pytest.importorskip("xllamacpp")
    return LM.connect(f"local:{path}", broker=Broker.bare(), threads=1, context=256)


def test_what_was_taught_is_served_by_the_embedded_server(taught, tmp_path):
    """The same weights in llama.cpp: the same answer, and nearly the same log-probabilities."""
    _, tuned, face = taught
    lm = served(tuned.gguf(tmp_path / "taught.gguf", kind="f32"))
    assert lm.sync.chat("get tea", max_tokens=20).text.strip() in ("here is tea", "take tea")
    said = [Message("user", "get silk")]
    told = lm.sync.logprob(said, ["here is silk", "take silk"]).logprob
    start = face.ids(face.prompt([{"role": "user", "content": "get silk"}]), control=True)
    exact = [sum(s) for s in face.score(start, [face.ids(t) for t in ("here is silk", "take silk")])]
    np.testing.assert_allclose(told, exact, atol=0.05)
    lm.sync.close()


def test_a_tuned_preference_shows_through_the_embedded_server(taught, tmp_path):
    """LoRA's changes are merged, written with fewer bits, and still there on prompts that were held out."""
    _, _, face = taught
    held = pairs(THINGS[6:])
    tuned = dpo(face, pairs(THINGS[:6]), Training(steps=20, batch=6, lr=2e-2, rank=8), beta=0.2)
    before, after = preferences(face, held), preferences(tuned.face(), held)
    for kind in ("f16", "q8_0"):
        lm = served(tuned.gguf(tmp_path / f"{kind}.gguf", kind=kind))
        found = preferences(lm, held)
        np.testing.assert_allclose(found, after, atol=0.5)
        shift = mean_difference(found, before, resamples=300)
        assert shift.low > 1.0, shift
        lm.sync.close()


@pytest.mark.slow
def test_the_default_weights_are_taught_and_served(torch_face, tmp_path):
    """SmolLM2-135M: two updates by pairs; the embedded server has the file and the shift, its tokenizer is whole."""
    from ethogram.lm import gguf, weights

    face = torch_face.wire
    asked = [Pair(f"Where is the {t}?", "Over there, dear.", "On the table.") for t in (*THINGS, "soap", "lamp")]
    tuned = dpo(face, asked[:10], Training(steps=2, batch=2, rank=8))
    path = tuned.gguf(tmp_path / "mine.gguf", kind="q8_0")
    before, after = gguf.check(weights.find()), gguf.check(path)
    assert (after.parameters, after.context) == (before.parameters, before.context)
    kept = {n: v for n, v in before.facts.items() if n.startswith("tokenizer.")}
    assert {n: after.facts.get(n) for n in kept} == kept
    lm = served(path)
    assert (preferences(lm, asked[10:]) - preferences(face, asked[10:])).min() > 5
    lm.sync.close()


def test_it_is_written_whole_or_not_at_all(taught, tmp_path):
    _, tuned, _ = taught
    for path, said in (("mine.bin", "must end in .gguf"), ("none/mine.gguf", "there is no folder")):
        with pytest.raises(OptionError, match=said):
            tuned.gguf(tmp_path / path)
    with pytest.raises(OptionError, match=r"'f61'\. Did you mean 'f16'\?"):
        tuned.gguf(tmp_path / "mine.gguf", kind="f61")
    other = tuned._replace(source=tuned.gguf(tmp_path / "other.gguf"))
    small = decoder(64, layers=1, width=32)
    with pytest.raises(WeightsError, match="it is not the model's tokenizer"):
        other._replace(model=small).gguf(tmp_path / "mine.gguf")
    small.config.model_type = "bert"
    with pytest.raises(CapabilityError, match="'bert' cannot be written"):
        other._replace(model=small).gguf(tmp_path / "mine.gguf")
    with pytest.raises(CapabilityError, match="of no merges cannot be written"):
        tuned._replace(tokenizer=tokenizer()).gguf(tmp_path / "mine.gguf")
    assert [p.name for p in tmp_path.iterdir()] == ["other.gguf"]


def test_surprise_is_the_loss_of_what_a_role_says(taught):
    blank, _, face = taught
    talks = [talk(t, f"here is {t}") for t in THINGS[:4]]
    import torch

    model, _ = face.model_and_tokenizer
    for one, found in zip(talks, surprise(face, talks), strict=True):
        ids, labels = masked(face, one)
        with torch.inference_mode():
            plain = float(model(torch.tensor([ids]), labels=torch.tensor([labels])).loss)
        assert found == pytest.approx(plain, abs=1e-4)
    assert surprise(blank, talks).mean() > 4 * surprise(face, talks).mean()
    assert np.isnan(surprise(face, talks, ("tool",))).all()
