"""Proves an image by running it as the platform would: each photo in a new container, cold, then warm."""

import base64
import hashlib
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import docker

from errors import Under48Error
from files import Unreadable, open_file, read_file
from images.activation import ENTITY_BYTES, Status
from images.container import Started
from images.invoker import Activation, Invoker, Limits, invoker
from images.protocol import encode
from images.shrink import shrink
from model_fetch import Catalog, Sample

TOP = 5
MOST_REPEAT = 10_000  # warm calls: a minute or more, and each answer is kept
_SHRUNK_REQUEST = ENTITY_BYTES * 9 // 10  # with room for what an action has stored, and the platform adds
_ELAPSED = re.compile(r"elapsed (\w+) (\d+\.\d) ms")  # what the action logs of each stage
_SHOWN_CHARACTERS = 200  # of an answer, in the message about it


MOST_PHOTO_BYTES = 40 << 20
"""A camera's JPEG has 30 MB at most; in base64 a file of this size fits into the 64 MiB that the runtime takes."""


class PhotoMissing(Under48Error):
    """A photo that was named is not there, or cannot be read."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """A picture to classify; `accepted` are the class names that are right, where the catalogue knows it."""

    name: str
    content: bytes
    accepted: tuple[str, ...] = ()
    shrunk_from: int = 0  # the bytes that the file had; 0 when it is as it was

    @property
    def request_bytes(self) -> int:
        """What a request with it has, as the platform counts it."""
        return len(encode(_parameters(self)))

    @property
    def too_large(self) -> bool:
        """Whether the platform refuses such a request."""
        return self.request_bytes > ENTITY_BYTES

    def shrunk(self) -> "Photo":
        """The same picture, small enough for a request; itself where it is that already.

        Raises:
            NotShrinkable: the file is no picture that can be read here.
        """
        if not self.too_large:
            return self
        others = len(encode(_parameters(replace(self, content=b""))))
        content = shrink(self.content, (_SHRUNK_REQUEST - others) // 4 * 3)
        return replace(self, content=content, shrunk_from=len(self.content))


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoFile:
    """A photo that is read when its turn comes: a folder may hold more of them than the memory.

    A file that is one of `samples`, by its digest, is checked as such whatever it is called.
    """

    path: Path
    samples: Mapping[str, Sample]

    def check(self) -> None:
        """Whether it can be read, without reading it.

        Raises:
            PhotoMissing: it is not there, no file, or too large.
        """
        try:
            open_file(self.path, MOST_PHOTO_BYTES).close()
        except Unreadable as error:
            raise _unreadable(self.path, error) from error

    def read(self) -> Photo:
        """The photo itself.

        Raises:
            PhotoMissing: as `check`.
        """
        try:
            content = read_file(self.path, MOST_PHOTO_BYTES)
        except Unreadable as error:
            raise _unreadable(self.path, error) from error
        sample = self.samples.get(hashlib.sha256(content).hexdigest())
        if sample is None:
            return Photo(name=self.path.name, content=content)
        return Photo(name=sample.name, content=content, accepted=sample.accepted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """One class that the picture may show; probability from 0 to 1."""

    class_name: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What one stage of an activation took, as its log says."""

    name: str
    ms: float


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
    note: str = ""  # what the platform would mind, or what was done about it
    shrunk_from: int = 0  # bytes of the photo's file, where a smaller one was sent

    @property
    def cold_ms(self) -> float:
        """From `docker run` to the first answer."""
        return self.start_ms + self.init_ms + self.run_ms

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the first activation, and of the start before it, in their order."""
        found = (_ELAPSED.fullmatch(line) for line in self.log)
        return tuple(Stage(name=match[1], ms=float(match[2])) for match in found if match)


def find_photos(
    names: Iterable[str], catalog: Catalog, fetch_sample: Callable[[str], Path]
) -> list[PhotoFile]:
    """The photos behind files, folders and names of the catalogue, in that order of preference; none is read yet.

    Raises:
        PhotoMissing: there is no such file, it cannot be read or is too large, or the folder holds none.
        UnknownName: nor is it a sample, with near matches.
    """
    by_digest = {sample.asset.sha256: sample for sample in catalog.samples}
    files = [
        PhotoFile(path=path, samples=by_digest)
        for name in names
        for path in _files(name) or [fetch_sample(name)]
    ]
    for file in files:
        file.check()
    return files


def _files(name: str) -> list[Path]:
    """The file, or those of the folder; none for a bare name that is neither."""
    path = Path(name)
    try:
        if not path.is_dir():
            return [path] if path.exists() or "/" in name else []
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    if not files:
        raise PhotoMissing(f"the folder {path} holds no files: name a photo, a folder of them or a sample")
    return files


def _unreadable(path: Path, reason: object) -> PhotoMissing:
    return PhotoMissing(f"{path} cannot be read ({reason}): name a photo, a folder or a sample")


def verify_photos(  # noqa: PLR0913 - what `invoke verify` asks of the image
    engine: docker.DockerClient,
    image: str,
    photos: Iterable[Photo],
    *,
    memory_mib: int,
    repeat: int,
    report: Callable[[str, int], None] = lambda _name, _done: None,
    observe: Callable[[Photo, Started], None] = lambda _photo, _running: None,
) -> list[Verdict]:
    """Classify each photo in a container of its own: once cold, then `repeat` times warm.

    `observe` gets each container that is still running at the end, when everything has been measured.

    Raises:
        ContainerFailed: the image does not start.
    """
    verdicts = []
    for done, photo in enumerate(photos):
        report(photo.name, done)
        with invoker(engine, image, limits=Limits(memory_mib=memory_mib)) as running:
            verdicts.append(_verify(running, photo, repeat, observe))
    return verdicts


def _verify(
    running: Invoker, photo: Photo, repeat: int, observe: Callable[[Photo, Started], None]
) -> Verdict:
    value = _parameters(photo)
    activations = [running.init()]
    for _ in range(1 + repeat):
        if activations[-1].classified.kept:  # else the container is gone
            activations.append(running.run(value))
    kept = activations[-1].classified.kept
    used = running.memory().used if kept else 0
    if kept:
        observe(photo, running.running)
    return judge(photo, activations, start_ms=running.running.start_ms, memory=used)


def _parameters(photo: Photo) -> dict[str, object]:
    return {"image": base64.b64encode(photo.content).decode(), "top": TOP}


def judge(photo: Photo, activations: Sequence[Activation], *, start_ms: float, memory: int) -> Verdict:
    """The verdict on the activations of one container: /init, then /run as often as it kept up.

    `start_ms` is what starting it took; `memory` is the container's, in bytes.
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
        note=_note(photo),
        shrunk_from=photo.shrunk_from,
    )


def _note(photo: Photo) -> str:
    """What is to be said of the size of a request with `photo`; nothing when it was small enough from the start."""
    if photo.shrunk_from:
        return f"shrunk from {photo.shrunk_from:,} to {len(photo.content):,} bytes"
    if not photo.too_large:
        return ""
    return (
        f"the platform would refuse this request of {photo.request_bytes:,} bytes, it takes {ENTITY_BYTES:,}: "
        "--shrink makes the photo smaller"
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
    """The verdicts as JSON values, with `cold_ms`, `stages` and `ok`."""
    return [
        asdict(verdict)
        | {
            "cold_ms": verdict.cold_ms,
            "stages": [asdict(stage) for stage in verdict.stages],
            "ok": not verdict.problem,
        }
        for verdict in verdicts
    ]
