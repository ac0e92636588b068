"""Cache, coalescing, limits, budgets, ledger, and the four modes."""

import asyncio
import time
from contextlib import aclosing

import pytest
from tests.lm.faulty import Faulty, delta, events, refusing, said, then

from ethogram.errors import BudgetSpent, EndpointBusy, LMError, NotRecorded, OptionError, UnknownName
from ethogram.lm import LM, Broker, Budget, Limits, Prices, Retries, ScriptedLM
from ethogram.lm.cache import AnswerCache
from ethogram.lm.limits import Bucket
from ethogram.lm.transcript import Recording, place


def counting(**options):
    """A model that says how often it was asked."""
    asked = []

    def policy(messages, rng):
        asked.append(messages[-1].text)
        return f"{messages[-1].text} #{len(asked)}"

    return ScriptedLM(policy, broker=Broker(**options)), asked


def test_an_answer_is_kept_across_processes():
    first, asked = counting()
    assert first.sync.chat("a").source == "live"
    assert first.sync.chat("a").source == "cache"
    first.sync.close()
    second, _ = counting()
    reply = second.sync.chat("a")
    assert (reply.text, reply.source, asked) == ("a #1", "cache", ["a"])
    assert second.sync.chat("a", max_tokens=9).source == "live"  # another question
    assert second.sync.chat("a", system="s").source == "live"


def test_what_is_drawn_without_a_seed_is_drawn_anew():
    lm, _ = counting()
    hot = {"temperature": 1.0}
    assert [lm.sync.chat("a", **hot).source for _ in range(2)] == ["live", "live"]
    assert [lm.sync.chat("a", seed=1, **hot).source for _ in range(2)] == ["live", "cache"]


def test_equal_calls_in_flight_are_one(faulty: Faulty):
    from aiohttp import web

    async def slow(request, body):
        await asyncio.sleep(0.1)
        return web.json_response(said())

    faulty.handler = slow
    lm = LM.connect(faulty.url, model="m")

    async def many():
        return await asyncio.gather(*(lm.chat("a") for _ in range(20)), lm.chat("b"))

    sources = sorted(r.source for r in asyncio.run(many()))
    assert sources == ["joined"] * 19 + ["live"] * 2
    assert len(faulty.seen) == 2


def test_one_caller_that_gives_up_does_not_take_the_answer_from_the_others(faulty: Faulty):
    from aiohttp import web

    async def slow(request, body):
        await asyncio.sleep(0.2)
        return web.json_response(said())

    faulty.handler = slow
    lm = LM.connect(faulty.url, model="m", broker=Broker.bare())

    async def two():
        await lm._name()
        first = asyncio.create_task(lm.chat("a"))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(lm.chat("a"))
        await asyncio.sleep(0.02)
        first.cancel()
        return await second

    assert asyncio.run(two()).text == "hello"


def test_no_more_calls_at_once_than_allowed(faulty: Faulty):
    from aiohttp import web

    async def slow(request, body):
        await asyncio.sleep(0.02)
        return web.json_response(said())

    faulty.handler = slow
    lm = LM.connect(faulty.url, model="m", broker=Broker.bare(limits=Limits(concurrency=3)))

    async def many():
        await asyncio.gather(*(lm.chat(str(i)) for i in range(15)))

    asyncio.run(many())
    assert faulty.most_at_once == 3


def test_a_rate_spreads_calls():
    bucket = Bucket(per_minute=60)
    waits = [bucket.take(1) for _ in range(63)]
    assert waits[:60] == [0] * 60  # a minute's worth at once
    assert waits[60:] == pytest.approx([1, 2, 3], abs=0.5)
    assert Bucket(None).take(1e9) == 0
    lm = ScriptedLM("a", broker=Broker.bare(limits=Limits(calls_per_minute=1200)))

    async def many():
        lane = lm.broker._lane(lm.wire)
        lane.calls._left = 0
        began = time.perf_counter()
        await asyncio.gather(*(lm.chat(str(i)) for i in range(6)))
        return time.perf_counter() - began

    assert 0.25 < asyncio.run(many()) < 20


