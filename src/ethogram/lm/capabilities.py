"""What a model behind a connection can really do, found out by asking and kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Scoring = Literal["none", "forced", "echo", "exact", "scripted"]


@dataclass(frozen=True)
class Capabilities:
    """Facts about one model at one endpoint.

    Attributes
    ----------
    server : "llama.cpp", "openai" (any other endpoint), "torch" or "scripted".
    context : most tokens of prompt and reply together, None where it is not told.
    json_schema, json_object, grammar : whether decoding is held to a schema, to JSON, to a GBNF grammar; measured
        on a prompt that asks for something else.
    top_logprobs : most alternatives told for a written token, 0 for none.
    prompt_logprobs : how a given text is scored: "forced" (token by token), "echo", "exact" (torch), "none".
    tools : whether tool calls come back as such; where not, they are asked for through a schema.
    stream, embeddings, seed : whether these work.
    """

    server: str
    context: int | None = None
    json_schema: bool = False
    json_object: bool = False
    grammar: bool = False
    top_logprobs: int = 0
    prompt_logprobs: Scoring = "none"
    tools: bool = False
    stream: bool = False
    embeddings: bool = False
    seed: bool = False

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def choices(self) -> tuple[str, ...]:
        """Methods that `LM.choose` can use here, the best first."""
        found = [
            ("prompt_logprobs", self.prompt_logprobs != "none"),
            ("first_token", self.top_logprobs > 0),
            ("constrained", self.json_schema or self.grammar),
            ("parsed", True),
        ]
        return tuple(name for name, there in found if there)
