"""Proves an image by running it as the platform would: each photo in a new container, cold, then warm."""

import base64
import hashlib
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import docker

from errors import Under48Error
from images.activation import Status
from images.invoker import Activation, Invoker, Limits, invoker
from images.protocol import encode
from model_fetch import Catalog

PAYLOAD_BYTES = 1 << 20  # whisk.activation.payload.max: the platform refuses a larger request body
TOP = 5
_SHOWN_CHARACTERS = 200  # of an answer, in the message about it


class PhotoMissing(Under48Error):
    """A photo that was named is not there, or cannot be read."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """A picture to classify; `accepted` are the class names that are right, where the catalogue knows it."""

    name: str
    content: bytes
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """One class that the picture may show; probability from 0 to 1."""

    class_name: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of one photo; times in milliseconds, memory in bytes."""

    photo: str
    top: tuple[Ranked, ...]
    start_ms: float  # `docker run`
    init_ms: float  # /init, with the wait for the server
    run_ms: float  # the first /run
    warm_ms: float  # median of the /run after it
    memory: int  # of the container, after the last; 0 when it broke off
    log: tuple[str, ...]  # what the first activation printed
    problem: str = ""  # why this is not a success
    note: str = ""  # what the platform would mind

    @property
    def cold_ms(self) -> float:
        """From `docker run` to the first answer."""
        return self.start_ms + self.init_ms + self.run_ms


def find_photos(names: Iterable[str], catalog: Catalog, fetch_sample: Callable[[str], Path]) -> list[Photo]:
    """The photos behind files, folders and names of the catalogue, in that order of preference.

    A file that is a catalogued sample, by digest, is checked as such whatever it is called.

    Raises:
        PhotoMissing: there is no such file, it cannot be read, or the folder holds none.
        UnknownName: nor is it a sample, with near matches.
    """
    by_digest = {sample.asset.sha256: sample for sample in catalog.samples}
    photos = []
    for name in names:
        for file in _files(name) or [fetch_sample(name)]:
            content = _read(file)
            known = by_digest.get(hashlib.sha256(content).hexdigest())
            shown = known.name if known else file.name
            photos.append(Photo(name=shown, content=content, accepted=known.accepted if known else ()))
    return photos


def _files(name: str) -> list[Path]:
    """The file, or those of the folder; none for a bare name that is neither."""
    path = Path(name)
    try:
        if not path.is_dir():
            return [path] if path.exists() or "/" in name else []
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise _unreadable(path, error) from error
    if not files:
        raise PhotoMissing(f"the folder {path} holds no files: name a photo, a folder of them or a sample")
    return files


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError) -> PhotoMissing:
    return PhotoMissing(f"{path} cannot be read ({error.strerror}): name a photo, a folder or a sample")


def verify_photos(  # noqa: PLR0913 - what `invoke verify` asks of the image
    engine: docker.DockerClient,
    image: str,
    photos: Sequence[Photo],
    *,
    memory_mib: int,
    repeat: int,
    report: Callable[[str, int], None] = lambda _name, _done: None,
) -> list[Verdict]:
    """Classify each photo in a container of its own: once cold, then `repeat` times warm.

    Raises:
        ContainerFailed: the image does not start.
    """
    verdicts = []
    for done, photo in enumerate(photos):
        report(photo.name, done)
        with invoker(engine, image, limits=Limits(memory_mib=memory_mib)) as running:
            verdicts.append(_verify(running, photo, repeat))
    return verdicts


def _verify(running: Invoker, photo: Photo, repeat: int) -> Verdict:
    value = {"image": base64.b64encode(photo.content).decode(), "top": TOP}
    activations = [running.init()]
    for _ in range(1 + max(0, repeat)):
        if activations[-1].classified.kept:  # else the container is gone
            activations.append(running.run(value))
    used = running.memory().used if activations[-1].classified.kept else 0
    size = len(encode(value))
    return judge(photo, activations, start_ms=running.running.start_ms, memory=used, size=size)


def judge(
    photo: Photo, activations: Sequence[Activation], *, start_ms: float, memory: int, size: int
) -> Verdict:
    """The verdict on the activations of one container: /init, then /run as often as it kept up.

    `start_ms` is what starting it took; `memory` and `size`, of the container and of one request, are bytes.
    """
    init, *runs = activations
    elapsed = [run.elapsed_ms for run in runs] or [0.0]
    top = _ranking(runs[0].classified.result) if runs else ()
    return Verdict(
        photo=photo.name,
        top=top,
        start_ms=start_ms,
        init_ms=init.elapsed_ms,
        run_ms=elapsed[0],
        warm_ms=statistics.median(elapsed[1:] or elapsed),
        memory=memory,
        log=(runs[0] if runs else init).stdout,
        problem=_problem(photo, init, runs, top),
        note=f"{size:,} bytes: the platform takes {PAYLOAD_BYTES:,}" if size > PAYLOAD_BYTES else "",
    )


def _problem(photo: Photo, init: Activation, runs: Sequence[Activation], top: Sequence[Ranked]) -> str:
    for activation in (init, *runs):
        if activation.classified.status is not Status.SUCCESS:
            return f"{activation.classified.status}: {activation.classified.result}"
    if not top:
        return f"the answer names no classes: {runs[0].body[:_SHOWN_CHARACTERS]}"
    if any(run.body != runs[0].body for run in runs):
        return "a warm answer differs from the cold one"
    if photo.accepted and top[0].class_name not in photo.accepted:
        return f"not what it shows: {' or '.join(name.partition(',')[0] for name in photo.accepted)}"
    return ""


def _ranking(result: Any) -> tuple[Ranked, ...]:
    """The classes of an answer; none when it has not the form that the action gives it."""
    try:
        return tuple(
            Ranked(class_name=str(entry["className"]), probability=float(entry["probability"]))
            for entry in result["results"]
        )
    except (KeyError, TypeError, ValueError):
        return ()


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The verdicts as JSON values, with `cold_ms` and `ok`."""
    return [asdict(verdict) | {"cold_ms": verdict.cold_ms, "ok": not verdict.problem} for verdict in verdicts]
