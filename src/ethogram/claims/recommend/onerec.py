"""What is claimed of `onerec`, and how it is measured: lists by their true worth, which only the generator knows.

Half of the people choose the settings (the cascade's too, by the truth itself, in its favour); the others are measured.
The world is drawn by a seed of its own: that of seed 0 was looked at while the alignment was built. Everything that is
trained is trained by three seeds, and a person's worth is the mean over them; the intervals are over people.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, claim

WORLD = {"users": 400, "items": 300, "topics": 16, "feeds": 20, "seed": 7}
SMALL = {"users": 30, "items": 48, "topics": 6, "feeds": 5}
SETTINGS = {"letters": 16, "good": 0.3, "epochs": 8, "rounds": 0}
ALIGN = {"rounds": 3, "share": 0.05, "steps": 20, "dpo_weight": 2.0, "lists": 32, "beta": 0.2}
TINY = {"letters": 4, "dim": 16, "epochs": 1, "steps": 2, "lists": 4, "judge_epochs": 1, "beams": 2}
SIZE = 5
SEEDS = 3


@cache
def world(quick: bool) -> Any:
    """(the generator, train and validation, histories of the last feed's beginning, who is measured)."""
    from ethogram import data
    from ethogram.data.feeds import Feeds

    how = SMALL if quick else WORLD
    made, cut = Feeds(**how), data.load("feeds", **how).split("temporal", valid=0.1, test=0.1)
    asked = cut.test.questions("next").histories
    user = np.array(asked.vocabularies["user"].decode(asked.users).to_pylist())
    return made, cut, asked, user


def options(quick: bool, **more: Any) -> dict[str, Any]:
    return {**SETTINGS, **(TINY if quick else {}), **more}


@cache
def base(quick: bool, seed: int, **more: Any) -> Any:
    """The writer alone."""
    from ethogram.system import system

    _, cut, _, _ = world(quick)
    return system("onerec", **options(quick, **more)).fit(cut.train, cut.valid, seed=seed)


@cache
def judged(quick: bool, seed: int, few: bool = False) -> Any:
    """The judge, of all lists or of a tenth of them, and the lists."""
    from ethogram.recommend.onerec.past import Shown
    from ethogram.recommend.onerec.reward import learn

    _, cut, _, _ = world(quick)
    fitted, o = base(quick, seed).fitted, base(quick, seed)
    shown = Shown.of(cut.train.histories(), fitted.known.rows, o.session, o.pause, 0)
    part = np.arange(len(shown))[:: 10 if few else 1]
    some = Shown(shown.past[part], shown.items[part], shown.value[part])
    vectors = fitted.words.decode(fitted.words.codes)
    return learn(vectors, some, length=o.length, epochs=o.judge_epochs, lr=o.judge_lr, seed=seed), shown, vectors


@cache
def aligned(quick: bool, seed: int, few: bool = False, **more: Any) -> Any:
    """The same writer, aligned."""
    judge, shown, vectors = judged(quick, seed, few)
    built = copy.deepcopy(base(quick, seed))
    how = {**ALIGN, **({n: TINY[n] for n in ("steps", "lists")} if quick else {}), **more}
    built.fitted.options = replace(built, **how)
    built.fitted.judge = copy.deepcopy(judge)
    built.fitted.align(shown, vectors, seed=seed)
    return built


def lists(built: Any, quick: bool) -> np.ndarray:
    """Five items for everybody, int64[n, 5]."""
    _, _, asked, _ = world(quick)
    table = built.recommend(asked, SIZE, exclude_seen=False)
    out = np.full((len(asked), SIZE), -1)
    out[table.column("question").to_numpy(), table.column("rank").to_numpy() - 1] = table.column("item").to_numpy()
    return out


def utility(written: np.ndarray, quick: bool, *, half: int = 1) -> np.ndarray:
    """True worth of the lists of one half of the people, float64."""
    made, _, _, user = world(quick)
    return np.asarray(made.worth(user, written).sum(1)[user % 2 == half])


def seeds(quick: bool) -> range:
    return range(1 if quick else SEEDS)


@cache
def worth_of(arm: str, quick: bool) -> np.ndarray:
    """True worth per measured person, mean over seeds."""
    written = [cascade(quick, s) if arm == "cascade" else lists(ARMS[arm](quick, s), quick) for s in seeds(quick)]
    return np.asarray(np.mean([utility(w, quick) for w in written], 0))


def pointwise(quick: bool, seed: int) -> Any:
    """Every event a list of its own: the same network, asked for one item, five times the lists."""
    return base(quick, seed, session=1, pause=0.0, epochs=1 if quick else 3)


@cache
def sasrec(quick: bool, seed: int) -> Any:
    from ethogram.system import system

    _, cut, _, _ = world(quick)
    return system("sasrec", epochs=1 if quick else 20, dim=32, questions=400).fit(cut.train, cut.valid, seed=seed)


ARMS: dict[str, Any] = {
    "written": base,
    "aligned": aligned,
    "aligned once": lambda quick, seed: aligned(
        quick, seed, rounds=1, share=3 * ALIGN["share"], steps=3 * (TINY if quick else ALIGN)["steps"]
    ),
    "random pairs": lambda quick, seed: aligned(quick, seed, pairs="random"),
    "few judged": lambda quick, seed: aligned(quick, seed, few=True),
    "share 0.25%": lambda quick, seed: aligned(quick, seed, share=0.0025),
    "share 1%": lambda quick, seed: aligned(quick, seed, share=0.01),
    "share 5%": lambda quick, seed: aligned(quick, seed, share=0.05),
    "dense": lambda quick, seed: base(quick, seed, experts=1, active=1, epochs=1 if quick else SETTINGS["epochs"]),
    "pointwise": pointwise,
    "sasrec": sasrec,
}


@cache
def cascade(quick: bool, seed: int) -> np.ndarray:
    """SASRec's 50, ranked with BPR beside it, less a penalty for each earlier item of the topic; tuned by the truth."""
    from ethogram.log import Candidates
    from ethogram.system import system

    made, cut, asked, _ = world(quick)
    every = Candidates.of(np.arange(made.items).tolist())
    retrieved = np.asarray(sasrec(quick, seed).score(asked, every), float)
    ranked = np.asarray(
        system("bpr_mf", factors=16, epochs=1 if quick else 30).fit(cut.train, seed=seed).score(asked, every), float
    )

    def even(x: np.ndarray) -> np.ndarray:
        return np.asarray((x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1e-12))

    kept = np.argsort(-retrieved, axis=1)[:, :50]
    best = (-np.inf, kept[:, :SIZE])
    for weight in (0.0, 0.5, 1.0):
        score = np.take_along_axis(even(retrieved) + weight * even(ranked), kept, 1)
        for penalty in (0.0, 0.3, 1.0, 3.0):
            found = diverse(kept, score, made.topic, penalty)
            best = max(best, (float(utility(found, quick, half=0).mean()), found), key=lambda b: b[0])
    return best[1]


def diverse(items: np.ndarray, score: np.ndarray, topic: np.ndarray, penalty: float) -> np.ndarray:
    """One after another the item of largest score less `penalty` for each item of its topic that is there, [n, 5]."""
    left, rows, out = score.copy(), np.arange(len(items)), []
    for _ in range(SIZE):
        place = left.argmax(1)
        out.append(items[rows, place])
        left[topic[items] == topic[out[-1]][:, None]] -= penalty
        left[rows, place] = -np.inf
    return np.stack(out, 1)


def gain(arm: str, over: str) -> Any:
    """How much more an arm's lists are worth, as a share, with its interval over people."""

    def measure(bench: Any) -> Estimate:
        from ethogram.evaluate.bootstrap import mean_difference

        one, other = worth_of(arm, bench.quick), worth_of(over, bench.quick)
        found, mean = mean_difference(one, other), float(other.mean())
        return Estimate(found.value / mean, found.low / mean, found.high / mean, units=len(one))

    return measure


@claim("onerec", "Whole lists are worth more than lists of best items, and alignment makes them worth more")
def worth(bench: Any) -> Laws:
    return Laws(
        Law("worth of lists written whole over item by item, less 1", gain("written", "pointwise"), ">", 0),
        Law("worth of item by item over SASRec's five, less 1", gain("pointwise", "sasrec"), ">", 0),
        Law("worth of three rounds of alignment over none, less 1", gain("aligned", "written"), ">=", 0.05),
        Law("worth of three rounds over one of as many pairs, less 1", gain("aligned", "aligned once"), ">", 0),
        Law("worth of alignment by random pairs over none, less 1", gain("random pairs", "written"), "<=", 0),
        Law("worth of aligned lists over the tuned cascade's, less 1", gain("aligned", "cascade"), ">", 0),
        Law("worth of lists written whole, untouched by alignment, over the cascade's", gain("written", "cascade"),
            ">", 0),
        Law("worth of a sparse mixture over a dense layer of equal work, less 1", gain("written", "dense"), ">", 0),
        Law("worth at 0.25% of the samples over none, less 1", gain("share 0.25%", "written"), ">", 0),
        Law("worth at 1% of the samples over none, less 1", gain("share 1%", "written"), ">", 0),
        Law("worth at 5% of the samples over 1%, less 1: most is gained by 1%", gain("share 5%", "share 1%"), "<=",
            0.05),
        Law("reward over its first round, less 1, beside the worth above", hacked("aligned"), ">", 0),
        Law("reward less true worth gained, judge of a tenth of the lists over judge of all", gap, ">", 0),
        Law("ln M / M_1 of the lists that are liked best, after three rounds", moved, "<=", 20),
    )  # fmt: skip


def hacked(arm: str) -> Any:
    def measure(bench: Any) -> float:
        told = [ARMS[arm](bench.quick, s).fitted.told["rounds"] for s in seeds(bench.quick)]
        return float(np.mean([rounds[-1]["mean"] / rounds[0]["mean"] - 1 for rounds in told]))

    return measure


def gap(bench: Any) -> float:
    """How much further the reward has risen than the worth, where the judge knows little, less where it knows all."""
    found = []
    for arm in ("few judged", "aligned"):
        worth = worth_of(arm, bench.quick).mean() / worth_of("written", bench.quick).mean() - 1
        found.append(hacked(arm)(bench) - worth)
    return float(found[0] - found[1])


def moved(bench: Any) -> float:
    """The largest of all seeds."""
    return max(float(aligned(bench.quick, s).fitted.told["rounds"][-1]["kl"]) for s in seeds(bench.quick))


@claim("onerec", "Words tell items apart, experts are all in use, and every list holds existing items once")
def parts(bench: Any) -> Laws:
    return Laws(
        Law("largest difference of letters' sizes on 7,676 titles", lambda b: words(b.quick)[0], "<=", 1),
        Law("items that share their word, balanced over plain", lambda b: words(b.quick)[1], "<=", 0.5),
        Law("least entropy of a level's letters over ln K", lambda b: words(b.quick)[2], ">=", 0.98),
        Law("least share of the rows that an expert gets", lambda b: loads(b)[0], ">=", 0.03),
        Law("largest share of the rows that an expert gets", lambda b: loads(b)[1], "<=", 0.35),
        Law("lists with an item twice or one that does not exist, share", wrong, "<=", 0),
    )


@cache
def words(quick: bool) -> tuple[float, float, float]:
    """(largest less least size of a letter, collisions balanced over plain, least entropy) on real titles."""
    from sklearn.decomposition import TruncatedSVD

    from ethogram import data
    from ethogram.numeric.residual import ResidualTokenizer
    from ethogram.text.dense import unit
    from ethogram.text.features import Tfidf

    k = 8 if quick else 32
    if quick:
        x = np.random.default_rng(0).standard_t(2, (300, 8)).astype(np.float32)
    else:
        titles = [t or "" for t in data.load("amazon_games").tables["items"].column("title").to_pylist()]
        text = Tfidf(("words",))
        x = unit(TruncatedSVD(48, random_state=0).fit_transform(text.fit(titles)).astype(np.float32))
    one, other = (ResidualTokenizer.fit(x, 3, k, balanced=b) for b in (True, False))
    sizes = [np.bincount(letters, minlength=k) for letters in one.codes.T]
    told = one.usage()
    spread = max(int(s.max() - s.min()) for s in sizes)
    return spread, told.collisions / max(other.usage().collisions, 1e-12), min(told.entropy)


def loads(bench: Any) -> tuple[float, float]:
    """(least, largest) share of the rows of one expert, in any layer, over the lists that are written."""
    built = base(bench.quick, 0)
    layers = [block.feed for block in built.fitted.model.decoder]
    for layer in layers:
        layer.load.zero_()
    lists(built, bench.quick)
    shares = [(layer.load / layer.load.sum()).numpy() for layer in layers]
    return float(min(s.min() for s in shares)), float(max(s.max() for s in shares))


def wrong(bench: Any) -> float:
    made, _, _, _ = world(bench.quick)
    written = np.sort(lists(aligned(bench.quick, 0), bench.quick), 1)
    twice = (written[:, 1:] == written[:, :-1]).any(1)
    return float((twice | (written[:, 0] < 0) | (written[:, -1] >= made.items)).mean())
