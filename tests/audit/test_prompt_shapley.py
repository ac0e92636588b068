"""Attribution of a choice to the parts of its prompt: planted choosers, frames, templates as data."""

import json

import numpy as np
import pytest

from ethogram.audit.prompt_shapley import PromptShapley
from ethogram.audit.templates import READY, Slot, Template
from ethogram.errors import OptionError
from ethogram.lm.auditing import audit
from ethogram.lm.blocking import run
from ethogram.lm.scripted import ScriptedLM


@pytest.mark.parametrize("template", ["flights", "framing"])
def test_planted_weights_are_found_to_the_last_digit(template):
    built = PromptShapley(template=template, variants=2, rotations=1)
    for one in built.planted():
        report = run(audit(built, one.lm))
        for name, truth in one.truth.items():
            assert report.metrics[name][0] == pytest.approx(truth, abs=1e-9), (one.name, name)
        rows = report.rows.to_pylist()
        assert max(r["efficiency"] for r in rows) < 1e-9
        assert {r["asked"] for r in rows} == {2.0 ** len(built.templates()[0].slots)}
        assert report.verdict == ("pass" if one.name == "noise 0.0" else "fail")


@pytest.mark.parametrize("method", ["orders", "regression"])
def test_a_sample_of_the_combinations_comes_near(method):
    built = PromptShapley(method=method, evaluations=96, variants=1, rotations=1)
    one = list(built.planted())[1]
    report = run(audit(built, one.lm))
    assert report.metrics["noise_share"][0] == pytest.approx(one.truth["noise_share"], abs=0.01)
    assert report.rows.to_pylist()[0]["asked"] <= 256


def test_draws_recover_it_roughly():
    """The planted chooser draws its answers; 12 of them for each of 16 combinations, on 3 variants."""
    made = Template(
        "few", "{a} {b} {c} {d}\nChoose.",
        (Slot("a", "apples are ripe."), Slot("b", "berries are sour."), Slot("c", "hello there.", informative=False),
         Slot("d", "all is calm.", informative=False)), ("left", "right"),
    )  # fmt: skip

    def policy(messages, random):
        text = messages[-1].text
        p = 0.3 + 0.4 * ("apples" in text) + 0.2 * ("hello" in text)
        return {"choice": "left" if random.random() < p else "right"}

    built = PromptShapley(draws=12, variants=3)
    built.templates = lambda: (made,)
    report = run(audit(built, ScriptedLM(policy)))
    assert report.metrics["phi a"][0] == pytest.approx(0.4, abs=0.1)
    assert report.metrics["phi c"][0] == pytest.approx(0.2, abs=0.1)
    assert abs(report.metrics["phi b"][0]) < 0.1


def test_a_framing_bias_is_the_paired_difference():
    def rate(prompt, texts):
        p = 0.8 if "saved" in prompt else 0.3 if "die" in prompt else 0.5
        return [float(np.log(p if t == "Program A" else 1 - p)) for t in texts]

    report = run(audit(PromptShapley(template="framing", variants=3, rotations=1), ScriptedLM("x", rater=rate)))
    assert report.contrasts["p_full: gain − loss"] == pytest.approx((0.5, 0.5, 0.5))
    assert report.metrics["gain: noise_share"][0] == pytest.approx(0, abs=1e-9)


def test_a_chooser_that_nothing_moves_is_no_pass():
    flat = ScriptedLM("x", rater=lambda prompt, texts: [-1.0] * len(texts))
    report = run(audit(PromptShapley(variants=2, rotations=1), flat))
    assert report.verdict == "inconclusive"
    assert report.rows.column("noise_share").null_count == 2


def test_frames_share_their_draws():
    gain, loss = READY["framing"]
    assert gain.draw(4, 1) == loss.draw(4, 1) != gain.draw(4, 2)
    text = gain.write(np.ones(len(gain.slots), bool), gain.draw(1, 0)[0])
    assert "will surely be saved" in text
    assert "{" not in text


ROW = {
    "name": "own", "text": "{a} {b} Choose.", "options": ["yes", "no"], "numbers": {"n": [1, 9]},
    "slots": [{"name": "a", "present": "It costs {n}."}, {"name": "b", "present": "Hello.", "informative": False}],
}  # fmt: skip


def test_templates_are_data(tmp_path):
    path = tmp_path / "own.json"
    path.write_text(json.dumps(ROW))
    built = PromptShapley(template=str(path), variants=2)
    report = run(audit(built, list(built.planted())[1].lm))
    assert report.metrics["noise_share"][0] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": "{a} Choose."}, "each slot stands once"),
        ({"text": "{a} {b} {c}"}, "see 'c'"),
        ({"options": ["yes", "yes"]}, "two or more different options"),
        ({"numbers": {}}, "unknown number 'n'"),
        ({"slots": [{"title": "a"}]}, "a template holds"),
    ],
)
def test_bad_templates_are_told(change, said):
    with pytest.raises(OptionError, match=said):
        Template.read({**ROW, **change})


def test_an_unknown_template_is_told():
    with pytest.raises(OptionError, match="Known: flights, framing"):
        PromptShapley(template="fligths").items()


def test_the_embedded_model_is_audited(local, tmp_path):
    """Two slots, four prompts: whatever it prefers, the shares add up."""
    path = tmp_path / "two.json"
    row = {"name": "two", "text": "{a} {b}\nWill you buy it?", "options": ["yes", "no"],
           "slots": [{"name": "a", "present": "The tea costs one dollar."},
                     {"name": "b", "present": "Hello.", "informative": False}]}  # fmt: skip
    path.write_text(json.dumps(row))
    report = run(audit(PromptShapley(template=str(path), variants=1, rotations=1), local))
    (found,) = report.rows.to_pylist()
    assert found["efficiency"] < 1e-6
    assert found["asked"] == 4
    assert 0 < found["p_full"] < 1
    assert report.subject == local.identity
