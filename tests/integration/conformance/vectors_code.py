"""What the official image is known to get wrong of environment and code: stale context, bad archives, odd modules."""

from tests.integration.conformance.environments import in_virtualenv
from tests.integration.conformance.steps import (
    ECHO,
    EMPTY,
    NO_ACTION,
    NO_BINARY,
    NOT_STARTED,
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

_READ_CONTEXT = returns(
    "{k: v for k, v in os.environ.items() if k.startswith('__OW_') and k != '__OW_API_HOST'}"
)
_IMPORTED_CONTEXT = """
import os
SEEN = os.environ.get("__OW_ACTIVATION_ID")
def main(args):
    return {"import": SEEN, "run": os.environ.get("__OW_ACTIVATION_ID"), "key": os.environ.get("__OW_API_KEY")}
"""

VECTORS = (
    Vector(
        id="x-env-1",
        name="context of another type than text",
        steps=(
            init(_READ_CONTEXT),
            run(
                {},
                ok(
                    {"__OW_DEADLINE": "123", "__OW_API_KEY": "", "__OW_FLAG": "true", "__OW_MAP": '{"a":[1]}'}
                ),
                deadline=123,
                api_key=None,
                flag=True,
                map={"a": [1]},
            ),
        ),
        logs=QUIET,
    ),
    Vector(
        id="x-env-2",
        name="nothing of one activation is left for the next",
        steps=(
            init(_READ_CONTEXT, env={"__OW_ACTIVATION_ID": "first", "__OW_API_KEY": "key"}),
            run({}, ok({"__OW_ACTIVATION_ID": "1", "__OW_API_KEY": "key"}), activation_id="1", api_key="key"),
            run({}, ok({"__OW_ACTIVATION_ID": "2"}), activation_id="2"),
            run({}, ok({})),
        ),
        logs=Logs(sentinels=3, out=EMPTY, err=EMPTY),
    ),
    Vector(
        id="x-env-3",
        name="the first activation's context is there at import",
        steps=(
            init(_IMPORTED_CONTEXT, env={"__OW_ACTIVATION_ID": "first", "__OW_API_KEY": "key"}),
            run({}, ok({"import": "first", "run": "2", "key": None}), activation_id="2"),
        ),
        logs=QUIET,
    ),
    Vector(
        id="x-env-4",
        name="values of env of another type than text",
        steps=(
            init(
                returns("{k: os.environ[k] for k in 'ABCD'}"),
                env={"A": None, "B": True, "C": 1.5, "D": {"a": [1]}},
            ),
            run({}, ok({"A": "", "B": "true", "C": "1.5", "D": '{"a":[1]}'})),
        ),
        logs=QUIET,
    ),
    Vector(
        id="x-code-1",
        name="corrupt zip, corrupt tar.gz",
        steps=(
            init(zipped({"__main__.py": ECHO * 99})[:-30], NO_BINARY),
            init(zipped({"__main__.py": ECHO}).replace(b"return", b"nruter"), NO_BINARY),
            init(tarred({"__main__.py": ECHO * 99})[:-30], NO_BINARY),
            init(ECHO),
            *echoed({"a": 1}),
        ),
        logs=Logs(sentinels=4, out=EMPTY, err=has("damaged")),
    ),
    Vector(
        id="x-code-2",
        name="names and links that lead out of the folder",
        steps=(
            init(zipped({"__main__.py": ECHO, "../evil.py": ""}), NO_BINARY),
            init(zipped({"__main__.py": ECHO, "/tmp/evil.py": ""}), NO_BINARY),
            init(tarred({"__main__.py": ECHO, "a/../../evil.py": ""}), NO_BINARY),
            init(
                zipped({"__main__.py": returns("{'link': os.path.lexists('out')}")}, {"out": "/etc/passwd"})
            ),
            run({}, ok({"link": False})),
        ),
        logs=Logs(sentinels=4, out=EMPTY, err=has("leads out", "left out: out -> /etc/passwd")),
    ),
    Vector(
        id="x-code-3",
        name="zip sent as text",
        steps=(init(zipped({"__main__.py": ECHO}).decode("latin-1"), NO_BINARY), init(ECHO)),
        logs=Logs(sentinels=1, out=EMPTY, err=has("damaged")),
    ),
    Vector(
        id="x-code-4",
        name="requirements.txt without virtualenv/; with it",
        steps=(
            init(zipped({"__main__.py": ECHO, "requirements.txt": "agent"}), NO_BINARY),
            init(
                lambda: zipped(
                    *in_virtualenv({"__main__.py": "import agent\n" + ECHO, "requirements.txt": "agent"})
                )
            ),
            *echoed({"a": 1}),
        ),
        logs=Logs(sentinels=2, out=EMPTY, err=has("this runtime has no pip")),
        adapts="there is no pip and no network to rely on at init",
    ),
    Vector(
        id="x-code-5",
        name="warnings at compile",
        steps=(init("def main(args):\n    assert 1 is 1, '\\d'\n    return args\n"), *echoed({"a": 1})),
        logs=Logs(sentinels=1, out=EMPTY, err=has("SyntaxWarning")),
        adapts="they are no failure",
    ),
    Vector(
        id="x-code-6",
        name="prints, fails and meddles with the streams at import",
        steps=(
            init("import sys\nprint('said')\nsys.stderr.close()\nsys.stdout = None\n1/0\n", NOT_STARTED),
            run({}, NO_ACTION),
            init(ECHO),
            *echoed({"a": 1}),
        ),
        logs=Logs(
            sentinels=2,
            out=lines("said"),
            err=has("ZeroDivisionError", "exited abruptly during initialization"),
        ),
    ),
    Vector(
        id="x-code-7",
        name="dotted main, builtin as main",
        steps=(
            init("import os.path\n" + ECHO, NOT_STARTED, main="os.getcwd"),
            init(ECHO, NOT_STARTED, main="print"),
            init("class Action:\n    def __call__(self, args):\n        return args\nmain = Action()\n"),
            *echoed({"a": 1}),
        ),
        logs=Logs(sentinels=3, out=EMPTY, err=has("no function 'os.getcwd'", "no function 'print'")),
    ),
    Vector(
        id="x-code-8",
        name="a traceback begins in the action's code",
        steps=(
            init("def main(args):\n    raise ValueError('why')\n"),
            run({}, (200, error("why", exactly=True))),
        ),
        logs=Logs(
            sentinels=1,
            out=EMPTY,
            err=Where(
                "traceback with the line, without the runtime's",
                lambda got: "raise ValueError('why')" in got and "/under48/" not in got,
            ),
        ),
    ),
    Vector(
        id="x-code-9",
        name="code sent to an image with a classifier knows nothing of it",
        steps=(
            init(
                returns(
                    "[n for n in [*sys.modules, *sys.path] if n.startswith(('classifier', 'PIL', '/under48'))]"
                )
            ),
            run({}, ok([])),
        ),
        logs=QUIET,
    ),
)
