"""What is claimed of `lcbm`, and how it is measured: posts and videos of a known law, cut by time (see `receivers`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim
from ethogram.claims.simulate import receivers as world
from ethogram.errors import LMError, MissingExtra


@claim("lcbm", "It predicts what receivers do, far better than by examples, and like a regression made for it")
def predicts(bench: Any) -> Laws:
    return Laws(
        Law(
            "error of ctr over that of the untuned decoder that sees 4 examples",
            lambda b: _error(b, "untuned"),
            "<=",
            0.7,
        ),
        Law("the same over SmolLM2-135M that sees 4 examples, 12 posts", beside_lm, "<=", 0.7),
        Law("the same over boosted trees on hashed words", lambda b: _error(b, "heads boosting all"), "<=", 1.05),
        Law(
            "the same over trees on sentence vectors of 2,000 posts",
            lambda b: _error(b, "sentence vectors"),
            "<=",
            1.05,
        ),
        Law("the same over ridge regression on hashed words", lambda b: _error(b, "heads ridge all"), "<=", 1.05),
        Law("the same over the mean of training", _floor, "<=", 0.7),
        Law("R² of ctr", lambda b: _explained(b, "tuned", "ctr"), ">=", 0.5),
        Law("R² of log views", _views, ">=", 0.5),
    )


@claim("lcbm", "Who and when tells part of the response, content the rest (regressions on one or the other)")
def ablations(bench: Any) -> Laws:
    return Laws(
        Law("R² of ctr, all − content alone", lambda b: _without(b, "content", "ctr"), ">", 0.0),
        Law("R² of ctr, all − sender, hour and place alone", lambda b: _without(b, "metadata", "ctr"), ">", 0.0),
        Law(
            "R² of ctr, sender, hour and place alone",
            lambda b: _explained(b, "heads boosting metadata", "ctr"),
            ">",
            0.0,
        ),
        Law("R² of ctr, content alone", lambda b: _explained(b, "heads boosting content", "ctr"), ">", 0.0),
        Law("R² of views, all − sender, hour and place alone", lambda b: _without(b, "metadata", "views"), "<=", 0.05),
    )


@claim("lcbm", "Replays of other scenes tell those that are masked")
def replays(bench: Any) -> Laws:
    return Laws(
        Law("error of replays, one to three masked over all masked", lambda b: _masked(b, "few"), "<=", 0.85),
        Law("the same, five on end masked over all masked", lambda b: _masked(b, "window"), "<=", 0.95),
        Law("error, all masked, over the mean of training", lambda b: _masked(b, "floor"), "<=", 0.95),
        Law("share within 5, one to three masked − all masked", _right, ">", 0.0),
    )


@claim("lcbm", "The same checkpoint reads back: it finds the content that was responded to so among 25")
def recognises(bench: Any) -> Laws:
    return Laws(
        Law("share found (chance: 0.04)", lambda b: world.mean_of(_found(b, "video"), "videos"), ">=", 0.2),
        Law("share found − that of a twin that has only ever read content", _over_twin, ">", 0.0),
    )


@claim("lcbm", "Learned on two channels, it needs 100 posts of the third")
def adapts(bench: Any) -> Laws:
    return Laws(
        Law(
            "R² of ctr on the third channel, adapted − learned from the 100 alone",
            lambda b: _adapted(b, "third alone"),
            ">=",
            0.05,
        ),
        Law("the same − not adapted", lambda b: _adapted(b, "two channels"), ">", 0.0),
    )


@claim("lcbm", "Of eight titles it chooses one that truly does better; its predictions are calibrated")
def optimises(bench: Any) -> Laws:
    return Laws(
        Law("share of the oracle's gain in expected ctr, best of 8 titles", _uplift, ">=", 0.6),
        Law("the same, boosted trees on hashed words", lambda b: _uplift(b, "heads boosting all"), ">=", 0.6),
        *(
            Law(f"observed − predicted ctr, {name} of five groups", lambda b, k=k: _calibration(b, k), "within", 2.0)
            for k, name in enumerate(("lowest", "second", "middle", "fourth", "highest"))
        ),
    )


@claim("lcbm", "Behaviour is learned without forgetting how to read")
def remembers(bench: Any) -> Laws:
    return Laws(
        Law("perplexity of held-out content, tuned over untuned", _perplexity, "<=", 1.05),
        Law("share of topics named, tuned − untuned", lambda b: _about(b, "topic"), ">=", -0.02),
        Law("share of forms named, tuned − untuned", lambda b: _about(b, "form"), ">=", -0.02),
    )


@claim("lcbm", "It names what lies behind a response")
def explains(bench: Any) -> Laws:
    return Laws(
        Law(
            "share of planted causes named (four causes)",
            lambda b: world.mean_of(_named(b, "tuned", "reason")),
            ">=",
            0.5,
        ),
        Law("the same − the untuned twin", lambda b: _over_untuned(b, "reason"), ">", 0.0),
        Law("the same − always naming the most frequent cause of training", _over_frequent, ">", 0.0),
        Law("share of sentiments named", lambda b: world.mean_of(_named(b, "tuned", "sentiment")), ">=", 0.8),
        Law("the same − the untuned twin", lambda b: _over_untuned(b, "sentiment"), ">", 0.0),
    )


def _bench(bench: Any) -> world.Bench:
    if not hasattr(bench, "_receivers"):
        bench._receivers = world.Bench(bench.quick)
    return bench._receivers  # type: ignore[no-any-return]


def _error(bench: Any, other: str) -> Estimate:
    made = _bench(bench)
    true, said = made.said("tuned", "ctr")
    return world.error_ratio(true, said, made.said(other, "ctr")[1])


def _floor(bench: Any) -> Estimate:
    made = _bench(bench)
    true, said = made.said("tuned", "ctr")
    return world.error_ratio(true, said, np.full(len(true), made.cut["train"].behaviour["ctr"].mean()))


def beside_lm(bench: Any) -> Estimate:
    if bench.quick:
        raise NotMeasurable("needs the local model; not in a quick run")
    made = _bench(bench)
    few = made.cut["test"].take(range(made.sizes["asked"]))
    part = replace(few, behaviour={"ctr": few.behaviour["ctr"], "views": few.behaviour["views"]})
    hidden = replace(part, behaviour={"ctr": np.full(len(few), np.nan), "views": few.behaviour["views"]})
    try:
        rows = made.arm("prompted").anticipate(hidden.log(), known=True).to_pylist()
    except (LMError, MissingExtra) as error:
        raise NotMeasurable(f"there is no local model: {error}") from None
    place = {item: i for i, item in enumerate(few.item)}
    theirs = np.full(len(few), np.nan)
    for row in rows:
        theirs[place[row["item"]]] = row["predicted"]
    true, said = made.said("tuned", "ctr")
    return world.error_ratio(true[: len(few)], said[: len(few)], theirs)


def _explained(bench: Any, arm: str, behaviour: str) -> Estimate:
    return world.explained(*_bench(bench).said(arm, behaviour))


def _views(bench: Any) -> Estimate:
    true, said = _bench(bench).said("tuned", "views")
    return world.explained(np.log(true), np.log(said))


def _without(bench: Any, sees: str, behaviour: str) -> Estimate:
    made = _bench(bench)
    true, said = made.said("heads boosting all", behaviour)
    return world.explained(true, said, made.said(f"heads boosting {sees}", behaviour)[1])


def _replays(bench: Any, how: str) -> np.ndarray:
    """(video, true, predicted) of masked replays."""
    made = _bench(bench)
    kept = made.__dict__.setdefault("_replays", {})
    if how not in kept:
        films = made.films["test"]
        rng = np.random.default_rng(33)
        which = {
            "few": [sorted(rng.permutation(len(s))[: rng.integers(1, 4)].tolist()) for s in films.scenes],
            "window": world.windows(films), "all": [list(range(len(s))) for s in films.scenes],
        }[how]  # fmt: skip
        rows = made.arm("video").anticipate(world.masked(films, which).log(), known=True).to_pylist()
        place = {item: i for i, item in enumerate(films.item)}
        told = [(place[r["item"]], r["scene"], r["predicted"]) for r in rows if r["scene"] is not None]
        kept[how] = np.array([(i, films.replays[i][s], p) for i, s, p in told])
    return np.asarray(kept[how])


def _masked(bench: Any, how: str) -> Estimate:
    """A ratio of errors; videos are drawn, each with all its scenes."""
    from ethogram.evaluate.bootstrap import interval, sums

    made = _bench(bench)
    every = _replays(bench, "all")
    mean = np.concatenate(made.films["train"].replays).mean()
    floor = np.column_stack([every[:, 0], every[:, 1], np.full(len(every), mean)])
    over, under = (every, floor) if how == "floor" else (_replays(bench, how), every)
    n = len(made.films["test"])
    parts = []
    for rows in (over, under):
        at = rows[:, 0].astype(int)
        parts += [np.bincount(at, (rows[:, 1] - rows[:, 2]) ** 2, n), np.bincount(at, minlength=n)]
    whole = np.stack(parts, 1).astype(float)

    def ratio(total: np.ndarray) -> np.ndarray:
        return np.sqrt((total[..., 0] / total[..., 1]) / (total[..., 2] / total[..., 3]))

    found = interval(float(ratio(whole.sum(0))), ratio(sums(whole)))
    return Estimate(found.value, found.low, found.high, units=n, unit="videos")


def _right(bench: Any) -> Estimate:
    """The same masked scenes, told the other replays and told none."""
    few, every = _replays(bench, "few"), _replays(bench, "all")
    n = len(_bench(bench).films["test"])

    def share(rows: np.ndarray) -> np.ndarray:
        at = rows[:, 0].astype(int)
        return np.bincount(at, np.abs(rows[:, 1] - rows[:, 2]) <= 5, n) / np.bincount(at, minlength=n)

    return world.mean_of(share(few) - share(every), "videos")


def _found(bench: Any, arm: str) -> np.ndarray:
    from ethogram.simulate.lcbm.tuned import hidden

    made = _bench(bench)
    kept = made.__dict__.setdefault("_choices", {})
    if arm not in kept:
        films = made.films["test"].take(range(min(made.sizes["choice"], len(made.films["test"]))))
        gap = world.windows(films, seed=1)
        rows = made.arm(arm).recognise(hidden(films, gap).log(), world.options(films, gap)).to_pylist()
        first = {r["item"]: r["option"] for r in rows if r["rank"] == 1}
        kept[arm] = np.array([first[item] == 0 for item in films.item], float)
    return np.asarray(kept[arm])


def _over_twin(bench: Any) -> Estimate:
    return world.mean_of(_found(bench, "video") - _found(bench, "video content only"), "videos")


def _adapted(bench: Any, other: str) -> Estimate:
    made = _bench(bench)
    part = world.board(made)
    true, said = made.said("adapted", "ctr", part)
    return world.explained(true, said, made.said(other, "ctr", part)[1])


def _uplift(bench: Any, arm: str = "tuned") -> Estimate:
    """(true gain of the chosen title over the mean of eight) / (of the best title), summed over posts."""
    from ethogram.evaluate.bootstrap import interval, sums

    made = _bench(bench)
    read = made.cut["test"].take(range(min(made.sizes["variants"], len(made.cut["test"]))))
    titles, true = made.posts.variants([int(item[1:]) for item in read.item])
    table = made.arm(arm).optimise(read.log(), dict(zip(read.item, titles, strict=True)), "ctr")
    first = {r["item"]: r["option"] for r in table.to_pylist() if r["rank"] == 1}
    chosen = true[np.arange(len(read)), [first[item] for item in read.item]]
    parts = np.stack([chosen - true.mean(1), true.max(1) - true.mean(1)], 1)
    total = sums(parts)
    found = interval(float(parts[:, 0].sum() / parts[:, 1].sum()), total[:, 0] / total[:, 1])
    return Estimate(found.value, found.low, found.high, units=len(read), unit="posts")


def _calibration(bench: Any, group: int) -> Estimate:
    true, said = _bench(bench).said("tuned", "ctr")
    rows = np.array_split(np.argsort(said, kind="stable"), 5)[group]
    return world.mean_of((true - said)[rows])


def _perplexity(bench: Any) -> Estimate:
    from ethogram.evaluate.bootstrap import interval, sums

    made = _bench(bench)
    read = made.cut["test"]
    told = [made.arm(name).fitted.surprise(read) for name in ("tuned", "untuned")]
    parts = np.stack([told[0][:, 0], told[1][:, 0], told[0][:, 1]], 1)

    def ratio(total: np.ndarray) -> np.ndarray:
        return np.exp((total[..., 0] - total[..., 1]) / total[..., 2])

    found = interval(float(ratio(parts.sum(0))), ratio(sums(parts)))
    return Estimate(found.value, found.low, found.high, units=len(read), unit="posts")


def _about(bench: Any, key: str) -> Estimate:
    made = _bench(bench)
    read = made.cut["test"]
    right = []
    for name in ("tuned", "untuned"):
        kept = made.__dict__.setdefault(f"_about {name}", made.arm(name).about(read.log()))
        place = {item: i for i, item in enumerate(_order(read))}
        right.append(np.array([max(kept[place[item]][key], key=kept[place[item]][key].get) for item in read.item]))
    true = np.array([a[key] for a in read.about])
    return world.mean_of((right[0] == true).astype(float) - (right[1] == true))


def _order(read: Any) -> list[Any]:
    """Items in the order of the log that the messages become."""
    from ethogram.log.messages import Messages

    return Messages.of(read.log()).item


def _named(bench: Any, arm: str, key: str) -> np.ndarray:
    """Whether the likeliest value is the planted one; posts without a comment are asked, too."""
    from ethogram.data.posts import REASONS

    made = _bench(bench)
    kept = made.__dict__.setdefault("_reasons", {})
    read = made.cut["test"]
    if arm not in kept:
        kept[arm] = made.arm(arm).reasons(read.log()).to_pylist()
    first = {r["item"]: r["value"] for r in kept[arm] if r["about"] == key and r["rank"] == 1}
    rows = [int(item[1:]) for item in read.item]
    if key == "reason":
        true = [REASONS[made.posts.outcome["true"][i]] for i in rows]
    else:
        true = ["positive" if made.posts.outcome["better"][i] else "negative" for i in rows]
    return np.array([first[item] == t for item, t in zip(read.item, true, strict=True)], float)


def _over_frequent(bench: Any) -> Estimate:
    from collections import Counter

    from ethogram.data.posts import REASONS

    made = _bench(bench)
    told = Counter(c["reason"] for c in made.cut["train"].comment if c)
    often = told.most_common(1)[0][0]
    true = np.array([REASONS[made.posts.outcome["true"][int(item[1:])]] for item in made.cut["test"].item])
    return world.mean_of(_named(bench, "tuned", "reason") - (true == often))


def _over_untuned(bench: Any, key: str) -> Estimate:
    return world.mean_of(_named(bench, "tuned", key) - _named(bench, "untuned", key))
