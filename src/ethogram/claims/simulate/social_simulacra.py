"""What is claimed of `social_simulacra`, and how it is measured.

Norms are read from the words (`norms`), whatever act was drawn. Words are the grammar's where nothing else is said;
what is said of a language model is of the packaged one, which is small. Real texts are posts of investors; no community
newer than the model is at hand, so what the paper measured (people wrong in 41% of the pairs) is not measured here:
scripted raters are. A quick run has fewer threads, and a scripted model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, claim

KEY = "social_simulacra"
NO_ADS = ("no personal attacks", "stay on topic", "no self-promotion")
ARMS = {"full": {}, "no persona": {"persona": False}, "no rules": {"rules": False}}


@claim(KEY, "A community answers to its design")
def responds(bench: Any) -> Laws:
    return Laws(
        Law("advertising with a rule against it / without, same seeds", lambda b: ads(b)["ratio"], "<=", 0.6),
        Law("share of unrelated texts, with that rule − without", lambda b: ads(b)["unrelated"], "within", 0.05),
        Law("the same by a language model: advertising with / without", lambda b: told(b)["ratio"], "<=", 0.6),
        Law("texts whose norm is read right, of the acts drawn", lambda b: ads(b)["read"], ">=", 0.9),
    )


@claim(KEY, "A handful of people becomes a thousand different ones")
def distinct(bench: Any) -> Laws:
    return Laws(
        Law("share of a thousand personas that are unique", lambda b: crowd(b)["unique"], ">=", 0.95),
        Law("mean cosine, expanded − the seeds drawn again", lambda b: crowd(b)["closer"], "<", 0.0),
        Law("authors told from their style / chance", lambda b: crowd(b)["style"], ">=", 3.0),
    )


@claim(KEY, "A moderator calms a thread; its past stays as it was")
def what_if(bench: Any) -> Laws:
    return Laws(
        Law("prefixes that changed", lambda b: calmed(b)["changed"], "<=", 0),
        Law(
            "share of hostile replies, with a moderator − without, same luck", lambda b: calmed(b)["hostile"], "<", 0.0
        ),
    )


@claim(KEY, "Several universes of a thread differ, and share their past")
def universes(bench: Any) -> Laws:
    return Laws(
        Law("self-BLEU of ten courses", lambda b: many(b)["bleu"], "<", 0.9),
        Law("different hashes of the prefix", lambda b: many(b)["prefixes"], "<=", 1),
        Law("universes that come out otherwise when written again", lambda b: many(b)["again"], "<=", 0),
    )


@claim(KEY, "The whole chain is harder to tell from real posts than parts of it")
def apart(bench: Any) -> Laws:
    return Laws(
        Law("AUC of a classifier, whole chain − without personas", lambda b: auc(b, "no persona"), "<", 0.0),
        Law("AUC, whole chain − without rules", lambda b: auc(b, "no rules"), "<", 0.0),
        Law("AUC, whole chain", lambda b: auc(b, ""), "<=", 0.9),
        Law("AUC, whole chain by grammar", lambda b: auc(b, "grammar"), "<=", 0.9),
        Law("error of a scripted rater, whole chain − without personas", lambda b: misled(b, "no persona"), ">", 0.0),
        Law("the same − without rules", lambda b: misled(b, "no rules"), ">", 0.0),
    )


def _held(bench: Any, name: str, make: Any) -> Any:
    kept = bench.__dict__.setdefault("_simulacra", {})
    if name not in kept:
        kept[name] = make()
    return kept[name]


def _mean(values: Any, unit: str) -> Estimate:
    from ethogram.evaluate.bootstrap import mean

    found = mean(np.asarray(values, float))
    return Estimate(found.value, found.low, found.high, units=len(values), unit=unit)


def _shares(one: list[np.ndarray], other: list[np.ndarray], ratio: bool) -> Estimate:
    """Share of the nodes of `other` over (or minus) that of `one`; the threads, paired by number, are drawn anew."""
    rng = np.random.default_rng(0)
    table = np.array([[a.sum(), len(a), b.sum(), len(b)] for a, b in zip(one, other, strict=True)], float)

    def told(rows: np.ndarray) -> float:
        total = rows.sum(0)
        first, second = total[0] / total[1], total[2] / total[3]
        return float(second / max(first, 1e-9) if ratio else second - first)

    draws = [told(table[rng.integers(0, len(table), len(table))]) for _ in range(1_000)]
    low, high = np.quantile(draws, (0.025, 0.975))
    return Estimate(told(table), float(low), float(high), units=len(table), unit="threads")


def _lm(bench: Any) -> Any:
    from ethogram.lm import LM, ScriptedLM

    if bench.quick:
        said = ("Growing takes time.", "Buy my book now!", "I like soil very much.", "Watering is the key, I think.")
        return ScriptedLM(lambda messages, rng: rng.choice(said))
    return LM.connect("local")


def ads(bench: Any) -> dict[str, Estimate]:
    return dict(_held(bench, "ads", lambda: _ads(bench, None, 40 if bench.quick else 300)))


def told(bench: Any) -> dict[str, Estimate]:
    return dict(_held(bench, "ads by model", lambda: _ads(bench, _lm(bench), 5 if bench.quick else 20)))


def _ads(bench: Any, lm: Any, n: int) -> dict[str, Estimate]:
    """Threads of one design with and without a rule against self-promotion."""
    from ethogram.simulate.social_simulacra import garden
    from ethogram.simulate.social_simulacra.norms import norms

    built = bench.build((KEY, {"longest": 30 if lm is None else 3}))
    free = built.prototype(garden(), lm=lm, seed=11, words=20)
    pair = (free, free.redesigned(garden(discouraged=NO_ADS)))
    found = []
    for made in pair:
        threads = made.threads(n)
        read = [np.array(norms([x.text for x in t.nodes], made.design.topics)) for t in threads]
        true = [np.array([x.act if x.act in ("promote", "attack", "derail") else "" for x in t.nodes]) for t in threads]
        found.append((read, true))
    promote = [[r == "promote" for r in read] for read, _ in found]
    derail = [[r == "derail" for r in read] for read, _ in found]
    right = np.concatenate([r == t for read, true in found for r, t in zip(read, true, strict=True)])
    return {
        "ratio": _shares(*promote, True), "unrelated": _shares(*derail, False), "read": _mean(right, "texts"),
    }  # fmt: skip


def crowd(bench: Any) -> dict[str, Any]:
    return dict(_held(bench, "crowd", lambda: _crowd(bench)))


def _crowd(bench: Any) -> dict[str, Any]:
    from ethogram.simulate.social_simulacra import garden
    from ethogram.text.classify import TextClassifier
    from ethogram.text.dense import hashed, unit
    from ethogram.world.people.expand import words

    n, threads, authors = (100, 150, 5) if bench.quick else (1_000, 1_500, 20)
    made = bench.build(KEY).prototype(garden(n_members=n), seed=12)
    texts = [" ".join(words(m.persona).lower().split()) for m in made.members]
    rng = np.random.default_rng(0)
    seeds = [words(p) for p in made.design.seed_personas]
    drawn = [seeds[i] for i in rng.integers(0, len(seeds), n)]

    def cosine(said: list[str]) -> float:
        v = unit(hashed(said))
        return float(((v @ v.T).sum() - len(v)) / (len(v) * (len(v) - 1)))

    # who writes most, so that there is enough to learn from
    rows = made.rows(made.threads(threads))
    counts: dict[str, int] = {}
    for r in rows:
        counts[r["author"]] = counts.get(r["author"], 0) + 1
    top = sorted(counts, key=lambda a: -counts[a])[:authors]
    mine = [r for r in rows if r["author"] in top]
    half = {r["thread"] % 2: [x for x in mine if x["thread"] % 2 == r["thread"] % 2] for r in mine}
    learned = TextClassifier("both", calibrate="none").fit([r["text"] for r in half[0]], [r["author"] for r in half[0]])
    guess = learned.predict([r["text"] for r in half[1]])
    # chance: every author is guessed alike; accuracy is a mean over authors, so that the loudest do not decide
    hits = [np.mean([g == a for g, r in zip(guess, half[1], strict=True) if r["author"] == a]) for a in top
            if any(r["author"] == a for r in half[1])]  # fmt: skip
    style = _mean(np.array(hits) * authors, "authors")
    return {"unique": len(set(texts)) / n, "closer": cosine(texts) - cosine(drawn), "style": style}


def calmed(bench: Any) -> dict[str, Any]:
    return dict(_held(bench, "calmed", lambda: _calmed(bench)))


def _calmed(bench: Any) -> dict[str, Any]:
    """Heated threads: the first attack with something behind it; a moderator says a word after it, or nobody does."""
    from ethogram.simulate.social_simulacra import garden

    made = bench.build(KEY).prototype(garden(discouraged=()), seed=13)
    with_, without, changed = [], [], 0
    for thread in made.threads(150 if bench.quick else 3_000):
        at = next((i for i, n in enumerate(thread.nodes) if n.act == "attack"), None)
        if at is None:
            continue
        pair = [made.what_if(thread, at, act=act) for act in ("", "moderate")]
        changed += sum(t.prefix(at) != thread.prefix(at) for t in pair)
        suffix = [t.nodes[at + 1 :] for t in pair]
        without.append(np.array([n.act == "attack" for n in suffix[0]]))
        with_.append(np.array([n.act == "attack" for n in suffix[1] if not n.inserted]))
    return {"changed": float(changed), "hostile": _shares(without, with_, False)}


def many(bench: Any) -> dict[str, Any]:
    return dict(_held(bench, "many", lambda: _many(bench)))


def _many(bench: Any) -> dict[str, Any]:
    from ethogram.simulate.social_simulacra import garden

    made = bench.build(KEY).prototype(garden(), seed=14)
    threads = [t for t in made.threads(30 if bench.quick else 200) if len(t.nodes) >= 4][: 5 if bench.quick else 40]
    bleu, prefixes, again = [], 1, 0
    for t in threads:
        courses = made.multiverse(t, 10, 1)
        prefixes = max(prefixes, len({c.prefix(1) for c in courses}))
        again += courses != made.multiverse(t, 10, 1)
        suffixes = [" ".join(n.text for n in c.nodes[2:]) for c in courses]
        bleu.append(self_bleu([s for s in suffixes if s]))
    return {"bleu": _mean(bleu, "threads"), "prefixes": float(prefixes), "again": float(again)}


def self_bleu(texts: list[str], n: int = 4) -> float:
    """Mean BLEU (to 4-grams, smoothed by one) of each text against the others; 0 with fewer than two."""
    from collections import Counter

    words = [t.lower().split() for t in texts]
    if len(words) < 2:
        return 0.0
    scores = []
    for i, own in enumerate(words):
        logs = []
        for k in range(1, n + 1):
            mine = Counter(zip(*(own[j:] for j in range(k)), strict=False))
            best: Counter[Any] = Counter()
            for j, other in enumerate(words):
                if j != i:
                    best |= Counter(zip(*(other[m:] for m in range(k)), strict=False))
            hit = sum(min(c, best[g]) for g, c in mine.items())
            logs.append(np.log((hit + 1) / (sum(mine.values()) + 1)))
        shorter = min((abs(len(o) - len(own)), len(o)) for j, o in enumerate(words) if j != i)[1]
        scores.append(min(0.0, 1 - shorter / max(len(own), 1)) + np.mean(logs))
    return float(np.exp(scores).mean())


def _texts(bench: Any) -> dict[str, list[str]]:
    """Posts of each arm, and real ones."""

    def make() -> dict[str, list[str]]:
        n = 16 if bench.quick else 36
        made: dict[str, list[str]] = {}
        design = shares()
        for arm, how in ARMS.items():
            built = bench.build((KEY, {"longest": 2}))
            proto = built.prototype(design, lm=_lm(bench), seed=15, words=20, **how)
            made[arm] = [x.text for t in proto.threads(n) for x in t.nodes][:n]
        grammar = bench.build((KEY, {"longest": 2})).prototype(design, seed=15)
        made["grammar"] = [x.text for t in grammar.threads(n) for x in t.nodes][:n]
        rng = np.random.default_rng(0)
        if bench.quick:
            said = [f"$AB{i % 7} looks {w} today, {w}!" for i, w in enumerate(("strong", "weak", "flat", "wild") * n)]
        else:
            table = bench.load("investor_posts").table()["text"].to_pylist()
            said = [t for t in table if len(t.split()) >= 5]
        made["real"] = [said[i] for i in rng.permutation(len(said))[: 4 * n]]
        return made

    return dict(_held(bench, "texts", make))


def shares() -> Any:
    """A community like the one that the real posts come from."""
    from ethogram.simulate.social_simulacra import garden

    return replace(
        garden(), name="share talk", goal="People who trade shares tell each other what they think of a company today.",
        topics=("$AAPL", "$TSLA", "$AMZN", "the market today", "$SPY calls", "earnings of $FB"),
        encouraged=("be short", "name the share", "say whether you buy or sell"), discouraged=("no spam", "no insults"),
    )  # fmt: skip


def _scores(bench: Any, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Probability of being real of each generated and each real text, from folds that did not see them."""

    def make() -> tuple[np.ndarray, np.ndarray]:
        from ethogram.text.classify import TextClassifier

        told = _texts(bench)
        fake, real = told[arm], told["real"][: len(told[arm])]
        fold = np.arange(len(fake)) % 4
        out = np.zeros((2, len(fake)))
        for f in range(4):
            rest = np.flatnonzero(fold != f)
            texts = [fake[i] for i in rest] + [real[i] for i in rest]
            made = TextClassifier("both", calibrate="none").fit(texts, [0] * len(rest) + [1] * len(rest))
            for side, source in enumerate((fake, real)):
                out[side, fold == f] = made.decision([source[i] for i in np.flatnonzero(fold == f)]).ravel()
        return out[0], out[1]

    return tuple(_held(bench, f"scores {arm}", make))


