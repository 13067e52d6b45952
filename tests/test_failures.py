import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import docker.errors
import pytest
import requests

from cli.failures import ENGINE_LOST, NO_ROOM, reported
from errors import Under48Error
from images.errors import BuildFailed
from model_fetch import UnknownName
from tests.foreground import foreground

ROOT = Path(__file__).parents[1]

FAILURES: dict[str, tuple[BaseException, str, int]] = {
    "of-this-project": (BuildFailed("step 3 failed"), "step 3 failed", 30),
    "of-the-catalogue": (UnknownName("no such name"), "no such name", 10),
    "the-base-of-all": (Under48Error("something"), "something", 1),
    "the-engine-says-no": (
        docker.errors.APIError("500", explanation="no space left on device"),
        "the engine refused: no space left on device",
        ENGINE_LOST,
    ),
    "the-engine-says-no-without-a-reason": (
        docker.errors.DockerException("bad version"),
        "the engine refused: bad version",
        ENGINE_LOST,
    ),
    "the-engine-went": (
        requests.ConnectionError("Connection aborted"),
        "the connection to the engine broke; is it still running? (Connection aborted)",
        ENGINE_LOST,
    ),
    "the-engine-is-silent": (requests.ReadTimeout("read timed out"), "(read timed out)", ENGINE_LOST),
    "the-engine-broke-off": (requests.exceptions.ChunkedEncodingError("cut"), "(cut)", ENGINE_LOST),
    "full-disk": (
        OSError(errno.ENOSPC, "No space left", "/x/y"),
        "/x/y: No space left; free space or",
        NO_ROOM,
    ),
    "no-permission": (
        PermissionError(errno.EACCES, "Permission denied", "/x"),
        "/x: Permission denied;",
        NO_ROOM,
    ),
    "no-file-named": (
        OSError(errno.EROFS, "Read-only file system"),
        "a file: Read-only file system;",
        NO_ROOM,
    ),
    "ctrl-c": (KeyboardInterrupt(), "interrupted; nothing half-done is left", 130),
}


@pytest.mark.parametrize(("error", "message", "code"), FAILURES.values(), ids=FAILURES)
def test_what_is_known_to_go_wrong_ends_with_a_message_and_a_code(
    error: BaseException, message: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @reported
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        command()
    out, err = capsys.readouterr()
    assert caught.value.code == code
    assert err.startswith("under48: ")
    assert message in err
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    "error", [ValueError("bug"), FileNotFoundError(errno.ENOENT, "x", "y"), KeyError("k")]
)
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    @reported
    def command() -> None:
        raise error

    with pytest.raises(type(error)):
        command()


def test_a_command_gets_its_arguments_and_ends_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    @reported
    def command(name: str, *, code: int) -> None:
        """What it does."""
        print(name)
        sys.exit(code)

    with pytest.raises(SystemExit) as caught:
        command("audit", code=1)
    assert (caught.value.code, capsys.readouterr().out) == (1, "audit\n")
    assert (command.__name__, command.__doc__) == ("command", "What it does.")


def test_a_command_that_ends_well_lets_the_next_one_run() -> None:
    @reported
    def command() -> None:
        sys.exit(0)

    command()


def test_every_failure_of_this_project_has_an_exit_code_of_its_own() -> None:
    """Save those that mean the same to a script: misuse (2), findings (1), and kinds of one failure."""
    script = (
        "import cli.auditing, cli.serving, images.wheels, images.operators\n"
        "from errors import Under48Error\n"
        "def below(kind): return [kind, *(c for sub in kind.__subclasses__() for c in below(sub))]\n"
        "own = [kind for kind in below(Under48Error) if 'exit_code' in vars(kind)]\n"
        "print(*(f'{kind.exit_code} {kind.__name__}' for kind in own), sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    codes: dict[int, set[str]] = {ENGINE_LOST: {"the engine itself"}}
    for line in done.stdout.splitlines():
        code, name = line.split()
        codes.setdefault(int(code), set()).add(name)
    assert len(codes) > 15
    assert {code: names for code, names in codes.items() if code > 2 and len(names) > 1} == {}


LONG = "@reported\ndef command():\n    for i in range(100_000): print('line', i)\ncommand()\n"
SHORT = "@reported\ndef command():\n    print('one line')\n    sys.exit(3)\ncommand()\n"


@pytest.mark.parametrize("script", [LONG, SHORT], ids=["while-it-prints", "at-its-end"])
def test_a_reader_that_has_gone_ends_it_quietly(script: str) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", f"import sys\nfrom cli.failures import reported\n{script}"]
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": ""},  # one line then waits for the end of the program
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_ctrl_c_ends_a_running_command_with_130_and_one_line() -> None:
    script = (
        "import time\nfrom cli.failures import reported\n@reported\ndef command():\n"
        "    print('started', flush=True)\n    time.sleep(60)\ncommand()\n"
    )
    with subprocess.Popen(
        foreground(sys.executable, "-c", script),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "started\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) == 130
        assert running.stderr.read().startswith("under48: interrupted; ")
