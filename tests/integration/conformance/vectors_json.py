"""Bad JSON and odd JSON: ours answers and lives on, where the official image often does not."""

from tests.integration.conformance.steps import (
    ECHO,
    EMPTY,
    MALFORMED,
    UNSENDABLE,
    echoed,
    error,
    init,
    ok,
    send,
)
from tests.integration.conformance.vector import Logs, Vector, Where
from tests.integration.conformance.vectors_13a import QUIET, SILENT

_BAD_JSON: tuple[bytes, ...] = (
    b"",
    b" ",
    b"{",
    b'{"value":{}',
    b'{"value":{}}}',
    b"{'value':{}}",
    b'{"value":{},}',
    b'{"value":undefined}',
    b'{"value":{"a":NaN}}',
    b'{"value":{"a":-Infinity}}',
    b'{"value":{"a":01}}',
    b'{"value":{"a":"\n"}}',
    b'{"value":{"a":"\\x"}}',
    b'{"value":{"a":"\xff\xfe"}}',
    b'\xef\xbb\xbf{"value":{}}',
    b'{"value":{}}'.decode().encode("utf-16"),
    b'[{"value":{}}]',
    b'"value"',
    b"7",
    b'{"value":{"a":' + b"9" * 5000 + b"}}",
    b'{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"value":' + b'{"a":' * 100_000 + b"0" + b"}" * 100_000 + b"}",
    b"\0" * 100,
)
_WRONG_TYPES: tuple[bytes, ...] = (
    b'{"value":7}',
    b'{"value":[]}',
    b'{"value":{"code":7}}',
    b'{"value":{"code":["x"]}}',
    b'{"value":{"code":"x","main":7}}',
    b'{"value":{"code":"x","binary":"true"}}',
    b'{"value":{"code":"x","env":[]}}',
    b'{"value":{"code":"x","env":"A=b"}}',
    b'{"value":{"code":"x","env":{"A=":"b"}}}',
    b'{"value":{"code":"x","env":{"A":"\\u0000"}}}',
    b'{"value":{"code":"x","env":{"A":"\\ud800"}}}',
)
_NOT_BASE64 = '{"value":{"code":"not base64","binary":true}}'
_NO_VALUE = ("{}", "null", '{"value":null}', '{"other":1}')
_EXOTIC: tuple[tuple[bytes, tuple[int | None, Where]], ...] = (
    (b'{"value":{"a":1,"a":2}}', ok({"a": 2})),
    (b'{"value":{"a":"\\ud800"}}', (200, Where('{"a":"\\ud800"}', lambda got: got == {"a": "\ud800"}))),
    (b'{"value":{"a":123456789012345678901234567890}}', ok({"a": 123456789012345678901234567890})),
    (b'{"value":{"a":1e-999}}', ok({"a": 0.0})),
    (b'{"value":{"a":1e999}}', UNSENDABLE),
    (b'{"value":{"a":1.7976931348623157e308}}', ok({"a": 1.7976931348623157e308})),
    (b'{"value":{"":{"\\u0000":[null,true,false]}}}', ok({"": {"\0": [None, True, False]}})),
    (b' \n{"value":\t{"a":1}}\r\n', ok({"a": 1})),
    (
        b'{"value":{"a":' + b"[" * 300 + b"]" * 300 + b"}}",
        (200, Where("300 arrays deep", lambda got: "a" in got)),
    ),
)

VECTORS = (
    Vector(
        id="x-json-1",
        name=f"run with {len(_BAD_JSON)} kinds of malformed JSON",
        steps=(init(ECHO), *(send("/run", body, MALFORMED) for body in _BAD_JSON), *echoed({"a": 1})),
        logs=QUIET,
        adapts="400 and the action lives on, where the official process is gone",
    ),
    Vector(
        id="x-json-2",
        name=f"init with {len(_BAD_JSON) + len(_WRONG_TYPES)} kinds of malformed JSON and wrong types",
        steps=(
            *(send("/init", body, MALFORMED) for body in (*_BAD_JSON, *_WRONG_TYPES)),
            send("/init", _NOT_BASE64, (400, error("cannot decode the request: "))),
            init(ECHO),
        ),
        logs=SILENT,
    ),
    Vector(
        id="x-json-3",
        name="run with unusual JSON",
        steps=(init(ECHO), *(send("/run", body, expected) for body, expected in _EXOTIC)),
        logs=Logs(sentinels=len(_EXOTIC), out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="x-json-4",
        name="run without value: {}, null",
        steps=(
            init(ECHO),
            *(send("/run", body, ok({})) for body in _NO_VALUE),
        ),
        logs=Logs(sentinels=4, out=EMPTY, err=EMPTY),
    ),
)
