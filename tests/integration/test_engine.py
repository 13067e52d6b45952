"""The engine that answers here, and one started and stopped as `ensure` does it, beside it."""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from images import apt, daemon, engine
from images.errors import EngineMissing

pytestmark = pytest.mark.engine


def test_the_engine_of_this_machine_is_found_and_runs_linux() -> None:
    with closing(engine.connect()) as client:
        assert client.info()["OSType"] == "linux"


@pytest.mark.skipif(
    os.geteuid() != 0 or apt.find("dockerd") is None, reason="starts a second dockerd, which takes root"
)
def test_a_real_dockerd_is_started_answers_and_is_stopped(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/docker.sock"
    # In a network namespace of its own: a second dockerd would take the first one's bridge away.
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

    def answers() -> bool:
        try:
            engine.connect(url, environ={}).close()
        except EngineMissing:
            return False
        return True

    said: list[str] = []
    began = time.monotonic()
    daemon.bring_up(dockerd, tmp_path / "state", answers, said.append)
    try:
        assert time.monotonic() - began < daemon.START_SECONDS
        assert "started" in said[-1]
        with closing(engine.connect(url, environ={})) as client:
            assert client.info()["DockerRootDir"] == f"{tmp_path}/data"
        before = (tmp_path / "docker.pid").read_text()
        daemon.bring_up(dockerd, tmp_path / "state", answers, said.append)  # answers already: nothing is done
        assert (tmp_path / "docker.pid").read_text() == before
    finally:
        assert "stopped the engine" in daemon.stop(tmp_path / "state")
    assert not answers()
