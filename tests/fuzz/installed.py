"""What package managers, builds and users leave in a tree, as an attacker would, each with what must come of it."""

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tests.fuzz.confined import Case
from tests.fuzz.targets import EXTENSION, METADATA, PROGRAM, WHEEL, feed, tarred, zipped
from tests.hostile import FIXTURES, library, looping_hash

MIB = 1 << 20
INFO = "a-1.dist-info"
LIBRARY = (FIXTURES / "trees/rpath-inherited/priv/liba.so").read_bytes()


def _wheel(record: bytes = b"", metadata: bytes = METADATA, wheel: bytes = WHEEL) -> bytes:
    texts = {f"{INFO}/METADATA": metadata, f"{INFO}/WHEEL": wheel, f"{INFO}/RECORD": record}
    return zipped({"a/b.cpython-311-x86_64-linux-gnu.so": EXTENSION, **texts})


def _dpkg(status: bytes, **lists: bytes) -> bytes:
    files = {f"var/lib/dpkg/info/{name}.list": listed for name, listed in lists.items()}
    return tarred({"var/lib/dpkg/status": status, "usr/bin/a": PROGRAM, **files})


def _linked(link: str, target: str, count: int, size: int) -> bytes:
    """Give a tree in which `count` names (with the number for `{}`) are symlinks to one file of `size` bytes."""
    members = [(link.format(n), target) for n in range(count)]
    data = b""
    for name, to in members:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, to
        data += info.tobuf(tarfile.GNU_FORMAT)
    names = b"".join(b"Package: p%d\n\n" % n for n in range(count))
    return data + tarred({target.lstrip("/"): b"/usr/bin/a\n" * (size // 11), "var/lib/dpkg/status": names})


def _loader(cache: bytes, conf: bytes = b"/opt\n", **more: bytes) -> bytes:
    files = {"etc/ld.so.cache": cache, "etc/ld.so.conf": conf, "app/prog": PROGRAM, "opt/liba.so": LIBRARY}
    return tarred({**files, **{f"etc/{name}": content for name, content in more.items()}})


def _package_json(content: bytes) -> bytes:
    return tarred({"app/node_modules/@a/b/package.json": content, "app/node_modules/@a/b/c.node": EXTENSION})


def _folders(form: bytes, size: int = 900_000) -> bytes:
    """Give a path list of so many bytes, each folder another."""
    return b":".join(form % number for number in range(size // 7))[:size]


def _libraries(count: int) -> bytes:
    return zipped({f"lib{number}.so": EXTENSION + bytes([number & 255]) for number in range(count)})


# By the suffix of the file, since a wheel is told by it; what is expected is a rule, an error, or anything in words.
TARGETS: Mapping[str, tuple[Callable[[], bytes], str]] = MappingProxyType(
    {
        "wheel-record-of-lies.whl": (
            lambda: _wheel(
                b"a/b.cpython-311-x86_64-linux-gnu.so,sha256=AAAA,1\nghost.py,,\n../../up,sha256=x,9\n"
            ),
            "record-mismatch",
        ),
        "wheel-record-of-odd-bytes.whl": (
            lambda: _wheel(b'"\0\xff,\n,,,\n"a"b,md5=1,-7\n' * 99),
            "record-mismatch",
        ),
        "wheel-record-with-a-long-field.whl": (lambda: _wheel(b"n" * (8 * MIB)), ""),
        "wheel-record-of-a-million-rows.whl": (
            lambda: _wheel(b"".join(b"%x,sha256=%x,%d\n" % (n, n, n) for n in range(500_000))),
            "record-mismatch",
        ),
        "wheel-tags-by-the-product.whl": (
            lambda: _wheel(
                wheel=b"Tag: " + b"-".join([b".".join(b"t%d" % n for n in range(500))] * 3) + b"\n"
            ),
            "",
        ),
        "wheel-tag-of-dashes.whl": (lambda: _wheel(wheel=b"Tag: -\nTag: ---\nTag:\nTag\n" * 5000), ""),
        "wheel-deep-marker.whl": (
            lambda: _wheel(
                metadata=b"Requires-Dist: numpy; " + b"(" * 300 + b"os_name=='x'" + b")" * 300 + b"\n"
            ),
            "",
        ),
        "wheel-many-requirements.whl": (
            lambda: _wheel(metadata=b"".join(b"Requires-Dist: numpy!=%d.0\n" % n for n in range(30_000))),
            "",
        ),
        "wheel-huge-version.whl": (
            lambda: _wheel(
                metadata=b"Requires-Python: >=3."
                + b"9" * 90
                + b"\nRequires-Dist: numpy<"
                + b"8" * 350
                + b"\n"
            ),
            "",
        ),
        "wheel-metadata-of-nothing.whl": (lambda: _wheel(metadata=b"\0" * MIB, wheel=b"\xff" * MIB), ""),
        "dpkg-million-packages.tar": (
            lambda: _dpkg(b"".join(b"Package: p%d\n\n" % number for number in range(800_000))),
            "",
        ),
        "dpkg-odd-names.tar": (
            lambda: _dpkg(
                b"Package: ../../etc\n\nPackage: \0\n\nPackage: \xff\nVersion: \x1b[31m\n\nPackage:\n: \n\n"
            ),
            "",
        ),
        "dpkg-lists-lead-out.tar": (
            lambda: _dpkg(
                b"Package: a\nVersion: 1\n\n",
                a=b"/../../x\n//\n/\0\n" + b"/" * 5000 + b"\n" + b"/x/..\n" * 9999,
            ),
            "",
        ),
        "dpkg-lists-are-one-file.tar": (
            lambda: _linked("var/lib/dpkg/info/p{}.list", "/big", 3000, 2 * MIB),
            "",
        ),
        "records-are-one-file.tar": (
            lambda: _linked("usr/lib/python3/p{}-1.dist-info/RECORD", "/big", 500, 2 * MIB),
            "",
        ),
        "npm-deep-json.tar": (lambda: _package_json(b"[" * 500_000), ""),
        "npm-odd-version.tar": (lambda: _package_json(b'{"version": ["\\ud800"]}'), ""),
        "loader-conf-includes-itself.tar": (
            lambda: _loader(
                b"", b"include /etc/ld.so.conf\ninclude *\n" * 5000, **{"ld.so.conf.d": b"include *"}
            ),
            "unresolved-needed",
        ),
        "loader-conf-of-globs.tar": (
            lambda: _loader(b"", b"include " + b"*?[a-z]" * 20_000),
            "unresolved-needed",
        ),
        "loader-cache-of-zeros.tar": (lambda: _loader(bytes(20 * MIB)), "unresolved-needed"),
        "loader-cache-that-overlaps.tar": (
            lambda: _loader(
                b"glibc-ld.so.cache1.1" + b"\xff\xff\x09\0" + b"\x30\0\0\0" * 400_000 + b"n" * MIB
            ),
            "unresolved-needed",
        ),
        "elf-path-list-that-is-relative.so": (lambda: library(3, _folders(b"%x")), "unsafe-rpath"),
        "elf-path-list-too-long.so": (lambda: library(1, b"a" * 2 * MIB), "malformed-elf"),
        "elf-hash-without-end.so": (lambda: looping_hash(EXTENSION), ""),
        "elf-many-libraries.zip": (lambda: _libraries(1000), ""),
        "elf-names-steer-terminals.zip": (
            lambda: zipped({"\x1b]0;x\x07\u202e<script>|`.so": EXTENSION}),
            "no-canary",
        ),
        "debug-companion-of-nothing.so": (lambda: EXTENSION[:64] + bytes(64), ""),
    }
)

# Not audited, but read on the way: each must be refused in words.
TEXTS: Mapping[str, tuple[str, Callable[[], bytes]]] = MappingProxyType(
    {
        "config-deep": ("config", lambda: b"a = " + b"[" * 100_000),
        "config-deep-tables": ("config", lambda: b"[" + b"a." * 50_000 + b"b]"),
        "config-huge-number": ("config", lambda: b"parameters = " + b"9" * 100_000),
        "config-huge-amount": ("config", lambda: _budget("9" * 400 + " GB")),
        "config-infinite-share": ("config", lambda: _budget("1" + "0" * 400 + " %", of="openwhisk.zip")),
        "config-glob-without-sense": ("config", lambda: _budget("1 MB", files="[z-a]")),
        "config-glob-of-stars": ("config", lambda: _budget("1 MB", files="*a" * 3000)),
        "config-not-utf-8": ("config", lambda: b"\xff\xfe"),
        "config-nan": ("config", lambda: b"[rule.isa-level]\nlevel = nan\n"),
        "config-huge-level": ("config", lambda: b"[rule.isa-level]\nlevel = 1e308\n"),
        "config-odd-dates": (
            "config",
            lambda: b'[[waiver]]\nrule="no-canary"\nreason="x"\nuntil=0001-01-01\n',
        ),
        "config-many-budgets": ("config", lambda: b"\n".join([_budget("1 B")] * 5000)),
        "baseline-deep": ("baseline", lambda: b"[" * 200_000),
        "baseline-of-numbers": ("baseline", lambda: b"[1]"),
        "baseline-empty": ("baseline", lambda: b'[{"schema": 1}]'),
        "baseline-huge-number": ("baseline", lambda: b'[{"schema": ' + b"1" * 10_000 + b"}]"),
        "baseline-surrogates": (
            "baseline",
            lambda: b'[{"schema": 1, "files": [{"path": "\\ud800", "bytes": "x"}]}]',
        ),
        "baseline-not-a-number": ("baseline", lambda: b'[{"schema": NaN}]'),
    }
)


def _budget(amount: str, **more: str) -> bytes:
    row = {"at_most": amount, "reason": "x", **(more or {"files": "**"})}
    if "of" in row:
        row["files"] = "**"
    return b"[[budget]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in row.items()).encode()


EXPECTED: Mapping[str, str] = MappingProxyType(
    {**{name: words for name, (_, words) in TARGETS.items()}, **dict.fromkeys(TEXTS, "")}
)


def cases() -> Iterator[Case]:
    """Give all of them."""
    for name, (make, _) in TARGETS.items():

        def write(folder: Path, make: Callable[[], bytes] = make, name: str = name) -> Path:
            named = "a-1-cp311-cp311-manylinux_2_17_x86_64.whl" if name.endswith(".whl") else name
            path = folder / named
            path.write_bytes(make())
            return path

        yield Case(name, write)
    for name, (target, content) in TEXTS.items():

        def give(_: Path, target: str = target, content: Callable[[], bytes] = content) -> None:
            feed(target, content())

        yield Case(name, give)
