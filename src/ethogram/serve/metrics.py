"""What Prometheus reads: requests, how long they took, how much waits, what was ingested and served."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The measures of one server; each app has its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "ethogram"}
        self.requests = Counter("requests_total", "Requests by path and status.", ["path", "status"], **own)
        self.seconds = Histogram("request_seconds", "Seconds in the service.", ["path"], buckets=SECONDS, **own)
        self.events = Counter("events_total", "Events by outcome.", ["outcome"], **own)
        self.judged = Counter("items_judged_total", "Candidates that were scored.", ["model"], **own)
        self.waiting = Gauge("waiting", "Requests that wait in front of a thread.", ["lane"], **own)
        self.forgotten = Counter("events_forgotten_total", "Events behind a tombstone.", **own)
        self.switched = Counter("switches_total", "Model versions that were activated.", ["model"], **own)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)
