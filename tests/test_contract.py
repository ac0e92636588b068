"""Every installed system keeps its promises; and the suite notices when one does not."""

import random
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from tests.counter import Counter

import ethogram
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.system import system
from ethogram.testing import Case, check, contract
from ethogram.verbs import State

KEYS = [s.key for s in ethogram.systems() if not s.missing()]


@cache
def case(key: str) -> Case:
    return Case.of(key)


@pytest.mark.parametrize(("key", "name"), contract(*KEYS))
def test_promise(key, name):
    check(case(key), only=name)


def test_the_small_system_keeps_all():
    check(Counter())
    check("counter", own=0.5)


# Each system below breaks one promise, and the suite must say which.

WRONG = {"paper": "none", "year": 2026, "area": "recommend", "verbs": ("score", "recommend"), "baseline": True}


@system("wrong_no_guard", **WRONG)
@dataclass(kw_only=True)
class NoGuard(Counter):
    fitted = (ethogram.Log, None)

    def score(self, histories, candidates, context=None):
        return np.zeros(3)

    def recommend(self, histories, k=10, **how):
        return pa.table({"question": [0]})

    def state(self):
        return State()


@system("wrong_options", **WRONG)
@dataclass(kw_only=True)
class ChangesOptions(Counter):
    def fit(self, train, valid=None, *, seed=0, watch=None):
        self.depth = len(train.sequences())
        return super().fit(train)


@system("wrong_random", **WRONG)
@dataclass(kw_only=True)
class Random(Counter):
    def score(self, histories, candidates, context=None):
        return super().score(histories, candidates) + np.random.default_rng().normal()


@system("wrong_global", **WRONG)
@dataclass(kw_only=True)
class SeedsGlobals(Counter):
    def fit(self, train, valid=None, *, seed=0, watch=None):
        random.seed(seed)
        return super().fit(train)


SHARED: dict = {}


@system("wrong_shared", **WRONG)
@dataclass(kw_only=True)
class Shares(Counter):
    def fit(self, train, valid=None, *, seed=0, watch=None):
        super().fit(train)
        SHARED["fitted"] = self.fitted
        return self

    def score(self, histories, candidates, context=None):
        self.fitted = SHARED["fitted"]
        return super().score(histories, candidates)


@system("wrong_in_place", **WRONG)
@dataclass(kw_only=True)
class WritesInput(Counter):
    def score(self, histories, candidates, context=None):
        scores = super().score(histories, candidates)
        candidates.items[:] = candidates.items[::-1].copy()
        return scores


