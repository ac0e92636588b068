"""Which displayed products each basket took, and a weighted sample of those that it did not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ethogram.data.complete_journey.tables import EXPOSURE, LOCATIONS, complete
from ethogram.data.negatives import draw

_PRODUCT = 32
"""Bits of a product id in a key; the bits above hold the store and (6 bits) the week."""


def sample(
    baskets: pa.Table,
    asked: np.ndarray,
    purchases: pa.Table,
    displays: pa.Table,
    negatives: int,
    most: int | None,
    seed: int,
) -> pa.Table:
    """Exposures of baskets, by basket and product, in the schema of events.

    Parameters
    ----------
    baskets : all baskets of the year by id, so that each has its own random numbers whatever is asked.
    asked : bool[baskets], which to ask about.
    purchases : what they (and maybe others) bought, by basket and product.
    displays : what stood on display, by store, week and product, at least where the asked baskets were.
    negatives : products not bought that are drawn for each basket, if there are so many.
    most : ask about at most so many baskets, or None.
    """
    listed = _key(displays) | displays["product_id"].to_numpy()
    store = _key(baskets)
    first, stop = np.searchsorted(listed, store), np.searchsorted(listed, store + (1 << _PRODUCT))
    asked = asked & (stop > first)
    if most is not None:
        rank = np.random.default_rng([seed, 2]).random(len(asked))
        some = np.flatnonzero(asked)
        asked = np.isin(np.arange(len(asked)), some[np.argsort(rank[some])[:most]])
    uniform = np.random.default_rng([seed, 1]).random((len(asked), negatives))[asked]
    baskets, store, first, stop = baskets.filter(pa.array(asked)), store[asked], first[asked], stop[asked]
    n = len(baskets)
    if n == 0:
        return complete(baskets.schema.empty_table(), EXPOSURE)

    ids, bought = baskets["basket_id"].to_numpy(), purchases["basket_id"].to_numpy()
    owner = np.minimum(np.searchsorted(ids, bought), n - 1)
    wanted = store[owner] | purchases["product_id"].to_numpy()
    row = np.minimum(np.searchsorted(listed, wanted), len(listed) - 1)
    there = (ids[owner] == bought) & (listed[row] == wanted)
    owner, row = owner[there], row[there]

    drawn, of = draw(stop - first, row - first[owner], owner, uniform)
    count = np.bincount(of, minlength=n)
    share = (stop - first - np.bincount(owner, minlength=n)) / np.maximum(count, 1)
    basket = np.concatenate([owner, of])
    row = np.concatenate([row, drawn + first[of]])
    weight = np.concatenate([np.ones(len(owner)), share[of]]).astype(np.float32)
    label = np.repeat(np.array([1, 0], np.float32), [len(owner), len(of)])
    order = np.lexsort((row, basket))  # bought and not bought mixed: the place in a slate tells nothing
    basket, row = pa.array(basket[order]), row[order]
    made = baskets.take(basket)
    place = displays["location"].to_numpy()[row]
    for name, values in (
        ("product_id", displays["product_id"].to_numpy()[row]),
        ("label", label[order]),
        ("weight", weight[order]),
        ("display_location", pa.DictionaryArray.from_arrays(place, list(LOCATIONS.values()))),
    ):
        made = made.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
    return complete(made, EXPOSURE)


def _key(table: pa.Table) -> np.ndarray:
    """int64: store and week in one number that sorts as they do, with room for a product."""
    return (table["store_id"].to_numpy() << 6 | table["week"].to_numpy()) << _PRODUCT