def auc(bench: Any, arm: str) -> Estimate:
    """Of the whole chain (""), of the grammar, or of the whole chain minus another arm; generated texts and real ones
    are drawn anew, both arms with the same places."""
    rng = np.random.default_rng(1)
    first = _scores(bench, "grammar" if arm == "grammar" else "full")
    second = _scores(bench, arm) if arm in ARMS else None

    def told(fake: np.ndarray, real: np.ndarray) -> float:
        return float((real[:, None] > fake).mean() + 0.5 * (real[:, None] == fake).mean())

    def value(i: Any, j: Any) -> float:
        return told(first[0][i], first[1][j]) - (told(second[0][i], second[1][j]) if second else 0.0)

    n = len(first[0])
    draws = [value(rng.integers(0, n, n), rng.integers(0, n, n)) for _ in range(1_000)]
    low, high = np.quantile(draws, (0.025, 0.975))
    return Estimate(value(slice(None), slice(None)), float(low), float(high), units=n, unit="texts")


def errors(bench: Any) -> dict[str, Estimate]:
    """Error rates of a rater who takes the text with more digits and signs of shares for the real one."""

    def make() -> dict[str, Estimate]:
        from ethogram.simulate.social_simulacra import answered, error_rates, paired

        told = _texts(bench)
        pairs = paired(told["real"], {a: told[a] for a in ARMS}, seed=2)

        def rater(left: str, right: str) -> str:
            signs = [sum(c in "$0123456789%#@" for c in t) / max(len(t), 1) for t in (left, right)]
            return "left" if signs[0] >= signs[1] else "right"

        rows = error_rates(pairs, answered(pairs, {"signs": rater})).to_pylist()
        return {r["arm"]: Estimate(r["error"], r["low"], r["high"], units=r["answers"], unit="pairs") for r in rows}

    return dict(_held(bench, "errors", make))


def misled(bench: Any, arm: str) -> float:
    """How much more often the rater errs about the whole chain than about an arm."""
    found = errors(bench)
    return float(found["full"].value - found[arm].value)
