"""Makes tiny .tflite files: a FlatBuffers Model with nothing but operator codes, laid out by hand."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Code:
    """The fields of an OperatorCode that the file has; None: left out, which means its default."""

    deprecated: int | None = None
    builtin: int | None = None
    version: int | None = None
    custom: bytes | None = None


def model(codes: Sequence[Code]) -> bytes:
    """A file: the root's offset, the identifier, Model, the vector of operator codes, then their tables."""
    out = bytearray(struct.pack("<I4s", 0, b"TFL3"))
    root, fields = _table(out, {0: struct.pack("<I", 3), 1: bytes(4)})  # version; operator_codes
    struct.pack_into("<I", out, 0, root)
    vector = len(out)
    struct.pack_into("<I", out, fields[1], vector - fields[1])
    out += struct.pack("<I", len(codes)) + bytes(4 * len(codes))
    for i, code in enumerate(codes):
        values = {
            0: None if code.deprecated is None else struct.pack("<b3x", code.deprecated),
            1: None if code.custom is None else bytes(4),
            2: None if code.version is None else struct.pack("<i", code.version),
            3: None if code.builtin is None else struct.pack("<i", code.builtin),
        }
        slot = vector + 4 + 4 * i
        table, fields = _table(out, {index: value for index, value in values.items() if value is not None})
        struct.pack_into("<I", out, slot, table - slot)
        if code.custom is not None:
            struct.pack_into("<I", out, fields[1], len(out) - fields[1])
            out += struct.pack("<I", len(code.custom)) + code.custom + b"\0"
            out += bytes(-len(out) % 4)
    return bytes(out)


def _table(out: bytearray, fields: Mapping[int, bytes]) -> tuple[int, dict[int, int]]:
    """Append a vtable and its table with four-byte `fields` by number; returns where it and they lie."""
    count = max(fields, default=-1) + 1
    vtable = len(out)
    offsets = {index: 4 + 4 * place for place, index in enumerate(sorted(fields))}
    out += struct.pack(
        f"<HH{count}H", 4 + 2 * count, 4 + 4 * len(fields), *(offsets.get(i, 0) for i in range(count))
    )
    out += bytes(-len(out) % 4)
    table = len(out)
    out += struct.pack("<i", table - vtable)
    for index in sorted(fields):
        out += fields[index]
    return table, {index: table + offset for index, offset in offsets.items()}
