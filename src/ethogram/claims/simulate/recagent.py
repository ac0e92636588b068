"""What is claimed of `recagent`, and how it is measured.

The bar of the light policy and the activity were chosen on seeds 100 and 101; the claims use others. Choice fidelity is
on MovieLens 100K, tastes from the earliest 80% of what each person liked; filter bubbles are those of 500 people whom
the recommender does not know at the beginning, 250 of them at most active in a round. A quick run has 60 drawn people.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, claim

KEY = "recagent"
SETS = ((1, 5), (3, 3), (3, 6), (1, 9))
LEARNERS = ("bpr_mf", "als", "item_knn")
PLACES = ("planted", "MovieLens")
"""A catalogue of 1,500 items whose categories are alike in number, and MovieLens 100K, whose tail is mostly drama."""
TOPICS = ("chess", "volcanoes", "jazz", "bees", "lighthouses", "robots", "opera", "glaciers")
DONE = ("bought", "repaired", "cleaned", "painted", "lost", "found", "carried", "sold")
THINGS = ("a chair", "the bicycle", "some bread", "an umbrella", "the window", "a coat", "two lamps", "the old phone",
          "a suitcase", "the kitchen table", "a garden hose", "some medicine")  # fmt: skip
WHERE = ("at the market", "in the cellar", "for my aunt", "after work", "in the rain", "on the train", "near the river")


@claim(KEY, "Simulated people choose what real people went on to choose")
def choices(bench: Any) -> Laws:
    laws = []
    for a, b in SETS:
        name = f"{a} of {a + b}"
        laws += [
            Law(f"{name}: precision − the most popular", lambda b, n=name: gap(b, n, "popularity"), ">", 0.0),
            Law(f"{name}: precision − vectors of profile and item", lambda b, n=name: gap(b, n, "profile text"),
                ">", 0.0),
            Law(f"{name}: precision / blind", lambda b, n=name: times(b, n), ">=", 1.5),
        ]  # fmt: skip
    return Laws(*laws)


@claim(KEY, "A recommender that learns from them narrows what people are recommended")
def bubbles(bench: Any) -> Laws:
    laws = []
    for where in PLACES:
        for name in LEARNERS:
            arm = f"{where}, {name}"
            laws += [
                Law(f"{arm}: change of entropy per round", lambda b, n=arm: slope(b, n), "<", 0.0),
                Law(f"{arm}: last three rounds − first three", lambda b, n=arm: fall(b, n), "<", 0.0),
                Law(
                    f"{arm}: last rounds, three tail items a page − none", lambda b, n=arm: kept(b, n, "tail"), ">", 0.0
                ),
            ]
        laws += [
            Law(f"{where}, random order: change per round", lambda b, w=where: slope(b, f"{w}, random"),
                "within", 0.001),
            Law(f"{where}, bpr_mf: last rounds, ten random people hear each post − none",
                lambda b, w=where: kept(b, f"{w}, bpr_mf", "others"), ">", 0.0),
        ]  # fmt: skip
    return Laws(
        *laws,
        Law("MovieLens, bpr_mf that knows the past: change per round", lambda b: slope(b, "MovieLens, bpr_mf, past"),
            "<", 0.0),
    )  # fmt: skip


@claim(KEY, "People follow their friends, the more of them hold a view")
def conform(bench: Any) -> Laws:
    return Laws(
        Law("p of the isotonic test, 0 to 4 friends", lambda b: trend(b, 0.5), "<=", 0.01),
        *(
            Law(f"adoption, {k} friends − {k - 1}", lambda b, k=k: step(b, k), ">=", 0.0) for k in (1, 2, 3, 4)
        ),
        Law("adoption, four friends − none, same people and luck", lambda b: gained(b, 0.5), ">", 0.0),
        Law("the same where nobody listens", lambda b: gained(b, 0.0), "within", 1e-9),
    )  # fmt: skip


@claim(KEY, "Three stages of memory find old interests in little room")
def memories(bench: Any) -> Laws:
    return Laws(
        Law("found among five, three stages − a window of as many records", lambda b: remembered(b)[0], ">", 0.0),
        Law("found among five, three stages", lambda b: remembered(b)[1], ">=", 0.8),
        Law("most records of a person in 1,000 rounds", lambda b: remembered(b)[2], "<=", 210),
        Law("records of a flat stream after as many", lambda b: remembered(b)[3], ">", 210),
    )


@claim(KEY, "A run can be forked at any round, resumed and given another ranker")
def forks(bench: Any) -> Laws:
    return Laws(
        Law("events before the fork that differ", lambda b: forked(b)["before"], "<=", 0),
        Law("events behind it that differ, another number of factors", lambda b: forked(b)["behind"], ">", 0),
        Law("forks without a change whose fingerprint differs", lambda b: forked(b)["same"], "<=", 0),
        Law("registered recommenders that ran unchanged", lambda b: forked(b)["ran"], ">=", 4),
    )


@claim(KEY, "A language model plays people in the same tables")
def played(bench: Any) -> Laws:
    return Laws(
        Law("share of the decisions of its people that it made", lambda b: members(b)["model"], ">=", 0.95),
        Law("kinds of acts they did (of 8)", lambda b: members(b)["verbs"], ">=", 8),
        Law("calls of the model in a replay", lambda b: members(b)["again"], "<=", 0),
        Law("replays whose fingerprint differs", lambda b: members(b)["differ"], "<=", 0),
        Law("1 of 6: precision of the model / blind", lambda b: told(b, "1 of 6"), ">=", 1.0),
        Law("3 of 9: precision of the model / blind", lambda b: told(b, "3 of 9"), ">=", 1.0),
        Law("1 of 6: light policy − model, same people", lambda b: gap(b, "1 of 6", "language model", True), ">", 0.0),
        Law("entropy of what they are recommended, model − light policy, same people", lambda b: members(b)["apart"],
            "within", 0.3),
    )  # fmt: skip


def _held(bench: Any, name: str, make: Any) -> Any:
    """What a law already measured on this bench."""
    kept = bench.__dict__.setdefault("_recagent", {})
    if name not in kept:
        kept[name] = make()
    return kept[name]


def _log(bench: Any) -> Any:
    return bench.load("ml_100k") if not bench.quick else _held(bench, "log", _drawn_log)


def _drawn_log() -> Any:
    """The choices of drawn people as ratings, so that a quick run needs no file."""
    from ethogram.simulate.recagent import Scene

    return Scene.drawn(60, 200, seed=1).log()


def _lm(bench: Any, broker: Any = None) -> Any:
    from ethogram.lm import LM, ScriptedLM

    if bench.quick:
        return ScriptedLM(_rule, rater=lambda prompt, said: [-1.0] * len(said), broker=broker)
    return LM.connect("local", broker=broker)


def _rule(messages: Any, rng: Any) -> Any:
    text = messages[-1].text
    if "how important" in text:
        return {"sentence": "I spent the evening with a film.", "importance": 9}
    if "other words" in text:
        return {"insight": "Films matter to this person."}
    if "important question" in text:
        return {"question": "What does the person like?"}
    return "The nature of war" if "Which title" in text else "That was very fine."


def rows(bench: Any, lm: bool = False) -> list[Any]:
    """The table of choice fidelity; with the language model, of the sets that it is asked about."""

    def make() -> list[Any]:
        how: dict[str, Any] = {"factors": 8, "encoder": "hash"} if bench.quick else {}
        if lm:
            how |= {
                "lm": _lm(bench),
                "lm_people": 8 if bench.quick else 30,
                "pairs": ((1, 5), (3, 6)),
                "encoder": "hash",
            }
        built = bench.build(KEY)
        return list(built.choice_fidelity(_log(bench), seed=0, **how).to_pylist())

    return list(_held(bench, f"fidelity {lm}", make))


def _row(bench: Any, name: str, arm: str, lm: bool = False) -> Any:
    return next(r for r in rows(bench, lm) if (r["set"], r["arm"]) == (name, arm))


def gap(bench: Any, name: str, arm: str, lm: bool = False) -> Estimate:
    row = _row(bench, name, arm, lm)
    return Estimate(row["gap"], row["gap_low"], row["gap_high"], units=row["people"], unit="people")


def times(bench: Any, name: str, arm: str = "light policy", lm: bool = False) -> Estimate:
    """Precision over what taking blindly has in expectation."""
    row = _row(bench, name, arm, lm)
    a, _, b = name.partition(" of ")
    blind = int(a) / int(b)
    return Estimate(*(row[k] / blind for k in ("precision", "low", "high")), units=row["people"], unit="people")


def told(bench: Any, name: str) -> Estimate:
    return times(bench, name, "language model", True)


def _scene(bench: Any, where: str) -> Any:
    from ethogram.simulate.recagent import Scene

    def make() -> Any:
        if bench.quick:
            return Scene.drawn(60, 400, seed=1)
        return Scene.drawn(500, 1_500, seed=1) if where == "planted" else Scene.of(_log(bench), people=500, seed=1)

    return _held(bench, f"scene {where}", make)


def _courses(bench: Any, name: str) -> np.ndarray:
    """Entropies of an arm, [rounds, people]."""

    def make() -> np.ndarray:
        from ethogram.simulate.recagent import Sandbox
        from ethogram.simulate.recagent.studies import bubble

        where, who, *how = name.split(", ")
        more = {"tail": {"random_k": 3}, "others": {"social_random_k": 10}}.get("".join(how), {})
        options = {"factors": 16} if who in ("als", "bpr_mf") else {}
        scene = _scene(bench, where)
        known = scene if how == ["past"] else scene.without_past()
        box = Sandbox(known, recommender=who, options=options, seed=2, most=12 if bench.quick else 250, **more)
        return bubble(box, box.world(), 6 if bench.quick else 30)

    return np.asarray(_held(bench, f"course {name}", make))


def _mean(values: np.ndarray, unit: str = "people") -> Estimate:
    from ethogram.evaluate.bootstrap import mean

    found = mean(values)
    return Estimate(found.value, found.low, found.high, units=len(values), unit=unit)


def slope(bench: Any, name: str) -> Estimate:
    from ethogram.simulate.recagent.studies import slopes

    return _mean(slopes(_courses(bench, name)))


def fall(bench: Any, name: str) -> Estimate:
    found = _courses(bench, name)
    return _mean(found[-3:].mean(0) - found[:3].mean(0))


def kept(bench: Any, name: str, how: str) -> Estimate:
    return _mean(_courses(bench, f"{name}, {how}")[-3:].mean(0) - _courses(bench, name)[-3:].mean(0))


def _conformity(bench: Any, social: float) -> Any:
    def make() -> Any:
        from ethogram.simulate.recagent import Sandbox, Scene, conformity

        scene = Scene.drawn(80, 300, friends=8, seed=1) if bench.quick else Scene.of(_log(bench), people=500, seed=1)
        box = Sandbox(scene, recommender="popularity", social=social, seed=3)
        return conformity(box, repeats=2 if bench.quick else 10)

    return _held(bench, f"conformity {social}", make)


def trend(bench: Any, social: float) -> float:
    return float(_conformity(bench, social).schema.metadata[b"trend_p"])


def step(bench: Any, k: int) -> float:
    found = _conformity(bench, 0.5)["adopted"].to_pylist()
    return float(found[k] - found[k - 1])


def gained(bench: Any, social: float) -> Estimate:
    row = _conformity(bench, social).to_pylist()[-1]
    return Estimate(row["gain"], row["gain_low"], row["gain_high"], units=row["subjects"], unit="people")


def remembered(bench: Any) -> tuple[Estimate, Estimate, float, float]:
    return tuple(_held(bench, "memory", lambda: _remembered(bench)))


def _remembered(bench: Any) -> tuple[Estimate, Estimate, float, float]:
    """Each person has two interests that show five times in the first fifty rounds; every round brings something of
    importance 1 to 8. The window holds the newest observations, as many as the three stages hold records."""
    from ethogram.lm.embed import embed
    from ethogram.lm.memory import HOUR
    from ethogram.lm.stages import Stages
    from ethogram.text.dense import hashed

    people, length = (4, 120) if bench.quick else (40, 1_000)
    vectors: dict[str, np.ndarray] = {}

    def encode(texts: Any) -> np.ndarray:
        fresh = [t for t in texts if t not in vectors]
        if fresh:
            vectors.update(zip(fresh, hashed(fresh) if bench.quick else embed(fresh, keep=False), strict=True))
        return np.stack([vectors[t] for t in texts])

    ours, window, most, flat = [], [], 0, 0
    for person in range(people):
        rng = np.random.default_rng([person, 21])
        mine = rng.choice(len(TOPICS), 2, replace=False)
        shown = dict(zip(rng.choice(50, 10, replace=False).tolist(), np.repeat(mine, 5).tolist(), strict=True))
        memory, stream = Stages(embed=encode), []
        for t in range(length):
            if t in shown:
                text, worth = f"I was moved by a film about {TOPICS[shown[t]]}.", 9
            else:
                text = " ".join(["I", *(str(rng.choice(part)) for part in (DONE, THINGS, WHERE))])
                worth = int(rng.integers(1, 9))
            stream.append(text)
            if not memory.noticed(worth):
                continue
            for moved in memory.take(text, worth, now=5 * t * HOUR, chance=rng.random(12)):
                memory.keep(moved.text, moved.importance, now=5 * t * HOUR, chance=rng.random(201))
            most = max(most, len(memory))
        flat = max(flat, len(stream))
        recent = stream[-len(memory) :]
        for topic in mine:
            asked = f"What does this person feel about {TOPICS[topic]}?"
            fact = f"I was moved by a film about {TOPICS[topic]}."
            ours.append(fact in memory.retrieve(asked, 5, now=5 * length * HOUR, touch=False))
            score = encode(recent) @ encode([asked])[0]
            window.append(fact in [recent[i] for i in np.argsort(-score)[:5]])
    found, other = np.array(ours, float), np.array(window, float)
    return _mean(found - other, "questions"), _mean(found, "questions"), float(most), float(flat)


def forked(bench: Any) -> dict[str, float]:
    return dict(_held(bench, "fork", lambda: _forked(bench)))


def _forked(bench: Any) -> dict[str, float]:
    from ethogram.simulate.recagent import Sandbox, Scene
    from ethogram.world import Command

    scene = Scene.drawn(60, 200, seed=1)
    at, until = (3, 5) if bench.quick else (10, 20)
    world = Sandbox(scene, recommender="bpr_mf", options={"factors": 8}, seed=4).world().run(until)
    other = world.fork(at, Command("recommender", {"name": "bpr_mf", "options": {"factors": 4}})).run(until)
    tables = []
    for run in (world, other):
        table = run.log().table().sort_by("event").select(["event", "user", "kind", "item", "value"])
        tables.append([tuple(r.values()) for r in table.to_pylist()])
    early = [{r for r in t if r[0] < at << 40} for t in tables]
    late = [set(t) - e for t, e in zip(tables, early, strict=True)]
    ran = 0
    for name in ("popularity", "item_knn", "als", "bpr_mf", "lightgcn"):
        options = {"factors": 4} if name == "als" else {}
        box = Sandbox(scene, recommender=name, options=options, seed=4, retrain=1 if name != "lightgcn" else 3)
        ran += box.world().run(3).log(kinds=["watch"]).table().num_rows > 0 if not (
            bench.quick and name in ("lightgcn", "als")) else 1  # fmt: skip
    return {
        "before": float(len(early[0] ^ early[1])), "behind": float(len(late[0] ^ late[1])),
        "same": float(world.fork(at).run(until).fingerprint != world.fingerprint), "ran": float(ran),
    }  # fmt: skip


def members(bench: Any) -> dict[str, Any]:
    return dict(_held(bench, "members", lambda: _members(bench)))


def _members(bench: Any) -> dict[str, Any]:
    """Six people played by the model (more in a quick run) beside light ones, recorded and replayed."""
    import tempfile
    from pathlib import Path

    from ethogram.lm import Broker
    from ethogram.simulate.recagent import RecAgent, Sandbox, Scene
    from ethogram.simulate.recagent.studies import bubble

    scene = Scene.drawn(40, 300, seed=1)
    rounds, mine = (8, list(range(10))) if bench.quick else (8, list(range(5)))
    box = Sandbox(scene, recommender="popularity", active=1.0, seed=5)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "viewers.lmrun"

        def made(mode: Any) -> tuple[Any, np.ndarray, Any]:
            broker = Broker(run=run, mode=mode, cache=False)
            world = RecAgent().members(box, mine, lm=_lm(bench, broker), viewer={"words": 20})
            course = bubble(box, world, rounds)
            broker.close()
            return world, course, broker

        first, course, _ = made("record")
        again, _, replayed = made("replay-strict")
        live = sum(r["live"] + r["failed"] for r in replayed.ledger.rows())
    light = bubble(box, box.world(), rounds)
    table = first.log().table()
    pairs = zip(table["kind"].to_pylist(), table["actor"].to_pylist(), strict=True)
    theirs = {k for k, a in pairs if a == "model:viewer"} - {"nothing"}
    decided = {k: v for k, v in first.live.decisions.items() if k in ("model", "fallback")}
    return {
        "model": decided.get("model", 0) / max(1, sum(decided.values())), "verbs": float(len(theirs)),
        "again": float(live), "differ": float(first.fingerprint != again.fingerprint),
        "apart": _mean(course[-3:, mine].mean(0) - light[-3:, mine].mean(0)),
    }  # fmt: skip
