"""Bad clients, odd output, limits: ours answers and lives on, where the official image often does not."""

from tests.integration.conformance.pictures import noise
from tests.integration.conformance.server import Server
from tests.integration.conformance.steps import (
    CLASSIFIED,
    ECHO,
    EMPTY,
    NO_ANSWER,
    OK,
    do,
    does,
    echoed,
    error,
    has,
    init,
    init_body,
    lines,
    ok,
    returns,
    run,
    send,
)
from tests.integration.conformance.vector import Logs, Vector, Where
from tests.integration.conformance.vectors_13a import QUIET
from tests.integration.conformance.wires import (
    RUN,
    beside_silence,
    crowded,
    expecting_continue,
    half_a_request,
    laden,
    leaving,
    on_one_connection,
    request,
)

_SLOW = """
import time
def main(args):
    if args:
        print("in it")
        time.sleep(0.5)
    return {"left": bool(args), "much": "x" * 500_000}
"""
_MUCH = Where('{"left":false,"much":"xxx…"}', lambda got: got == {"left": False, "much": "x" * 500_000})
_THREADS = returns(
    "{'threads': int(next(line for line in open('/proc/self/status') if line[:8] == 'Threads:')[8:])}"
)
_OPEN = """
def main(args):
    files = []
    try:
        while True:
            files.append(open("/dev/null"))
    except OSError as error:
        return {"refused": error.strerror, "enough": 900 < len(files) < 1024}
    finally:
        for file in files:
            file.close()
"""


def _outputs(statement: str) -> str:
    return f"import ctypes, io, sys\ndef main(args):\n    {statement}\n    return {{}}\n"


def _output_vector(number: int, name: str, statement: str, *shown: str) -> Vector:
    return Vector(
        id=f"x-log-{number}",
        name=name,
        steps=(init(_outputs(statement)), run({}, ok({})), run({}, ok({}))),
        logs=Logs(sentinels=2, out=lines(*shown * 2), err=EMPTY),
    )


def _kill(server: Server) -> None:
    server.wait_for_output("last words")
    server.container.kill()


def _ten_megabytes() -> Where:
    return Where("10 MB, all of it", lambda got: got == "\n".join(["x" * 99] * 100_000))


VECTORS = (
    Vector(
        id="x-http-1",
        name="client leaves in mid-run",
        steps=(
            init(_SLOW),
            leaving({"n": 1}, "in it"),
            run({}, (200, _MUCH)),
            run({}, (200, _MUCH)),
        ),
        logs=Logs(sentinels=3, out=lines("in it"), err=EMPTY),
    ),
    Vector(
        id="x-http-2",
        name="half a request, then close",
        steps=(init(ECHO), half_a_request(), *echoed({"a": 1})),
        logs=QUIET,
    ),
    Vector(
        id="x-http-3",
        name="half a request, then silence",
        steps=(init("def main(args):\n    return {}\n"), beside_silence("/run", RUN, ok({}))),
        logs=Logs(sentinels=3, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="x-http-4",
        name="a thousand connections",
        steps=(init("def main(args):\n    return {}\n"), crowded(1000, "/run", RUN, ok({}))),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="x-http-5",
        name="Expect: 100-continue",
        steps=(
            expecting_continue("/init", init_body(ECHO), OK),
            expecting_continue(
                "/run", b'{"value":{"a":"' + b"a" * 1_000_000 + b'"}}', ok({"a": "a" * 1_000_000})
            ),
        ),
        logs=QUIET,
    ),
    Vector(
        id="x-http-6",
        name="50 MB of /init body",
        steps=(
            send("/init", lambda: init_body("#" + "x" * (50_000_000 - 200) + "\n" + ECHO), OK),
            *echoed({"a": 1}),
        ),
        logs=QUIET,
    ),
    Vector(
        id="x-http-7",
        name="other paths and methods; a body over 64 MiB",
        steps=(
            init(ECHO),
            *(
                on_one_connection((sent, (status, error())))
                for sent, status in (
                    (request("POST", "/", RUN), 404),
                    (request("GET", "/health", b""), 404),
                    (request("DELETE", "/run", b""), 405),
                    (request("GET", "/run", b""), 400),
                    (b"nonsense\r\n\r\n", 400),
                    (b"POST /init HTTP/1.1\r\nContent-Length: 70000000\r\n\r\n", 413),
                )
            ),
            *echoed({"a": 1}),
        ),
        logs=QUIET,
    ),
    Vector(
        id="x-http-8",
        name="ten clients each send 48 MB of a body and say no more",
        steps=(
            init(ECHO),
            laden(10, 48_000_000, "/run", b'{"value":{"a":1}}', ok({"a": 1})),
        ),
        logs=QUIET,
        adapts="the container lives in its 256 MB: those who have been silent for longest are let go",
    ),
    _output_vector(
        1, "sys.stdout replaced, closed", "sys.stdout = io.StringIO(); sys.__stdout__.write('shown')", "shown"
    ),
    _output_vector(2, "stdout closed by the action", "print('shown'); sys.stdout.close()", "shown"),
    _output_vector(
        3,
        "bytes and C's own buffer",
        "sys.stdout.buffer.write(b'shown'); ctypes.CDLL(None).puts(b' too')",
        "shown too",
    ),
    _output_vector(4, "text that has no UTF-8", "print('half \\ud800')", "half \\ud800"),
    Vector(
        id="x-log-5",
        name="10 MB of output",
        steps=(init(does("for _ in range(100_000): print('x' * 99)")), run({}, ok({}))),
        logs=Logs(sentinels=1, out=_ten_megabytes(), err=EMPTY),
    ),
    Vector(
        id="x-log-6",
        name="killed in mid-run: no printed line is lost",
        steps=(
            init(does("print('last words')", "import time; time.sleep(60)")),
            run({}, NO_ANSWER, seconds=0.5),
            do(_kill),
        ),
        logs=Logs(sentinels=0, out=lines("last words"), err=EMPTY),
    ),
    Vector(
        id="x-log-7",
        name="output of the classifier's own start is the first activation's, not foreign code's",
        steps=(init(""), run({"image": noise(8)}, CLASSIFIED)),
        logs=Logs(sentinels=1, out=has("loadModel")),
    ),
    Vector(
        id="x-limit-1",
        name="a container has few threads",
        steps=(
            init(_THREADS),
            run({}, (200, Where('{"threads":2}', lambda got: got["threads"] <= 2))),
        ),
        logs=QUIET,
    ),
    Vector(
        id="x-limit-2",
        name="an action opens 1024 files",
        steps=(
            init(_OPEN),
            *(run({}, ok({"refused": "Too many open files", "enough": True})) for _ in range(2)),
        ),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="x-limit-3",
        name="128 MB of memory: classifier",
        steps=(run({"image": noise(8)}, CLASSIFIED), run({"image": noise(500)}, CLASSIFIED)),
        logs=Logs(sentinels=2),
        memory_mib=128,
    ),
)