@system("wrong_saved", **WRONG)
@dataclass(kw_only=True)
class Forgets(Counter):
    def state(self):
        full = super().state()
        return replace(full, arrays={"counts": full.arrays["counts"] // 2})


@system("wrong_groups", **WRONG)
@dataclass(kw_only=True)
class ReadsRowOrder(Counter):
    def fit(self, train, valid=None, *, seed=0, watch=None):
        super().fit(train)
        ids, _, repeats = self.fitted
        done = train.rows()  # the stored order, not the canonical one
        last = np.r_[done.starts[1:], True]
        counts = np.bincount(np.asarray(done.columns["item"])[last], minlength=len(ids))
        self.fitted = (ids, counts, repeats)
        return self


@system("wrong_strangers", **WRONG)
@dataclass(kw_only=True)
class RefusesStrangers(Counter):
    def score(self, histories, candidates, context=None):
        scores = super().score(histories, candidates)
        return np.where(histories.users[:, None] < 0, np.nan, scores)


@system("wrong_empty", **WRONG)
@dataclass(kw_only=True)
class DividesByLength(Counter):
    def score(self, histories, candidates, context=None):
        with np.errstate(all="ignore"):
            return super().score(histories, candidates) * (histories.lengths / histories.lengths)[:, None]


@system("wrong_unseen", **WRONG)
@dataclass(kw_only=True)
class TakesLastForUnknown(Counter):
    def score(self, histories, candidates, context=None):
        scores = super().score(histories, candidates)
        strange = (candidates.vocabulary.codes_in(self.fitted[0]) < 0).any()
        return scores + float(strange)


@system("wrong_raw", **WRONG)
@dataclass(kw_only=True)
class TellsTextFromNumbers(Counter):
    def score(self, histories, candidates, context=None):
        return super().score(histories, candidates) + float(candidates.vocabulary.is_integer)


@system("wrong_shapes", **WRONG)
@dataclass(kw_only=True)
class Flat(Counter):
    def score(self, histories, candidates, context=None):
        return super().score(histories, candidates).reshape(-1)


@system("wrong_batch", **WRONG)
@dataclass(kw_only=True)
class NormalisesOverBatch(Counter):
    def score(self, histories, candidates, context=None):
        scores = super().score(histories, candidates)
        return scores - scores.mean()


@system("wrong_neighbours", **WRONG)
@dataclass(kw_only=True)
class SoftmaxOverCandidates(Counter):
    def score(self, histories, candidates, context=None):
        scores = super().score(histories, candidates)
        if candidates.offsets is None:
            return scores / scores.sum(1, keepdims=True)
        total = np.add.reduceat(scores, candidates.offsets[:-1])
        return scores / np.repeat(total, np.diff(candidates.offsets))


@system("wrong_probability", **{**WRONG, "area": "rank", "verbs": ("score",)})
@dataclass(kw_only=True)
class Logits(Counter):
    pass


@system("wrong_constant", **WRONG)
@dataclass(kw_only=True)
class Constant(Counter):
    def score(self, histories, candidates, context=None):
        return 0 * super().score(histories, candidates)


@system("wrong_ids", **WRONG)
@dataclass(kw_only=True)
class Codes(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        found = super().recommend(histories, k, exclude_seen=exclude_seen, among=among)
        return found.set_column(2, "item", pa.array(self.fitted[0].encode(found.column("item")).astype(np.int64)))


@system("wrong_k", **WRONG)
@dataclass(kw_only=True)
class ScalesByK(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        found = super().recommend(histories, k, exclude_seen=exclude_seen, among=among)
        return found.set_column(3, "score", pa.array(found.column("score").to_numpy() / k))


@system("wrong_alone", **WRONG)
@dataclass(kw_only=True)
class RanksInBatch(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        found = super().recommend(histories, k, exclude_seen=exclude_seen, among=among)
        return found.set_column(3, "score", pa.array(found.column("score").to_numpy() / len(histories)))


@system("wrong_seen", **WRONG)
@dataclass(kw_only=True)
class NeverExcludes(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        return super().recommend(histories, k, exclude_seen=False, among=among)


@system("wrong_seen_none", **WRONG)
@dataclass(kw_only=True)
class ExcludesByDefault(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        return super().recommend(histories, k, exclude_seen=exclude_seen is not False, among=among)


@system("wrong_among", **WRONG)
@dataclass(kw_only=True)
class IgnoresAmong(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        return super().recommend(histories, k, exclude_seen=exclude_seen)


@system("wrong_nobody", **WRONG)
@dataclass(kw_only=True)
class NothingForNobody(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        found = super().recommend(histories, k, exclude_seen=exclude_seen, among=among)
        return found.filter(pa.array(histories.lengths[found.column("question").to_numpy()] > 0))


@system("wrong_long", **WRONG)
@dataclass(kw_only=True)
class SkipsLongSessions(Counter):
    def recommend(self, histories, k=10, *, exclude_seen=None, among=None):
        found = super().recommend(histories, k, exclude_seen=exclude_seen, among=among)
        return found.filter(pa.array(histories.lengths[found.column("question").to_numpy()] < 512))


@system("wrong_poor", **WRONG)
@dataclass(kw_only=True)
class NeedsManyEvents(Counter):
    def fit(self, train, valid=None, *, seed=0, watch=None):
        if len(train.sequences()) < 10:
            raise IndexError("index 9 is out of range")
        return super().fit(train)


@system("wrong_exposures", **WRONG)
@dataclass(kw_only=True)
class CountsExposures(Counter):
    def fit(self, train, valid=None, *, seed=0, watch=None):
        super().fit(train)
        ids, _, repeats = self.fitted
        self.fitted = (ids, np.bincount(train.sequences().columns["item"], minlength=len(ids)), repeats)
        return self


@system("wrong_update", **{**WRONG, "verbs": ("score", "update")})
@dataclass(kw_only=True)
class ForgetsToUpdate(Counter):
    def update(self, log):
        return None


@system("wrong_explain", **{**WRONG, "verbs": ("score", "explain")})
@dataclass(kw_only=True)
class ExplainsByStrangers(Counter):
    def explain(self, histories, candidates, k=3):
        return pa.table(
            {
                "question": [0], "candidate": [1_000], "item": [-5], "time": pa.array([0], pa.timestamp("us", "UTC")),
                "share": [0.5], "rank": [1],
            }
        )  # fmt: skip


def forecaster(key):
    """A Poisson process that forecasts, of which each class below makes something wrong."""
    pytest.importorskip("torch")
    from ethogram.risk.prompt_tpp import PromptTPP

    declare = system(key, **{**WRONG, "area": "risk", "verbs": ("forecast",)})
    return lambda body: declare(dataclass(kw_only=True)(type(key, (PromptTPP,), {"process": "poisson", **body})))


def later_by(self, histories, seconds):
    import pyarrow.compute as pc

    found = type(self).__mro__[1].forecast(self, histories)
    moved = pc.add(found.column("time"), pa.scalar(seconds * 1_000_000, pa.duration("us")))
    return found.set_column(3, "time", moved)


@pytest.mark.parametrize(
    ("promise", "forecast"),
    [
        ("forecast table", lambda self, h, k=1, seed=0: type(self).__mro__[1].forecast(self, h, 1)),
        ("forecast table", lambda self, h, k=1, seed=0: later_by(self, h, -(10**8))),
        ("forecast alone", lambda self, h, k=1, seed=0: later_by(self, h, 60 * len(h))),
    ],
)
def test_a_broken_forecast_is_noticed(promise, forecast):
    made = forecaster("wrong_forecast_" + promise.split()[1])({"forecast": forecast, "__module__": __name__})
    with pytest.raises(AssertionError, match=f"breaks '{promise}'"):
        check(made(process="poisson"), only=promise)


@pytest.mark.parametrize(
    ("made", "promise"),
    [
        (ChangesOptions, "options_stay"),
        (Random, "deterministic"),
        (SeedsGlobals, "no_global_state"),
        (Shares, "independent"),
        (WritesInput, "inputs_untouched"),
        (Forgets, "saved"),
        (ReadsRowOrder, "groups"),
        (RefusesStrangers, "strangers"),
        (DividesByLength, "empty_history"),
        (TakesLastForUnknown, "unseen_items"),
        (TellsTextFromNumbers, "raw_ids"),
        (Flat, "score shapes"),
        (NormalisesOverBatch, "score alone"),
        (SoftmaxOverCandidates, "score candidates_alone"),
        (Logits, "score probabilities"),
        (Constant, "score learns"),
        (Codes, "recommend table"),
        (ScalesByK, "recommend how_many"),
        (RanksInBatch, "recommend alone"),
        (NeverExcludes, "recommend exclude_seen"),
        (ExcludesByDefault, "recommend exclude_seen"),
        (IgnoresAmong, "recommend among"),
        (NothingForNobody, "recommend nobody"),
        (SkipsLongSessions, "recommend odd_questions"),
        (NeedsManyEvents, "recommend poor_logs"),
        (CountsExposures, "recommend exposures"),
        (ForgetsToUpdate, "update updates"),
        (ExplainsByStrangers, "explain reasons"),
    ],
)
def test_a_broken_promise_is_noticed(made, promise):
    with pytest.raises(AssertionError, match=f"breaks '{promise}'"):
        check(made(), only=promise)


def test_a_system_without_guard_is_noticed():
    # a class attribute `fitted` makes the decorator's guard believe that something was learned
    with pytest.raises(AssertionError, match="breaks 'not_fitted'"):
        check(NoGuard(), only="not_fitted")


def test_every_broken_promise_is_told_at_once():
    with pytest.raises(AssertionError) as error:
        check(IgnoresAmong(), only=None)
    assert "recommend among" in str(error.value)
    assert "options_stay" not in str(error.value)


def test_a_given_system_is_not_touched():
    mine = Counter(own=2.0)
    check(mine, only="deterministic")
    assert mine.fitted is None
    both = mine >> Counter()
    check(both, only="recommend table")
    assert mine.fitted is None
    with pytest.raises(OptionError, match="no option 'width'"):
        check("counter", width=3)


def test_the_counter_says_what_it_should():
    """By hand: two events of 'a', one of 'b'; the stranger did 'b' once."""
    log = ethogram.Log.open(pa.table({"user": [1, 1, 2], "item": ["a", "b", "a"], "time": [10, 20, 15]}))
    scores = Counter(own=2.0).fit(log).score(Histories.of([["b"]]), Candidates.of(["a", "b", "z"]))
    np.testing.assert_allclose(scores, [[np.log(3), np.log(2) + 2 * np.log(2), 0.0]])


def test_a_retriever_with_a_network_behind_keeps_all():
    pytest.importorskip("torch")
    check(system("popularity") >> system("din", epochs=1))
