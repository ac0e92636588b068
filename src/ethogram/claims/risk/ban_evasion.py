"""What is claimed of `ban_evasion`, and how it is measured.

The published accounts (33 GiB) are not on this machine: the generator `returning_accounts` stands for them. Its rates
were calibrated, on seeds 900 to 906, so that the families of features order as published (edit, language, temporal)
and the figures come near the published ones. So the figures of the tasks say nothing about Wikipedia: what is checked
is the mechanism (matched controls that do not leak, folds by person, three edits and no more, features that find what
was planted and nothing where nothing was). The claims use seeds from 1 on; people are the units of the intervals.

Bounds of the queue, which the paper does not have, were chosen on the same seeds. T3a came out at .96 in the
calibration, above the published .90: with it below .95, the true parent was not ranked first as often as published.
Both bounds of the specification stand below.
"""

from __future__ import annotations

from typing import Any

from ethogram.claims import Law, Laws, claim
from ethogram.claims.risk.returning import (
    KEY,
    PLANTED,
    TASKS,
    assessed,
    auc,
    false,
    gap,
    importance,
    large,
    missed,
    mrr,
    mrr_gap,
    nothing_found,
    null_auc,
    off_half,
    read,
    searched,
)  # fmt: skip

BANDS = {"T1": (0.72, 0.84), "T2": (0.85, 0.95), "T3a": (0.85, 0.95)}


@claim(KEY, "Who will come back, is it a returning account, whose is it: as good as published, on accounts made for it")
def tasks(bench: Any) -> Laws:
    laws = []
    for key, (low, high) in BANDS.items():
        laws += [
            Law(f"{key}: AUC of all features", lambda b, k=key: auc(b, k), ">=", low),
            Law(f"{key}: AUC of all features, not above the band", lambda b, k=key: auc(b, k), "<=", high),
        ]
    return Laws(
        *laws,
        Law("T3b: mean reciprocal rank of the true parent among 50", lambda b: mrr(b, "T3a"), ">=", 0.90),
        Law("that − by usernames alone", lambda b: mrr_gap(b, "names"), ">=", 0.20),
        Law("that − the scorer of T3a without pages", lambda b: mrr_gap(b, "no edit"), ">", 0.0),
    )


@claim(KEY, "Edit features tell most, then language, then time; without edit features most is lost")
def families(bench: Any) -> Laws:
    laws = []
    for key in ("T1", "T2"):
        laws += [
            Law(f"{key}: AUC, edit − language", lambda b, k=key: gap(b, k, "edit", "language"), ">", 0.0),
            Law(f"{key}: AUC, language − temporal", lambda b, k=key: gap(b, k, "language", "temporal"), ">", 0.0),
            Law(f"{key}: AUC of temporal features − 0.5", lambda b, k=key: off_half(b, k, "temporal"), "within", 0.05),
        ]
    for key in TASKS:
        for other in ("temporal", "username", "language"):
            laws.append(
                Law(f"{key}: AUC without {other} − without edit",
                    lambda b, k=key, o=other: gap(b, k, f"no {o}", "no edit"), ">", 0.0)
            )  # fmt: skip
        laws.append(
            Law(f"{key}: permutation importance, edit − the largest other", lambda b, k=key: importance(b, k), ">", 0.0)
        )
    return Laws(*laws)


@claim(KEY, "Controls are matched: what they were matched on tells nothing, and without an effect nothing is found")
def no_leak(bench: Any) -> Laws:
    laws = []
    for key in TASKS:
        laws += [
            Law(f"{key}: AUC − 0.5 of the matched variables, logistic", lambda b, k=key: off_half(b, k, "matched"),
                "within", 0.03),
            Law(f"{key}: AUC − 0.5 of the matched variables, boosted trees",
                lambda b, k=key: off_half(b, k, "matched trees"), "within", 0.03),
            Law(f"{key}: AUC − 0.5 where nothing is planted", lambda b, k=key: null_auc(b, k), "within", 0.05),
        ]  # fmt: skip
    return Laws(*laws)


@claim(KEY, "A plain logistic scorer is near boosted trees on the same features")
def baselines(bench: Any) -> Laws:
    return Laws(
        *(
            Law(f"{key}: AUC, logistic − boosted trees", lambda b, k=key: gap(b, k, "all", "trees"), ">=", -0.02)
            for key in TASKS
        ),
        *(
            Law(f"{key}: AUC, all − usernames alone", lambda b, k=key: gap(b, k, "all", "username"), ">=", 0.1)
            for key in TASKS
        ),
    )


@claim(KEY, "The report finds every attribute that was planted and none that was not")
def report(bench: Any) -> Laws:
    return Laws(
        *(
            Law(f"{name}: planted attributes that are not found", lambda b, n=name: missed(b, n), "<=", 0)
            for name in PLANTED
        ),
        *(Law(f"{name}: null attributes that are found", lambda b, n=name: false(b, n), "<=", 0) for name in PLANTED),
        Law("attributes found where nothing is planted", lambda b: nothing_found(b), "<=", 0),
    )


@claim(KEY, "Accounts of another log are put in a useful order, with risks that mean what they say")
def queue(bench: Any) -> Laws:
    return Laws(
        Law("precision among the 100 with the highest risk − base rate", lambda b: assessed(b)["lift"], ">=", 0.3),
        Law("AUC of the risk, three edits", lambda b: assessed(b)["auc"], ">=", 0.65),
        Law("expected calibration error of the risk", lambda b: assessed(b)["ece"], "<=", 0.05),
        Law(
            "share of returning accounts whose first candidate is the parent", lambda b: assessed(b)["first"], ">=", 0.4
        ),
    )


@claim(KEY, "The shortlist of 50 out of 100,000 banned accounts is the right one, in milliseconds")
def shortlist(bench: Any) -> Laws:
    return Laws(
        Law("share of the 50 most similar that it holds", lambda b: searched(b)["recall"], ">=", 0.98),
        Law("processor milliseconds for a question", lambda b: searched(b)["ms"], "<=", 50),
        Law("reported accounts whose parent is among the 50", lambda b: searched(b)["true"], ">=", 0.98),
        Law("memory of the index (GiB)", lambda b: searched(b)["gib"], "<=", 1.0),
    )


@claim(KEY, "The real sample is read whole")
def sample(bench: Any) -> Laws:
    return Laws(
        Law("edits missing of 572", lambda b: read(b)["edits"], "<=", 0),
        Law("pairs and banned accounts missing of 45 rows", lambda b: read(b)["pairs"], "<=", 0),
        Law("revisions missing of 40", lambda b: read(b)["revisions"], "<=", 0),
        Law("rows that contradict themselves", lambda b: read(b)["wrong"], "<=", 0),
        Law("accounts without a profile", lambda b: read(b)["lost"], "<=", 0),
    )


@claim(KEY, "8,551 pairs, as published, are learned in minutes")
def size(bench: Any) -> Laws:
    return Laws(
        Law("processor seconds for tasks, folds, ranking and fit", lambda b: large(b)["seconds"], "<=", 300),
        Law("peak memory above the start (GiB)", lambda b: large(b)["gib"], "<=", 8),
    )
