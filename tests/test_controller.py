import base64
import json
from typing import Any

import pytest

from images.activation import ENTITY_BYTES, Classified, Status
from images.controller import REST_PATH, WEB_PATH, Call, Request, Response, answer, read
from images.invoker import Activation

JSON = ("Content-Type", "application/json")


def _request(
    target: str = "/", *, method: str = "POST", body: bytes = b"", kind: str | None = None
) -> Request:
    headers = {"host": "here", "content-length": str(len(body))} | ({"content-type": kind} if kind else {})
    return Request(method=method, target=target, headers=headers, body=body)


def _called(request: Request) -> dict[str, Any]:
    call = read(request)
    assert isinstance(call, Call), call
    return call.parameters


def _refused(request: Request) -> tuple[int, str]:
    response = read(request)
    assert isinstance(response, Response), response
    return response.status, response.body.decode()


JPEG = b"\xff\xd8\xff\xe0 picture"
AS_TEXT = "\ufffd\ufffd\ufffd\ufffd picture"  # what is left of it in UTF-8


# WebActions.scala: `contentType.mediaType.binary || contentType.mediaType == application/json`
@pytest.mark.parametrize(
    ("kind", "binary"),
    [
        ("image/jpeg", True),
        ("IMAGE/JPEG", True),
        ("application/octet-stream", True),
        (None, True),
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/vnd.api+json", False),
        ("application/x-www-form-urlencoded", False),  # what curl sends with --data-binary and nothing else
        ("text/plain", False),
        ("text/html; charset=iso-8859-1", False),
        ("multipart/form-data; boundary=x", False),
        ("image/svg+xml", False),
        ("application/x-unknown; charset=utf-8", False),
    ],
)
def test_a_raw_body_is_base64_where_its_type_is_binary(kind: str | None, *, binary: bool) -> None:
    expected = base64.b64encode(JPEG).decode() if binary else AS_TEXT
    assert _called(_request(body=JPEG, kind=kind))["__ow_body"] == expected


@pytest.mark.parametrize(
    ("target", "path", "query", "extension"),
    [
        ("/", "", "", ".http"),
        ("/?top=3&x", "", "top=3&x", ".http"),
        (WEB_PATH, "", "", ".http"),
        (f"{WEB_PATH}.http", "", "", ".http"),
        (f"{WEB_PATH}.json/a/b?c=d", "/a/b", "c=d", ".json"),
    ],
)
def test_a_web_action_is_told_of_the_request(target: str, path: str, query: str, extension: str) -> None:
    call = read(_request(target, method="PUT", body=b"x", kind="text/plain"))
    assert isinstance(call, Call)
    assert call.web == extension
    assert call.parameters == {
        "__ow_method": "put",
        "__ow_headers": {"host": "here", "content-type": "text/plain"},
        "__ow_path": path,
        "__ow_query": query,
        "__ow_body": "x",
    }


def test_a_request_without_a_body_has_an_empty_one() -> None:
    assert _called(_request(method="GET"))["__ow_body"] == ""


def test_parameters_come_as_json_over_the_rest_api() -> None:
    call = read(_request(f"{REST_PATH}?blocking=true&result=true", body=b'{"image": "x"}'))
    assert call == Call(parameters={"image": "x"}, result_only=True)
    assert read(_request(REST_PATH)) == Call(parameters={}, blocking=False, result_only=False)


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (_request(REST_PATH, body=b"[1]"), 400, "a JSON object is expected"),
        (_request(REST_PATH, body=b"{"), 400, "malformed"),
        (_request(REST_PATH, method="GET"), 405, "POST"),
        (_request("/nowhere"), 404, WEB_PATH),
        (_request(f"{WEB_PATH}x"), 404, WEB_PATH),
        (_request(method="BREW"), 405, "not allowed"),
        (_request(body=b"x" * (ENTITY_BYTES + 1)), 413, "1048577 > 1048576 bytes"),
        (_request(body=b"x" * 800_000), 413, "> 1048576 bytes"),  # as base64
        (
            _request(REST_PATH, body=b'{"image": "%s"}' % (b"x" * ENTITY_BYTES)),
            413,
            "Request larger than allowed",
        ),
    ],
)
def test_what_stands_for_no_call_is_refused(request_: Request, status: int, text: str) -> None:
    got, body = _refused(request_)
    assert got == status
    assert text in json.loads(body)["error"]


def test_a_photo_of_785_kb_passes() -> None:
    assert _called(_request(body=b"x" * 785_000))


def test_a_browser_is_told_that_it_may_ask() -> None:
    response = read(_request(method="OPTIONS"))
    assert isinstance(response, Response)
    assert (response.status, response.body) == (200, b"")
    assert ("Access-Control-Allow-Origin", "*") in response.headers


def _activation(status: Status, result: Any) -> Activation:
    return Activation(
        id="abc",
        status_code=200,
        body="",
        classified=Classified(status=status, result=result, kept=True),
        elapsed_ms=7.4,
        stdout=("out",),
        stderr=("err",),
        remarks=("remark",),
    )


