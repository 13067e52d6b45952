import json
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.parser.parser import Parser
from invoke.program import Program

import tasks

ROOT = Path(__file__).parents[1]
COLLECTION = Collection.from_module(tasks)
CONTEXTS = {
    str(context.name): context for context in COLLECTION.to_contexts()
}  # what the parser knows of tasks
NAMES = sorted(CONTEXTS)


def test_the_tasks_are_those_of_the_readme_and_the_guide() -> None:
    assert " ".join(NAMES) == "audit build clean engine fetch-model package sbom serve test verify"


@pytest.mark.parametrize("name", NAMES)
def test_every_option_of_a_task_is_explained(name: str) -> None:
    unexplained = [flag for flag, argument in CONTEXTS[name].flags.items() if not argument.help]
    assert unexplained == []


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_in_one_line_what_it_does(name: str) -> None:
    first, *rest = str(COLLECTION[name].__doc__).splitlines()
    assert re.fullmatch(r"[A-Z].{20,}\.", first)
    assert not rest or rest[0] == ""


def _examples(name: str) -> list[str]:
    """The command lines in a task's text, without the remarks beside them."""
    return re.findall(r"^ +\./inv (\S+(?: \S+)*)", str(COLLECTION[name].__doc__), re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in NAMES if CONTEXTS[name].args])
def test_a_task_with_options_shows_examples_that_are_understood(name: str) -> None:
    examples = _examples(name)
    assert examples, "an example teaches more than a table of options"
    for example in examples:
        contexts = Parser(contexts=CONTEXTS.values()).parse_argv(shlex.split(example))
        assert [context.name for context in contexts] == [name]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def inv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line as ./inv does, with an empty cache and where no engine and no network can be meant."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("INVOKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])  # Invoke adds to it, and sets the other
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)

    def run(*words: str) -> Done:
        code = 0
        try:
            Program(name="Invoke", binary="inv[oke]").run(["inv", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run


MIRRORED = ["audit", "build", "fetch-model", "package", "sbom", "serve", "verify"]


@pytest.mark.parametrize("name", MIRRORED)
def test_a_task_that_fetches_takes_mirrors_and_a_model_by_its_first_letter(name: str) -> None:
    words = [name, "--mirror", "/m", "--mirror=https://mirror/n"]
    (context,) = Parser(contexts=CONTEXTS.values()).parse_argv(words)
    assert context.args["mirror"].value == ["/m", "https://mirror/n"]
    assert CONTEXTS[name].flags["-m"].name == ("mirror" if name == "fetch-model" else "model")


def test_the_list_names_every_task_with_its_line(inv: Run) -> None:
    done = inv("--list")
    assert (done.code, done.err) == (0, "")
    listed = dict(re.findall(r"^  (\S+) +(\S.*)$", done.out, re.MULTILINE))
    assert sorted(listed) == NAMES


@pytest.mark.parametrize("words", [["--list"], ["--help", "verify"], ["--help", "fetch-model"]], ids=" ".join)
def test_listing_and_help_import_neither_the_engines_client_nor_anything_heavy(words: list[str]) -> None:
    heavy = {"docker", "requests", "rich", "elftools", "tabulate", "model_fetch", "audit", "images"}
    script = (
        "import sys; from invoke.main import program; program.run(['inv', *sys.argv[1:]], exit=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "verify" in done.stdout or "Usage" in done.stdout
    assert "tasks" in done.stderr.split()
    assert heavy & set(done.stderr.split()) == set()


def test_help_shows_options_and_examples(inv: Run) -> None:
    done = inv("--help", "verify")
    assert "--repeat=INT" in done.out
    assert "./inv verify panda.jpg" in done.out


MISUSE: dict[str, tuple[list[str], int, str]] = {
    "unknown-task": (["nosuch"], 2, "No idea what 'nosuch' is!"),
    "unknown-option": (["build", "--fast"], 2, "No idea what '--fast' is!"),
    "no-number": (["verify", "--repeat", "many"], 2, "--repeat takes a whole number, not 'many'"),
    "less-than-no-calls": (["verify", "--repeat", "-1"], 2, "--repeat is -1, and a whole number from 0"),
    "calls-for-years": (["verify", "--repeat", str(10**12)], 2, "--repeat is 1000000000000, and a whole"),
    "no-port": (["serve", "--port", "70000"], 2, "--port is 70000, and a whole number from 0 to 65,535"),
    "too-little-memory": (["serve", "--memory", "1"], 2, "memory is 1, and a number from 6 to 1,048,576"),
    "too-much-memory": (["verify", "--memory", "9" * 20], 2, f"memory is {'9' * 20}, and a number"),
    "a-device-as-a-photo": (["verify", "/dev/zero"], 2, "/dev/zero cannot be read (it is a device, not a"),
    "unknown-model": (
        ["fetch-model", "mobilenet_v9"],
        10,
        "under48: the catalogue has no entry called 'mobilenet_v9'",
    ),
    "unknown-photo": (["verify", "pandas.jpg"], 10, "did you mean panda.jpg"),
    "no-such-photo": (["verify", "./nowhere.jpg"], 2, "nowhere.jpg cannot be read"),
    "no-such-target": (["audit", "nowhere.zip"], 2, "cannot read nowhere.zip"),
    "a-model-that-is-not-compiled": (
        ["build", "--model", "tfjs_mobilenet_v1_0.75_224"],
        2,
        "choose a .tflite one to build",
    ),
    "no-engine-there": (["engine"], 20, "tcp://127.0.0.1:9"),
}


@pytest.mark.parametrize(("words", "code", "said"), MISUSE.values(), ids=MISUSE)
def test_misuse_gets_a_message_and_a_code_and_no_traceback(
    inv: Run, words: list[str], code: int, said: str
) -> None:
    done = inv(*words)
    assert said in done.err
    assert "Traceback" not in done.err
    assert done.code == code


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "app.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__main__.py", bytes(3 << 20))
    return path


def test_a_zip_is_audited_without_an_engine_and_stdout_is_json_alone(inv: Run, archive: Path) -> None:
    done = inv("audit", str(archive), "--json")
    assert done.code == 0
    assert len(json.loads(done.out)) == 1
    assert done.err.startswith("audit  ")


LIMITS = {"1": 1, "2.5": 1, "4": 0, "lots": 2, "-1": 2, "nan": 2, "1e308": 2}


@pytest.mark.parametrize("limit", LIMITS)
def test_the_limit_of_an_audit_is_a_number_of_mib(inv: Run, archive: Path, limit: str) -> None:
    done = inv("audit", str(archive), f"--limit={limit}")
    assert (done.code, "Traceback" in done.err) == (LIMITS[limit], False)


def test_tasks_of_one_line_run_one_after_the_other(inv: Run, archive: Path) -> None:
    done = inv("audit", str(archive), "fetch-model", "--list")
    assert done.code == 0
    assert "panda.jpg" in done.out, "audit ends well, so it does not end the line"


def test_the_catalogue_is_listed_without_a_network(inv: Run) -> None:
    done = inv("fetch-model", "--list", "--json")
    rows = json.loads(done.out)
    assert {row["kind"] for row in rows} == {"model", "labels", "sample"}
    assert not any(row["cached"] for row in rows)
    assert {row["name"] for row in rows if row["bundled"]} > {"imagenet_1001", "panda.jpg"}
