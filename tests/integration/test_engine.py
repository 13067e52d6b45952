"""The engine that answers here; one brought up and stopped beside it; packages that apt-get does not have."""

import os
import threading
from contextlib import closing
from pathlib import Path

import pytest

from images import apt, engine
from images.engine import connection, daemon
from images.engine.endpoints import Endpoint
from images.errors import AptFailed, EngineMissing

pytestmark = pytest.mark.engine

UNCHOSEN = {"DOCKER_CONTEXT": "default"}  # whatever context this user works in

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not apt.here() or apt.find("dockerd") is None,
    reason="starts a second dockerd as root",
)


def test_the_engine_of_this_machine_is_found_and_runs_linux() -> None:
    with closing(engine.connect()) as client:
        assert client.info()["OSType"] == "linux"


@needs_root
def test_where_no_engine_answers_one_is_brought_up_once_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As far as `ensure` can see, this machine has no engine: the usual socket is one of the test's.
    # The daemon is real, in a network namespace of its own: it would take the other's bridge away.
    url = f"unix://{tmp_path}/docker.sock"
    program = tmp_path / "dockerd-apart"
    program.write_text('#!/bin/sh\nPATH="$PATH:/usr/sbin"\nexec unshare --net dockerd "$@"\n')
    program.chmod(0o755)
    dockerd = daemon.Dockerd(
        program=str(program),
        arguments=(
            *("--host", url, "--pidfile", f"{tmp_path}/docker.pid"),
            *("--data-root", f"{tmp_path}/data", "--exec-root", f"{tmp_path}/exec"),
        ),
        pidfile=tmp_path / "docker.pid",
    )
    monkeypatch.setattr(connection, "usual", lambda *_: (Endpoint(url=url, named_by="the test"),))
    monkeypatch.setattr(daemon, "Dockerd", lambda: dockerd)
    state = tmp_path / "state"
    said: list[str] = []

    def ensure() -> None:
        with closing(engine.ensure(state=state, report=said.append, environ=UNCHOSEN)) as client:
            assert client.info()["DockerRootDir"] == f"{tmp_path}/data"

    try:
        others = [threading.Thread(target=ensure) for _ in range(2)]
        for other in others:
            other.start()
        for other in others:
            other.join()
        assert sum("started" in sentence for sentence in said) == 1
        ensure()  # it answers already
        assert sum("started" in sentence for sentence in said) == 1
    finally:
        assert "stopped the engine" in engine.stop(state)
    assert "none was stopped" in engine.stop(state)
    with pytest.raises(EngineMissing):
        engine.connect(environ=UNCHOSEN)


@needs_root
def test_a_package_that_cannot_be_had_is_an_error_with_apts_own_words() -> None:
    with pytest.raises(AptFailed, match=r"Unable to locate package under48-has-no-such"):
        apt.install(["under48-has-no-such"])
