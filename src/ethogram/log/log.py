"""The behaviour log: a source and a tuple of steps. It owns no connection and holds no rows of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pyarrow as pa

from ethogram.errors import LogFormatError, OptionError, StepError
from ethogram.log import condition, steps
from ethogram.log.crossfold import CROSSED, CrossFold, crossfold
from ethogram.log.distributed import Distributed
from ethogram.log.engine import ENGINES, Engine, engine, owner
from ethogram.log.events import Events
from ethogram.log.histories import Histories, Questions
from ethogram.log.opened import Source, held, opened
from ethogram.log.roles import ROLES, Roles
from ethogram.log.rolling import ROLLING, Rolling, rolling
from ethogram.log.sequences import Sequences
from ethogram.log.split import PARTS, Split, split
from ethogram.log.steps import Step
from ethogram.log.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ethogram.log.features import Features


@dataclass(frozen=True)
class Log:
    """Events of people: who, what, when, which kind, what value, in which context.

    A log is a recipe (source and steps): hashable, picklable, cheap to pass around. Rows are read when asked for.

    Examples
    --------
    >>> import pyarrow as pa
    >>> log = Log.open(pa.table({"user": [1, 1, 2], "item": ["a", "b", "a"], "time": [10, 20, 15]}))
    >>> log.sequences().lengths.tolist()
    [2, 1]
    >>> log.split("leave-last-out").test.table().column("item").to_pylist()
    ['b']
    """

    source: Source
    steps: tuple[Step, ...] = ()
    engine: str = "duckdb"
    _kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False, hash=False)

    @classmethod
    def open(
        cls,
        source: Any,
        /,
        engine: str = "duckdb",
        *,
        items: Any = None,
        users: Any = None,
        strict: bool = False,
        header: bool = True,
        tz: str | None = None,
        **roles: str | None,
    ) -> Log:
        """Open behaviour events.

        Parameters
        ----------
        source : path of a log directory, CSV, TSV, JSONL, Parquet, RecBole atomic file or ``user item item ...``
            list, of a folder of such files or a pattern (``part-*.csv.gz``); or a pandas, polars or Arrow table, or
            any frame that narwhals knows. The rows of a Spark table stay where they are (see docs/guides/spark.md).
        engine : ``duckdb``, ``polars`` or ``spark``, the program that runs relational steps.
        items, users : side tables (path or table), one row per id, the id first or under the role's common name.
        strict : quarantined rows are an error.
        header : False for a text file without column names; roles then name columns by number: ``user="1"``.
        tz : zone of times that name none, ``Europe/Berlin``, or the column that holds each row's; UTC if not given.
            The earlier instant is meant where clocks go back; local times that do not exist are set aside.
        **roles : column that plays a role, for example ``user="uid", time="ts"``, or None where no column does;
            the others are guessed by name.
            ``order="@row"`` declares the row order to be the clock.

        Raises
        ------
        SourceError, RolesError, StrictError, LogFormatError, OptionError
        """
        if engine not in ENGINES:
            from ethogram.log.engine import engine as check

            check(engine)
        options = {**roles, **{k: v for k, v in (("items", items), ("users", users)) if v is not None}}
        if strict:
            options["strict"] = True
        if not header:
            options["header"] = False
        if tz is not None:
            options["tz"] = tz
        return cls(opened(source, options), (), owner(source) or engine)

    @classmethod
    def ingest(cls, source: Any, path: str | Path, /, engine: str = "duckdb", **options: Any) -> Log:
        """Import a source of any size into a new log directory; what is larger than memory is sorted on disk.

        Parameters
        ----------
        source, options : as for `open`.

        Raises
        ------
        SourceError, RolesError, StrictError, LogFormatError, OptionError
            Nothing is written.
        """
        from ethogram.log import blocks, ingest
        from ethogram.log.opened import stored

        if blocks.weight(source) < ingest.LARGE:
            made = cls.open(source, engine, **options)
            events = replace(made.write(path).events, said=made.events.said)
            return cls(stored(path, events), (), engine)
        return cls(stored(path, ingest.ingest(source, path, **options)), (), engine)

    def write(self, path: str | Path) -> Log:
        """Write the log (steps applied) as a directory in Ethogram's own format, and open it from there."""
        from ethogram.log.store import write

        target = Path(path)
        if (target / "log.toml").exists():
            raise LogFormatError(f"{target} is a log already; append to it, or write to a new folder.")
        write(self.materialise().events, target)
        return Log.open(target, "duckdb" if self.events.distributed else self.engine)

    def append(
        self, source: Any, /, *, strict: bool = False, header: bool = True, tz: str | None = None, **roles: str | None
    ) -> Log:
        """Add a block of events to a stored log; codes stay, new ids take the next. Returns the log as it is now."""
        from ethogram.log.store import append

        if self.source.path is None or self.steps or not (Path(self.source.path) / "log.toml").exists():
            raise StepError(
                "append: only a stored log without steps grows; write it first: log.write(path).append(more)."
            )
        append(Path(self.source.path), source, strict=strict, header=header, tz=tz, **roles)
        return Log.open(self.source.path, self.engine)

    def with_step(self, step: Step) -> Log:
        return Log(self.source, (*self.steps, step), self.engine)

    def where(self, text: str) -> Log:
        """Events that meet a condition, for example ``"value >= 4 and kind == 'view'"``.

        Columns go by their role or, where no role bears that name, by their name in the source.
        """
        roles = self.roles.named()
        return self.with_step(
            steps.Where(condition.translated(text, {c: r for r, c in roles.items() if c not in roles}))
        )

    def core(self, min_user: int = 5, min_item: int = 5) -> Log:
        """Only users and items with at least so many events, to a fixed point."""
        return self.with_step(steps.Core(min_user, min_item))

    def sessions(self, gap: Any = "30m") -> Log:
        """Add column `session`: the number of the visit; a longer silence than `gap` ends one."""
        return self.with_step(steps.Sessions(condition.duration(gap)))

    def fold(self, by: str) -> Log:
        """Add column `fold`: the user's events gathered by a column, numbered by first appearance."""
        return self.with_step(steps.Fold(by))

    def until(self, time: Any) -> Log:
        """Events strictly before an instant (ISO text, datetime, or integer microseconds UTC)."""
        return self.with_step(steps.Until(condition.micros(time)))

    def ties(self, how: str) -> Log:
        """``groups`` (default): equal times are one unordered group. ``order``: the stored row order is the truth."""
        if how not in ("groups", "order"):
            raise OptionError(f"ties: '{how}' is neither 'groups' nor 'order'.")
        return self.with_step(steps.StoredOrder()) if how == "order" else self

    def goal(self, name: str) -> Log:
        """The same log with the answers to another goal as its label; the two change places.

        ``log.goal("buy")`` reads column ``label_buy`` (see `ethogram.log.goals`); "label" is the log as it is. A part
        of a split stays that part.
        """
        from ethogram.log.goals import FIRST, FURTHER, Goal

        if name == FIRST:
            return self
        part = self.steps[-1:] if self.steps and isinstance(self.steps[-1], PARTS) else ()
        step = Goal(name.removeprefix(FURTHER))
        return Log(self.source, (*self.steps[: len(self.steps) - len(part)], step, *part), self.engine)

    @overload
    def split(self, protocol: Literal["sliding", "stream"], **options: Any) -> Rolling: ...
    @overload
    def split(self, protocol: Literal["within-user", "new-user", "new-item"], **options: Any) -> CrossFold: ...
    @overload
    def split(self, protocol: str | None = None, **options: Any) -> Split: ...
    def split(self, protocol: str | None = None, **options: Any) -> Split | Rolling | CrossFold:
        """Train, validation and test parts; temporal where there is a clock, else leave-last-out.

        ``sliding`` and ``stream`` give several splits, one behind the other in time (see `ethogram.log.rolling`),
        ``within-user``, ``new-user`` and ``new-item`` the folds of a cross-validation (`ethogram.log.crossfold`).
        """
        if protocol in CROSSED:
            return crossfold(self, str(protocol), **options)
        if protocol in ROLLING:
            return rolling(self, str(protocol), **options)
        return split(
            self,
            protocol or ("temporal" if "time" in self.events.schema else "leave-last-out"),
            **options,
        )

    def before(self) -> Log:
        """The log that this part was cut from (the log itself if it is no part)."""
        if self.steps and isinstance(self.steps[-1], PARTS):
            return self._keep("before", lambda: Log(self.source, self.steps[:-1], self.engine))
        return self

    @property
    def events(self) -> Events:
        """What the source holds, before any step."""
        return self.source.events()

    def engine_(self) -> Engine:
        return engine(self.engine)

    def frame(self) -> Any:
        """A narwhals LazyFrame of the events on the calling thread's own connection."""
        made = self.events.frame(self.engine_())
        for step in self.steps:
            made = step.frame(made, self.engine_())
        return made

    def table(self) -> pa.Table:
        """The events in the source's ids, as an Arrow table sorted by user, time and event."""
        if not self.steps:
            return self.events.table()
        found = self.engine_().collect(self.frame())
        keys = [c for c in ("user_code", "time", "order", "event") if c in found.column_names]
        return found.sort_by([(k, "ascending") for k in keys])

    def rows(self) -> Sequences:
        """The events in memory in stored order, all steps applied (by kernels, where the events lie here)."""

        def build() -> Sequences:
            if not self.steps:
                return self.events.sequences
            if isinstance(self.events, Distributed):
                return self.events.gathered(self.frame(), steps.numbered(self.steps))[0]
            before = Log(self.source, self.steps[:-1], self.engine)
            return self.steps[-1].rows(before.rows(), before)

        return self._keep("rows", build)

    def sequences(self) -> Sequences:
        """The events in memory, one row order for every way of storing them (see `Sequences.canonical`)."""
        return self._keep("sequences", lambda: self.rows().canonical())

    def histories(self, at: Log | None = None) -> Histories:
        """What each user did: everything, or (`at`) all that is strictly earlier than each group of another log."""
        from ethogram.log.questions import histories

        return histories(self, at)

    def questions(self, kind: str = "next", *, which: str | None = None) -> Questions:
        """What this part asks a model; see `ethogram.log.questions`."""
        from ethogram.log.questions import questions

        return self._keep(f"questions:{kind}:{which}", lambda: questions(self, kind, which))

    def features(self) -> Features:
        """Columns as models read them, inferred from this log; edit with `.with_`, `.without`."""
        from ethogram.log.features import infer

        return self._keep("features", lambda: infer(self))

    def materialise(self) -> Log:
        """The same events in memory, steps applied, with vocabularies of what is left."""
        if not self.steps and not self.events.distributed:
            return self
        from ethogram.log.casting import CODES
        from ethogram.log.importer import read

        table = self.table()
        table = table.drop_columns([c for c in CODES if c in table.column_names])
        roles: dict[str, Any] = {role: role if role in table.column_names else None for role in ROLES}
        side: dict[str, Any] = {k: v for k, v in (("items", self.items), ("users", self.users)) if v is not None}
        made = read(table, **side, **roles)
        # the source's own names for its columns: more of the same source may be appended
        names: dict[str, Any] = {r: c for r, c in self.roles.named().items() if getattr(made.roles, r)}
        made = replace(made, roles=replace(made.roles, **names), tz=self.events.tz)
        return Log(held(made), (), "duckdb" if self.events.distributed else self.engine)

    @property
    def roles(self) -> Roles:
        return self.events.roles

    @property
    def items(self) -> pa.Table | None:
        """Side table of the items; its first column `item` is the id."""
        return self.events.items

    @property
    def users(self) -> pa.Table | None:
        """Side table of the users; its first column `user` is the id."""
        return self.events.users

    @property
    def tables(self) -> dict[str, pa.Table]:
        return {k: t for k, t in (("items", self.items), ("users", self.users)) if t is not None}

    def vocabulary(self, name: str) -> Vocabulary:
        """Ids and codes of ``user``, ``item`` or a coded column; of the whole source, whatever the steps."""
        known = self.rows().vocabularies
        if name not in known:
            raise StepError(f"the log has no coded column '{name}'. Coded: {', '.join(known)}.")
        return known[name]

    def fingerprint(self) -> str:
        """Hash of the source's content and the steps."""
        return hashlib.blake2b(f"{self.source.fingerprint}{self.steps!r}".encode(), digest_size=16).hexdigest()

    def repeat_ratio(self) -> float:
        """Share of the behaviour whose item the same user had met in an earlier group."""
        from ethogram.log.describe import repeats
        from ethogram.log.questions import behaviour

        def share() -> float:
            again = repeats(behaviour(self.sequences()))
            return float(np.mean(again)) if len(again) else 0.0

        return self._keep("repeat_ratio", share)

    def describe(self) -> dict[str, Any]:
        """Facts about the log (see `ethogram.log.describe`)."""
        from ethogram.log.describe import describe

        return self._keep("describe", lambda: describe(self))

    def _keep(self, name: str, build: Any) -> Any:
        if name not in self._kept:
            self._kept[name] = build()
        return self._kept[name]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
