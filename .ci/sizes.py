"""Lines per file in each room: median, 90th percentile, maximum. Fails where a file passes the cap."""

import statistics
import sys
from collections import defaultdict
from pathlib import Path

CAP = 400
root = Path(__file__).parent.parent / "src" / "ethogram"
rooms: dict[str, list[tuple[int, Path]]] = defaultdict(list)
for path in sorted(root.rglob("*.py")):
    parts = path.relative_to(root).parts
    rooms[parts[0] if len(parts) > 1 else "."].append((len(path.read_text().splitlines()), path))
print(f"{'room':12}{'files':>6}{'lines':>8}{'median':>8}{'90%':>6}{'max':>6}")
for room, files in rooms.items():
    sizes = sorted(n for n, _ in files)
    top = sizes[int(0.9 * (len(sizes) - 1))]
    print(f"{room:12}{len(sizes):6}{sum(sizes):8}{statistics.median(sizes):8.0f}{top:6}{sizes[-1]:6}")
large = [f"{path.relative_to(root)} ({n})" for files in rooms.values() for n, path in files if n > CAP]
if large:
    sys.exit(f"over {CAP} lines: {', '.join(large)}")
