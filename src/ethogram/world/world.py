"""`World`: people as columns, what they can do, who decides; it runs, is asked, changed, forked and resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ethogram.errors import WorldError
from ethogram.lm.blocking import run as wait_for
from ethogram.log import Log
from ethogram.log.condition import duration, micros
from ethogram.world import asking, checkpoint, costs, exporting, forking
from ethogram.world.actions import Action
from ethogram.world.agenda import NAME as COMMANDS
from ethogram.world.agenda import Agenda, Command
from ethogram.world.asking import Question
from ethogram.world.calendar import MOST_TICKS
from ethogram.world.columns import POLICY, build
from ethogram.world.declared import DEMOTE, PROMOTE, checked
from ethogram.world.live import Live, check
from ethogram.world.state import Frozen
from ethogram.world.stepping import step
from ethogram.world.tape import NAME as EVENTS
from ethogram.world.tape import Tape


class World:
    """A world that answers back.

    Parameters
    ----------
    people : how many, or their names. columns : name -> what is known of each (`ethogram.world.columns`).
    things : kind -> columns of what is no person. facts : numbers of the whole world.
    actions : verbs. policies : name -> vector policy, or a function (rows, seen, luck) -> Acts. Everybody follows the
        first one; `bind` (policy -> rows) says otherwise.
    minds : kind -> function of a persona that makes a mind (`ethogram.world.minds`).
    commands : name -> function (state, **arguments), for `intervene` and `state.schedule`.
    names : kind of things -> names. observe : (frozen state, row) -> what a mind observes, in words.
    lm : language model of minds, archetypes and the game master. master : judges acts in free words.
    fallback : policy that decides where a mind could not. deadline : seconds of wall time that a mind has for a
        decision; a strict replay is late where the recorded run was, and nowhere else.
    spent : "degrade" (to the fallback) or "stop" (BudgetSpent) when the budget of the model is spent.
    seed : of all random numbers. wake : tick at which people are first awake: one, one each, or a function of luck.
    start : time of tick 0. length : of a tick, for example "10m".
    batch : people that a vector policy is asked at once; workers : threads. Neither changes a result.
    sequential : whether people act one after the other within a tick, each seeing what the last one did.
    reach : who can meet whom, so that minds may run ahead of each other (`ethogram.world.runahead`).
    snapshots : ticks between states kept in memory for `fork` and `at`; None keeps the beginning. most_snapshots,
        snapshots_mb : bounds of them; above, every second one goes, and more ticks are repeated to come back to one.
    folder : where the run is kept; None keeps it in memory. every : ticks between checkpoints. resume : whether to
        continue a run that is in the folder. run : its name in the log's `source`.
    uid : identities of the rows, where they are not 0, 1, 2 ...

    Raises
    ------
    WorldError
        Something is declared wrongly. StateError: the folder holds another world's run, or a damaged one.

    Examples
    --------
    >>> from ethogram.world import Acts, Action, World, first_wins
    >>> def grab(rows, seen, luck):
    ...     return Acts("take", rows, object=luck.integers("which", 2)[:, 0])
    >>> def owned(state, done):
    ...     state["apple.owner"][done.object] = done.uid
    >>> world = World(5, things={"apple": {"owner": [-1, -1]}}, policies={"greedy": grab},
    ...               actions=[Action("take", on="apple", rule=first_wins(), apply=owned)], seed=1)
    >>> world.run(1).log().table().column("kind").to_pylist()
    ['take', 'take']
    """

    def __init__(
        self, people: int | Sequence[str] = 0, *, columns: Mapping[str, Any] = {},
        things: Mapping[str, Mapping[str, Any]] = {}, facts: Mapping[str, Any] = {}, actions: Sequence[Action] = (),
        policies: Mapping[str, Any] = {}, bind: Mapping[str, Any] = {}, minds: Mapping[str, Callable[..., Any]] = {},
        commands: Mapping[str, Callable[..., None]] = {}, names: Mapping[str, Sequence[str]] = {},
        observe: Callable[[Frozen, int], str] | None = None, lm: Any = None, master: Any = None, fallback: str = "",
        deadline: float | None = None, spent: Literal["degrade", "stop"] = "degrade", seed: int = 0, wake: Any = 0,
        start: Any = 0, length: str = "1m", batch: int = 65_536, workers: int = 1, sequential: bool = False,
        reach: Any = None, snapshots: int | None = None, most_snapshots: int = 256, snapshots_mb: float = 2_048.0,
        folder: str | Path | None = None, every: int = 1_000, resume: bool = False, run: str = "", uid: Any = None,
    ):  # fmt: skip
        ids = None if isinstance(people, int | np.integer) else [str(p) for p in people]
        n = int(people) if isinstance(people, int | np.integer) else len(people)
        if ids is not None and uid is not None and sorted(map(int, uid)) != list(range(n)):
            raise WorldError(f"uid: people with names have the identities 0 to {n - 1}, their places among the names.")
        arrays = build(n, columns, things, facts, seed, uid, wake)
        self.declared = checked(
            arrays, actions, policies, minds, commands, names=names, observe=observe, lm=lm, master=master,
            fallback=fallback, deadline=deadline, spent=spent, batch=batch, workers=workers, sequential=sequential,
            start=start if isinstance(start, int) else micros(start), length=duration(length),
            run=run or f"seed {seed}", ids=ids, reach=reach,
        )  # fmt: skip
        for name, rows in bind.items():
            if name not in policies:
                raise WorldError(f"bind: there is no policy '{name}'; there are {', '.join(policies) or 'none'}.")
            arrays[POLICY][rows] = list(policies).index(name)
        self.folder = Path(folder) if folder is not None else None
        if most_snapshots < 1 or not snapshots_mb > 0:
            raise WorldError(f"most_snapshots = {most_snapshots}, snapshots_mb = {snapshots_mb}: give more than none.")
        self.every, self.snapshots = every, snapshots
        self.bounds = (most_snapshots, snapshots_mb)
        self.live = Live.begin(arrays, self.declared, seed, Tape(), Agenda())
        self.kept = {0: self.live.copy()}
        self._kept_at = 0
        if self.folder is not None:
            self._settle(self.folder, resume)

    def keep_in(self, folder: str | Path, *, every: int = 1_000, resume: bool = False) -> World:
        """Keep the run in a folder from now on; with `resume`, continue the one that is there. The world itself.

        For a world that somebody else declared, and that has not run yet; else give ``World(folder=...)``.

        Raises
        ------
        WorldError
            The run has a folder or has begun, or the folder holds one already. StateError: it holds another world's
            run, or a damaged one.
        """
        if self.folder is not None or self.live.tape.entries:
            raise WorldError(f"keep_in({folder}): this run has a folder or has begun; fork it: world.fork(folder=...).")
        self.folder, self.every = Path(folder), every
        fresh = not (self.folder / EVENTS).exists()
        self._settle(self.folder, resume)
        if fresh:
            self.checkpoint()  # with what was commanded before
        return self

    def _settle(self, root: Path, resume: bool) -> None:
        """Continue the run of a folder, or begin one there."""
        if (root / EVENTS).exists():
            if not resume:
                raise WorldError(f"{root} holds a run already; give resume=True to continue it, or another folder.")
            self.live = checkpoint.resume(self.live, self.declared, root)
            checkpoint.lean(self.kept[0], self.live)
            self._kept_at = self.tick
            return
        self.live.tape = Tape(root / EVENTS)
        self.live.agenda.path = root / COMMANDS

    # running

    def run(self, until: int) -> World:
        """Run all ticks before `until`, and return the world itself.

        Raises
        ------
        WorldError
            That tick is past, or somebody does what is none of this world's. BudgetSpent: see `spent`. NotRecorded: a
            strict replay met a call that is not in the recording. In each case all ticks before are done, and the
            world can go on.
        """
        if until < self.tick:
            raise WorldError(
                f"run({until}): the world is at tick {self.tick}; to go back, fork it: world.fork({until})."
            )
        if until > MOST_TICKS:
            raise WorldError(f"run({until}): a run has at most {MOST_TICKS} ticks; use longer ones.")
        if self.declared.reach is not None:
            from ethogram.world.runahead import ran

            ran(self, until)
            return self
        while (at := self.live.next()) is not None and at < until:
            self.keep(at)
            self.live.tick = at
            self.check()
            step(self.live, self.declared)
        self.keep(until)
        self.live.tick = until
        return self

    def keep(self, upcoming: int) -> None:
        """Snapshots and checkpoints that are due between the last ones and the next tick at which anything happens."""
        last = self._kept_at
        if self.snapshots and last // self.snapshots < upcoming // self.snapshots:
            self.kept.setdefault(self.tick, self.live.copy())
            forking.thin(self.kept, *self.bounds)
        if self.folder is not None and last // self.every < upcoming // self.every:
            self.checkpoint()
        self._kept_at = upcoming

    def check(self) -> None:
        """WorldError where an effect raised halfway, so that the state is not to be believed."""
        if self.live.broken:
            where = f"resume it from {self.folder}" if self.folder else "fork it before that tick"
            raise WorldError(f"this run broke off at {self.live.broken}; {where}.")

    @property
    def tick(self) -> int:
        """The next tick."""
        return self.live.tick

    @property
    def people(self) -> int:
        return self.state.people

    @property
    def state(self) -> Frozen:
        """The state now; ``world.state["hunger"]`` is read-only."""
        return self.live.frozen()

    # what happened

    def log(self, *, kinds: Sequence[str] | None = None, refused: bool = False, own: bool = False) -> Log:
        """What happened, as a behaviour log.

        `user` who, `item` on what, `time`, `kind` the verb, `value`, `text`, `actor` how it was decided (source and
        policy), `cause` the event that led to it, `source` "simulated:RUN", `payload` reasons and arguments.

        Parameters
        ----------
        kinds : only these verbs. refused : also what was not granted, as kind "VERB (refused)".
        own : also the world's own events: commands, notes, and decisions to do nothing.

        Raises
        ------
        WorldError
            Nothing of the kind has happened, or there is no such verb.
        """
        return exporting.exported(self.live.tape, self.declared, kinds=kinds, refused=refused, own=own)

    @property
    def fingerprint(self) -> str:
        """Hash of all that has happened, in order; wall time is not in it."""
        return self.live.tape.chain.hex()

    @property
    def events(self) -> int:
        """How many events there are, the world's own and those refused among them."""
        return self.live.tape.events

    def costs(self) -> pa.Table:
        """What each component took (see `ethogram.world.costs`)."""
        return costs.table(self.live, self.declared)

    def shares(self) -> dict[str, float]:
        """Share of the decisions by source: rule, model, cache, archetype, surrogate, outside, fallback."""
        return costs.shares(self.live)

    # changing it

    def intervene(
        self, command: str | Command, *, at: int | None = None, by: str = "director", priority: int = 0,
        **arguments: Any,
    ) -> None:  # fmt: skip
        """Do a command now, or plan it for the beginning of tick `at`; it is an event of the run.

        Commands are those that were declared, and ``set`` (column, value, rows=None), ``bind`` (policy, rows),
        ``promote`` (uid, kind, persona), ``demote`` (uid).

        Raises
        ------
        WorldError
            There is no such command, the tick is past, or it cannot be done: then nothing of it is done.
        """
        self.check()
        made = command if isinstance(command, Command) else Command(command, arguments, by)
        check(made.name, self.declared)
        if at is not None and at < self.tick:
            raise WorldError(f"intervene at tick {at}: the world is at tick {self.tick}; fork it to change its past.")
        if at is not None and at > self.tick:
            self.live.agenda.outer(made, at, priority)
            return
        self.live.settle(self.declared)
        self.live.at_once(made, self.declared)
        self.live.agenda.at_once(made, self.tick)

    def promote(self, uid: int, kind: str, persona: Mapping[str, Any] | None = None, *, at: int | None = None) -> None:
        """Give a person a mind of a declared kind, now or from tick `at` on."""
        self.intervene(PROMOTE, at=at, uid=int(uid), kind=kind, persona=dict(persona or {}))

    def demote(self, uid: int, *, at: int | None = None) -> None:
        """Take a person's mind away; they follow their vector policy again."""
        self.intervene(DEMOTE, at=at, uid=int(uid))

    # other courses

    def fork(
        self, at: int | None = None, do: Command | Sequence[Command] = (), *, seed: int | None = None,
        commands: bool = True, folder: str | Path | None = None, run: str = "",
    ) -> World:  # fmt: skip
        """A branch from the beginning of tick `at` (now by default), with a change.

        Parameters
        ----------
        do : commands done at the fork; the first thing that differs.
        seed : None keeps the run's random numbers, so that only what follows from the change differs (a paired
            counterfactual); a number gives the branch its own from here on.
        commands : whether the branch is given what the run was commanded from outside at tick `at` and later.
        folder : where the branch is kept.

        Raises
        ------
        WorldError
            That tick has not happened.
        """
        if at is None:
            self.check()
        made = self._branch(self.tick if at is None else at, commands)
        if seed is not None:
            forking.another_luck(made.live, seed)
        forking.renamed(made, run or f"{self.declared.run}, fork {made.tick}")
        if folder is not None:
            root = Path(folder)
            if (root / EVENTS).exists():
                raise WorldError(f"{root} holds a run already; give the branch another folder.")
            made.folder = root
            made.live.tape = Tape(root / EVENTS, made.live.tape.entries)
            made.live.agenda.path = root / COMMANDS
            made.checkpoint()
            checkpoint.remap(made.live)
        made.kept[made.tick] = made.live.copy()
        for command in [do] if isinstance(do, Command) else do:
            made.intervene(command)
        return made

    def at(self, tick: int) -> World:
        """The world as people saw it at a tick that has happened (what was commanded for it is done); a branch."""
        made = self._branch(tick, True)
        made.live.settle(made.declared)
        return made

    def _branch(self, tick: int, commands: bool) -> World:
        made: World = object.__new__(World)
        made.declared, made.folder, made.every, made.snapshots = self.declared, None, self.every, self.snapshots
        made.bounds = self.bounds
        made.live, made._kept_at = forking.rebuilt(self, tick, commands), tick
        made.kept = {t: live for t, live in self.kept.items() if t <= tick}
        return made

    def checkpoint(self) -> Path:
        """Save the whole state in the run's folder now.

        Raises
        ------
        WorldError
            The run has no folder, or broke off. StateError: a file that it maps was changed by somebody else.
        """
        if self.folder is None:
            raise WorldError("this run has no folder; give World(folder=...).")
        self.check()
        return checkpoint.save(self.live, self.declared, self.folder)

    def close(self) -> None:
        """Close the files of the run's folder; it can be resumed, here or elsewhere."""
        self.live.tape.sync()
        self.live.tape.close()

    # asking

    def ask(self, uid: int, question: str | Question, *, mind: str = "", at: int | None = None) -> Any:
        """What a person answers now (or at a tick that has happened). It changes nothing in the world.

        Parameters
        ----------
        mind : kind of mind that answers for a person who has none.
        """
        where = self if at is None else self.at(at)
        row = where.live.row(uid)
        return wait_for(asking.asked(where.live, where.declared, row, asking.question(question), mind))

    def survey(self, uids: Sequence[int], questions: Sequence[str | Question], *, mind: str = "") -> pa.Table:
        """A questionnaire to many, all asked at once: columns `uid`, `question`, `answer`, `error`."""
        items = [asking.question(q) for q in questions]
        return wait_for(asking.surveyed(self.live, self.declared, [int(u) for u in uids], items, mind))

    def context(self, uid: int, at: int | None = None) -> str:
        """What the mind of a person is told when it decides: its prompt now, or at a tick that has happened."""
        where = self if at is None else self.at(at)
        return asking.shown(where.live, where.declared, where.live.row(uid))
