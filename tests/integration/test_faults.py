"""What the platform would say of each way in which a container fails, and that the next one works."""

import io
import os
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from images.activation import ENTITY_BYTES, LOG_DOUBTFUL, Status
from images.build import ACTION_FOLDER, Image
from images.container import LABEL, Limits
from images.invoker import Invoker, invoker
from images.pool import Pool
from tests.integration.inside import encoded

pytestmark = pytest.mark.engine

NO_RUN = {"error": "The action did not produce a valid response and exited unexpectedly."}
NO_MEMORY = {"error": "The action exhausted its memory and was aborted."}
NOT_STARTED = {"error": "Cannot start action. Check logs for details."}
HOUR_S = 3600

# Code that is sent to /init: what an action can do to its container.
ACTION = """
import os, time
def main(arguments):
    print('before', flush=True)
    do = arguments.get('do')
    if do == 'sleep': time.sleep(arguments['seconds'])
    if do == 'exit': os._exit(3)
    if do == 'eat':
        eaten = []
        while True: eaten.append(b'x' * 10_000_000)
    if do == 'files':
        try:
            files = [open('/dev/null') for _ in range(2000)]
        except OSError as error:
            return {'errno': error.errno}
    if do == 'print': print('x' * arguments['bytes'])
    if do == 'raise': raise ValueError('why')
    if do == 'scalar': return 5
    if do == 'result': return {'r': 'x' * arguments['bytes']}
    deadline = os.environ['__OW_DEADLINE']
    return {'deadline': deadline, 'late': time.time() * 1000 > float(deadline)}
"""


@pytest.fixture(scope="module")
def panda(photos: dict[str, Path]) -> dict[str, str]:
    return {"image": encoded(photos["panda.jpg"])}


@pytest.fixture
def pool(engine: docker.DockerClient, image: Image) -> Iterator[Pool]:
    with Pool(engine, image.id) as pool:
        yield pool


def _running(pool: Pool) -> Invoker:
    running = pool.ready()
    assert isinstance(running, Invoker)
    return running


@contextmanager
def _with_action(engine: docker.DockerClient, image: Image, **limits: int) -> Iterator[Invoker]:
    with invoker(engine, image.id, limits=Limits(**limits)) as running:
        assert running.init(code=ACTION).classified.status is Status.SUCCESS
        yield running


def test_a_container_is_reused_and_frozen_and_gives_the_same_answer(
    pool: Pool, panda: dict[str, str]
) -> None:
    cold = pool.invoke(panda)
    container_id = _running(pool).running.container.id
    warm = pool.invoke(panda)
    pool.freeze()
    assert pool.frozen
    thawed = pool.invoke(panda)
    refused = pool.invoke({})
    after = pool.invoke(panda)
    assert refused.activation.classified.status is Status.APPLICATION_ERROR
    assert cold.cold is not None
    for each in (warm, thawed, after):
        assert each.cold is None
        assert each.activation.body == cold.activation.body
    assert _running(pool).running.container.id == container_id


def _kill(running: Invoker) -> None:
    running.running.container.kill("SIGKILL")


def test_a_container_killed_in_mid_request_is_the_developers_error_and_the_next_one_works(
    engine: docker.DockerClient, image: Image, pool: Pool, panda: dict[str, str]
) -> None:
    with _with_action(engine, image) as running:
        killing = threading.Timer(1, _kill, [running])
        killing.start()
        activation = running.run({"do": "sleep", "seconds": 60})
        killing.join()
    assert (activation.classified.status, activation.classified.result) == (Status.DEVELOPER_ERROR, NO_RUN)
    assert not activation.classified.kept
    assert activation.stdout == ("before",)
    assert activation.remarks == (LOG_DOUBTFUL,)
    assert pool.invoke(panda).activation.classified.status is Status.SUCCESS


def test_a_container_that_died_between_two_calls_is_replaced_after_the_error_or_after_a_pause_without_one(
    pool: Pool, panda: dict[str, str]
) -> None:
    assert pool.invoke(panda).activation.classified.status is Status.SUCCESS
    _kill(_running(pool))
    lost = pool.invoke(panda).activation
    assert (lost.classified.status, lost.classified.result) == (Status.DEVELOPER_ERROR, NO_RUN)
    again = pool.invoke(panda)
    assert again.cold is not None
    assert again.activation.classified.status is Status.SUCCESS
    pool.freeze()
    _kill(_running(pool))
    unnoticed = pool.invoke(panda)  # the platform gives it to another container
    assert unnoticed.cold is not None
    assert unnoticed.activation.body == again.activation.body


def test_a_container_that_somebody_else_removed_is_replaced(pool: Pool, panda: dict[str, str]) -> None:
    first = pool.invoke(panda).activation
    _running(pool).running.container.remove(force=True)
    assert pool.invoke(panda).activation.classified.result == NO_RUN
    assert pool.invoke(panda).activation.body == first.body


