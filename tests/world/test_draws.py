"""Random numbers by counting, and choices that do not hang on batches."""

import numpy as np
import pytest

from ethogram.world.choosing import BLOCK, drawn, in_blocks, tasted
from ethogram.world.draws import Draws, philox


def words(*values):
    return [hex(int(v)) for v in philox(*(np.uint64(v) for v in values))]


@pytest.mark.parametrize(
    ("counter", "key", "told"),
    [
        ((0, 0, 0, 0), (0, 0), ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"]),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
            ["0xd16cfe09", "0x94fdcceb", "0x5001e420", "0x24126ea1"],
        ),
    ],
)  # fmt: skip
def test_the_generator_gives_the_published_words(counter, key, told):
    """The known answers that Random123 ships for philox4x32-10."""
    assert words(*counter, *key) == told


def test_a_number_hangs_on_nothing_but_its_place():
    luck = Draws(seed=9)
    whole = luck.uniform("s", np.arange(1000), tick=4, n=7)
    assert ((whole > 0) & (whole < 1)).all()
    np.testing.assert_array_equal(luck.uniform("s", [999, 3], 4, 7), whole[[999, 3]])
    np.testing.assert_array_equal(luck.uniform("s", np.arange(1000), 4, n=2, first=3), whole[:, 3:5])
    many = np.arange(140_000)  # more than are computed at once
    some = many[65_530:65_540]
    np.testing.assert_array_equal(luck.at(many, 4).normal("n", 3)[some], luck.at(some, 4).normal("n", 3))
    for other in (luck.uniform("s", np.arange(1000), 5, 7), luck.uniform("t", np.arange(1000), 4, 7)):
        assert abs(np.corrcoef(other.ravel(), whole.ravel())[0, 1]) < 0.05
    assert (Draws(9, "fork").uniform("s", [0], 4, 7) != whole[0]).all()


def test_the_distributions_are_what_they_are_called():
    luck = Draws(1).at(np.arange(200_000), tick=0)
    assert luck.uniform("u").mean() == pytest.approx(0.5, abs=0.003)
    assert luck.normal("n").std() == pytest.approx(1, abs=0.01)
    assert luck.gumbel("g").mean() == pytest.approx(0.5772, abs=0.01)
    assert luck.chance("c", 0.2).mean() == pytest.approx(0.2, abs=0.004)
    shares = np.bincount(luck.among("a", [1, 0, 3]), minlength=3) / 200_000
    np.testing.assert_allclose(shares, [0.25, 0, 0.75], atol=0.004)
    assert set(np.unique(luck.integers("i", 3))) == {0, 1, 2}


def test_choices_follow_the_softmax_of_utilities():
    rng = np.random.default_rng(0)
    tastes, items = rng.normal(size=(1, 16)).astype(np.float32), rng.normal(size=(8, 16)).astype(np.float32)
    n = 100_000
    rows = np.zeros(n, np.int64)
    taken = tasted(tastes, rows, items, Draws(2).at(np.arange(n), 0), "pick", bias=np.arange(8) / 4)
    u = tastes[0].astype(float) @ items.T.astype(float) + np.arange(8) / 4
    np.testing.assert_allclose(np.bincount(taken, minlength=8) / n, np.exp(u) / np.exp(u).sum(), atol=0.006)


def test_choices_do_not_hang_on_who_is_asked_with_whom():
    rng = np.random.default_rng(1)
    tastes, items = rng.normal(size=(9_000, 16)).astype(np.float32), rng.normal(size=(8, 16)).astype(np.float32)
    rows, luck = np.arange(9_000), Draws(3).at(np.arange(9_000), 7)
    whole = tasted(tastes, rows, items, luck, "pick")
    parts = [tasted(tastes, rows[i : i + 1000], items, luck[i : i + 1000], "pick") for i in range(0, 9_000, 1000)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    # the same utilities in another precision: the same choice but where two are almost equal
    other = drawn(tastes.astype(float) @ items.T.astype(float), luck, "pick")
    assert (other == whole).mean() > 0.9995


def test_products_are_taken_in_blocks_of_one_size():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(6_000, 64)).astype(np.float32), rng.normal(size=(64, 50)).astype(np.float32)
    asked = []

    def score(rows):
        asked.append(len(rows))
        return x[rows] @ w

    whole = in_blocks(score, np.arange(6_000), 6_000)
    assert asked == [BLOCK, 6_000 - BLOCK]
    some = rng.permutation(6_000)[:50]
    np.testing.assert_array_equal(in_blocks(score, some, 6_000), whole[some])
    np.testing.assert_allclose(whole, x @ w, rtol=1e-4, atol=1e-4)
    assert len(in_blocks(score, np.arange(0), 6_000)) == 0
