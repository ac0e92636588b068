"""Decoding that cannot leave a language: JSON of a schema, a regular expression, a grammar, one of several texts.

At every step the tokens that keep the text a beginning of the language are computed (llguidance), and all others get
the logit minus infinity. That needs the logits, so that it works on models in torch; endpoints are sent the schema or
the grammar instead (`LM.answer`). A mask keeps the form, never the content: `Written.mass` tells how much probability
the model itself gave to what it was held to.

    face = TorchFace(masking=masking)               # LM.connect("torch") with schemas, patterns and grammars held
    write(face, prompt, Language.regex(r"[0-9]{4}"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from ethogram.errors import MissingExtra, OptionError, SchemaError
from ethogram.lm.torchface import Masking, TorchFace

MOST_TOKENS = 512


@dataclass(frozen=True)
class Language:
    """A set of texts. `grammar` is what llguidance reads; `kind` and `told` say where it came from."""

    kind: Literal["schema", "regex", "grammar", "choices"]
    told: str
    grammar: str

    @classmethod
    def schema(cls, schema: Mapping[str, Any]) -> Language:
        """JSON that a schema admits, without free white space, keys in the schema's order.

        Raises
        ------
        SchemaError
            The schema cannot be read or no text satisfies it; the place is told.
        """
        told = json.dumps(schema, sort_keys=False)
        made = _checked(
            "schema", told, lambda m: m.grammar_from_json_schema(told, overrides={"whitespace_flexible": False})
        )
        return cls("schema", told, made)

    @classmethod
    def regex(cls, pattern: str) -> Language:
        """Texts that match a pattern as a whole (no look-around, no back references)."""
        return cls("regex", pattern, _checked("regex", pattern, lambda m: m.grammar_from_regex(pattern)))

    @classmethod
    def lark(cls, grammar: str) -> Language:
        """Texts of a context-free grammar in Lark's notation; the rule `start` is the whole."""
        return cls("grammar", grammar, _checked("grammar", grammar, lambda m: m.grammar_from_lark(grammar)))

    @classmethod
    def choices(cls, texts: Sequence[str]) -> Language:
        """One of several texts; the set may be made anew at every step (what is on the screen, what may come next)."""
        if not texts or not all(texts):
            raise OptionError("a choice needs one or more non-empty texts.")
        return cls("choices", " | ".join(texts), cls.regex("|".join(map(re.escape, dict.fromkeys(texts)))).grammar)


class Guide:
    """One text being written in a language, token by token."""

    def __init__(self, face: TorchFace, language: Language):
        _, guidance = _library()
        self._tokens = _tokens(face)
        self._matcher = guidance.LLMatcher(self._tokens, language.grammar)
        self._mask = guidance.numpy.allocate_token_bitmask(1, self._tokens.vocab_size)
        self._fill = guidance.numpy.fill_next_token_bitmask
        self.end = int(self._tokens.eos_token)

    @property
    def whole(self) -> bool:
        """Whether the text may end here."""
        return bool(self._matcher.is_accepting() or self._matcher.is_stopped())

    def allowed(self) -> np.ndarray:
        """The tokens that may come now, bool[V]; the end token where the text may end."""
        if self._matcher.is_stopped():
            kept = np.zeros(self._tokens.vocab_size, bool)
            kept[self.end] = True
            return kept
        self._fill(self._matcher, self._mask, 0)
        bits = np.unpackbits(self._mask.view(np.uint8), axis=1, bitorder="little")
        return np.asarray(bits[0, : self._tokens.vocab_size].astype(bool))

    def take(self, token: int) -> None:
        """Go on by one token.

        Raises
        ------
        OptionError
            It is not allowed here.
        """
        if self._matcher.is_stopped() or not self._matcher.consume_token(int(token)):
            raise OptionError(f"token {token} is not allowed here.")


