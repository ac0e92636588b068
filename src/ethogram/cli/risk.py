"""``ethogram risk``: score, clusters, explain, report; each in a file of its own."""

from __future__ import annotations

from ethogram.cli.risk_clusters import clusters as clusters_
from ethogram.cli.risk_explain import explain as explain_
from ethogram.cli.risk_report import report as report_
from ethogram.cli.risk_score import score as score_

__all__ = ["clusters_", "explain_", "report_", "score_"]
