"""Builds by the real engine: the log is followed, failures are told, Ctrl-C stops the engine's work too.

Each test runs with every builder that answers here: the one over HTTP, and BuildKit where `docker buildx` is. What
Docker and Podman say of the same mistake differs.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.tests import BUILDX
from images import architecture
from images.base import ensure_base
from images.engine import Engine, Stage, Step, build_stage, buildkit, connect
from images.errors import BuildFailed

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
Build = Callable[..., str]


@pytest.fixture(scope="module")
def client() -> Iterator[Engine]:
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="module")
def base(client: Engine) -> str:
    host = architecture.host()
    record = ROOT / f"build/base-{host.name}.json"
    return ensure_base(client, host, image=None, update=False, record=record).image_id


@pytest.fixture(params=["BuildKit", "HTTP"])
def build(request: pytest.FixtureRequest, client: Engine, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Builds `Dockerfile`, with `x` next to it, by one of the builders."""
    with_buildkit = request.param == "BuildKit"
    monkeypatch.setattr(buildkit, "answers", lambda _engine: with_buildkit)
    if with_buildkit and not buildkit.buildx_answers(client.endpoint):
        monkeypatch.setenv("DOCKER_CONFIG", str(BUILDX))  # where it was fetched for the tests
        if not buildkit.buildx_answers.__wrapped__(client.endpoint):
            pytest.skip("docker buildx does not answer here")

    def build(
        content: str,
        report: Callable[[Step], None] = lambda _step: None,
        files: Mapping[str, bytes] = {},
        **stage: Any,
    ) -> str:
        context = {"Dockerfile": content.encode(), "x": b"", **files}
        return build_stage(client, context, Stage(**stage), report)

    return build


def test_a_stage_is_built_and_each_step_and_line_reported(client: Engine, base: str, build: Build) -> None:
    salt = uuid.uuid4().hex  # so that no layer of an earlier run is taken
    dockerfile = f"""
        ARG BASE
        FROM ${{BASE}} AS first
        ARG WORD
        COPY folder/ /folder/
        RUN echo {salt} $WORD $(cat /folder/deep/file); echo to stderr >&2
        FROM first AS second
        RUN false
    """
    options = {
        "files": {"folder/deep/file": b"content"},
        "arguments": {"BASE": base, "WORD": "word"},
    }
    steps: list[Step] = []
    tag = f"under48/test-build:{salt}"
    labels = {"org.under48.test": "yes"}
    image_id = build(dockerfile, steps.append, target="first", tag=tag, labels=labels, **options)
    try:
        image = client.images.get(tag)
        assert image.id == image_id
        assert image.labels["org.under48.test"] == "yes"
        lines = {step.line for step in steps if step.line}  # the two streams come in any order
        assert lines == {f"{salt} word content", "to stderr"}
        done = {step.instruction[:8]: step for step in steps if step.done}
        assert done["COPY fol"].number < done["RUN echo"].number <= done["RUN echo"].total
        assert not done["RUN echo"].cached

        steps.clear()
        assert build(dockerfile, steps.append, target="first", **options)
        cached = {step.instruction[:8] for step in steps if step.done and step.cached}
        assert cached >= {"COPY fol", "RUN echo"}

        with pytest.raises(BuildFailed, match=r"step \d/\d: RUN false\n.*(code:|status) 1"):
            build(dockerfile, target="second", **options)
    finally:
        client.images.remove(tag)


def test_a_stage_for_the_cache_alone_is_found_there_by_the_next_build(base: str, build: Build) -> None:
    dockerfile = f"ARG BASE\nFROM ${{BASE}} AS first\nRUN : {uuid.uuid4().hex}\nFROM first\nRUN : more\n"
    build(dockerfile, target="first", cache_only=True, arguments={"BASE": base})
    steps: list[Step] = []
    assert build(dockerfile, steps.append, cache_only=True, arguments={"BASE": base}) is not None
    assert [step.cached for step in steps if step.done and step.instruction.startswith("RUN")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(("network", "reached"), [("none", "lo"), ("host", "more")])
def test_a_stage_has_the_network_it_is_given(
    client: Engine, base: str, build: Build, network: str, reached: str
) -> None:
    count = "test $(ls -d /sys/class/net/* | wc -l) = 1 && echo lo || echo more"
    dockerfile = f"ARG BASE\nFROM ${{BASE}}\nRUN : {uuid.uuid4().hex}; {count}\n"
    steps: list[Step] = []
    image_id = build(dockerfile, steps.append, network=network, arguments={"BASE": base})
    client.images.remove(image_id)
    assert [step.line for step in steps if step.line] == [reached]


@pytest.mark.parametrize(
    ("dockerfile", "stage", "says"),
    [
        ("FROM scratch\nCOPY gone /\n", {}, "(?i)COPY gone(.|\n)*gone(.|\n)*(not found|not exist|no such)"),
        ("FROM scratch\nCOPY x /\n", {"target": "nowhere"}, "nowhere(.|\n)*target (stage )?.?nowhere"),
        ("FROM scratch\nCOPY x /\n", {"dockerfile": "Other"}, "Other(.|\n)*Other"),
        ("FROM scratch\nCOPY x /\n", {"tag": "UPPER:case"}, "UPPER:case(.|\n)*(lowercase|status 500)"),
        ("NONSENSE\n", {}, "(?i)unknown instruction: NONSENSE|no FROM statement"),
    ],
)
def test_a_build_that_cannot_work_is_an_error_that_says_why(
    build: Build, dockerfile: str, stage: dict[str, Any], says: str
) -> None:
    with pytest.raises(BuildFailed, match=says):
        build(dockerfile, **stage)


def test_the_end_of_a_failing_steps_output_is_in_the_error(base: str, build: Build) -> None:
    dockerfile = "ARG BASE\nFROM ${BASE}\nRUN { seq 1 100; printf 'the cause'; } >&2; exit 7\n"
    with pytest.raises(
        BuildFailed, match=r"(code:|status) 7\n.*:\n    7[12]\n(.|\n)*    100\n    the cause$"
    ):
        build(dockerfile, arguments={"BASE": base})


def test_an_interrupted_build_ends_in_the_engine_too(base: str, build: Build) -> None:
    salt = uuid.uuid4().hex
    # The shell stays for the second echo, and its command line names what it is.
    dockerfile = f"ARG BASE\nFROM ${{BASE}}\nRUN echo {salt}; sleep 60; echo {salt}\n"

    def interrupt(step: Step) -> None:
        if step.line == salt:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(dockerfile, interrupt, arguments={"BASE": base})
    deadline = time.monotonic() + 60
    while salt in _command_lines():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _command_lines() -> str:
    """What runs on this machine, in containers too."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)
