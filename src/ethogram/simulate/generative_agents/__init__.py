"""A small town whose people remember, reflect, plan their days, talk, pass on news and meet; one can watch, interview,
whisper a thought, change the state of an object, fork the course of things, and replay it.

    perceive   what is near, in the same arena; new things become records of a memory stream (`perceiving`)
    retrieve   score = a_rec rec + a_imp imp + a_rel rel, each part min-max scaled over the candidates (`lm.memory`);
               rec = 0.995^(hours since last access), all a = 1; `scoring="released"`: rec = 0.99^rank, a = .5, 2, 3
    reflect    when the importance taken in reaches 150: 3 questions about the 100 latest records, insights that cite
               their evidence (`lm.reflecting`)
    plan       what is on the mind, hour of rising, 5 to 7 broad strokes; a stroke by the hour when it begins, its
               coming hour in steps of 5 to 15 minutes; 1,440 minutes a day, anew each day (`planning`)
    act        sector, arena and object among what the person knows and may enter; a shortest path there (`acting`)
    react      talk, wait or go on; conversations line by line, each from its speaker's own memory (`talking`)

Every answer of the model comes under a schema, through its broker; `scripted.townsfolk` answers by rule. Who sleeps
asks nothing. What is heard is kept with the event in which it was said, and a line names the event that it was learned
from: what anybody knows can be traced through the log.

Deviations: a step of the world is 10 game seconds, but people decide only where something is to be decided (an act
ends, a tile is reached, somebody comes into sight, a line was said). Objects at rest are no events. An arena is chosen
for a whole activity and an object for each part of it, and the object's state comes with that choice. Strokes are of
three hours each, so that a small model has few short fields to fill; as in the paper only what comes next is worked out
(the released code plans all hours at dawn), only the coming hour of a long block is split, and it is the strokes of
which a few must differ (or they are asked for once more). A relationship is summarised once in a conversation, by each
side. Interviews answer from 50 records without a summary before. Recency in the released code gives the highest weight
to what was accessed longest ago; here rank 0 is the latest.

Park, O'Brien, Cai, Morris, Liang, Bernstein: Generative Agents: Interactive Simulacra of Human Behavior (UIST 2023).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ethogram.errors import OptionError, WorldError, unknown
from ethogram.system import system
from ethogram.verbs import Log, State

__all__ = ["GenerativeAgents"]
KIND = "resident"


@system(
    "generative_agents",
    paper="Generative Agents: Interactive Simulacra of Human Behavior",
    year=2023,
    area="simulate",
    verbs=("simulate",),
    needs=("aiohttp", "msgspec", "pydantic"),
)
@dataclass(kw_only=True)
class GenerativeAgents:
    """See the module."""

    memory: bool = True
    "Whether people remember; without memory nothing is kept, nothing comes to mind."
    reflection: bool = True
    "Whether they draw conclusions from what they remember."
    planning: bool = True
    "Whether they plan their days; without, each act is decided when the last one ends."
    scoring: Literal["paper", "released"] = "paper"
    "Weights and recency of retrieval: as in the paper, or as in the code that was released."
    encoder: Literal["hash", "minilm"] = "hash"
    "Vectors of records: hashed letter groups (quick, no model), or sentences by meaning."
    vision: int = 4
    "Tiles as far as people see, within their arena."
    attention: int = 3
    "Things seen at once that are taken in."
    retention: int = 5
    "Latest events that are not kept again when they are seen again."
    threshold: float = 150.0
    "Importance taken in between reflections."
    recall: int = 30
    "Records that come to mind for a decision."
    recall_talk: int = 25
    "Records that come to mind for a line of a conversation."
    recall_interview: int = 50
    "Records that come to mind for an answer in an interview."
    cooldown: float = 120.0
    "Minutes after a conversation in which the two do not begin another."
    most: int = 5_000
    "Records that one person keeps; the weakest go."
    temperature: float = 0.0
    "Of the model's answers; above 0 they are drawn, by the world's seed."
    lm: Any = None
    "The model: an LM or where to connect to one; None is the rule-based townsfolk."

    def __post_init__(self) -> None:
        wholes = ("vision", "attention", "retention", "recall", "recall_talk", "recall_interview", "most")
        for name in wholes:
            if getattr(self, name) < 1:
                raise OptionError(f"{name} = {getattr(self, name)} must be 1 or more.")
        if self.threshold <= 0 or self.cooldown < 0 or self.temperature < 0:
            raise OptionError("threshold must be above 0, cooldown and temperature 0 or more.")

    fitted = True  # nothing is learned

    def world(
        self, town: Any = None, people: Sequence[Any] | int = 25, *, seed: int = 0, minds: int | None = None,
        lm: Any = None, start: str = "2026-02-13", length: float = 10.0, folder: str | Path | None = None,
        resume: bool = False, **engine: Any,
    ) -> Any:  # fmt: skip
        """A town with its residents, ready to run.

        Parameters
        ----------
        town : a `world.town.Town`; None is the default one. people : residents (`world.town.folk.Resident`), or how
            many of the default ones; all have minds. minds : the same number, where it is given. lm : their model; None
            takes that of the options. start : time of tick 0. length : seconds of a tick. folder, resume : of the run.
            It also holds `town.json` and `people.json`; where everybody was is on its tape.
        **engine : further options of `ethogram.world.World` (`every`, `deadline`, `spent`, `run`, `reach` ...).

        Raises
        ------
        WorldError
            Somebody lives or works nowhere in this town. StateError: the folder holds another world's run.
        """
        from ethogram.log.condition import micros
        from ethogram.simulate.generative_agents.mind import Townsman, table
        from ethogram.world import Acts, World
        from ethogram.world.tape import NAME as EVENTS
        from ethogram.world.town.folk import residents
        from ethogram.world.town.living import Living
        from ethogram.world.town.plans import default_town

        if minds is not None and not isinstance(people, int):
            raise OptionError(f"minds = {minds} beside {len(people)} people; all of them have minds.")
        folk = residents(minds or people) if isinstance(people, int) else list(people)
        living = Living(town or default_town(), folk, self.vision, micros(start), round(length * 1e6))
        texts = table(self)

        def still(rows: Any, seen: Any, luck: Any) -> Any:
            """Who has no mind, or no answer, stays for a minute."""
            return Acts("stay", rows)

        still.every = 6  # type: ignore[attr-defined]
        there = resume and folder is not None and (Path(folder) / EVENTS).exists()
        made = World(
            **living.declaration(), policies={"still": still}, fallback="still", lm=lm or self._lm(seed), seed=seed,
            minds={KIND: lambda persona: Townsman(persona, self, living, texts)}, folder=folder, resume=resume,
            **engine,
        )  # fmt: skip
        if folder is not None and not there:
            living.town.write(Path(folder) / "town.json")
            told = [person.json() for person in folk]
            (Path(folder) / "people.json").write_text(json.dumps(told, ensure_ascii=False, indent=1), "utf-8")
        if not there:
            for uid, person in enumerate(folk):
                made.promote(uid, KIND, person.json())
        return made

    def _lm(self, seed: int) -> Any:
        from ethogram.lm import LM

        if self.lm is None:
            from ethogram.simulate.generative_agents.scripted import townsfolk

            return townsfolk(seed)
        return LM.connect(self.lm) if isinstance(self.lm, str) else self.lm

    def example(self, *, seed: int = 0) -> Any:
        """Four neighbours on a February morning."""
        from ethogram.world.town.folk import residents
        from ethogram.world.town.plans import default_town

        people = residents(4)
        homes = list(dict.fromkeys(p.home for p in people))
        public = ["Lantern Café", "Corner Store", "Library", "School", "River Park"]
        return self.world(default_town(homes, public), people, seed=seed, start="2026-02-13T08:00")

    def run(self, world: Any, until: int, *, seed: int = 0) -> Log:
        """What happens in the first `until` ticks of a world; the world that was given stays as it is."""
        log: Log = world.fork(seed=seed).run(until).log()
        return log

    def whisper(self, world: Any, who: str | int, text: str, *, at: int | None = None) -> None:
        """Put an inner thought into somebody's mind, now or at a tick."""
        world.intervene("whisper", at=at, uid=self.uid(world, who), text=text)

    def set_object(self, world: Any, object: str | int, text: str, *, at: int | None = None) -> None:
        """Change the state of an object, by number or address; "" puts it at rest."""
        world.intervene("set_object", at=at, object=object, text=text)

    def interview(self, world: Any, who: str | int, question: Any) -> Any:
        """An answer with the records it was given from and the event they go back to; it changes nothing.

        `question` is a text or a `world.Question`.
        """
        from ethogram.lm.blocking import run
        from ethogram.world.asking import question as asked
        from ethogram.world.minds import context

        item, row = asked(question), world.live.row(self.uid(world, who))
        held = world.live.overlay.of(row)
        told = context(row, held, world.live.frozen(), world.declared)
        return run(held.mind.interview(told, item.text, item.schema))

    def plan(self, world: Any) -> dict[str, Any]:
        """The town of a world, as `world.town.Town.json` tells it: what a replay draws people on."""
        told: dict[str, Any] = world.declared.observe.__self__.town.json()
        return told

    def uid(self, world: Any, who: str | int) -> int:
        """A person's number, by name or number."""
        names = list(world.declared.ids)
        if isinstance(who, str) and who not in names:
            raise WorldError(unknown("person", who, names))
        return names.index(who) if isinstance(who, str) else int(who)

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self