def test_a_budget_of_calls_ends_a_run_cleanly():
    lm, asked = counting(budget=Budget(calls=3), cache=False)

    async def many():
        return await asyncio.gather(*(lm.chat(str(i)) for i in range(8)), return_exceptions=True)

    told = asyncio.run(many())
    assert [isinstance(t, BudgetSpent) for t in told] == [False] * 3 + [True] * 5
    assert "the budget of 3 calls is spent" in str(told[3])
    assert len(asked) == 3


def test_budgets_of_tokens_and_money_hold_what_is_in_flight(faulty: Faulty):
    # each call may take 25 tokens (its bytes / 4 + max_tokens) and takes 5
    lm = LM.connect(faulty.url, model="m", broker=Broker.bare(budget=Budget(tokens=100)))

    def ask(model):
        for i in range(50):
            model.sync.chat(str(i), max_tokens=5)

    with pytest.raises(BudgetSpent, match="tokens is spent"):
        ask(lm)
    assert 50 <= lm.broker.purse.tokens <= 100
    rich = LM.connect(
        faulty.url, model="m", broker=Broker.bare(budget=Budget(money=1e-3), prices=Prices(prompt=10, completion=10))
    )
    with pytest.raises(BudgetSpent, match="money"):
        ask(rich)
    assert rich.broker.purse.money == pytest.approx(rich.broker.purse.tokens * 1e-5)


def test_a_budget_of_seconds():
    lm = ScriptedLM("a", broker=Broker.bare(budget=Budget(seconds=0.05)))
    lm.sync.chat("1")
    time.sleep(0.06)
    with pytest.raises(BudgetSpent, match=r"0\.05 seconds"):
        lm.sync.chat("2")


def test_a_spent_budget_is_no_bound_for_a_free_model_in_the_chain():
    """Remote, then local without bound; where that is not free, all of the chain is spent."""
    broker = Broker.bare(budget=Budget(calls=2))
    remote, local = (ScriptedLM(n, name=n, broker=broker) for n in ("remote", "local"))
    chain = remote.otherwise(local)
    broker.purse.free.add(local.identity)
    assert [chain.sync.chat(str(i)).identity for i in range(5)] == [remote.identity] * 2 + [local.identity] * 3
    assert broker.purse.calls == 2
    assert broker.ledger.accounts["chat", remote.identity].errors == {"BudgetSpent": 3}
    broker.purse.free.clear()
    with pytest.raises(BudgetSpent, match="none of 2 models answered"):
        chain.sync.chat("more")
    broker.purse.free.add(local.identity)
    lost = ScriptedLM(lambda messages, luck: LMError("no"), name="lost", broker=broker)
    broker.purse.free.add(lost.identity)
    with pytest.raises(LMError) as told:  # the last one was not spent: the run need not stop
        remote.otherwise(lost).sync.chat("more")
    assert not isinstance(told.value, BudgetSpent)


def test_a_model_without_a_price_is_not_refused_for_want_of_money(faulty: Faulty):
    free = ScriptedLM("a", name="free")
    prices = {f"{faulty.url}#m": Prices(1e6, 1e6)}
    broker = Broker.bare(budget=Budget(money=40.0), prices=prices)
    remote = LM.connect(faulty.url, model="m", broker=broker)
    free.broker = broker

    def ask():
        for i in range(20):
            remote.sync.chat(str(i), max_tokens=5)

    with pytest.raises(BudgetSpent, match="money"):
        ask()
    assert free.sync.chat("b").text == "a"


def test_a_run_that_goes_on_has_spent_what_it_spent():
    def session(calls, mode):
        lm, asked = counting(run="night", mode=mode, cache=False, budget=Budget(calls=calls))
        said = []
        try:
            for i in range(9):
                said.append(lm.sync.chat(str(i)).source)
        except BudgetSpent:
            pass
        lm.sync.close()
        return said, len(asked)

    assert session(3, "record") == (["live"] * 3, 3)
    assert session(3, "replay-lenient") == (["recording"] * 3, 0)
    assert session(5, "replay-lenient") == (["recording"] * 3 + ["live"] * 2, 2)
    kept = Recording(place("night"), must=True)
    assert kept.totals()["sent"] == 5  # what was refused was not sent
    assert kept.totals()["failed"] == 3
    assert [m[1] for m in kept.models()] == [5]
    kept.close()


