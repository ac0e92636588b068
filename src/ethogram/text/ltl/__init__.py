"""Linear temporal logic on finite traces: how a sequence of symbols must go, written as a short formula.

    spec = Automaton.of("question & X (thought U answer) & F (answer & last)", ["question", "thought", "answer"])
    spec.accepts(["question", "thought", "answer"])            True
    spec.admissible(spec.start)                                which symbols may come now
    Monitor(formula, names).check(trace)                       the first violation, what it violates, how to mend it

A trace has exactly one symbol at each position: the kinds of a person's events, the states of an agent.
"""

from ethogram.text.ltl.automaton import Automaton
from ethogram.text.ltl.formula import Formula, parse, symbols
from ethogram.text.ltl.monitor import Finding, Monitor

__all__ = ["Automaton", "Finding", "Formula", "Monitor", "parse", "symbols"]
