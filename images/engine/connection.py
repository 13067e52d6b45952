"""Finds a Docker engine and connects to it; brings one up where none answers and that is possible.

An engine that the user has chosen (setting, DOCKER_HOST, docker context) is the only one tried: when it does
not answer, building on another one behind his back would be a surprise, so that is an error.
"""

import fcntl
import grp
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import requests
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import DockerException
from docker.tls import TLSConfig
from platformdirs import user_state_path

from images.engine import daemon
from images.engine.endpoints import Endpoint, chosen, usual
from images.errors import EngineForbidden, EngineMissing, EngineUnsuitable

OLDEST_API = "1.41"  # engine 20.10; the first whose `create container` takes a platform
NEWEST_API = DEFAULT_DOCKER_API_VERSION  # the newest that this docker-py was written for
PROBE_SECONDS = 10
CALL_SECONDS = 300  # committing a large layer keeps the engine silent for long

Report = Callable[[str], None]
_PODMAN = "Podman Engine"  # how Podman calls itself among the components at /version


class Engine(docker.DockerClient):
    """A client of an engine that answers, with where it listens and what it is."""

    def __init__(self, endpoint: Endpoint, about: Mapping[str, Any]) -> None:
        """`about` is what the engine says at /version."""
        api_version = negotiate(about["ApiVersion"], about.get("MinAPIVersion") or OLDEST_API)
        super().__init__(**_client_options(endpoint), version=api_version, timeout=CALL_SECONDS)
        self.endpoint = endpoint
        components = {str(part.get("Name")): part for part in about.get("Components") or ()}
        self.is_podman = _PODMAN in components
        version = components.get(_PODMAN, about).get("Version", "of unknown version")
        self.title = f"{'Podman' if self.is_podman else 'Docker'} {version}"
        self.platform = f"{about.get('Os', '?')}/{about.get('Arch', '?')}"


def connect(url: str | None = None, *, environ: Mapping[str, str] = os.environ) -> Engine:
    """A client of the engine at `url`, else of DOCKER_HOST, else the docker context, else a usual socket.

    Raises:
        EngineMissing: none answers.
        EngineForbidden: one listens on a socket that this user may not open.
        EngineUnsuitable: the one that answers runs Windows containers, or is older than 20.10; or it is
            reached over ssh.
    """
    if endpoint := chosen(url, environ, Path.home()):
        try:
            return _open(endpoint)
        except EngineMissing as error:
            raise EngineMissing(
                f"{endpoint.named_by} names the engine at {endpoint.url}, which does not answer ({error}); "
                "start that engine, or choose another"
            ) from error
    forbidden: EngineForbidden | None = None
    for endpoint in usual(environ, Path.home()):
        try:
            return _open(endpoint)
        except EngineForbidden as error:
            forbidden = forbidden or error
        except EngineMissing:
            continue
    if forbidden:
        raise forbidden
    raise EngineMissing(f"no Docker engine answers here; {daemon.advice(daemon.this_system())}")


def ensure(
    url: str | None = None,
    *,
    state: Path | None = None,
    report: Report = lambda _message: None,
    environ: Mapping[str, str] = os.environ,
) -> Engine:
    """Connect; if none answers, none was chosen, and this is Debian or Ubuntu with root: bring one up first.

    `state` is the folder of its log and pid file. `report` is told what is done to the machine.

    Raises:
        EngineMissing: none answers and none can be brought up here; the text says how to get one.
        AptFailed: docker.io could not be installed.
        EngineStartFailed: it was started and did not come up; with the end of its log.
        EngineForbidden, EngineUnsuitable: as `connect`.
    """
    try:
        return connect(url, environ=environ)
    except EngineMissing:
        if chosen(url, environ, Path.home()) or not daemon.possible():
            raise
    state = state or state_folder()
    with _alone(state / "lock", report):
        daemon.bring_up(daemon.Dockerd(), state, lambda: _answers(environ), report)
        return connect(url, environ=environ)


def stop(state: Path | None = None) -> str:
    """Stop the engine that `ensure` started, if it did; what was done, as a sentence.

    Raises:
        EngineStartFailed: it does not end.
    """
    return daemon.stop(state or state_folder())


def state_folder() -> Path:
    """Where the log and the pid file of an engine started here are kept."""
    return user_state_path("under48") / "engine"


