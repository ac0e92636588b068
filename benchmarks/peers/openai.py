"""openai (openai/openai-python, Apache-2.0): the same chats through its asynchronous client, to the same server."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import Peer

PEER = Peer("openai", "benchmarks.peers.openai_inside", {})


def ask(url: str, question: str, *, calls: int, at_once: int, start: int = 0, warm: int = 0) -> dict[str, Any]:
    """Send so many chats, each with its own number in the question.

    Parameters
    ----------
    question : a text with `{}` for the number; the endpoint gives it back. calls : measured, from number `start` on.
    at_once : chats under way. warm : sent before, unmeasured, so that connections and imports are there.

    Returns
    -------
    dict
        `spent` (CPU and wall seconds of all measured calls), `wrong` (answers that are not their question), `versions`.

    Raises
    ------
    PeerError
        The client is not installed or fails.
    """
    asked = {"url": url, "question": question, "calls": calls, "at_once": at_once, "start": start, "warm": warm}
    return PEER.ask(asked)
