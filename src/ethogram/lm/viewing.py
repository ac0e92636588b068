"""A run's calls as a log of inspect_ai, so that its viewer and its data frames open them.

A call is a sample: what was said, what came back, the raw request and reply, tokens, money, and what went wrong.
Only the format is written (`.eval`, a zip of JSON); who looks needs inspect_ai: `inspect view --log-dir DIR`.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ethogram import __version__, folders
from ethogram.errors import OptionError
from ethogram.lm.compare import question, told
from ethogram.lm.wire import CHAT

_UNSAFE = re.compile(r"[^\w .-]")
VERSION = 2
"""Of the log's format."""
_STOPS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls", "content_filter": "content_filter"}
_SETTINGS = {"temperature": "temperature", "max_tokens": "max_tokens", "top_p": "top_p", "seed": "seed",
             "stop": "stop_seqs", "logprobs": "logprobs", "top_logprobs": "top_logprobs"}  # fmt: skip


def to_inspect(calls: Iterable[Mapping[str, Any]], path: str | Path, *, run: str) -> Path:
    """Write calls (of `Recording.calls`) as one log; it appears whole or not at all.

    Raises
    ------
    OptionError
        There are no calls, or the file cannot be written there.
    """
    place = folders.target(path, ".eval")
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    summaries: list[dict[str, Any]] = []
    used: dict[str, dict[str, Any]] = defaultdict(dict)
    times: list[str] = []
    asked: Counter[str] = Counter()
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as out:
            for call in calls:
                one = sample(call)
                out.writestr(f"samples/{one['id']}_epoch_1.json", json.dumps(one))
                short = ("id", "epoch", "input", "target", "metadata", "model_usage", "completed_at", "total_time")
                brief = {name: one[name] for name in short} | {"completed": True}
                summaries.append(brief | ({"error": one["error"]["message"]} if "error" in one else {}))
                asked[call["identity"]] += 1
                times.append(one["completed_at"])
                for identity, usage in one["model_usage"].items():
                    used[identity] = _sum(used[identity], usage)
            if not summaries:
                raise OptionError(f"run '{run}' has no such calls; nothing is written.")
            heading = _heading(run, asked.most_common(1)[0][0], [s["id"] for s in summaries], min(times))
            count = len(summaries)
            results = {"total_samples": count, "completed_samples": count, "scores": []}
            stats = {"started_at": min(times), "completed_at": max(times), "model_usage": used}
            out.writestr("_journal/start.json", json.dumps(heading))
            out.writestr("summaries.json", json.dumps(summaries))
            out.writestr(
                "header.json", json.dumps({**heading, "status": "success", "results": results, "stats": stats})
            )
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    return place


def sample(call: Mapping[str, Any]) -> dict[str, Any]:
    """One call as a sample of the format."""
    request, reply = call["request"] or {}, call["reply"] or {}
    chat = call["path"] == CHAT
    said = [_message(m) for m in request.get("messages") or [{"role": "user", "content": question(call)}]]
    answer = (reply.get("choices") or [{}])[0] if chat else {}
    message = _message({"role": "assistant", "content": told(call), **(answer.get("message") or {})})
    message["content"] = message["content"] or ""
    stop = _STOPS.get(answer.get("finish_reason") or "stop", "unknown") if not call["error"] else "unknown"
    choice: dict[str, Any] = {"message": message, "stop_reason": stop}
    if answer.get("logprobs"):
        choice["logprobs"] = answer["logprobs"]
    usage = _usage(call)
    output = {
        "model": call["identity"], "choices": [] if call["error"] else [choice], "usage": usage,
        "time": call["seconds"],
    }  # fmt: skip
    at = datetime.fromtimestamp(call["at"], UTC).isoformat()
    event = {
        "event": "model", "timestamp": at, "working_start": 0.0, "model": call["identity"], "input": said,
        "tools": [], "tool_choice": "auto", "output": output,
        "config": {_SETTINGS[name]: _setting(name, request[name]) for name in _SETTINGS if name in request},
        "cache": "read" if call["source"] in ("cache", "joined", "recording") else None,
        "call": {"request": dict(request), "response": reply if isinstance(reply, dict) else {"reply": reply}},
        "retries": max(0, call["tries"] - 1), "error": call["error"] or None,
    }  # fmt: skip
    found = {
        "id": f"{call['seq']:06d} {_UNSAFE.sub('_', call['purpose'])}", "epoch": 1, "input": said,
        "target": "", "messages": said if call["error"] else [*said, message], "output": output, "events": [event],
        "metadata": {name: call[name] for name in ("purpose", "source", "path", "tries", "money", "draw")},
        "model_usage": {call["identity"]: usage}, "completed_at": at, "total_time": call["seconds"],
    }  # fmt: skip
    if call["error"]:
        found["error"] = {"message": call["error"], "traceback": "", "traceback_ansi": ""}
    return found


def _setting(name: str, value: Any) -> Any:
    return [value] if name == "stop" and isinstance(value, str) else value


def _message(told_: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"role": told_["role"], "content": told_.get("content") or ""}
    if calls := told_.get("tool_calls"):
        found["tool_calls"] = [
            {"id": c.get("id") or f"call-{i}", "function": c["function"]["name"], "type": "function",
             "arguments": _arguments(c["function"].get("arguments"))}
            for i, c in enumerate(calls, 1)
        ]  # fmt: skip
    if told_.get("tool_call_id"):
        found["tool_call_id"] = told_["tool_call_id"]
    return found


def _arguments(told_: Any) -> dict[str, Any]:
    """A tool call's arguments as an object; what is none is kept under ""."""
    try:
        value = json.loads(told_) if isinstance(told_, str) else told_
    except ValueError:
        value = told_
    return value if isinstance(value, dict) else {"": value}


def _usage(call: Mapping[str, Any]) -> dict[str, Any]:
    read, written = call["prompt"], call["completion"]
    return {
        "input_tokens": read, "output_tokens": written, "total_tokens": read + written, "total_cost": call["money"],
    }  # fmt: skip


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one.get(name, 0) + value for name, value in other.items()}


def _heading(run: str, model: str, ids: list[str], began: str) -> dict[str, Any]:
    name = blake2b(f"{run} {began}".encode(), digest_size=11).hexdigest()
    spec = {
        "run_id": name, "eval_id": name, "task_id": name, "created": began, "task": f"ethogram run {run}",
        "dataset": {"name": run, "samples": len(ids), "sample_ids": ids}, "model": model, "config": {},
        "packages": {"ethogram": __version__},
    }  # fmt: skip
    return {"version": VERSION, "eval": spec, "plan": {"name": "plan", "steps": [], "config": {}}}
