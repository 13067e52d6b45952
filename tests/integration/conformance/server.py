"""The edge of the conformance tests: one container for one vector, called, looked at, and removed."""

import http.client
import json
import socket
import time
from typing import Any

import docker

from images.activation import SENTINEL, NoAnswer
from images.container import Limits, Started, started
from images.errors import ContainerFailed
from images.protocol import post
from tests.integration.conformance.vector import Outcome, Reply, Vector, judge

CLIENT_SECONDS = 30.0  # the official harness's patience, as is the next
LOG_SECONDS = 0.1
# The engine copies the log to its file after the answer has gone; on a busy machine that takes longer.
_LATE_LOG_SECONDS = 10.0
_POLL_SECONDS = 0.02


def play(engine: docker.DockerClient, image: str, vector: Vector, *, hardened: bool = False) -> Outcome:
    """Do a vector's steps with a fresh container of `image`, and judge what they gave."""
    limits = Limits(memory_mib=vector.memory_mib)
    with started(engine, image, limits=limits, hardened=hardened, environment=vector.environment) as running:
        server = Server(engine, image, running)
        replies: list[Reply] = []
        try:
            for step in vector.steps:
                replies += step.act(server)
        except (OSError, http.client.HTTPException, ContainerFailed) as error:
            replies.append(Reply(status=None, body=f"{type(error).__name__}: {error}"))
        time.sleep(LOG_SECONDS)
        return judge(vector, replies, *server.logs(vector.logs.sentinels or 0))


class Server:
    """What a vector's steps can do with its container."""

    def __init__(self, engine: docker.DockerClient, image: str, running: Started) -> None:
        self.engine = engine
        self.image = image
        self.container = running.container
        self._running = running

    def post(self, path: str, body: bytes, seconds: float = CLIENT_SECONDS) -> Reply:
        """Post as the platform does; an answer without Content-Length is none."""
        answer = post(
            self._running.address,
            path,
            body,
            seconds=seconds,
            retry_refused=True,
            retry_dropped=self._running.published,
            check=self._running.check,
        )
        if isinstance(answer, NoAnswer):
            return Reply(status=None, body=f"no answer: {answer.reason}")
        return Reply(status=answer.status_code, body=_parsed(answer.body))

    def connect(self) -> socket.socket:
        """Connect as soon as the port is open."""
        deadline = time.monotonic() + CLIENT_SECONDS
        while True:
            try:
                return socket.create_connection(self._running.address, timeout=CLIENT_SECONDS)
            except ConnectionRefusedError:
                self._running.check()
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def logs(self, sentinels: int = 0) -> tuple[str, str]:
        """Both streams, read one after the other, once they have that many sentinels (or never will)."""
        deadline = time.monotonic() + _LATE_LOG_SECONDS
        while True:
            out, err = (
                self.container.logs(stdout=first, stderr=not first).decode(errors="replace")
                for first in (True, False)
            )
            if min(out.count(SENTINEL), err.count(SENTINEL)) >= sentinels or time.monotonic() > deadline:
                return out, err
            time.sleep(_POLL_SECONDS)

    def wait_for_output(self, text: str) -> None:
        """Wait until the action has printed `text` on stdout."""
        deadline = time.monotonic() + CLIENT_SECONDS
        while text not in self.logs()[0]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} was not printed")
            time.sleep(_POLL_SECONDS)

    def end(self) -> dict[str, Any]:
        """What the engine says of the container, waiting a moment for its end."""
        deadline = time.monotonic() + CLIENT_SECONDS
        while True:
            self.container.reload()
            state = self.container.attrs["State"]
            if not state["Running"] or time.monotonic() > deadline:
                return {"running": state["Running"], "out of memory": state["OOMKilled"]}
            time.sleep(_POLL_SECONDS)


def answer_of(client: socket.socket) -> Reply:
    """Read one response from a connection."""
    response = http.client.HTTPResponse(client, method="POST")
    try:
        response.begin()
        if response.getheader("Content-Length") is None:
            return Reply(status=None, body="no Content-Length")
        return Reply(status=response.status, body=_parsed(response.read()))
    finally:
        response.close()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
