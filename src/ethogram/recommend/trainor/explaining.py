"""Which visits at home made a score, and which intention it serves.

h_u is a sum over events at home. The part of an event in the score of a place is what the score loses without it,

    s(h, h) - s(h - c_e, h - c_e),      c_e = alpha_e h'_e

first where h says the intention, then where it says the preference elsewhere; the two add up to the whole. The
intention that a place serves is the k of largest beta_k phi_k,place, among the traveller's own beta.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from ethogram.log import Candidates, Histories
from ethogram.numeric.reasons import reasons
from ethogram.recommend.trainor.fitted import Fitted
from ethogram.verbs import Table

COMPONENTS = ("travel intention", "home preference")
NAMED = 2
"""Categories that name an intention."""


def explain(fitted: Fitted, histories: Histories, candidates: Candidates, k: int) -> Table:
    """Columns of `ethogram.numeric.reasons`, `component`, `intention` (number, null of a place no traveller visited)
    and `purpose` (its name)."""
    events, own = fitted.events(histories), fitted.known.rows_in(candidates.vocabulary)
    vectors = fitted.vectors[:, :-1].astype(np.float64)  # the bias is of the place, no event speaks through it

    def terms(question: int, codes: np.ndarray, past: slice) -> np.ndarray:
        out, row = np.zeros((2, len(codes), past.stop - past.start)), own[codes]
        mine = slice(*events.offsets[question : question + 2])
        if mine.start < mine.stop:
            asked = np.where(row[:, None] >= 0, vectors[row], 0.0)
            for side, lost in enumerate(_lost(fitted, events.some(np.array([question])))):
                out[side][:, events.place[mine] - past.start] = asked @ lost.T
        return out

    found = reasons(histories, candidates, terms, k, components=COMPONENTS)
    question = found.column("question").to_numpy()
    row = own[candidates.vocabulary.encode(found.column("candidate"))]
    if fitted.options.intent == "none":
        return found.append_column("intention", pa.nulls(len(row), pa.int64())).append_column(
            "purpose", pa.nulls(len(row), pa.string())
        )
    share = mixtures(fitted, histories)[question] * fitted.network.topics.phi().T[np.maximum(row, 0)]
    best = pa.array(share.argmax(1).astype(np.int64), mask=row < 0)
    found = found.append_column("intention", best)
    return found.append_column("purpose", pa.array(names(fitted), pa.string()).take(best))


@torch.no_grad()
def _lost(fitted: Fitted, read: tuple[torch.Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What the question's vector loses without each event: as intention, then as preference, float64[events, dim]."""
    network = fitted.network
    parts = network.preference(*read, parts=True)  # type: ignore[arg-type]
    whole = parts.sum(0, keepdim=True).expand_as(parts)
    less = whole - parts
    full, rest = network.mapped(whole), network.mapped(less)
    both, one, none = network.query(whole, full), network.query(less, full), network.query(less, rest)
    return (both - one).double().numpy(), (one - none).double().numpy()


@torch.no_grad()
def mixtures(fitted: Fitted, histories: Histories) -> np.ndarray:
    """beta of each question, float32[n, K]; of nobody in particular where nothing is known."""
    return np.asarray(fitted.network.shares(fitted.preferences(histories)[0]).numpy())


def said(fitted: Fitted) -> np.ndarray:
    """What each intention says of each category, float64[K, categories]: its share of phi, towns by their visits."""
    there, town = np.flatnonzero(fitted.known.counts), fitted.sizes.town
    category = fitted.category[there]
    weight = np.bincount(town, fitted.known.counts[there])
    phi = fitted.network.topics.phi() * weight[town]
    out = np.zeros((len(phi), len(fitted.categories) + 1))
    np.add.at(out.T, category, phi.T)
    out = out[:, 1:]
    return out / np.maximum(out.sum(1, keepdims=True), 1e-12)


def telling(share: np.ndarray) -> np.ndarray:
    """How much a category tells of an intention: its share times the log of that over its share in all intentions."""
    mean = np.maximum(share.mean(0), 1e-12)
    return share * np.log(np.maximum(share, 1e-12) / mean)


def names(fitted: Fitted) -> list[str]:
    """A name for each intention: the categories that tell most of it, else its number."""
    share = said(fitted)
    if not share.shape[1]:
        return [f"intention {i}" for i in range(len(share))]
    best = np.argsort(-telling(share), axis=1, kind="stable")[:, :NAMED]
    return [" and ".join(fitted.categories.decode(row).to_pylist()) for row in best]


def intentions(fitted: Fitted, k: int) -> Table:
    """The k places and the k categories that tell most of each intention, see `TRAINOR.intentions`."""
    phi = fitted.network.topics.phi().astype(np.float64)
    there = np.flatnonzero(fitted.known.counts)
    rows: dict[str, list[object]] = {n: [] for n in ("intention", "purpose", "what", "town", "name", "share", "rank")}
    town, named = fitted.sizes.town, names(fitted)
    share = said(fitted)
    told = telling(share) if share.shape[1] else share
    for i in range(len(phi)):
        for t in range(int(town.max()) + 1):
            place = np.flatnonzero(town == t)
            best = place[np.argsort(-phi[i, place], kind="stable")[:k]]
            where = fitted.travel.towns.decode(fitted.travel.town[there[best]]).to_pylist()
            ids = map(str, fitted.known.items.decode(there[best]).to_pylist())
            _add(rows, i, named[i], "place", where, ids, phi[i, best])
        kinds = np.argsort(-told[i], kind="stable")[:k]
        _add(rows, i, named[i], "category", [None] * len(kinds), fitted.categories.decode(kinds).to_pylist(),
             share[i, kinds])  # fmt: skip
    return pa.table(rows)


def _add(rows: dict[str, list[object]], i: int, purpose: str, what: str, towns: object, ids: object, share: object
) -> None:  # fmt: skip
    for rank, values in enumerate(zip(towns, ids, share, strict=True), 1):  # type: ignore[call-overload]
        for name, value in zip(rows, (i, purpose, what, *values, rank), strict=True):
            rows[name].append(value)
