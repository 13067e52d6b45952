"""§13c: what the suites of other families add, above all an image whose action is built in."""

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

from images.protocol import encode
from tests.integration.conformance.pictures import noise
from tests.integration.conformance.server import Server
from tests.integration.conformance.steps import (
    BAD_ARGUMENT,
    CLASSIFIED,
    ECHO,
    EMPTY,
    MISSING_CODE,
    NO_ACTION,
    NO_ANSWER,
    NO_BINARY,
    NO_IMAGE,
    does,
    echoed,
    has,
    init,
    lines,
    listening,
    look,
    ok,
    printed,
    returns,
    run,
    same,
    send,
    tarred,
    zipped,
)
from tests.integration.conformance.vector import Logs, Reply, Step, Vector, Where
from tests.integration.conformance.vectors_13a import NOTHING_BUILT_IN, QUIET, SILENT

_PICTURE = {"image": noise(8)}
_HERE = returns("{'here': os.getcwd() == sys.path[0] == os.path.dirname(os.path.abspath(__file__))}")
_LINKED = {
    "__main__.py": "from inner import NAME\ndef main(args):\n    return {'link': NAME}\n",
    "a/b.py": "NAME = 1",
}
_ENDED = look(Server.end, same({"running": False, "out of memory": False}))
_COUNTED = """
import time
busy = 0
def main(args):
    global busy
    busy += 1
    time.sleep(0.05)
    most = busy
    busy -= 1
    return {"n": args["n"], "most": most}
"""


def _together(count: int) -> Step:
    def act(server: Server) -> list[Reply]:
        bodies = [encode({"value": {"n": number}}) for number in range(count)]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda body: server.post("/run", body), bodies))

    return Step(act=act, expected=tuple(ok({"n": number, "most": 1}) for number in range(count)))


VECTORS = (
    Vector(
        id="13c-1",
        name="run before init",
        steps=(run({}, NO_ACTION), init(ECHO), *echoed({"a": 1})),
        logs=QUIET,
        environment=NOTHING_BUILT_IN,
    ),
    Vector(
        id="13c-2",
        name="init {}, then run",
        steps=(send("/init", "{}", MISSING_CODE), run({}, NO_ACTION)),
        logs=SILENT,
        environment=NOTHING_BUILT_IN,
    ),
    Vector(
        id="13c-3",
        name="stub: run without init",
        steps=(run(_PICTURE, CLASSIFIED), run({}, NO_IMAGE)),
        logs=Logs(sentinels=2),
    ),
    *(
        Vector(
            id=f"13c-3{letter}",
            name=f"stub: run after init {words}",
            steps=(send("/init", body, (200, same({"ok": True}))), run(_PICTURE, CLASSIFIED)),
            logs=Logs(sentinels=1),
        )
        for letter, words, body in (
            ("b", "{}", b"{}"),
            (
                "c",
                "with code null",
                b'{"value":{"name":"x","main":"main","binary":false,"code":null,"env":null}}',
            ),
            ("d", 'with code ""', b'{"value":{"name":"x","main":"main","binary":false,"code":"","env":{}}}'),
            (
                "e",
                "as the platform sends it, without code",
                b'{"value":{"name":"x","main":"main","binary":false,"env":{"A":"b"}}}',
            ),
        )
    ),
    Vector(
        id="13c-4",
        name="value is a string",
        steps=(init(ECHO), run("text", BAD_ARGUMENT), *echoed({"a": 1})),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="13c-5",
        name="empty code, then run null",
        steps=(init(""), send("/run", "null", NO_IMAGE)),
        logs=Logs(sentinels=1),
        adapts="a missing value is {}, in which the built-in classifier misses its image",
    ),
    Vector(
        id="13c-6",
        name="zip with `exec`, no main and env in init",
        steps=(
            send(
                "/init",
                lambda: encode(
                    {
                        "value": {
                            "name": "x",
                            "binary": True,
                            "code": b64encode(zipped({"exec": ECHO})).decode(),
                        }
                    }
                ),
                (200, same({"ok": True})),
            ),
            *echoed({"a": 1}),
        ),
        logs=QUIET,
        adapts="`exec` is Python here, where the official skeleton takes any program",
    ),
    Vector(
        id="13c-7",
        name="cwd is the code's folder: source",
        steps=(init(_HERE), run({}, ok({"here": True}))),
        logs=QUIET,
    ),
    Vector(
        id="13c-7b",
        name="cwd is the code's folder: zip",
        steps=(init(zipped({"__main__.py": _HERE})), run({}, ok({"here": True}))),
        logs=QUIET,
    ),
    Vector(
        id="13c-8",
        name="init sleeps",
        steps=(
            listening(),
            send(
                "/init",
                encode({"value": {"code": "print('at import', flush=True)\nimport time\ntime.sleep(60)"}}),
                NO_ANSWER,
                seconds=1,
            ),
            printed("at import"),
        ),
        logs=Logs(sentinels=0, out=lines("at import"), err=EMPTY),
    ),
    Vector(
        id="13c-8b",
        name="init ends the process",
        steps=(init("import os\nprint('at import')\nos._exit(1)\n", NO_ANSWER), _ENDED),
        logs=Logs(sentinels=0, out=lines("at import"), err=EMPTY),
        adapts="no answer at all, where the official proxy is another process and answers",
    ),
    Vector(
        id="13c-8c",
        name="run sleeps",
        steps=(
            init(does("print('in it')", "import time; time.sleep(60)")),
            run({}, NO_ANSWER, seconds=1),
            printed("in it"),
        ),
        logs=Logs(sentinels=0, out=lines("in it"), err=EMPTY),
    ),
    Vector(
        id="13c-8d",
        name="run ends the process",
        steps=(init(does("print('in it')", "os._exit(1)")), run({}, NO_ANSWER), _ENDED),
        logs=Logs(sentinels=0, out=lines("in it"), err=EMPTY),
        adapts="no answer at all, as before: the platform says that the action exited unexpectedly",
    ),
    Vector(
        id="13c-9",
        name="failed init, then init again",
        steps=(
            init("1/0", (502, Where("an error", lambda got: "error" in got))),
            init(ECHO),
            *echoed({"a": 1}),
        ),
        logs=Logs(sentinels=2, err=has("ZeroDivisionError")),
    ),
    Vector(
        id="13c-10",
        name="invalid zip",
        steps=(init(b"PK\x03\x04 is how a zip begins", NO_BINARY), init(ECHO), *echoed({"a": 1})),
        logs=Logs(sentinels=2, out=EMPTY, err=has("damaged")),
    ),
    Vector(
        id="13c-10b",
        name="valid zip, no action",
        steps=(init(zipped({"readme.txt": "nothing here"}), NO_BINARY),),
        logs=Logs(sentinels=1, out=EMPTY, err=has("Zip file does not include")),
    ),
    Vector(
        id="13c-11",
        name="concurrent runs",
        steps=(init(_COUNTED), _together(8)),
        logs=Logs(sentinels=8, out=EMPTY, err=EMPTY),
        adapts="one after the other, where Node refuses all but one and the official Python mixes them up",
    ),
    Vector(
        id="13c-12",
        name="symbolic links in a zip",
        steps=(init(zipped(_LINKED, {"inner.py": "a/b.py"})), run({}, ok({"link": 1}))),
        logs=QUIET,
    ),
    Vector(
        id="13c-12b",
        name="symbolic links in a tar.gz",
        steps=(init(tarred(_LINKED, {"inner.py": "a/b.py"})), run({}, ok({"link": 1}))),
        logs=QUIET,
    ),
)
