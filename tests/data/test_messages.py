"""The generated posts and videos: the law is what they are drawn from, and what it says is found in the log."""

import numpy as np
import pytest
from scipy.special import expit

from ethogram import data
from ethogram.data.receivers import HOOKS
from ethogram.errors import OptionError
from ethogram.log.messages import Messages


@pytest.fixture(scope="module")
def posts():
    made = data.find("posts")(items=3000, seed=2)
    return made, Messages.of(data.load("posts", items=3000, seed=2))


def test_posts_are_clicked_as_their_law_says(posts):
    made, read = posts
    place = np.array([int(item[1:]) for item in read.item])
    logit = (sum(made.terms.values()) + made.drawn["noise"])[place]
    chance, views = expit(logit), read.behaviour["views"]
    far = (read.behaviour["ctr"] / 100 - chance) / np.sqrt(chance * (1 - chance) / views)
    assert abs(far.mean()) < 0.06
    assert far.std() == pytest.approx(1, abs=0.05)
    words = [t.split() for t in read.title]
    hook = made.drawn["hook"][place]
    assert all((h == len(HOOKS)) or HOOKS[h] in w for h, w in zip(hook, words, strict=True))


def test_reasons_are_the_largest_term_in_the_direction_of_the_response(posts):
    made, read = posts
    names = ("topic", "hook", "hour", "place")
    for row in range(200):
        i = int(read.item[row][1:])
        parts = {n: made.terms[n][i] for n in names}
        ordinary = expit(made.terms["level"][i] + made.terms["account"][i])
        better = read.behaviour["ctr"][row] / 100 >= ordinary - 1e-12
        true = (max if better else min)(parts, key=parts.get)
        assert names[made.outcome["true"][i]] == true
        if read.comment[row]:
            assert (read.comment[row]["sentiment"] == "positive") == better
    share = np.mean([c != {} for c in read.comment])
    assert share == pytest.approx(0.7, abs=0.03)


def test_variants_differ_in_their_hooks_and_their_truth_is_the_mean_over_the_noise(posts):
    made, _ = posts
    titles, true = made.variants([5, 9], 8)
    assert [len(set(t)) for t in titles] == [8, 8]
    rng = np.random.default_rng(0)
    rest = sum(v[5] for k, v in made.terms.items() if k != "hook")
    sense = made.receivers.sense[made.receivers.channel(made.drawn["account"][5])]
    for title, value in zip(titles[0], true[0], strict=True):
        hook = next((w for w in title.split() if w in HOOKS), None)
        effect = 0.0 if hook is None else made.receivers.hook[HOOKS.index(hook)]
        drawn = expit(rest + sense * effect + rng.normal(0, made.noise, 40_000))
        assert value == pytest.approx(100 * drawn.mean(), abs=0.15)


def test_accounts_that_are_liked_use_strong_hooks_more_often(posts):
    made, _ = posts
    own, hook = made.receivers.own[made.drawn["account"]], made.receivers.hook[made.drawn["hook"]]
    assert np.corrcoef(own, hook)[0, 1] > 0.1
    other = data.find("posts")(items=3000, seed=2, confounding=0.0)
    assert abs(np.corrcoef(own, other.receivers.hook[other.drawn["hook"]])[0, 1]) < 0.06


def test_replays_of_videos_follow_their_scenes():
    made = data.find("videos")(items=400, seed=1)
    read = Messages.of(data.load("videos", items=400, seed=1))
    truth = made.truth()["scenes"].to_pylist()
    told = {(item, s): r for item, own in zip(read.item, read.replays, strict=True) for s, r in enumerate(own)}
    assert len(told) == len(truth)
    assert all(told[r["item"], r["scene"]] == round(100 * expit(r["logit"])) for r in truth)
    scenes = dict(zip(read.item, read.scenes, strict=True))
    assert all(r["hook"] is None or r["hook"] in scenes[r["item"]][r["scene"]].split() for r in truth)
    assert {len(s) for s in read.scenes} == {8, 9, 10, 11, 12}


@pytest.mark.parametrize(
    ("name", "wrong"), [("posts", {"items": 0}), ("posts", {"careless": 2.0}), ("videos", {"noise": -1.0})]
)
def test_options_that_cannot_be_are_told(name, wrong):
    with pytest.raises(OptionError, match=name):
        data.find(name)(**wrong)
