import contextlib
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.operators import BadModel, Operator, read_operators
from model_fetch import load_catalog
from tests.catalogued import needed
from tests.tflite_bytes import Code, model

SMALL = model([Code(deprecated=3, builtin=3, version=5), Code(deprecated=32, builtin=32, custom=b"Detect")])

CASES: dict[str, tuple[list[Code], list[Operator]]] = {
    "a-file-from-before-builtin-code-has-the-deprecated-one": (
        [Code(deprecated=4, version=2)],
        [Operator(builtin=4, version=2)],
    ),
    "above-127-only-builtin-code-says-it": (
        [Code(deprecated=127, builtin=150, version=1)],
        [Operator(builtin=150, version=1)],
    ),
    "without-any-field-it-is-the-first-version-of-add": ([Code()], [Operator(builtin=0, version=1)]),
    "a-custom-operator-has-a-name": (
        [Code(deprecated=32, builtin=32, custom="Größe".encode())],
        [Operator(builtin=32, version=1, custom="Größe")],
    ),
    "sorted-and-without-repetition": (
        [Code(builtin=9), Code(builtin=3, version=2), Code(builtin=9), Code(builtin=3, version=1)],
        [
            Operator(builtin=3, version=1),
            Operator(builtin=3, version=2),
            Operator(builtin=9, version=1),
        ],
    ),
    "custom-operators-sort-by-name": (
        [Code(builtin=32, custom=b"b"), Code(builtin=32, custom=b"a"), Code(builtin=32)],
        [Operator(builtin=32, version=1, custom=name) for name in (None, "a", "b")],
    ),
}


@pytest.mark.parametrize(("codes", "expected"), CASES.values(), ids=CASES)
def test_operator_codes_are_read_as_the_schema_means_them(
    codes: list[Code], expected: list[Operator]
) -> None:
    assert list(read_operators(model(codes))) == expected


# Numbers of schema.fbs: 0 ADD, 1 AVERAGE_POOL_2D, 3 CONV_2D, 4 DEPTHWISE_CONV_2D, 22 RESHAPE, 25 SOFTMAX, 40 MEAN,
# 43 SQUEEZE, 114 QUANTIZE; with the version of each.
REAL = {
    "mobilenet_v1_0.25_128_quant": {1: 1, 3: 1, 4: 1, 22: 1, 25: 1},
    "mobilenet_v1_0.25_224": {1: 1, 3: 1, 4: 1, 25: 1, 43: 1},
    "tf2_mobilenet_v2_1.0_224_ptq": {0: 2, 3: 3, 4: 3, 22: 1, 25: 2, 40: 2, 114: 1},
}


@pytest.mark.parametrize("name", REAL)
def test_real_models_are_read(name: str) -> None:
    (file,) = needed(load_catalog().model(name))
    assert {o.builtin: o.version for o in read_operators(file.read_bytes())} == REAL[name]


NO_MODELS = {
    "nothing": (b"", "TFL3"),
    "html": (b"<!DOCTYPE html><html>", "Is the download complete"),
    "identifier-only": (b"\x08\0\0\0TFL3", "damaged"),
    "no-operators": (model([]), "lists no operators"),
    "more-kinds-than-there-are": (model([Code(builtin=1)] * 5000), "5000 kinds"),
    "a-name-longer-than-any": (model([Code(builtin=32, custom=b"x" * 2000)]), "a name of 2000 bytes"),
    "a-name-that-is-no-utf-8": (model([Code(builtin=32, custom=b"\xff\xfe")]), "damaged"),
}


@pytest.mark.parametrize(("content", "said"), NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_model_is_refused_with_the_reason(content: bytes, said: str) -> None:
    with pytest.raises(BadModel, match=said):
        read_operators(content)


@pytest.mark.parametrize("size", range(0, len(SMALL), 16))
def test_a_model_cut_short_is_refused(size: int) -> None:
    with pytest.raises(BadModel):
        read_operators(SMALL[:size])


def _result_or_bad_model(content: bytes) -> None:
    with contextlib.suppress(BadModel):
        assert read_operators(content)


def test_a_word_of_any_value_at_any_offset_gives_a_result_or_bad_model() -> None:
    for at in range(len(SMALL) - 3):
        for word in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(SMALL), 2**32 - at):
            changed = bytearray(SMALL)
            struct.pack_into("<I", changed, at, word % 2**32)
            _result_or_bad_model(bytes(changed))


@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_changed_bytes_give_a_result_or_bad_model(changes: list[tuple[int, int]]) -> None:
    content = bytearray(SMALL)
    for at, byte in changes:
        content[at] = byte
    _result_or_bad_model(bytes(content))


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_identifier_give_a_result_or_bad_model(rest: bytes) -> None:
    _result_or_bad_model(b"\x10\0\0\0TFL3" + rest)


def test_many_operators_that_share_one_long_name_take_neither_time_nor_memory() -> None:
    """Without a bound on names, each of the 4000 would be a copy of the same 8 MB."""
    content = bytearray(model([Code(builtin=32, version=i, custom=b"x") for i in range(4000)]))
    text = len(content)
    content += struct.pack("<I", 8 << 20) + b"x" * (8 << 20)
    vector = struct.unpack_from("<I", content, 0)[0] + 8  # the second field of Model ...
    vector += struct.unpack_from("<I", content, vector)[0]  # ... leads to the vector
    for i in range(4000):
        slot = vector + 4 + 4 * i
        field = slot + struct.unpack_from("<I", content, slot)[0] + 4  # custom_code is the table's first here
        struct.pack_into("<I", content, field, text - field)
    hostile = bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(BadModel, match="a name of"):
            read_operators(hostile)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
