import pytest
import torch
from torch import nn

from ethogram.errors import OptionError
from ethogram.nn.activation import Dice
from ethogram.nn.attention import TargetAttention

KEYS, QUERIES = [0, 5, 5, 6, 18, 40, 43], [0, 2, 5, 6, 6, 13, 14]
DIM = 6


def given(seed=0, dim=DIM):
    g = torch.Generator().manual_seed(seed)
    keys = torch.randn(KEYS[-1], dim, dtype=torch.float64, generator=g).requires_grad_()
    queries = torch.randn(QUERIES[-1], dim, dtype=torch.float64, generator=g).requires_grad_()
    return keys, queries


def pairs():
    """Every (question, event, candidate), question by question, candidate by candidate."""
    return [
        (b, j, t)
        for b in range(len(KEYS) - 1)
        for t in range(QUERIES[b], QUERIES[b + 1])
        for j in range(KEYS[b], KEYS[b + 1])
    ]


def concatenated(attend: TargetAttention, keys, queries, chosen=None):
    """The published form: the whole network on the concatenation, pair by pair."""
    unit, todo = attend.unit, pairs() if chosen is None else chosen
    k, q = keys[[j for _, j, _ in todo]], queries[[t for _, _, t in todo]]
    # the split stands for every [W_k, W_q, W_kq, W_d] with W_k - W_d and W_q + W_d as here
    w_d = torch.randn(unit.key.shape, dtype=k.dtype, generator=torch.Generator().manual_seed(3))
    weight = torch.cat([unit.key + w_d, unit.query - w_d, unit.product, w_d], 1)
    z = torch.cat([k, q, k * q, q - k], 1) @ weight.T + unit.bias
    for act, layer in zip(unit.acts, unit.layers, strict=True):
        z = layer(act(z))
    scores = z.squeeze(1)
    if attend.normalise == "softmax":
        at = torch.tensor([t for _, _, t in todo])
        scores = torch.cat([scores[at == t].softmax(0) for t in sorted(set(at.tolist()))])
    out = torch.zeros(len(queries), DIM, dtype=keys.dtype)
    return out.index_add(0, torch.tensor([t for _, _, t in todo]), scores[:, None] * k), scores


def grads(out, attend, keys, queries):
    weight = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(9))
    wanted = [keys, queries, *attend.parameters()]
    return torch.autograd.grad((out * weight).sum(), wanted, allow_unused=True)


@pytest.mark.parametrize("limit", [1, 60, 2**22])
@pytest.mark.parametrize("normalise", ["none", "softmax"])
@pytest.mark.parametrize(
    ("act", "hidden"), [("prelu", (5,)), ("relu", (5,)), ("dice", (5,)), ("prelu", (5, 3)), ("dice", (5, 3))]
)
@pytest.mark.parametrize("training", [True, False])
def test_decomposed_equals_concatenated_in_value_and_gradient(act, hidden, normalise, limit, training, monkeypatch):
    if limit == 60:  # pieces smaller than a question
        monkeypatch.setattr("ethogram.nn.pairs.PIECE", 90)
    make = {"hidden": hidden, "act": act, "normalise": normalise, "limit": limit}
    attend = TargetAttention(DIM, "din", **make).double().train(training)
    plain = TargetAttention(DIM, "din", **make).double().train(training)
    for p in attend.parameters():  # biases and alphas start at zero, which would hide errors in them
        p.data += 0.3 * torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(p.numel()))
    plain.load_state_dict(attend.state_dict())
    keys, queries = given()
    got, weights = attend(keys, KEYS, queries, QUERIES, weights=True)
    expected, scores = concatenated(plain, keys, queries)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(weights.values, scores)
    assert weights.lengths.tolist() == [5, 5, 0, 0, 0, 1, *[22] * 7, 3]
    for a, b in zip(grads(got, attend, keys, queries), grads(expected, plain, keys, queries), strict=True):
        torch.testing.assert_close(a, b)
    for (name, a), b in zip(attend.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=f"moving average {name}")


