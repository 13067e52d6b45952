"""Audits what was built, or any other target: opens it, judges it, and shows the step."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import audit
from audit.rules.wording import counted
from audit.verdict import by_severity
from cli.audits import Asked
from cli.console import step
from cli.observed import observation
from cli.pipeline import OUTPUT, Pipeline
from cli.settings import BadSetting
from images.architecture import host, named
from images.errors import ContainerFailed, UnknownArchitecture
from images.extract import saved

_TARS = (".tar", *(f".tar.{end}" for end in ("gz", "bz2", "xz", "zst")), ".tgz", ".tbz2", ".txz", ".tzst")
_FILES = (".zip", ".whl", ".so", *_TARS)


def audit_built(pipeline: Pipeline, asked: Asked = Asked()) -> list[audit.Judged]:  # noqa: B008 - a frozen value
    """What the auditor says of the image, and of the zip unpacked on top of it.

    Raises:
        BadSetting: a runtime is named, and the zip's is the image.
    """
    if asked.runtime:
        raise BadSetting("--runtime says where a TARGET is unpacked: name the target, too")
    image, package = pipeline.image, pipeline.package
    seen = observation(asked.observed, image.id, pipeline.observed)
    with step("audit") as shown:
        runtime = _image_tree(pipeline, image.tag)
        judged = [
            _judge(runtime, None, asked, limit=_limit(pipeline), observation=seen),
            _judge(audit.read(package), runtime, asked),
        ]
        shown.outcome = f"{_natives(judged)} in the image and the zip: {_counted(judged)}"
    return judged


def audit_target(pipeline: Pipeline, target: str, asked: Asked) -> list[audit.Judged]:
    """What the auditor says of a file or folder, or else of an image in the engine.

    Raises:
        BadSetting: the target's name is empty, as that of a variable that is not set.
        UnreadableTargetError: it is none of these, or cannot be read.
    """
    if not target.strip():
        raise BadSetting("TARGET is empty: name an image, a file or a folder, or nothing for what was built")
    with step("audit") as shown:
        runtime = _tree(pipeline, asked.runtime) if asked.runtime else None
        tree = _tree(pipeline, target)
        known = {
            "limit": _limit(pipeline),
            "observation": _observation(pipeline, target, asked.observed),
            "usual_runtime": _own_image(target),
        }
        judged = _judge(tree, runtime, asked, **known)
        shown.outcome = f"{target}: {_natives([judged])}, {_counted([judged])}"
    return [judged]


def _judge(tree: audit.Tree, runtime: audit.Tree | None, asked: Asked, **known: Any) -> audit.Judged:
    """Judge as was asked; `known` is more of what `audit.analyse` takes."""
    analysis = audit.analyse(
        tree, runtime=runtime, at=asked.at, config=asked.config, compress=asked.compress, **known
    )
    return audit.judge(analysis)


def _tree(pipeline: Pipeline, name: str) -> audit.Tree:
    """The files of what is at a path, or else of an image in the engine."""
    if _is_path(name):
        return audit.read(Path(name).expanduser(), _architecture(pipeline))
    return _image_tree(pipeline, name)


def _image_tree(pipeline: Pipeline, name: str) -> audit.Tree:
    try:
        file = pipeline.opened.enter_context(saved(pipeline.engine, name))
    except ContainerFailed as error:
        raise audit.UnreadableTargetError(
            f"{name} is neither a file or folder here nor an image in the engine: name one of these"
        ) from error
    return audit.read_image(file, name, _architecture(pipeline))


def _architecture(pipeline: Pipeline) -> str:
    """Which architecture of an image for several is audited, in OCI's words: that asked for, or this machine's."""
    if pipeline.settings.arch:
        return named(pipeline.settings.arch).name
    try:
        return host().name
    except UnknownArchitecture:
        return platform.machine()  # the others are called the same there and here


def _observation(pipeline: Pipeline, target: str, named: str | None) -> audit.Observation | None:
    """What was seen mapped, held against the id of an image in the engine; what is a file here has none."""
    known = named is not None and not _is_path(target)
    return observation(named, str(pipeline.engine.images.get(target).id) if known else "")


def _is_path(target: str) -> bool:
    """Whether a name is that of a file or folder, or by its look means one, rather than an image."""
    return (
        target.startswith(("/", "./", "../", "~"))
        or target.endswith(_FILES)
        or Path(target).expanduser().exists()
    )


def _own_image(target: str) -> str:
    """The image whose zip a target is; empty for any other target."""
    path = Path(target).expanduser()
    name = path.stem.removeprefix("classify-")
    own = path.resolve().parent == OUTPUT and path.suffix == ".zip" and name != path.stem
    return f"under48/classify:{name}" if own else ""


def _limit(pipeline: Pipeline) -> audit.Limit | None:
    mib = pipeline.settings.limit
    return audit.Limit(bytes=round(mib * (1 << 20))) if mib else None


def _natives(judged: Sequence[audit.Judged]) -> str:
    return counted(sum(len(one.analysis.elves) for one in judged), "native file")


def _counted(judged: Sequence[audit.Judged]) -> str:
    """How many findings there are of each severity: `2 errors, 1 note`."""
    return ", ".join(by_severity([finding for one in judged for finding in one.findings])) or "no findings"
