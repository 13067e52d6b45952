"""The bodies of /init and /run, and what an action's result becomes."""

import json

import pytest

from images.runtime.messages import (
    BAD_RESULT,
    MalformedError,
    ResultError,
    as_text,
    error_body,
    read_init,
    read_object,
    result_body,
)


class Scalar:
    """As NumPy's scalars and arrays look from outside."""

    def __init__(self, value: object) -> None:
        self.value = value

    def tolist(self) -> object:
        return self.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"a"',
        b"7",
        b"\xff{}",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b'{"a":NaN}',
        b'{"a":-Infinity}',
    ],
)
def test_a_body_that_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError, match=r"^Error unmarshaling request: "):
        read_object(bytearray(body))


def test_the_complaint_about_a_body_does_not_repeat_it() -> None:
    with pytest.raises(MalformedError) as caught:
        read_object(bytearray(b'{"api_key":"very:secret",}'))
    assert "secret" not in str(caught.value)


def test_a_body_is_let_go_once_it_is_read() -> None:
    body = bytearray(b'{"a":"b"}')
    assert read_object(body) == {"a": "b"}
    assert not body
    assert read_object(bytearray(b"null")) == {}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"value": None},
        {"value": {}},
        {"value": {"code": None}},
        {"value": {"code": ""}},
        {"value": {"code": {}}},
    ],
)
def test_all_ways_to_send_no_code_are_one(message: dict[str, object]) -> None:
    init = read_init(message)
    assert (init.code, init.binary, init.main, init.env) == (None, False, "main", {})


@pytest.mark.parametrize(
    "value",
    [
        7,
        [],
        "",
        {"code": 7},
        {"code": ["a"]},
        {"main": 7},
        {"binary": "yes"},
        {"binary": 1},
        {"env": []},
        {"env": "A=b"},
    ],
)
def test_parts_of_the_wrong_type_are_malformed(value: object) -> None:
    with pytest.raises(MalformedError, match="must be"):
        read_init({"value": value})


@pytest.mark.parametrize(
    ("value", "text"),
    [("a=b", "a=b"), (None, ""), (True, "true"), (7, "7"), (1.5, "1.5"), ({"a": ["ü"]}, '{"a":["ü"]}')],
)
def test_variables_are_text_as_the_platform_makes_it(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("result", "body"),
    [
        ({}, b"{}"),
        (None, b"{}"),
        ([], b"[]"),
        (("a", 1), b'["a",1]'),
        ({"a": "\u2603"}, '{"a":"\u2603"}'.encode()),
        ({"a": "\ud800"}, b'{"a":"\\ud800"}'),
        ({"a": Scalar(0.5), "b": Scalar([1, 2])}, b'{"a":0.5,"b":[1,2]}'),
        (Scalar([1.0]), b"[1.0]"),
    ],
)
def test_results_become_json(result: object, body: bytes) -> None:
    assert result_body(result) == body


@pytest.mark.parametrize("result", ["a", 7, 1.5, True, Scalar(3)])
def test_scalars_are_no_results(result: object) -> None:
    with pytest.raises(ResultError) as caught:
        result_body(result)
    assert str(caught.value) == BAD_RESULT


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "result",
    [{"a": b"x"}, {"a": {1}}, {"a": object()}, {"a": float("nan")}, [float("inf")], {(1, 2): 3}, LOOP],
)
def test_what_json_cannot_hold_is_refused_with_a_reason(result: object) -> None:
    with pytest.raises(
        ResultError, match=r"^The action did not return a dictionary or array that JSON can hold: ."
    ):
        result_body(result)


def test_errors_survive_any_text() -> None:
    assert json.loads(error_body('"\n\ud800')) == {"error": '"\n\ud800'}
