"""Ready prompts in English: instructions whose form can be checked, texts they are about, verbs, words of tasks."""

from __future__ import annotations

from typing import Any

ASKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Answer with one word: what is this text about?", {"words": (1, 1)}),
    ("Write one short sentence about this in capital letters only.", {"matches": r"[^a-z]*[A-Z][^a-z]*"}),
    ("List three words from this text, separated by commas.", {"matches": r"[^,\n]+,[^,\n]+,[^,\n]+"}),
    ("Reply with the number 7 and nothing else.", {"matches": r"7\.?"}),
    ("Ask one question about this text.", {"matches": r".*\?"}),
    ("Summarise this in fewer than ten words.", {"words": (1, 9)}),
    ("Begin your answer with the word Certainly.", {"matches": r"Certainly\b.*"}),
    ("Translate the word 'hello' into French in your answer.", {"contains": ("bonjour",)}),
    ("Say yes or no: is it about an animal?", {"matches": r"(?i)(yes|no)\b.*", "words": (1, 12)}),
    ("Classify this text as happy or sad. Use one word.", {"matches": r"(?i)(happy|sad)\.?"}),
    ("Repeat the first sentence of this text exactly.", {"words": (4, 14)}),
    ("Write your answer as a list with dashes.", {"matches": r"-.*"}),
    ("Name a colour that fits this text. Give the colour only.", {"words": (1, 2)}),
    ("Explain it in one sentence that contains the word because.", {"contains": ("because",)}),
    ("Give this text a title in quotation marks.", {"matches": r"\".+\"\.?"}),
    ("Describe the place with exactly two words.", {"words": (2, 2)}),
    ("Count to five with digits and say no more.", {"matches": r"1\W+2\W+3\W+4\W+5\W*"}),
    ("Rewrite this text without the letter z and thank the reader.", {"contains": ("thank",)}),
    ("Finish your answer with the word OK and keep it short.", {"matches": r"(?i).*\bok\.?"}),
    ("Compare it with a song in one sentence.", {"contains": ("song",)}),
)
"""Instruction, and the `Check` of its answer."""

TEXTS = (
    ("The old dog sleeps beside the warm stove.", "Snow has been falling since the morning."),
    ("My sister lost her keys at the station.", "She had to wait two hours for a friend."),
    ("The village market opens at seven.", "Farmers bring apples, cheese and flowers."),
    ("We sailed past the island at night.", "The lighthouse could be seen from far away."),
    ("The library bought forty new books.", "Most of them are about the history of trade."),
    ("A small bird built a nest on our roof.", "Three of the eggs have already hatched."),
)
"""Two sentences each, between or beside which an instruction can stand."""

VERBS = tuple(
    "write explain summarize translate classify describe list name give tell answer create generate provide identify "  # noqa: SIM905
    "compare discuss suggest analyze calculate compose convert define edit find outline predict rewrite solve rank "
    "recommend choose determine design develop evaluate show state select organize".split()
)
"""Verbs that instructions are made of."""
CONTROLS = tuple(
    "walk sleep fall sit stand run wait arrive die live grow stay leave enter eat drink drive fly swim hit break burn "  # noqa: SIM905
    "catch lose win pay buy sell wear carry throw pull push kill fight marry smile laugh cry hear".split()
)
"""Verbs that are as common and that nobody asks a machine for."""

LEXICA = {
    "writing": tuple("write story poem essay letter email article paragraph author novel draft title edit".split()),  # noqa: SIM905
    "mathematics": tuple("number equation sum multiply divide calculate algebra triangle fraction add ratio".split()),  # noqa: SIM905
    "coding": tuple("code function variable array string class loop python program compile return debug".split()),  # noqa: SIM905
    "translation": tuple("translate language English French Spanish German Chinese Latin word meaning".split()),  # noqa: SIM905
    "summarising": tuple("summary summarize brief main overview conclusion abstract key outline points".split()),  # noqa: SIM905
    "explaining": tuple("explain reason because cause example describe concept understand define therefore".split()),  # noqa: SIM905
    "advice": tuple("should advice recommend suggest tips consider help plan avoid improve steps guide".split()),  # noqa: SIM905
    "classification": tuple("category classify label type group positive negative class sort identify kind".split()),  # noqa: SIM905
}
"""Task that users have for a machine -> words that tell of it."""
