"""What `./inv test` does: make ready what the tests need, check style and types, run the tests."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from invoke.config import Config

from cli.buildx import fetch_buildx
from cli.console import step
from cli.pipeline import ROOT, Pipeline
from cli.settings import MIRRORS, environment_mirrors
from cli.supply import Supply, supply_of
from errors import Under48Error
from images import apt
from model_fetch import Entry

INTEGRATION = ROOT / "tests/integration"
REFERENCE = ROOT / ".venv-reference"
AUDITWHEEL = ROOT / "build/auditwheel"
BUILDX = ROOT / "build/buildx"
AUDITWHEEL_LOCK = ROOT / "tests/auditwheel/requirements.lock"
_SAID_LINES = 20  # of pip's output, in the error
_SHOWN_WIDTH = 60  # of a line of it, as progress


class NotReady(Under48Error):
    """Something that the tests need could not be installed."""

    exit_code = 50


def run(paths: Sequence[str], *, unit: bool, check: bool) -> int:
    """Run the tests in `paths`, all where there are none; the first exit code that is not 0, else 0.

    With `unit` nothing is started that needs an engine; with `check` ruff and mypy look at the whole project first.
    One that fails does not keep the others from being run.

    Raises:
        NotReady: what the tests need could not be installed.
        Under48Error: the engine, the models or the images could not be made ready.
    """
    install("tests", ROOT / "requirements-dev.lock", Path(sys.prefix))
    if not unit and (not paths or any(map(_with_engine, paths))):
        make_ready()
    named = [str(Path(path).absolute()) for path in paths]  # from where the command is given
    pytest = ["pytest", "--verbosity=0", *named, *(["--ignore", str(INTEGRATION)] if unit else [])]
    statuses = [_check(*command) for command in _CHECKS] if check else []
    statuses.append(_show(pytest))
    return next((status for status in statuses if status), 0)


_CHECKS = (
    ("style", "ruff", "check", "--no-fix"),
    ("format", "ruff", "format", "--check"),
    ("types", "mypy"),
)


def settings() -> dict[str, Any]:
    """The settings of the commands, as Invoke reads them: invoke.yaml, and INVOKE_… of the environment over it."""
    config = Config(project_location=ROOT)
    config.load_project()
    config.load_shell_env()
    return dict(config)


def tflite_models(pipeline: Pipeline) -> list[str]:
    """The names of the catalogued models that can be compiled in, the one that the settings name first."""
    names = [model.name for model in pipeline.catalog.models if model.format == "tflite"]
    return sorted(names, key=lambda name: name != pipeline.settings.model)


def make_ready() -> None:
    """Bring up and build what the integration tests need, so that they themselves only run it.

    What is neither bundled nor to be reached is left out: the tests that need it are skipped.
    """
    first = Pipeline(settings())
    supply = supply_of(first)
    _fetch("photos", first.catalog.samples, supply)
    models = [first.catalog.model(name) for name in tflite_models(first)]
    for name in _fetch("models", models, supply):
        pipeline = Pipeline({**settings(), "model": name})
        pipeline.engine, pipeline.base = first.engine, first.base
        _ = pipeline.package if name == first.settings.model else pipeline.image
    _install_browser()
    _fetch_buildx()
    install("reference", ROOT / "tests/reference/requirements.lock", REFERENCE, make=make_environment)
    install_auditwheel()


def _fetch(kind: str, entries: Sequence[Entry], supply: Supply) -> list[str]:
    """The names of the entries that could be fetched, in their order."""
    with step(kind) as shown:
        fetched = [entry for entry in entries if supply.find(entry, shown)]
        shown.bytes = sum(asset.bytes for entry in fetched for asset in entry.files)
        shown.outcome = f"{len(fetched)} of {len(entries)}, verified"
        if len(fetched) < len(entries):
            shown.outcome += f"; {', '.join(sorted(supply.given_up))} cannot be reached"
    return [entry.name for entry in fetched]


def _install_browser() -> None:
    """Chromium and its driver, where Debian's packages can be installed; elsewhere the tests ask for them."""
    with step("browser") as shown:
        if (
            not all(map(shutil.which, ("chromium", "chromedriver")))
            and apt.here()
            and apt.privilege() is not None
        ):
            shown.say("installing chromium and chromium-driver with apt-get")
            apt.install(("chromium", "chromium-driver"))
        shown.outcome = (
            shutil.which("chromium") or "none: install chromium and chromedriver for the tests of the page"
        )


def _fetch_buildx() -> None:
    """`docker buildx`, where Debian's packages can be had; elsewhere the tests use the one that is installed."""
    with step("buildx") as shown:
        why_not = fetch_buildx(BUILDX, shown.say)
        shown.outcome = f"not fetched: {why_not}" if why_not else f"docker buildx in {BUILDX.name}"


def install_auditwheel() -> None:
    """What the auditor is compared with, in an environment of its own.

    Raises:
        NotReady: pip could not install it.
    """
    install("auditwheel", AUDITWHEEL_LOCK, AUDITWHEEL, make=make_environment)


def make_environment(folder: Path) -> None:
    """Make a new virtual environment in `folder`, of the Python that runs this, in place of what is there."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)


def install(
    name: str, lock: Path, environment: Path, *, make: Callable[[Path], None] = lambda _folder: None
) -> None:
    """Install what `lock` pins into a virtual environment, unless that was done already; `make` makes it first.

    Raises:
        NotReady: pip could not; the end of what it said is in the text.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = environment / f"{lock.name}.sha256"
    with step(name) as shown, (ROOT / ".venv.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # as ./inv does: two commands do not install into one folder at once
        if stamp.is_file() and stamp.read_text() == digest:
            shown.outcome = f"{lock.relative_to(ROOT)} is installed in {environment.name}"
            return
        make(environment)
        pip = [str(environment / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check"]
        said: list[str] = []
        with subprocess.Popen(
            [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(lock)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                said.append(line.strip())
                shown.show(said[-1][:_SHOWN_WIDTH])
        if process.returncode:
            tail = "\n    ".join(said[-_SAID_LINES:])
            raise NotReady(
                f"{lock.relative_to(ROOT)} could not be installed into {environment.name}; pip said:\n    {tail}"
            )
        stamp.write_text(digest)  # last, so that an interrupted installation is made again
        shown.outcome = f"{lock.relative_to(ROOT)} installed into {environment.name}"


def _with_engine(path: str) -> bool:
    """Whether the tests named by `path`, which may end in `::test`, are or hold some that need an engine."""
    named = Path(path.partition("::")[0]).resolve()
    return named.is_relative_to(INTEGRATION) or INTEGRATION.is_relative_to(named)


def _check(name: str, *command: str) -> int:
    """Run a quiet check; its output is shown only when there is something to see."""
    with step(name) as shown:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        said = (done.stdout + done.stderr).strip()
        shown.outcome = f"{' '.join(command)}: " + ("FAILED" if done.returncode else said.splitlines()[-1])
    if done.returncode:
        print(said)
    return done.returncode


def _show(command: Sequence[str]) -> int:
    """Run a module with its output as it comes; Ctrl-C goes to it as well, and it is waited for, to tidy up."""
    environment = {
        **os.environ,
        MIRRORS: ";".join(environment_mirrors(os.environ)),
    }  # it runs in another folder
    with subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
