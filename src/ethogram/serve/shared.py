"""The store that replicas share: Redis, each change one script (`ethogram.serve.scripts`).

Redis answers a write after its fsync only with ``appendonly yes`` and ``appendfsync always``: so the store refuses a
server that is set otherwise, unless told ``durable=False``. What is promised holds for one server; a failover to a
Redis replica, which is behind by design, may lose what was acknowledged a moment before.

A call whose connection breaks is sent once more at most, then raises `StoreError`; the next call connects anew. Whether
a broken append was written is not known: sent again, its entries are duplicates where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import EllipsisType
from typing import Any, Literal
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ethogram.errors import OptionError, StoreError
from ethogram.serve import scripts
from ethogram.serve.encoding import HASH, MIDDLE, PLACE, hashed, order, packed, place, unpacked
from ethogram.serve.scripts import BLOCK
from ethogram.serve.state import KEEP, Appended, Entry, Kept, Moved, User

PAGE = 1_024
WAIT = 5.0
"""Seconds for a connection and for an answer."""
MEMBER = 16
"""Bytes of time and seq before the body of a ring's event."""
WANTED = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
OUTCOMES: dict[int, Literal["duplicate", "conflict", "forgotten"]] = {-1: "duplicate", -2: "conflict", -3: "forgotten"}


