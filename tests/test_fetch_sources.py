import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from images.native import fetch_sources
from images.native.fetch_sources import FetchError, fetch, places, unpack
from tests.debian import needs_apt, needs_dpkg
from tests.download_server import serving

SOURCES = Path(fetch_sources.__file__).with_name("sources.toml")
HOST = re.compile(r"https?://|[a-z0-9-]+\.(org|com|net)\b")


@dataclass
class Apt:
    """An apt of the test's own: it starts without any archive, asks no proxy and does not retry."""

    folder: Path

    def use(self, *roots: str) -> None:
        """Configure it with archives and let it fetch their lists, as `apt-get update` in the image does."""
        lines = (f"deb [trusted=yes] {root} bookworm main contrib\n" for root in roots)
        (self.folder / "sources.list").write_text("".join(lines))
        subprocess.run(["apt-get", "-qq", "update"], check=True, capture_output=True)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    folder = tmp_path / "apt"
    for each in ("lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    (folder / "sources.list").touch()
    (folder / "status").touch()
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Acquire::http::Proxy::127.0.0.1": "DIRECT",
        "Acquire::Retries": "0",
        "APT::Sandbox::User": "",
    }
    (folder / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))
    return Apt(folder)


PACKAGES = b"Package: x\nVersion: 1\nArchitecture: all\nFilename: x.deb\nSize: 1\n"
RELEASE = """\
Date: Sat, 10 Jun 2023 08:00:00 UTC
Codename: bookworm
Architectures: amd64 arm64
Components: main contrib
SHA256:
"""


