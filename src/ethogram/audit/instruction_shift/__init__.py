"""Says what instruction tuning changed inside a model: whether its answers hang on the words of the instruction, which
verbs its attention heads link, which concepts its feed-forward layers carry. Also a cheap sign of whether an
instruction was followed.

With I_ij how much prompt token i pushes answer token j (`lm.attribution`), of the model's own greedy answer,

    L_ij = ceil(10 max(I_ij, 0) / max_i I_ij), 0 where <= floor        d_i = |L_i|_1 / |L_i|_4 over its largest
    score = sum_{i in instruction} d_i / log2(2 + |instruction|)

The scores of followed and unfollowed instructions (Welch), of the tuned model and its base on the same prompts
(paired), and of instructions at the start and in the middle of a prompt are compared, one-sided; the score's AUC for
"followed" is the detector. Heads and feed-forward layers are read from the weights: see `heads` and `concepts`.

Deviations: only the person's words count as prompt, not those of the chat template; log-probabilities are
differentiated, which leaves L as it is; an answer is followed if it passes the prompt's check, or was rated 2 or more;
static similarities are those of the base model's embeddings (the tuned one's where there is no base); the concepts'
annotator is a rule unless a language model is named. English prompts of our own, or yours.

Wu et al.: From Language Modeling to Instruction Following: Understanding the Behavior Shift in LLMs after Instruction
Tuning (NAACL 2024).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from ethogram.audit.instruction_shift import concepts, density, findings, heads, planted, probes
from ethogram.audit.instruction_shift.pair import Pair, answered, asked, opened
from ethogram.audit.instruction_shift.probes import Check, Probe, Probes
from ethogram.errors import OptionError
from ethogram.system import system
from ethogram.verbs import Item, Planted, Report, State, Table, Transcript

__all__ = ["Check", "InstructionShift", "Pair", "Probe", "Probes"]


@system(
    "instruction_shift",
    paper="From Language Modeling to Instruction Following: Understanding the Behavior Shift in LLMs after "
    "Instruction Tuning",
    year=2024,
    area="audit",
    verbs=("audit",),
    needs=("torch", "transformers"),
)
@dataclass(kw_only=True)
class InstructionShift:
    """See the module."""

    probes: str = "everyday"
    "everyday (English), lessons (the made-up language of small taught decoders), or a .json file with prompts."
    prompts: int = 60
    "Prompts that are asked, the first."
    draw: int = 0
    "Which lessons are drawn."
    base: str = ""
    "The model before tuning: torch:FOLDER, a GGUF file, a known name; empty looks at the subject alone."
    look: Literal["all", "prompts", "weights"] = "all"
    "What is looked at: answers to prompts, heads and feed-forward layers, or both."
    longest: int = 16
    "Tokens of an answer that are written and explained."
    floor: int = 7
    "Levels of attribution, 0 to 9, that count as nothing."
    origin: Literal["zero", "mean"] = "zero"
    "Embedding from which attribution is measured."
    steps: int = 0
    "Points of integrated gradients; 0 takes the gradient at the prompt itself."
    words: int = 2000
    "Most common words of the vocabulary that heads and concepts are read in."
    top: int = 100
    "Words of each dimension of a head."
    background: float = 1.96
    "Standard deviations by which the similarity of linked words exceeds that with words at large."
    concepts: int = 64
    "Principal directions of each feed-forward layer."
    shown: int = 50
    "Words that tell a concept."
    annotator: str = "rules"
    "Names the concepts: rules, or where a language model is (local, a URL)."

    fitted = True  # nothing is learned

    def __post_init__(self) -> None:
        least = {"prompts": 1, "longest": 1, "words": 10, "top": 1, "concepts": 1, "shown": 3}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise OptionError(f"instruction_shift: {name} = {getattr(self, name)} must be at least {low}.")
        if not 0 <= self.floor <= 9 or self.steps < 0:
            raise OptionError(
                f"instruction_shift: floor = {self.floor} lies in 0 to 9, steps = {self.steps} from 0 on."
            )

    def subject(self, where: str) -> Pair:
        """A tuned model by where it is, beside `base`.

        Raises
        ------
        OptionError
            It shows no gradients, or is no tuned form of `base`. WeightsError, UnknownName.
        """
        return Pair(opened(where), opened(self.base) if self.base else None)

    def items(self, seed: int = 0) -> Sequence[Item]:
        """Prompts (grouped by where the instruction stands), words, and thirds of the feed-forward layers; the same for
        every seed."""
        made = probes.find(self.probes, self.prompts, self.draw)
        found = []
        if self.look != "weights":
            for i, p in enumerate(made.prompts):
                found.append(Item(f"prompt {i}", {"kind": "prompt", "probe": p}, p.where))
        if self.look != "prompts":
            for kind, told in ((findings.VERBS, made.verbs), (findings.CONTROLS, made.controls)):
                found += [Item(f"{kind}: {w}", {"kind": "word", "word": w, "set": made}, kind) for w in told]
            if made.lexica:
                found += [
                    Item(f"concepts: {third}", {"kind": "concepts", "third": i, "set": made}, findings.CONCEPTS)
                    for i, third in enumerate(heads.THIRDS)
                ]
        return found

    async def episode(self, item: Item, lm: Any) -> Transcript:
        """One prompt answered and explained by each model, one word's heads, or one third's concepts."""
        pair = Pair.of(lm, self.base)
        work = {"prompt": self._prompt, "word": self._word, "concepts": self._concepts}[item.inputs["kind"]]
        if item.inputs["kind"] == "concepts" and self.annotator != "rules":
            return await self._annotated(item, pair)
        return await asyncio.to_thread(work, item, pair)

    def _prompt(self, item: Item, pair: Pair) -> Transcript:
        from ethogram.lm.attribution import attribution

        probe, said, measured = item.inputs["probe"], [], {}
        for model, face in pair.faces.items():
            with pair.alone:
                prompt = asked(face, probe)
                ids, text = answered(face, probe, prompt, self.longest)
                said.append((model, text))
                if not ids:
                    continue
                pushed = attribution(face, prompt.ids, ids, baseline=self.origin, steps=self.steps)[prompt.own]
            measured[model] = {"attribution": pushed, "instruction": prompt.instruction}
        return Transcript(item.id, tuple(said), measured)

    def _word(self, item: Item, pair: Pair) -> Transcript:
        if pair.base is None:
            return Transcript(item.id)
        known, share = self._heads(item.inputs["set"], pair)
        at = known.get(item.inputs["word"])
        return Transcript(item.id, measured={} if at is None else {"wins": share[:, at]})

    def _heads(self, made: Probes, pair: Pair) -> tuple[dict[str, int], np.ndarray]:
        def work() -> tuple[dict[str, int], np.ndarray]:
            known, vectors = self._vocabulary(made, pair)
            close, ids = heads.similar(vectors, self.background), list(known.values())
            assert pair.base is not None
            base, tuned = (heads.counts(face, ids, close, self.top) for face in (pair.base, pair.tuned))
            return {w: i for i, w in enumerate(known)}, heads.wins(base, tuned)

        found: tuple[dict[str, int], np.ndarray] = pair.once(
            ("heads", self.words, self.top, self.background, made.name), work
        )
        return found

    def _vocabulary(self, made: Probes, pair: Pair) -> tuple[dict[str, int], np.ndarray]:
        """Words with their tokens, and a static vector of each."""
        face = pair.base or pair.tuned
        extra = [*made.verbs, *made.controls, *(w for told in made.lexica.values() for w in told)]
        known = heads.whole_words(face, self.words, extra)
        if len(known) < 10:
            raise OptionError(f"{face.identity}: only {len(known)} of its tokens are whole words.")
        table = face.model_and_tokenizer[0].get_input_embeddings().weight.detach().float().numpy()
        vectors = table[list(known.values())]
        return known, vectors - vectors.mean(axis=0)

    def _third(self, item: Item, pair: Pair) -> tuple[list[str], np.ndarray, dict[str, list[list[int]]]]:
        known, vectors = self._vocabulary(item.inputs["set"], pair)
        ids = list(known.values())
        layers = pair.tuned.model_and_tokenizer[0].config.num_hidden_layers
        mine = np.array_split(np.arange(layers), 3)[item.inputs["third"]]
        how = {"most": self.concepts, "top": self.shown}
        told = {m: [c for at in mine for c in concepts.concepts(f, int(at), ids, **how)] for m, f in pair.faces.items()}
        return list(known), vectors, told

    def _concepts(self, item: Item, pair: Pair) -> Transcript:
        with pair.alone:
            words, vectors, told = self._third(item, pair)
            lexica = item.inputs["set"].lexica
            judge = concepts.Levels(words, vectors)
            named = {
                m: {"tasks": concepts.by_task(c, words, lexica), "levels": [judge.name(x) for x in c]}
                for m, c in told.items()
            }
        return Transcript(item.id, measured=_shares(named, tuple(lexica)))

    async def _annotated(self, item: Item, pair: Pair) -> Transcript:
        from ethogram.lm import LM

        words, _, told = await asyncio.to_thread(self._third, item, pair)
        lexica, lm = item.inputs["set"].lexica, LM.connect(self.annotator)
        named = {
            m: {
                "tasks": await concepts.by_model(lm, c, words, tuple(lexica)),
                "levels": await concepts.by_model(lm, c, words, concepts.LEVELS),
            }
            for m, c in told.items()
        }
        return Transcript(item.id, measured=_shares(named, tuple(lexica)))

    def grade(self, item: Item, transcript: Transcript) -> Mapping[str, float | None]:
        """Of a prompt, for each model: `score` and `followed`. Of a word: `wins` by third of the layers. Of a third:
        the share of each task and level in each model, `task share`, and how far the shares `moved` (total variation).
        """
        got = transcript.measured
        if item.inputs["kind"] == "word":
            share = got.get("wins", np.full(3, np.nan))
            return {f"wins {t}": None if np.isnan(v) else float(v) for t, v in zip(heads.THIRDS, share, strict=True)}
        if item.inputs["kind"] == "concepts":
            return _moved(got)
        probe, grades = item.inputs["probe"], {}  # type: ignore[var-annotated]
        for model, text in transcript.said:
            found = got.get(model)
            if found is not None:
                dense = density.density(density.levels(found["attribution"], self.floor))
                grades[f"score {model}"] = density.score(dense, found["instruction"])
            else:
                grades[f"score {model}"] = None
            grades[f"followed {model}"] = _followed(probe, text)
        return grades

    def summarise(self, rows: Table) -> Report:
        """Passes where tuning raised the instruction score; without a base, where the score tells followed from not."""
        return findings.report(rows)

    def planted(self) -> Sequence[Planted]:
        """A pair of models with a known shift, and a pair without any."""
        found = planted.pairs(probes.find(self.probes, self.prompts, self.draw), self.look)
        return [Planted(name, pair, truth, tolerance=1e-6) for name, (pair, truth) in found.items()]

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self


def _followed(probe: Probe, text: str) -> float | None:
    if probe.rating is not None:
        return float(probe.rating >= 2)
    return None if probe.check.empty else float(probe.check(text))


def _shares(named: Mapping[str, Mapping[str, Sequence[str]]], tasks: Sequence[str]) -> dict[str, Any]:
    names = {"tasks": tuple(tasks), "levels": concepts.LEVELS}
    return {
        "names": {k: (*n, concepts.NONE) for k, n in names.items()},
        **{m: {k: concepts.shares(found[k], n) for k, n in names.items()} for m, found in named.items()},
    }


def _moved(got: Mapping[str, Any]) -> dict[str, float | None]:
    grades: dict[str, float | None] = {}
    models = [m for m in ("base", "tuned") if m in got]
    for model in models:
        for kind, single in (("tasks", "task"), ("levels", "level")):
            named = zip(got["names"][kind], got[model][kind].tolist(), strict=True)
            grades |= {f"{single} {name} {model}": share for name, share in named}
        grades[f"task share {model}"] = float(got[model]["tasks"][:-1].sum())
    if len(models) == 2:
        for kind in ("tasks", "levels"):
            grades[f"{kind} moved"] = float(np.abs(got["tuned"][kind] - got["base"][kind]).sum() / 2)
    return grades
