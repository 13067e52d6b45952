"""Runs an image as the platform's invoker does: /init once, then /run, each with its logs and its verdict."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import docker

from images.activation import Answer, Classified, LogPart, NoAnswer, Phase, classify, read_log
from images.container import Limits, Started, started
from images.protocol import encode, post

__all__ = ["Activation", "ColdStart", "Invoker", "Limits", "Memory", "invoker"]

LOG_SECONDS = 2.0  # without the sentinels, after which the invoker stops waiting for them
LOG_POLL_SECONDS = 0.01
OOM_SECONDS = 2.0  # waitForOomState in DockerContainer.scala
OOM_POLL_SECONDS = 0.1
_SILENCE = LogPart(lines=(), end=0, complete=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Of the container, in bytes. `used` is what counts against the limit and cannot be dropped.

    `used` and `limit` are 0 where nothing is known: without a memory controller, or of a container that ended.
    """

    used: int
    peak: int | None  # with file cache; None where the kernel does not say (cgroup v2)
    limit: int

    @classmethod
    def of(cls, stats: Mapping[str, Any]) -> "Memory":
        """What the engine's statistics say, counted as `docker stats` does."""
        memory = stats.get("memory_stats") or {}
        details = memory.get("stats") or {}
        dropable = details.get("total_inactive_file", details.get("inactive_file", 0))  # cgroup v1, v2
        return cls(
            used=max(0, memory.get("usage", 0) - dropable),
            peak=memory.get("max_usage"),
            limit=memory.get("limit", 0),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Activation:
    """One call of /init or /run and what became of it."""

    status_code: int | None  # None: no answer
    body: str
    classified: Classified
    elapsed_ms: float
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    logs_complete: bool = True  # a sentinel came on both streams
    oom_killed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdStart:
    """The milliseconds of a cold start: `docker run`, /init with the wait for the server, the first /run."""

    start_ms: float
    init_ms: float
    run_ms: float

    @property
    def total_ms(self) -> float:
        return self.start_ms + self.init_ms + self.run_ms


@dataclass
class Invoker:
    """One running container. Get it from `invoker(…)`, which removes it."""

    running: Started
    limits: Limits
    action: str = "classify"
    _init_ms: float = 0
    _run_ms: float | None = None
    _log_ends: tuple[int, int] = (0, 0)  # bytes of stdout and stderr that earlier activations had

    def init(self, *, code: str | None = None, binary: bool = False, main: str = "main") -> Activation:
        """Post to /init; without `code` as for an image with the action built in.

        Raises:
            ContainerFailed: the container ended before its server listened.
        """
        context = {f"__OW_{key.upper()}": value for key, value in self._context().items()}
        value: dict[str, Any] = {"name": self.action, "main": main, "binary": binary, "env": context}
        if code is not None:
            value["code"] = code
        activation = self._post("init", {"value": value})
        self._init_ms = activation.elapsed_ms
        return activation

    def run(self, value: Any) -> Activation:
        """Post `value`, the action's parameters, to /run."""
        activation = self._post("run", {"value": value, **self._context()})
        if self._run_ms is None:
            self._run_ms = activation.elapsed_ms
        return activation

    @property
    def cold(self) -> ColdStart | None:
        """Known once /run has answered for the first time."""
        if self._run_ms is None:
            return None
        return ColdStart(start_ms=self.running.start_ms, init_ms=self._init_ms, run_ms=self._run_ms)

    def memory(self) -> Memory:
        """What the container uses now."""
        return Memory.of(cast("dict[str, Any]", self.running.container.stats(stream=False, one_shot=True)))

    def oom_killed(self) -> bool:
        """Whether the kernel has killed the server for want of memory; the engine knows it a moment later."""
        deadline = time.monotonic() + OOM_SECONDS
        while True:
            self.running.container.reload()
            state = self.running.container.attrs["State"]
            if state["OOMKilled"] or not state["Running"] or time.monotonic() > deadline:
                return bool(state["OOMKilled"])
            time.sleep(OOM_POLL_SECONDS)

    def _post(self, phase: Phase, message: Mapping[str, Any]) -> Activation:
        body = encode(message)
        began = time.perf_counter()
        answer = post(
            self.running.address,
            f"/{phase}",
            body,
            seconds=self.limits.timeout_ms / 1000,
            retry_dropped=self.running.published,
            while_refused=self.running.check if phase == "init" else None,
        )
        elapsed_ms = (time.perf_counter() - began) * 1000
        in_time = elapsed_ms < self.limits.timeout_ms
        if isinstance(answer, NoAnswer) and in_time and self.oom_killed():
            answer = NoAnswer(reason=answer.reason, oom_killed=True)
        classified = classify(phase, answer, elapsed_ms, self.limits.timeout_ms)
        quiet = phase == "init" and classified.kept  # what it printed is the first activation's
        stdout, stderr = (
            (_SILENCE, _SILENCE) if quiet else self._logs(LOG_SECONDS if isinstance(answer, Answer) else 0)
        )
        return Activation(
            status_code=answer.status_code if isinstance(answer, Answer) else None,
            body=answer.body.decode(errors="replace") if isinstance(answer, Answer) else answer.reason,
            classified=classified,
            elapsed_ms=elapsed_ms,
            stdout=stdout.lines,
            stderr=stderr.lines,
            logs_complete=stdout.complete and stderr.complete,
            oom_killed=isinstance(answer, NoAnswer) and answer.oom_killed,
        )

    def _context(self) -> dict[str, str]:
        """What each activation is told of itself; a new one each time."""
        return {
            "namespace": "guest",
            "action_name": f"/guest/{self.action}",
            "action_version": "0.0.1",
            "activation_id": uuid.uuid4().hex,
            "transaction_id": uuid.uuid4().hex,
            "deadline": str(int(time.time() * 1000) + self.limits.timeout_ms),
        }

    def _logs(self, patience: float) -> tuple[LogPart, LogPart]:
        """What stdout and stderr hold of this activation.

        The engine writes the log a moment after the server has, so the sentinels are waited for, `patience`
        seconds at most; a server that broke off has none to send.
        """
        deadline = time.monotonic() + patience
        while True:
            stdout, stderr = (
                read_log(
                    self.running.container.logs(stdout=first, stderr=not first), self._log_ends[not first]
                )
                for first in (True, False)
            )
            if (stdout.complete and stderr.complete) or time.monotonic() > deadline:
                self._log_ends = (stdout.end, stderr.end)
                return stdout, stderr
            time.sleep(LOG_POLL_SECONDS)


@contextmanager
def invoker(
    engine: docker.DockerClient,
    image: str,
    *,
    limits: Limits | None = None,
    hardened: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Invoker]:
    """Start `image` as `images.container.started` says, to be called as the platform calls it.

    Raises:
        ContainerFailed: there is no such image, it does not start, or the engine is on another machine.
    """
    limits = limits or Limits()
    with started(engine, image, limits=limits, hardened=hardened, environment=environment) as running:
        yield Invoker(running=running, limits=limits)
