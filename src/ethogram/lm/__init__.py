"""Language models: any model, typed answers, repeatable runs.

    lm = LM.connect("local")                 # llama.cpp in this process, SmolLM2-135M-Instruct; no key, no network
    lm = LM.connect("local:PATH.gguf")       # other weights, same way
    lm = LM.connect("torch")                 # the same weights in transformers: exact log-probabilities, logits
    lm = LM.connect("http://host:8000/v1", model="name")       # any endpoint of the OpenAI protocol
    lm = LM.connect("scripted:yes")          # ScriptedLM: answers by rule, for tests and planted models

Asynchronous; `lm.sync` has the same calls, blocking:

    reply  = await lm.chat(said, system=None, tools=(), temperature=0, max_tokens=256, seed=None, ...)   -> Reply
    pieces = lm.stream(said, ...)                                       an async iterator of text
    answer = await lm.answer(question, schema, data=(), ...)            -> Answer(value, constrained, method, ...)
    choice = await lm.choose(prompt, options, ...)                      -> Choice(option, probabilities, method, mass)
    scores = await lm.logprob(prompt, continuations)                    -> Scores(logprob[n], tokens[n], method)
    matrix = await lm.embed(texts)                                      -> float32[n, d], rows of length 1
    facts  = await lm.capabilities()                                    -> Capabilities, probed once and stored

`said` is a text, a Message, or a list of them. `schema` is a pydantic model, a dataclass, any type that pydantic
reads (`Literal["yes", "no"]`, `list[int]`), or a JSON schema as a dict. Every call takes `purpose="..."`: the name
under which the ledger counts it. `lm.identity` is equal exactly where the same model answers: a judge compares it
with its subject's. Texts found elsewhere go into `data=`: they are quoted in the user's message, never merged
into the system's.

Between LM and model stands one `Broker`: cache on disk, coalescing, limits, retries, budgets, ledger, transcript,
record and replay:

    LM.connect(where, broker=Broker(run="night", mode="record", budget=Budget(calls=1_000), cache=True))

Modes: "live", "record", "replay-strict" (a call that is not in the recording raises NotRecorded), "replay-lenient".
A run's transcript is one SQLite file; `ethogram lm log RUN` shows, filters and compares.

Errors are subclasses of `ethogram.errors.LMError`: EndpointDown, EndpointRefused (ContextExceeded), EndpointBusy,
BadReply, SchemaError, AnswerError, CapabilityError, WeightsError, NotRecorded, BudgetSpent, KeyMissing.

Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethogram.lm.broker import Broker
    from ethogram.lm.budget import Budget, Prices
    from ethogram.lm.capabilities import Capabilities
    from ethogram.lm.cast import Cast
    from ethogram.lm.limits import Limits, Retries
    from ethogram.lm.messages import Message, Sampling, Tool, ToolCall, harmless, quoted
    from ethogram.lm.model import LM
    from ethogram.lm.replies import Answer, Choice, Reply, Scores, TokenScore, Usage
    from ethogram.lm.scripted import ScriptedLM

_HOMES = {
    "LM": "model",
    "Answer": "replies",
    "Broker": "broker",
    "Budget": "budget",
    "Capabilities": "capabilities",
    "Cast": "cast",
    "Limits": "limits",
    "Prices": "budget",
    "Retries": "limits",
    "ScriptedLM": "scripted",
    "Choice": "replies",
    "Message": "messages",
    "Reply": "replies",
    "Sampling": "messages",
    "Scores": "replies",
    "TokenScore": "replies",
    "Tool": "messages",
    "ToolCall": "messages",
    "Usage": "replies",
    "harmless": "messages",
    "quoted": "messages",
}

__all__ = [
    "LM",
    "Answer",
    "Broker",
    "Budget",
    "Capabilities",
    "Cast",
    "Choice",
    "Limits",
    "Message",
    "Prices",
    "Reply",
    "Retries",
    "Sampling",
    "Scores",
    "ScriptedLM",
    "TokenScore",
    "Tool",
    "ToolCall",
    "Usage",
    "harmless",
    "quoted",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'ethogram.lm' has no attribute '{name}'")
    return getattr(importlib.import_module(f"ethogram.lm.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