def _archive(root: str, pool: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a Debian archive: its lists, which name one package, and its pool."""
    lists = [f"{part}/binary-{each}/Packages" for part in ("main", "contrib") for each in ("amd64", "arm64")]
    digest = hashlib.sha256(PACKAGES).hexdigest()
    release = RELEASE + "".join(f" {digest} {len(PACKAGES)} {name}\n" for name in lists)
    files = {f"dists/bookworm/{name}": PACKAGES for name in lists}
    files["dists/bookworm/Release"] = release.encode()
    return {f"{root}/{name}": content for name, content in (files | pool).items()}


def _tarball(wrapper: str, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{wrapper}{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


SOURCE = _tarball("jpeg-3.1/", {"LICENSE": b"as is", "src/jpeg.c": b"int x;"})
POOL = "pool/main/libj/jpeg/jpeg_3.1.orig.tar.gz"
DIGEST = hashlib.sha256(SOURCE).hexdigest()


def _row(**more: Any) -> dict[str, Any]:
    return {
        "name": "jpeg",
        "title": "A JPEG library",
        "version": "3.1",
        "pool": "libj/jpeg/jpeg_3.1.orig.tar.gz",
        "sha256": DIGEST,
        "licences": ["LICENSE"],
        **more,
    }


def _put(folder: Path, path: str, content: bytes) -> Path:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return folder / path


def test_a_source_in_the_mirror_is_taken_from_there(tmp_path: Path) -> None:
    file = _put(tmp_path / "mirror", POOL, SOURCE)
    assert fetch(_row(), tmp_path / "mirror", tmp_path) == file


@needs_apt
@pytest.mark.parametrize("mirrored", [None, b"another file"], ids=["no-mirror", "wrong-digest-in-mirror"])
def test_without_a_good_copy_in_the_mirror_it_comes_from_the_pool_of_an_archive(
    tmp_path: Path, apt: Apt, mirrored: bytes | None
) -> None:
    if mirrored:
        _put(tmp_path / "mirror", POOL, mirrored)
    (tmp_path / "into").mkdir()
    with serving(_archive("/other", {}) | _archive("/debian", {POOL: SOURCE})) as server:
        apt.use(f"{server.url}/other", f"{server.url}/debian")
        file = fetch(_row(), tmp_path / "mirror", tmp_path / "into")
    assert file.parent == tmp_path / "into"
    assert file.read_bytes() == SOURCE


@needs_apt
def test_each_archive_is_asked_once_however_many_lists_it_has(apt: Apt) -> None:
    with serving(_archive("/a", {}) | _archive("/b", {})) as server:
        apt.use(f"{server.url}/b", f"{server.url}/a/")
        assert fetch_sources.archives() == [f"{server.url}/b/", f"{server.url}/a/"]


@needs_apt
def test_where_no_archive_has_it_upstream_is_asked_with_its_own_digest(tmp_path: Path, apt: Apt) -> None:
    upstream = _tarball("v3.1/", {"LICENSE": b"upstream's"})
    (tmp_path / "into").mkdir()
    with serving(_archive("/debian", {}) | {"/archive/v3.1.tar.gz": upstream}) as server:
        apt.use(f"{server.url}/debian")
        url, digest = f"{server.url}/archive/v3.1.tar.gz", hashlib.sha256(upstream).hexdigest()
        row = _row(url=url, url_sha256=digest)
        assert places(row) == [(f"{server.url}/debian/{POOL}", DIGEST), (url, digest)]
        assert fetch(row, tmp_path / "mirror", tmp_path / "into").read_bytes() == upstream


@needs_apt
def test_when_no_place_has_it_the_error_says_what_was_tried_and_what_to_do(tmp_path: Path, apt: Apt) -> None:
    _put(tmp_path / "mirror", POOL, b"another file")
    (tmp_path / "into").mkdir()
    with serving(_archive("/debian", {}) | {"/archive/v3.1.tar.gz": b"changed by someone"}) as server:
        apt.use(f"{server.url}/debian")
        url = f"{server.url}/archive/v3.1.tar.gz"
        with pytest.raises(FetchError) as caught:
            fetch(_row(url=url, url_sha256="0" * 64), tmp_path / "mirror", tmp_path / "into")
    first, *tried = str(caught.value).splitlines()
    assert first == (
        "A JPEG library 3.1 cannot be fetched. Mend the network, or put jpeg_3.1.orig.tar.gz into a mirror as "
        "pool/main/libj/jpeg/jpeg_3.1.orig.tar.gz. Tried:"
    )
    assert "the mirror's copy has another digest" in tried[0]
    assert tried[1].startswith(f"  {server.url}/debian/{POOL}: E:")
    assert "404" in tried[1]
    assert tried[2].startswith(f"  {url}: E:")
    assert not HOST.search(str(caught.value).replace(server.url, "")), (
        "it names only places that are configured"
    )


@needs_apt
def test_without_any_archive_or_url_the_error_still_says_what_to_do(tmp_path: Path, apt: Apt) -> None:
    apt.use()
    with pytest.raises(FetchError, match=r"put jpeg_3.1.orig.tar.gz into a mirror") as caught:
        fetch(_row(), tmp_path / "mirror", tmp_path)
    assert not HOST.search(str(caught.value))


LAYOUTS = {
    "wrapped-in-a-folder": ("jpeg-3.1/", {"a": b"1", "src/b": b"2"}),
    "not-wrapped": ("", {"a": b"1", "src/b": b"2"}),
    "one-file": ("", {"a": b"1"}),
}


@pytest.mark.parametrize(("wrapper", "files"), LAYOUTS.values(), ids=LAYOUTS)
def test_a_tarball_is_unpacked_without_the_folder_around_it(
    tmp_path: Path, wrapper: str, files: dict[str, bytes]
) -> None:
    file = _put(tmp_path, "x.tar.gz", _tarball(wrapper, files))
    unpack(file, tmp_path / "out/jpeg")
    found = {
        path.relative_to(tmp_path / "out/jpeg").as_posix(): path.read_bytes()
        for path in (tmp_path / "out/jpeg").rglob("*")
        if path.is_file()
    }
    assert found == files
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["jpeg"]


@needs_dpkg
def test_a_deb_is_unpacked_as_it_is(tmp_path: Path) -> None:
    _put(tmp_path, "tree/usr/lib/libruy.a", b"!<arch>\n")
    _put(
        tmp_path,
        "tree/DEBIAN/control",
        b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n",
    )
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", tmp_path / "tree", tmp_path / "x.deb"],
        check=True,
        capture_output=True,
    )
    unpack(tmp_path / "x.deb", tmp_path / "ruy")
    assert (tmp_path / "ruy/usr/lib/libruy.a").read_bytes() == b"!<arch>\n"


def _run(tmp_path: Path, sources: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "sources.toml").write_text(sources)
    command = [sys.executable, fetch_sources.__file__, "sources.toml", "arm64", "mirror", "out"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


TABLE = f"""
[[source]]
name = "jpeg"
title = "A JPEG library"
version = "3.1"
pool = "libj/jpeg/jpeg_3.1.orig.tar.gz"
sha256 = "{DIGEST}"
licences = ["LICENSE", "src/jpeg.c"]
[[source]]
name = "jpeg-arm"
title = "The same"
version = "3.1"
pool = "libj/jpeg/jpeg_3.1.orig.tar.gz"
sha256 = "{DIGEST}"
licences = []
arch = "arm64"
[[source]]
name = "jpeg-amd"
title = "Not for this one"
version = "3.1"
pool = "libj/jpeg/missing.tar.gz"
sha256 = "{DIGEST}"
licences = []
arch = "amd64"
"""


def test_the_script_unpacks_the_rows_for_its_architecture_with_their_licences(tmp_path: Path) -> None:
    _put(tmp_path / "mirror", POOL, SOURCE)
    done = _run(tmp_path, TABLE)
    assert (done.returncode, done.stderr) == (0, "")
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["jpeg", "jpeg-arm", "licences", "versions.txt"]
    assert (out / "versions.txt").read_text() == "A JPEG library 3.1, The same 3.1"
    assert sorted(path.name for path in (out / "licences/jpeg").iterdir()) == ["LICENSE", "jpeg.c"]
    assert done.stdout.splitlines()[0] == f"A JPEG library 3.1: {len(SOURCE):,} bytes, verified"


@needs_apt
def test_the_script_ends_with_the_error_and_no_traceback(tmp_path: Path, apt: Apt) -> None:
    apt.use()
    done = _run(tmp_path, TABLE)
    assert done.returncode == 1
    assert done.stderr.startswith("A JPEG library 3.1 cannot be fetched.")
    assert "Traceback" not in done.stderr


def test_the_rows_of_the_real_table_are_complete() -> None:
    rows = tomllib.loads(SOURCES.read_text())["source"]
    for row in rows:
        assert {"name", "title", "version", "pool", "sha256", "licence", "licences"} <= set(row), row["name"]
        assert row["licences"], row["name"]
        assert ("url" in row) == ("url_sha256" in row), row["name"]
        digests = [row["sha256"], row.get("url_sha256", row["sha256"])]
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests), row["name"]
    names = [(row["name"], row.get("arch")) for row in rows]
    assert len(set(names)) == len(names)
