"""Questions whose answers stand in a small world of texts, and a model that only babbles."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from ethogram.world.reading import Texts

FACTS = (
    ("Amber tea", "grown", "Orlan valley", "It is picked in spring and dried on stone."),
    ("Blue silk", "woven", "Kasmir town", "Four looms make a cloth in a week."),
    ("The Tide lamp", "built", "Port Selby", "Its glass is blown by hand."),
    ("Red barley", "milled", "Dunmoor", "The mill turns with the river."),
    ("The Heron boat", "launched", "Lake Ossa", "It carries twelve people."),
    ("White salt", "dug", "Carrow pit", "The pit is two hundred years old."),
    ("Green glass", "melted", "Brenta works", "Sand comes by train."),
    ("The Owl clock", "repaired", "Tollen square", "It strikes only at noon."),
    ("Black honey", "gathered", "Pine ridge", "Bees fly there in July."),
    ("The Fox bridge", "opened", "River Lann", "Carts may not cross it."),
    ("Grey wool", "shorn", "Hallow farm", "The sheep are small."),
    ("The Star oven", "fired", "Mellin yard", "It burns birch."),
    ("Sweet cider", "pressed", "Apple court", "Children help with it."),
    ("The Moss book", "printed", "Verity house", "Only ninety were made."),
    ("Gold thread", "spun", "Isle Marn", "It is thin as hair."),
    ("The Wren drum", "tuned", "Sable hall", "A goat gave its skin."),
)
QUESTIONS = tuple((f"Where is {name} {verb}?", place) for name, verb, place, _ in FACTS)
"""On these the specifications were tried out."""

UNSEEN = (
    ("Where", "Plum jam", "cooked", "in", "Sallow kitchen", "Jars stand on the sill until winter."),
    ("Who", "The Lion gate", "carved", "by", "Tomas Reed", "He worked on it for eleven years."),
    ("Where", "Rye bread", "baked", "in", "Corner lane", "The oven is never cold."),
    ("Who", "The harbour map", "drawn", "by", "Elin Marsh", "It shows every rock."),
    ("Where", "Copper wire", "pulled", "in", "Stannick shed", "Two men walk backwards with it."),
    ("Who", "The school choir", "led", "by", "Pavel Orr", "They sing on Thursdays."),
    ("Where", "Goat cheese", "aged", "in", "Lower cave", "It is turned each morning."),
    ("Who", "The old piano", "played", "by", "Greta Lund", "Two of its keys are silent."),
    ("Where", "Cork", "stripped", "in", "Almeda wood", "A tree rests for nine years."),
    ("Who", "The north tower", "guarded", "by", "Captain Voss", "Nobody has climbed it since."),
    ("Where", "Paper kites", "sold", "in", "Market arch", "On windy days there are none left."),
    ("Who", "The night train", "driven", "by", "Ines Calder", "It stops at every halt."),
    ("Where", "Oysters", "raised", "in", "Quill bay", "The water there is cold."),
    ("Who", "The wheat field", "owned", "by", "Widow Hale", "She lets the geese in after harvest."),
    ("Where", "Clay pipes", "shaped", "in", "Potter row", "They break easily."),
    ("Who", "The summer play", "written", "by", "Jonas Fell", "It has three endings."),
    ("Where", "Snow shoes", "laced", "in", "Upper Tarn", "A pair takes one evening."),
    ("Who", "The village well", "deepened", "by", "Anton Brook", "He found a coin in it."),
    ("Where", "Cherry wood", "dried", "in", "Barrel loft", "It must not see the sun."),
    ("Who", "The long letter", "sealed", "by", "Mother Agnes", "It has never been opened."),
)
"""Question word, thing, verb, preposition, answer, more. The claim is measured on these; no choice rests on them."""
UNSEEN_QUESTIONS = tuple(
    (f"Where is {name} {verb}?" if ask == "Where" else f"By whom is {name} {verb}?", told)
    for ask, name, verb, _, told, _ in UNSEEN
)


def world() -> Texts:
    return Texts({name: f"{name} is {verb} in {place}. {more}" for name, verb, place, more in FACTS})


def unseen_world() -> Texts:
    return Texts({name: f"{name} is {verb} {by} {told}. {more}" for _, name, verb, by, told, more in UNSEEN})


def babbler() -> Any:
    """Random words, and now and then a marker: it knows nothing of formats."""
    from ethogram.act.ltl_agent import READY
    from ethogram.lm.scripted import ScriptedLM

    marks = [s.opens for s in READY["reflexion"].stages] + ["tea", "silk", "search", "perhaps", "\n"]

    def policy(messages: Any, random: Any) -> str:
        return " ".join(random.choice(marks) for _ in range(random.randint(0, 12)))

    def rate(prompt: str, texts: Any) -> list[float]:
        return [-float(1 + crc32((prompt + t).encode()) % 9) for t in texts]

    return ScriptedLM(policy, rater=rate)
