"""Builds a stage over the engine's HTTP API: with Docker's classic builder, or with Podman's.

docker-py's own `build` hides the log's events, so the request is made here (POST /build).
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any

import requests

from images.engine.connection import Engine
from images.engine.log import Running
from images.engine.step import Report, Stage
from images.errors import BuildFailed

_PODMANS_NETWORK = {"none": "NetworkDisabled"}  # which takes `none` for the host's (4.3 to 5.8)
# Docker's "Step 3/7 : RUN …", Podman's "STEP 3/7: RUN …", of which those of several stages begin with "[1/2] ".
_STEP = re.compile(r"(?:\[\d+/\d+\] )?(?:Step|STEP) (\d+)/(\d+) ?: (.*)")
_USING_CACHE = re.compile(r" ?--+> Using cache")
# What the builder says of itself, not what the step prints.
_BUILDER = re.compile(
    r" ---> |--> |Removing intermediate container |Successfully (built|tagged) |(\[\d+/\d+\] )?COMMIT\b|[0-9a-f]{64}$"
)


def build(engine: Engine, context: IO[bytes], stage: Stage, report: Report) -> str:
    """Build `stage` from the tar archive `context`; return the image's id.

    At Ctrl-C the connection is closed, at which Docker stops the build and removes its container; Podman ends the
    step that it is in first.

    Raises:
        BuildFailed: with the failing step and the end of its output.
    """
    params = {
        "dockerfile": stage.dockerfile,
        "networkmode": _PODMANS_NETWORK.get(stage.network, stage.network)
        if engine.is_podman
        else stage.network,
        "buildargs": json.dumps(dict(stage.arguments)),
        "labels": json.dumps(dict(stage.labels)),
        "rm": "1",
        "forcerm": "1",  # a failed step leaves no container behind
    }
    params |= {key: value for key, value in (("target", stage.target), ("t", stage.tag)) if value is not None}
    try:
        response = engine.api.post(
            f"{engine.api.base_url}/v{engine.api.api_version}/build",
            params=params,
            data=context,
            headers={"Content-Type": "application/tar"},
            stream=True,
            timeout=None,  # a compiler may be silent for minutes
        )
        with closing(response):
            if response.status_code != requests.codes.ok:
                raise BuildFailed(f"the engine refused to build {stage.title}: {_message(response)}")
            return _follow(stage.title, _events(response), report)
    except requests.RequestException as error:
        raise BuildFailed(
            f"the connection to the engine broke while building {stage.title} ({error}); "
            "look at the engine's log, then build again"
        ) from error


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text.strip() or f"status {response.status_code}, without a reason"


def _events(response: requests.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines(chunk_size=1 << 16):
        if line:
            yield json.loads(line)


def _follow(name: str, events: Iterator[dict[str, Any]], report: Report) -> str:
    running = Running(0, 0, "sending the context")
    image = ""
    for event in events:
        if "error" in event:
            raise running.failure(name, str(event["error"]).strip())
        if "aux" in event:
            image = event["aux"].get("ID", image)
        text = event.get("stream", "")
        if step := _STEP.match(text):
            if running.number:
                report(running.state(done=True))
            running = Running(int(step[1]), int(step[2]), step[3].strip())
            report(running.state())
            continue
        if _BUILDER.match(text):
            running.cached |= bool(_USING_CACHE.match(text))
            continue
        for line in running.lines(text):
            report(running.state(line=line))
    if not image:
        raise running.failure(
            name, "the engine stopped without saying why; look at its log, then build again"
        )
    report(running.state(done=True))
    return image
