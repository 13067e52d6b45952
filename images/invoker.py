"""Runs an image as the platform's invoker does: /init once, then /run, each with its logs and its verdict."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import docker
from docker.errors import NotFound

from images.activation import Answer, Classified, Logs, NoAnswer, Phase, Status, classify, collect_logs
from images.container import ContainerEnded, Limits, Started, freeze, started
from images.logs import FollowedLogs
from images.protocol import encode, post

__all__ = ["Activation", "ColdStart", "Invoker", "Limits", "Memory", "invoker"]

LOG_SECONDS = 10.0  # without a new line; the platform gives up after 2, but its invoker is no busy desk
BROKEN_LOG_SECONDS = 0.5  # after a developer error; the platform reads what is there
OOM_SECONDS = 2.0  # waitForOomState in DockerContainer.scala
OOM_POLL_SECONDS = 0.1


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

    id: str = ""
    status_code: int | None  # None: no answer
    body: str
    classified: Classified
    elapsed_ms: float
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # the platform's own lines about the log
    logs_complete: bool = True  # a sentinel came on both streams, in time and within the limit
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
    frozen: bool = False
    _init_ms: float = 0
    _run_ms: float | None = None
    _resumed: bool = False  # nothing has been run since
    _logs: FollowedLogs | None = None

    def init(self, *, code: str | None = None, binary: bool = False, main: str = "main") -> Activation:
        """Post to /init; without `code` as for an image with the action built in.

        Raises:
            ContainerEnded: the container ended before its server listened.
        """
        context = self._context()
        env = {f"__OW_{key.upper()}": value for key, value in context.items()}
        value: dict[str, Any] = {"name": self.action, "main": main, "binary": binary, "env": env}
        if code is not None:
            value["code"] = code
        began = time.perf_counter()
        answer = self._post("/init", {"value": value}, retry_refused=True)
        activation = self._judge("init", context["activation_id"], answer, _since(began))
        self._init_ms = activation.elapsed_ms
        return activation

    def run(self, value: Any, *, deadline_ms: int | None = None) -> Activation:
        """Post `value`, the action's parameters, to /run; a frozen container is thawed first.

        `deadline_ms`, in milliseconds since 1970, is told to the action; by default that of its time limit.
        """
        if self.frozen:
            self.resume()
        context = self._context(deadline_ms)
        checked: list[float] = []
        began = time.perf_counter()
        try:
            answer = self._post("/run", {"value": value, **context}, checked=checked)
        except ContainerEnded as error:
            answer = NoAnswer(reason=str(error), refused=True)
        elapsed_ms = _since(began) - sum(checked)  # the platform has no such check
        activation = self._judge("run", context["activation_id"], answer, elapsed_ms)
        self._resumed = False
        if self._run_ms is None:
            self._run_ms = activation.elapsed_ms
        return activation

    def pause(self) -> None:
        """Freeze the container's processes, as the platform does with one that has been idle for 10 s."""
        freeze(self.running.container)
        self.frozen = True

    def resume(self) -> None:
        """Thaw a frozen container; the next /run is the first after an idle time."""
        self.running.container.unpause()
        self.frozen, self._resumed = False, True

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
        """Whether the kernel has killed the server, which ran out of memory; the engine knows it a moment later."""
        deadline = time.monotonic() + OOM_SECONDS
        while True:
            try:
                self.running.container.reload()
            except NotFound:  # somebody has removed it
                return False
            state = self.running.container.attrs["State"]
            if state["OOMKilled"] or not state["Running"] or time.monotonic() > deadline:
                return bool(state["OOMKilled"])
            time.sleep(OOM_POLL_SECONDS)

    def _post(
        self,
        path: str,
        message: Mapping[str, Any],
        *,
        retry_refused: bool = False,
        checked: list[float] | None = None,
    ) -> Answer | NoAnswer:
        """Post to this very container; `checked` gets the milliseconds that making sure of it took."""

        def confirm() -> None:
            began = time.perf_counter()
            self.running.check()
            if checked is not None:
                checked.append(_since(began))

        return post(
            self.running.address,
            path,
            encode(message),
            seconds=self.limits.timeout_ms / 1000,
            retry_refused=retry_refused,
            retry_dropped=self.running.published,
            check=self.running.check,
            confirm=confirm,
        )

    def _judge(
        self, phase: Phase, activation_id: str, answer: Answer | NoAnswer, elapsed_ms: float
    ) -> Activation:
        in_time = elapsed_ms < self.limits.timeout_ms
        if isinstance(answer, NoAnswer) and in_time and self.oom_killed():
            answer = replace(answer, oom_killed=True)
        classified = classify(phase, answer, elapsed_ms, self.limits.timeout_ms, resumed=self._resumed)
        quiet = phase == "init" and classified.kept  # what it printed is the first activation's
        logs = Logs() if quiet else self._collect(classified.status)
        if logs.failed:
            classified = replace(classified, kept=False)
        return Activation(
            id=activation_id,
            status_code=answer.status_code if isinstance(answer, Answer) else None,
            body=answer.body.decode(errors="replace") if isinstance(answer, Answer) else answer.reason,
            classified=classified,
            elapsed_ms=elapsed_ms,
            stdout=logs.stdout,
            stderr=logs.stderr,
            remarks=logs.remarks,
            logs_complete=logs.complete,
            oom_killed=isinstance(answer, NoAnswer) and answer.oom_killed,
        )

    def _collect(self, status: Status) -> Logs:
        if self.limits.log_mib == 0:
            return Logs()
        if self._logs is None:
            self._logs = FollowedLogs(self.running.container)
        broken = status in (Status.DEVELOPER_ERROR, Status.REQUEUED)
        stdout, stderr = self._logs.take(idle_seconds=BROKEN_LOG_SECONDS if broken else LOG_SECONDS)
        return collect_logs(stdout, stderr, limit_mib=self.limits.log_mib, status=status)

    def _context(self, deadline_ms: int | None = None) -> dict[str, str]:
        """What each activation is told of itself; a new one each time."""
        deadline = int(time.time() * 1000) + self.limits.timeout_ms if deadline_ms is None else deadline_ms
        return {
            "namespace": "guest",
            "action_name": f"/guest/{self.action}",
            "action_version": "0.0.1",
            "activation_id": uuid.uuid4().hex,
            "transaction_id": uuid.uuid4().hex,
            "deadline": str(deadline),
        }


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


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
