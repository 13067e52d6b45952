"""The image: its size, its files, its labels, and what an action finds in it when everything is taken away."""

import hashlib
import stat
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import docker
import pytest

import audit
from cli.pipeline import Pipeline
from images.activation import Status
from images.build import INPUTS_LABEL, Image
from images.extract import saved
from images.operators import read_operators
from tests.integration.inside import Initialized, source

pytestmark = pytest.mark.engine

SIZE_BYTES = 60_000_000

# What could run a command, or add one: none of it belongs into an image that runs one program.
PROGRAMS = {
    "sh",
    "bash",
    "dash",
    "busybox",
    "env",
    "apt",
    "apt-get",
    "dpkg",
    "perl",
    "pip",
    "pip3",
    "ldconfig",
}

# Of sys.stdlib_module_names, what the image has not, and why.
NOT_SHIPPED = {
    "_gdbm": "Debian has it in a package of its own; dbm.ndbm and dbm.dumb are there",
    "_msi": "Windows",
    "_overlapped": "Windows",
    "_scproxy": "macOS",
    "_tkinter": "Tk",
    "_winapi": "Windows",
    "ensurepip": "no pip",
    "idlelib": "no IDLE",
    "msilib": "Windows",
    "msvcrt": "Windows",
    "nis": "gone from Python 3.13 on, and nine libraries hang on it",
    "nt": "Windows",
    "tkinter": "Tk",
    "turtle": "Tk",
    "turtledemo": "Tk",
    "winreg": "Windows",
    "winsound": "Windows",
}


@pytest.fixture(scope="module")
def tree(engine: docker.DockerClient, image: Image) -> Iterator[audit.Tree]:
    with saved(engine, image.id) as file:
        yield audit.read_image(file, image.tag)


@pytest.fixture(scope="module")
def found(image: Image, initialized: Initialized) -> dict[str, Any]:
    """What `actions/library.py` finds in a container without capabilities, its root read-only, only /tmp writable."""
    with initialized(image.id, code=source("library")) as running:
        activation = running.run({"forbidden": "/under48/written", "permitted": "/dev/shm/written"})
        assert activation.classified.status is Status.SUCCESS, activation
        result: dict[str, Any] = activation.classified.result
        return result


def test_the_image_is_small(image: Image) -> None:
    assert image.size <= SIZE_BYTES


def test_no_program_in_it_but_python(tree: audit.Tree) -> None:
    files = {PurePosixPath(path).name for path, entry in tree.entries.items() if entry.kind != "dir"}
    assert files & PROGRAMS == set()
    executable = {
        path
        for path, entry in tree.entries.items()
        if entry.kind == "file" and entry.mode & 0o111 and ".so" not in PurePosixPath(path).name
    }
    assert executable == {"/usr/bin/python3.11"}


def test_no_installer_and_no_tests_of_python_are_in_it(tree: audit.Tree) -> None:
    for pattern in (
        "**/site-packages/*",
        "**/dist-packages/pip*",
        "**/ensurepip",
        "**/idlelib",
        "**/python3.11/test",
    ):
        assert tree.glob(pattern) == (), pattern


def test_its_files_are_roots_and_nobody_else_may_write_them(tree: audit.Tree) -> None:
    wrong = {
        path: f"{entry.uid}:{entry.gid} {stat.filemode(entry.mode)}"
        for path, entry in tree.entries.items()
        if path != "/tmp"
        and (
            entry.uid
            or entry.gid
            or (entry.kind != "symlink" and entry.mode & (0o022 | stat.S_ISUID | stat.S_ISGID))
        )
    }
    assert wrong == {}
    assert tree.entries["/tmp"].mode & 0o7777 == 0o1777


def test_its_labels_say_what_it_is_made_of(
    image: Image, pipeline: Pipeline, engine: docker.DockerClient
) -> None:
    model, labels = pipeline.model, image.labels
    file = pipeline.fetch(model.name)[0].read_bytes()
    assert labels["org.under48.model"] == model.name
    assert labels["org.under48.model.sha256"] == model.files[0].sha256 == hashlib.sha256(file).hexdigest()
    assert labels["org.under48.architecture"] == pipeline.architecture.name
    assert len(image.operators) == len({operator.builtin for operator in read_operators(file)})
    assert labels["org.opencontainers.image.base.name"] == pipeline.base.reference
    assert labels["org.opencontainers.image.base.digest"] == pipeline.base.digest
    for key in ("title", "description", "version", "revision"):
        assert labels[f"org.opencontainers.image.{key}"]
    assert len(labels[INPUTS_LABEL]) == 64
    details = engine.images.get(image.id).attrs
    assert (details["Os"], details["Architecture"]) == ("linux", pipeline.architecture.name)


def test_it_runs_as_nobody_without_any_capability(found: dict[str, Any]) -> None:
    assert found["user"] == [65534, 65534, 65534]
    assert 0 not in found["groups"]
    assert found["capabilities"] == 0
    assert not found["written"]


def test_the_whole_standard_library_can_be_imported(found: dict[str, Any]) -> None:
    assert found["python"] == [3, 11]
    assert set(found["failed"]) == set(NOT_SHIPPED), found["failed"]


def test_https_has_authorities_to_trust(found: dict[str, Any]) -> None:
    assert found["authorities"] > 100  # Mozilla's list has about 140
