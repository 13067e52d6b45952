import signal
import subprocess
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import docker
import pytest
from docker.errors import APIError, NotFound

from images import container
from images.container import ContainerEnded, Limits, Started, options, started
from images.errors import ContainerFailed
from images.invoker import Memory
from tests.foreground import foreground

if TYPE_CHECKING:
    from docker.models.containers import Container


def test_a_container_is_started_with_the_platforms_flags() -> None:
    flags = options(Limits(), hardened=False, published=False, environment={"A": "b"})
    assert (flags["mem_limit"], flags["memswap_limit"]) == (256 << 20, 256 << 20)  # equal: no swap
    assert flags["cpu_shares"] == 256
    assert flags["pids_limit"] == 1024
    assert flags["ulimits"] == [{"Name": "nofile", "Soft": 1024, "Hard": 1024}]
    assert flags["cap_drop"] == ["NET_RAW", "NET_ADMIN"]
    assert flags["network_mode"] == "bridge"
    assert flags["log_config"]["Type"] == "json-file"
    assert set(flags["environment"]) == {"__OW_API_HOST", "A"}
    assert flags["ports"] == {}
    assert not {"command", "entrypoint", "user", "volumes", "read_only"} & set(flags)


def test_a_hardened_container_has_less_still() -> None:
    flags = options(Limits(), hardened=True, published=True, environment={})
    assert flags["read_only"] is True
    assert flags["cap_drop"] == ["ALL"]
    assert flags["security_opt"] == ["no-new-privileges"]
    assert flags["ports"] == {"8080/tcp": ("127.0.0.1", None)}


def test_the_share_of_the_processor_grows_with_memory_within_what_the_kernel_takes() -> None:
    shares = [
        options(Limits(memory_mib=m, invoker_memory_mib=i), hardened=False, published=False, environment={})[
            "cpu_shares"
        ]
        for m, i in ((128, 1024), (512, 1024), (1, 4096), (1 << 20, 1024))
    ]
    assert shares == [128, 512, 2, 262_144]


@pytest.mark.parametrize(
    ("stats", "memory"),
    [
        (
            {"usage": 50, "max_usage": 70, "limit": 99, "stats": {"total_inactive_file": 20}},
            Memory(used=30, peak=70, limit=99),
        ),
        (
            {"usage": 50, "limit": 99, "stats": {"inactive_file": 20}},
            Memory(used=30, peak=None, limit=99),
        ),
        (
            {"usage": 5, "limit": 99, "stats": {"inactive_file": 20}},
            Memory(used=0, peak=None, limit=99),
        ),
        ({"limit": 99}, Memory(used=0, peak=None, limit=99)),
        (
            {},
            Memory(used=0, peak=None, limit=0),
        ),  # no memory controller, or a container that has just ended
        (None, Memory(used=0, peak=None, limit=0)),
    ],
)
def test_memory_that_nobody_knows_of_is_none_at_all(stats: dict[str, Any] | None, memory: Memory) -> None:
    assert Memory.of({"memory_stats": stats}) == memory


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("unix:///var/run/docker.sock", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://localhost:2375", True),
        ("tcp://192.0.2.1:2375", False),
        ("tcp://nowhere.invalid:2375", False),
    ],
)
def test_an_engine_is_here_if_its_address_is_of_this_machine(url: str, *, here: bool) -> None:
    with closing(docker.DockerClient(base_url=url, version="1.41")) as client:
        assert container._is_here(client) is here


def test_an_engine_on_another_machine_is_refused_before_anything_is_started() -> None:
    with (
        closing(docker.DockerClient(base_url="tcp://192.0.2.1:2375", version="1.41")) as client,
        pytest.raises(ContainerFailed, match=r"http://192\.0\.2\.1:2375 is on another .*DOCKER_HOST"),
        started(client, "any", limits=Limits()),
    ):
        pass


class _Container:
    """What the engine says of a container: its state, or an error in the place of that or of its log."""

    def __init__(self, state: dict[str, Any] | Exception, log: bytes | Exception = b"") -> None:
        self.attrs = {"State": state}
        self._log = log

    def reload(self) -> None:
        if isinstance(self.attrs["State"], Exception):
            raise self.attrs["State"]

    def logs(self, *, tail: int) -> bytes:
        assert tail > 0
        if isinstance(self._log, Exception):
            raise self._log
        return self._log


def _state(status: str, code: int = 0, *, oom: bool = False) -> dict[str, Any]:
    running = status in ("running", "paused")
    return {"Status": status, "Running": running, "ExitCode": code, "OOMKilled": oom}


ENDS = {
    "its-own-end": (
        _Container(_state("exited", 3), b"one\ntwo\n"),
        "ended with status 3; .*:\n    one\n    two$",
    ),
    "out-of-memory": (
        _Container(_state("exited", 137, oom=True), b"x\n"),
        "was killed: out of memory; its log",
    ),
    "being-removed": (_Container(_state("removing", 137), APIError("409")), "ended with status 137; its log"),
    "removed": (_Container(NotFound("no such container")), "has been removed while it was in use"),
}


@pytest.mark.parametrize(("ended", "message"), ENDS.values(), ids=ENDS)
def test_a_container_that_has_ended_is_told_with_the_end_of_its_log(ended: Any, message: str) -> None:
    with pytest.raises(ContainerEnded, match=f"^the container {message}"):
        Started(container=ended, address=("", 0), published=False, start_ms=0).check()


@pytest.mark.parametrize("status", ["running", "paused"])
def test_a_container_that_runs_passes(status: str) -> None:
    running: Any = _Container(_state(status))
    Started(container=running, address=("", 0), published=False, start_ms=0).check()


@pytest.mark.parametrize(
    ("number", "ignored", "status"),
    [
        (signal.SIGTERM, False, 128 + signal.SIGTERM),
        (signal.SIGHUP, False, 128 + signal.SIGHUP),
        (signal.SIGHUP, True, 0),  # nohup
    ],
)
def test_a_signal_that_ends_the_program_lets_it_clean_up(
    number: signal.Signals, status: int, *, ignored: bool
) -> None:
    program = f"""
import os, signal
from images.container import ended_by_signals
signal.signal({int(number)}, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
with ended_by_signals():
    try:
        os.kill(os.getpid(), {int(number)})
    finally:
        print("removed")
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    done = subprocess.run(
        foreground(sys.executable, "-c", program),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(container.__file__).parents[1],
    )
    assert (done.stdout, done.returncode) == ("removed\n", status), done.stderr


class _Stubborn:
    """A container that runc freezes at the last of some tries."""

    def __init__(self, refusals: int, why: str) -> None:
        self.refusals, self.why, self.tries = refusals, why, 0

    def pause(self) -> None:
        self.tries += 1
        if self.tries <= self.refusals:
            raise APIError(self.why)


@pytest.mark.parametrize(
    ("refusals", "why", "tries", "frozen"),
    [
        (0, "", 1, True),
        (4, "runc did not terminate successfully: unable to freeze: unknown", 5, True),
        (9, "runc did not terminate successfully: unable to freeze: unknown", 5, False),
        (9, "container is not running", 1, False),
    ],
)
def test_a_container_that_cannot_be_frozen_on_a_busy_machine_is_tried_again(
    refusals: int, why: str, tries: int, *, frozen: bool
) -> None:
    stubborn = _Stubborn(refusals, why)
    with nullcontext() if frozen else pytest.raises(APIError):
        container.freeze(cast("Container", stubborn))
    assert stubborn.tries == tries
