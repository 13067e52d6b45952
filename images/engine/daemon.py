"""Installs, starts and stops `dockerd` on Debian and Ubuntu, and says how to get an engine elsewhere.

The pid file names the process by pid, start time and boot, so that a pid that the system has given to another
process since is never taken for the engine.
"""

import grp
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from images import apt
from images.errors import EngineStartFailed

START_SECONDS = 60
STOP_SECONDS = 30
LOG_LINES = 15  # of the log's end, in the error
ADDRESS_SET = "3"  # NET_ADDR_SET of linux/netdevice.h: somebody has chosen the interface's address

Report = Callable[[str], None]

_INSTALL = {
    "darwin": "install Docker Desktop, or `brew install colima docker && colima start`",
    "wsl": "enable this distribution in Docker Desktop's settings (Resources, WSL integration), "
    "or `sudo apt-get install docker.io && sudo service docker start`",
    "debian": "`sudo apt-get install docker.io`, and `sudo usermod -aG docker $USER`, then log in again "
    "(as root, or with sudo that asks for no password, this is done for you)",
    "fedora": "`sudo dnf install moby-engine && sudo systemctl enable --now docker`",
    "rhel": "`sudo dnf install podman && sudo systemctl enable --now podman.socket`",
    "arch": "`sudo pacman -S docker && sudo systemctl enable --now docker`",
    "suse": "`sudo zypper install docker && sudo systemctl enable --now docker`",
    "alpine": "`sudo apk add docker && sudo service docker start`",
    "": "install Docker Engine as https://docs.docker.com/engine/install/ says",
}

