"""A log of made-up accounts, and the system that has learned from it."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from ethogram.data.returning_accounts import ReturningAccounts
from ethogram.log import Log
from ethogram.risk.ban_evasion import BanEvasion

STAMP = pa.timestamp("us", "UTC")


def at(day, hour=0, minute=0):
    return datetime(2020, 1, 1 + day, hour, minute, tzinfo=UTC)


def account(user, created, blocked=None, parent=None, master=None):
    return {"user": user, "created": created, "blocked": blocked, "parent": parent, "master": master}


def edit(user, time, item="A", text="", **more):
    row = {"user": user, "time": time, "item": item, "text": text, "deleted": "", "comment": "", "ns": 0}
    return {**row, "sizediff": 0, "minor": False, **more}


def log_of(accounts, edits):
    types = {"created": STAMP, "blocked": STAMP, "parent": pa.string(), "master": pa.string()}
    schema = pa.schema([("user", pa.string()), *types.items()])
    events = pa.Table.from_pylist(edits)
    return Log.open(events, users=pa.Table.from_pylist(accounts, schema), user="user", time="time", text="text")


def generated(seed):
    read = ReturningAccounts(pairs=130, malicious=300, benign=300, days=100, seed=seed).read()
    return Log.open(read.events, users=read.users, **read.roles)


@pytest.fixture(scope="session")
def made():
    return generated(5)


@pytest.fixture(scope="session")
def learned(made):
    return BanEvasion(candidates=25).fit(made, seed=0)
