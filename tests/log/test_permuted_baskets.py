"""On real baskets: rows permuted inside equal-time groups change nothing, from the source to the floors' scores."""

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram.data.registry import find
from ethogram.errors import MissingData, MissingExtra
from ethogram.log import Candidates, Log

FLOORS = ("popularity", "personal_frequency", "item_knn", "item_knn_decay", "transition_kernel")


@pytest.fixture(scope="module")
def logs() -> tuple[Log, Log]:
    """Forty households of The Complete Journey, as stored (products ascending in each basket) and permuted."""
    try:
        reading = find("complete_journey")(households=40, negatives=3, max_baskets=300).read()
    except (MissingData, MissingExtra) as error:
        pytest.skip(str(error))
    events = reading.events
    household, time = (events[c].to_numpy() for c in ("household_id", "transaction_timestamp"))
    groups = np.unique(np.stack([household, time.astype(np.int64)]), axis=1, return_inverse=True)[1].ravel()
    first = np.full(groups.max() + 1, len(groups))
    np.minimum.at(first, groups, np.arange(len(groups)))
    # the groups stay where they begin, only the rows inside them change places
    order = np.lexsort((np.random.default_rng(7).random(len(groups)), first[groups]))
    assert (np.sort(order) == np.arange(len(order))).all()
    assert (order != np.arange(len(order))).mean() > 0.5
    opened = [
        Log.open(table, items=reading.items, strict=True, **reading.roles)
        for table in (events, events.take(pa.array(order)))
    ]
    return opened[0], opened[1]


def test_the_sequences_are_equal(logs):
    one, two = (log.sequences() for log in logs)
    assert len(one) > 20_000
    assert (np.diff(np.append(one.groups, len(one))) > 1).mean() > 0.5
    np.testing.assert_array_equal(one.offsets, two.offsets)
    np.testing.assert_array_equal(one.groups, two.groups)
    for name in one.columns:
        if name != "event":  # an event's id is its row in the source
            np.testing.assert_array_equal(one.columns[name], two.columns[name], err_msg=name)
    assert not np.array_equal(*(np.asarray(log.rows().columns["item"]) for log in logs)), "nothing was permuted"


def test_the_features_are_equal(logs):
    one, two = (log.features().encode(log.questions("slates")) for log in logs)
    np.testing.assert_array_equal(one.label, two.label)
    for left, right in ((one.candidates, two.candidates), (one.sequences["history"], two.sequences["history"])):
        np.testing.assert_array_equal(left.item, right.item)
        for name in left.columns:
            np.testing.assert_array_equal(left.columns[name], right.columns[name], err_msg=name)


@pytest.mark.parametrize("protocol", ["temporal", "leave-last-out"])
def test_the_floors_score_the_same(logs, protocol):
    parts = [log.split(protocol) for log in logs]
    asked = [p.test.questions("next") for p in parts]
    np.testing.assert_array_equal(asked[0].candidates.items, asked[1].candidates.items)
    every = Candidates.every(parts[0].train.vocabulary("item"))
    for key in FLOORS:
        one, two = (
            ethogram.system(key).fit(p.train).score(a.histories, every) for p, a in zip(parts, asked, strict=True)
        )
        np.testing.assert_array_equal(one, two, err_msg=key)