class Shared:
    """The store on a Redis server.

    Parameters
    ----------
    url : ``redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER]``.
    keep : events of each user's ring; the same for all who share the server.
    prefix : of all keys. durable : refuse a server that would answer before its fsync.
    wait : seconds for an answer.

    Raises
    ------
    StoreError
        Nothing answers, or what it acknowledged would not be durable.
    """

    def __init__(
        self, url: str, *, keep: int = KEEP, prefix: str = "ethogram", durable: bool = True, wait: float = WAIT
    ) -> None:
        if keep < 1:
            raise StoreError(f"store: keep = {keep}; a ring holds 1 event or more.")
        self.keep, self.durable = keep, durable
        parts = urlsplit(url)
        self._name = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"  # no password in messages
        self._prefix = b"{" + prefix.encode() + b"}:"
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        try:
            self._redis: Any = redis.Redis.from_url(
                url, socket_timeout=wait, socket_connect_timeout=wait, socket_keepalive=True, retry=retry
            )
        except ValueError as error:
            raise OptionError(f"store '{self._name}': {error}.") from None
        made: Callable[[str], Any] = self._redis.register_script
        self._append, self._forget, self._derive = (made(s) for s in (scripts.APPEND, scripts.FORGET, scripts.DERIVE))
        self._lift, self._settle = made(scripts.LIFT), made(scripts.SETTLE)
        try:
            self.check()
        except StoreError:
            self.close()
            raise

    # -- events -------------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], *, ring: bool = True) -> Appended:
        lines = packed(entries)
        if not lines:
            return Appended((), {})
        args: list[Any] = [self.keep, int(ring)]
        for entry, line in zip(entries, lines, strict=True):
            time = PLACE.pack(entry.time + MIDDLE)
            args += [line.id, line.content, line.user, line.body, time, entry.kind.encode(), entry.user.encode()]
        with self._told():
            codes, moves = self._append(keys=[self._prefix], args=args)
        new = {seq: Kept(seq, entry) for seq, entry in zip(codes, entries, strict=True) if seq >= 0}
        moved = {}
        for first, before, after, added, expired in moves:
            fresh = sorted((new[seq] for seq in added), key=order)
            moved[new[first].entry.user] = Moved(before, after, tuple(fresh), tuple(_kept(m) for m in expired))
        return Appended(tuple("accepted" if code >= 0 else OUTCOMES[code] for code in codes), moved)

    def user(self, user: str, last: int | None = None) -> User:
        key = hashed(user)
        with self._told(), self._redis.pipeline(transaction=True) as pipe:  # both of one moment
            pipe.hgetall(self._key(b"user:", key))
            if last != 0:
                pipe.zrange(self._key(b"ring:", key), 0 if last is None else -last, -1)
            facts, *ring = pipe.execute()
        counters = {name[2:].decode(): int(n) for name, n in facts.items() if name.startswith(b"k:")}
        kept = tuple(_kept(m) for m in ring[0]) if ring else ()
        return User(int(facts.get(b"r", 0)), int(facts.get(b"n", 0)), counters, kept)

    def users(self) -> Iterator[str]:
        after = b"-"
        while True:
            with self._told():
                page = self._redis.zrange(self._key(b"people"), after, b"+", bylex=True, offset=0, num=PAGE)
                with self._redis.pipeline(transaction=False) as pipe:
                    for user in page:
                        pipe.hget(self._key(b"user:", user), b"u")
                    names = pipe.execute()
            yield from (name.decode() for name in names if name is not None)
            if len(page) < PAGE:
                return
            after = b"(" + page[-1]

    # -- what is derived ----------------------------------------------------------------------------------------------

    def derived(self, version: str, users: Sequence[str], at: Sequence[int] | None = None) -> list[bytes | None]:
        if not users:
            return []
        keys = [hashed(u) for u in users]
        with self._told(), self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(self._key(b"derived:", hashed(version)), keys)
            if at is None:
                for key in keys:
                    pipe.hget(self._key(b"user:", key), b"r")
            found, *now = pipe.execute()
        wanted = [None if r is None else place(int(r)) for r in (now if at is None else at)]
        return [
            f[PLACE.size :] if f is not None and f[: PLACE.size] == r else None
            for f, r in zip(found, wanted, strict=True)
        ]

    def derive(self, version: str, made: Iterable[tuple[str, int, bytes]]) -> int:
        args: list[Any] = [hashed(version)]
        for user, revision, value in made:
            args += [hashed(user), revision, value]
        if len(args) == 1:
            return 0
        with self._told():
            return int(self._derive(keys=[self._prefix], args=args))

    def drop(self, version: str) -> None:
        name = hashed(version)
        with self._told(), self._redis.pipeline(transaction=True) as pipe:
            pipe.unlink(self._key(b"derived:", name))
            pipe.srem(self._key(b"versions"), name)
            pipe.execute()

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def entries(self, after: int = -1, until: int | None = None) -> Iterator[Kept]:
        last = self.watermark()
        last = last if until is None else min(until, last)
        for number in range((after + 1) // BLOCK, last // BLOCK + 1):
            lines = [(seq, record) for seq, record in self._block(number) if after < seq <= last]
            owners = list({record[:HASH] for _, record in lines})
            if not owners:
                continue
            with self._told():  # after the lines, so that what is forgotten meanwhile is left out
                seqs = self._redis.hmget(self._key(b"tombs"), owners)
            tombs = {user: -1 if seq is None else int(seq) for user, seq in zip(owners, seqs, strict=True)}
            yield from (unpacked(seq, record[2 * HASH :]) for seq, record in lines if seq > tombs[record[:HASH]])

    def _block(self, number: int) -> list[tuple[int, bytes]]:
        with self._told():
            found = self._redis.hgetall(self._key(b"block:", b"%d" % number))
        return sorted((int(seq), record) for seq, record in found.items())

    def watermark(self) -> int:
        with self._told():
            return int(self._redis.get(self._key(b"next")) or 0) - 1

    # -- forgetting ---------------------------------------------------------------------------------------------------

    def forget(self, user: str) -> int:
        with self._told():
            return int(self._forget(keys=[self._prefix], args=[hashed(user)]))

    def compact(self) -> int:
        """As the contract says; Redis then rewrites its file on disk in the background."""
        with self._told():
            tombs = {user: int(seq) for user, seq in self._redis.hgetall(self._key(b"tombs")).items()}
        if not tombs:
            return 0
        removed = 0
        for number in range(max(tombs.values()) // BLOCK + 1):
            doomed = [(s, record) for s, record in self._block(number) if s <= tombs.get(record[:HASH], -1)]
            if doomed:
                with self._told(), self._redis.pipeline(transaction=True) as pipe:
                    pipe.hdel(self._key(b"block:", b"%d" % number), *[seq for seq, _ in doomed])
                    pipe.hdel(self._key(b"ids"), *[record[HASH : 2 * HASH] for _, record in doomed])
                    removed += pipe.execute()[0]
        with self._told():
            self._lift(keys=[self._prefix], args=[part for pair in tombs.items() for part in pair])
            with suppress(
                redis.ResponseError
            ):  # one is under way, or not allowed here: the server has its own schedule
                self._redis.bgrewriteaof()
        return removed

    # -- facts --------------------------------------------------------------------------------------------------------

    def fact(self, name: str) -> bytes | None:
        with self._told():
            found: bytes | None = self._redis.hget(self._key(b"facts"), hashed(name))
        return found

    def settle(self, name: str, value: bytes | None, *, expected: bytes | EllipsisType | None = ...) -> bool:
        how = "any" if expected is ... else "absent" if expected is None else "equal"
        args = [
            hashed(name),
            how,
            expected if how == "equal" else b"",
            *(("set", value) if value is not None else ("remove", b"")),
        ]
        with self._told():
            return bool(self._settle(keys=[self._prefix], args=args))

    def check(self) -> None:
        with self._told():
            self._redis.set(self._key(b"checked"), 1)
            if self.durable:
                self._refused()

    def _refused(self) -> None:
        """Raise if the server may lose what it acknowledged."""
        way = "or open the store with ?durable=no to accept that"
        try:
            found = {_text(k): _text(v) for name in (*WANTED, "maxmemory*") for k, v in self._config(name).items()}
        except redis.ResponseError as error:
            raise StoreError(
                f"{self._name}: whether writes are durable cannot be told ({error}); allow CONFIG GET, {way}."
            ) from None
        wrong = {name: value for name, value in WANTED.items() if found.get(name) != value}
        if wrong:
            said = ", ".join(f"{name} is {found.get(name)}" for name in wrong)
            do = "; ".join(f"CONFIG SET {name} {value}" for name, value in wrong.items())
            raise StoreError(f"{self._name}: acknowledged would not mean durable: {said}. Do {do}; {way}.")
        policy = found.get("maxmemory-policy", "noeviction")
        if found.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
            raise StoreError(
                f"{self._name}: maxmemory-policy is {policy}, which throws events away; "
                f"do CONFIG SET maxmemory-policy noeviction, {way}."
            )

    def _config(self, name: str) -> dict[Any, Any]:
        found: dict[Any, Any] = self._redis.config_get(name)
        return found

    def close(self) -> None:
        self._redis.close()

    def _key(self, *parts: bytes) -> bytes:
        return self._prefix + b"".join(parts)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            raise StoreError(f"{self._name}: {error or type(error).__name__}; try again.") from error


def _kept(member: bytes) -> Kept:
    return unpacked(int.from_bytes(member[8:MEMBER], "big"), member[MEMBER:])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
