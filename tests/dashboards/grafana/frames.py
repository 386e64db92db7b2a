"""From InfluxDB's answers to the columns that a panel shows: series and tables as Grafana makes them, and its
transformations as far as our boards use them. What it cannot do it refuses, so that no picture shows a guess."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.dashboards.grafana.asking import Day, ask, filled, interval_of

Cell = float | str | None


@dataclass
class Frame:
    """Columns of equal length by name; "Time" [ms] first where there is one."""

    columns: dict[str, list[Cell]] = field(default_factory=dict)

    @property
    def rows(self) -> list[dict[str, Cell]]:
        return [dict(zip(self.columns, cells, strict=True)) for cells in zip(*self.columns.values(), strict=True)]

    @classmethod
    def of(cls, rows: list[dict[str, Cell]]) -> "Frame":
        names = list(dict.fromkeys(name for row in rows for name in row))
        return cls({name: [row.get(name) for row in rows] for name in names})


def frames(day: Day, panel: dict[str, Any], variables: dict[str, str], interval: str) -> list[Frame]:
    """Everything a panel gets to show, transformed."""
    found: list[Frame] = []
    step = interval_of(panel, day, interval)
    for target in panel["targets"]:
        query = filled(target["query"], variables, day.start_ns, day.end_ns, step)
        series, _ = ask(day, target["datasource"]["uid"], query)
        if target["resultFormat"] == "table":
            found.append(_table(series))
        else:
            found += _series(series, target.get("alias", ""))
    for step in panel.get("transformations", []):
        found = _transformed(found, step["id"], step["options"])
    return found


def _table(series: list[dict[str, Any]]) -> Frame:
    rows: list[dict[str, Cell]] = []
    for one in series:
        names = ["Time", *one["columns"][1:]]
        rows += [one.get("tags", {}) | dict(zip(names, cells, strict=True)) for cells in one["values"]]
    return Frame.of([{"Time": row.pop("Time")} | row for row in rows])


def _series(series: list[dict[str, Any]], alias: str) -> list[Frame]:
    found = []
    for one in series:
        name = alias
        for tag, value in one.get("tags", {}).items():
            name = name.replace(f"$tag_{tag}", value)
        for place, column in enumerate(one["columns"][1:], 1):
            times, cells = [row[0] for row in one["values"]], [row[place] for row in one["values"]]
            found.append(Frame({"Time": times, name.replace("$col", column) or column: cells}))
    return found


def _transformed(found: list[Frame], kind: str, options: dict[str, Any]) -> list[Frame]:
    match kind:
        case "organize":
            return [_organized(frame, options) for frame in found]
        case "calculateField" if options["mode"] == "reduceRow":
            return [_summed(frame, options) for frame in found]
        case "calculateField" if options["mode"] == "binary":
            return [_divided(frame, options) for frame in found]
        case "joinByField":
            return [_joined(found, options["byField"])]
        case "merge":  # no two of our tables share a row that could be completed: one below the other
            return [Frame.of([row for frame in found for row in frame.rows])]
        case "filterFieldsByName":
            kept = options["include"]["names"]
            return [Frame({name: frame.columns[name] for name in frame.columns if name in kept}) for frame in found]
        case "filterByValue":
            [condition] = options["filters"]
            unwanted = condition["config"]["options"]["value"]
            return [Frame.of([row for row in frame.rows if row[condition["fieldName"]] != unwanted]) for frame in found]
        case "groupBy":
            return [_grouped(frame, options["fields"]) for frame in found]
        case "sortBy":
            [by] = options["sort"]
            return [
                Frame.of(
                    sorted(frame.rows, key=lambda row: float(row[by["field"]] or 0), reverse=by.get("desc", False))
                )
                for frame in found
            ]
        case "extractFields":
            return [_extracted(frame, options) for frame in found]
        case "reduce":
            return [_reduced(found, options)]
    raise NotImplementedError(f"the transformation {kind} {options}")


def _organized(frame: Frame, options: dict[str, Any]) -> Frame:
    order = options["indexByName"]
    names = [name for name in frame.columns if not options["excludeByName"].get(name)]
    names.sort(key=lambda name: order.get(name, len(order)))
    return Frame({options["renameByName"].get(name, name): frame.columns[name] for name in names})


def _summed(frame: Frame, options: dict[str, Any]) -> Frame:
    sums: list[Cell] = [sum(cell for cell in row.values() if isinstance(cell, int | float)) for row in frame.rows]
    return Frame({options["alias"]: sums} if options.get("replaceFields") else frame.columns | {options["alias"]: sums})


def _divided(frame: Frame, options: dict[str, Any]) -> Frame:
    binary = options["binary"]
    assert binary["operator"] == "/", binary
    left, right = binary["left"], binary["right"]
    left, right = (one["matcher"]["options"] if isinstance(one, dict) else one for one in (left, right))
    if not {left, right} <= frame.columns.keys():  # nothing came: Grafana leaves such a frame as it is
        return frame
    shares: list[Cell] = [
        None if a is None or not b else float(a) / float(b)
        for a, b in zip(frame.columns[left], frame.columns[right], strict=True)
    ]
    return Frame(frame.columns | {options["alias"]: shares})


def _joined(found: list[Frame], by: str) -> Frame:
    rows = {row[by]: dict(row) for row in found[0].rows}
    for frame in found[1:]:
        others = {row[by]: row for row in frame.rows}
        rows = {key: row | others[key] for key, row in rows.items() if key in others}
    return Frame.of(list(rows.values()))


def _grouped(frame: Frame, fields: dict[str, Any]) -> Frame:
    keys = [name for name, one in fields.items() if one["operation"] == "groupby"]
    groups: dict[tuple[Cell, ...], dict[str, Cell]] = {}
    for row in frame.rows:
        group = groups.setdefault(tuple(row[key] for key in keys), {key: row[key] for key in keys})
        for name, one in fields.items():
            for how in one["aggregations"]:
                assert how in ("count", "sum"), how
                before, more = group.get(f"{name} ({how})") or 0, 1 if how == "count" else row[name] or 0
                group[f"{name} ({how})"] = float(before) + float(more)
    return Frame.of(list(groups.values()))


def _extracted(frame: Frame, options: dict[str, Any]) -> Frame:
    assert options["format"] == "json", options
    parts = [json.loads(str(cell)) if cell else {} for cell in frame.columns.get(options["source"], [])]
    kept = [{"Time": row["Time"]} if options.get("keepTime") else {} for row in frame.rows]
    return Frame.of([row | part for row, part in zip(kept, parts, strict=True)])


def _reduced(found: list[Frame], options: dict[str, Any]) -> Frame:
    """A row per field of any frame."""
    assert options["reducers"] == ["sum"], options
    assert options["mode"] == "seriesToRows", options
    return Frame.of(
        [
            {"Field": name, "Total": sum(float(cell) for cell in cells if isinstance(cell, int | float))}
            for frame in found
            for name, cells in frame.columns.items()
            if name != "Time"
        ]
    )
