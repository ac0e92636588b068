"""``ethogram audit KEY``: put an audit's cases to its subject, and report."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.options import Set, make
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

INCONCLUSIVE, FAILED = 3, 1


def audit(
    key: str,
    /,
    *,
    subject: Annotated[str, Parameter(name=("--subject", "--lm"))] = "local",
    most: int | None = None,
    planted: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    sets: Set = (),
    json: Json = None,
    **flags: str,
) -> int:
    """Put an audit's cases to its subject, a model or a service, and report. Exit code: 0 pass, 1 fail, 3 inconclusive.

    Parameters
    ----------
    key
        The audit, as in `ethogram systems --area audit`.
    subject
        What is audited. A language model: local, torch, a URL, scripted:TEXT. A recommender (model_extraction): the
        folder of a saved system, the URL of `ethogram serve`, local.
    most
        Only so many cases, the first.
    planted
        Audit the audit: subjects with known behaviour, which it must recover.
    seed
        Seed of the cases and of everything that is drawn.
    """
    from ethogram.lm import LM
    from ethogram.lm.auditing import audit as put
    from ethogram.lm.blocking import run
    from ethogram.system import info

    say = Output(json)
    if "audit" not in info(key).verbs:
        raise OptionError(f"{key} cannot audit; its verbs are {', '.join(info(key).verbs)}.")
    built = make(key, sets, flags)
    if planted:
        return _planted(built, say, seed)
    told = built.subject(subject) if hasattr(built, "subject") else LM.connect(subject)
    with say.progress(key) as watch:
        report = run(put(built, told, seed=seed, most=most, watch=watch))
    say.line(f"{key} of {report.subject}: {report.verdict} ({report.why})")
    say.table(("metric", "value", "low", "high"), [(n, *v) for n, v in report.metrics.items()])
    if report.contrasts:
        say.table(("difference", "value", "low", "high"), [(n, *v) for n, v in report.contrasts.items()])
    for note in report.notes:
        say.line(f"note: {note}")
    say.result({
        "key": key, "subject": report.subject, "verdict": report.verdict, "why": report.why,
        "metrics": report.metrics, "contrasts": report.contrasts, "notes": report.notes,
        "rows": report.rows.to_pylist() if report.rows is not None else [],
    })  # fmt: skip
    return {"pass": 0, "fail": FAILED}.get(report.verdict, INCONCLUSIVE)


def _planted(built: object, say: Output, seed: int) -> int:
    """The audit on subjects with known behaviour: what was planted beside what was found."""
    from ethogram.lm.auditing import audit as put
    from ethogram.lm.blocking import run

    rows = []
    for one in built.planted():  # type: ignore[attr-defined]
        found = run(put(built, one.lm, seed=seed))  # type: ignore[arg-type]
        for name, truth in one.truth.items():
            value = found.metrics[name][0]
            rows.append((one.name, name, truth, value, abs(value - truth) <= one.tolerance))
    say.table(("subject", "metric", "planted", "found", "recovered"), rows)
    say.result([dict(zip(("subject", "metric", "planted", "found", "recovered"), r, strict=True)) for r in rows])
    return 0 if all(r[-1] for r in rows) else FAILED
