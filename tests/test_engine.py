import hashlib
import http.server
import json
import os
import shutil
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from images import apt, engine
from images.engine import connection, daemon
from images.engine.endpoints import Endpoint, chosen, usual
from images.errors import EngineForbidden, EngineMissing, EngineStartFailed, EngineUnsuitable

ENGINE_20_10 = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
ENGINE_29 = {"Version": "29.1.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44", "Os": "linux"}


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def _engine_api(about: Mapping[str, str], socket: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that answers /version as engines do, and refuses API versions that it does not speak."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            version = self.path.removeprefix("/v").partition("/")[0]
            status, answer = 200, b"OK"
            if self.path == "/version":
                answer = json.dumps(about).encode()
            elif _number(version) < _number(about.get("MinAPIVersion", "1.12")):
                status, answer = 400, b'{"message":"client version is too old"}'
            elif _number(version) > _number(about["ApiVersion"]):
                status, answer = 400, b'{"message":"client version is too new"}'
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def address_string(self) -> str:  # a Unix socket has none
            return ""

        def log_message(self, *_: Any) -> None:
            pass

    server: socketserver.BaseServer
    if socket:
        server, url = _UnixServer(str(socket), Handler), f"unix://{socket}"
    else:
        tcp = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server, url = tcp, f"tcp://127.0.0.1:{tcp.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield url, asked
    finally:
        server.shutdown()
        server.server_close()


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@pytest.mark.parametrize(
    ("about", "spoken"),
    [
        (ENGINE_20_10, "1.41"),
        (ENGINE_29, connection.NEWEST_API),
        (ENGINE_29 | {"ApiVersion": "1.60", "MinAPIVersion": "1.50"}, "1.50"),
        ({"ApiVersion": "1.41"}, "1.41"),  # podman's older versions tell no minimum
    ],
)
@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_an_engine_is_spoken_to_in_a_version_that_it_accepts(
    about: dict[str, str], spoken: str, over: str, tmp_path: Path
) -> None:
    with _engine_api(about, tmp_path / "docker.sock" if over == "unix" else None) as (url, asked):
        with closing(engine.connect(url, environ={})) as client:
            assert client.ping() is True
            assert client.api.api_version == spoken
        assert asked == ["/version", f"/v{spoken}/_ping"]


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"ApiVersion": "1.40", "MinAPIVersion": "1.12", "Os": "linux"}, "upgrade it"),
        (ENGINE_20_10 | {"Os": "windows"}, "switch Docker Desktop to Linux containers"),
    ],
)
def test_an_engine_that_cannot_work_here_is_refused(about: dict[str, str], says: str) -> None:
    with _engine_api(about) as (url, _), pytest.raises(EngineUnsuitable, match=says):
        engine.connect(url, environ={})


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("ssh://far.invalid", "ssh://far.invalid"),
        ("ssh://me@far.invalid:2222", "ssh://me@far.invalid:2222"),
        ("ssh://me@far.invalid/run/docker.sock", "ssh://me@far.invalid"),
    ],
)
@pytest.mark.parametrize("by", ["option", "DOCKER_HOST", "context"])
@pytest.mark.parametrize("find", [engine.connect, engine.ensure])
def test_an_engine_behind_ssh_is_refused_with_the_way_to_forward_its_socket(
    url: str, destination: str, by: str, find: Callable[..., object], tmp_path: Path
) -> None:
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    if by == "context":
        _write_context(tmp_path, "far", Host=url)
        environ["DOCKER_CONTEXT"] = "far"
    elif by == "DOCKER_HOST":
        environ["DOCKER_HOST"] = url
    with pytest.raises(EngineUnsuitable) as caught:
        find(url if by == "option" else None, environ=environ)
    assert f"`ssh -NL /tmp/docker.sock:/var/run/docker.sock {destination}`" in str(caught.value)
    assert "DOCKER_HOST=unix:///tmp/docker.sock" in str(caught.value)


def test_a_server_that_is_not_an_engine_is_told_from_one() -> None:
    with (
        _engine_api({"hello": "world"}) as (url, _),
        pytest.raises(EngineMissing, match="not a Docker engine"),
    ):
        engine.connect(url, environ={})


