"""The words that vectors are written in: calls, archives, what is expected of answers and logs."""

import base64
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from images.protocol import encode
from tests.integration.conformance.server import CLIENT_SECONDS, Server
from tests.integration.conformance.vector import Reply, Step, Where, short

Code = str | bytes | Callable[[], str | bytes] | None


# What is expected
# --------------------------------------------------------------------------------------------------------------------


def same(value: Any) -> Where:
    """Exactly this value; True is not 1."""
    wanted = json.dumps(value, sort_keys=True)
    return Where(short(value), lambda got: json.dumps(got, sort_keys=True) == wanted)


def has(*texts: str) -> Where:
    """A log with each of these texts, in whatever order."""
    return Where(f"has {' and '.join(map(repr, texts))}", lambda got: all(text in got for text in texts))


def lines(*wanted: str) -> Where:
    """A log with these lines and no other; blank ones do not count."""
    return Where(" / ".join(wanted), lambda got: tuple(line for line in got.splitlines() if line) == wanted)


def error(text: str = "", *, exactly: bool = False) -> Where:
    """An object whose `error` is a text with this in it, and nothing beside it."""

    def holds(got: Any) -> bool:
        if not isinstance(got, dict) or list(got) != ["error"] or not isinstance(got["error"], str):
            return False
        return got["error"] == text if exactly else bool(got["error"]) and text in got["error"]

    return Where(json.dumps({"error": text if exactly else f"…{text}…"}, ensure_ascii=False), holds)


ANYTHING = Where("anything", lambda _got: True)
EMPTY = Where("", lambda got: got == "")
OK = (200, same({"ok": True}))
MISSING_CODE = (403, error("Missing main/no code to execute.", exactly=True))
SECOND = (403, error("Cannot initialize the action more than once.", exactly=True))
NO_BINARY = (
    502,
    error("The action failed to generate or locate a binary. See logs for details.", exactly=True),
)
NOT_STARTED = (502, error("Cannot start action. Check logs for details.", exactly=True))
NO_ACTION = (500, error("no action defined yet", exactly=True))
NO_DICTIONARY = (502, error("The action did not return a dictionary or array.", exactly=True))
BAD_ARGUMENT = (404, error("The action did not receive a dictionary or array as an argument.", exactly=True))
MALFORMED = (400, error("Error unmarshaling request: "))
UNSENDABLE = (502, error("The action did not return a dictionary or array that JSON can hold: "))
NO_ANSWER = (None, Where("no answer", lambda got: str(got).startswith("no answer: ")))
CLASSIFIED = (
    200,
    Where(
        '{"results":[5 classes]}',
        lambda got: isinstance(got, dict) and len(got.get("results", ())) == 5 and "error" not in got,
    ),
)
NO_IMAGE = (200, error())


def ok(value: Any) -> tuple[int, Where]:
    """Status 200 and exactly this."""
    return 200, same(value)


# Calls
# --------------------------------------------------------------------------------------------------------------------


def init_body(code: Code = None, main: str = "main", env: Mapping[str, Any] | None = None) -> bytes:
    """The body of /init as the official harness sends it: always `code`, `main`, `binary`, `env`; bytes as base64."""
    made = code() if callable(code) else code
    text = base64.b64encode(made).decode() if isinstance(made, bytes) else made
    binary = isinstance(made, bytes)
    return encode({"value": {"name": "test", "main": main, "binary": binary, "code": text, "env": env}})


def init(
    code: Code,
    expected: tuple[int | None, Where] = OK,
    *,
    main: str = "main",
    env: Mapping[str, Any] | None = None,
) -> Step:
    """Post to /init."""
    return Step(act=lambda server: [server.post("/init", init_body(code, main, env))], expected=(expected,))


def run(
    value: Any,
    expected: tuple[int | None, Where],
    *,
    seconds: float = CLIENT_SECONDS,
    **context: Any,
) -> Step:
    """Post to /run; a function as `value` is asked for the value."""

    def act(server: Server) -> list[Reply]:
        body = encode({"value": value() if callable(value) else value, **context})
        return [server.post("/run", body, seconds)]

    return Step(act=act, expected=(expected,))


def echoed(*values: Any) -> tuple[Step, ...]:
    """Runs that must give back what they are given."""
    return tuple(run(value, ok(value)) for value in values)


def send(
    path: str,
    body: bytes | str | Callable[[], bytes],
    expected: tuple[int | None, Where],
    *,
    seconds: float = CLIENT_SECONDS,
) -> Step:
    """Post these very bytes."""

    def act(server: Server) -> list[Reply]:
        made = body() if callable(body) else body
        return [server.post(path, made.encode() if isinstance(made, str) else made, seconds)]

    return Step(act=act, expected=(expected,))


def look(act: Callable[[Server], Any], expected: Where) -> Step:
    """Look at something that is no answer."""
    return Step(act=lambda server: [Reply(status=None, body=act(server))], expected=((None, expected),))


def do(act: Callable[[Server], object]) -> Step:
    """Do something that gives nothing to look at."""

    def without_reply(server: Server) -> list[Reply]:
        act(server)
        return []

    return Step(act=without_reply)


def printed(text: str) -> Step:
    """Wait until the action has printed this on stdout."""
    return do(lambda server: server.wait_for_output(text))


def listening() -> Step:
    """Wait until the server listens, which takes its time on a busy machine."""
    return do(lambda server: server.connect().close())


# Code
# --------------------------------------------------------------------------------------------------------------------

ECHO = "def main(args):\n    return args\n"
PRINTS = """
import sys
def main(args):
    print("hello stdout")
    print("hello stderr", file=sys.stderr)
    return args
"""


def returns(expression: str) -> str:
    """An action that gives the value of a Python expression."""
    return f"import os, sys\ndef main(args):\n    return {expression}\n"


def does(*statements: str) -> str:
    """An action that does this and gives an empty object."""
    return "import os, sys\ndef main(args):\n    " + "\n    ".join(statements) + "\n    return {}\n"


def zipped(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A zip of names and contents, and of symbolic links."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    return buffer.getvalue()


def tarred(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> bytes:
    """The same as tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            blob = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            archive.addfile(info, io.BytesIO(blob))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()
