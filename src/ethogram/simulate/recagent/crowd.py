"""The light policy: what people do, by the tastes that were learned from real choices, many at once.

    top        recommender, social or nothing, by fixed shares
    a page     P(i) ~ exp(u_i),  P(next) ~ exp(bar),  P(leave) ~ exp(bar - 1.5),  P(search) ~ exp(bar - 2) where
               something unseen was heard of;  u_i = taste + recent choices (`taste`) + social * log2(1 + heard_i)
    watched    stars = 1 + round(4 / (1 + exp(-(u - bar))))

`bar` is what a person gets from an ordinary good item: a quantile of their own utilities. A page that was looked at is
an impression: the item taken has label 1, all else 0. Who leaves before looking has none. Pages end with the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ethogram.simulate.recagent import taste
from ethogram.simulate.recagent.ranking import PAGE, PAGES, pages
from ethogram.world.acts import NOTHING, Acts
from ethogram.world.choosing import drawn
from ethogram.world.draws import Luck
from ethogram.world.social import relations
from ethogram.world.state import Frozen

if TYPE_CHECKING:
    from ethogram.simulate.recagent.sandbox import Sandbox

TOP = (0.7, 0.2, 0.1)
"""Shares of the recommender, social life, and nothing."""
QUANTILE = 0.85
"""Of a person's utilities over the catalogue: the bar."""


class Crowd:
    """See the module."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox
        scene = sandbox.scene
        self.bar = np.empty(len(scene.people), np.float32)
        for at in range(0, len(scene.people), 1_024):
            u = scene.taste.taste[at : at + 1_024] @ scene.taste.item.T + scene.taste.appeal
            self.bar[at : at + 1_024] = np.quantile(u, QUANTILE, axis=1)

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        ready = seen["busy"][rows] <= seen.tick
        rows, luck = rows[ready], luck[ready]
        if not len(rows):
            return []
        top = luck.among("top", TOP)
        visit, social = top == 0, top == 1
        acts = self._visit(rows[visit], seen, luck[visit]) + self._social(rows[social], seen, luck[social])
        return [*acts, Acts(NOTHING, rows[top == 2])]

    def wait(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> np.ndarray:
        """Whoever acted sleeps until their next turn."""
        from ethogram.simulate.recagent.sandbox import rest

        return rest(seen, rows)

    def utility(self, rows: np.ndarray, items: np.ndarray, seen: Frozen) -> np.ndarray:
        """u of items int[rows, k] now, float64; -inf in empty places."""
        own = self.sandbox.scene.taste
        there = np.maximum(items, 0)
        fixed = np.einsum("nd,nkd->nk", seen["taste"][rows], own.item[there]) + own.appeal[there]
        u = fixed + own.recent * taste.alike(own.like, there, seen["watched"][rows])
        u = u + self.sandbox.social * np.log2(1.0 + np.maximum(seen["heard"][rows[:, None], there], 0))
        return np.where(items >= 0, u, -np.inf)

    def _visit(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        if not len(rows):
            return []
        shown = pages(seen, rows)
        u = self.utility(rows, shown.reshape(len(rows), -1), seen).reshape(shown.shape)
        bar = self.bar[rows].astype(float)
        wish = self._wish(rows, seen)
        there = np.arange(len(rows))
        acts: list[Acts] = []
        for page in range(PAGES):
            if not len(there):
                break
            full = (shown[there, page] >= 0).any(1)
            last = page == PAGES - 1
            options = np.c_[
                u[there, page],
                np.where(full & ~np.full(len(there), last), bar[there], -np.inf),
                bar[there] - 1.5,
                np.where(wish[there] >= 0, bar[there] - 2, -np.inf),
            ]
            choice = drawn(options, luck[there], f"page {page}")
            took = choice < PAGE
            acts += self._impressions(rows[there], shown[there, page], np.where(took, choice, -1), page)
            item, place = shown[there[took], page, choice[took]], page * PAGE + choice[took] + 1
            acts += self._watched(rows[there[took]], item, place,
                                  u[there[took], page, choice[took]], bar[there[took]])  # fmt: skip
            acts.append(Acts("next", rows[there[choice == PAGE]], value=page + 2))
            acts.append(Acts("leave", rows[there[choice == PAGE + 1]]))
            looks = there[choice == PAGE + 2]
            acts += self._searched(rows[looks], wish[looks], bar[looks], seen)
            there = there[choice == PAGE]
        return acts

    @staticmethod
    def _impressions(rows: np.ndarray, shown: np.ndarray, took: np.ndarray, page: int) -> list[Acts]:
        left = (shown >= 0) & (np.arange(PAGE) != took[:, None])
        who, slot = np.nonzero(left)
        return [Acts("pass", rows[who], shown[who, slot], value=page * PAGE + slot + 1)]

    @staticmethod
    def _watched(rows: np.ndarray, items: np.ndarray, place: np.ndarray, u: np.ndarray, bar: np.ndarray) -> list[Acts]:
        stars = 1 + np.round(4 / (1 + np.exp(-(u - bar))))
        return [Acts("watch", rows, items, value=place), Acts("rate", rows, items, value=stars)]

    def _wish(self, rows: np.ndarray, seen: Frozen) -> np.ndarray:
        """The item most recently heard of that was not shown yet, -1 where there is none or nobody listens."""
        if not self.sandbox.social:
            return np.full(len(rows), -1)
        what = seen["heard_what"][rows]
        open_ = (what >= 0) & ~seen["shown"][rows[:, None], np.maximum(what, 0)]
        newest = what.shape[1] - 1 - open_[:, ::-1].argmax(1)
        return np.where(open_.any(1), what[np.arange(len(rows)), newest], -1)

    def _searched(self, rows: np.ndarray, wish: np.ndarray, bar: np.ndarray, seen: Frozen) -> list[Acts]:
        u = self.utility(rows, wish[:, None], seen)[:, 0]
        return [Acts("search", rows, wish), *self._watched(rows, wish, np.zeros(len(rows)), u, bar)]

    def _social(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        """Half write a post of the last item they watched, half talk of it with a friend."""
        ties = relations.graph(seen)
        latest = seen["watched"][rows, -1]
        writes = luck.chance("post", 0.5) & (latest >= 0)
        some = ~writes & (ties.out_degree[rows] > 0)
        talk = rows[some]
        at = ties.offsets[talk] + luck[some].integers("friend", np.maximum(ties.out_degree[talk], 1))[:, 0]
        friend = ties.targets[at] if len(talk) else talk
        return [
            Acts("post", rows[writes], latest[writes]),
            Acts("chat", talk, friend, value=latest[some]),
            Acts(NOTHING, rows[~writes & ~some]),
        ]
