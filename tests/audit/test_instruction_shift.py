"""What instruction tuning changed: equations against independent values, planted shifts, one look at real weights."""

import json

import numpy as np
import pytest

from ethogram.errors import CapabilityError, OptionError
from ethogram.lm.auditing import audit
from ethogram.lm.blocking import run
from ethogram.lm.scripted import ScriptedLM

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ethogram.audit.instruction_shift import InstructionShift, Pair, concepts, density, findings, heads
from ethogram.audit.instruction_shift.pair import answered, asked, opened
from ethogram.audit.instruction_shift.probes import Check, Probe, Probes, find
from ethogram.lm import invented, tiny
from ethogram.lm.torchface import TorchFace


@pytest.fixture(scope="module")
def small():
    """An untaught decoder whose heads share keys two by two."""
    import transformers

    words = tiny.of_words(invented.vocabulary())
    shape = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.4, pad_token_id=0, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip
    return TorchFace.of(transformers.LlamaForCausalLM(shape), words, "small")


def test_levels_density_and_score_by_hand():
    pushed = np.array([[1.0, 2.0, -1.0], [0.29, 0.0, 0.0], [0.9, 1.41, 4.0], [0.1, -3.0, 0.01]])
    all_levels = [[10, 10, 0], [3, 0, 0], [9, 8, 10], [1, 0, 1]]
    np.testing.assert_array_equal(density.levels(pushed, 0), all_levels)
    np.testing.assert_array_equal(density.levels(pushed), [[10, 10, 0], [0, 0, 0], [9, 8, 10], [0, 0, 0]])
    np.testing.assert_array_equal(density.levels(-pushed[:1], 0), [[0, 0, 10]])
    first = 20 / 20000**0.25
    third = 27 / (9**4 + 8**4 + 10**4) ** 0.25
    found = density.density(density.levels(pushed))
    np.testing.assert_allclose(found, [first / third, 0, 1, 0])
    assert density.score(found, np.array([1, 0, 1, 1], bool)) == pytest.approx((1 + first / third) / np.log2(5))
    with pytest.raises(OptionError, match="no token"):
        density.score(found, np.zeros(4, bool))


def test_probabilities_and_their_logarithms_give_the_same_levels():
    rng = np.random.default_rng(0)
    pushed, p = rng.normal(size=(9, 5)), rng.random(5)
    np.testing.assert_array_equal(density.levels(pushed), density.levels(pushed * p))


def test_one_sided_tests_against_the_formulas():
    a, b = np.array([1.2, 2.3, 1.9, 3.1]), np.array([0.9, 1.4, 1.1])
    from scipy.stats import t

    va, vb = a.var(ddof=1) / 4, b.var(ddof=1) / 3
    df = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 2)
    assert findings.welch(a, b) == pytest.approx(t.sf((a.mean() - b.mean()) / np.sqrt(va + vb), df))
    gap = a - 1.5
    assert findings.paired([*a, 7], [1.5] * 4 + [np.nan]) == pytest.approx(t.sf(gap.mean() / (gap.std(ddof=1) / 2), 3))
    assert np.isnan(findings.welch([1.0], b))
    assert (findings.paired([1, 2], [1, 2]), findings.paired([2, 3], [1, 2])) == (1.0, 0.0)


