"""§13b: the suite of the official Python runtimes (Python{Basic,Advanced,3}Tests.scala)."""

from tests.integration.conformance.environments import in_virtualenv
from tests.integration.conformance.steps import (
    ECHO,
    EMPTY,
    NO_ACTION,
    NO_BINARY,
    NOT_STARTED,
    does,
    echoed,
    error,
    has,
    init,
    lines,
    ok,
    returns,
    run,
    tarred,
    zipped,
)
from tests.integration.conformance.vector import Logs, Vector, Where
from tests.integration.conformance.vectors_13a import QUIET

_ECHO_PACKAGE = {
    "__main__.py": "from echo import echo\ndef niam(args):\n    return echo(args)\n",
    "echo.py": "def echo(args):\n    return {'echo': args}\n",
}
_DATA_FILE = {
    "__main__.py": "def main(args):\n    return {'data': open('folder/data.txt').read()}\n",
    "folder/data.txt": "content",
}
_AGENT = {
    "__main__.py": "import agent\ndef main(args):\n    return {'agent': agent.NAME}\n"
    "def naim(args):\n    return {'agent': agent.NAME, 'main': 'naim'}\n"
}
_PRINTED_ENV = "import os\nprint(os.environ['X'])\ndef main(args):\n    return {'body': 'ok'}\n"
_LEFT_OUT = has("left out: virtualenv/bin/python")  # the link to the interpreter of whoever made it

VECTORS = (
    Vector(
        id="13b-1",
        name="zip, other main",
        steps=(
            init(zipped(_ECHO_PACKAGE), main="niam"),
            run({"msg": "it works"}, ok({"echo": {"msg": "it works"}})),
        ),
        logs=QUIET,
    ),
    Vector(
        id="13b-1b",
        name="the same as tar.gz",
        steps=(
            init(tarred(_ECHO_PACKAGE), main="niam"),
            run({"msg": "it works"}, ok({"echo": {"msg": "it works"}})),
        ),
        logs=QUIET,
    ),
    Vector(
        id="13b-2",
        name="zip, file at a relative path",
        steps=(init(zipped(_DATA_FILE)), run({}, ok({"data": "content"}))),
        logs=QUIET,
    ),
    Vector(
        id="13b-3",
        name="zip lacks __main__.py",
        steps=(init(zipped({"main.py": ECHO, "folder/__main__.py": ECHO}), NO_BINARY), run({}, NO_ACTION)),
        logs=Logs(sentinels=1, out=EMPTY, err=has("Zip file does not include")),
    ),
    Vector(
        id="13b-4",
        name="action raises",
        steps=(init(returns("1 / 0")), run({}, (200, error("division by zero")))),
        logs=Logs(sentinels=1, out=EMPTY, err=has("Traceback", "ZeroDivisionError")),
    ),
    Vector(
        id="13b-5",
        name="source does not parse",
        steps=(init("def main(args)\n    return args", NO_BINARY),),
        logs=Logs(sentinels=1, out=EMPTY, err=has("SyntaxError")),
    ),
    Vector(
        id="13b-6",
        name='returns {"error": …}',
        steps=(init(returns("{'error': 'sorry'}")), run({}, ok({"error": "sorry"}))),
        logs=QUIET,
    ),
    Vector(
        id="13b-7",
        name="unknown package",
        steps=(init("import iamnotthere\n" + ECHO, NOT_STARTED),),
        logs=Logs(sentinels=1, out=EMPTY, err=has("Traceback", "ModuleNotFoundError")),
    ),
    Vector(
        id="13b-8",
        name="sys.executable",
        steps=(
            init(returns("{'python': sys.executable}")),
            run({}, (200, Where('{"python":"…python…"}', lambda got: "python" in got["python"]))),
        ),
        logs=QUIET,
    ),
    Vector(
        id="13b-9",
        name="returns an array",
        steps=(init(returns("['a', 'b']")), run({}, ok(["a", "b"]))),
        logs=QUIET,
    ),
    Vector(id="13b-10", name="array as value", steps=(init(ECHO), *echoed(["a", "b"])), logs=QUIET),
    Vector(
        id="13b-11",
        name="sys.exit in main",
        steps=(
            init(does("sys.exit(1) if args else None")),
            run({"exit": True}, (400, error("command exited", exactly=True))),
            run({}, ok({})),
        ),
        logs=Logs(sentinels=2, out=EMPTY, err=EMPTY),
        adapts="the answer is the official one; the action lives on, where the official process is gone",
    ),
    Vector(
        id="13b-12",
        name="sys.exit at import",
        steps=(init("import sys\nsys.exit(1)\n", NOT_STARTED),),
        logs=Logs(sentinels=1, out=EMPTY, err=has("Command exited abruptly during initialization.")),
        adapts="the official text",
    ),
    Vector(
        id="13b-13",
        name="environment read and printed at import",
        steps=(init(_PRINTED_ENV, env={"X": "xyz"}), run({}, ok({"body": "ok"}))),
        logs=Logs(sentinels=1, out=lines("xyz"), err=EMPTY),
    ),
    Vector(
        id="13b-14",
        name="zip with virtualenv",
        steps=(init(lambda: zipped(*in_virtualenv(_AGENT))), run({}, ok({"agent": "smith"}))),
        logs=Logs(sentinels=1, out=EMPTY, err=_LEFT_OUT),
        adapts="made on the user's machine with virtualenv, where the official test builds it in the image",
    ),
    Vector(
        id="13b-14b",
        name="the same, main=naim, as tar.gz",
        steps=(
            init(lambda: tarred(*in_virtualenv(_AGENT)), main="naim"),
            run({}, ok({"agent": "smith", "main": "naim"})),
        ),
        logs=Logs(sentinels=1, out=EMPTY, err=_LEFT_OUT),
        adapts="as before",
    ),
    Vector(
        id="13b-15",
        name="zip with virtualenv lacks __main__.py",
        steps=(init(lambda: zipped(*in_virtualenv({"agent.py": ECHO})), NO_BINARY),),
        logs=Logs(sentinels=1, out=EMPTY, err=has("Zip file does not include")),
        adapts="the text is that of a zip without __main__.py (13b-3)",
    ),
    Vector(
        id="13b-16",
        name="virtualenv/ without activate_this.py",
        steps=(init(zipped({**_AGENT, "virtualenv/bin/activate": ""}), NO_BINARY),),
        logs=Logs(sentinels=1, out=EMPTY, err=has("Invalid virtualenv")),
    ),
)