@pytest.mark.parametrize("act", ["prelu", "dice"])
@pytest.mark.parametrize("normalise", ["none", "softmax"])
def test_one_candidate_each_takes_a_way_of_its_own(act, normalise, monkeypatch):
    monkeypatch.setattr("ethogram.nn.pairs.PIECE", 60)
    attend = TargetAttention(DIM, hidden=(5,), act=act, normalise=normalise).double()
    plain = TargetAttention(DIM, hidden=(5,), act=act, normalise=normalise).double()
    keys, queries = given()
    queries = queries[:6].detach().requires_grad_()
    got, weights = attend(keys, KEYS, queries, range(7), weights=True)
    chosen = [(b, j, b) for b in range(6) for j in range(KEYS[b], KEYS[b + 1])]
    expected, scores = concatenated(plain, keys, queries, chosen)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(weights.values, scores)
    for _ in range(2):  # a second walk back over the same graph gives the same
        loss = (got * torch.linspace(-1, 1, DIM)).sum()
        mine = torch.autograd.grad(loss, [keys, queries, *attend.parameters()], retain_graph=True)
        theirs = torch.autograd.grad(
            (expected * torch.linspace(-1, 1, DIM)).sum(), [keys, queries, *plain.parameters()], retain_graph=True,
            allow_unused=True,
        )  # fmt: skip
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("act", ["prelu", "dice"])
def test_compiled_loops_equal_torch_operations(act, monkeypatch):
    attend = TargetAttention(DIM, hidden=(5,), act=act).double()
    keys, queries = given()
    compiled = grads(attend(keys, KEYS, queries, QUERIES), attend, keys, queries)
    monkeypatch.setattr("ethogram.nn.bends.compiled", lambda z: False)
    plain = grads(attend(keys, KEYS, queries, QUERIES), attend, keys, queries)
    for a, b in zip(compiled, plain, strict=True):
        torch.testing.assert_close(a, b)


def test_single_precision_is_within_1e_5():
    attend = TargetAttention(DIM, "din", hidden=(36,))
    keys, queries = given()
    got = attend(keys.float(), KEYS, queries.float(), QUERIES)
    expected, _ = concatenated(attend.double(), keys, queries)
    assert (got - expected).abs().max() < 1e-5


@pytest.mark.parametrize("limit", [1, 60, 2**22])
def test_dot_product_against_a_loop(limit):
    attend = TargetAttention(DIM, "dot", limit=limit)
    keys, queries = given()
    got = attend(keys, KEYS, queries, QUERIES, values=keys[:, :2] + 1)
    for b in range(6):
        k = keys[KEYS[b] : KEYS[b + 1]]
        for t in range(QUERIES[b], QUERIES[b + 1]):
            expected = (k @ queries[t] / DIM**0.5).softmax(0) @ (k[:, :2] + 1)
            torch.testing.assert_close(got[t], expected)
    assert torch.autograd.gradcheck(lambda k, q: attend(k, KEYS, q, QUERIES), (keys, queries))


@pytest.mark.parametrize("kind", ["din", "dot", "topk"])
def test_nobody_known_gives_zero_and_finite_gradients(kind):
    attend = TargetAttention(DIM, kind).double()
    keys, queries = given()
    got, _weights = attend(keys, KEYS, queries, QUERIES, weights=True)
    assert got[2:5].eq(0).all()
    got.square().sum().backward()
    assert keys.grad.isfinite().all()
    nothing = attend(keys[:0], [0, 0], queries[:3], [0, 3], weights=True)
    assert nothing[0].shape == (3, DIM)
    assert nothing[0].eq(0).all()
    assert len(nothing[1].values) == 0
    assert attend(keys[:3], [0, 3], queries[:0], [0, 0]).shape == (0, DIM)


@pytest.mark.parametrize("kind", ["din", "dot", "topk"])
@pytest.mark.parametrize("limit", [1, 2**22])
def test_a_question_alone_answers_as_in_company(kind, limit):
    attend = TargetAttention(DIM, kind, k=4, limit=limit).double().eval()
    keys, queries = given()
    together = attend(keys, KEYS, queries, QUERIES)
    for b in range(6):
        k, q = keys[KEYS[b] : KEYS[b + 1]], queries[QUERIES[b] : QUERIES[b + 1]]
        alone = attend(k, [0, len(k)], q, [0, len(q)])
        torch.testing.assert_close(alone, together[QUERIES[b] : QUERIES[b + 1]])


@pytest.mark.parametrize("limit", [1, 60, 2**22])
def test_topk_attends_to_the_most_alike_only(limit):
    attend = TargetAttention(DIM, "topk", k=3, act="dice", limit=limit).double()
    keys, queries = given()
    got, weights = attend(keys, KEYS, queries, QUERIES, weights=True)
    chosen = []
    for b in range(6):
        for t in range(QUERIES[b], QUERIES[b + 1]):
            alike = sorted(range(KEYS[b], KEYS[b + 1]), key=lambda j: -(keys[j] @ queries[t]).item())
            chosen += [(b, j, t) for j in sorted(alike[:3])]
    expected, scores = concatenated(attend, keys, queries, chosen)
    torch.testing.assert_close(got, expected)
    assert len(weights.values) == len(pairs())
    kept = torch.tensor([p in set(chosen) for p in pairs()])
    torch.testing.assert_close(weights.values[kept], scores)
    assert weights.values[~kept].eq(0).all()


