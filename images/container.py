"""Starts a container with the flags that the platform starts it with, and removes it whatever happens."""

import ipaddress
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit

from images.errors import ContainerFailed
from images.protocol import Address

__all__ = [
    "LABEL",
    "CommandMissing",
    "ContainerEnded",
    "ContainerFailed",
    "ImageMissing",
    "Limits",
    "Started",
    "ended_by_signals",
    "freeze",
    "options",
    "started",
]

PORT = 8080
LABEL = "org.under48.invoker"  # on every container started here; its value is the pid of the command
_CPU_SHARES = (2, 262_144)  # the least and the most that the kernel takes
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_FREEZE_TRIES = 5
_TAIL_LINES = 20  # of a container that ended, in the error
_NO_COMMAND = ("executable file not found", "no such file or directory")  # where `docker run` ends with 127


class ImageMissing(ContainerFailed):
    """There is no such image."""


class CommandMissing(ContainerFailed):
    """The image does not hold the program that it is to start."""


class ContainerEnded(ContainerFailed):
    """The container has ended, or has never been where it could be called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the platform allows an action; the defaults are its own."""

    memory_mib: int = 256
    timeout_ms: int = 60_000  # for /init and for each /run
    log_mib: int = 10  # of each activation; 0: no log is read
    open_files: int = 1024
    processes: int = 1024
    invoker_memory_mib: int = 1024  # of which the action's memory gives its share of the processor


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A running container, and where its server is to be called."""

    container: Container
    address: Address
    published: bool  # the address is a port published on loopback, not the container's own
    start_ms: float  # what `docker run -d` took

    def check(self) -> None:
        """Raise ContainerEnded, with the end of its log, if the container has ended.

        Its address may be another container's by then. As addresses are unique among running containers, a
        connection that was made before a check that passes is one to this container.
        """
        _check(self.container)


@contextmanager
def started(
    engine: docker.DockerClient,
    image: str,
    *,
    limits: Limits,
    hardened: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Started]:
    """Start `image` (`DockerContainer.scala` has the flags); remove the container at the end.

    `hardened` goes beyond the platform: a read-only root file system, no capabilities, no new privileges.
    Ctrl-C, SIGTERM and SIGHUP (a closed terminal) remove the container too.

    Raises:
        ImageMissing: there is no such image.
        CommandMissing: it does not hold its own command.
        ContainerEnded: it ended at once.
        ContainerFailed: it does not start otherwise, or the engine is on another machine.
    """
    if not _is_here(engine):
        raise ContainerFailed(
            f"the engine at {engine.api.base_url} is on another machine, and its containers cannot be called "
            "from here: run this command on that machine, or choose an engine of this one with DOCKER_HOST"
        )
    name = f"wsk-under48-{uuid.uuid4().hex[:12]}"
    published = not _bridge_is_here(engine)
    flags = options(limits, hardened=hardened, published=published, environment=environment or {})
    with ended_by_signals(), _removed(engine, name):
        began = time.perf_counter()
        try:
            container = engine.containers.create(image, name=name, **flags)
            container.start()
        except ImageNotFound as error:
            raise ImageMissing(f"there is no image {image} here; build it first") from error
        except APIError as error:
            said = str(error.explanation or error)
            kind = CommandMissing if any(part in said for part in _NO_COMMAND) else ContainerFailed
            raise kind(f"{image} does not start: {said}") from error
        start_ms = (time.perf_counter() - began) * 1000
        _check(container)
        yield Started(
            container=container,
            address=_address(container, published=published),
            published=published,
            start_ms=start_ms,
        )


def options(
    limits: Limits, *, hardened: bool, published: bool, environment: Mapping[str, str]
) -> dict[str, Any]:
    """The flags that the platform starts containers with, as docker-py calls them."""
    memory = limits.memory_mib << 20
    share = 1024 * limits.memory_mib // limits.invoker_memory_mib  # ContainerFactory.scala
    least, most = _CPU_SHARES
    beyond = {"read_only": True, "security_opt": ["no-new-privileges"]} if hardened else {}
    return {
        "cpu_shares": min(most, max(least, share)),
        "mem_limit": memory,
        "memswap_limit": memory,  # the same: no swap
        "network_mode": "bridge",
        "environment": {"__OW_API_HOST": "http://api.invalid", **environment},
        "cap_drop": ["ALL"] if hardened else ["NET_RAW", "NET_ADMIN"],
        "ulimits": [Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files)],
        "pids_limit": limits.processes,
        "log_config": LogConfig(type="json-file"),
        "labels": {LABEL: str(os.getpid())},
        "ports": {f"{PORT}/tcp": ("127.0.0.1", None)} if published else {},
        **beyond,
    }


def _is_here(engine: docker.DockerClient) -> bool:
    """Whether the engine's ports on loopback are this machine's: it is called over a socket or an own address."""
    if engine.api.base_url.startswith("http+docker://localhost"):  # what docker-py makes of unix://
        return True
    url = urlsplit(engine.api.base_url)
    if url.scheme not in {"http", "https"}:  # ssh
        return False
    try:
        places = socket.getaddrinfo(url.hostname, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_is_own(family, address[0]) for family, *_, address in places)


def _is_own(family: int, address: str | int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))  # only an address of this machine can be bound
    except OSError:
        return False
    return True


def _bridge_is_here(engine: docker.DockerClient) -> bool:
    """Whether containers can be called at their own address: the engine's bridge is one of this machine's.

    It is not with Docker Desktop, whose engine is in a virtual machine, and not with a rootless engine.
    """
    if not engine.api.base_url.startswith("http+docker://localhost"):
        return False
    try:
        config = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
        gateway = config.get("Gateway") or str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    except (NotFound, LookupError, ValueError):
        return False
    return _is_own(socket.AF_INET, gateway)


def _check(container: Container) -> None:
    try:
        container.reload()
    except NotFound as error:
        raise ContainerEnded("the container has been removed while it was in use") from error
    state = container.attrs["State"]
    if state["Running"]:
        return
    cause = "was killed: out of memory" if state["OOMKilled"] else f"ended with status {state['ExitCode']}"
    log: list[str] = []
    with suppress(APIError):  # it is being removed
        log = container.logs(tail=_TAIL_LINES).decode(errors="replace").splitlines()
    raise ContainerEnded("\n    ".join((f"the container {cause}; its log ends with:", *log)))


def _address(container: Container, *, published: bool) -> Address:
    settings = container.attrs["NetworkSettings"]
    if published:
        bound = settings["Ports"].get(f"{PORT}/tcp") or [{}]
        address = ("127.0.0.1", int(bound[0].get("HostPort", 0)))
    else:  # of its only network, which Podman calls `podman`; the address above it is gone since engine 29
        networks = settings["Networks"].values()
        address = (next((network["IPAddress"] for network in networks), ""), PORT)
    if not all(address):  # an empty address would be this machine's own
        _check(container)
        raise ContainerEnded("the engine gave the container no address; is its network `bridge` in order?")
    return address


def freeze(container: Container) -> None:
    """Freeze the container's processes; on a busy machine runc may need more than one try.

    Raises:
        APIError: it cannot be frozen.
    """
    for left in reversed(range(_FREEZE_TRIES)):
        try:
            container.pause()
        except APIError as error:
            if not left or "unable to freeze" not in str(error):
                raise
        else:
            return


@contextmanager
def _removed(engine: docker.DockerClient, name: str) -> Iterator[None]:
    """Remove the container called `name` at the end, a second time if the first is interrupted.

    By name, since an interrupted creation leaves a container whose id was never learnt.
    """
    try:
        yield
    finally:
        try:
            _remove(engine, name)
        except BaseException:
            _remove(engine, name)
            raise


def _remove(engine: docker.DockerClient, name: str) -> None:
    with suppress(NotFound):
        try:
            engine.api.remove_container(name, force=True, v=True)
        except APIError as error:
            if error.status_code != 409:  # another removal of it is under way
                raise


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as an exception does, so that what must be removed is removed.

    One that is ignored, as SIGHUP is under nohup, or that somebody else handles is left alone.
    """
    mine = threading.current_thread() is threading.main_thread()
    taken = [number for number in _ENDING if mine and signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
