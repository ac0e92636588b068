"""Notes of groups told by language models: no number is the model's, whichever model it is."""

import json

import pytest
from aiohttp import web
from tests.lm.faulty import Faulty, said

from ethogram.lm import LM, Broker, ScriptedLM
from ethogram.risk.fin_deep_cluster.narrative import REFUSED, TOLD, Note, counted, locked, narrated, numbers


def test_no_number_may_change():
    note = "38 transactions: 61% tagged, worth 12,500."
    assert locked("In all 38 transactions, worth 12,500; 61% of them tagged.", note)
    assert locked("Of 38 transactions 61 percent were tagged.", note)
    note = "38 transactions: 61% tagged, worth 12,500. The median took 14 seconds."
    for wrong in (
        "38 transactions, 38 of them tagged.", "Of 38 transactions 14 were tagged.", "38 transactions, 61% tag", "",
    ):  # fmt: skip
        assert not locked(wrong, note), wrong
    note = "38 transactions: 61% tagged. 46% took the same path, a > b > c."
    assert locked("38 transactions, 46% of which took the path a > b > c.", note)
    assert not locked("38 transactions, 46% of which took the path a > c.", note)
    note = "38 transactions: 61% tagged, worth 12,500."
    for wrong in (
        "38 transactions, 16% tagged, worth 12,500", "38, 61%, 12,500, and twice as many", "61% were tagged.",
        "Of 38 transactions, 61 were tagged", "Of 61 transactions, 38% were tagged", "12,500.5 for 38",
    ):  # fmt: skip
        assert not locked(wrong, note), wrong


NOTES = {
    3: Note("38 orders: 61% tagged.", "template", "38 orders: 61% tagged."),
    5: Note("9 buys.", "template", "9 buys."),
}


@pytest.mark.parametrize(
    ("text", "outcome"), [("Of 38 orders 61% were tagged.", TOLD), ("Of 39 orders 61% were.", REFUSED)]
)
def test_a_models_words_with_our_numbers(text, outcome):
    lm = ScriptedLM(lambda *_, **__: f'{{"text": "{text}"}}')
    found = narrated(NOTES, lm)
    assert found[3].outcome == outcome
    assert found[3].text == (text if outcome == TOLD else NOTES[3].template)
    assert found[3].by.startswith("template") is (outcome == REFUSED)
    assert found[5] == Note("9 buys.", found[5].by, "9 buys.", REFUSED)  # it speaks of another group's numbers
    assert counted(found) == {
        "template": 0,
        "told": int(outcome == TOLD),
        "refused": 2 - int(outcome == TOLD),
        "failed": 0,
    }


def test_an_absent_model_leaves_the_template():
    found = narrated(NOTES, LM.connect("http://127.0.0.1:9/v1"))
    assert [n.text for n in found.values()] == ["38 orders: 61% tagged.", "9 buys."]
    assert counted(found)["failed"] == 2
    assert found[3].by.startswith("template (")


def test_whatever_the_embedded_model_says_the_numbers_are_the_cards(local):
    """It is small and changes numbers now and then: such a note is refused, and the same is said twice."""
    found = narrated(NOTES, local)
    assert sum(counted(found).values()) == 2
    for note in found.values():
        assert set(numbers(note.text)) <= set(numbers(note.template))
        assert (note.by == local.identity) is (note.outcome == TOLD)
        assert note.outcome == TOLD or note.text == note.template
    assert narrated(NOTES, local) == found


def test_any_endpoint_that_speaks_the_protocol():
    """It copies one note and lies in the other; both calls come with the schema."""

    async def telling(request, body):
        prompt = body["messages"][-1]["content"]
        text = "Of the 38 orders, 61% were tagged." if "38 orders" in prompt else "Of 9 buys 8 were wrong."
        return web.json_response(said(json.dumps({"text": text}) if "<data" in prompt else "ok"))

    server = Faulty()
    server.handler = telling
    try:
        lm = LM.connect(server.url, broker=Broker.bare())
        found = narrated(NOTES, lm)
        lm.sync.close()
    finally:
        server.stop()
    assert [n.outcome for n in found.values()] == [TOLD, REFUSED]
    assert found[3].text == "Of the 38 orders, 61% were tagged."
    assert found[5].by == f"template (numbers changed by {lm.identity})"
    asked = [b for b in server.seen if "<data" in b["messages"][-1]["content"]]
    assert len(asked) == 2
