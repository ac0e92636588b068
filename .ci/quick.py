"""Read what `reproduce --all --quick --json` said: every claim must have run; slow ones are named, not failed."""

import json
import sys
from pathlib import Path

AVERAGE, MOST = 15.0, 60.0
found = json.loads(Path(sys.argv[1]).read_text())
for one in found:
    verdicts = ", ".join(sorted({c["verdict"] for c in one["claims"]}))
    print(f"{one['key']:24}{one['seconds']:8.1f} s{one['peak_mb'] or 0:9.0f} MB  {verdicts}")
broken = [
    f"{one['key']}: {c['why']}" for one in found for c in one["claims"] if c["verdict"] not in ("ran", "not measurable")
]
average = sum(one["seconds"] for one in found) / max(len(found), 1)
for one in found:
    if one["seconds"] > MOST:
        print(f"slow: {one['key']} took {one['seconds']:.0f} s")
if average > AVERAGE:
    print(f"slow: {average:.0f} s a system on average, {AVERAGE:.0f} are meant")
if not found or broken:
    sys.exit(f"quick claims: {len(found)} systems, broken: {broken or 'no system has a claim'}")
