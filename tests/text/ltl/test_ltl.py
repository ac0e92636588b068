"""Temporal logic: the automaton against the definition on every short trace, the parser, monitors and repairs."""

import time
from itertools import product

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.text.ltl import Automaton, Monitor, parse
from ethogram.text.ltl.automaton import NEVER
from ethogram.text.ltl.direct import every_trace, holds, random_formula
from ethogram.text.ltl.formula import negate
from ethogram.text.ltl.monitor import repair

ABC = ("a", "b", "c")


def test_the_automaton_is_the_definition_on_every_short_trace():
    """250 random formulas, all traces of 1 to 5 symbols over 4: more than 300,000 comparisons, no difference."""
    rng = np.random.default_rng(0)
    names = ("a", "b", "c", "d")
    traces = {n: every_trace(4, n) for n in range(1, 6)}
    compared = most = 0
    for _ in range(250):
        formula = random_formula(names, rng, int(rng.integers(1, 7)))
        try:
            machine = Automaton.of(formula, names)
        except OptionError:
            assert not any(holds(formula, names, t).any() for t in traces.values())
            continue
        most = max(most, len(machine))
        for every in traces.values():
            truth = holds(formula, names, every)
            assert (machine.accepting[machine.run(every)[:, -1]] == truth).all(), str(formula)
            compared += len(truth)
        # where the automaton says that a start of two symbols is lost, no trace that begins so is accepted
        dead = machine.distance[machine.run(traces[2])[:, -1]] == NEVER
        begins = traces[5][:, 0] + 4 * traces[5][:, 1]
        assert not holds(formula, names, traces[5])[dead[begins]].any()
    assert compared > 300_000
    assert most <= 40


@pytest.mark.parametrize("seed", range(3))
def test_negation_is_the_complement(seed):
    rng = np.random.default_rng(seed)
    every = every_trace(3, 5)
    for _ in range(40):
        formula = random_formula(ABC, rng, 5)
        assert (holds(formula, ABC, every) != holds(negate(formula), ABC, every)).all()


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("a & X b", ["ab", "abc"], ["a", "ba", "aa"]),
        ("a & N b", ["a", "ab"], ["aa", "b"]),
        ("a U b", ["b", "aab", "abc"], ["aa", "acb"]),
        ("a W b", ["b", "aa", "ab"], ["ac"]),
        ("a R b", ["bb", "b"], ["a", "bab"]),
        ("F c", ["abc", "c"], ["ab"]),
        ("G !c", ["ab"], ["abc"]),
        ("G (a -> X b)", ["ab", "c", "abab"], ["a", "aba"]),
        ("next(a, b, c)", ["abc", "abca"], ["ab", "acb"]),
        ("until(next(a, b), c & last)", ["c", "abc", "ababc"], ["ac", "abac", "abcc", "bc", "ab"]),
        ("until(a, c)", ["c", "aac"], ["ab"]),
        ("a and not X true", ["a"], ["ab"]),
        ("a ∨ ¬X b → c", ["b", "cb"][1:], ["a"]),
        ("(F b) <-> (F c)", ["bc", "aa"], ["b", "c"]),
        ("!(a U b) & last", ["a", "c"], ["b"]),
    ],
)
def test_texts_mean_what_they_say(text, yes, no):
    machine = Automaton.of(text, ABC)
    assert [t for t in yes if not machine.accepts(list(t))] == []
    assert [t for t in no if machine.accepts(list(t))] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a & ", "ends where a symbol"),
        ("a b", "'b' at 2"),
        ("(a & b", "ends where '\\)'"),
        ("asnwer", "Did you mean 'answer'"),
        ("a & X", "ends where"),
        ("a $ b", "'\\$' at 2"),
        ("until(next(a, a), b)", "different symbols"),
        ("a & !a", "no trace satisfies"),
        ("U", "'U' at 0"),
        ("", "ends where"),
    ],
)
def test_bad_formulas_are_told(text, said):
    with pytest.raises(OptionError, match=said):
        Automaton.of(text, ["a", "b", "answer"])


def test_text_comes_back():
    rng = np.random.default_rng(5)
    for _ in range(200):
        formula = random_formula(ABC, rng, 6)
        again = parse(str(formula), ABC)
        assert (holds(again, ABC, every_trace(3, 4)) == holds(formula, ABC, every_trace(3, 4))).all()


def test_nothing_is_started_that_cannot_end_in_time():
    machine = Automaton.of("until(next(a, b), c & last)", ABC)
    assert machine.distance[machine.start] == 1
    state = machine.start
    assert machine.admissible(state, 3).tolist() == [True, False, True]
    assert machine.admissible(state, 2).tolist() == [False, False, True]
    rng = np.random.default_rng(0)
    for bound in range(1, 8):
        for _ in range(30):
            state, trace = machine.start, []
            while not (machine.accepting[state] and not machine.admissible(state, bound - len(trace)).any()):
                open_ = np.flatnonzero(machine.admissible(state, bound - len(trace)))
                trace.append(int(rng.choice(open_)))
                state = int(machine.table[state, trace[-1]])
            assert len(trace) <= bound
            assert machine.accepts(trace)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@pytest.mark.parametrize("text", ["until(next(a, b), c & last)", "G (a -> X b) & F c", "a & X (b U c)"])
def test_repairs_are_the_least_edits(text):
    machine = Automaton.of(text, ABC)
    accepted = ["".join(t) for n in range(1, 7) for t in product("abc", repeat=n) if machine.accepts(t)]
    for n in range(5):
        for trace in product("abc", repeat=n):
            edits, made = repair(machine, machine.coded(trace))
            made = "".join(ABC[c] for c in made)
            assert machine.accepts(list(made))
            assert distance(trace, made) == edits == min(distance(trace, t) for t in accepted)


def test_violations_have_a_place_a_reason_and_what_was_expected():
    monitor = Monitor("a & G (a -> X b) & F c", ABC)
    assert monitor.check("abc").accepted
    late = monitor.check("aba")
    assert late.position == 3
    assert set(late.violated) == {"G (!a | X b)", "F c"}
    wrong = monitor.check("aac")
    assert (wrong.position, wrong.expected, wrong.edits) == (1, ("b",), 1)
    assert monitor.check("bc").violated == ("a",)
    with pytest.raises(OptionError, match="unknown symbol 'z'"):
        monitor.check(["z"])
    assert monitor.check([]).position == 0


def test_many_traces_at_once_are_each_alone():
    monitor = Monitor("a & G (a -> X b) & F c", ABC)
    rng = np.random.default_rng(0)
    codes, lengths = rng.integers(0, 3, (300, 9)), rng.integers(0, 10, 300)
    found = monitor.broken_at(codes, lengths)
    for row, n, at in zip(codes, lengths, found, strict=True):
        alone = monitor.check(row[:n])
        assert (at == -1) == alone.accepted
        assert alone.accepted or at == alone.position


def test_a_dozen_symbols_compile_in_time():
    names = [f"s{i}" for i in range(12)]
    text = "s0 & " + " & ".join(f"G (s{i} -> X (s{i + 1} | s0))" for i in range(11)) + " & F (s11 & last)"
    began = time.process_time()
    machine = Automaton.of(text, names)
    assert time.process_time() - began < 5
    assert machine.accepts(names)
