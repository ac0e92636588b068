"""Attributions against finite differences and completeness; the language that small decoders are taught."""

import numpy as np
import pytest

from ethogram.errors import ContextExceeded, OptionError
from ethogram.lm import invented

pytest.importorskip("transformers")

import torch

from ethogram.lm import tiny
from ethogram.lm.attribution import attribution, embedded_log_probability
from ethogram.lm.torchface import TorchFace


@pytest.fixture(scope="module")
def face():
    words = tiny.of_words(invented.vocabulary())
    return TorchFace.of(tiny.decoder(len(words), layers=2, width=16, context=40, spread=0.4, seed=3), words)


@pytest.fixture(scope="module")
def asked(face):
    return face.ids("words : lemon river . reverse !"), face.ids("river lemon")


def log_p(face, prompt, answer, scale=None):
    """log p_j, the embeddings of the prompt scaled token by token."""
    model, _ = face.model_and_tokenizer
    with torch.no_grad():
        e = model.get_input_embeddings()(torch.tensor([*prompt, *answer]))
        if scale is not None:
            e[: len(prompt)] *= torch.tensor(scale, dtype=e.dtype)[:, None]
        logits = model(inputs_embeds=e[None]).logits[0, len(prompt) - 1 : -1].double()
        return torch.log_softmax(logits, -1)[torch.arange(len(answer)), torch.tensor(answer)].numpy()


def test_it_is_the_derivative_by_the_length_of_each_embedding(face, asked):
    """I_ij = d/dt log p_j(..., (1 + t) e_i, ...) at t = 0, by differences of the fourth order."""
    prompt, answer = asked
    found, step = attribution(face, prompt, answer), 0.02

    def moved(i, by):
        scale = np.ones(len(prompt))
        scale[i] += by
        return log_p(face, prompt, answer, scale)

    for i in range(len(prompt)):
        near, far = (moved(i, k * step) - moved(i, -k * step) for k in (1, 2))
        np.testing.assert_allclose(found[i], (8 * near - far) / (12 * step), atol=5e-3 * np.abs(found).max())
    assert np.abs(found).max() > 0.01


def test_lanes_change_nothing_and_weights_keep_their_gradients(face, asked):
    model, _ = face.model_and_tokenizer
    one = attribution(face, *asked, lanes=1)
    np.testing.assert_allclose(attribution(face, *asked, lanes=8), one, atol=1e-6)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_integrated_gradients_are_complete(asked, baseline):
    """With a norm that is smooth near zero a few points are enough."""
    words = tiny.of_words(invented.vocabulary())
    model = tiny.decoder(len(words), layers=2, width=16, context=40, spread=0.4, seed=3)
    for part in model.modules():
        if hasattr(part, "variance_epsilon"):
            part.variance_epsilon = 1.0
    smooth = TorchFace.of(model, words)
    found = attribution(smooth, *asked, baseline=baseline, steps=60).sum(0)
    gone = log_p(smooth, *asked) - embedded_log_probability(smooth, *asked, baseline=baseline)
    np.testing.assert_allclose(found, gone, rtol=0.01, atol=0.005)
    assert np.abs(gone).max() > 0.05


def test_one_normalised_layer_does_not_notice_the_length_of_an_embedding(asked):
    words = tiny.of_words(invented.vocabulary())
    single = TorchFace.of(tiny.decoder(len(words), layers=1, width=16, context=40, spread=0.4), words)
    found = np.abs(attribution(single, *asked))
    assert found[:-1].max() < 1e-3 * found[-1, 0]
    assert np.abs(attribution(single, *asked, baseline="mean"))[:-1].max() > 0.01


def test_bad_input_is_told(face, asked):
    with pytest.raises(OptionError, match="0 answer tokens"):
        attribution(face, asked[0], [])
    with pytest.raises(OptionError, match="steps = -1"):
        attribution(face, *asked, steps=-1)
    with pytest.raises(ContextExceeded, match="42 tokens do not fit a context of 40"):
        attribution(face, asked[0] * 5 + asked[0][:5], asked[1])


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("copy", "river apple lemon"), ("reverse", "lemon apple river"), ("sort", "apple lemon river"),
        ("count", "three"), ("capitals", "RIVER APPLE LEMON"), ("translate", "roviru olppau nomolu"),
    ],
)  # fmt: skip
def test_right_answers(task, said):
    assert invented.right(task, ["river", "apple", "lemon"]) == said


def test_lessons_are_in_the_language_and_mark_their_instruction():
    known, made = set(invented.vocabulary()), invented.lessons(60, 4)
    assert made == invented.lessons(60, 4) != invented.lessons(60, 5)
    assert len(set(invented.FOREIGN.values())) == len(invented.NOUNS)
    assert {x.place for x in made} == set(invented.PLACES)
    assert {x.task for x in made} == set(invented.TASKS)
    for x in made:
        assert x.verb in x.parts[x.asked].split()
        assert {"start": x.asked == 0, "middle": x.asked in (1, 2), "end": x.asked == 3}[x.place]
        assert known.issuperset(f"{x.prompt} {x.answer}".split())
        assert not any(v in part.split() for i, part in enumerate(x.parts) if i != x.asked for v in invented.VERBS)
    assert known.issuperset(" ".join(invented.plain(40)).split())
    with pytest.raises(OptionError, match=r"words = \(3, 9\)"):
        invented.lessons(1, words=(3, 9))


def test_a_decoder_is_taught_and_what_it_was_stays(face):
    model, words = face.model_and_tokenizer
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    rows = [[*face.ids(f"anna has {n} . yes , {n}"), words.eos_token_id] for n in invented.NOUNS[:6]]
    labels = [[-100, -100, *row[2:]] for row in rows]
    made = TorchFace.of(tiny.taught(model, rows, labels, steps=60, batch=6, lr=2e-2), words)
    better = [f.score(rows[0][:-2], [rows[0][-2:]])[0][0] for f in (made, face)]
    assert better[0] > better[1] + 1
    assert all((p == before[n]).all() for n, p in model.named_parameters())
    with pytest.raises(OptionError, match="equal lengths"):
        tiny.taught(model, rows, labels[:-1], steps=1)