ERROR = {"error": "why"}
UNTIDY = "There was an error processing your request."
OK, APPLICATION, DEVELOPER = Status.SUCCESS, Status.APPLICATION_ERROR, Status.DEVELOPER_ERROR


@pytest.mark.parametrize(
    ("status", "result", "code"),
    [
        (OK, {"k": 1}, 200),
        (OK, [1], 200),
        (APPLICATION, ERROR, 502),
        (DEVELOPER, ERROR, 502),
        (Status.PLATFORM_ERROR, ERROR, 500),
    ],
)
def test_the_rest_api_gives_the_result_and_its_status(status: Status, result: Any, code: int) -> None:
    response = answer(Call(parameters={}), _activation(status, result))
    assert (response.status, json.loads(response.body)) == (code, result)
    assert ("x-openwhisk-activation-id", "abc") in response.headers


@pytest.mark.parametrize("query", ["", "?result=true", "?blocking=false"])
def test_who_does_not_wait_gets_the_activations_id(query: str) -> None:
    call = read(_request(REST_PATH + query, body=b"{}"))
    assert isinstance(call, Call)
    response = answer(call, _activation(DEVELOPER, ERROR))
    assert (response.status, json.loads(response.body)) == (202, {"activationId": "abc"})


def test_or_the_whole_record() -> None:
    response = answer(Call(parameters={}, result_only=False), _activation(DEVELOPER, ERROR))
    assert json.loads(response.body) == {
        "activationId": "abc",
        "duration": 7,
        "response": {"status": "action developer error", "success": False, "result": ERROR},
        "logs": ["stdout: out", "stderr: err", "stderr: remark"],
    }


@pytest.mark.parametrize(
    ("extension", "status", "result", "code", "body", "kind"),
    [
        (".json", OK, {"k": 1}, 200, '{"k":1}', "application/json"),
        (".json", APPLICATION, {"error": {"why": 1}}, 200, '{"why":1}', "application/json"),
        (".json", APPLICATION, ERROR, 400, "Response is not valid 'application/json'.", None),
        (".http", OK, {"body": {"k": 1}}, 200, '{"k":1}', "application/json"),
        (".http", OK, {"statusCode": 201, "body": {"k": 1}}, 201, '{"k":1}', "application/json"),
        (".http", OK, {"statusCode": "404", "body": "x"}, 404, "x", "text/html; charset=UTF-8"),
        (".http", OK, {"k": 1}, 204, "", None),
        (".http", OK, {"statusCode": 302, "headers": {"Location": "/x"}}, 302, "", None),
        (".http", OK, {"body": "aGk=", "headers": {"content-type": "image/png"}}, 200, "hi", "image/png"),
        (
            ".http",
            OK,
            {"body": "e30=", "headers": {"content-type": "application/json"}},
            200,
            "{}",
            "application/json",
        ),
        (
            ".http",
            OK,
            {"body": "{}", "headers": {"content-type": "application/json"}},
            200,
            "{}",
            "application/json",
        ),
        (
            ".http",
            OK,
            {"body": "no base64", "headers": {"content-type": "image/png"}},
            400,
            "did not match",
            None,
        ),
        (
            ".http",
            APPLICATION,
            {"error": {"statusCode": 400, "body": ERROR}},
            400,
            '{"error":"why"}',
            "application/json",
        ),
        (".http", APPLICATION, ERROR, 400, "Response is not valid 'message/http'.", None),
        (".http", OK, {"statusCode": "many"}, 400, "message/http", None),
        (".http", OK, {"statusCode": 99, "body": "x"}, 400, "message/http", None),
        (".http", OK, {"headers": {"a": {}}}, 400, "message/http", None),
        (".http", OK, {"headers": 5}, 400, "message/http", None),
        (".http", OK, {"headers": {"a": "x\r\nb: c"}}, 400, "message/http", None),
        (".http", OK, {"headers": {"a: b": "x"}}, 400, "message/http", None),
        (".http", OK, {"headers": {"a": "\u2603"}}, 400, "message/http", None),
        (".json", OK, {"k": "\ud800"}, 200, '{"k":"?"}', "application/json"),  # as Java writes it
        (".http", DEVELOPER, ERROR, 400, UNTIDY, None),
        (".json", Status.PLATFORM_ERROR, ERROR, 400, UNTIDY, None),
    ],
)
def test_a_web_actions_result_is_an_http_answer(
    extension: str, status: Status, result: Any, code: int, body: str, *, kind: str | None
) -> None:
    response = answer(Call(parameters={}, web=extension), _activation(status, result))
    assert response.status == code
    assert body in response.body.decode()
    assert kind is None or ("Content-Type", kind) in response.headers
    assert ("x-openwhisk-activation-id", "abc") in response.headers


def test_headers_of_a_result_are_passed_on() -> None:
    result = {"headers": {"Set-Cookie": ["a=1", "b=2"], "X-Number": 5, "X-Yes": True}, "body": "x"}
    response = answer(Call(parameters={}, web=".http"), _activation(OK, result))
    assert {("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Number", "5"), ("X-Yes", "true")} <= set(
        response.headers
    )
