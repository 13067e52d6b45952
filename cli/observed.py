"""Keeps what `verify` saw mapped in its containers, and reads it again for `audit --observed`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import audit
from cli.audits import Misuse
from files import Unreadable, read_file
from images.whole import write_whole


def keep(file: Path, image_id: str, seen: Mapping[str, frozenset[str]], say: Callable[[str], None]) -> None:
    """Write what the containers had mapped, by photo, to `file`: of all photos together."""
    if not all(seen.values()):
        say("nobody may see what the container has mapped: nothing new for audit --observed")
    elif seen:
        paths = frozenset[str]().union(*seen.values())
        document = audit.observation_as_json(paths, image=image_id, photos=seen)
        write_whole(file, json.dumps(document, indent=1).encode())


def observation(named: str | None, image_id: str, last: Path | None = None) -> audit.Observation | None:
    """Read what --observed names: a file, or, empty, what the `last` verify kept. None: nothing was asked for.

    `image_id` is the image that is audited; empty where it is none of the engine's.

    Raises:
        Misuse: there is no such file, or it is of another image.
        AuditError: it does not hold what was observed.
    """
    if named is None:
        return None
    if not named and last is None:
        raise Misuse("--observed: name the FILE with what was mapped, too, since a TARGET is audited")
    if not named and last is not None and not last.exists():
        raise Misuse(f"--observed: there is no {last.name} beside the build yet: give `./inv verify` first")
    found = _read(named or str(last))
    if found.image and image_id and found.image != image_id:
        raise Misuse(
            f"--observed: {found.name} is of another image ({found.image[:19]}, and this is {image_id[:19]}): "
            "give `./inv verify` again"
        )
    return found


def _read(name: str) -> audit.Observation:
    try:
        content = read_file(Path(name).expanduser(), audit.MAX_OBSERVATION_BYTES, pipes=True)
    except Unreadable as error:
        raise Misuse(f"--observed: cannot read {name}: {error}") from error
    return audit.read_observation(content, name)
