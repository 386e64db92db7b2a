"""Samples as a file of line protocol, in the schema of the InfluxDB store: for `influx write` and other tools."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pipeline.stores.columns import Columns
from pipeline.stores.influxdb_schema import NUMBER, QUALITY, RECEIVED, TEXT, asset_of, is_word, metrics_of
from pipeline.stores.influxdb_writing import Lines
from pipeline.stores.lineprotocol_reader import Point, points_of
from telemetry.errors import ConfigError, DecodeError, StoreError
from telemetry.samples import Sample

_CHUNK: Final = 20_000
_BLOCK: Final = 4_000_000


def write_samples(path: Path, chunks: Iterable[list[Sample]]) -> int:
    """How many lines. Raises StoreError when the file cannot be written, or a sample has no line."""
    count = 0
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as target:
            for chunk in chunks:
                columns = Columns.of(chunk)
                assert columns is not None  # a store held them
                written = Lines(columns, set())
                for body in written.bodies():
                    target.write(body.text())
                    count += len(body)
                if written.refused:
                    raise StoreError(f"line protocol cannot say this: {next(iter(written.refused.values()))}")
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def read_samples(path: Path, read: Callable[[int], None] = lambda _: None) -> Iterator[list[Sample]]:
    """The samples of a file, of which no more than a block is held; `read` is told of every one [bytes].

    Raises ConfigError with the number of the point that is none.
    """
    chunk: list[Sample] = []
    found = points_of(_blocks(path, read))
    number = 0
    while True:
        number += 1
        try:
            point = next(found, None)
            if point is None:
                break
            chunk += samples(point)
        except DecodeError as error:
            raise ConfigError(f"{path}: point {number}: {error}") from error
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _blocks(path: Path, read: Callable[[int], None]) -> Iterator[bytes]:
    try:
        with path.open("rb") as source:
            while block := source.read(_BLOCK):
                read(len(block))
                yield block
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def samples(point: Point) -> Iterator[Sample]:
    """The samples of one point of our schema. Raises DecodeError."""
    if point.time is None:
        raise DecodeError("it has no time; a sample is nothing without")
    asset = asset_of(dict(point.tags))
    fields = dict(point.fields)
    metrics = metrics_of(fields)
    if not asset or not metrics:
        raise DecodeError("it is not in the schema of KM0 Telemetry (tags site, area, line, asset; fields by metric)")
    for metric in metrics:
        word = is_word(metric)
        value = fields.get(metric + NUMBER, 0.0) if word else fields[metric]
        text = fields[metric] if word else fields.get(metric + TEXT, "")
        quality, received = fields[metric + QUALITY], fields.get(metric + RECEIVED, 0)
        if not isinstance(value, float) or not isinstance(text, str):
            raise DecodeError(f"{metric} is of another type than its kind")
        if not isinstance(quality, int) or not isinstance(received, int):
            raise DecodeError(f"{metric}{QUALITY} and {metric}{RECEIVED} are integers")
        yield Sample(point.time, asset, metric, value, text, quality, received)
