"""Reads which operators a .tflite model uses, from the file itself and nothing but its bytes.

The format is FlatBuffers (flatbuffers.dev, "FlatBuffer Internals") with the schema of TensorFlow Lite,
tensorflow/lite/schema/schema.fbs: Model.operator_codes is field 1, and an OperatorCode has the fields
deprecated_builtin_code 0 (byte), custom_code 1 (string), version 2 (int) and builtin_code 3 (int).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from errors import Under48Error

_IDENTIFIER = b"TFL3"
_MAX_OPERATORS = 4096  # far more kinds of operators than there are: bounds the work on a hostile file
_MAX_NAME = 1024  # bytes of a custom operator's name: does the same where many share one long text


class BadModel(Under48Error):
    """A model file that is not one, is damaged, or cannot be compiled for."""

    exit_code = 33


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Operator:
    """One kind of operator: its number in `enum BuiltinOperator`, its version, its name when custom."""

    builtin: int
    version: int
    custom: str | None = None


def read_operators(model: bytes) -> tuple[Operator, ...]:
    """The kinds of operators that a .tflite file lists, sorted and without repetition.

    Raises:
        BadModel: the bytes are no .tflite model, or one that is cut short.
    """
    if model[4:8] != _IDENTIFIER:
        raise BadModel("this is not a .tflite model: bytes 4 to 8 are not 'TFL3'. Is the download complete?")
    try:
        operators = set(_operator_codes(model))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise BadModel(f"this .tflite model is damaged ({error}): fetch it again") from error
    if not operators:
        raise BadModel("this .tflite model lists no operators, so there is nothing to compile for it")
    return tuple(sorted(operators, key=lambda o: (o.builtin, o.custom or "", o.version)))


def _operator_codes(model: bytes) -> Iterator[Operator]:
    root = _uint32(model, 0)
    vector = _follow(model, _field(model, root, 1))
    count = _uint32(model, vector)
    if count > _MAX_OPERATORS:
        raise IndexError(f"{count} kinds of operators")
    for i in range(count):
        table = _follow(model, vector + 4 + 4 * i)
        deprecated = _scalar(model, _field(model, table, 0), "<b", 0)
        builtin = _scalar(model, _field(model, table, 3), "<i", 0)
        version = _scalar(model, _field(model, table, 2), "<i", 1)
        custom = _field(model, table, 1)
        # schema.fbs: files from before builtin_code have only the deprecated one; the larger one counts.
        yield Operator(
            builtin=max(deprecated, builtin),
            version=version,
            custom=_string(model, _follow(model, custom)) if custom else None,
        )


def _uint32(model: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", model, at)[0])


def _follow(model: bytes, at: int) -> int:
    if not at:
        raise IndexError("a required field is missing")
    return at + _uint32(model, at)


def _field(model: bytes, table: int, index: int) -> int:
    """Where a table's field lies; 0 when it is absent and has its default."""
    vtable = table - int(struct.unpack_from("<i", model, table)[0])
    if vtable < 0:
        raise IndexError("a table points before the file")
    size = struct.unpack_from("<H", model, vtable)[0]
    if 4 + 2 * index >= size:
        return 0
    offset = int(struct.unpack_from("<H", model, vtable + 4 + 2 * index)[0])
    return table + offset if offset else 0


def _scalar(model: bytes, at: int, layout: str, default: int) -> int:
    return int(struct.unpack_from(layout, model, at)[0]) if at else default


def _string(model: bytes, at: int) -> str:
    length = _uint32(model, at)
    if length > _MAX_NAME:
        raise IndexError(f"a name of {length} bytes")
    if at + 4 + length > len(model):
        raise IndexError("a name reaches past the end")
    return model[at + 4 : at + 4 + length].decode()
