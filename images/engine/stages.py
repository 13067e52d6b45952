"""Builds one stage of a Dockerfile with the best builder that the engine has.

BuildKit, where `docker buildx` answers: its build needs a gRPC session that docker-py does not speak, so the command
is run. Else the engine's HTTP API: Podman's builder, or Docker's classic one, which the engine of Debian bookworm
(20.10, without buildx) has.

BuildKit takes steps from its cache only for the same network, so its steps say themselves which they need (`RUN
--network`). The others do not know that, and let builds with different networks share steps.
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from images.engine import buildkit, classic
from images.engine.connection import Engine
from images.engine.context import write_context
from images.engine.step import Report, Stage, Step

__all__ = ["Report", "Stage", "Step", "build_stage", "builder_name"]

_STEP_NETWORK = re.compile(rb"^(\s*RUN) --network=\w+", re.MULTILINE)
SPOOL_BYTES = 32 << 20  # a context larger than this waits on disk, not in memory


def build_stage(
    engine: Engine,
    context: Mapping[str, bytes | Path],
    stage: Stage,
    report: Report = lambda _step: None,
) -> str:
    """Build `stage` of the Dockerfile in `context`; return the image's id ("sha256:…"), "" if there is none.

    There is none of a stage that is built for the cache alone, where the builder has a cache of its own.

    `context` names files as the Dockerfile sees them; a value is the file's bytes, a file, or a folder that
    goes in whole under that name. Ctrl-C stops the work in the engine too; Podman's ends with the step it is in.

    Raises:
        BuildFailed: with the failing step and the end of its output.
    """
    if buildkit.answers(engine):
        build = buildkit.build
        if _STEP_NETWORK.search(_dockerfile(context, stage)):
            stage = replace(stage, network="host")
    else:
        build = classic.build
        if stage.dockerfile in context:
            context = {**context, stage.dockerfile: _STEP_NETWORK.sub(rb"\1", _dockerfile(context, stage))}
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as archive:
        write_context(context, archive)
        archive.seek(0)
        return build(engine, archive, stage, report)


def _dockerfile(context: Mapping[str, bytes | Path], stage: Stage) -> bytes:
    source = context.get(stage.dockerfile, b"")
    return source if isinstance(source, bytes) else source.read_bytes()


def builder_name(engine: Engine) -> str:
    """What builds on `engine`, for people."""
    if buildkit.answers(engine):
        return "BuildKit"
    return "Podman's builder" if engine.is_podman else "the classic builder"
