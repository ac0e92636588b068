"""`python -m benchmarks [NAME ...] [--quick] [--soak]`: measure, write `benchmarks/results/`, print.

Each case runs in a process of its own, with its number of threads, and without the BLAS settings that
containers sometimes carry (`OPENBLAS_CORETYPE`, `OPENBLAS_L2_SIZE` slow NumPy).
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import cases, race
from benchmarks.harness import Case, measure
from benchmarks.race import Race

RESULTS = Path(__file__).parent / "results"
FLAGS = ("quick", "soak")
"""Small sizes that show that everything runs, of cases that have them; cases that take many minutes."""
MODULES = sorted(m.name for m in pkgutil.iter_modules(cases.__path__))
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")


def main(names: list[str]) -> int:
    if names[:1] == ["--one"]:
        json.dump(measure(_cases(names[1])[names[2]]), sys.stdout)
        return 0
    flags = [n[2:] for n in names if n.startswith("--")]
    names = [n for n in names if not n.startswith("--")]
    if unknown := next((f for f in flags if f not in FLAGS), None):
        print(f"no flag --{unknown}; there are: {', '.join('--' + f for f in FLAGS)}", file=sys.stderr)
        return 2
    os.environ["ETHOGRAM_BENCH"] = ",".join(flags)
    wanted = [(module, case) for module in MODULES for case in _cases(module).values()]
    chosen = [(m, c) for m, c in wanted if not names or m in names or c.name in names]
    if not chosen:
        print(f"no case of that name; there are: {', '.join(c.name for _, c in wanted)}", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    failed = 0
    for module, case in chosen:
        print(f"{case.name}: {case.title} ...", file=sys.stderr, flush=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")} | dict.fromkeys(
            THREADS, str(case.threads)
        )
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--one", module, case.name],
            env=env,
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            failed += 1
            continue
        found = json.loads(done.stdout.splitlines()[-1]) | {
            "machine": machine(),
            "at": datetime.now(UTC).isoformat("T", "seconds"),
        }
        if "quick" not in flags:
            (RESULTS / f"{case.name}.json").write_text(json.dumps(found, indent=1) + "\n")
        print(table(found))
    if "quick" not in flags:
        page()
    return 1 if failed else 0


def _cases(module: str) -> dict[str, Case | Race]:
    return {c.name: c for c in importlib.import_module(f"benchmarks.cases.{module}").cases()}


def machine() -> dict[str, Any]:
    """Processor, cores, versions of whatever took part."""
    from importlib.metadata import PackageNotFoundError, version

    cpu = next(
        (ln.split(":")[1].strip() for ln in _lines("/proc/cpuinfo") if ln.startswith("model name")),
        platform.processor(),
    )
    versions = {}
    for name in ("numpy", "numba", "pyarrow", "pandas", "polars", "duckdb", "torch", "faiss-cpu", "scipy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "versions": versions}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def table(found: dict[str, Any]) -> str:
    """One case as Markdown."""
    if "rows" in found:
        return race.table(found, _goals(found))
    fastest = min(f["cpu"] for f in found["figures"].values())
    limit = f" | % of {found['limit']}" if found["limit"] else ""
    lines = [
        f"### {found['title']}",
        "",
        f"| | CPU s | wall s | x fastest{limit} |",
        "|---|--:|--:|--:|" + ("--:|" if limit else ""),
    ]
    for name, f in sorted(found["figures"].items(), key=lambda kv: kv[1]["cpu"]):
        share = f" {100 * f['share']:.0f} % |" if limit and f["share"] is not None else (" |" if limit else "")
        bold = "**" if name.startswith("ethogram") else ""
        lines.append(f"| {bold}{name}{bold} | {f['cpu']:#.3g} | {f['wall']:#.3g} | {f['cpu'] / fastest:.2f} |{share}")
    lines += ["", *(f"- not here: {name}" for name in found["absent"])]
    lines += _goals(found)
    if found["notes"]:
        lines.append(f"- {found['notes']}")
    low, high = found["load"]
    turns = f"minimum of {found['repeats']} interleaved turns"
    lines.append(f"- {found['threads']} thread(s), {turns}, load {low}-{high}")
    return "\n".join(lines) + "\n"


def _goals(found: dict[str, Any]) -> list[str]:
    lines = []
    for t in found["targets"]:
        said = "not measurable"
        if t["value"] is not None:
            value = format(t["value"], ",.0f" if abs(t["value"]) >= 100 else ".3g")
            said = f"{value} (goal {t['bound']}): {'met' if t['met'] else 'MISSED'}"
        lines.append(f"- {t['text']}: {said}")
    return lines


def page() -> None:
    """benchmarks/results/README.md from whatever has been measured."""
    files = sorted(RESULTS.glob("*.json"))
    if not files:
        return
    found = [json.loads(f.read_text()) for f in files]
    last = found[-1]["machine"]
    head = ["# Measured side by side", "", "Generated by `make bench`; each file beside this one is one case.", ""]
    versions = ", ".join(f"{k} {v}" for k, v in last["versions"].items())
    head += [f"{last['cpu']}, {last['cores']} cores, Python {last['python']}; {versions}.", ""]
    (RESULTS / "README.md").write_text("\n".join([*head, *overview(found)]) + "\n" + "\n".join(table(f) for f in found))


def overview(found: list[dict[str, Any]]) -> list[str]:
    """A line per case: goals met, goals missed, and the machine's load meanwhile."""
    lines = ["| case | goals met | missed | load |", "|---|--:|--:|--:|"]
    for one in found:
        met = [t["met"] for t in one["targets"] if t["value"] is not None]
        title = one["title"].replace("|", "\\|")
        lines.append(f"| {title} | {sum(met)} | {len(met) - sum(met) or ''} | {one['load'][0]}-{one['load'][1]} |")
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