def test_a_stream_is_entered_however_it_ends(faulty: Faulty):
    faulty.handler = events(delta("one "), delta("two "), delta("three"))
    lm = LM.connect(faulty.url, model="m", broker=Broker(run="night", cache=False, budget=Budget(calls=2)))

    async def leave():
        async with aclosing(lm.stream("count")) as pieces:
            async for _ in pieces:
                break

    asyncio.run(leave())
    assert lm.broker.purse.tokens > 0, "what was read of it is paid for"
    assert list(lm.sync.stream("count")) == ["one ", "two ", "three"]
    with pytest.raises(BudgetSpent):
        list(lm.sync.stream("again"))
    lm.sync.close()
    kept = [(c["request"]["messages"][0]["content"], c["error"]) for c in Recording(place("night"), must=True).calls()]
    assert kept[:2] == [("count", "LMError: its reader left after 1 events"), ("count", "")]
    assert kept[2][0] == "again"
    assert kept[2][1].startswith("BudgetSpent")


def test_what_is_kept_costs_nothing():
    lm, _ = counting(budget=Budget(calls=1))
    assert [lm.sync.chat("a").source for _ in range(3)] == ["live", "cache", "cache"]


def test_the_ledger_counts_per_purpose(faulty: Faulty):
    faulty.handler = then(refusing(500), faulty.hello)
    broker = Broker(prices=Prices(1e6, 2e6), retries=Retries(tries=2, first=0.001), keep=False)
    lm = LM.connect(faulty.url, model="m", broker=broker)
    lm.sync.chat("a", purpose="plan")
    lm.sync.chat("a", purpose="plan")
    faulty.handler = refusing(404)
    with pytest.raises(LMError):
        lm.sync.chat("b", purpose="judge")
    plan, judge = broker.ledger.rows()
    assert (plan["purpose"], plan["calls"], plan["live"], plan["cached"]) == ("plan", 2, 1, 1)
    assert (plan["prompt"], plan["completion"], plan["money"]) == (3, 2, 7.0)
    assert 0 < plan["median_seconds"] <= plan["p95_seconds"]
    assert (judge["purpose"], judge["failed"]) == ("judge", 1)


def test_a_run_is_recorded_and_replayed(faulty: Faulty):
    questions = ["a", "b", "a"]
    hot = {"temperature": 1.0}

    async def ask(lm):
        said_ = [(await lm.chat(q)).text for q in questions]
        return said_ + [(await lm.chat("draw", **hot)).text for _ in range(3)]

    lm, asked = counting(run="night", mode="record")
    first = asyncio.run(ask(lm))
    lm.sync.close()
    again, none = counting(run="night", mode="replay-strict")
    assert asyncio.run(ask(again)) == first
    assert first[0] == first[2]
    assert (len(asked), none) == (5, [])
    with pytest.raises(NotRecorded, match=r"run 'night' holds no answer of scripted:.*purpose chat"):
        again.sync.chat("new")
    size = place("night").stat().st_size
    again.sync.close()
    assert place("night").stat().st_size == size
    lenient, missing = counting(run="night", mode="replay-lenient")
    assert lenient.sync.chat("a").source == "recording"
    assert lenient.sync.chat("new").source == "live"
    assert missing == ["new"]
    lenient.sync.close()
    whole, _ = counting(run="night", mode="replay-strict")
    assert whole.sync.chat("new").source == "recording"


def test_a_replay_needs_no_endpoint(faulty: Faulty):
    lm = LM.connect(faulty.url, broker=Broker(run="night", mode="record"))
    text = lm.sync.chat("a").text
    lm.sync.close()
    faulty.handler = refusing(500)
    seen = len(faulty.seen)
    again = LM.connect(faulty.url, broker=Broker(run="night", mode="replay-strict"))
    assert again.sync.chat("a").text == text
    assert len(faulty.seen) == seen