def test_a_chosen_engine_that_does_not_answer_is_an_error_that_names_it(tmp_path: Path) -> None:
    with _engine_api(ENGINE_20_10, tmp_path / "stale.sock") as (url, _):
        pass
    for environ, option in (({"DOCKER_HOST": url}, None), ({}, url)):
        with pytest.raises(EngineMissing, match=r"names the engine at unix://.*stale.sock.*refused"):
            engine.connect(option, environ=environ)
    with pytest.raises(EngineMissing, match="No such file"):
        engine.connect(f"unix://{tmp_path}/none.sock", environ={})


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root to become a user who may not")
@pytest.mark.parametrize(
    ("group", "mode", "name", "says"),
    [
        ("daemon", 0o660, "docker.sock", r"usermod -aG daemon \$USER"),
        ("daemon", 0o600, "docker.sock", "sudo chgrp GROUP .*docker.sock"),
        ("root", 0o600, "docker.sock", "sudo chgrp GROUP .*docker.sock"),
        ("root", 0o600, "podman.sock", "systemctl --user enable --now podman.socket"),
    ],
    ids=["a group that may", "a group that may not", "root's group", "Podman's"],
)
def test_who_may_not_open_a_socket_is_told_what_gives_access(
    group: str, mode: int, name: str, says: str
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,  # pytest's own are closed to other users
        _engine_api(ENGINE_20_10, Path(folder) / name) as (url, _),
    ):
        Path(folder).chmod(0o755)
        shutil.chown(Path(folder) / name, group=group)
        (Path(folder) / name).chmod(mode)
        os.seteuid(65534)
        try:
            with pytest.raises(EngineForbidden, match=says):
                engine.connect(url, environ={})
        finally:
            os.seteuid(0)


def test_a_machine_without_an_engine_is_told_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing = Endpoint(url=f"unix://{tmp_path}/none.sock", named_by="the usual sockets")
    monkeypatch.setattr(connection, "usual", lambda *_: (nothing,))
    monkeypatch.setattr(daemon, "this_system", lambda: "fedora")
    monkeypatch.setattr(daemon, "possible", lambda: False)
    monkeypatch.setattr(apt, "find", lambda _program: None)
    for find in (engine.connect, engine.ensure):
        with pytest.raises(EngineMissing, match=r"no Docker engine answers here; .*moby-engine"):
            find(environ={"DOCKER_CONTEXT": "default"})


def _write_context(folder: Path, name: str, **endpoint: object) -> str:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    return key


