"""A running service as the audit asks it: histories of strangers to ``POST /v1/recommend``, lists back."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ethogram.audit.model_extraction.service import Rows
from ethogram.errors import MissingExtra, OptionError, ServiceDown
from ethogram.log import Vocabulary

LANES = 8
TRIES = 6


class Remote:
    """What `ethogram serve` listens to.

    Parameters
    ----------
    url : http://HOST:PORT, with #NAME behind it for a model that is not the service's first. The API key is read from
        `ETHOGRAM_API_KEY`.
    items : the catalogue; what the service names beyond it is left out of its lists.
    """

    def __init__(self, url: str, items: Vocabulary) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("to audit a running service: pip install 'ethogram[serve]'.") from None
        address, _, model = url.partition("#")
        key = os.environ.get("ETHOGRAM_API_KEY", "").strip()
        self.url, self.items = address.rstrip("/"), items
        self.more = {"model": model} if model else {}
        self._http = httpx.Client(headers={"authorization": f"Bearer {key}"} if key else {}, timeout=30.0)
        self._faults = httpx.HTTPError
        self._ids = [str(i) for i in items.ids.to_pylist()]
        self._codes = {name: code for code, name in enumerate(self._ids)}
        self.lists([np.arange(1)], 1)  # whoever cannot be reached or answers otherwise is told before anything is done

    def lists(self, sequences: Rows, k: int) -> np.ndarray:
        """As `service.Lists`.

        Raises
        ------
        ServiceDown
            Nobody answers, or only that it is busy.
        OptionError
            The service refuses the question, or names no item of the catalogue.
        """
        k = min(k, len(self.items))
        with ThreadPoolExecutor(LANES) as lanes:
            told = list(lanes.map(lambda s: self._ask(s, k), sequences))
        out = np.full((len(told), k), -1)
        for row, names in zip(out, told, strict=True):
            known = [code for n in names if (code := self._codes.get(n)) is not None]
            row[: len(known)] = known
        if any(told) and (out < 0).all():
            name = next(n for names in told for n in names)
            raise OptionError(
                f"model_extraction: {self.url} answers with items such as '{name}', --data has items such as "
                f"'{self._ids[0]}'; give the data that the service's model learned from."
            )
        return out

    def _ask(self, sequence: np.ndarray, k: int) -> list[str]:
        asked = {"history": [self._ids[i] for i in sequence], "k": k, "exclude_seen": True, **self.more}
        wait = 0.1
        for _ in range(TRIES):
            try:
                answer = self._http.post(f"{self.url}/v1/recommend", json=asked)
            except self._faults as error:
                raise ServiceDown(f"model_extraction: {self.url} does not answer ({error}); is it running?") from None
            if answer.status_code == 200:
                return [str(i["item_id"]) for i in answer.json()["items"]]
            if answer.status_code not in (429, 503):
                raise OptionError(f"model_extraction: {self.url}/v1/recommend: {_said(answer)}")
            time.sleep(min(10.0, float(answer.headers.get("retry-after") or wait)))
            wait *= 2
        raise ServiceDown(f"model_extraction: {self.url} was busy {TRIES} times in a row: {_said(answer)}")


def _said(answer: Any) -> str:
    """What a refusal says: status, detail, where, what would be right."""
    try:
        told = answer.json()
        parts = [str(told[n]) for n in ("detail", "where", "right") if told.get(n)]
    except (ValueError, TypeError, KeyError, AttributeError):
        parts = ["this is no service of ethogram"]
    return f"{answer.status_code} " + "; ".join(parts)
