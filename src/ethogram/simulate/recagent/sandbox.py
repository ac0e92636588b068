"""The sandbox: people, items, friends, a recommender, as a world. A tick is a round.

Verbs: `watch` an item (label 1; `value` is its place, counted from 1), `pass` an item that was on a page that was
looked at (label 0), `next` page, `leave`, `search` for an item, `rate` it (`value`: stars), `chat` with a friend about
an item (`value`: which, -1 none), `post` about an item to all friends.

Commands: `round` (of the run itself: who is active next, and a fit of the recommender), and from outside `recommender`
(another one, or other options), `edit` (what people like), `broadcast` (some people tell all their friends of an item),
`announce` (an item is told to everybody), `talk` (words to one person), `offer` (what stands first on
people's pages), `call` (people are active next round).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.errors import OptionError, WorldError
from ethogram.log import Log
from ethogram.simulate.recagent.ranking import PAGE, PAGES, RECOMMENDER, WIDTH, ranked, told
from ethogram.simulate.recagent.scene import Scene
from ethogram.world import NEVER, Action, Column, State, World, everyone
from ethogram.world.actions import Done
from ethogram.world.social import relations
from ethogram.world.state import Frozen

HEARD = 8
"""What each person remembers having heard, newest last."""
OUTSIDE = -2
"""Who told it, where it was nobody of the sandbox."""
MODES = ("fixed", "marginal", "sampled")


class Sandbox:
    """What is fixed in a sandbox; `world()` makes one.

    Parameters
    ----------
    scene : who and what. recommender, options : a key of the registry or "random", and its options.
    retrain : rounds between fits. active : chance that somebody idle is active in a round. mode : "fixed"; "marginal"
        (active times 1 + rounds idle); "sampled" (each person has a chance of its own, uniform with that mean).
    most : active people of a round at most. random_k : places of each page given to tail items.
    social_random_k : random people who hear of a post beside the friends.
    social : weight of what friends said, in utility per doubling. watching : hours.
    """

    def __init__(
        self, scene: Scene, *, recommender: str = "bpr_mf", options: dict[str, Any] | None = None, retrain: int = 1,
        active: float = 0.5, mode: str = "fixed", most: int = 100, random_k: int = 0, social_random_k: int = 0,
        social: float = 0.5, watching: float = 2.0, length: float = 5.0, seed: int = 0,
    ):  # fmt: skip
        if mode not in MODES:
            raise OptionError(f"recagent: mode = '{mode}'; one of {', '.join(MODES)}.")
        if not 0 < active <= 1 or retrain < 1 or most < 1 or not 0 <= random_k <= PAGE or social_random_k < 0:
            raise OptionError(
                f"recagent: active = {active} in (0, 1], retrain = {retrain} and most = {most} from 1, random_k = "
                f"{random_k} from 0 to {PAGE}, social_random_k = {social_random_k} from 0."
            )
        if not watching > 0 or not length > 0:
            raise OptionError(f"recagent: watching = {watching} and length = {length} hours must be above 0.")
        self.scene, self.seed, self.retrain, self.mode, self.most = scene, seed, retrain, mode, most
        self.active, self.social, self.watching, self.length = active, social, watching, length
        self.recommender = told(recommender, options or {})
        self.facts = {"random_k": random_k, "social_random_k": social_random_k}

    def world(self, *, minds: Any = None, **more: Any) -> World:
        """A sandbox at its beginning; `more` as for `World`."""
        from ethogram.simulate.recagent.crowd import Crowd
        from ethogram.world.outside import Outside

        scene, n, m = self.scene, len(self.scene.people), len(self.scene.titles)
        watched = scene.past.latest(WIDTH)
        shown = scene.past.chosen()
        counts = np.bincount(scene.past.item, minlength=m)
        tail = np.zeros(m, bool)
        tail[np.argsort(-counts, kind="stable")[m // 5 :]] = True
        ties, edges, facts = relations.columns(n, scene.friends)
        columns = {
            "taste": scene.taste.taste, "watched": watched, "shown": shown,
            "watched_at": np.where(watched >= 0, np.arange(-WIDTH, 0, dtype=np.int32), -WIDTH),
            "heard": np.zeros((n, m), np.int16), "told": np.zeros((n, m), bool),
            **{c: np.full((n, HEARD), -1, np.int32) for c in ("heard_who", "heard_what", "heard_text")},
            "ranked": np.full((n, PAGE * PAGES), -1, np.int32), "busy": Column("int32"),
            "turn": Column("int32", initial=-1), "idle": Column("int32"),
            "chance": Column("float32", initial=self._chance), **ties,
        }  # fmt: skip
        things = {"item": {"tail": tail, "appeal": scene.taste.appeal}, **edges}
        kinds = {"player": Outside, **(minds or {})}
        how: dict[str, Any] = {"seed": self.seed, "start": "2024-01-01", "fallback": "crowd", **more}
        world = World(
            list(scene.people), columns=columns, things=things, actions=self.actions(),
            facts={**facts, **self.facts, RECOMMENDER: -1, "rounds": 0},
            policies={"crowd": Crowd(self)}, minds=kinds, commands=self.commands(),
            names={"item": _distinct(scene.titles)}, wake=NEVER, length=f"{round(self.length * 60)}m",
            observe=self.observed, **how,
        )  # fmt: skip
        if not world.live.agenda.history:  # a run that is resumed has begun already
            world.intervene("recommender", by="sandbox", told=self.recommender)
            world.intervene("round", by="sandbox")
        return world

    def _chance(self, luck: Any) -> np.ndarray:
        if self.mode != "sampled":
            return np.full(len(luck), self.active, np.float32)
        width = min(self.active, 1 - self.active)
        return np.asarray(self.active + width * (2 * luck.uniform("own chance")[:, 0] - 1), np.float32)

    def observed(self, seen: Any, row: int) -> str:
        """What a person sees, in words: what was heard."""
        lines = self.heard(seen, row)
        return "You heard: " + " ".join(lines) if lines else "You heard nothing new."

    def heard(self, seen: Any, row: int) -> list[str]:
        """What was heard, newest last."""
        lines = []
        for who, what, text in zip(*(seen[c][row] for c in ("heard_who", "heard_what", "heard_text")), strict=True):
            if who == -1:
                continue
            speaker = "Somebody" if who == OUTSIDE else self.scene.people[who]
            said = seen.text(text) or f"I liked {self.scene.titles[what]}."
            lines.append(f"{speaker}: {said}")
        return lines

    def actions(self) -> list[Action]:
        on_item = {"on": "item", "rule": everyone()}
        return [
            Action("watch", **on_item, apply=self._watch, about="watch a film"),
            Action("pass", **on_item, apply=self._pass, about="see a film on a page and not take it"),
            Action("next", about="look at the next page"),
            Action("leave", about="leave the recommender"),
            Action("search", **on_item, about="search for a film"),
            Action("rate", **on_item, about="say how much one liked it"),
            Action("chat", on="people", rule=everyone(), apply=self._chat, about="talk with a friend"),
            Action("post", **on_item, apply=self._post, about="tell all friends of a film"),
        ]  # fmt: skip

    # effects

    def _watch(self, state: State, done: Done) -> None:
        self._pass(state, done)
        rows, items = done.rows, done.object
        push(state, rows, {"watched": items, "watched_at": np.full(len(rows), state.tick, np.int32)})
        hold(state, rows, np.full(len(rows), self.watching), self.length)

    def _pass(self, state: State, done: Done) -> None:
        state["shown"][done.rows, done.object] = True

    def _chat(self, state: State, done: Done) -> None:
        hours = np.array([0.5, 1.0, 2.0])[state.luck(done.rows).integers("chat hours", 3)[:, 0]]
        for side in (done.rows, done.object):
            hold(state, side, hours, self.length)
        what = done.value.astype(np.int32)
        some = (what >= 0) & (what < len(self.scene.titles))
        text = np.full(len(what), -1, np.int32)
        if done.text:
            text[list(done.text)] = state.intern(list(done.text.values()))
        hear(state, done.rows[some], done.object[some], what[some], text[some])
        state["told"][done.rows[some], what[some]] = True

    def _post(self, state: State, done: Done) -> None:
        text = np.full(len(done.rows), -1, np.int32)
        if done.text:
            text[list(done.text)] = state.intern(list(done.text.values()))
        spread(state, done.rows, done.object, text)

    # commands

    def commands(self) -> dict[str, Any]:
        names = ("round", "recommender", "edit", "broadcast", "announce", "talk", "offer", "call")
        return {n: getattr(self, f"_{n}") for n in names}

    def _round(self, state: State) -> None:
        """A fit of the recommender where it is time, and who is active in the coming round."""
        if int(state["rounds"]) % self.retrain == 0:
            state["ranked"] = ranked(state, self.seed)
        everybody = np.arange(state.people)
        luck = state.luck(everybody)
        idle = state["busy"] <= state.tick + 1
        p = state["chance"] * (1 + state["idle"] if self.mode == "marginal" else 1)
        u = luck.uniform("active")[:, 0]
        wants = idle & (u < np.minimum(p, 1))
        some = np.flatnonzero(wants)
        if len(some) > self.most:
            some = some[np.lexsort((state["uid"][some], luck.uniform("turn")[some, 0]))[: self.most]]
        state["idle"] += 1
        state["idle"][some] = 0
        turn(state, some)
        state["rounds"] = int(state["rounds"]) + 1
        state.schedule("round", after=1)

    def _recommender(self, state: State, told: str = "", name: str = "", options: dict[str, Any] | None = None) -> None:
        """Another recommender, or the same with other options; it ranks from the next fit on."""
        from ethogram.simulate.recagent import ranking

        state[RECOMMENDER] = int(state.intern([told or ranking.told(name, options or {})])[0])

    def _edit(self, state: State, rows: list[int], likes: str, strength: float = 1.0) -> None:
        """People come to like a category (strength below 0: less)."""
        if likes not in self.scene.kinds:
            raise WorldError(f"edit: no category '{likes}'; there are {', '.join(self.scene.kinds)}.")
        self._check(rows, state.people, "person")
        mine = self.scene.categories[:, self.scene.kinds.index(likes)]
        vectors = self.scene.taste.item
        toward = vectors[mine].mean(0) - vectors[~mine].mean(0)
        # strength 1 raises the category by one unit of utility on average
        state["taste"][rows] += (strength * toward / max(float(toward @ toward), 1e-9)).astype(np.float32)

    def _broadcast(self, state: State, rows: list[int], items: list[int], text: str = "") -> None:
        """People tell all their friends of an item each."""
        self._check(rows, state.people, "person")
        self._check(items, len(self.scene.titles), "item")
        code = int(state.intern([text])[0]) if text else -1
        spread(state, np.array(rows), np.array(items, np.int32), np.full(len(rows), code, np.int32))

    def _announce(self, state: State, item: int, text: str = "") -> None:
        """Everybody hears of an item, from nobody in the sandbox."""
        self._check([item], len(self.scene.titles), "item")
        code = int(state.intern([text or f"Everybody talks of {self.scene.titles[item]}."])[0])
        everybody = np.arange(state.people)
        hear(state, np.full(state.people, OUTSIDE), everybody, np.full(state.people, item, np.int32),
             np.full(state.people, code, np.int32))  # fmt: skip

    def _talk(self, state: State, row: int, text: str, item: int = -1) -> None:
        """Words to one person, who hears them as from somebody; `item` says what they speak for."""
        self._check([row], state.people, "person")
        code = state.intern([text])
        hear(state, np.array([OUTSIDE]), np.array([row]), np.array([item], np.int32), code)

    def _offer(self, state: State, rows: list[int], items: list[int]) -> None:
        """What stands first on people's first page until the next fit (planned, it needs a priority above 0)."""
        self._check(rows, state.people, "person")
        self._check(items, len(self.scene.titles), "item")
        now = state["ranked"][rows]
        state["ranked"][rows] = np.c_[items, now[:, :-1]]

    def _call(self, state: State, rows: list[int]) -> None:
        """These people are active in the next round, whatever chance says (not where they are busy then)."""
        self._check(rows, state.people, "person")
        turn(state, np.array(rows))

    @staticmethod
    def _check(values: Any, most: int, what: str) -> None:
        if wrong := [v for v in values if not 0 <= v < most]:
            raise WorldError(f"there is no {what} {wrong[0]}; there are 0 to {most - 1}.")


