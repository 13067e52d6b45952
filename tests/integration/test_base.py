"""The base pulled from a real registry on loopback, and bootstrapped with mmdebstrap."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from images import apt, architecture, engine
from images.base import bootstrap, ensure, ensure_base
from images.base.sources import Source, configured
from images.errors import BaseFailed, BaseMismatch

pytestmark = pytest.mark.engine

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """Just enough of the distribution protocol for one image, which can be changed."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._salt = (
            uuid.uuid4().bytes
        )  # else two runs on one engine had the same images, and removed each other's
        self.tag = ""
        self.asked: list[str] = []
        self.silent = threading.Event()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                while registry.silent.is_set():
                    time.sleep(0.05)
                name = self.path.rpartition("/")[2]
                name = registry.tag if name == "latest" else name
                found = b"{}" if self.path == "/v2/" else registry.blobs.get(name)
                body = b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}' if found is None else found
                self.send_response(404 if found is None else 200)
                self.send_header(
                    "Content-Type", MANIFEST if "/manifests/" in self.path else "application/json"
                )
                self.send_header("Docker-Content-Digest", name)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    with contextlib.suppress(BrokenPipeError):  # given up in the meantime
                        self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.image = f"127.0.0.1:{self.server.server_port}/debian:latest"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, content: bytes, arch: str = "amd64") -> str:
        """Tag an image of one file as latest; its digest."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as archive:
            entry = tarfile.TarInfo("content")
            entry.size = len(content + self._salt)
            archive.addfile(entry, io.BytesIO(content + self._salt))
        diff_id = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
        config = {"architecture": arch, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._add(json.dumps(config).encode(), "container.image.v1+json"),
            "layers": [self._add(gzip.compress(layer.getvalue(), mtime=0), "image.rootfs.diff.tar.gzip")],
        }
        self.tag = str(self._add(json.dumps(manifest).encode(), "manifest")["digest"])
        return self.tag

    def _add(self, blob: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        self.blobs[digest] = blob
        return {"mediaType": f"application/vnd.docker.{kind}", "size": len(blob), "digest": digest}


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = engine.connect()
    yield client
    client.close()


@pytest.fixture
def registry(client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    registry = Registry()
    monkeypatch.setattr(ensure, "IMAGE", registry.image)
    yield registry
    registry.silent.clear()
    registry.server.shutdown()
    registry.server.server_close()
    _forget(client, registry)


def _forget(client: docker.DockerClient, registry: Registry) -> None:
    for image in client.images.list(registry.image.rpartition(":")[0]):
        client.images.remove(str(image.id), force=True)


HOST = architecture.host()
OTHER = next(each for each in architecture.ARCHITECTURES if each != HOST)


def test_a_pulled_base_is_kept_to_by_digest_until_an_update(
    client: docker.DockerClient, registry: Registry, tmp_path: Path
) -> None:
    record = tmp_path / "base.json"
    name = registry.image.rpartition(":")[0]
    first = registry.put(b"one", HOST.name)
    base = ensure_base(client, HOST, image=None, update=False, record=record)
    assert (base.how, base.digest) == ("pulled", f"{name}@{first}")

    second = registry.put(b"two", HOST.name)
    registry.asked.clear()
    assert ensure_base(client, HOST, image=None, update=False, record=record) == base
    assert registry.asked == []  # what is here is not asked for

    _forget(client, registry)
    again = ensure_base(client, HOST, image=None, update=False, record=record)
    assert (again.digest, again.image_id) == (base.digest, base.image_id)

    updated = ensure_base(client, HOST, image=None, update=True, record=record)
    assert updated.digest == f"{name}@{second}"
    assert updated.image_id != base.image_id


def test_a_base_of_the_users_is_taken_from_here_and_else_pulled(
    client: docker.DockerClient, registry: Registry, tmp_path: Path
) -> None:
    digest = registry.put(b"given", HOST.name)
    given = ensure_base(client, HOST, image=registry.image, update=False, record=tmp_path / "a.json")
    assert (given.how, given.reference) == ("given", registry.image)
    assert given.digest.endswith(f"@{digest}")
    registry.asked.clear()
    assert ensure_base(client, HOST, image=registry.image, update=False, record=tmp_path / "b.json") == given
    assert registry.asked == []
    name = f"under48/test-base:{uuid.uuid4().hex}"
    client.images.get(given.image_id).tag(name)
    try:
        local = ensure_base(client, HOST, image=name, update=False, record=tmp_path / "c.json")
        assert local.image_id == given.image_id
    finally:
        client.images.remove(name)


def test_a_base_for_another_architecture_is_refused(
    client: docker.DockerClient, registry: Registry, tmp_path: Path
) -> None:
    registry.put(b"foreign", OTHER.name)
    with pytest.raises(BaseMismatch, match=f"linux/{OTHER.name}.*{HOST.platform}"):
        ensure_base(client, HOST, image=registry.image, update=False, record=tmp_path / "base.json")
    assert not (tmp_path / "base.json").exists()


def test_a_base_that_the_registry_does_not_have_is_an_error_that_names_it(
    client: docker.DockerClient, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(BaseFailed, match=registry.image):
        ensure_base(client, HOST, image=registry.image, update=False, record=tmp_path / "base.json")


def test_a_registry_that_says_nothing_is_given_up_soon(
    client: docker.DockerClient, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensure, "_SILENCE_SECONDS", 1)
    registry.silent.set()
    began = time.monotonic()
    with pytest.raises(BaseFailed, match="could not be pulled"):
        ensure_base(client, HOST, image=registry.image, update=False, record=tmp_path / "base.json")
    assert time.monotonic() - began < 9  # without the setting above it is 10


def test_no_base_for_another_architecture_is_bootstrapped(
    client: docker.DockerClient, registry: Registry, tmp_path: Path
) -> None:
    assert registry.tag == ""  # and none is pulled either
    with pytest.raises(BaseFailed, match="--base"):
        ensure_base(client, OTHER, image=None, update=False, record=tmp_path / "base.json")


def _from_another_engine(record: Path) -> None:
    """Let the record name an image that this engine lacks."""
    written = json.loads(record.read_bytes())
    written["base"] |= {"image_id": f"sha256:{'0' * 64}", "reference": "under48/base:elsewhere"}
    record.write_text(json.dumps(written))


@pytest.mark.skipif(apt.find("mmdebstrap") is None, reason="mmdebstrap is not installed")
def test_where_no_registry_answers_the_base_is_bootstrapped_to_the_same_bytes_each_time(
    client: docker.DockerClient, registry: Registry, tmp_path: Path
) -> None:
    record = tmp_path / "base.json"
    said: list[str] = []
    base = ensure_base(client, HOST, image=None, update=True, record=record, report=said.append)
    assert base.how == "bootstrapped"
    assert "could not be pulled" in base.why
    assert "bootstrapping the base instead" in " ".join(said)

    registry.asked.clear()
    assert ensure_base(client, HOST, image=None, update=False, record=record) == base
    assert registry.asked == []

    _from_another_engine(record)
    for other in (record, tmp_path / "another-checkout.json"):
        assert ensure_base(client, HOST, image=None, update=False, record=other).image_id == base.image_id

    archive = tmp_path / "again.tar"
    bootstrap.make(HOST, configured(), archive, said.append)
    with archive.open("rb") as file:
        assert f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == base.digest
    with tarfile.open(archive) as made:
        sources = made.extractfile("./etc/apt/sources.list")
        assert sources is not None
        assert [line for line in sources.read().decode().splitlines() if line] == [
            source.line for source in configured()
        ]


@pytest.mark.skipif(apt.find("mmdebstrap") is None, reason="mmdebstrap is not installed")
def test_a_mirror_that_does_not_answer_is_an_error_with_what_mmdebstrap_said(tmp_path: Path) -> None:

    gone = Source(uri="http://127.0.0.1:1/debian", suite="bookworm")
    with pytest.raises(BaseFailed, match=r"status (.|\n)*127\.0\.0\.1"):
        bootstrap.make(HOST, [gone], tmp_path / "base.tar", lambda _line: None)
