"""Reads the text of a catalogue into values, and says which key of which entry is wrong."""

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, get_args

from model_fetch.catalog import Asset, Catalog, Format, Labels, Model, Output, Sample, TensorType
from model_fetch.errors import BadCatalog

Reader = Callable[[Any], Any]


def parse_catalog(text: str) -> Catalog:
    """Read a catalogue: TOML with any number of `[[model]]`, `[[labels]]` and `[[sample]]`.

    Raises:
        BadCatalog: no TOML, a key missing, unknown or of the wrong kind, a name twice,
            a URL that is not https.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadCatalog(f"the catalogue is no TOML: {error}") from error
    kinds = _fields({key: [] for key in _KINDS} | tables, _KINDS, "the catalogue")
    return Catalog(
        models=tuple(_model(table) for table in kinds["model"]),
        labels=tuple(_labels(table) for table in kinds["labels"]),
        samples=tuple(_sample(table) for table in kinds["sample"]),
    )


def _model(table: Mapping[str, Any]) -> Model:
    fields = _fields(table, _MODEL)
    return Model(files=_assets(fields), **fields)


def _labels(table: Mapping[str, Any]) -> Labels:
    fields = _fields(table, _LABELS)
    (asset,) = _assets(fields)
    return Labels(asset=asset, **fields)


def _sample(table: Mapping[str, Any]) -> Sample:
    fields = _fields(table, _SAMPLE)
    (asset,) = _assets(fields)
    return Sample(asset=asset, **fields)


def _assets(fields: dict[str, Any]) -> tuple[Asset, ...]:
    """Takes `files` and `licence` out of the fields: an entry has one licence for all of its files."""
    files, licence = fields.pop("files"), fields.pop("licence")
    rows = [_fields(file, _FILE, f"a file of {fields['name']}") for file in files]
    return tuple(Asset(licence=licence, **row) for row in rows)


def _fields(
    table: Mapping[str, Any], readers: Mapping[str, Reader], whose: str | None = None
) -> dict[str, Any]:
    whose = whose or str(table.get("name", "an entry without a name"))
    if odd := table.keys() ^ readers.keys():
        raise BadCatalog(f"{whose}: keys are missing or unknown: {', '.join(sorted(odd))}")
    fields = {}
    for key, read in readers.items():
        try:
            fields[key] = read(table[key])
        except (TypeError, ValueError) as error:
            raise BadCatalog(f"{whose}: {key} = {table[key]!r}: {error}") from error
    return fields


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("should be a text")
    return value


def _name(value: Any) -> str:
    # Names become part of file names and of image tags.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", _text(value)):
        raise ValueError("should be of letters, digits, and _ . -")
    return _text(value)


def _https(value: Any) -> str:
    if not _text(value).startswith("https://"):
        raise ValueError("should be an https URL")
    return _text(value)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:  # a bool is an int in Python, but no count
        raise TypeError("should be a whole number, not below 0")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError("should be a number")
    return float(value)


def _fraction(value: Any) -> float:
    if not 0 < _number(value) <= 1:
        raise ValueError("should be above 0 and at most 1")
    return _number(value)


def _one_of(literal: Any) -> Reader:
    choices = get_args(literal)

    def read(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"should be one of {', '.join(choices)}")
        return value

    return read


def _list_of(read_item: Reader, length: int | None = None) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value or length not in (None, len(value)):
            raise TypeError(f"should be a list of {length or 'at least one'}")
        return tuple(read_item(item) for item in value)

    return read


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("should be a table")
    return value


def _tables(value: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list):
        raise TypeError("should be a list of tables")
    return tuple(map(_table, value))


_KINDS: dict[str, Reader] = {"model": _tables, "labels": _tables, "sample": _tables}
_FILE: dict[str, Reader] = {"url": _https, "bytes": _count, "sha256": _text}
_COMMON: dict[str, Reader] = {"name": _name, "licence": _text}
_MODEL: dict[str, Reader] = _COMMON | {
    "files": _list_of(_table),
    "format": _one_of(Format),
    "input_size": _list_of(_count, 2),
    "input_type": _one_of(TensorType),
    "input_range": _list_of(_number, 2),
    "crop": _fraction,
    "output": _one_of(Output),
    "output_type": _one_of(TensorType),
    "labels": _text,
    "labels_offset": _count,
}
_LABELS: dict[str, Reader] = _COMMON | {"files": _list_of(_table, 1), "lines": _count}
_SAMPLE: dict[str, Reader] = _COMMON | {"files": _list_of(_table, 1), "accepted": _list_of(_text)}