def turn(state: State, rows: np.ndarray) -> None:
    """People have their turn in the next round. Whoever has it in this one, too, is left awake, and waits by `rest`."""
    sleeping = rows[state["turn"][rows] != state.tick]
    state["turn"][rows] = state.tick + 1
    if len(sleeping):
        state.wake(sleeping, 1)


def rest(seen: Frozen, rows: np.ndarray) -> np.ndarray:
    """Ticks until people act again: to the next round, where they have their turn in it, else until one wakes them."""
    due = seen["turn"][rows].astype(np.int64)
    return np.where(due > seen.tick, due - seen.tick, NEVER)


def hold(state: State, rows: np.ndarray, hours: np.ndarray, length: float) -> None:
    """People are busy for so many hours from the beginning of this tick, but no less than this tick."""
    until = state.tick + np.maximum(1, np.ceil(hours / length)).astype(np.int32)
    np.maximum.at(state["busy"], rows, until)


def push(state: State, rows: np.ndarray, values: dict[str, np.ndarray]) -> None:
    """Put values behind the others of their people; the oldest go."""
    order = np.argsort(rows, kind="stable")
    for start in _rounds(rows[order]):
        some = order[start]
        for name, value in values.items():
            column = state[name]
            column[rows[some], :-1] = column[rows[some], 1:]
            column[rows[some], -1] = value[some]


