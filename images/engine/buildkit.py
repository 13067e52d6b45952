"""Builds a stage with BuildKit, through `docker buildx build`, whose plain log it follows.

The builder is always that of the engine itself (driver "docker"): it finds the engine's images, and what it builds is
there without a detour. Provenance is left out: it would differ from build to build.
"""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO

from images.engine.connection import Engine, version_tuple
from images.engine.endpoints import Endpoint
from images.engine.log import Running
from images.engine.step import Report, Stage
from images.errors import BuildFailed

_BUILDER = "default"  # what buildx calls the builder of the engine that --host names
OLDEST_API = "1.42"  # engine 23, whose BuildKit knows `RUN --network`
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
_PINNED = "under48/pinned"
_PROBE_SECONDS = 20
_STOP_SECONDS = 30
# Variables that would lead the command to another engine or builder, or paint its log.
_MISLEADING = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "BUILDX_BUILDER",
    "BUILDKIT_COLORS",
)

_LINE = re.compile(r"#(\d+) (.*)")
# "[compile 3/7] RUN …"; what has no number is BuildKit's own.
_STEP = re.compile(r"\[(?:\S+ +)?(\d+)/(\d+)\] (.*)")
_OUTPUT = re.compile(r"\d+\.\d+ ?(.*)")  # what a step prints comes with the seconds since it began
_ERROR = re.compile(r"ERROR: (.*)")
_END = re.compile(r"(DONE \d+\.\d+s|CACHED)$")


def answers(engine: Engine) -> bool:
    """Whether `docker buildx` is installed and works with `engine`, which is not Podman nor older than 23."""
    is_new = version_tuple(engine.api.api_version) >= version_tuple(OLDEST_API)
    return is_new and not engine.is_podman and buildx_answers(engine.endpoint)


@functools.cache
def buildx_answers(endpoint: Endpoint) -> bool:
    """Whether `docker buildx` is installed and works with the engine at `endpoint`."""
    command = _docker(endpoint)
    if command is None:
        return False
    try:
        done = subprocess.run(
            [*command, "buildx", "inspect", _BUILDER],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and re.search(r"^Driver:\s+docker$", done.stdout, re.MULTILINE) is not None


def build(engine: Engine, context: IO[bytes], stage: Stage, report: Report) -> str:
    """Build `stage` from the tar archive `context`; return the image's id, "" for `stage.cache_only`.

    Raises:
        BuildFailed: with the failing step and the end of its output.
    """
    with tempfile.TemporaryDirectory(prefix="under48-") as folder:
        metadata = Path(folder) / "metadata.json"
        log = Log(stage.title, report)
        with subprocess.Popen(
            [*(_docker(engine.endpoint) or ()), *arguments(_with_names(engine, stage), metadata)],
            env=_environment(),
            stdin=context,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for this program alone, which ends the command itself
        ) as process:
            try:
                log.follow(process.stderr or ())
                status = process.wait()
            except BaseException:
                _end(process)
                raise
        if status:
            raise log.failure()
        # Not --iidfile: with images stored in containerd that names the configuration, by which no image is found.
        return str(json.loads(metadata.read_bytes()).get("containerimage.digest", ""))


def arguments(stage: Stage, metadata: Path) -> list[str]:
    """What follows `docker`: the command that builds `stage` from the tar archive on its standard input.

    It writes to the file `metadata` what it has built.
    """
    options = {
        "--file": stage.dockerfile,
        "--network": stage.network,
        "--target": stage.target,
        "--tag": stage.tag,
    }
    return [
        *("buildx", "build", f"--builder={_BUILDER}", "--progress=plain", "--provenance=false"),
        *(f"--metadata-file={metadata}", "--output=type=cacheonly" if stage.cache_only else "--load"),
        *(f"{option}={value}" for option, value in options.items() if value is not None),
        *(f"--build-arg={name}={value}" for name, value in stage.arguments.items()),
        *(f"--label={name}={value}" for name, value in stage.labels.items()),
        "-",
    ]


def _with_names(engine: Engine, stage: Stage) -> Stage:
    """The stage with names in place of image ids among its arguments: BuildKit's FROM takes an id for a name."""

    def name(value: str) -> str:
        if not _IMAGE_ID.fullmatch(value):
            return value
        image = engine.images.get(value)
        if not image.tags:
            image.tag(_PINNED, value.removeprefix("sha256:")[:12])
            image.reload()
        return image.tags[0]

    return replace(stage, arguments={key: name(value) for key, value in stage.arguments.items()})


class Log:
    """Follows BuildKit's plain log, in which the lines of steps that run at once are mixed."""

    def __init__(self, name: str, report: Report) -> None:
        """`name` is what the error calls the build."""
        self._name = name
        self._report = report
        self._steps: dict[str, Running] = {}
        self._failed = Running(0, 0, "preparing it")
        self._message = "the command ended without saying why; look at the engine's log, then build again"

    def follow(self, lines: Iterable[str]) -> None:
        """Read the log to its end."""
        for raw in lines:
            line = raw.rstrip("\n")
            if match := _LINE.match(line):
                self._of_step(match[1], match[2])
            elif error := _ERROR.match(line):  # the last one sums it up
                self._message = error[1]

    def failure(self) -> BuildFailed:
        """The error for a build that failed."""
        return self._failed.failure(self._name, self._message)

    def _of_step(self, key: str, text: str) -> None:
        running = self._steps.get(key)
        if running is None or not (_OUTPUT.match(text) or _END.match(text) or _ERROR.match(text)):
            if running is None:
                self._begin(key, text)
            return  # else its name once more, since other steps' lines came between, or what BuildKit does itself
        if output := _OUTPUT.match(text):
            for line in running.lines(f"{output[1]}\n"):
                self._say(running, line=line)
        elif _END.match(text):
            running.cached |= text == "CACHED"
            self._say(running, done=True)
        else:
            self._failed = running

    def _begin(self, key: str, text: str) -> None:
        step = _STEP.match(text)
        self._steps[key] = Running(int(step[1]), int(step[2]), step[3]) if step else Running(0, 0, text)
        self._say(self._steps[key])

    def _say(self, running: Running, *, line: str = "", done: bool = False) -> None:
        if running.number:
            self._report(running.state(line=line, done=done))


def _docker(endpoint: Endpoint) -> list[str] | None:
    """The docker command with the options that lead it to `endpoint`; None where there is none."""
    program = shutil.which("docker")
    if program is None:
        return None
    command = [program, f"--host={endpoint.url}"]
    if tls := endpoint.tls:
        files = {"--tlscacert": tls.ca, "--tlscert": tls.cert, "--tlskey": tls.key}
        command += ["--tlsverify" if tls.verify else "--tls"]
        command += [f"{option}={path}" for option, path in files.items() if path]
    return command


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _MISLEADING}


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt the command as Ctrl-C does, at which the engine stops the build."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
