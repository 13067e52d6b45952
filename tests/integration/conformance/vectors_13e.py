"""§13e: what was observed of the official image, where it serves its users well and where it does not."""

import random

from tests.integration.conformance.environments import in_wheel
from tests.integration.conformance.pictures import noise
from tests.integration.conformance.server import Server
from tests.integration.conformance.steps import (
    CLASSIFIED,
    ECHO,
    EMPTY,
    NO_ANSWER,
    NOT_STARTED,
    OK,
    UNSENDABLE,
    does,
    echoed,
    error,
    has,
    init,
    init_body,
    lines,
    look,
    ok,
    returns,
    run,
    same,
    zipped,
)
from tests.integration.conformance.vector import Logs, Vector
from tests.integration.conformance.vectors_13a import QUIET
from tests.integration.conformance.wires import RUN, chunked, on_one_connection, paused, request

# NumPy is C++, as many wheels are: the image has the libstdc++ that they count on.
_NUMPY = """
import numpy
def main(args):
    if "nan" in args:
        return {"scores": numpy.array([0.5, numpy.nan], dtype=numpy.float32)}
    return {"float32": numpy.float32(0.5), "int64": numpy.int64(7), "bool": numpy.bool_(True),
            "array": numpy.arange(4, dtype=numpy.uint8).reshape(2, 2), "float64": numpy.float64(0.25)}
"""
_PLAIN = {"float32": 0.5, "int64": 7, "bool": True, "array": [[0, 1], [2, 3]], "float64": 0.25}
_NATIVE = """
import importlib.util, os, shutil
shutil.copy(importlib.util.find_spec("_lsprof").origin, ".")
import _lsprof
def main(args):
    return {"beside": os.path.dirname(_lsprof.__file__) == os.getcwd()}
"""
_ASYNC = """
import asyncio
loops = set()
async def main(args):
    await asyncio.sleep(0)
    loops.add(asyncio.get_running_loop())
    return {"args": args, "loops": len(loops)}
"""
_LATE = """
import threading
go = threading.Event()
def late():
    go.wait()
    print("late")
thread = threading.Thread(target=late)
def main(args):
    if args:
        print("first")
        thread.start()
    else:
        go.set()
        thread.join()
        print("second")
    return {}
"""
_CHILD = """
import subprocess, sys
CODE = "import sys; print('child', end=''); print('oops', end='', file=sys.stderr)"
def main(args):
    subprocess.run([sys.executable, "-c", CODE])
    return {}
"""
_STATE = "count = 0\ndef main(args):\n    global count\n    count += 1\n    return {'count': count}\n"
_EAT = "[b'x' * (1 << 20) for _ in range(4096)]"
_KILLED = look(Server.end, same({"running": False, "out of memory": True}))
_ENVIRONMENT = returns("{name: os.environ.get(name) for name in args['names']}")
_IMAGE_ENV = {
    "PATH": "/usr/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    "MODEL_DIR": "/of/the/operator",
    "__OW_FOO": "a=b",
}


def _big_source() -> str:
    return "#" + "x" * (47 << 20) + "\n" + ECHO


def _big_zip() -> bytes:
    main = returns("{'bytes': os.path.getsize('data')}")
    return zipped({"__main__.py": main, "data": random.Random(48).randbytes(30 << 20)})