def _rounds(ordered: np.ndarray) -> list[np.ndarray]:
    """Places of the first, second ... value of each person, so that no part holds a person twice."""
    if not len(ordered):
        return []
    start = np.r_[True, ordered[1:] != ordered[:-1]]
    place = np.arange(len(ordered)) - np.maximum.accumulate(np.where(start, np.arange(len(ordered)), 0))
    return [np.flatnonzero(place == p) for p in range(int(place.max()) + 1)]


def hear(state: State, who: np.ndarray, whom: np.ndarray, what: np.ndarray, text: np.ndarray) -> None:
    """Some people hear something of somebody; whoever spoke of an item before counts no second time.

    What is heard at one time stands in the order of who said it, whatever order the acts have.
    """
    fresh = (what >= 0) & ((who < 0) | ~state["told"][np.maximum(who, 0), np.maximum(what, 0)])
    np.add.at(state["heard"], (whom[fresh], what[fresh]), 1)
    order = np.lexsort((text, what, who))
    heard = {"heard_who": who.astype(np.int32), "heard_what": what, "heard_text": text}
    push(state, whom[order], {name: column[order] for name, column in heard.items()})


def spread(state: State, rows: np.ndarray, items: np.ndarray, text: np.ndarray) -> None:
    """People tell all their friends, and perhaps some random people, of an item each."""
    ties = relations.graph(state)
    count = ties.out_degree[rows]
    at = np.repeat(np.arange(len(rows)), count)
    first = np.repeat(ties.offsets[rows], count) + np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    whom = ties.targets[first]
    if k := int(state["social_random_k"]):
        others = state.luck(rows).integers("others", state.people - 1, k)
        at = np.r_[at, np.repeat(np.arange(len(rows)), k)]
        whom = np.r_[whom, (rows[:, None] + 1 + others).ravel() % state.people]
    hear(state, rows[at], whom, items[at].astype(np.int32), text[at])
    state["told"][rows, items] = True


def impressions(log: Log) -> Log:
    """What was shown and what came of it: `user`, `item`, `time`, `label` (1 chosen, 0 passed over), `position`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = log.table()
    table = table.filter(pc.is_in(table["kind"], value_set=pa.array(["watch", "pass"])))
    if not len(table):
        raise WorldError("nobody has been shown anything yet; run the sandbox first.")
    made = pa.table(
        {
            "event": table["event"], "user": table["user"], "item": table["item"], "time": table["time"],
            "label": pc.cast(pc.equal(table["kind"], "watch"), pa.float32()),
            "position": pc.cast(table["value"], pa.int32()), "source": table["source"],
        }
    )  # fmt: skip
    return Log.open(made, user="user", item="item", time="time", label="label", position="position", source="source")


def _distinct(titles: tuple[str, ...]) -> list[str]:
    """Titles, with a number where two are the same."""
    seen: dict[str, int] = {}
    made = []
    for title in titles:
        seen[title] = seen.get(title, 0) + 1
        made.append(title if seen[title] == 1 else f"{title} [{seen[title]}]")
    return made
