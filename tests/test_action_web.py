"""What the platform makes of an HTTP request to a web action becomes plain arguments, the result an HTTP answer."""

import base64
import json
from typing import Any

import pytest

from action.classifier.request import RefusedError, is_web
from action.classifier.web import read_call, to_answer

FILE = b"\xff\xd8\xff\xe0" + bytes(range(256))
TEXT = base64.b64encode(FILE).decode()
AS_TEXT = FILE.decode("utf-8", "replace")  # what the platform makes of a body whose type is not a binary one


def call(
    body: object = "", kind: str | None = None, *, query: str | None = "", **others: object
) -> dict[str, Any]:
    """The arguments that the platform makes (WebActions.scala, Context.toActionArgument); no query: --web true."""
    headers = {"host": "x", "user-agent": "curl"} | ({} if kind is None else {"content-type": kind})
    made = {"__ow_method": "post", "__ow_path": "", "__ow_headers": headers, **others}
    return (
        made
        | ({} if body is None else {"__ow_body": body})
        | ({} if query is None else {"__ow_query": query})
    )


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


READ = {
    "a picture with its type": (call(TEXT, "image/jpeg"), {"image": TEXT}),
    "with a charset": (call(TEXT, "Image/JPEG; charset=x"), {"image": TEXT}),
    "of no type": (call(TEXT), {"image": TEXT}),
    "options of the query": (
        call(TEXT, "image/jpeg", query="top=3&minProbability=0.25"),
        {"image": TEXT, "top": 3, "minProbability": 0.25},
    ),
    "an option in percent signs": (call(TEXT, query="t%6fp=%33"), {"image": TEXT, "top": 3}),
    "the last of two": (call(TEXT, query="top=3&top=4"), {"image": TEXT, "top": 4}),
    "an unknown option, which is refused later": (
        call(TEXT, query="tpo=&x"),
        {"image": TEXT, "tpo": "", "x": ""},
    ),
    "no number, which is refused later": (call(TEXT, query="top=many"), {"image": TEXT, "top": "many"}),
    "Python's no number": (
        call(TEXT, query="minProbability=NaN&top=1%zz"),
        {"image": TEXT, "minProbability": "NaN", "top": "1%zz"},
    ),
    "base64 as text": (call(TEXT, "text/plain"), {"image": TEXT}),
    "base64 in curl's own type": (call(TEXT, "application/x-www-form-urlencoded"), {"image": TEXT}),
    "JSON, which comes as base64": (
        call(encoded({"images": [TEXT], "top": 2}), "application/json"),
        {"images": [TEXT], "top": 2},
    ),
    "JSON of a type that comes as text": (call(' {"image": "x"}', "application/a+json"), {"image": "x"}),
    "the body over the query over what is stored": (
        call(encoded({"image": TEXT, "top": 1}), "application/json", query="top=2&minProbability=1", top=3),
        {"image": TEXT, "top": 1, "minProbability": 1},
    ),
    "not raw: a picture": (
        call(TEXT, "image/jpeg", query=None, top="3"),
        {"image": TEXT, "top": 3},
    ),
    "not raw: JSON or a form": (call(None, query=None, image=TEXT, top="3"), {"image": TEXT, "top": 3}),
}


@pytest.mark.parametrize(("arguments", "plain"), READ.values(), ids=READ)
def test_a_call_over_http_is_read(arguments: dict[str, Any], plain: dict[str, object]) -> None:
    assert is_web(arguments)
    assert read_call(arguments) == plain


REFUSED = {
    "GET": (call("", __ow_method="get"), "no image in this GET request: send the file itself, as in: curl"),
    "not raw GET": (call(None, query=None, __ow_method="get"), "no image in this GET request"),
    "an empty body": (call("", "image/jpeg"), "no image in this POST request"),
    "curl's own type": (
        call(AS_TEXT, "application/x-www-form-urlencoded"),
        "a body of type application/x-www-form-urlencoded arrives here as text, damaged: send the file itself",
    ),
    "no body at all": (call(), "as in: curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' URL"),
    "text": (call(AS_TEXT, "text/plain"), "a body of type text/plain arrives here as text, damaged"),
    "a form with a file": (
        call(TEXT, "multipart/form-data; boundary=x"),
        "forms with files (multipart/form-data) are not taken: send the file itself",
    ),
    "JSON that is none": (call(base64.b64encode(b"{").decode(), "application/json"), "not a JSON object"),
    "JSON with what is no JSON": (
        call(base64.b64encode(b'{"image": "x", "top": NaN}').decode(), "application/json"),
        "not a JSON object",
    ),
    "JSON that is a list": (call(encoded([1]), "application/json"), "not a JSON object"),
    "JSON that is no base64": (call("[]", "application/json"), "not a JSON object"),
    "JSON without end": (
        call(base64.b64encode(b"[" * 100_000).decode(), "application/json"),
        "not a JSON object",
    ),
    "not raw: a JSON list": (
        call([1], "application/json", query=None),
        "must be a picture, or a JSON object",
    ),
    "headers that are none": (call(AS_TEXT, __ow_headers=None), "a body of type text arrives here as text"),
}


@pytest.mark.parametrize(("arguments", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_said(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_call(arguments)
    assert text in str(caught.value)


@pytest.mark.parametrize("arguments", [{}, {"image": TEXT}, [], None, {"__ow_user": "guest"}])
def test_other_calls_are_none_over_http(arguments: object) -> None:
    assert not is_web(arguments)


def test_a_result_is_status_200_and_an_error_400_which_stays_an_error_for_the_platform() -> None:
    assert to_answer({"results": []}) == {"statusCode": 200, "body": {"results": []}}
    assert to_answer({"error": "why"}) == {"error": {"statusCode": 400, "body": {"error": "why"}}}