VECTORS = (
    Vector(
        id="13e-1",
        name="NumPy values, with NumPy's own wheel as the zip",
        steps=(
            init(lambda: in_wheel("numpy", {"__main__.py": _NUMPY})),
            run({}, ok(_PLAIN)),
            run({"nan": 1}, UNSENDABLE),
        ),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
        platform_only="/dev/shm takes 64 MiB, and no native code can be loaded from it",
    ),
    Vector(
        id="13e-1b",
        name="native code beside the action",
        steps=(init(_NATIVE), run({}, ok({"beside": True}))),
        logs=QUIET,
        platform_only="no native code can be loaded from /dev/shm (13e-1h)",
    ),
    Vector(
        id="13e-1h",
        name="the same where only /dev/shm can be written",
        steps=(init(_NATIVE, NOT_STARTED),),
        logs=Logs(sentinels=1, out=EMPTY, err=has("failed to map segment from shared object")),
        hardened_only=True,
    ),
    Vector(
        id="13e-2",
        name="NaN and infinity in the result",
        steps=(
            init(returns("{'score': float(args['is'])}")),
            run({"is": "nan"}, UNSENDABLE),
            run({"is": "-inf"}, UNSENDABLE),
            run({"is": "0.5"}, ok({"score": 0.5})),
        ),
        logs=Logs(sentinels=3, out=EMPTY, err=EMPTY),
        adapts="502 as the official one, with the reason in its text",
    ),
    Vector(
        id="13e-3",
        name="None",
        steps=(init(returns("None")), run({}, ok({}))),
        logs=QUIET,
        adapts="{}, where the official null is refused by the platform",
    ),
    Vector(
        id="13e-4",
        name="bytes, sets, objects, tuples as keys",
        steps=(
            init(returns("{'a': eval(args['is'])}")),
            *(run({"is": it}, UNSENDABLE) for it in ("b'x'", "{1}", "object()", "{(1, 2): 3}")),
            run({"is": "(1, 2)"}, ok({"a": [1, 2]})),
        ),
        logs=Logs(sentinels=5, out=EMPTY, err=EMPTY),
        adapts="502 with the reason, and the action lives on, where the official process is gone",
    ),
    Vector(
        id="13e-5",
        name="async main",
        steps=(
            init(_ASYNC),
            run({"a": 1}, ok({"args": {"a": 1}, "loops": 1})),
            run({}, ok({"args": {}, "loops": 1})),
        ),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
        adapts="awaited, where the official process dies of the coroutine",
    ),
    Vector(
        id="13e-6",
        name="main() without parameters",
        steps=(
            init("def main():\n    return {}\n"),
            run({}, (200, error("main() takes 0 positional arguments but 1 was given", exactly=True))),
        ),
        logs=Logs(sentinels=1, out=EMPTY, err=has("TypeError")),
    ),
    Vector(
        id="13e-7",
        name="main is no function, or is missing",
        steps=(init("main = 3\n", NOT_STARTED), init("def other(args):\n    return args\n", NOT_STARTED)),
        logs=Logs(sentinels=2, out=EMPTY, err=has("no function 'main'")),
    ),
    Vector(
        id="13e-8",
        name="stdin read by the action",
        steps=(
            init(returns("{'stdin': sys.stdin.read(), 'bytes': len(os.read(0, 9))}")),
            run({}, ok({"stdin": "", "bytes": 0})),
        ),
        logs=QUIET,
        adapts="empty, where the official one hangs",
    ),
    Vector(
        id="13e-9",
        name="late output of a thread",
        steps=(init(_LATE), run({"n": 1}, ok({})), run({}, ok({}))),
        logs=Logs(sentinels=2, out=lines("first", "late", "second"), err=EMPTY),
    ),
    Vector(
        id="13e-10",
        name="output of a child process, without newline",
        steps=(init(_CHILD), run({}, ok({})), run({}, ok({}))),
        logs=Logs(sentinels=2, out=lines("child", "child"), err=lines("oops", "oops")),
    ),
    Vector(
        id="13e-11",
        name="output without newline",
        steps=(
            init(does("print('out', end='')", "sys.stderr.write('err')")),
            run({}, ok({})),
            run({}, ok({})),
        ),
        logs=Logs(sentinels=2, out=lines("out", "out"), err=lines("err", "err")),
        adapts="kept, where the platform drops the line that it shares with the sentinel",
    ),
    Vector(
        id="13e-12",
        name="module state persists",
        steps=(init(_STATE), run({}, ok({"count": 1})), run({}, ok({"count": 2}))),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="13e-13",
        name="pause and unpause",
        steps=(init(_STATE), run({}, ok({"count": 1})), paused(ok({"count": 2})), run({}, ok({"count": 3}))),
        logs=Logs(sentinels=3, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="13e-14",
        name="out of memory in run",
        steps=(init(does(_EAT)), run({}, NO_ANSWER), _KILLED),
        logs=Logs(sentinels=0),
        adapts="no answer and OOMKilled, of which the platform makes its message about memory",
    ),
    Vector(
        id="13e-15",
        name="out of memory in init",
        steps=(init(f"hog = {_EAT}\n{ECHO}", NO_ANSWER), _KILLED),
        logs=Logs(sentinels=0),
        adapts="as before",
    ),
    Vector(
        id="13e-16",
        name="47 MiB of source",
        steps=(init(_big_source), *echoed({"a": 1})),
        logs=QUIET,
    ),
    Vector(
        id="13e-17",
        name="30 MiB of zip",
        steps=(init(_big_zip), run({}, ok({"bytes": 30 << 20}))),
        logs=QUIET,
    ),
    Vector(
        id="13e-18",
        name="780 kB image as base64: built-in classifier",
        steps=(run({"image": noise(510)}, CLASSIFIED), run({"image": noise(510)}, CLASSIFIED)),
        logs=Logs(sentinels=2, err=EMPTY),
    ),
    Vector(
        id="13e-18b",
        name="the same: echo",
        steps=(init(ECHO), *echoed({"image": noise(510)})),
        logs=QUIET,
    ),
    Vector(
        id="13e-19",
        name="GET, PUT",
        steps=(
            on_one_connection(
                (request("GET", "/init", init_body(ECHO)), OK),
                (request("GET", "/run", b'{"value":{"a":1}}'), ok({"a": 1})),
                (request("PUT", "/run", b'{"value":{"a":2}}'), ok({"a": 2})),
            ),
        ),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="13e-20",
        name="chunked request body",
        steps=(
            on_one_connection(
                (chunked("/init", init_body(ECHO), 7), OK),
                (chunked("/run", b'{"value":{"a":1}}', 5), ok({"a": 1})),
            ),
        ),
        logs=QUIET,
    ),
    Vector(
        id="13e-21",
        name="keep-alive",
        steps=(
            on_one_connection(
                (request("POST", "/init", init_body(ECHO)), OK),
                *((request("POST", "/run", RUN), ok({})),) * 3,
            ),
        ),
        logs=Logs(sentinels=3, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="13e-22",
        name="the image's ENV, the operator's, and __OW_FOO=a=b",
        steps=(init(_ENVIRONMENT), run({"names": [*_IMAGE_ENV]}, ok(_IMAGE_ENV))),
        logs=QUIET,
        adapts="all is seen, where the official image hides it and cuts at the second =",
        environment={"MODEL_DIR": "/of/the/operator", "__OW_FOO": "a=b"},
    ),
)
