"""Takes files out of an image without running it."""

import io
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import docker
from docker.errors import APIError, NotFound

from images.errors import ContainerFailed

_SPOOL_BYTES = 64 << 20


def read_folder(engine: docker.DockerClient, image: str, folder: str) -> dict[str, bytes]:
    """The files of one folder of an image by their path below it, symlinks and byte code left out.

    Raises:
        ContainerFailed: there is no such image or folder.
    """
    files: dict[str, bytes] = {}
    with _container(engine, image) as container:
        try:
            chunks, _ = engine.api.get_archive(container, folder)
            archive = io.BytesIO(b"".join(chunks))
        except NotFound as error:
            raise ContainerFailed(f"{image} has no {folder}: build it again") from error
    with tarfile.open(fileobj=archive) as members:
        for member in members:
            name = member.name.partition("/")[2]
            if member.isfile() and "__pycache__" not in name and (content := members.extractfile(member)):
                files[name] = content.read()
    return files


@contextmanager
def saved(engine: docker.DockerClient, image: str) -> Iterator[IO[bytes]]:
    """The image as `docker save` writes it, in a temporary file that is gone afterwards.

    Raises:
        ContainerFailed: there is no such image.
    """
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as file:
        try:
            for chunk in engine.api.get_image(image):
                file.write(chunk)
        except NotFound as error:
            raise ContainerFailed(f"there is no image {image} in the engine: build it first") from error
        file.seek(0)
        yield file


@contextmanager
def _container(engine: docker.DockerClient, image: str) -> Iterator[str]:
    try:
        container = engine.api.create_container(image, command=["-"])["Id"]  # never started
    except APIError as error:
        raise ContainerFailed(f"no container can be made of {image}: {error.explanation or error}") from error
    try:
        yield container
    finally:
        engine.api.remove_container(container, force=True, v=True)
