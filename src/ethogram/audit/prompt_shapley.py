"""Says which parts of a prompt really moved a model's choice, and how much of that was noise: influence of words that
carry no information. The control before a model is asked in the place of people.

A template has named slots, each with a text where it is present and one where it is absent. With N the slots,

    v(S) = P(option | slots of S present, the others absent)     phi_i = Shapley value of slot i in v
    noise share = sum_{i uninformative} |phi_i| / sum_i |phi_i|

averaged over variants of the template (drawn prices and times), with the interval over variants. A *frame* says the
same in terms of gains or of losses: the difference of P between the two, paired, is the framing bias.

Deviations: P is read from the model's probabilities of the options, averaged over rotations of their order, or as
shares of `draws` answers. Templates come as data (`Template.read`); two are built in.

Mohammadi: Explaining Large Language Models Decisions Using Shapley Values (2024).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from ethogram.audit.templates import READY, Template, planted_lm
from ethogram.errors import OptionError
from ethogram.evaluate.bootstrap import interval, sums
from ethogram.numeric.shapley import by_orders, by_regression, coalitions, exact
from ethogram.system import system
from ethogram.verbs import Item, Planted, Report, State, Table, Transcript

MOST_EXACT = 12


@system(
    "prompt_shapley",
    paper="Explaining Large Language Models Decisions Using Shapley Values",
    year=2024,
    area="audit",
    verbs=("audit",),
    needs=("aiohttp", "msgspec", "pydantic"),
)
@dataclass(kw_only=True)
class PromptShapley:
    """See the module."""

    template: str = "flights"
    "flights, framing, or a .json file with name, text, slots and options."
    variants: int = 6
    "Drawn variants of the template; the interval is over them."
    method: Literal["auto", "exact", "orders", "regression"] = "auto"
    "exact values all combinations of slots; auto does so up to 12 slots, then regression."
    evaluations: int = 512
    "Combinations that are asked where not all are."
    draws: int = 0
    "Answers drawn for each combination; 0 reads the model's probabilities."
    rotations: int = 2
    "Orders of the options that are averaged."
    limit: float = 0.2
    "Noise share that passes."

    fitted = True  # nothing is learned

    def items(self, seed: int = 0) -> Sequence[Item]:
        """One item for each variant (of each frame, where the template has frames)."""
        found = []
        for made in self.templates():
            for place, inputs in enumerate(made.draw(self.variants, seed)):
                name = f"{made.name} {place}"
                found.append(Item(name, {"template": made.name, "values": inputs}, made.name, f"{made.family} {place}"))
        return found

    def templates(self) -> Sequence[Template]:
        """The template and its frames."""
        if self.template in READY:
            return READY[self.template]
        path = Path(self.template)
        if path.suffix != ".json" or not path.is_file():
            raise OptionError(f"'{self.template}' is no template. Known: {', '.join(READY)}, or a .json file.")
        return (Template.read(json.loads(path.read_text("utf-8"))),)

    async def episode(self, item: Item, lm: Any) -> Transcript:
        """The choice under every combination of slots (or a sample of them); `measured` holds phi and its errors."""
        made = next(t for t in self.templates() if t.name == item.inputs["template"])
        n = len(made.slots)
        way = self.method if self.method != "auto" else "exact" if n <= MOST_EXACT else "regression"
        known: dict[bytes, np.ndarray] = {}
        method = ""

        async def ask(rows: np.ndarray) -> None:
            nonlocal method
            for row in rows:
                if row.tobytes() not in known:
                    known[row.tobytes()], method = await self._chosen(made, item, row, lm)

        def game(rows: np.ndarray) -> np.ndarray:
            return np.stack([known[r.tobytes()] for r in rows])

        if way == "exact":
            await ask(coalitions(n))
            phi, se = exact(game(coalitions(n))), np.zeros((n, len(made.options)))
        else:
            # which combinations are wanted does not depend on their values: ask for them first, then evaluate
            wanted: list[np.ndarray] = []

            def note(rows: np.ndarray) -> np.ndarray:
                wanted.append(rows)
                return np.zeros((len(rows), len(made.options)))

            def solve(g: Any) -> Any:
                if way == "orders":
                    return by_orders(g, n, orders=max(4, self.evaluations // n), se=0.0)
                return by_regression(g, n, evaluations=self.evaluations)

            solve(note)
            await ask(np.concatenate(wanted))
            phi, se, _ = solve(game)
        ends = game(np.stack([np.zeros(n, bool), np.ones(n, bool)]))
        told = {"phi": phi, "se": se, "empty": ends[0], "full": ends[1], "asked": len(known), "method": method}
        return Transcript(item.id, measured=told)

    async def _chosen(self, made: Template, item: Item, present: np.ndarray, lm: Any) -> tuple[np.ndarray, str]:
        prompt = made.write(present, item.inputs["values"])
        how: dict[str, Any] = {"permutations": self.rotations, "listed": True, "purpose": "prompt_shapley"}
        if self.draws:
            facts = await lm.capabilities()
            way = "constrained" if "constrained" in facts.choices else "parsed"
            how |= {"method": way, "draws": max(1, self.draws // self.rotations)}
        choice = await lm.choose(prompt, list(made.options), **how)
        return np.asarray(choice.probabilities, float), str(choice.method)

    def grade(self, item: Item, transcript: Transcript) -> Mapping[str, float | None]:
        """``phi SLOT`` of the first option, `noise_share` (None where nothing moved the choice), `p_full`, `p_empty`,
        `efficiency` (how far the shares miss the difference) and `asked`."""
        made = next(t for t in self.templates() if t.name == item.inputs["template"])
        got = transcript.measured
        phi = np.asarray(got["phi"])[:, 0]
        size, noise = np.abs(phi), np.array([not s.informative for s in made.slots])
        moved = float(size.sum())
        grades: dict[str, float | None] = {f"phi {s.name}": float(p) for s, p in zip(made.slots, phi, strict=True)}
        grades["noise_share"] = float(size[noise].sum() / moved) if moved > 1e-9 else None
        grades["p_full"], grades["p_empty"] = float(got["full"][0]), float(got["empty"][0])
        grades["efficiency"] = float(abs(phi.sum() - (got["full"][0] - got["empty"][0])))
        grades["asked"] = float(got["asked"])
        return grades

    def summarise(self, rows: Table) -> Report:
        """Noise share and each slot's value per template, intervals over variants; the bias between frames, paired."""
        table = {n: np.array(rows.column(n).to_pylist(), object) for n in rows.column_names}
        groups = list(dict.fromkeys(table["group"].tolist()))
        metrics: dict[str, tuple[float, float, float]] = {}
        for group in groups:
            mine = table["group"] == group
            prefix = "" if len(groups) == 1 else f"{group}: "
            for name in rows.column_names:
                if name.startswith("phi ") or name in ("noise_share", "p_full"):
                    values = np.array([np.nan if v is None else float(v) for v in table[name][mine]])
                    if not np.isnan(values).all():
                        metrics[f"{prefix}{name}"] = _mean(values)
        contrasts = {}
        if len(groups) == 2:
            full = [dict(zip(table["pair"][table["group"] == g], table["p_full"][table["group"] == g], strict=True))
                    for g in groups]  # fmt: skip
            both = [k for k in full[0] if k in full[1] and full[0][k] is not None and full[1][k] is not None]
            gap = np.array([float(full[0][k]) - float(full[1][k]) for k in both])
            contrasts[f"p_full: {groups[0]} − {groups[1]}"] = _mean(gap)
        shares = {n: v for n, v in metrics.items() if n.endswith("noise_share")}
        notes = [f"conclusions hold for these templates only: {', '.join(groups)}"]
        if not shares:
            return Report("prompt_shapley", "", metrics, "inconclusive", "no slot moved the choice", contrasts,
                          tuple(notes))  # fmt: skip
        name, (value, low, high) = max(shares.items(), key=lambda kv: kv[1][0])
        verdict: Literal["pass", "fail", "inconclusive"]
        verdict = "pass" if high <= self.limit else "fail" if low > self.limit else "inconclusive"
        why = f"{name} {value:.2f} [{low:.2f}, {high:.2f}] against {self.limit}"
        return Report("prompt_shapley", "", metrics, verdict, why, contrasts, tuple(notes))

    def planted(self) -> Sequence[Planted]:
        """Choosers whose probability is a sum over the slots: their Shapley values are the weights themselves."""
        found = []
        made = self.templates()
        for noise in (0.0, 0.3):
            weights = {t.name: t.weights(noise) for t in made}
            truth = {}
            for t in made:
                prefix = "" if len(made) == 1 else f"{t.name}: "
                size = {s.name: abs(weights[t.name][s.name]) for s in t.slots}
                lost = sum(size[s.name] for s in t.slots if not s.informative)
                truth[f"{prefix}noise_share"] = lost / sum(size.values())
                truth |= {f"{prefix}phi {n}": w for n, w in weights[t.name].items()}
            found.append(Planted(f"noise {noise}", planted_lm(made, weights), truth, tolerance=1e-6))
        return found

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    """Mean with the bootstrap's interval over variants; NaN counts for nothing."""
    kept = values[~np.isnan(values)]
    drawn = sums(kept[:, None], 1000, 0)[:, 0] / len(kept)
    found = interval(float(kept.mean()), drawn)
    return found.value, min(found.low, found.value), max(found.high, found.value)
