"""Builds by the real engine: the log is followed, failures are told, Ctrl-C stops the engine's work too."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from images import architecture, engine
from images.base import ensure_base
from images.docker_build import Step, build_stage
from images.errors import BuildFailed

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = engine.connect()
    yield client
    client.close()


@pytest.fixture(scope="module")
def base(client: docker.DockerClient) -> str:
    host = architecture.host()
    record = ROOT / f"build/base-{host.name}.json"
    return ensure_base(client, host, image=None, update=False, record=record).image_id


def test_a_stage_is_built_and_each_step_and_line_reported(client: docker.DockerClient, base: str) -> None:
    salt = uuid.uuid4().hex  # so that no layer of an earlier run is taken
    tag = f"under48/test-build:{salt}"
    dockerfile = f"""
        FROM {base} AS first
        ARG WORD
        COPY folder/ /folder/
        RUN echo {salt} $WORD $(cat /folder/deep/file); echo to stderr >&2
        FROM first AS second
        RUN false
    """
    context = {"Dockerfile": dockerfile.encode(), "folder/deep/file": b"content"}
    steps: list[Step] = []
    image_id = build_stage(
        client,
        context,
        target="first",
        tag=tag,
        buildargs={"WORD": "word"},
        labels={"org.under48.test": "yes"},
        report=steps.append,
    )
    try:
        image = client.images.get(tag)
        assert image.id == image_id
        assert image.labels["org.under48.test"] == "yes"
        lines = {step.line for step in steps if step.line}  # the two streams come in any order
        assert lines == {f"{salt} word content", "to stderr"}
        done = [step for step in steps if step.done]
        assert [step.number for step in done] == list(range(1, len(done) + 1))
        assert done[-1].number == done[-1].total
        assert not done[3].cached

        steps.clear()
        assert build_stage(client, context, target="first", buildargs={"WORD": "word"}, report=steps.append)
        assert [step.cached for step in steps if step.done][1:] == [
            True
        ] * 3  # FROM is not a step that is cached

        with pytest.raises(BuildFailed, match=r"step 6/6: RUN false\n.*non-zero code: 1"):
            build_stage(client, context, target="second", buildargs={"WORD": "word"})
    finally:
        client.images.remove(tag)


@pytest.mark.parametrize(("network", "reached"), [("none", "lo"), ("bridge", "eth0 lo")])
def test_a_stage_has_the_network_it_is_given(
    client: docker.DockerClient, base: str, network: str, reached: str
) -> None:
    dockerfile = f"FROM {base}\nRUN : {uuid.uuid4().hex}; echo $(ls /sys/class/net | grep -E '^(lo|eth0)$')\n"
    steps: list[Step] = []
    image_id = build_stage(client, {"Dockerfile": dockerfile.encode()}, network=network, report=steps.append)
    client.images.remove(image_id)
    assert [step.line for step in steps if step.line] == [reached]


@pytest.mark.parametrize(
    ("dockerfile", "arguments", "says"),
    [
        ("FROM scratch\nCOPY gone /\n", {}, "step 2/2: COPY gone(.|\n)*stat gone"),
        ("FROM scratch\nCOPY x /\n", {"target": "nowhere"}, "refused to build nowhere: .*target nowhere"),
        ("FROM scratch\nCOPY x /\n", {"dockerfile": "Other"}, "refused to build Other: .*Other"),
        ("FROM scratch\nCOPY x /\n", {"tag": "UPPER:case"}, "refused to build UPPER:case: .*lowercase"),
        ("NONSENSE\n", {}, "(?i)unknown instruction: NONSENSE"),
    ],
)
def test_a_build_that_cannot_work_is_an_error_that_says_why(
    client: docker.DockerClient, dockerfile: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(BuildFailed, match=says):
        build_stage(client, {"Dockerfile": dockerfile.encode(), "x": b""}, **arguments)


def test_the_end_of_a_failing_steps_output_is_in_the_error(client: docker.DockerClient, base: str) -> None:
    dockerfile = f"FROM {base}\nRUN {{ seq 1 100; printf 'the cause'; }} >&2; exit 7\n"
    with pytest.raises(BuildFailed, match=r"non-zero code: 7\n.*:\n    72\n(.|\n)*    100\n    the cause$"):
        build_stage(client, {"Dockerfile": dockerfile.encode()})


def test_an_interrupted_build_ends_in_the_engine_too(client: docker.DockerClient, base: str) -> None:
    salt = uuid.uuid4().hex
    dockerfile = f"FROM {base}\nRUN echo {salt}; sleep 60\n"

    def interrupt(step: Step) -> None:
        if step.line == salt:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_stage(client, {"Dockerfile": dockerfile.encode()}, report=interrupt)
    deadline = time.monotonic() + 60
    while any(salt in each["Command"] for each in client.api.containers(all=True)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
