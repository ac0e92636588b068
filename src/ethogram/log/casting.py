"""Which column plays which role: names first, then what the columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import RolesError, nearest
from ethogram.log import typed
from ethogram.log.delimited import headless
from ethogram.log.roles import NUMBERS, ROLES, Roles
from ethogram.log.sources import Raw

ROW = "@row"
"""As a column of role order: the place of the row in its source."""
LOOKED_AT = 100_000
CODES = ("user_code", "item_code")
"""Columns that the table form of a log has beside the ids; they are made anew."""


def cast(raw: Raw, given: Mapping[str, str | None]) -> tuple[pa.Table, Roles]:
    """(the table, with row numbers where they are the clock; the roles of its columns).

    A guess that the content belies is taken back: a column `position` of words is an extra column, a column
    `event` of words or of few numbers is the kind.

    Raises
    ------
    RolesError
        No user, neither time nor order, or a named column does not exist.
    """
    table = raw.table
    given = {**raw.roles, **given}
    codes = [c for c in CODES if c in table.column_names and c not in given.values()]
    if "event" in table.column_names and codes:
        table = table.drop_columns(codes)
    if given.get("order") == ROW:
        table = table.append_column(ROW, pa.array(np.arange(len(table))))
    try:
        roles = Roles.guess(table.column_names, **given)
    except RolesError as e:
        hint = headless(table.column_names) if raw.text and raw.header else ""
        raise RolesError(f"{raw.name}: {hint or e}") from None
    for role in ("event", "order", "cause", *NUMBERS):
        column = getattr(roles, role)
        if column is None or role in given or _fits(role, table[column]):
            continue
        if role == "event" and roles.kind is None and "kind" not in given:
            roles = replace(roles.without("event"), kind=column)
        else:
            extra = {*roles.extra, column}
            roles = replace(roles.without(role), extra=tuple(c for c in table.column_names if c in extra))
    if roles.time is None and roles.order is None:
        raise RolesError(_without_clock(raw.name, table.column_names, roles))
    return table, roles


def _without_clock(name: str, columns: list[str], roles: Roles) -> str:
    free = [c for c in columns if c in roles.extra] or columns
    return (
        f"{name}: no column is the time or the order of the events. Columns: {', '.join(columns)}. Name one, for "
        f"example time='{free[-1]}' (instants) or order='{free[-1]}' (a rank within the user); if the rows stand in "
        f"the order of the events, say order='{ROW}'."
    )


def again(raw: Raw, roles: Roles, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Roles for more events of a log: as given, else the columns of the log's first source, else its own names.

    Raises
    ------
    RolesError
        A role is given that does not exist.
    """
    for role in given:
        if role not in ROLES:
            raise RolesError(f"unknown role '{role}'.{nearest(role, ROLES)} Roles: {', '.join(ROLES)}.")
    found: dict[str, str | None] = {**raw.roles, **given}
    names = raw.table.column_names
    for role, column in roles.named().items():
        if role not in found and (column in names or column == ROW or role in names):
            found[role] = column if column in names or column == ROW else role
    for role in ROLES:
        if role != "event" and getattr(roles, role) is None:
            found.setdefault(role, None)  # what was no role at first is none now
    return found


def _fits(role: str, column: pa.ChunkedArray) -> bool:
    """Whether a column that was guessed for a role holds mostly values of the role's type."""
    part = column.slice(0, LOOKED_AT)
    found = typed.numbers(part) if role in NUMBERS else typed.wholes(part)
    if found.wrong is not None and 2 * found.wrong.sum() > len(part) - part.null_count:
        return False
    # codes of kinds are whole numbers too, but they come again
    return role != "event" or 4 * pc.count_distinct(found.values).as_py() > len(part)