class Held:
    """A `Masking` that holds one text to a language; keeps what share of probability was allowed at each step."""

    def __init__(self, face: TorchFace, language: Language):
        self.guide = Guide(face, language)
        self.mass: list[float] = []
        self._seen = -1

    def __call__(self, ids: Any, logits: Any) -> Any:
        import torch

        if self._seen >= 0:
            for token in ids[0, self._seen :].tolist():
                self.guide.take(token)
        self._seen = ids.shape[1]
        kept = np.zeros(logits.shape[-1], bool)
        allowed = self.guide.allowed()[: len(kept)]
        kept[: len(allowed)] = allowed
        mask = torch.from_numpy(kept)
        self.mass.append(float(torch.softmax(logits[0].float(), -1)[mask].sum()))
        return logits.masked_fill(~mask, float("-inf"))


class Written(NamedTuple):
    """A text written under a language.

    Attributes
    ----------
    logprob : of the text under the free model, nats. mass : mean share that the free model gave to allowed tokens.
    whole : whether it ended as the language allows; False where `max_tokens` cut it.
    """

    text: str
    logprob: float
    mass: float
    tokens: int
    whole: bool


def write(
    face: TorchFace, prompt: str, language: Language, *, max_tokens: int = 128, temperature: float = 0.0,
    seed: int | None = 0,
) -> Written:  # fmt: skip
    """Write a text of the language after a prompt (which is continued as it stands).

    Raises
    ------
    ContextExceeded, MissingExtra
    """
    held = Held(face, language)
    start = face.ids(prompt, control=True)
    ids, told, finish = face.write(
        start, max_tokens=max_tokens, temperature=temperature, seed=seed, masking=held
    )  # fmt: skip
    text = str(face.model_and_tokenizer[1].decode(ids))
    logprob = sum(p for p, _ in told)
    if finish != "stop" and ids:  # the last token was written but not yet read
        held.guide.take(ids[-1])
    mass = float(np.mean(held.mass)) if held.mass else 1.0
    return Written(text, logprob, mass, len(ids), finish == "stop" or held.guide.whole)


def masking(face: TorchFace, asked: Mapping[str, Any]) -> Masking | None:
    """The mask of a chat request, from its `response_format`, `regex`, `grammar` (Lark) or `choices`; None without.

    For ``TorchFace(masking=masking)``.
    """
    language = _asked(asked)
    return None if language is None else Held(face, language)


def _asked(asked: Mapping[str, Any]) -> Language | None:
    shape = asked.get("response_format") or {}
    if shape.get("type") == "json_schema":
        return Language.schema(shape["json_schema"].get("schema", {}))
    if shape.get("type") == "json_object":
        return Language.schema(shape.get("schema") or {"type": "object"})
    if "regex" in asked:
        return Language.regex(asked["regex"])
    if "grammar" in asked:
        return Language.lark(asked["grammar"])
    return Language.choices(asked["choices"]) if "choices" in asked else None


def _library() -> tuple[Any, Any]:
    try:
        import llguidance
        import llguidance.hf
        import llguidance.numpy
    except ImportError:
        raise MissingExtra("decoding under a language needs the extra: pip install 'ethogram[lm-torch]'") from None
    return llguidance.hf, llguidance


def _tokens(face: TorchFace) -> Any:
    """The tokenizer as llguidance has it; made once per face (0.3 s for 49,152 tokens)."""
    model, tokenizer = face.model_and_tokenizer
    made = getattr(tokenizer, "_ethogram_guidance", None)
    if made is None:
        made = _library()[0].from_tokenizer(tokenizer, n_vocab=max(len(tokenizer), model.config.vocab_size))
        tokenizer._ethogram_guidance = made
    return made


@cache
def _probe() -> Any:
    """A tokenizer of bytes alone, on which a grammar is compiled to see whether it can be read."""
    return _library()[1].LLTokenizer("byte")


def _checked(kind: str, told: str, make: Any) -> str:
    """The compiled grammar's source, once a matcher has accepted it."""
    _, guidance = _library()
    try:
        grammar = str(make(guidance.LLMatcher))
        error = guidance.LLMatcher(_probe(), grammar).get_error()
    except (ValueError, TypeError) as problem:
        error = str(problem)
    if error:
        said = " ".join(str(error).split())[:200]
        raise SchemaError(f"{kind} {told[:80]}{'...' if len(told) > 80 else ''} cannot be decoded under: {said}")
    return grammar
