"""Performance, measured side by side in one run: `python -m benchmarks NAME [--json]`, or `all`.

Each module of this folder with a `run() -> list[Row]` is a benchmark. Whatever is compared runs in the same run, in
turn, several times; the median ratio counts, because the machine is shared and its speed drifts.
"""

from typing import Any

Row = dict[str, Any]
"""One line of a benchmark's table: column name (with its unit) → figure."""
