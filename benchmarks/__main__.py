"""`python -m benchmarks NAME [--json]`: run one benchmark, or `all`, and print its table."""

import argparse
import importlib
import json
import pkgutil
import sys

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks import Row

NOT_BENCHMARKS = {
    "__main__",
    "measure",
    "mqtt_load",
    "mqtt_readers",
    "opcua_feeds",
    "press",
    "served",
    "simulator_server",
}


def names() -> list[str]:
    """The benchmarks of this folder: every module with a `run`, those of one topic sharing a folder."""
    return sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in NOT_BENCHMARKS
    )


def show(name: str, rows: list[Row]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(*columns, title=name, title_justify="left")
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    Console(width=max(120, Console().width)).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("name", choices=[*names(), "all"])
    parser.add_argument("--json", action="store_true", help="one JSON object per benchmark instead of tables")
    arguments = parser.parse_args()
    for name in names() if arguments.name == "all" else [arguments.name]:
        rows = importlib.import_module(f"benchmarks.{name}").run()
        if arguments.json:
            print(json.dumps({"benchmark": name, "rows": rows}), flush=True)
        else:
            show(name, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
