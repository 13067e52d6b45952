"""Keeps one container for an action as the platform does: reused, frozen when idle, replaced when it is broken.

`ContainerProxy.scala` has the rules. One at a time, since a Python action's concurrency is one: whoever asks while
an activation runs waits, where the platform would start a second container.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import APIError

from images.activation import Classified, NoAnswer, Status, classify, not_started
from images.container import CommandMissing, ContainerEnded, ContainerFailed, ImageMissing, Limits
from images.invoker import Activation, ColdStart, Invoker, invoker

IDLE_SECONDS = 10.0  # container-proxy.timeouts.pause-grace: then the platform freezes a container
UNUSED_SECONDS = 600.0  # container-proxy.timeouts.idle-container: then it removes a frozen one


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """An activation, and what it cost to have a container for it; None where there was a warm one."""

    activation: Activation
    cold: ColdStart | None = None


@dataclass
class Pool:
    """At most one container of an image, started when an activation needs it; `with` removes it at the end."""

    engine: docker.DockerClient
    image: str
    limits: Limits = field(default_factory=Limits)
    environment: Mapping[str, str] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _warm: Invoker | None = None

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what runs."""
        self.destroy()

    @property
    def frozen(self) -> bool:
        """Whether there is nothing left to freeze: the container is frozen, or there is none."""
        return self._warm is None or self._warm.frozen

    def ready(self) -> Invoker | Activation:
        """The initialised container, started if there is none; or else its failed /init, after which there is none.

        Raises:
            ContainerFailed: no container comes up, or it ends before its server listens.
        """
        if self._warm is not None:
            return self._warm
        try:
            running = self._open.enter_context(
                invoker(self.engine, self.image, limits=self.limits, environment=self.environment)
            )
            init = running.init()
        except BaseException:
            self.destroy()
            raise
        if not init.classified.kept:
            self.destroy()
            return init
        self._warm = running
        return running

    def invoke(self, value: Any) -> Invocation:
        """Run the action on `value`, its parameters; whatever goes wrong is in the activation."""
        warm = self._thawed()
        try:
            running = self.ready()
        except ContainerFailed as error:
            return Invocation(activation=self._failure(error))
        if isinstance(running, Activation):
            return Invocation(activation=running)
        activation = running.run(value)
        if not activation.classified.kept:
            self.destroy()
        if activation.classified.status is Status.REQUEUED:
            return self.invoke(value)  # in a new container, which has never been frozen
        return Invocation(activation=activation, cold=None if warm else running.cold)

    def freeze(self) -> None:
        """Stop the container's processes until the next activation, as the platform does after an idle time."""
        if self._warm is not None and not self._warm.frozen:
            try:
                self._warm.pause()
            except APIError:  # it has ended meanwhile
                self.destroy()

    def destroy(self) -> None:
        """Remove the container; the next activation gets a new one."""
        self._warm = None
        self._open.close()

    def _thawed(self) -> bool:
        """Whether there is a container from before, ready again."""
        if self._warm is not None and self._warm.frozen:
            try:
                self._warm.resume()
            except APIError:
                self.destroy()
        return self._warm is not None

    def _failure(self, error: ContainerFailed) -> Activation:
        return Activation(status_code=None, body=str(error), classified=self._verdict(error), elapsed_ms=0)

    def _verdict(self, error: ContainerFailed) -> Classified:
        """The platform's, where no container came up or stayed."""
        if isinstance(
            error, ContainerEnded
        ):  # the platform calls it until the time limit: no need to wait for that
            limit = self.limits.timeout_ms
            return classify("init", NoAnswer(reason=str(error), refused=True), limit, limit)
        return not_started(
            self.image,
            missing_image=isinstance(error, ImageMissing),
            missing_command=isinstance(error, CommandMissing),
        )
