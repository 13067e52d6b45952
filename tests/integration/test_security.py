"""What an attacker would try: what the process may do, what archives may write, what images and logs give away.

That no other program, no file that others may write and no set-user-ID file is in the image stands in test_image.py.
"""

import base64
import http.client
import io
import tarfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

import audit
from audit.secrets import MAX_TEXT, secrets_in
from images.activation import Status
from images.build import Image
from images.container import PORT, Limits, Started, started
from images.extract import saved
from images.invoker import Invoker, invoker
from images.protocol import encode
from tests.integration.inside import Initialized, encoded, source

pytestmark = pytest.mark.engine

WITHHELD = {"NET_ADMIN": 12, "NET_RAW": 13}  # by the platform; numbers of linux/capability.h
FILTERED = "2"  # SECCOMP_MODE_FILTER
PATIENCE_S = 30
PUBLISHED = "/usr/lib/"  # Debian's files; Python's library has variables called token and authkey
HYGIENE = {
    "secret",
    "set-id",
    "world-writable",
    "root-user",
    "unknown-user",
    "unknown-owner",
    "shell",
    "package-manager",
}


@pytest.fixture(scope="module", params=[False, True], ids=["as-the-platform", "hardened"])
def hardened(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def found(image: Image, initialized: Initialized, *, hardened: bool) -> dict[str, Any]:
    """What `actions/surroundings.py` sees."""
    with initialized(image.id, code=source("surroundings"), hardened=hardened) as running:
        activation = running.run({})
        assert activation.classified.status is Status.SUCCESS, activation
        result: dict[str, Any] = activation.classified.result
        return result


def test_its_process_has_no_capability_and_runs_under_the_engines_seccomp_profile(
    found: dict[str, Any], *, hardened: bool
) -> None:
    status = found["status"]
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    bounding = int(status["CapBnd"], 16)  # what a set-user-ID program could get, if there were one
    assert not any(bounding >> number & 1 for number in WITHHELD.values())
    assert (bounding == 0) is hardened
    assert status["Seccomp"] == FILTERED
    assert status["NoNewPrivs"] == str(int(hardened))


def test_nothing_listens_but_its_server_and_it_is_the_only_process(found: dict[str, Any]) -> None:
    assert set(found["listening"]) == {PORT}
    assert found["datagrams"] == []
    assert found["processes"] == ["1"]


def test_it_can_write_to_nothing_but_temporary_folders(found: dict[str, Any], *, hardened: bool) -> None:
    temporary = ["/dev/shm"] if hardened else ["/dev/shm", "/tmp"]
    allowed = {"/dev/mqueue", *temporary}
    others = {
        path
        for path in found["writable"]
        if path not in allowed and not path.startswith(tuple(f"{t}/" for t in temporary))
    }
    assert others == set()
    assert set(temporary) <= set(found["writable"])


# --- What an archive that is sent to /init may write ---------------------------------------------------------------


def _zip(*entries: tuple[str, str]) -> bytes:
    """A zip of (name, content); a content that begins with -> is the target of a symlink."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (0o120777 if content.startswith("->") else 0o100644) << 16
            archive.writestr(entry, content.removeprefix("->"))
    return buffer.getvalue()


def _tar(*entries: tuple[str, str]) -> bytes:
    """The same as tar.gz; a content that begins with => is the target of a hard link."""
    buffer = io.BytesIO()
    kinds = {"->": tarfile.SYMTYPE, "=>": tarfile.LNKTYPE}
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kinds.get(content[:2], tarfile.REGTYPE)
            entry.linkname = content[2:] if content[:2] in kinds else ""
            entry.size = 0 if entry.linkname else len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


MAIN = ("__main__.py", "def main(arguments):\n    return arguments\n")
ESCAPES: dict[str, tuple[tuple[str, str], ...]] = {
    "a-folder-above": (MAIN, ("../evil", "x")),
    "a-folder-above-another": (MAIN, ("a/../../evil", "x")),
    "an-absolute-name": (MAIN, ("/tmp/evil", "x")),
    "a-symlink-out": (MAIN, ("link", "->/tmp"), ("link/evil", "x")),
    "a-symlink-up": (MAIN, ("link", "->../.."), ("link/evil", "x")),
    "a-symlink-through-another": (MAIN, ("a/b", "->.."), ("a/c", "->b/../.."), ("a/c/evil", "x")),
    "a-symlink-that-is-written-to": (MAIN, ("evil", "->/tmp/evil"), ("evil", "x")),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pack", [_zip, _tar])
@pytest.mark.parametrize("entries", ESCAPES.values(), ids=ESCAPES)
def test_an_archive_writes_nothing_outside_of_its_own_folder(
    engine: docker.DockerClient,
    image: Image,
    pack: Callable[..., bytes],
    entries: tuple[tuple[str, str], ...],
) -> None:
    with invoker(
        engine, image.id
    ) as running:  # /tmp can be written to, and the engine tells what has changed
        running.init(code=base64.b64encode(pack(*entries)).decode(), binary=True)
        assert _outside(running) == set()


def test_a_hard_link_does_not_bring_in_a_file_of_the_image(engine: docker.DockerClient, image: Image) -> None:
    code = base64.b64encode(_tar(MAIN, ("passwd", "=>/etc/passwd"), ("up", "=>../../etc/passwd"))).decode()
    with invoker(engine, image.id) as running:
        running.init(code=code, binary=True)
        assert not any(path.endswith(("/passwd", "/up")) for path in _changed(running))


def _outside(running: Invoker) -> set[str]:
    """What has changed in the container beside the folder that code is unpacked into."""
    return {path for path in _changed(running) if path != "/tmp" and not path.startswith("/tmp/under48-")}


def _changed(running: Invoker) -> set[str]:
    return {str(change["Path"]) for change in running.running.container.diff() or ()}


# --- What the image and its log give away --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tree(engine: docker.DockerClient, image: Image) -> Iterator[audit.Tree]:
    with saved(engine, image.id) as file:
        yield audit.read_image(file, image.tag)


def test_the_auditor_finds_no_secret_and_nothing_unhygienic(tree: audit.Tree) -> None:
    findings = audit.judge(audit.analyse(tree)).findings
    assert [finding for finding in findings if finding.rule in HYGIENE] == []


def test_no_layer_holds_a_secret(tree: audit.Tree) -> None:
    """Whole files, where the rule reads settings and history; no layer hides a file that a later one deletes."""
    assert [lost for layer in tree.layers for lost in layer.lost] == []
    found = {
        path: names
        for path, entry in tree.entries.items()
        if entry.kind == "file" and not path.startswith(PUBLISHED)
        if (names := set(secrets_in((tree.read(path, MAX_TEXT) or b"").decode("utf-8", "replace"))))
    }
    assert found == {}


class Caller:
    """Posts raw bodies to a container, and keeps all that it answered."""

    def __init__(self, running: Started) -> None:
        self.said = b""
        self._address = running.address
        self._check = running.check

    def __call__(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            connection = http.client.HTTPConnection(*self._address, timeout=PATIENCE_S)
            try:
                connection.request(
                    "POST", path, body, {"Content-Type": "application/json", **(headers or {})}
                )
                response = connection.getresponse()
                self.said += response.read()
            except ConnectionError:
                self._check()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return response.status
            finally:
                connection.close()


def test_the_api_key_is_never_told(
    engine: docker.DockerClient, image: Image, photos: dict[str, Path]
) -> None:
    """With the classifier built in: neither in the log nor in an answer, whatever is sent and whatever goes wrong."""
    key = f"{uuid.uuid4()}:{uuid.uuid4().hex}"

    def run(value: Any, **more: Any) -> bytes:
        return encode({"value": value, "api_key": key, "namespace": "guest", "deadline": "0", **more})

    env = {"__OW_API_KEY": key, "__OW_NAMESPACE": "guest"}
    init = encode({"value": {"name": "a", "main": "main", "binary": False, "code": "", "env": env}})
    good = {"image": encoded(photos["panda.jpg"])}
    broken = encoded(photos["panda.jpg"])[:4000]
    with started(engine, image.id, limits=Limits()) as running:
        call = Caller(running)
        statuses = {
            "a malformed init": call("/init", b'{"value": {"env": {"__OW_API_KEY": "' + key.encode() + b'"'),
            "an init of wrong types": call(
                "/init", encode({"value": {"env": [key], "code": {"api_key": key}}})
            ),
            "an init that no environment holds": call("/init", encode({"value": {"env": {"A": f"{key}\0"}}})),
            "a run too early": call("/run", run({})),
            "init": call("/init", init),
            "a second init": call("/init", init),
            "a good photo": call("/run", run(good)),
            "no photo": call("/run", run({})),
            "a broken photo": call("/run", run({"image": broken})),
            "no base64": call("/run", run({"image": "%%%"})),
            "a value that is none": call("/run", run(7)),
            "a key that no environment holds": call("/run", run(good, api_key=f"{key}\0")),
            "a key that is an object": call("/run", run(good, api_key={"deep": [key]})),
            "half a body": call("/run", run(good)[:-20] + key.encode()),
            "no UTF-8": call("/run", run({}).replace(b"guest", b"\xff")),
            "a body that is a list": call("/run", encode([key])),
            "another path": call("/elsewhere", run({})),
            "a header": call("/run", run(good), {"Authorization": f"Basic {key}"}),
        }
        wanted = {
            "init": 200,
            "a good photo": 200,
            "a broken photo": 200,
            "half a body": 400,
            "a header": 200,
        }
        assert {what: statuses[what] for what in wanted} == wanted, statuses
        log = running.container.logs(stdout=True, stderr=True)
    assert b"memory main" in log, "the activations have logged"
    for secret in (key, *key.split(":")):
        assert secret.encode() not in log
        assert secret.encode() not in call.said


def test_a_failing_action_does_not_make_the_runtime_tell_the_api_key(
    engine: docker.DockerClient, image: Image
) -> None:
    key = uuid.uuid4().hex
    code = "import sys\ndef main(arguments):\n    sys.exit(3) if arguments else 1 / 0\n"
    init = encode({"value": {"main": "main", "code": code, "env": {"__OW_API_KEY": key}}})
    with started(engine, image.id, limits=Limits()) as running:
        call = Caller(running)
        call("/init", init)
        call("/run", encode({"value": {}, "api_key": key}))
        call("/run", encode({"value": {"end": True}, "api_key": key}))
        log = running.container.logs(stdout=True, stderr=True)
    assert b"ZeroDivisionError" in log
    assert key.encode() not in log + call.said