def negotiate(newest: str, oldest: str) -> str:
    """The API version to speak with an engine that speaks `oldest` to `newest`: the newest that both know.

    An engine that has dropped all that docker-py knows is spoken to in its oldest, the closest there is.

    Raises:
        EngineUnsuitable: the engine is older than 20.10.
    """
    if version_tuple(newest) < version_tuple(OLDEST_API):
        raise EngineUnsuitable(
            f"the engine speaks API {newest}; {OLDEST_API} (engine 20.10) is the oldest usable: upgrade it"
        )
    return max(min(newest, NEWEST_API, key=version_tuple), oldest, key=version_tuple)


def version_tuple(text: str) -> tuple[int, ...]:
    """An API version as numbers, to be compared."""
    return tuple(int(part) for part in text.split("."))


def _open(endpoint: Endpoint) -> Engine:
    if endpoint.destination:
        raise EngineUnsuitable(
            f"{endpoint.named_by} names the engine at {endpoint.url}, and engines are not called over ssh here; "
            f"forward its socket: `ssh -NL /tmp/docker.sock:/var/run/docker.sock {endpoint.destination}`, "
            "and set DOCKER_HOST=unix:///tmp/docker.sock"
        )
    if endpoint.socket:
        _knock(endpoint)
    about = _about(endpoint)
    if about.get("Os") == "windows":
        raise EngineUnsuitable(
            f"the engine at {endpoint.url} runs Windows containers; switch Docker Desktop to Linux containers"
        )
    return Engine(endpoint, about)


def _knock(endpoint: Endpoint) -> None:
    """Open the socket once by hand: the system's own error says which of the three common troubles it is."""
    try:
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(PROBE_SECONDS)
            knock.connect(str(endpoint.socket))
    except PermissionError as error:
        raise EngineForbidden(
            f"an engine may listen on {endpoint.socket}, but this user may not open that socket; "
            f"{_way_in(endpoint)}"
        ) from error
    except OSError as error:
        raise EngineMissing(f"{endpoint.socket}: {error.strerror or error}") from error


def _way_in(endpoint: Endpoint) -> str:
    """What gives this user access: the socket's own group, unless that is root's or may not write."""
    try:
        status = Path(str(endpoint.socket)).stat()
        group = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):  # in a folder that is closed to this user, or of a group without a name
        return "run as root, or as a user who may"
    if group != "root" and status.st_mode & stat.S_IWGRP:
        return f"join its group (`sudo usermod -aG {group} $USER`, then log in again), or run as root"
    if "podman" in str(endpoint.socket):
        return "run as root, or start an engine of your own: `systemctl --user enable --now podman.socket`"
    return f"run as root, or give the socket to a group that you are in: `sudo chgrp GROUP {endpoint.socket}`"


def _about(endpoint: Endpoint) -> dict[str, Any]:
    """What the engine says at /version, the one request that needs no API version."""
    try:
        with closing(
            docker.DockerClient(**_client_options(endpoint), version=OLDEST_API, timeout=PROBE_SECONDS)
        ) as client:
            about = client.api.version(api_version=False)
    except (requests.RequestException, DockerException, ValueError, OSError) as error:
        raise EngineMissing(f"{endpoint.url}: {error}") from error
    if not isinstance(about, dict) or "ApiVersion" not in about:
        raise EngineMissing(f"{endpoint.url}: what answers there is not a Docker engine")
    return about


def _client_options(endpoint: Endpoint) -> dict[str, Any]:
    tls = endpoint.tls and TLSConfig(
        ca_cert=str(endpoint.tls.ca) if endpoint.tls.ca and endpoint.tls.verify else None,
        client_cert=(str(endpoint.tls.cert), str(endpoint.tls.key))
        if endpoint.tls.cert and endpoint.tls.key
        else None,
        verify=endpoint.tls.verify,
    )
    return {"base_url": endpoint.url, "tls": tls or False}


def _answers(environ: Mapping[str, str]) -> bool:
    try:
        connect(environ=environ).close()
    except EngineMissing:
        return False
    return True


@contextmanager
def _alone(lock: Path, report: Report) -> Iterator[None]:
    """Of two commands started at once only one may install and start an engine; the other waits for it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another command is bringing up the engine; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
