"""k-means, words of residuals, the trie of words, and spectral vectors."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.numeric.kmeans import balanced, kmeans, nearest
from ethogram.numeric.neighbours import Neighbours
from ethogram.numeric.residual import ResidualTokenizer
from ethogram.numeric.spectral import spectral
from ethogram.numeric.trie import Trie


def clouds(sizes=(60, 25, 15), seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [12.0, 0.0], [0.0, 12.0]])
    kind = np.repeat(np.arange(3), sizes)
    return centres[kind] + rng.standard_normal((len(kind), 2)), kind, centres


def test_kmeans_finds_clouds_and_lloyd_has_settled():
    x, kind, centres = clouds()
    found, cluster = kmeans(x, 3, seed=1)
    assert len(set(zip(kind.tolist(), cluster.tolist(), strict=True))) == 3, "one cluster for each cloud"
    for c in range(3):
        np.testing.assert_allclose(found[c], x[cluster == c].mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(nearest(x, found), cluster)
    assert np.sort(np.linalg.norm(found[:, None] - centres, axis=2).min(0)).max() < 0.7


@pytest.mark.parametrize(("n", "k"), [(100, 7), (64, 8), (5, 5), (9, 1)])
def test_balanced_sizes_differ_by_one_at_most(n, k):
    x = np.random.default_rng(n).standard_normal((n, 3))
    found, cluster = balanced(x, k)
    sizes = np.bincount(cluster, minlength=k)
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1
    for c in range(k):
        np.testing.assert_allclose(found[c], x[cluster == c].mean(0), rtol=1e-4, atol=1e-5)


def test_balanced_is_near_a_partition_that_is_known_to_be_best():
    x, kind, _ = clouds((30, 30, 30))
    cluster = balanced(x, 3, seed=2)[1]
    assert len(set(zip(kind.tolist(), cluster.tolist(), strict=True))) == 3


def test_bad_k():
    for k in (0, 4):
        with pytest.raises(OptionError, match="k-means"):
            kmeans(np.zeros((3, 2)), k)
    assert kmeans(np.zeros((3, 2)), 2)[1].max() <= 1, "equal points"


def test_words_come_nearer_level_by_level():
    x = np.random.default_rng(3).standard_normal((300, 8)).astype(np.float32)
    made = [ResidualTokenizer.fit(x, levels, 8, balanced=False, seed=1) for levels in (1, 2, 3)]
    errors = [float(((x - m.decode(m.codes)) ** 2).sum()) for m in made]
    assert errors[0] > errors[1] > errors[2]
    np.testing.assert_array_equal(made[2].encode(x), made[2].codes)


def test_balanced_words_collide_less_and_use_all_letters():
    x = np.random.default_rng(4).standard_t(2, (400, 8))  # plain clusters waste letters on what lies far out
    one, other = (ResidualTokenizer.fit(x, 3, 12, balanced=b, seed=0).usage() for b in (True, False))
    assert min(one.entropy) > 0.999
    assert set(one.used) == {1.0}
    assert one.collisions < 0.8 * other.collisions
    assert min(other.entropy) < 0.9


def test_usage_by_hand():
    made = ResidualTokenizer(np.zeros((2, 2, 1), np.float32), np.array([[0, 0], [0, 0], [0, 1], [1, 1]], np.int32))
    told = made.usage()
    p = np.array([0.75, 0.25])
    assert told.entropy[0] == pytest.approx(-(p * np.log2(p)).sum())
    assert told.collisions == 0.5
    assert told.largest == 2
    few = ResidualTokenizer.fit(np.zeros((1, 3)), 3, 32)
    assert few.codes.tolist() == [[0, 0, 0]], "a catalogue of one"


def test_the_trie_knows_what_exists():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, (30, 3))
    made = Trie.of(codes, 4, rng.random(30))
    for word in np.ndindex(4, 4, 4):
        node = 0
        for letter in word:
            node = made.child[node, letter] if node >= 0 else -1
        mine = np.flatnonzero((codes == word).all(1))
        assert (node >= 0) == bool(len(mine))
        if node >= 0:
            assert sorted(made.things(node)) == mine.tolist()
            assert (made.path[mine, -1] == node).all()
    offered = rng.random((3, 30)) < 0.5
    left = made.left(offered)
    for q in range(3):
        assert left[q, 0] == offered[q].sum()
        for node in range(1, len(made.child)):
            assert left[q, node] == offered[q][(made.path == node).any(1)].sum()


def test_spectral_vectors_give_the_kernel_back():
    rng = np.random.default_rng(6)
    base = rng.standard_normal((12, 3))
    dense = base @ base.T
    rows = Neighbours(np.arange(13) * 12, np.tile(np.arange(12, dtype=np.int32), 12), dense.ravel().astype(np.float32))
    found = spectral(rows, 3)
    scale = (found @ found.T)[0, 0] / dense[0, 0]
    np.testing.assert_allclose(found @ found.T, dense * scale, rtol=1e-3, atol=1e-4)
    assert spectral(rows, 20).shape == (12, 20)