def test_known_pairs_against_plain_loops(small):
    words = heads.whole_words(small, 60)
    ids = list(words.values())
    model, _ = small.model_and_tokenizer
    table = model.get_input_embeddings().weight.detach().numpy()[ids]
    close = heads.similar(table, background=0.5)
    assert not close.diagonal().any()
    assert close.any()
    found = heads.counts(small, ids, close, top=15)
    for layer, head in ((0, 3), (2, 0)):
        part = model.model.layers[layer].self_attn
        gain = model.model.layers[layer].input_layernorm.weight.detach().numpy()
        q = (table * gain) @ part.q_proj.weight.detach().numpy()[head * 4 : head * 4 + 4].T
        k = (table * gain) @ part.k_proj.weight.detach().numpy()[head // 2 * 4 : head // 2 * 4 + 4].T
        seen: dict[tuple[int, int], int] = {}
        for r in range(4):
            for a in np.argsort(-np.abs(q[:, r]))[:15].tolist():
                for b in np.argsort(-np.abs(k[:, r]))[:15].tolist():
                    if close[a, b] and q[a, r] * k[b, r] > 0:
                        seen[a, b] = seen.get((a, b), 0) + 1
        known = [p for p, n in seen.items() if n >= 2]
        expected = [sum((w == a) + (w == b) for a, b in known) for w in range(len(ids))]
        np.testing.assert_array_equal(found[layer, head], expected)


def test_wins_are_shares_of_the_heads_that_changed():
    base, tuned = np.zeros((3, 4, 2), int), np.zeros((3, 4, 2), int)
    tuned[0, :3, 0], base[0, 3, 0], base[1, 0, 0] = 2, 1, 5
    np.testing.assert_array_equal(heads.wins(base, tuned), [[0.75, np.nan], [0, np.nan], [np.nan, np.nan]])


def test_concepts_are_the_words_on_the_principal_directions(small):
    words = heads.whole_words(small, 80)
    ids = list(words.values())
    model, _ = small.model_and_tokenizer
    rows = model.model.layers[1].mlp.down_proj.weight.detach().double().numpy().T
    directions = np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][:5]
    out = model.get_output_embeddings().weight.detach().double().numpy()[ids]
    size = np.abs(directions @ (out / np.linalg.norm(out, axis=1, keepdims=True)).T)
    found = concepts.concepts(small, 1, ids, most=5, top=7)
    assert found == np.argsort(-size, axis=1)[:, :7].tolist()


def test_tasks_and_levels_are_named():
    words = ["write", "poem", "story", *[f"{a}{b}{c}" for a in "bdfg" for b in "aeiou" for c in "klm"]]
    lexica = {"writing": ("write", "poem", "story"), "maths": ("sum",)}
    assert concepts.by_task([[0, 1, 2, 9], [0, 20, 30, 40], [11, 12]], words, lexica) == ["writing", "none", "none"]
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 20))
    vectors[50:60] += 3
    odd = ["".join(rng.choice(list("bcdfghjklmnpqrtvwxz"), 7)) for _ in range(200)]
    odd[0:8] = ["the", "and", "with", "from", "they", "which", "about", "into"]
    odd[20:26] = ["walking", "talking", "singing", "running", "jumping", "reading"]
    odd[30:36] = ["stone", "storm", "stick", "staff", "stamp", "stove"]
    judge = concepts.Levels(odd, vectors)
    named = [judge.name(list(r)) for r in (range(8), range(20, 26), range(30, 36), range(50, 60), range(100, 102))]
    assert named == ["syntax", "morphology", "phonology", "semantics", "none"]
    np.testing.assert_allclose(concepts.shares(["a", "none", "a", "b"], ("a", "b")), [0.5, 0.25, 0.25])


def test_a_language_model_can_name_concepts():
    def choose(prompt, texts):
        return [0.0 if t == ("writing" if "poem" in prompt else "none") else -9.0 for t in texts]

    lm = ScriptedLM("none", rater=choose)
    said = run(concepts.by_model(lm, [[0, 1], [2]], ["poem", "verse", "stone"], ("writing", "maths")))
    assert said == ["writing", "none"]


@pytest.mark.parametrize("probes", ["everyday", "lessons"])
def test_a_planted_shift_is_found_and_none_where_there_is_none(probes):
    built = InstructionShift(probes=probes, prompts=5, longest=3)
    shifted, unchanged = built.planted()
    for one, verdict in ((shifted, "pass"), (unchanged, "fail")):
        report = run(audit(built, one.lm))
        for name, truth in one.truth.items():
            assert report.metrics[name][0] == pytest.approx(truth, abs=1e-6), (one.name, name)
        assert report.verdict == verdict, report.why
    assert not any(v for v, _, _ in report.contrasts.values())
    assert not any(n.startswith("wins") for n in report.metrics)


def test_the_instruction_is_found_in_the_template(small):
    probe = Probe(("anna has lemon .", "reverse !", "words : river ."), 1)
    assert probe.where == "middle"
    made = asked(small, probe)
    _, words = small.model_and_tokenizer
    own = made.ids[made.own]
    assert words.decode(own) == probe.prompt
    assert words.decode(np.array(own)[made.instruction]) == "reverse !"
    assert words.decode(made.ids[: made.own.start]) == "<|im_start|> user"
    given = Probe(probe.parts, 1, answer="river lemon", rating=4)
    assert answered(small, given, made, 1) == (small.ids("river"), "river lemon")


