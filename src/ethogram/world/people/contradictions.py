"""Statements about one person that cannot both be true, found by rules alone.

Four rules, each on statements reduced to content words (small words and the person left out, endings cut):

    negation   the same words, one of the two with a negation: "likes coffee", "never liked coffee"
    antonym    the same words but for a pair of opposites: "is shy", "is outgoing"
    number     the same words but for two numbers: "has 2 children", "has three children"
    slot       two values where a person has one: age, job, home, marital status, diet

The rules are careful, not complete: they name a pair only where words agree, and know no paraphrase. A person's five
factors are statements, too: extraversion 4.5 is "outgoing", and contradicts "is shy".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ethogram.errors import PersonaError
from ethogram.world.people.persona import Persona


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SMALL = _words(
    "a an the i he she they is am are be been being was were my his her their its it to of in on at for with and or "
    "very really quite always often usually so that this who has have had do does did will would can as by from you "
    "your we our me him them person people somebody ll ve re d m s years year old but also just rather too"
)
_NEGATIONS = _words("not no never dont doesnt didnt isnt arent cannot cant wont without nobody nothing neither")
_FLIPS = {"dislike": "like", "hate": "like", "detest": "like", "loathe": "like", "avoid": "like", "refuse": "like",
          "unable": "able", "lack": "own"}  # fmt: skip
"""Stems that say the opposite of another."""
_SAME = {"love": "like", "enjoy": "like", "adore": "like", "fond": "like", "kid": "child", "children": "child",
         "prefer": "like", "possess": "own", "vegan": "vegan"}  # fmt: skip
_OPPOSITES = (
    ("introverted shy quiet reserved", "extroverted extraverted outgoing talkative sociable"),
    ("lazy careless messy disorganised disorganized", "diligent hardworking tidy organised organized conscientious"),
    ("calm relaxed carefree", "anxious nervous worried tense"),
    ("kind friendly trusting warm", "hostile unfriendly cold suspicious"),
    ("curious imaginative adventurous", "incurious unimaginative conventional"),
    ("early morning", "late night"), ("optimistic", "pessimistic"), ("rich wealthy", "poor"), ("healthy", "ill sick"),
    ("employed", "unemployed retired"), ("generous", "stingy"), ("patient", "impatient"), ("honest", "dishonest"),
    ("cautious careful", "reckless"), ("young", "elderly"), ("thin", "overweight"), ("tall", "short"),
    ("teetotal abstinent", "alcoholic"), ("religious", "atheist"), ("urban", "rural"), ("hot", "cool"),
)  # fmt: skip
_OPPOSITE: dict[str, tuple[int, int]] = {}
_ENDS = {
    "openness": ("incurious", "curious"), "conscientiousness": ("careless", "conscientious"),
    "extraversion": ("shy", "outgoing"), "agreeableness": ("hostile", "friendly"),
    "neuroticism": ("calm", "anxious"),
}  # fmt: skip
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_DIGITS = {word: str(i) for i, word in enumerate(_NUMBERS)}
_SLOTS = {
    "age": r"(?:^age: ?(\d+)|\b(\d+)[- ]years?[- ]old\b)",
    "job": r"(?:^(?:occupation|job|profession): ?(.+)|\bworks? as an? ([a-z -]+?)(?: (?:in|at|for)\b|$))",
    "home": r"(?:^(?:home|city|town|lives in): ?(.+)|\blives? in ([a-z -]+?)(?: (?:with|and|since)\b|$))",
    "birthplace": r"\bborn in ([a-z -]+)$",
    "marital status": r"(?:^marital[ _]status: ?(.+)|\b(?:is|am) (single|married|divorced|widowed|engaged)\b|^(single|married|divorced|widowed|engaged)\b)",  # noqa: E501
    "siblings": r"\b(only child|sisters?|brothers?|siblings?)\b",
    "diet": r"(?:^diet: ?(.+)|\b(vegan|vegetarian|pescatarian)\b|\b(?:eats?|likes?|loves?|enjoys?) (?:to eat )?(meat|steaks?|beef|pork|bacon|chicken|ham|fish|cheese|eggs)\b)",  # noqa: E501
}
_MEAT = {"meat", "steak", "steaks", "beef", "pork", "bacon", "chicken", "ham"}
_EATS = {"vegan": {*_MEAT, "fish", "cheese", "eggs", "vegetarian", "pescatarian"}, "vegetarian": {*_MEAT, "fish"},
         "pescatarian": _MEAT}  # fmt: skip


class Conflict(NamedTuple):
    """Two statements that cannot both be true, and the rule that found them."""

    first: str
    second: str
    rule: str


class _Read(NamedTuple):
    text: str
    stems: frozenset[str]
    negative: bool
    numbers: tuple[str, ...]
    opposites: frozenset[tuple[int, int]]
    slots: dict[str, str]


def contradictions(said: Persona | Sequence[str]) -> list[Conflict]:
    """Pairs of statements that cannot both be true, in the order of the statements.

    >>> contradictions(["is a vegetarian", "loves steak", "plays chess"])
    [Conflict(first='is a vegetarian', second='loves steak', rule='slot: diet')]
    >>> contradictions(["has two children", "has 3 kids"])[0].rule
    'number'
    """
    told = list(said.says()) if isinstance(said, Persona) else list(said)
    if isinstance(said, Persona):
        for trait, value in said.traits.items():
            if value <= 2 or value >= 4:
                told.append(f"{_ENDS[trait][value >= 4]} ({trait} {value:g})")
    read = [_read(text) for text in told]
    found = []
    for i, one in enumerate(read):
        for other in read[i + 1 :]:
            if rule := _rule(one, other):
                found.append(Conflict(one.text, other.text, rule))
    return found


def refuse(persona: Persona, where: str = "") -> None:
    """Raise PersonaError where somebody cannot be; the first pair is named."""
    if found := contradictions(persona):
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise PersonaError(
            f"{where + ': ' if where else ''}persona '{persona.id}' cannot be: \"{found[0].first}\" contradicts "
            f'"{found[0].second}" ({found[0].rule}){more}.'
        )


def _rule(one: _Read, other: _Read) -> str:
    for slot in one.slots.keys() & other.slots.keys():
        if _clash(slot, one, other):
            return f"slot: {slot}"
    if one.stems == other.stems and one.stems:
        if one.negative != other.negative:
            return "negation"
        if one.numbers and other.numbers and one.numbers != other.numbers and not one.negative:
            return "number"
    if one.negative == other.negative and one.opposites and other.opposites:
        mine, yours = _rest(one), _rest(other)
        for pair, side in one.opposites:
            if (pair, 1 - side) in other.opposites and mine == yours:
                return "antonym"
    return ""


def _rest(one: _Read) -> frozenset[str]:
    """Content words beside the opposite itself."""
    return frozenset(s for s in one.stems if s not in _OPPOSITE)


def _clash(slot: str, one: _Read, other: _Read) -> bool:
    a, b = one.slots[slot], other.slots[slot]
    if slot == "siblings":
        return ("only child" in (a, b)) and a != b and not (one.negative or other.negative)
    if slot == "diet":
        if one.negative or other.negative:
            return False
        return b in _EATS.get(a, ()) or a in _EATS.get(b, ())
    return a != b and not (one.negative or other.negative)


def _read(text: str) -> _Read:
    plain = re.sub(r"\bi[’']?m\b", "i am", text.lower().strip().rstrip("."))
    plain = re.sub(r"[’']", "", plain)
    plain = re.sub(
        r"\((?:openness|conscientiousness|extraversion|agreeableness|neuroticism) [\d.]+\)", "", plain
    ).strip()
    stems, numbers, negative = set(), [], False
    for word in re.findall(r"[a-z]+|\d+(?:\.\d+)?", plain):
        word = _DIGITS.get(word, word)
        if word[0].isdigit():
            numbers.append(word)
        elif word in _NEGATIONS:
            negative = not negative
        elif word not in _SMALL:
            stem = _stem(word)
            if stem in _FLIPS:
                negative, stem = not negative, _FLIPS[stem]
            stems.add(_SAME.get(stem, stem))
    opposites = frozenset(_OPPOSITE[s] for s in stems if s in _OPPOSITE)
    slots = {}
    for slot, pattern in _COMPILED.items():
        found = pattern.search(plain)
        # "also works as" is one of several; "lives in a house" names no place
        if found and not re.search(r"\b(?:also|part[- ]time|used to)\b", plain):
            value = next(g for g in found.groups() if g).strip()
            if slot != "home" or not re.match(r"(?:an?|the|my|our|his|her|their|country)\b", value):
                slots[slot] = value
    return _Read(text, frozenset(stems), negative, tuple(numbers), opposites, slots)


def _stem(word: str) -> str:
    """The word without the endings of verbs and plurals.

    >>> _stem("likes"), _stem("hated"), _stem("running"), _stem("parties")
    ('like', 'hate', 'run', 'party')
    """
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("ing") and len(word) > 5:
        word = word[:-3]
        return word[:-1] if len(word) > 2 and word[-1] == word[-2] and word[-1] not in "ls" else word
    if word.endswith("ed") and len(word) > 4:
        return word[:-1]
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        return word[:-1]
    return word


_COMPILED = {slot: re.compile(pattern) for slot, pattern in _SLOTS.items()}
for _pair, _sides in enumerate(_OPPOSITES):
    for _side, _listed in enumerate(_sides):
        _OPPOSITE.update({_stem(w): (_pair, _side) for w in _listed.split()})