_START = {
    "dockerd": "Docker is installed and not running: `sudo systemctl start docker`, or without systemd "
    "`sudo service docker start`",
    "podman": "Podman is installed and serves no socket: `systemctl --user enable --now podman.socket`",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dockerd:
    """The daemon to start: where the package puts it, unless a test says otherwise."""

    program: str = "dockerd"
    arguments: tuple[str, ...] = ()
    pidfile: Path = Path("/var/run/docker.pid")  # dockerd writes it itself
    bridge: Path = Path("/sys/class/net/docker0")  # where its containers are connected


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process, for good: its pid may be given to another, but never with this start time."""

    pid: int
    started: int  # clock ticks since boot, field 22 of proc_pid_stat(5)
    boot: str  # /proc/sys/kernel/random/boot_id

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The live process `pid`; None if there is none, or only what its parent has not collected."""
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        after_name = status.rpartition(")")[2].split()  # the name may hold blanks and brackets
        return None if after_name[0] in "ZX" else cls(pid=pid, started=int(after_name[19]), boot=boot)

    @property
    def alive(self) -> bool:
        return Process.of(self.pid) == self


def this_system() -> str:
    """The key of this system in the advice: an operating system, or the family of a Linux distribution."""
    if sys.platform != "linux":
        return sys.platform
    if "microsoft" in platform.release().lower():
        return "wsl"
    return known(apt.distribution())


def known(families: tuple[str, ...]) -> str:
    """The first of a distribution's families that the advice knows."""
    aliases = {"ubuntu": "debian", "centos": "rhel", "opensuse": "suse", "sles": "suse"}
    return next((found for name in families if (found := aliases.get(name, name)) in _INSTALL), "")


def advice(system: str) -> str:
    """How to get an engine on `system`: to start the one that is installed, else to install one."""
    installed = next((how for program, how in _START.items() if apt.find(program)), None)
    return installed or _INSTALL.get(system, _INSTALL[""])


def possible() -> bool:
    """Whether an engine can be installed and started here without asking: Debian or Ubuntu, with root."""
    return apt.here() and apt.privilege() is not None


def bring_up(dockerd: Dockerd, state: Path, answers: Callable[[], bool], report: Report) -> None:
    """Install docker.io unless it is here, start `dockerd` unless it runs, and wait until `answers()`.

    Raises:
        AptFailed: docker.io could not be installed.
        EngineStartFailed: with the end of the log.
    """
    if answers():  # another command was faster
        return
    if not (program := apt.find(dockerd.program)):
        report("installing docker.io with apt-get, since no engine answers")
        apt.install(["docker.io", "iproute2"])
        program = apt.find(dockerd.program)
        if not program:
            raise EngineStartFailed(f"docker.io is installed, but {dockerd.program} is not on PATH")
    if _running(dockerd) and _wait(answers, START_SECONDS, lambda: _running(dockerd) is not None):
        report("the engine's package has started it as a service")
        return
    _start(program, dockerd, state, answers, report)


def stop(state: Path) -> str:
    """Stop the daemon whose pid file is in `state`; what was done, as a sentence.

    Raises:
        EngineStartFailed: it does not end.
    """
    record = state / "dockerd.pid"
    process = _read(record)
    if process is None:
        return "no engine was started from here, so none was stopped"
    if not process.alive:
        record.unlink()
        return f"the engine started from here (pid {process.pid}) had already ended"
    terminate(process.pid)
    if not _wait(lambda: not process.alive, STOP_SECONDS, lambda: True):
        raise EngineStartFailed(
            f"the engine (pid {process.pid}) does not end in {STOP_SECONDS} s; see {state / 'dockerd.log'}"
        )
    record.unlink()
    return f"stopped the engine started from here (pid {process.pid})"


def _start(program: str, dockerd: Dockerd, state: Path, answers: Callable[[], bool], report: Report) -> None:
    state.mkdir(parents=True, exist_ok=True)
    log = state / "dockerd.log"
    privilege = apt.privilege() or []
    command = [*privilege, program, *dockerd.arguments]
    if privilege:  # else the socket would belong to the group docker, which this user is not in
        command += ["--group", grp.getgrgid(os.getgid()).gr_name]
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    process = None
    try:
        if _wait(answers, START_SECONDS, lambda: child.poll() is None):
            process = _running(dockerd)
    finally:
        ended = child.poll() is not None
        if process is None and not ended:  # too slow, or interrupted: nothing is left that nobody knows of
            terminate(child.pid)
    if process is None:
        how = f"ended with status {child.returncode}" if ended else "does not answer"
        tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise EngineStartFailed(f"{program} was started and {how}; its log, {log}, ends with:\n    {tail}")
    (state / "dockerd.pid").write_text(f"{process.pid} {process.started} {process.boot}\n")
    keep_address(dockerd.bridge)
    report(f"started {program} (pid {process.pid}, log {log}); `invoke engine --stop` ends it")


def keep_address(bridge: Path) -> None:
    """Give a bridge, by its folder in /sys/class/net, an address of its own, unless it has one.

    Without one it has that of its lowest port (br_stp_recalculate_bridge_id in Linux), so another one whenever a
    container comes or goes; what the others answer is lost until they ask who has the gateway's address.
    """
    program = apt.find("ip")
    try:
        if program is None or (bridge / "addr_assign_type").read_text().strip() == ADDRESS_SET:
            return
    except OSError:  # no such bridge: the engine is set up otherwise
        return
    address = "02:42:" + os.urandom(4).hex(":")  # locally administered, as the engine gives to containers
    command = [program, "link", "set", "dev", bridge.name, "address", address]
    subprocess.run([*(apt.privilege() or ()), *command], check=False, capture_output=True)


def terminate(pid: int) -> None:
    """Ask a process to end that may be root's; it is no error when that cannot be done."""
    subprocess.run([*(apt.privilege() or ()), "kill", "-TERM", str(pid)], check=False, capture_output=True)


def _running(dockerd: Dockerd) -> Process | None:
    try:
        return Process.of(int(dockerd.pidfile.read_text()))
    except (OSError, ValueError):
        return None


def _read(record: Path) -> Process | None:
    try:
        pid, started, boot = record.read_text().split()
        return Process(pid=int(pid), started=int(started), boot=boot)
    except (FileNotFoundError, ValueError):
        return None


def _wait(answers: Callable[[], bool], seconds: float, hope: Callable[[], bool]) -> bool:
    """Poll until `answers()`, for at most `seconds` and while there is `hope()`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answers():
            return True
        if not hope():
            return answers()
        time.sleep(0.1)
    return False
