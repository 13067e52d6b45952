"""What the fuzzer feeds: for each parser of the auditor, a function of bytes, and real inputs to start from.

Each function may refuse its input with an error in words (`Under48Error`); any other exception is a fault.
"""

import datetime as dt
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType

import audit
from audit.baseline import read_baseline
from audit.config import parse_config
from audit.readers.builder import TreeBuilder
from audit.readers.image import read_image
from audit.readers.tars import read_tar
from audit.readers.zips import read_zip
from audit.tree import Entry, Tree
from errors import Under48Error
from tests.hostile import FIXTURES, elf_files
from tests.packed import PACK

EXTENSION = (FIXTURES / "protection/files/full.so").read_bytes()
PROGRAM = (FIXTURES / "trees/rpath-inherited/app/prog").read_bytes()
METADATA = b"""Metadata-Version: 2.1
Name: a
Version: 1
Requires-Python: >=3.9,<4
Requires-Dist: numpy>=1.26,<2; python_version < "3.13" and extra != "x"
"""
WHEEL = b"""Wheel-Version: 1.0
Root-Is-Purelib: false
Tag: cp311-cp311-manylinux_2_17_x86_64
Tag: cp311-cp311-manylinux2014_x86_64
"""
RECORD = b"""a/b.cpython-311-x86_64-linux-gnu.so,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,1234
"a/odd "" name.py",,
a-1.dist-info/RECORD,,
../../../bin/a,,
"""
STATUS = b"""Package: a
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 1:2.3-4
Description: words
 more words: and more

Package: b
Version: 1
"""
CONFIG = b"""platforms = ["openwhisk"]
parameters = "700 kB"
[rule.isa-level]
severity = "warning"
level = 3
[[budget]]
whole = true
at_most = "80 %"
of = "openwhisk.zip"
counts = "packed"
reason = "room to grow"
[[budget]]
files = "lib/**/*.so"
at_most = "20 MiB"
reason = "x"
[[waiver]]
rule = "no-canary"
subject = "/app/*"
reason = "x"
until = 2027-03-31
"""
# Between the files that one input stands for; no real one holds it.
BORDER = b"\n%%%\n"


def tree_of(files: Mapping[str, bytes], name: str = "x") -> Tree:
    """Give a tree of these files."""
    builder = TreeBuilder(name)
    for path, content in files.items():
        opener = _opener(content)
        builder.put(path, Entry(kind="file", mode=0o755, size=len(content), opener=opener))
    return builder.build("folder")


def _opener(content: bytes) -> Callable[[], io.BytesIO]:
    return lambda: io.BytesIO(content)


def _judged(tree: Tree) -> None:
    judged = audit.judge(audit.analyse(tree))
    json.dumps(audit.as_json(*judged)).encode()
    audit.as_tables(*judged).encode()


def elf(content: bytes) -> None:
    """Audit one ELF file."""
    _judged(tree_of({"/app/lib.so": content}))


def zip_(content: bytes) -> None:
    """Audit a zip."""
    _judged(read_zip(io.BytesIO(content), "x.zip"))


def tar(content: bytes) -> None:
    """Audit a tar whose checksums fit."""
    _judged(read_tar(io.BytesIO(with_checksums(content)), "x.tar"))


def packed(content: bytes) -> None:
    """Audit a tar that is packed."""
    _judged(read_tar(io.BytesIO(content), "x.tar"))


def image(content: bytes) -> None:
    """Audit a saved image whose checksums fit."""
    _judged(read_image(io.BytesIO(with_checksums(content)), "x.tar"))


def wheel(content: bytes) -> None:
    """Audit a tree in which a distribution is installed, by its METADATA, WHEEL and RECORD."""
    texts = dict(zip(("METADATA", "WHEEL", "RECORD"), content.split(BORDER), strict=False))
    folder = "/usr/lib/python3.11/site-packages"
    files = {f"{folder}/a-1.dist-info/{name}": text for name, text in texts.items()}
    _judged(tree_of({**files, f"{folder}/a/b.cpython-311-x86_64-linux-gnu.so": EXTENSION}))


def dpkg(content: bytes) -> None:
    """Audit a tree with a status file and a list of dpkg."""
    status, _, listed = content.partition(BORDER)
    files = {"/var/lib/dpkg/status": status, "/var/lib/dpkg/info/a.list": listed, "/usr/bin/a": PROGRAM}
    _judged(tree_of(files))


