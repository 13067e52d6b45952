"""Every ELF file of a whole Debian: libraries and symbols as the system's own loader finds them."""

import io
import os
import re
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from audit.binding import bind
from audit.elf import Elf
from audit.graph import Linker
from audit.loader import How
from audit.readers.tars import read_tar
from audit.tree import Tree
from images import architecture, engine
from images.base import ensure_base
from images.container import LABEL

pytestmark = pytest.mark.engine

# `ldd -r` for each file of a list (ldd(1) itself is a script around these variables).
TRACE = """
while read -r file; do
  echo "=== $file"
  LD_TRACE_LOADED_OBJECTS=1 LD_WARN=yes LD_BIND_NOW=yes {loader} "$file" 2>&1
done < /tmp/list
"""
# Per file: (name, version, the file that takes it), and (name, library).
Undefined = dict[str, set[tuple[str, str, str]]]
Libraries = dict[str, set[tuple[str, str | None]]]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = engine.connect()
    yield client
    client.close()


@pytest.fixture(scope="module")
def tree(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    record = tmp_path_factory.mktemp("base") / "base.json"
    base = ensure_base(client, architecture.host(), image=None, update=False, record=record)
    container = client.api.create_container(base.image_id, command=["-"], labels={LABEL: str(os.getpid())})[
        "Id"
    ]
    try:
        with tempfile.TemporaryFile() as file:
            for chunk in client.api.export(container):
                file.write(chunk)
            file.seek(0)
            yield read_tar(file, base.image_id)
    finally:
        client.api.remove_container(container, force=True, v=True)


def traced(client: docker.DockerClient, image: str, paths: list[str]) -> str:
    """Give what the image's own loader says of each of its files."""
    script = TRACE.format(loader=architecture.host().loader)
    container = client.api.create_container(
        image, command=["sh", "-c", script], labels={LABEL: str(os.getpid())}
    )["Id"]
    try:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            content = "".join(f"{path}\n" for path in paths).encode()
            member = tarfile.TarInfo("list")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        client.api.put_archive(container, "/tmp", archive.getvalue())
        client.api.start(container)
        assert client.api.wait(container, timeout=300)["StatusCode"] == 0
        return client.api.logs(container, stderr=False).decode()
    finally:
        client.api.remove_container(container, force=True, v=True)


def understood(text: str, tree: Tree) -> tuple[Undefined, Libraries]:
    undefined: Undefined = defaultdict(set)
    libraries: Libraries = defaultdict(set)
    current = ""
    for line in text.splitlines():
        if line.startswith("=== "):
            current = line[4:]
        elif found := re.match(r"undefined symbol: (\S+?)(?:, version (\S+))?\s+\((.*)\)$", line):
            undefined[current].add((found[1], found[2] or "", real(tree, found[3])))
        elif found := re.match(r"\t(\S+) => (\S+)(?: \(0x|$)", line):
            libraries[current].add((Path(found[1]).name, None if found[2] == "not" else real(tree, found[2])))
    return undefined, libraries


def real(tree: Tree, path: str) -> str:
    return tree.resolve("/" + path.lstrip("/")) or path


def test_the_libraries_and_the_undefined_symbols_are_those_of_the_real_loader(
    client: docker.DockerClient, tree: Tree
) -> None:
    linker = Linker(tree)
    paths = [
        path
        for path, entry in tree.entries.items()
        if entry.kind == "file" and isinstance(elf := linker.elf(path), Elf) and elf.dynamic
    ]
    assert len(paths) > 500
    said, resolved = understood(traced(client, tree.name, paths), tree)
    loads = [linker.load(path) for path in paths]
    bindings = bind(linker, loads)
    assert not bindings.unread
    undefined: Undefined = defaultdict(set)
    for one in bindings.unbound:
        undefined[one.root] |= {
            (each.name.decode(), (each.version or b"").decode(), one.path) for each in one.references
        }
    assert undefined == said
    assert sum(map(len, said.values())) > 100  # plugins that take symbols from their host
    interpreter = tree.resolve(architecture.host().loader)
    for load in loads:
        edges = [edge for edges in load.edges.values() for edge in edges if edge.how is not How.INTERP]
        found = {(Path(edge.needed).name, edge.path) for edge in edges if edge.path != interpreter}
        assert found == {one for one in resolved[load.root] if one[1] != interpreter}, load.root
