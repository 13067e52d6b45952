"""§13a: the suite that every runtime must pass (BasicActionRunnerTests.scala of Apache OpenWhisk)."""

from typing import Any

from tests.integration.conformance.steps import (
    ECHO,
    EMPTY,
    MISSING_CODE,
    NO_ACTION,
    NO_DICTIONARY,
    OK,
    PRINTS,
    SECOND,
    echoed,
    has,
    init,
    ok,
    run,
    send,
)
from tests.integration.conformance.vector import Logs, Vector

QUIET = Logs(sentinels=1, out=EMPTY, err=EMPTY)
SILENT = Logs(sentinels=0, out=EMPTY, err=EMPTY)
NOTHING_BUILT_IN = {"UNDER48_ACTION": "/none"}

_UNICODE = """
def main(args):
    sep = args["delimiter"]
    winter = sep + " ☃ " + sep
    print(winter)
    return {"winter": winter}
"""
_ENV = """
import os
SOME, ANOTHER = os.environ["SOME_VAR"], os.environ["ANOTHER_VAR"]
def main(args):
    return {"SOME_VAR": SOME, "ANOTHER_VAR": ANOTHER}
"""
_CONTEXT: dict[str, Any] = {
    "api_key": "user:pass",
    "namespace": "zzz",
    "action_name": "/zzz/xxx",
    "action_version": "0.0.1",
    "activation_id": "iii",
    "deadline": "123",
}
_READ_CONTEXT = """
import os
def main(args):
    return {name: value for name, value in os.environ.items() if name.startswith("__OW_")}
"""

VECTORS = (
    Vector(
        id="13a-1",
        name="init, empty code",
        steps=(init("", OK),),
        logs=Logs(sentinels=0),
        adapts="a classifier is built in",
    ),
    Vector(
        id="13a-1b",
        name="the same, nothing built in",
        steps=(init("", MISSING_CODE), run({}, NO_ACTION), init(ECHO)),
        logs=SILENT,
        environment=NOTHING_BUILT_IN,
    ),
    Vector(
        id="13a-2",
        name="init, no content",
        steps=(send("/init", "{}", OK),),
        logs=Logs(sentinels=0),
        adapts="a classifier is built in",
    ),
    Vector(
        id="13a-2b",
        name="the same, nothing built in",
        steps=(send("/init", "{}", MISSING_CODE),),
        logs=SILENT,
        environment=NOTHING_BUILT_IN,
    ),
    Vector(
        id="13a-3",
        name="result is not a JSON object",
        steps=(init("def main(args):\n    return 'text'\n"), send("/run", "{}", NO_DICTIONARY)),
        logs=QUIET,
    ),
    Vector(
        id="13a-4",
        name="second init",
        steps=(init(ECHO), init("def main(args):\n    return {}\n", SECOND), *echoed({"first": "stays"})),
        logs=Logs(sentinels=1, err=has("Cannot initialize the action more than once.")),
    ),
    Vector(
        id="13a-5",
        name="other entry point",
        steps=(init("def niam(args):\n    return args\n", main="niam"), *echoed({"string": "hello"})),
        logs=QUIET,
    ),
    Vector(
        id="13a-6",
        name="echo and prints",
        steps=(
            init(PRINTS),
            *echoed({"string": "hello"}, {"string": "❄ ☃ ❄"}, {"numbers": [42, 1]}, {"object": {"a": "A"}}),
        ),
        logs=Logs(sentinels=4, out=has("hello stdout"), err=has("hello stderr")),
    ),
    Vector(
        id="13a-7",
        name="unicode",
        steps=(init(_UNICODE), run({"delimiter": "❄"}, ok({"winter": "❄ ☃ ❄"}))),
        logs=Logs(sentinels=1, out=has("❄ ☃ ❄"), err=EMPTY),
    ),
    Vector(
        id="13a-8",
        name="environment at init",
        steps=(
            init(_ENV, env={"SOME_VAR": "xyz", "ANOTHER_VAR": ""}),
            run({}, ok({"SOME_VAR": "xyz", "ANOTHER_VAR": ""})),
        ),
        logs=QUIET,
    ),
    Vector(
        id="13a-9",
        name="context in the environment",
        steps=(
            init(_READ_CONTEXT),
            run(
                {},
                ok({"__OW_API_HOST": "xyz", **{f"__OW_{k.upper()}": v for k, v in _CONTEXT.items()}}),
                **_CONTEXT,
            ),
        ),
        logs=QUIET,
        environment={"__OW_API_HOST": "xyz"},
    ),
    Vector(
        id="13a-10",
        name="large input, 1,048,561 characters",
        steps=(init(ECHO), *echoed({"arg": "a" * 1_048_561})),
        logs=QUIET,
    ),
)