@pytest.mark.parametrize(
    ("value", "status", "result", "kept"),
    [
        ({"do": "exit"}, Status.DEVELOPER_ERROR, NO_RUN, False),
        ({"do": "eat"}, Status.DEVELOPER_ERROR, NO_MEMORY, False),  # the kernel kills the server
        ({"do": "files"}, Status.SUCCESS, {"errno": 24}, True),
        ({"do": "raise"}, Status.APPLICATION_ERROR, {"error": "why"}, True),
        (
            {"do": "scalar"},
            Status.DEVELOPER_ERROR,
            {"error": "The action did not return a dictionary or array."},
            False,
        ),
    ],
    ids=lambda value: str(value.get("do", "")) if isinstance(value, dict) else "",
)
def test_what_an_action_does_to_its_container_is_judged(
    engine: docker.DockerClient,
    image: Image,
    value: dict[str, Any],
    status: Status,
    result: Any,
    *,
    kept: bool,
) -> None:
    with _with_action(engine, image, memory_mib=128) as running:
        activation = running.run(value)
    verdict = activation.classified
    assert (verdict.status, verdict.result, verdict.kept) == (status, result, kept), activation


def test_an_action_over_its_time_ends_with_the_container(engine: docker.DockerClient, image: Image) -> None:
    with _with_action(engine, image) as running:
        running.limits = Limits(timeout_ms=1000)  # for the run alone: here /init may take longer
        activation = running.run({"do": "sleep", "seconds": 30})
    assert activation.classified.result == {
        "error": "The action exceeded its time limits of 1000 milliseconds."
    }
    assert activation.stdout == ("before",)
    assert not activation.classified.kept


def test_a_log_over_its_limit_is_cut_and_costs_the_container(
    engine: docker.DockerClient, image: Image
) -> None:
    with _with_action(engine, image, log_mib=1) as running:
        within = running.run({"do": "print", "bytes": 1_000_000})
        over = running.run({"do": "print", "bytes": 2_000_000})
    assert within.classified.kept
    assert (over.classified.status, over.classified.kept) == (Status.SUCCESS, False)
    assert over.stdout == ("before",)
    assert "Logs were truncated because" in over.remarks[0]


@pytest.mark.parametrize("over", [0, 1])
def test_a_result_may_have_one_mib(engine: docker.DockerClient, image: Image, over: int) -> None:
    with _with_action(engine, image) as running:
        activation = running.run({"do": "result", "bytes": ENTITY_BYTES - len('{"r":""}') + over})
    if over:
        assert activation.classified.status is Status.APPLICATION_ERROR
        assert "1048577 > 1048576 bytes" in activation.classified.result["error"]
    else:
        assert activation.classified.status is Status.SUCCESS
    assert activation.classified.kept


def test_with_too_little_memory_for_the_model_the_user_is_told(
    engine: docker.DockerClient, image: Image, panda: dict[str, str]
) -> None:
    with Pool(engine, image.id, Limits(memory_mib=6)) as pool:
        verdict = pool.invoke(panda).activation.classified
        assert verdict.status in (Status.DEVELOPER_ERROR, Status.PLATFORM_ERROR)
        assert not verdict.kept
        assert pool._warm is None
    with Pool(engine, image.id) as pool:
        assert pool.invoke(panda).activation.classified.status is Status.SUCCESS


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumped_by_an_hour_changes_nothing(
    engine: docker.DockerClient, image: Image, panda: dict[str, str], hours: int
) -> None:
    """The clock itself cannot be set for one container; what an action sees of it is a deadline far off.

    The server's own time limits are on the monotonic clock, which stands still neither here nor there: a
    container that was frozen sees all of its connections as old as they are, which the pause shows.
    """
    with invoker(engine, image.id) as running:
        running.init()
        before = running.run(panda)
        running.pause()
        deadline = int((time.time() + hours * HOUR_S) * 1000)
        after = running.run(panda, deadline_ms=deadline)
        assert (after.classified.status, after.body) == (Status.SUCCESS, before.body)
    with _with_action(engine, image) as running:
        told = running.run({}, deadline_ms=deadline).classified.result
        assert told == {"deadline": str(deadline), "late": hours < 0}


