"""The contract of the store in dicts: what the two real ones are compared with."""

from __future__ import annotations

from collections import Counter

from ethogram.serve.state import Entry, Kept


class Plain:
    """Says what a store must tell; revisions are only marked as moved or not."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.ledger: dict[int, Entry] = {}
        self.ids: dict[str, tuple[Entry, int]] = {}
        self.rings: dict[str, list[Kept]] = {}
        self.counts: dict[str, Counter[str]] = {}
        self.tombs: dict[str, int] = {}
        self.next = 0

    def append(self, entries: list[Entry], ring: bool) -> tuple[list[str], dict[str, tuple[set[int], set[int]]]]:
        """(outcomes, user -> (seqs added, seqs expired))."""
        outcomes, before = [], {user: {k.seq for k in ring} for user, ring in self.rings.items()}
        touched = set()
        for entry in entries:
            if entry.id in self.ids:
                first, seq = self.ids[entry.id]
                same = first == entry
                gone = seq <= self.tombs.get(first.user, -1)
                outcomes.append("conflict" if not same else "forgotten" if gone else "duplicate")
                continue
            outcomes.append("accepted")
            self.ledger[self.next] = entry
            self.ids[entry.id] = (entry, self.next)
            if ring:
                touched.add(entry.user)
                self.rings.setdefault(entry.user, []).append(Kept(self.next, entry))
                self.counts.setdefault(entry.user, Counter())[entry.kind] += 1
            self.next += 1
        moved = {}
        for user in touched:
            self.rings[user] = sorted(self.rings[user], key=lambda k: (k.entry.time, k.seq))[-self.keep :]
            now, old = {k.seq for k in self.rings[user]}, before.get(user, set())
            if now != old:
                moved[user] = (now - old, old - now)
        return outcomes, moved

    def entries(self) -> list[Kept]:
        return [Kept(s, e) for s, e in self.ledger.items() if s > self.tombs.get(e.user, -1)]

    def forget(self, user: str) -> int:
        if not self.next:
            return 0
        self.tombs[user] = self.next - 1
        self.rings.pop(user, None)
        return sum(self.counts.pop(user, Counter()).values())

    def compact(self) -> int:
        gone = [s for s, e in self.ledger.items() if s <= self.tombs.get(e.user, -1)]
        for seq in gone:
            del self.ids[self.ledger.pop(seq).id]
        self.tombs = {}
        return len(gone)