@pytest.mark.parametrize("limit", [1, 2**22])
def test_topk_by_tags_takes_the_latest_and_nothing_unlike(limit):
    attend = TargetAttention(1, "topk", k=2, within="dot", normalise="none", limit=limit).double()
    keys = torch.arange(1.0, 7, dtype=torch.float64)[:, None]
    ones = torch.ones(3, 1, dtype=torch.float64)
    key_tags = torch.tensor([[1, 5], [1, 6], [1, 6], [2, 5], [3, 9], [1, 9]])
    query_tags = torch.tensor([[1, 6], [1, 8], [7, 8]])
    _, weights = attend(keys, [0, 5, 6], ones, [0, 2, 3], key_tags=key_tags, query_tags=query_tags, weights=True)
    assert weights[0].tolist() == [0, 2, 3, 0, 0]  # both tags equal
    assert weights[1].tolist() == [0, 2, 3, 0, 0]  # one tag equal, the later two of three
    assert weights[2].tolist() == [0]  # nothing equal
    bits = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]]).bool()
    _, weights = attend(keys, [0, 5, 6], ones, [0, 2, 3], key_tags=bits, query_tags=bits[[0, 4, 2]], weights=True)
    assert weights[0].tolist() == [1, 0, 0, 4, 0]  # agreements 3 2 0 2 1: the first, and the later of the twos
    assert weights[1].tolist() == [0, 0, 0, 4, 5]
    assert weights[2].tolist() == [6]


def test_weights_say_where_an_interest_comes_from():
    attend = TargetAttention(DIM, "din").double()
    keys, queries = given()
    got, weights = attend(keys, KEYS, queries, QUERIES, weights=True)
    rebuilt = weights[8] @ keys[KEYS[4] : KEYS[5]]
    torch.testing.assert_close(got[8], rebuilt)
    torch.testing.assert_close(attend(keys, KEYS, queries, QUERIES), got)


def test_dice_bends_at_the_mean_of_the_data():
    dice = Dice(1)
    dice.alpha.data.fill_(0.5)
    s = torch.tensor([[1.0], [3.0], [100.0]])
    # rows 0 and 1: mean 2, variance 1, p = sigmoid(-1), sigmoid(1); f = p s + (1 - p) s / 2
    low, high = 1 / (1 + torch.e), torch.e / (1 + torch.e)
    got = dice(s, torch.tensor([True, True, False]))
    torch.testing.assert_close(got[:2], torch.tensor([[0.5 + 0.5 * low], [1.5 + 1.5 * high]]))
    torch.testing.assert_close(dice.mean, torch.tensor([0.2]))  # a tenth of the way from 0 to 2
    torch.testing.assert_close(dice.variance, torch.tensor([1.0]))
    dice.eval()
    torch.testing.assert_close(dice(s)[0, 0], 0.5 + 0.5 * torch.sigmoid(torch.tensor(0.8)))
    assert Dice(3).alpha.tolist() == [0, 0, 0]
    assert Dice(3).eps == 1e-8


def test_dice_with_no_rows_and_one_row_stays_finite():
    dice = Dice(2)
    assert dice(torch.zeros(0, 2)).shape == (0, 2)
    assert dice(torch.ones(1, 2)).isfinite().all()
    assert dice.mean.isfinite().all()


def test_dice_moments_join_as_if_whole():
    g = torch.Generator().manual_seed(0)
    s = torch.randn(50, 4, generator=g, dtype=torch.float64) + 100
    dice = Dice(4).double()
    count, mean, spread = Dice.join([dice.moments(s[:7]), dice.moments(s[7:7]), dice.moments(s[7:])])
    assert count == 50
    torch.testing.assert_close(mean, s.mean(0))
    torch.testing.assert_close(spread / count, s.var(0, correction=0))


def test_wrong_options_are_named():
    with pytest.raises(OptionError, match="dina"):
        TargetAttention(4, "dina")
    with pytest.raises(OptionError, match="6 histories for 5"):
        TargetAttention(DIM, "dot")(*given()[:1], KEYS, given()[1], QUERIES[:-1])
    with pytest.raises(OptionError, match="swish"):
        TargetAttention(4, act="swish")


def test_the_split_layer_starts_as_glorot():
    unit = TargetAttention(8, hidden=(200,), seed=1).unit
    bound = (6 / (4 * 8 + 200)) ** 0.5
    assert unit.product.abs().max() <= bound
    assert unit.product.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    again = TargetAttention(8, hidden=(200,), seed=1).unit
    assert torch.equal(unit.key, again.key)
    assert isinstance(unit.acts[0], nn.PReLU)


@pytest.mark.parametrize("kind", ["din", "dot", "topk"])
@pytest.mark.parametrize("single", [False, True])
def test_bf16_stays_near_single_precision(kind, single):
    attend = TargetAttention(DIM, kind, k=4, act="dice")
    keys, queries = given()
    k, q = keys.detach().float().requires_grad_(), queries.detach().float().requires_grad_()
    asked = (q[:6], range(7)) if single else (q, QUERIES)
    expected = attend(k, KEYS, *asked)
    with torch.autocast("cpu", torch.bfloat16):
        got, weights = attend(k, KEYS, *asked, weights=True)
        got.float().square().sum().backward()
    assert (got - expected).abs().max() < 0.05 * expected.abs().max()
    assert weights.values.isfinite().all()
    assert k.grad.isfinite().all()