def test_half_a_request_left_open_over_a_pause_is_in_nobodys_way(pool: Pool, panda: dict[str, str]) -> None:
    first = pool.invoke(panda)
    with ExitStack() as held:
        for _ in range(50):
            half = held.enter_context(socket.create_connection(_running(pool).running.address, timeout=30))
            half.sendall(b"POST /run HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        pool.freeze()
        after = pool.invoke(panda)
    assert (after.cold, after.activation.body) == (None, first.activation.body)


def test_a_second_init_is_the_developers_error(engine: docker.DockerClient, image: Image) -> None:
    with invoker(engine, image.id) as running:
        assert running.init().classified.kept
        second = running.init().classified
    assert second.result == {"error": "Cannot initialize the action more than once."}
    assert not second.kept


Change = Callable[[bytes], bytes | None]


def _flipped(content: bytes) -> bytes:
    """Fifty bytes of the weights, each with all its bits turned."""
    flipped = bytearray(content)
    for at in range(len(flipped) // 3, len(flipped), len(flipped) // 50):
        flipped[at] ^= 0xFF
    return bytes(flipped)


BROKEN: dict[str, tuple[str, Change, str]] = {
    "no-model": ("model.tflite", lambda _content: None, "the model cannot be opened"),
    "an-empty-model": ("model.tflite", lambda _content: b"", "the model cannot be opened"),
    "half-a-model": (
        "model.tflite",
        lambda content: content[: len(content) // 2],
        "the model cannot be opened",
    ),
    "a-model-with-a-broken-head": (
        "model.tflite",
        lambda content: bytes(byte ^ 0xFF for byte in content[:64]) + content[64:],
        "the model cannot be opened",
    ),
    "no-labels": ("labels.txt", lambda _content: None, "labels.txt"),
    "half-of-the-labels": ("labels.txt", lambda content: content[: len(content) // 2], "labels.txt"),
    "no-description": ("model.json", lambda _content: None, "model.json"),
    "half-a-description": ("model.json", lambda content: content[: len(content) // 2], "model.json"),
    "no-library": ("libunder48.so", lambda _content: None, "libunder48.so"),
}


@contextmanager
def _changed(engine: docker.DockerClient, image: Image, name: str, change: Change) -> Iterator[str]:
    """An image whose built-in action is a copy with one file changed, or left out where the change gives None."""
    container = engine.containers.create(image.id)
    try:
        stream, _ = container.get_archive(ACTION_FOLDER)
        copy = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as action,
            tarfile.open(fileobj=copy, mode="w") as copied,
        ):
            for member in action:
                file = action.extractfile(member) if member.isfile() else None
                content = file.read() if file else None
                if content is not None and Path(member.name).name == name:
                    content = change(content)
                    if content is None:
                        continue
                if content is not None:
                    member.size = len(content)
                member.name = f"broken/{member.name}"
                copied.addfile(member, None if content is None else io.BytesIO(content))
        assert container.put_archive("/", copy.getvalue())
        made = container.commit(changes=[f"ENV UNDER48_ACTION=/broken/{Path(ACTION_FOLDER).name}"])
    finally:
        container.remove(force=True)
    try:
        yield str(made.id)
    finally:
        engine.images.remove(str(made.id), force=True)


@pytest.mark.parametrize(("name", "change", "said"), BROKEN.values(), ids=BROKEN)
def test_an_image_with_a_missing_or_broken_file_fails_at_init_and_says_which(
    engine: docker.DockerClient, image: Image, panda: dict[str, str], name: str, change: Change, *, said: str
) -> None:
    with _changed(engine, image, name, change) as broken, Pool(engine, broken) as pool:
        activation = pool.invoke(panda).activation
        assert (activation.classified.status, activation.classified.result) == (
            Status.DEVELOPER_ERROR,
            NOT_STARTED,
        )
        assert pool._warm is None
        assert any(said in line for line in activation.stderr), activation.stderr


def test_half_a_library_ends_the_server_and_the_platform_says_so(
    engine: docker.DockerClient, image: Image, panda: dict[str, str]
) -> None:
    """The loader reads past the end of the file (SIGBUS), which nothing in the process can catch."""
    with (
        _changed(engine, image, "libunder48.so", lambda content: content[: len(content) // 2]) as broken,
        Pool(engine, broken) as pool,
    ):
        verdict = pool.invoke(panda).activation.classified
    assert verdict.status is Status.DEVELOPER_ERROR
    assert "initiali" in verdict.result["error"]  # it did not, or it used up its time for it


def test_weights_that_rotted_are_refused_or_give_an_answer_but_never_an_end(
    engine: docker.DockerClient, image: Image, panda: dict[str, str]
) -> None:
    with _changed(engine, image, "model.tflite", _flipped) as broken, Pool(engine, broken) as pool:
        activations = [pool.invoke(panda).activation for _ in range(3)]
    assert all(each.status_code in (200, 502) for each in activations), activations
    assert len({each.body for each in activations}) == 1


def test_an_image_that_cannot_be_had_or_started_is_judged(engine: docker.DockerClient) -> None:
    with Pool(engine, "under48/none:none") as pool:
        verdict = pool.invoke({}).activation.classified
    assert (verdict.status, verdict.result) == (
        Status.DEVELOPER_ERROR,
        {"error": "Failed to pull container image 'under48/none:none'."},
    )


def test_no_fault_leaves_a_container(engine: docker.DockerClient) -> None:
    assert engine.containers.list(all=True, filters={"label": f"{LABEL}={os.getpid()}"}) == []