def test_modes_that_cannot_be():
    with pytest.raises(OptionError, match=r"unknown mode 'replay'\. Did you mean"):
        Broker(mode="replay")
    with pytest.raises(OptionError, match="needs run="):
        Broker(mode="record")
    lm, _ = counting(run="night", mode="record")
    lm.sync.chat("a")
    lm.sync.close()
    with pytest.raises(OptionError, match="continue it with mode 'replay-lenient'"):
        Broker(run="night", mode="record")
    with pytest.raises(UnknownName, match=r"no run nigth .*Did you mean 'night'\?"):
        Broker(run="nigth", mode="replay-strict")


def test_every_call_is_in_the_transcript(faulty: Faulty):
    faulty.handler = then(faulty.hello, refusing(404, "gone"))
    lm = LM.connect(faulty.url, model="m", broker=Broker(run="day"))
    lm.sync.chat("a", purpose="plan")
    lm.sync.chat("a", purpose="plan")
    with pytest.raises(LMError):
        lm.sync.chat("b")
    lm.sync.close()
    calls = list(Recording(place("day"), must=True).calls())
    assert [(c["purpose"], c["source"], c["error"][:15]) for c in calls] == [
        ("plan", "live", ""),
        ("plan", "cache", ""),
        ("chat", "live", "EndpointRefused"),
    ]
    assert calls[0]["request"]["messages"][0]["content"] == "a"
    assert calls[1]["reply"]["choices"][0]["message"]["content"] == "hello"


def test_the_cache_keeps_its_size(tmp_path):
    cache = AnswerCache(tmp_path / "c.sqlite", cap_mb=0.1)
    reply = b"x" * 1_000
    for i in range(200):
        cache.put([(f"k{i:03}".encode(), "m", "/p", reply)])
        cache.get(b"k000")  # always in use
    cache.put([])
    facts = cache.facts()
    assert facts["models"][0]["mb"] <= 0.1
    assert cache.get(b"k000") == reply
    assert cache.get(b"k199") == reply
    assert cache.get(b"k100") is None
    assert cache.clear("other") == 0
    assert cache.clear("m") == facts["models"][0]["answers"]


def test_a_damaged_cache_is_begun_anew(tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"not a database" * 100)
    cache = AnswerCache(path)
    cache.put([(b"k", "m", "/p", b"r")])
    assert cache.get(b"k") == b"r"
    assert (tmp_path / "c.sqlite.damaged").exists()


def test_a_chain_asks_the_next_and_says_which_answered(faulty: Faulty):
    faulty.handler = refusing(500, "overloaded")
    broker = Broker(run="chain", retries=Retries(tries=2, first=0.001))
    lm = LM.connect([faulty.url, "scripted:yes"], model="m", broker=broker)
    reply = lm.sync.chat("hi")
    assert (reply.text, reply.identity) == ("yes", "scripted:yes")
    assert lm.identity == f"{faulty.url}#m > scripted:yes"
    lm.sync.close()
    errors = [c["error"][:12] for c in Recording(place("chain"), must=True).calls()]
    assert errors == ["EndpointBusy", ""]
    alone = LM.connect([faulty.url], model="m", broker=Broker.bare(retries=Retries(tries=1)))
    with pytest.raises(LMError, match="none of 1 models answered"):
        alone.sync.chat("hi")


def test_a_spent_budget_is_not_passed_on(faulty: Faulty):
    lm = LM.connect([faulty.url, "scripted:yes"], model="m", broker=Broker.bare(budget=Budget(calls=1)))
    lm.sync.chat("1")
    with pytest.raises(BudgetSpent):
        lm.sync.chat("2")


def test_an_error_of_one_call_reaches_all_that_joined_it(faulty: Faulty):
    faulty.handler = refusing(503)
    lm = LM.connect(faulty.url, model="m", broker=Broker.bare(retries=Retries(tries=1)))

    async def two():
        return await asyncio.gather(lm.chat("a"), lm.chat("a"), return_exceptions=True)

    assert [type(e) for e in asyncio.run(two())] == [EndpointBusy] * 2
