"""Builds one stage of a Dockerfile through the engine's API, from a context made in memory.

The classic builder is used, over the plain HTTP API. The engine of Debian bookworm (20.10) brings no buildx,
and docker-py speaks no BuildKit (its build needs a gRPC session on the same connection), so this is the one
builder that every engine from 20.10 on has without installing anything. It knows no `RUN --network` and no
secrets: stages that need different networks are separate builds, each with its `target`, which share layers
through the cache.
"""

import io
import json
import re
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import docker
import requests

from images.errors import BuildFailed

TAIL_LINES = 30  # of the failing step's output, in the error
SPOOL_BYTES = 32 << 20  # a context larger than this waits on disk, not in memory

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_BUILDER = (" ---> ", "Removing intermediate container ", "Successfully built ", "Successfully tagged ")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the classic builder paints what a step writes to stderr


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Where a build stands; `line` is the newest line of the step's output, "" when it begins or ends."""

    number: int
    total: int
    instruction: str
    elapsed_s: float  # since the step began
    line: str = ""
    cached: bool = False  # known when the step is done
    done: bool = False


Report = Callable[[Step], None]


def build_stage(  # noqa: PLR0913 - these are the parts of one `docker build` command
    engine: docker.DockerClient,
    context: Mapping[str, bytes | Path],
    *,
    dockerfile: str = "Dockerfile",
    target: str | None = None,
    tag: str | None = None,
    network: str = "none",
    buildargs: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    platform: str | None = None,
    report: Report = lambda _step: None,
) -> str:
    """Build `target` of the Dockerfile in `context` and return the image's id ("sha256:…").

    `context` names files as the Dockerfile sees them; a value is the file's bytes, a file, or a folder that
    goes in whole under that name. `network` is "none" (hermetic), "host" or "bridge". Ctrl-C closes the
    connection, at which the engine stops the build and removes its container.

    Raises:
        BuildFailed: with the failing step and the end of its output.
    """
    params = {
        "dockerfile": dockerfile,
        "networkmode": network,
        "buildargs": json.dumps(dict(buildargs or {})),
        "labels": json.dumps(dict(labels or {})),
        "rm": "1",
        "forcerm": "1",  # a failed step leaves no container behind
    }
    chosen = {"target": target, "t": tag, "platform": platform}
    params |= {key: value for key, value in chosen.items() if value is not None}
    name = tag or target or dockerfile
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as archive:
        write_context(context, archive)
        archive.seek(0)
        try:
            response = engine.api.post(
                f"{engine.api.base_url}/v{engine.api.api_version}/build",
                params=params,
                data=archive,
                headers={"Content-Type": "application/tar"},
                stream=True,
                timeout=None,  # a compiler may be silent for minutes
            )
            with closing(response):
                if response.status_code != requests.codes.ok:
                    raise BuildFailed(f"the engine refused to build {name}: {_message(response)}")
                return _follow(name, _events(response), report)
        except requests.RequestException as error:
            raise BuildFailed(
                f"the connection to the engine broke while building {name} ({error}); "
                "look at the engine's log, then build again"
            ) from error


def write_context(context: Mapping[str, bytes | Path], out: IO[bytes]) -> None:
    """Write `context` as a tar archive: the same files give the same bytes, whoever owns them.

    The layer cache of the engine compares content, mode and owner, so those are levelled: 0755 or 0644, root.
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, source in sorted(_files(context)):
            entry = tarfile.TarInfo(name)
            if isinstance(source, bytes):
                entry.size, entry.mode = len(source), 0o644
                archive.addfile(entry, io.BytesIO(source))
                continue
            status = source.stat()
            entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
            with source.open("rb") as file:
                archive.addfile(entry, file)


def _files(context: Mapping[str, bytes | Path]) -> Iterator[tuple[str, bytes | Path]]:
    for name, source in context.items():
        if isinstance(source, Path) and source.is_dir():
            for path in source.rglob("*"):
                inside = path.relative_to(source)
                if path.is_file() and "__pycache__" not in inside.parts:
                    yield f"{name}/{inside.as_posix()}" if name not in ("", ".") else inside.as_posix(), path
        else:
            yield name, source


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.text.strip()}"


def _events(response: requests.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines(chunk_size=1 << 16):
        if line:
            yield json.loads(line)


@dataclass
class _Running:
    """The step that the log is in; the log itself says neither when a step ends nor how long it took."""

    number: int
    total: int
    instruction: str
    began: float
    cached: bool = False
    partial: str = ""  # a line whose end has not come yet
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    def state(self, *, line: str = "", done: bool = False) -> Step:
        return Step(
            number=self.number,
            total=self.total,
            instruction=self.instruction,
            elapsed_s=time.monotonic() - self.began,
            line=line,
            cached=self.cached,
            done=done,
        )

    def lines(self, text: str) -> Iterator[str]:
        *whole, self.partial = (self.partial + text).split("\n")
        for raw in whole:
            line = _COLOUR.sub("", raw).rstrip("\r").rpartition("\r")[2]  # of a progress bar, the last state
            if line.strip():
                yield line


def _follow(name: str, events: Iterator[dict[str, Any]], report: Report) -> str:
    running = _Running(0, 0, "sending the context", time.monotonic())
    image = ""
    for event in events:
        if "error" in event:
            raise _failure(name, running, str(event["error"]))
        if "aux" in event:
            image = event["aux"].get("ID", image)
        text = event.get("stream", "")
        if step := _STEP.match(text):
            if running.number:
                report(running.state(done=True))
            running = _Running(int(step[1]), int(step[2]), step[3].strip(), time.monotonic())
            report(running.state())
            continue
        if text.startswith(_BUILDER):  # what the builder says of itself, not what the step prints
            running.cached |= text.startswith(" ---> Using cache")
            continue
        for line in running.lines(text):
            running.tail.append(line)
            report(running.state(line=line))
    if not image:
        where = f"step {running.number}/{running.total} ({running.instruction})"
        raise BuildFailed(
            f"the engine stopped building {name} at {where} without a word; look at its log, then build again"
        )
    report(running.state(done=True))
    return image


def _failure(name: str, running: _Running, message: str) -> BuildFailed:
    if running.partial:
        running.tail.append(_COLOUR.sub("", running.partial))
    tail = "".join(f"\n    {line}" for line in running.tail)
    return BuildFailed(
        f"building {name} failed at step {running.number}/{running.total}: {running.instruction}\n"
        f"  {message}" + (f"\n  the end of its output:{tail}" if tail else "")
    )
