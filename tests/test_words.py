from collections.abc import Iterator
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.parser.parser import ParseMachine
from invoke.program import Program
from invoke.tasks import task

from cli.words import take_words

Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """What the tasks of a small program were called with, since the fixture began."""
    monkeypatch.setattr(ParseMachine, "handle", ParseMachine.handle)  # put back after the test
    take_words({"verify": ("photo", None), "audit": ("target", 1), "fetch-model": ("name", None)})
    CALLS.clear()
    yield CALLS
    CALLS.clear()


CALLS: Calls = []


@task(iterable=["photo"])
def verify(_c: Context, *, photo: Any, repeat: int = 5, model: str = "", json: bool = False) -> None:
    CALLS.append(("verify", {"photo": photo, "repeat": repeat, "model": model, "json": json}))


@task(iterable=["target"])
def audit(_c: Context, *, target: Any, verbose: bool = False) -> None:
    CALLS.append(("audit", {"target": target, "verbose": verbose}))


@task(iterable=["name", "mirror"])
def fetch_model(_c: Context, name: Any, mirror: Any) -> None:
    CALLS.append(("fetch-model", {"name": name, "mirror": mirror}))


@task
def build(_c: Context, model: str = "") -> None:
    CALLS.append(("build", {"model": model}))


def _run(words: str) -> None:
    program = Program(version="1", namespace=Collection(verify, audit, fetch_model, build))
    program.run(["inv", *words.split()], exit=False)


def _verify(*photo: str, repeat: int = 5, model: str = "", json: bool = False) -> tuple[str, dict[str, Any]]:
    return ("verify", {"photo": [*photo], "repeat": repeat, "model": model, "json": json})


def _audit(*target: str, verbose: bool = False) -> tuple[str, dict[str, Any]]:
    return ("audit", {"target": [*target], "verbose": verbose})


def _fetch(*name: str, mirror: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    return ("fetch-model", {"name": [*name], "mirror": [*mirror]})


LINES: dict[str, Calls] = {
    "verify": [_verify()],
    "verify a.jpg": [_verify("a.jpg")],
    "verify a.jpg b.jpg": [_verify("a.jpg", "b.jpg")],
    "verify --json a.jpg": [_verify("a.jpg", json=True)],
    "verify a.jpg --json b.jpg": [_verify("a.jpg", "b.jpg", json=True)],
    "verify --repeat 3 a.jpg": [_verify("a.jpg", repeat=3)],
    "verify a.jpg --repeat=3 --model m b.jpg": [_verify("a.jpg", "b.jpg", repeat=3, model="m")],
    "verify -r 3 a.jpg": [_verify("a.jpg", repeat=3)],
    "verify --photo a.jpg b.jpg --photo c.jpg": [_verify("a.jpg", "b.jpg", "c.jpg")],
    "verify a=b.jpg": [_verify("a=b.jpg")],
    "verify audit": [_verify("audit")],
    "audit": [_audit()],
    "audit x.zip": [_audit("x.zip")],
    "audit x.zip --verbose": [_audit("x.zip", verbose=True)],
    "audit --verbose x.zip": [_audit("x.zip", verbose=True)],
    "build audit": [("build", {"model": ""}), _audit()],
    "build --model m audit x.zip": [("build", {"model": "m"}), _audit("x.zip")],
    "audit build": [_audit(), ("build", {"model": ""})],
    "audit x.zip build": [_audit("x.zip"), ("build", {"model": ""})],
    "audit x.zip verify a.jpg": [_audit("x.zip"), _verify("a.jpg")],
    "build verify build": [("build", {"model": ""}), _verify("build")],
    "fetch-model one two": [_fetch("one", "two")],
    "fetch-model --mirror /m one": [_fetch("one", mirror=("/m",))],
    "fetch-model one --mirror /m --mirror=/n two": [_fetch("one", "two", mirror=("/m", "/n"))],
    "-e verify a.jpg": [_verify("a.jpg")],
}


@pytest.mark.parametrize("line", LINES)
def test_words_go_to_the_task_they_follow(line: str, calls: Calls) -> None:
    _run(line)
    assert calls == LINES[line]


def test_one_line_does_not_see_the_words_of_the_line_before(calls: Calls) -> None:
    _run("verify a.jpg")
    _run("verify b.jpg")
    assert calls == [_verify("a.jpg"), _verify("b.jpg")]


REFUSED = {
    "audit x.zip y.zip": "No idea what 'y.zip' is!",
    "build x.zip": "No idea what 'x.zip' is!",
    "nosuch": "No idea what 'nosuch' is!",
    "verify --nosuch a.jpg": "No idea what '--nosuch' is!",
    "verify a.jpg --model": "needed value and was not given one",
    "verify a.jpg --repeat many": "--repeat takes a whole number, not 'many'",
    "verify -r many": "--repeat takes a whole number, not 'many'",
    "verify --repeat 0.5": "--repeat takes a whole number, not '0.5'",
    "verify --repeat nan": "--repeat takes a whole number, not 'nan'",
    f"verify --repeat {'9' * 5000}": f"--repeat takes a whole number, not '{'9' * 40}…'",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    line: str, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(line)
    assert calls == []
    out, err = capsys.readouterr()
    assert REFUSED[line] in out + err
    assert "Traceback" not in out + err
