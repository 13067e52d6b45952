"""What builders print, as recorded from them, read as steps: BuildKit 0.8 by buildx 0.13, Podman 4.3, Docker 20.10."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from images.engine import Stage, Step, buildkit, classic
from images.errors import BuildFailed

BUILDKIT = """\
#0 building with "default" instance using docker driver

#1 [internal] load remote build context
#1 DONE 0.1s

#2 copy /context /
#2 DONE 0.1s

#3 [internal] load metadata for docker.io/under48/base:bookworm-amd64-5a176cba239c
#3 DONE 0.0s

#4 [a 1/2] FROM docker.io/under48/base:bookworm-amd64-5a176cba239c
#4 CACHED

#5 [a 2/2] RUN echo hi; echo err >&2; sleep 1
#5 0.103 hi
#5 ...

#6 [c 1/1] COPY x /
#6 DONE 0.2s

#5 [a 2/2] RUN echo hi; echo err >&2; sleep 1
#5 0.104 err
#5 DONE 1.3s
"""
BUILDKIT_FAILS = """\
#7 [b 1/1] RUN echo x && false
#7 0.140 x
#7 ERROR: executor failed running [/bin/sh -c echo x && false]: exit code: 1
------
 > [b 1/1] RUN echo x && false:
0.140 x
------
ERROR: failed to solve: executor failed running [/bin/sh -c echo x && false]: exit code: 1
"""
BUILDKIT_REFUSES = """\
ERROR: failed to solve: target stage "nowhere" could not be found
"""


def _read_buildkit(text: str) -> tuple[list[Step], buildkit.Log]:
    steps: list[Step] = []
    log = buildkit.Log("image", steps.append)
    log.follow(text.splitlines(keepends=True))
    return steps, log


def _told(steps: Iterable[Step]) -> list[tuple[str, str]]:
    """Each step's instruction with what is new of it: a line, or how it ended."""
    return [
        (f"{step.number}/{step.total} {step.instruction[:4]}", step.line or _state(step)) for step in steps
    ]


def _state(step: Step) -> str:
    if not step.done:
        return "begins"
    return "cached" if step.cached else "done"


def test_the_steps_of_buildkit_that_run_at_once_are_told_apart() -> None:
    steps, _ = _read_buildkit(BUILDKIT)
    assert _told(steps) == [
        ("1/2 FROM", "begins"),
        ("1/2 FROM", "cached"),
        ("2/2 RUN ", "begins"),
        ("2/2 RUN ", "hi"),
        ("1/1 COPY", "begins"),
        ("1/1 COPY", "done"),
        ("2/2 RUN ", "err"),
        ("2/2 RUN ", "done"),
    ]


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            BUILDKIT + BUILDKIT_FAILS,
            (
                "building image failed at step 1/1: RUN echo x && false\n"
                "  failed to solve: executor failed running [/bin/sh -c echo x && false]: exit code: 1\n"
                "  the end of its output:\n    x"
            ),
        ),
        (
            BUILDKIT_REFUSES,
            (
                "building image failed at preparing it\n"
                '  failed to solve: target stage "nowhere" could not be found'
            ),
        ),
        (
            "",
            (
                "building image failed at preparing it\n"
                "  the command ended without saying why; look at the engine's log, then build again"
            ),
        ),
    ],
    ids=["a step fails", "refused", "silent"],
)
def test_a_failure_of_buildkit_names_the_step_and_the_end_of_its_output(log: str, says: str) -> None:
    assert str(_read_buildkit(log)[1].failure()) == says


def test_buildkit_is_asked_for_the_stage_by_options_and_gets_the_context_on_standard_input() -> None:
    stage = Stage(
        dockerfile="recipe/Dockerfile",
        target="sources",
        network="host",
        arguments={"BASE": "x"},
        labels={"l": "1"},
        cache_only=True,
    )
    command = buildkit.arguments(stage, Path("/tmp/x"))
    assert {
        "--file=recipe/Dockerfile",
        "--target=sources",
        "--network=host",
        "--build-arg=BASE=x",
        "--label=l=1",
        "--output=type=cacheonly",
        "--metadata-file=/tmp/x",
    } <= set(command)
    assert command[-1] == "-"
    assert "--load" in buildkit.arguments(Stage(), Path("/tmp/x"))


def _streams(text: str) -> list[dict[str, Any]]:
    return [{"stream": line} for line in text.splitlines(keepends=True)]


IMAGE = {"aux": {"ID": "sha256:1"}}
PODMAN = [
    *_streams("""\
[1/2] STEP 1/3: FROM sha256:8b0e AS a
[1/2] STEP 2/3: LABEL org.under48.stage=a
--> Using cache 03be3bc6c00
--> 03be3bc6c00
[1/2] STEP 3/3: RUN echo hi
hi
--> 40964f54da2
[2/2] STEP 1/2: FROM 40964f54da2 AS b
[2/2] STEP 2/2: RUN true
[2/2] COMMIT under48/t:1
--> 9f10
Successfully tagged localhost/under48/t:1
"""),
    IMAGE,
]
DOCKER = [
    *_streams("""\
Step 1/3 : FROM sha256:8b0e as a
 ---> 8b0e75b65712
Step 2/3 : LABEL org.under48.stage=a
 ---> Using cache
 ---> 03be3bc6c00b
Step 3/3 : RUN echo hi
 ---> Running in 1234
\x1b[91mhi
"""),
    {"stream": "\x1b[0m"},
    *_streams("Removing intermediate container 1234\n ---> 40964f54da2b\n"),
    IMAGE,
    *_streams("Successfully built 40964f54da2b\nSuccessfully tagged under48/t:1\n"),
]


@pytest.mark.parametrize(
    ("events", "last"),
    [(PODMAN, [("1/2 FROM", "done"), ("2/2 RUN ", "done")]), (DOCKER, [])],
    ids=["Podman", "Docker"],
)
def test_the_steps_of_the_http_builders_are_told(
    events: list[dict[str, Any]], last: list[tuple[str, str]]
) -> None:
    steps: list[Step] = []
    assert classic._follow("image", iter(events), steps.append) == "sha256:1"
    told = [step for step in _told(steps) if step[1] != "begins"]
    assert told == [
        ("1/3 FROM", "done"),
        ("2/3 LABE", "cached"),
        ("3/3 RUN ", "hi"),
        ("3/3 RUN ", "done"),
        *last,
    ]


def test_an_http_builder_that_stops_without_an_image_has_failed_at_its_step() -> None:
    with pytest.raises(BuildFailed, match=r"failed at step 3/3: RUN echo hi\n.*without saying why"):
        classic._follow("image", iter(PODMAN[:7]), lambda _step: None)
