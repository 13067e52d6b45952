"""Decides which base a build stands on, once, and keeps to it until the user asks for an update."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import docker
import requests
from docker.auth import get_config_header, resolve_repository_name
from docker.errors import DockerException, ImageNotFound
from docker.models.images import Image
from docker.utils import parse_repository_tag

from images.architecture import Architecture
from images.base.bootstrap import Bootstrapped, bootstrap, stored
from images.errors import BaseFailed, BaseMismatch
from images.whole import write_whole

IMAGE = "debian:bookworm-slim"
_SILENCE_SECONDS = 10  # of a pull, after which the registry counts as out of reach

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The image that a build stands on."""

    image_id: str  # "sha256:…", what FROM is given
    reference: str  # a name for people
    digest: (
        str  # by which the same one is had again: of the registry, or of the bootstrapped archive; or the id
    )
    how: str  # "pulled", "bootstrapped" or "given"
    why: str = ""  # what the registry said, where it was not pulled


def ensure_base(  # noqa: PLR0913 - what `invoke build` asks of the base
    engine: docker.DockerClient,
    arch: Architecture,
    *,
    image: str | None,
    update: bool,
    record: Path,
    report: Report = lambda _message: None,
) -> Base:
    """The base for `arch`: `image` if given, else Debian bookworm, pulled or bootstrapped.

    What it resolved to is written to the file `record` and kept to, as long as the same is asked for, until
    `update`. So where no registry answers it is asked once, not with every build. An engine that lacks what is
    recorded, and where a base was bootstrapped before, keeps to that one.

    Raises:
        BaseFailed: there is none to be had; with what was tried.
        BaseMismatch: it is not for `arch`, or not for Linux.
    """
    kept = None if update else _read(record, image)
    if kept and (found := _local(engine, kept.image_id)):
        _check(found, kept.reference, arch)
        return kept
    if image and not update and (found := _local(engine, image)):
        _check(found, image, arch)
        base = Base(image_id=str(found.id), reference=image, digest=_digest(found, image), how="given")
    elif image:
        wanted = kept.digest if kept and "@" in kept.digest else image
        base = replace(_pull(engine, arch, wanted, report), reference=image, how="given")
    elif kept and kept.how == "pulled":
        base = _pull(engine, arch, kept.digest, report)
    elif kept:
        made = stored(engine, arch) or bootstrap(engine, arch, record.parent, report)
        base = _bootstrapped(made, kept.why)
    else:
        base = _first(engine, arch, record.parent, report, update=update)
    _write(record, image, base)
    return base


def _first(
    engine: docker.DockerClient, arch: Architecture, work: Path, report: Report, *, update: bool
) -> Base:
    try:
        return _pull(engine, arch, IMAGE, report)
    except BaseFailed as refused:
        if not update and (made := stored(engine, arch)):
            report(f"{refused}; the base that was bootstrapped before serves instead")
            return _bootstrapped(made, str(refused))
        report(f"{refused}; bootstrapping the base instead")
        try:
            return _bootstrapped(bootstrap(engine, arch, work, report), str(refused))
        except BaseFailed as failed:
            raise BaseFailed(f"{refused}; and bootstrapping it did not work either: {failed}") from failed


def _bootstrapped(made: Bootstrapped, why: str) -> Base:
    return Base(
        image_id=made.image_id, reference=made.reference, digest=made.digest, how="bootstrapped", why=why
    )


def _pull(engine: docker.DockerClient, arch: Architecture, reference: str, report: Report) -> Base:
    report(f"pulling {reference} for {arch.platform}")
    try:
        for event in _events(engine, reference, arch):
            if "error" in event:
                raise BaseFailed(f"{reference} could not be pulled: {event['error']}")
        found = engine.images.get(reference)
    except (DockerException, requests.RequestException) as error:
        raise BaseFailed(f"{reference} could not be pulled: {error}") from error
    _check(found, reference, arch)
    return Base(image_id=str(found.id), reference=reference, digest=_digest(found, reference), how="pulled")


def _events(engine: docker.DockerClient, reference: str, arch: Architecture) -> Iterator[dict[str, Any]]:
    """The engine's log of a pull. docker-py's own pull would wait for a silent registry without end."""
    repository, tag = parse_repository_tag(reference)
    auth = get_config_header(engine.api, resolve_repository_name(repository)[0])
    response = engine.api.post(
        f"{engine.api.base_url}/v{engine.api.api_version}/images/create",
        params={"fromImage": repository, "tag": tag or "latest", "platform": arch.platform},
        headers={"X-Registry-Auth": auth} if auth else {},
        stream=True,
        timeout=_SILENCE_SECONDS,
    )
    with closing(response):
        if response.status_code != requests.codes.ok:
            yield {"error": response.json().get("message", response.text)}
            return
        yield from (json.loads(line) for line in response.iter_lines() if line)


def _local(engine: docker.DockerClient, reference: str) -> Image | None:
    try:
        return engine.images.get(reference)
    except ImageNotFound:
        return None


def _digest(image: Image, reference: str) -> str:
    """`name@sha256:…` as the registry knows it; the id of an image that no registry has named."""
    digests: list[str] = image.attrs.get("RepoDigests") or [str(image.id)]
    return next(
        (each for each in digests if each.startswith(f"{parse_repository_tag(reference)[0]}@")), digests[0]
    )


def _check(image: Image, reference: str, arch: Architecture) -> None:
    system, machine = image.attrs["Os"], image.attrs["Architecture"]
    if (system, machine) != ("linux", arch.name):
        raise BaseMismatch(
            f"the base {reference} is for {system}/{machine}, and one for {arch.platform} is needed; "
            "name another with `base` in invoke.yaml, or --base of build"
        )


def _read(record: Path, asked: str | None) -> Base | None:
    """The base in `record`, None if it is missing, unreadable or of another request: then it is made anew."""
    try:
        written = json.loads(record.read_bytes())
        return Base(**written["base"]) if written["asked"] == (asked or "") else None
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _write(record: Path, asked: str | None, base: Base) -> None:
    content = json.dumps({"asked": asked or "", "base": asdict(base)}, indent=2) + "\n"
    write_whole(record, content.encode())
