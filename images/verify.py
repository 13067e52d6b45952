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


class PhotoMissing(Under48Error):
    """A photo that was named is not there, or cannot be read."""

    exit_code = 2


class WrongAnswer(Under48Error):
    """A photo was not classified, or as something that it does not show."""

    exit_code = 1


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
    memory: int  # of the container, after the last
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
        PhotoMissing: there is no such file or folder.
        UnknownName: nor is it a sample, with near matches.
    """
    by_digest = {sample.asset.sha256: sample for sample in catalog.samples}
    photos = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            files = sorted(
                file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")
            )
        elif path.exists() or path.parent != Path():
            files = [path]
        else:
            files = [fetch_sample(name)]
        for file in files:
            content = _read(file)
            known = by_digest.get(hashlib.sha256(content).hexdigest())
            shown = known.name if known else file.name
            photos.append(Photo(name=shown, content=content, accepted=known.accepted if known else ()))
    return photos


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PhotoMissing(
            f"{file} cannot be read ({error.strerror}): name a photo, a folder or a sample"
        ) from error


def verify_photos(
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
    started = running.init()
    first = running.run(value)
    warm = [running.run(value) for _ in range(repeat)]
    cold = running.cold
    assert cold is not None  # noqa: S101 - there was a first run
    top = _ranking(first.classified.result) if first.classified.status is Status.SUCCESS else ()
    size = len(encode(value))
    return Verdict(
        photo=photo.name,
        top=top,
        start_ms=cold.start_ms,
        init_ms=cold.init_ms,
        run_ms=cold.run_ms,
        warm_ms=statistics.median(run.elapsed_ms for run in warm) if warm else first.elapsed_ms,
        memory=running.memory().used,
        log=first.stdout,
        problem=_problem(photo, started, first, warm, top),
        note=f"{size:,} bytes: the platform takes {PAYLOAD_BYTES:,}" if size > PAYLOAD_BYTES else "",
    )


def _problem(
    photo: Photo, started: Activation, first: Activation, warm: Sequence[Activation], top: Sequence[Ranked]
) -> str:
    for activation in (started, first, *warm):
        if activation.classified.status is not Status.SUCCESS:
            return f"{activation.classified.status}: {activation.classified.result}"
    if any(run.body != first.body for run in warm):
        return "a warm answer differs from the cold one"
    if photo.accepted and top[0].class_name not in photo.accepted:
        return f"not what it shows: {' or '.join(name.partition(',')[0] for name in photo.accepted)}"
    return ""


def _ranking(result: Any) -> tuple[Ranked, ...]:
    try:
        entries = result["results"]
        return tuple(Ranked(class_name=e["className"], probability=float(e["probability"])) for e in entries)
    except (KeyError, TypeError, ValueError) as error:
        raise WrongAnswer(f"the action's answer has not the form it should have: {result!r}") from error


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The verdicts as JSON values, with `cold_ms` and `ok`."""
    return [asdict(verdict) | {"cold_ms": verdict.cold_ms, "ok": not verdict.problem} for verdict in verdicts]
