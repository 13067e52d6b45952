"""Runs a fuzzer in a container of its image: inputs go in as an archive, what it kept and found comes out as one."""

import io
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from errors import Under48Error
from tests.fuzz_native.build import HERE

# An input that takes longer than 10 s, or more than 512 MB with what the sanitizers add, is a finding, too.
LIMITS = ("-timeout=10", "-rss_limit_mb=512")
OPTIONS = {
    "jpeg": ("-max_len=16384", "-dict=/work/jpeg.dict"),
    "framing": ("-max_len=32",),
    "model": ("-max_len=8192",),
}
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class FuzzerFailed(Under48Error):
    """The fuzzer ended without having fuzzed."""

    exit_code = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of a run; files by name."""

    executions: int
    corpus: Mapping[str, bytes]
    found: Mapping[str, bytes]


def seeds(target: str) -> list[Path]:
    """The files that a target starts from: those made for it, and what was found before."""
    return sorted(path for kind in ("corpus", "found") for path in (HERE / kind / target).glob("*"))


def fuzzed(
    engine: docker.DockerClient, image: str, target: str, inputs: Iterable[Path], *, seconds: int
) -> Result:
    """Fuzz `target` for so long, or until something is found; the fuzzer's output goes to stderr as it comes.

    Raises:
        FuzzerFailed: it ended otherwise.
    """
    command = [
        "nice",
        f"/fuzz/{target}",
        *LIMITS,
        *OPTIONS[target],
        f"-max_total_time={seconds}",
        "-print_final_stats=1",
        "-artifact_prefix=/work/found/",
        "/work/corpus",
    ]
    said = ""
    with _container(engine, image, command, inputs) as container:
        for line in container.logs(stream=True, follow=True):
            text = line.decode("utf-8", "replace")
            sys.stderr.write(text)
            said += text if "stat::" in text else ""
        status = container.wait()["StatusCode"]
        result = Result(
            executions=int(found[1]) if (found := re.search(r"executed_units:\s*(\d+)", said)) else 0,
            corpus=_files(container, "/work/corpus"),
            found=_files(container, "/work/found"),
        )
    if status and not result.found:
        raise FuzzerFailed(f"the fuzzer of {target} ended with {status}: what it says is above")
    return result


def replayed(engine: docker.DockerClient, image: str, target: str, files: Iterable[Path]) -> str:
    """Run `target` once on each file; what the fuzzer says when it fails on one, else nothing."""
    files = list(files)
    names = [f"/work/corpus/{_name(file)}" for file in files]
    with _container(engine, image, [f"/fuzz/{target}", *LIMITS, *names], files) as container:
        failed = container.wait()["StatusCode"]
        said: bytes = container.logs()
    return said.decode("utf-8", "replace") if failed else ""


def _name(file: Path) -> str:
    """A name that no other input has, as equal names occur in several folders."""
    return f"{file.parent.parent.name}-{file.name}"


@contextmanager
def _container(
    engine: docker.DockerClient, image: str, command: list[str], inputs: Iterable[Path]
) -> Iterator[Container]:
    container = engine.containers.create(
        image,
        command,
        environment=ENVIRONMENT,
        network_mode="none",
        cap_add=["SYS_PTRACE"],  # by which the leak sanitizer stops the threads that it looks at
        working_dir="/work",
    )
    try:
        container.put_archive("/", _archive(inputs))
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def _archive(inputs: Iterable[Path]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder in ("work", "work/corpus", "work/found"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(HERE / "jpeg.dict", "work/jpeg.dict")
        for path in inputs:
            archive.add(path, f"work/corpus/{_name(path)}")
    return out.getvalue()


def _files(container: Container, folder: str) -> dict[str, bytes]:
    chunks, _ = container.get_archive(folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        members = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
        return {Path(name).name: file.read() for name, file in members if file}