def test_the_order_is_option_then_docker_host_then_context(tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    _write_context(folder, "here", Host="unix:///context.sock", SkipTLSVerify=False)
    (folder / "config.json").write_text('{"currentContext": "here", "auths": {}}')
    host = {"DOCKER_HOST": "tcp://127.0.0.1:1"}
    table: list[tuple[str | None, dict[str, str], str]] = [
        ("/run/x.sock", host, "unix:///run/x.sock"),
        (None, host, "tcp://127.0.0.1:1"),
        (None, {}, "unix:///context.sock"),
    ]
    for option, environ, url in table:
        endpoint = chosen(option, environ, tmp_path)
        assert endpoint is not None
        assert endpoint.url == url
    assert chosen(None, {"DOCKER_CONTEXT": "default"}, tmp_path) is None
    assert chosen(None, {}, tmp_path / "elsewhere") is None
    assert chosen(None, {"DOCKER_CONFIG": str(folder)}, tmp_path / "elsewhere") == Endpoint(
        url="unix:///context.sock", named_by="docker context 'here'"
    )


def test_the_engine_of_the_current_context_is_connected_to(tmp_path: Path) -> None:
    with _engine_api(ENGINE_29, tmp_path / "c.sock") as (url, _):
        _write_context(tmp_path, "colima", Host=url)
        with closing(
            engine.connect(environ={"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "colima"})
        ) as client:
            assert client.ping()


def test_tls_files_of_a_context_are_used(tmp_path: Path) -> None:
    key = _write_context(tmp_path, "far", Host="tcp://127.0.0.1:2376", SkipTLSVerify=False)
    material = tmp_path / "contexts/tls" / key / "docker"
    material.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (material / name).touch()
    endpoint = chosen(None, {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "far"}, tmp_path)
    assert endpoint is not None
    assert endpoint.tls is not None
    assert (endpoint.tls.ca, endpoint.tls.cert, endpoint.tls.verify) == (
        material / "ca.pem",
        material / "cert.pem",
        True,
    )


@pytest.mark.parametrize(
    ("environ", "verify"),
    [
        ({}, None),
        ({"DOCKER_TLS_VERIFY": "1"}, True),
        ({"DOCKER_CERT_PATH": "/certs"}, False),
    ],
)
def test_docker_host_speaks_tls_as_docker_1_says(environ: dict[str, str], verify: bool | None) -> None:  # noqa: FBT001
    endpoint = chosen(None, {"DOCKER_HOST": "tcp://127.0.0.1:2376", **environ}, Path("/home/nobody"))
    assert endpoint is not None
    assert (endpoint.tls.verify if endpoint.tls else None) is verify


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"Endpoints": {}}', '{"Endpoints": {"docker": {}}}'])
def test_a_broken_context_is_an_error_with_a_way_out(broken: str, tmp_path: Path) -> None:
    key = _write_context(tmp_path, "bad")
    (tmp_path / "contexts/meta" / key / "meta.json").write_text(broken)
    with pytest.raises(EngineUnsuitable, match="docker context use"):
        chosen(None, {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "bad"}, tmp_path)


@pytest.mark.parametrize("broken", ["{", "[]", "null"])
def test_a_broken_docker_configuration_is_an_error_with_a_way_out(broken: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(broken)
    with pytest.raises(EngineUnsuitable, match="set DOCKER_HOST"):
        chosen(None, {"DOCKER_CONFIG": str(tmp_path)}, tmp_path)


def test_the_usual_sockets_are_those_of_the_system_and_of_the_user() -> None:
    urls = [endpoint.url for endpoint in usual({"XDG_RUNTIME_DIR": "/run/user/1000"}, Path("/home/u"))]
    assert urls[:3] == [
        "unix:///var/run/docker.sock",
        "unix:///run/user/1000/docker.sock",
        "unix:///home/u/.docker/run/docker.sock",
    ]
    assert "unix:///home/u/.colima/default/docker.sock" in urls


# From here on: starting and stopping. The stand-in behaves as dockerd does where it matters: it writes its
# pid file, answers a while after it was started, and ends at SIGTERM.
STAND_IN = """#!/bin/sh
echo "starting $*"
case "$1" in dies) echo "failed to start daemon: no cgroups" >&2; exit 1;; esac
echo $$ >"$1/pid"
sleep 0.3
touch "$1/answers"
exec sleep 60
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> daemon.Dockerd:
    program = tmp_path / "dockerd"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return daemon.Dockerd(program=str(program), arguments=(str(tmp_path),), pidfile=tmp_path / "pid")


def _bring_up(dockerd: daemon.Dockerd, folder: Path) -> list[str]:
    said: list[str] = []
    daemon.bring_up(dockerd, folder / "state", (folder / "answers").exists, said.append)
    return said


def test_what_was_started_is_stopped_and_nothing_else(stand_in: daemon.Dockerd, tmp_path: Path) -> None:
    assert "none was stopped" in daemon.stop(tmp_path / "state")
    assert "started" in " ".join(_bring_up(stand_in, tmp_path))
    pid = int(stand_in.pidfile.read_text())
    assert daemon.Process.of(pid) is not None
    assert f"stopped the engine started from here (pid {pid})" in daemon.stop(tmp_path / "state")
    assert daemon.Process.of(pid) is None
    assert "none was stopped" in daemon.stop(tmp_path / "state")


def test_a_daemon_outlives_the_session_of_the_command_that_started_it(
    stand_in: daemon.Dockerd, tmp_path: Path
) -> None:
    _bring_up(stand_in, tmp_path)
    try:
        assert os.getsid(int(stand_in.pidfile.read_text())) != os.getsid(0)
    finally:
        daemon.stop(tmp_path / "state")


def test_a_daemon_that_dies_at_once_is_an_error_with_its_log(
    tmp_path: Path, stand_in: daemon.Dockerd
) -> None:
    dies = daemon.Dockerd(program=stand_in.program, arguments=("dies",), pidfile=tmp_path / "pid")
    with pytest.raises(EngineStartFailed, match=r"ended with status 1(.|\n)*no cgroups"):
        _bring_up(dies, tmp_path)
    assert not (tmp_path / "state/dockerd.pid").exists()


def test_a_pid_file_of_a_process_that_is_gone_is_no_obstacle(
    stand_in: daemon.Dockerd, tmp_path: Path
) -> None:
    stand_in.pidfile.write_text("999999999")
    assert "started" in " ".join(_bring_up(stand_in, tmp_path))
    daemon.stop(tmp_path / "state")


def test_a_pid_that_another_process_has_by_now_is_left_alone(tmp_path: Path) -> None:
    own = daemon.Process.of(os.getpid())
    assert own is not None
    (tmp_path / "dockerd.pid").write_text(f"{own.pid} {own.started - 1} {own.boot}\n")
    assert "had already ended" in daemon.stop(tmp_path)
    assert own.alive


def test_a_daemon_that_the_package_has_started_is_waited_for_and_not_ours(
    stand_in: daemon.Dockerd, tmp_path: Path
) -> None:
    stand_in.pidfile.write_text(str(os.getpid()))  # a live process, whatever it is
    threading.Timer(0.3, (tmp_path / "answers").touch).start()
    assert _bring_up(stand_in, tmp_path) == ["the engine's package has started it as a service"]
    assert "none was stopped" in daemon.stop(tmp_path / "state")


def test_of_two_commands_at_once_only_one_starts_an_engine(tmp_path: Path) -> None:
    order: list[str] = []
    first_is_in = threading.Event()

    def first() -> None:
        with connection._alone(tmp_path / "state/lock", order.append):
            first_is_in.set()
            threading.Event().wait(0.3)
            order.append("first is done")

    thread = threading.Thread(target=first)
    thread.start()
    first_is_in.wait()
    with connection._alone(tmp_path / "state/lock", order.append):
        order.append("second is in")
    thread.join()
    assert order == [
        "another command is bringing up the engine; waiting for it",
        "first is done",
        "second is in",
    ]


@pytest.mark.parametrize(
    ("families", "says"),
    [
        (("fedora",), "dnf install moby-engine"),
        (("almalinux", "rhel", "centos", "fedora"), "podman"),
        (("linuxmint", "ubuntu", "debian"), "apt-get install docker.io"),
        (("opensuse-tumbleweed", "opensuse", "suse"), "zypper"),
        (("alpine",), "apk add docker"),
        (("void",), "https://docs.docker.com"),
        ((), "https://docs.docker.com"),
    ],
)
def test_each_distribution_is_told_its_own_way_to_an_engine(
    families: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "find", lambda _program: None)
    assert says in daemon.advice(daemon.known(families))


@pytest.mark.parametrize(("system", "says"), [("darwin", "Docker Desktop"), ("wsl", "WSL integration")])
def test_each_system_is_told_its_own_way_to_an_engine(
    system: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "find", lambda _program: None)
    assert says in daemon.advice(system)


@pytest.mark.parametrize(
    ("installed", "says"), [("dockerd", "systemctl start docker"), ("podman", "podman.socket")]
)
def test_an_engine_that_is_installed_is_to_be_started_and_not_installed_again(
    installed: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "find", lambda program: "/usr/bin/x" if program == installed else None)
    assert says in daemon.advice("debian")
    assert "install docker" not in daemon.advice("debian")


def test_an_interrupted_start_leaves_no_daemon(stand_in: daemon.Dockerd, tmp_path: Path) -> None:
    def interrupted() -> bool:
        if stand_in.pidfile.exists():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        daemon.bring_up(stand_in, tmp_path / "state", interrupted, print)
    pid = int(stand_in.pidfile.read_text())
    assert daemon._wait(lambda: daemon.Process.of(pid) is None, 5, lambda: True)