def test_ratings_of_given_answers_feed_the_detector(small, tmp_path):
    rows = [
        {"parts": ["reverse !", f"words : {a} {b} ."], "asked": 0, "answer": f"{b} {a}", "rating": 1 + 3 * (i % 2)}
        for i, (a, b) in enumerate(zip(invented.NOUNS[:4], invented.NOUNS[4:8], strict=True))
    ]
    path = tmp_path / "rated.json"
    path.write_text(json.dumps({"prompts": rows}))
    report = run(audit(InstructionShift(probes=str(path), look="prompts"), small))
    assert report.metrics["followed tuned"][0] == 0.5
    yes, no = ([r["score tuned"] for r in report.rows.to_pylist() if r["followed tuned"] == v] for v in (1.0, 0.0))
    area = np.mean([(a > b) + 0.5 * (a == b) for a in yes for b in no])
    assert report.metrics["detector auc"][0] == pytest.approx(area)
    assert report.contrasts["score: followed − not"][0] == pytest.approx(np.mean(yes) - np.mean(no))
    assert any("without a base" in n for n in report.notes)


def test_checks():
    assert Check(matches=r"[^,]+,[^,]+", words=(2, 4))(" tea, salt ")
    assert not Check(matches=r"[^,]+,[^,]+")("tea")
    assert Check(contains=("Bonjour",))("it is BONJOUR")
    assert not Check(words=(1, 1))("")
    assert Check(equals="a b")("a b\n")
    everyday = find("everyday", 60, 0)
    assert len(everyday.prompts) == 60 == len({p.prompt for p in everyday.prompts})
    assert {p.where for p in everyday.prompts} == {"start", "middle", "end"}


GOOD = {"parts": ["Say yes.", "It rains."], "asked": 0, "check": {"contains": ["yes"]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"asked": 2}, "prompt 0: a probe of 2 parts"),
        ({"parts": ["Say yes.", " "]}, "none may be empty"),
        ({"place": "left"}, "unknown place 'left'"),
        ({"check": {"matches": "("}}, "prompt 0: missing"),
        ({"check": {"holds": 1}}, "prompt 0: .*holds"),
        ({"rating": 3}, "belongs to an answer"),
        ({"answr": "yes"}, "'answr' is nothing that a prompt holds. Did you mean 'answer'"),
    ],
)
def test_bad_probes_are_told(tmp_path, change, said):
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"prompts": [{**GOOD, **change}]}))
    with pytest.raises(OptionError, match=said):
        Probes.read(path)


@pytest.mark.parametrize("text", ["{", "[]", '{"prompts": []}', '{"prompts": [3]}'])
def test_a_file_of_no_probes_is_told(tmp_path, text):
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(OptionError, match=r"own\.json"):
        InstructionShift(probes=str(path)).items()


def test_bad_options_and_subjects_are_told(small):
    with pytest.raises(OptionError, match="Did you mean 'lessons'"):
        InstructionShift(probes="lesson").items()
    with pytest.raises(OptionError, match="longest = 0 must be at least 1"):
        InstructionShift(longest=0)
    with pytest.raises(OptionError, match="floor = 10"):
        InstructionShift(floor=10)
    with pytest.raises(OptionError, match="shows no gradients"):
        opened("http://localhost:1/v1")
    with pytest.raises(CapabilityError, match="shows no gradients"):
        run(audit(InstructionShift(probes="lessons", prompts=1, look="prompts"), ScriptedLM("yes")))
    other = tiny.of_words(["one", "two"])
    with pytest.raises(OptionError, match="no tuned form of"):
        Pair(TorchFace.of(tiny.decoder(len(other), width=16), other, "other"), small)


def test_the_real_weights_are_read(torch_face):
    """One prompt, answered and explained; the words that the heads and concepts are read in."""
    built = InstructionShift(prompts=1, longest=2, look="prompts")
    report = run(audit(built, torch_face))
    (row,) = report.rows.to_pylist()
    assert 0 < row["score tuned"] < 4
    words = heads.whole_words(torch_face.wire, 2000, ["summarize"])
    assert {"write", "explain", "summarize"} <= words.keys()
    face = torch_face.wire
    found = concepts.concepts(face, 29, list(words.values()), most=3, top=10)
    assert [len(c) for c in found] == [10, 10, 10]
