"""Bootstraps the Debian base with mmdebstrap: the same packages give the same bytes."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
from docker.errors import APIError, ImageNotFound

from images import apt, architecture
from images.architecture import Architecture
from images.base.sources import SUITE, Source, configured
from images.engine import daemon
from images.errors import AptFailed, BaseFailed

REPOSITORY = "under48/base"
DIGEST_LABEL = "org.under48.base.digest"
# Files newer than this get this time. It is the day of bookworm's first release, and not that of the newest
# Release file: those are signed anew several times a day, and the same packages are to give the same bytes.
SOURCE_DATE_EPOCH = 1686355200  # 2023-06-10
DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
_HERE = Path(__file__).parent
_STOP_SECONDS = 30  # mmdebstrap unmounts and removes its chroot
_TAIL_LINES = 15

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootstrapped:
    """The image that was made, and the digest ("sha256:…") of the archive it was made from."""

    image_id: str
    reference: str
    digest: str


def bootstrap(engine: docker.DockerClient, arch: Architecture, work: Path, report: Report) -> Bootstrapped:
    """Make the base for `arch` in the folder `work`; import it unless the same bytes were imported before.

    Raises:
        BaseFailed: mmdebstrap is missing and cannot be installed, failed, or `arch` is not this machine's.
    """
    if arch != architecture.host():
        raise BaseFailed(
            f"a base for {arch.name} cannot be bootstrapped on {architecture.host().name}, "
            "since its own programs would have to run; give one with --base"
        )
    if not apt.find("mmdebstrap"):
        report("installing mmdebstrap with apt-get")
        try:
            apt.install(["mmdebstrap", "debian-archive-keyring"])
        except AptFailed as error:
            raise BaseFailed(
                f"the base is bootstrapped with mmdebstrap, which is missing here: {error}"
            ) from error
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="base-") as folder:
        archive = Path(folder) / "base.tar"
        make(arch, configured(), archive, report)
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        tag = f"{SUITE}-{arch.name}-{digest[:12]}"
        reference = f"{REPOSITORY}:{tag}"
        try:  # importing the same bytes again would give another id, and so lose the engine's build cache
            image_id = str(engine.images.get(reference).id)
        except ImageNotFound:
            report(f"importing {archive.stat().st_size:,} bytes as {reference}")
            image_id = _import(engine, archive, digest, tag)
    return Bootstrapped(image_id=image_id, reference=reference, digest=f"sha256:{digest}")


def stored(engine: docker.DockerClient, arch: Architecture) -> Bootstrapped | None:
    """The newest base for `arch` that was bootstrapped into this engine before, from whatever checkout."""
    images = [
        image
        for image in engine.images.list(filters={"label": DIGEST_LABEL})
        if image.attrs["Architecture"] == arch.name
    ]
    for image in sorted(images, key=lambda image: str(image.attrs["Created"]), reverse=True):
        for name in image.tags:
            if f"{REPOSITORY}:" in name:
                reference = f"{REPOSITORY}:{name.rpartition(':')[2]}"
                return Bootstrapped(
                    image_id=str(image.id), reference=reference, digest=image.labels[DIGEST_LABEL]
                )
    return None


def _import(engine: docker.DockerClient, archive: Path, digest: str, tag: str) -> str:
    """The id of the image that the engine makes of `archive`."""
    changes = ['CMD ["bash"]', f"LABEL {DIGEST_LABEL}=sha256:{digest}"]
    try:
        log = engine.api.import_image(src=str(archive), repository=REPOSITORY, tag=tag, changes=changes)
        image_id = str(json.loads(log.strip().splitlines()[-1])["status"])
        engine.api.tag(
            image_id, REPOSITORY, tag
        )  # Podman 4 names what it imports `latest`, whatever it is told
    except (APIError, LookupError, ValueError) as error:
        why = getattr(error, "explanation", None) or error
        raise BaseFailed(f"the engine could not import the base: {why}") from error
    return str(engine.images.get(f"{REPOSITORY}:{tag}").id)


def make(arch: Architecture, sources: Sequence[Source], archive: Path, report: Report) -> None:
    """Write the base as a tar archive, from `sources` (from mmdebstrap's own default when there are none).

    Raises:
        BaseFailed: with the end of what mmdebstrap said.
    """
    said: list[str] = []
    with archive.open("wb") as out, _running(command(arch, sources), out) as process:
        for line in process.stderr or ():
            said.append(line.rstrip())
            if line.startswith("I: "):
                report(line.removeprefix("I: ").strip())
    if process.returncode:
        tail = "\n    ".join(said[-_TAIL_LINES:])
        raise BaseFailed(
            f"mmdebstrap ended with status {process.returncode}; {_advice(tail)}, or name an image to build on as "
            f"`base` in invoke.yaml:\n    {tail}"
        )


def command(arch: Architecture, sources: Sequence[Source]) -> list[str]:
    """The command that writes the base to its standard output. As root it needs no user namespaces."""
    include = ["usr-is-merged"]  # instead of usrmerge, which brings the whole of perl: 50 MB
    if any(source.uri.startswith("https:") for source in sources):
        include.append("ca-certificates")
    lines = [source.line for source in sources]
    trusted = {source.signed_by for source in sources} - {"", DEBIAN_KEYRING}
    return [
        *(apt.privilege() or ()),
        "env",
        f"SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}",
        "LC_ALL=C.UTF-8",
        "mmdebstrap",
        "--variant=minbase",
        f"--architectures={arch.debian}",
        "--format=tar",
        f"--aptopt={_HERE / 'apt.conf'}",
        f"--dpkgopt={_HERE / 'dpkg.cfg'}",
        f"--hook-dir={_MERGED_USR}",
        f"--include={','.join(include)}",
        *(f"--customize-hook=upload {keyring} {keyring}" for keyring in sorted(trusted)),
        SUITE,
        "-",
        *lines,
    ]


def _advice(said: str) -> str:
    if "chroot mode" in said:  # without root it maps the ids of /etc/subuid, with newuidmap
        return "install Debian's package uidmap (`sudo apt-get install uidmap`), run this once as root"
    return "fix what it says"


@contextmanager
def _running(argv: Sequence[str], out: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    """Run to the end; when interrupted, mmdebstrap is let remove its chroot, which a kill would leave."""
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    try:
        yield process
        process.wait()
    except BaseException:
        _stop(process)
        raise
    finally:
        if process.stderr:
            process.stderr.close()


def _stop(process: subprocess.Popen[str]) -> None:
    """Never raises, or that would hide why it is stopped."""
    try:
        process.terminate()
    except PermissionError:  # with sudo it is root's
        daemon.terminate(process.pid)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
