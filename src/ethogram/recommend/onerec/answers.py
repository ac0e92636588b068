"""What a fitted OneRec answers: lists with what follows them, and reasons."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.numeric.reasons import reasons
from ethogram.numeric.recommend import table
from ethogram.recommend.onerec.fitted import BLOCK, LEAST, Fitted
from ethogram.recommend.onerec.past import Past
from ethogram.verbs import Table


def recommend(
    fitted: Fitted, histories: Histories, k: int, *, exclude_seen: bool | None, among: Candidates | None
) -> Table:
    """See `OneRec.recommend`."""
    if k < 1:
        raise OptionError(f"k = {k} is not a number of items; give 1 or more.")
    candidates = among if among is not None else Candidates.every(fitted.known.items)
    own, n, past = fitted.known.rows_in(candidates.vocabulary), len(histories), fitted.past(histories)
    met = np.append(histories.vocabularies["item"].codes_in(candidates.vocabulary), np.int32(-1))
    excludes, places = fitted.known.excludes(exclude_seen), histories.flat()
    codes, offsets = candidates.flat(n)
    columns: list[tuple[np.ndarray, ...]] = [tuple(np.empty(0, t) for t in (int, np.int32, float, int, bool))]
    for at in range(0, n, BLOCK):
        stop = min(at + BLOCK, n)
        offered = np.zeros((stop - at, len(candidates.vocabulary)), bool)
        owner = np.repeat(np.arange(stop - at), np.diff(offsets[at : stop + 1]))
        judged = codes[offsets[at] : offsets[stop]]
        offered[owner[judged >= 0], judged[judged >= 0]] = True
        if excludes:
            rows, spans = places[0][places[1][at] : places[1][stop]], places[1][at : stop + 1]
            seen = met[np.asarray(histories.item)[rows]]
            owner = np.repeat(np.arange(stop - at), np.diff(spans))
            offered[owner[seen >= 0], seen[seen >= 0]] = False
        columns.append(_block(fitted, past[slice(at, stop)], offered, own[:-1], k, at))
    question, item, value, rank, listed = (np.concatenate(c) for c in zip(*columns, strict=True))
    decoded = candidates.vocabulary.decode(item.astype(np.int32))
    return table(fitted.known, histories, question, decoded, value, rank).append_column("listed", pa.array(listed))


def _block(
    fitted: Fitted, past: Past, offered: np.ndarray, own: np.ndarray, k: int, first: int
) -> tuple[np.ndarray, ...]:
    """(question, item as a code of the candidates, score, rank, listed) of a few questions."""
    n, trained = len(offered), fitted.known.trained
    code = np.full(trained, -1)
    code[own[own >= 0]] = np.flatnonzero(own >= 0)
    mine = np.zeros((n, trained), bool)
    mine[:, own[own >= 0]] = offered[:, own >= 0]
    made = fitted.lists(past, width=fitted.options.beams, offered=mine)
    things, logp = made.things[:, 0], made.logp[:, 0]
    there = (things >= 0) & np.isfinite(logp)
    running = np.where(there, np.cumsum(np.where(there, logp, 0.0), 1), -np.inf)
    wanted = offered.sum(1)
    if k <= things.shape[1] and (there.sum(1) >= np.minimum(k, wanted)).all():
        question, turn = np.nonzero(there[:, :k])
        return (question + first, code[things[question, turn]], running[question, turn].astype(float), turn + 1,
                np.ones(len(turn), bool))  # fmt: skip
    # beyond the list: by the chance to come first, below what the list reached
    value = np.full(offered.shape, -np.inf)
    value[:, own >= 0] = fitted.next_item(past)[:, own[own >= 0]]
    value[:, own < 0] = LEAST
    reached = np.where(there.any(1), np.where(there, running, 0.0).min(1), 0.0)
    value = np.where(offered, value + reached[:, None], -np.inf)
    listed = np.zeros(offered.shape, bool)
    question, turn = np.nonzero(there)
    value[question, code[things[question, turn]]] = running[question, turn]
    listed[question, code[things[question, turn]]] = True
    order = np.lexsort((np.broadcast_to(np.arange(offered.shape[1]), offered.shape), -value), axis=1)[:, :k]
    question, turn = np.nonzero(np.isfinite(np.take_along_axis(value, order, 1)))
    item = order[question, turn]
    return question + first, item, value[question, item], turn + 1, listed[question, item]


def explain(fitted: Fitted, histories: Histories, candidates: Candidates, k: int) -> Table:
    """What the score loses without each event, ln P with it less ln P without it."""
    own, rows = fitted.known.rows_in(candidates.vocabulary), fitted.known.rows_in(histories.vocabularies["item"])
    places = histories.flat()[0]

    def terms(question: int, codes: np.ndarray, past: slice) -> np.ndarray:
        out = np.zeros((len(codes), past.stop - past.start))
        item = rows[np.asarray(histories.item)[places[past]]].astype(np.int64)
        group = np.cumsum(np.asarray(histories.starts)[places[past]])
        tail = np.flatnonzero(item >= 0)[-fitted.options.length :]
        if not len(tail):
            return out
        n = len(tail)
        kept = np.concatenate([tail, np.tile(tail, n)[~np.eye(n, dtype=bool).ravel()]])
        ends = np.concatenate([[0, n], n + np.arange(1, n + 1) * (n - 1)])
        said = fitted.next_item(Past(item[kept], group[kept], ends[:-1], ends[1:])).astype(np.float64)
        judged = own[codes]
        out[:, tail] = np.where(judged[:, None] >= 0, (said[:1] - said[1:])[:, judged].T, 0.0)
        return out

    return reasons(histories, candidates, terms, k)
