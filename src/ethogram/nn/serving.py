"""Serving a hashed slate network: all that a request needs of a history is its bucket table and its last events."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.nn.buckets import BucketTable
from ethogram.nn.lsh import Hashed
from ethogram.nn.ranker import SlateRanker


def hashed(ranker: SlateRanker) -> Hashed:
    """The hashed part of the network's interest.

    Raises
    ------
    OptionError
        The network reads histories in another way, so there is no table.
    """
    first = ranker.network.interest.parts[0]  # type: ignore[index, union-attr]
    if not isinstance(first, Hashed):
        raise OptionError("bucket tables: this model does not read its history by hash buckets (long='hash').")
    return first


def version(ranker: SlateRanker) -> str:
    """Hash of everything that an event's vector, signature and weight depend on; made once, a model does not change."""
    part = hashed(ranker)
    if part.version is None:
        digest = hashlib.blake2b(part.hash.directions.cpu().numpy().tobytes(), digest_size=8)
        digest.update(f"{part.hash.width},{part.memory}".encode())
        for matrix in ranker.network.tables.matrices:
            digest.update(matrix.detach().cpu().numpy().tobytes())
        if ranker.network.event is not None:
            digest.update(ranker.network.event.weight.detach().cpu().numpy().tobytes())
        part.version = digest.hexdigest()
    return part.version


def nobody(ranker: SlateRanker) -> BucketTable:
    """The table of somebody who did nothing."""
    part = hashed(ranker)
    return BucketTable.empty(part.hash.groups, part.hash.buckets, part.width, version(ranker), memory=part.memory)


@torch.no_grad()
def events(ranker: SlateRanker, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
    """(signatures int32[T, G], vectors float32[T, width]) of all events of the histories in turn."""
    features = ranker.features if ranker.features.last is None else ranker.features.limit(None)
    batch = features.encode(histories)
    rows, _ = batch.sequences["history"].flat()
    vectors = ranker.network.keys(batch, rows).cpu().numpy()
    return hashed(ranker).hash.codes(vectors), vectors


def tables(ranker: SlateRanker, histories: Histories) -> list[BucketTable]:
    """One table per history, made at once, of those events that the model reads."""
    if ranker.features.last is not None:
        histories = histories.last(ranker.features.last)
    codes, vectors = events(ranker, histories)
    empty = nobody(ranker)
    rows, ends = histories.flat()
    time = np.asarray(histories.columns["time"])[rows] if "time" in histories.columns else np.zeros(len(rows), np.int64)
    return [empty.add(codes[a:b], vectors[a:b], time[a:b]) if b > a else empty for a, b in itertools.pairwise(ends)]


@torch.no_grad()
def score(
    ranker: SlateRanker,
    held: Sequence[BucketTable],
    recent: Histories,
    candidates: Candidates,
    context: pa.Table | None = None,
) -> np.ndarray:
    """Probabilities in the shape of the candidates, from tables and the last events."""
    if len(held) != len(recent):
        raise OptionError(f"bucket tables: {len(held)} tables for {len(recent)} questions.")
    name = version(ranker)
    batch = ranker.features.encode(recent, candidates, context)
    network = ranker.network
    network.eval()
    keys, spans, queries, ends, tags = network.vectors(batch)
    codes = hashed(ranker).hash.codes(queries).cpu().numpy()
    bounds = ends.numpy()
    parts = [t.check(name).gather(codes[bounds[i] : bounds[i + 1]]) for i, t in enumerate(held)]
    long = torch.from_numpy(np.concatenate(parts)) if parts else queries[:0]
    rest = [p(keys, spans, queries, ends, **tags) for p in network.interest.parts[1:]]  # type: ignore[index, union-attr, operator]
    lengths = torch.tensor([t.events for t in held])
    logits = network.logits(batch, queries, ends, torch.cat([long.to(queries.device), *rest], 1), lengths)
    return candidates.shape(torch.sigmoid(logits).cpu().numpy(), len(recent))