def loader(content: bytes) -> None:
    """Audit a program in a tree with this ld.so.cache."""
    library = (FIXTURES / "trees/rpath-inherited/priv/liba.so").read_bytes()
    files = {"/etc/ld.so.cache": content, "/opt/one/liba.so": library}
    _judged(tree_of({**files, "/app/prog": PROGRAM}))


def config(content: bytes) -> None:
    """Read an audit.toml, and judge by it."""
    settings = parse_config(
        content.decode("utf-8", "replace"), "audit.toml", audit.THRESHOLDS, dt.date(2026, 1, 1)
    )
    audit.judge(audit.analyse(tree_of({"/app/prog": PROGRAM}), config=settings))


def baseline(content: bytes) -> None:
    """Compare with an earlier report."""
    now = audit.as_json(*audit.judge(audit.analyse(tree_of({"/app/prog": PROGRAM}))))
    before = read_baseline(content.decode("utf-8", "replace"), "last.json")
    for changes in before.changes([now]):
        json.dumps(audit.changes_as_json(changes)).encode()


TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {
        "elf": elf,
        "zip": zip_,
        "tar": tar,
        "packed": packed,
        "image": image,
        "wheel": wheel,
        "dpkg": dpkg,
        "loader": loader,
        "config": config,
        "baseline": baseline,
    }
)


def feed(target: str, content: bytes) -> None:
    """Give an input to a target; a refusal in words is no fault."""
    with suppress(Under48Error):
        TARGETS[target](content)


def with_checksums(content: bytes) -> bytes:
    """Mend the checksum of every block that may be a tar's header, as an attacker would."""
    data = bytearray(content)
    for start in range(0, len(data) - 511, 512):
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    return bytes(data)


def seeds(target: str) -> Iterable[bytes]:
    """Give real inputs of a target."""
    return _SEEDS[target]()


def _reports() -> list[bytes]:
    report = audit.as_json(*audit.judge(audit.analyse(tree_of({"/app/prog": PROGRAM}))))
    return [json.dumps([report]).encode()]


_SEEDS: Mapping[str, Callable[[], Iterable[bytes]]] = MappingProxyType(
    {
        "elf": lambda: [path.read_bytes() for path in elf_files()[::4]],
        "zip": lambda: [
            zipped({"a/b.so": EXTENSION, "__main__.py": b"print()"}),
            zipped({"a.so": EXTENSION}, zipfile.ZIP_STORED),
        ],
        "tar": lambda: [
            tarred({"usr/lib/a.so": EXTENSION, "long/" * 40 + "x": b"x"}),
            tarred({"usr/lib/a.so": EXTENSION}, tarfile.GNU_FORMAT),
        ],
        "packed": lambda: [pack(tarred({"usr/lib/a.so": EXTENSION})) for pack in PACK.values()],
        "image": lambda: [saved_image([{"app/prog": PROGRAM, "a": b"1"}, {".wh.a": b"", "b": b"2"}])],
        "wheel": lambda: [BORDER.join((METADATA, WHEEL, RECORD))],
        "dpkg": lambda: [STATUS + BORDER + b"/.\n/usr/bin/a\n"],
        "loader": lambda: [path.read_bytes() for path in sorted(FIXTURES.glob("trees/*/etc/ld.so.cache"))],
        "config": lambda: [CONFIG],
        "baseline": _reports,
    }
)


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Give a zip of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for path, content in files.items():
            member = zipfile.ZipInfo()
            member.filename, member.compress_type = path, method  # what zipfile itself would cut at a NUL
            archive.writestr(member, content)
    return file.getvalue()


def tarred(files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Give a tar of these files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def saved_image(layers: list[Mapping[str, bytes]], configuration: object = None) -> bytes:
    """Give a docker-archive of these layers."""
    inner = {"Env": ["PATH=/app", "LD_LIBRARY_PATH=/app"], "Entrypoint": ["prog"], "Labels": {"a": "b"}}
    document = configuration or {
        "architecture": "amd64",
        "config": inner,
        "history": [{"created_by": "RUN x"}],
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["x:1"], "Layers": names}]
    files = {name: tarred(layer) for name, layer in zip(names, layers, strict=True)}
    files |= {"manifest.json": json.dumps(manifest).encode(), "config.json": json.dumps(document).encode()}
    return tarred(files)
