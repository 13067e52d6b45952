"""Archives and images as an attacker would make them, each with what must come of it."""

import gzip
import io
import json
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from tests.fuzz.confined import Case
from tests.fuzz.targets import EXTENSION, PROGRAM, saved_image, tarred, with_checksums, zipped
from tests.packed import PACK, SKIPPABLE, with_window

MIB = 1 << 20
ZEROS = bytes(MIB)
ODD_NAMES = (
    "..",
    ".",
    "a//b",
    "x/",
    "\x1b[31m",
    "\u202e",
    "a\nb",
    "con:",
    " ",
    "\x7f",
    "-rf",
    "$(x)",
    "<b>",
    "a" * 300,
)
Make = Callable[[], bytes]


def _deflated(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return b"".join(packer.compress(ZEROS) for _ in range(megabytes)) + packer.flush()


def _directory_entry(name: bytes, packed: int, size: int, offset: int, method: int = 8) -> bytes:
    """Give an entry of a zip's central directory (APPNOTE.TXT 4.3.12)."""
    sizes = struct.pack("<3I5H2I", 0, packed, size, len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H", b"PK\x01\x02", 20, 20, 0, method, 0, 0) + sizes + name


def _local_header(name: bytes, packed: int, size: int, method: int = 8) -> bytes:
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, method, 0, 0, 0, packed, size, len(name), 0) + name


def _with_directory(content: bytes, directory: bytes, count: int) -> bytes:
    end = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), len(content), 0
    )
    return content + directory + end


def _overlapping() -> bytes:
    """Give 5,000 entries that share 1 MiB of zeros, as in Fifield's "A better zip bomb"."""
    packed = _deflated(1)
    content = _local_header(b"a", len(packed), MIB) + packed
    entries = b"".join(_directory_entry(b"f%d" % number, len(packed), MIB, 0) for number in range(200))
    return _with_directory(content, entries, 200)


def _nested() -> bytes:
    """Give a zip of 16 zips of 16 zips of zeros, as 42.zip is."""
    content = zipped({"0": ZEROS * 4})
    for _ in range(2):
        content = zipped({f"{number}.zip": content for number in range(16)})
    return content


def _many_entries(count: int) -> bytes:
    content = _local_header(b"a", 0, 0)
    return _with_directory(
        content, b"".join(_directory_entry(b"%07d" % n, 0, 0, 30 * n) for n in range(count)), count
    )


def _claiming(size: int) -> bytes:
    packed = _deflated(1)
    content = _local_header(b"a", len(packed), size) + packed
    return _with_directory(content, _directory_entry(b"a", len(packed), size, 0), 1)


def _with_entry(name: str, content: bytes = b"", mode: int = 0o100644) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, content)
    return file.getvalue()


def _links(*pairs: tuple[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, target in pairs:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return file.getvalue()


def _flagged(content: bytes, flags: int, method: int | None = None) -> bytes:
    """Set the flags, or the method, in both headers of a zip's only entry."""
    data = bytearray(content)
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(magic) + at
        data[place : place + 2] = struct.pack("<H", flags)
        if method is not None:
            data[place + 2 : place + 4] = struct.pack("<H", method)
    return bytes(data)


def _twice() -> bytes:
    content = _local_header(b"a.so", 1, 1, 0) + b"1" + _local_header(b"a.so", 1, 1, 0) + b"2"
    entries = _directory_entry(b"a.so", 1, 1, 0, 0) + _directory_entry(b"a.so", 1, 1, 35, 0)
    return _with_directory(content, entries, 2)


ZIPS: Mapping[str, tuple[Make, str]] = MappingProxyType(
    {
        "zip-of-zips-of-zeros": (_nested, ""),
        "zip-high-ratio": (lambda: zipped({str(n): ZEROS * 64 for n in range(5)}), "TooLargeError"),
        "zip-overlapping-entries": (_overlapping, "TooLargeError"),
        "zip-million-entries": (lambda: _many_entries(1_000_000), "TooLargeError"),
        "zip-claims-4-gib": (lambda: _claiming(0xFFFFFFF0), "TooLargeError"),
        "zip-claims-too-little": (lambda: _claiming(1000), ""),
        "zip-deep-path": (lambda: zipped({"a/" * 2000 + "b": b""}), ""),
        "zip-deep-paths": (
            lambda: zipped({f"{n}/" + "a/" * 2000 + "b": b"" for n in range(40)}),
            "TooLargeError",
        ),
        "zip-long-name": (lambda: zipped({"n" * 65_000: b""}), "unsafe-name"),
        "zip-dot-dot": (lambda: zipped({"../up": b"", "a/../../up": b""}), "unsafe-name"),
        "zip-absolute": (lambda: zipped({"/etc/passwd": b""}), "unsafe-name"),
        "zip-backslash": (lambda: zipped({"a\\..\\..\\b.so": EXTENSION}), "no-canary"),
        "zip-nul": (lambda: zipped({"a0b": b""}).replace(b"a0b", b"a\0b"), "unsafe-name"),
        "zip-odd-names": (lambda: zipped(dict.fromkeys(ODD_NAMES, b"")), "unsafe-name"),
        "zip-duplicate-names": (_twice, "duplicate-name"),
        "zip-file-and-folder": (lambda: zipped({"a": b"", "a/b": b"", "a/b/c": b""}), ""),
        "zip-encrypted": (lambda: _flagged(_with_entry("a.so", EXTENSION), 1), "unreadable-entry"),
        "zip-unknown-method": (lambda: _flagged(_with_entry("a.so", EXTENSION), 0, 99), "unreadable-entry"),
        "zip-lzma-dictionary": (
            lambda: _flagged(_stored("a.so", b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff" + bytes(64)), 0, 14),
            "unreadable-entry",
        ),
        "zip-bzip2": (
            lambda: zipped({"a": ZEROS * 100}, zipfile.ZIP_BZIP2),
            "TooLargeError|unreadable-entry",
        ),
        "zip-link-loop": (lambda: _links(("a", "b"), ("b", "a"), ("c", "c")), "link"),
        "zip-link-leaves": (lambda: _links(("a", "../../etc/passwd"), ("b", "/etc/passwd")), "link"),
        "zip-link-long": (lambda: _links(("a", "./" * 50_000)), "link"),
        "zip-link-chains": (lambda: _links(*_chains(2000)), "link|TooLargeError"),
        "zip-device": (lambda: _with_entry("a", b"", stat.S_IFCHR | 0o666), ""),
        "zip-comment": (lambda: zipped({"a": b""})[:-2] + b"\xff\xff" + b"PK\x05\x06" * 16_000, ""),
        "zip-empty": (lambda: zipped({}), ""),
    }
)


def _stored(name: str, content: bytes) -> bytes:
    return zipped({name: content}, zipfile.ZIP_STORED)


def _chains(count: int) -> Iterator[tuple[str, str]]:
    """Give links of which each leads through forty others, over as many names as a path may have."""
    for number in range(count):
        following = f"l{number + 1}" if number % 39 else ""
        yield f"l{number}", "d/../" * 800 + following
    yield "d/x", "."


def _member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info.tobuf(tarfile.GNU_FORMAT)


def _claimed(size: bytes) -> bytes:
    """Give a tar whose only member claims a size: 12 bytes of its header."""
    data = bytearray(_member("a") + bytes(1024))
    data[124:136] = size
    return with_checksums(bytes(data).replace(b"ustar  \0", b"ustar\x0000"))


def _pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Give a pax header with these records."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = kind, len(records)
    return info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)


def _records(size: int) -> bytes:
    return b"".join(b"16 key%05d=val\n" % (number % 100_000) for number in range(size // 16))


def _sparse(size: int, count: int) -> bytes:
    """Give files of the old GNU sparse kind that claim `size` bytes and store none."""
    data = b""
    for number in range(count):
        header = bytearray(_member(f"s{number}", tarfile.GNUTYPE_SPARSE))
        header[386:398] = header[398:410] = b"%011o\0" % 0
        header[483:495] = b"\x80" + size.to_bytes(11, "big")
        data += bytes(header)
    return _sums(data) + bytes(1024)


def _sums(data: bytes) -> bytes:
    """Mend the checksums of all blocks, each of which is a header."""
    out = bytearray(data)
    for start in range(0, len(out), 512):
        out[start + 148 : start + 156] = b" " * 8
        out[start + 148 : start + 156] = b"%06o\0 " % sum(out[start : start + 512])
    return bytes(out)


def _tar_links() -> bytes:
    targets = ("../../../etc/passwd", "/etc/passwd", "self", "x" * 5000, "")
    data = b"".join(_member(f"s{n}", tarfile.SYMTYPE, link=target) for n, target in enumerate(targets))
    hard = (("h1", "h2"), ("h2", "h1"), ("h3", "h3"), ("h4", "../../etc/shadow"), ("h5", "s0"))
    data += b"".join(_member(name, tarfile.LNKTYPE, link=target) for name, target in hard)
    data += _member("self", tarfile.SYMTYPE, link="self")
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"V", b"M", b"D", b"N")
    return data + b"".join(_member(f"k{n}", kind) for n, kind in enumerate(kinds)) + bytes(1024)


def _many_members(count: int) -> bytes:
    one = _member("m")
    return gzip.compress(one * count + bytes(1024), 1)


def _long_names(size: int, count: int) -> bytes:
    name = _member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=size) + b"n" * size + bytes(-size % 512)
    return gzip.compress((name + _member("a")) * count + bytes(1024), 1)


def _bomb(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(ZEROS * 8) * 40


def _cut(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(tarred({"a.so": EXTENSION}))[:-20]


TARS: Mapping[str, tuple[Make, str]] = MappingProxyType(
    {
        "tar-claims-8-gib": (lambda: _claimed(b"77777777777\0"), "UnreadableTargetError"),
        "tar-claims-2-to-the-88": (lambda: _claimed(b"\x80" + b"\xff" * 11), "UnreadableTargetError"),
        "tar-negative": (lambda: _claimed(b"\xff" * 12), "UnreadableTargetError"),
        "tar-no-number": (lambda: _claimed(b"twelve bytes"), "UnreadableTargetError"),
        "tar-cut": (lambda: tarred({"a.so": EXTENSION})[:3000], "UnreadableTargetError"),
        **{f"tar-{name}-bomb": (partial(_bomb, pack), "TooLargeError") for name, pack in PACK.items()},
        **{f"tar-{name}-cut": (partial(_cut, pack), "UnreadableTargetError") for name, pack in PACK.items()},
        "tar-xz-window": (lambda: with_window(b"x", "xz", 30), "TooLargeError"),
        "tar-zstd-window": (lambda: with_window(b"x", "zstd", 30), "TooLargeError"),
        "tar-zstd-skipped": (lambda: SKIPPABLE * 50_000, "UnreadableTargetError"),
        "tar-pax-bomb": (
            lambda: gzip.compress((_pax(_records(MIB)) + _member("a")) * 100 + bytes(1024), 1),
            "UnreadableTargetError",
        ),
        "tar-pax-global-bomb": (
            lambda: gzip.compress(
                (_pax(_records(MIB // 2), tarfile.XGLTYPE) + _member("a")) * 9 + bytes(1024), 1
            ),
            "UnreadableTargetError",
        ),
        "tar-pax-lies": (
            lambda: _pax(b"99999999999999999999 path=x\n") + _member("a") + bytes(1024),
            "UnreadableTargetError",
        ),
        "tar-pax-size-lies": (
            lambda: _pax(b"28 size=9223372036854775807\n") + _member("a") + bytes(1024),
            "UnreadableTargetError",
        ),
        "tar-pax-sparse-map": (
            lambda: _pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n") + _member("a") + bytes(2048),
            "UnreadableTargetError",
        ),
        "tar-long-names": (lambda: _long_names(MIB // 2, 60), "unsafe-name"),
        "tar-long-name-bomb": (lambda: _long_names(MIB, 200), "UnreadableTargetError"),
        "tar-sparse-huge": (lambda: _sparse(1 << 62, 4), "TooLargeError"),
        "tar-sparse-many": (lambda: _sparse(64 << 20, 3), ""),
        "tar-links-and-devices": (_tar_links, "link"),
        "tar-million-entries": (lambda: _many_members(310_000), "TooLargeError"),
        "tar-names": (
            lambda: tarred({"../a": b"", "/b": b"", "c/../../d": b"", "e": b"", "./e": b""}),
            "unsafe-name",
        ),
    }
)


def _saved(manifest: object, **files: bytes) -> bytes:
    return tarred({"manifest.json": json.dumps(manifest).encode(), "config.json": b"{}", **files})


def _deep() -> bytes:
    return b"[" * 200_000 + b']"Layers"' * 200_000


def _oci(index: object, **files: bytes) -> bytes:
    return tarred({"oci-layout": b"{}", "index.json": json.dumps(index).encode(), **files})


_ODD_CONFIG = {
    "architecture": ["amd64"],
    "config": {
        "Env": [1, None, "=", "A=\ud800", "PATH", {"a": 1}],
        "Cmd": {"a": "b"},
        "Entrypoint": ["\0", 7, ""],
        "Labels": {"\ud800": ["x"], "AWS_SECRET": 1},
        "User": {"a": 1},
        "WorkingDir": ["/"],
    },
    "history": [{"created_by": 7}, None, {"created_by": "x" * 1_000_000, "empty_layer": "yes"}],
}
_WHITEOUTS = (
    ".wh.",
    ".wh..",
    ".wh...",
    ".wh..wh.",
    ".wh..wh..opq/x",
    "a/.wh..wh..opq",
    "a/.wh.b/c",
    "../.wh.x",
    "/.wh.y",
)
_LOOP = {"digest": "sha256:a"}

IMAGES: Mapping[str, tuple[Make, str]] = MappingProxyType(
    {
        "image-no-layers": (lambda: _saved([{"Config": "config.json"}]), ""),
        "image-missing-layer": (
            lambda: _saved([{"Config": "config.json", "Layers": ["x.tar"]}]),
            "UnreadableTargetError",
        ),
        "image-missing-config": (lambda: _saved([{"Config": "none", "Layers": []}]), "UnreadableTargetError"),
        "image-layer-is-itself": (
            lambda: _saved([{"Config": "config.json", "Layers": ["manifest.json"]}]),
            "UnreadableTargetError",
        ),
        "image-manifest-of-numbers": (
            lambda: _saved([{"Config": 7, "Layers": [1]}]),
            "UnreadableTargetError",
        ),
        "image-manifest-is-a-dict": (lambda: _saved({"a": 1}), ""),
        "image-deep-json": (lambda: tarred({"manifest.json": _deep()}), "UnreadableTargetError"),
        "image-huge-number": (
            lambda: tarred({"manifest.json": b'["Layers",' + b"1" * 100_000}),
            "UnreadableTargetError",
        ),
        "image-no-utf-8": (
            lambda: tarred({"manifest.json": b'["Layers"\xff\xfe\xfd'}),
            "UnreadableTargetError",
        ),
        "image-odd-config": (lambda: saved_image([{"app/prog": PROGRAM}], _ODD_CONFIG), "unresolved-needed"),
        "image-one-layer-often": (lambda: _repeated(900, 2000), "TooLargeError"),
        "image-too-many-layers": (lambda: _repeated(2000, 1), "UnreadableTargetError"),
        "image-layers-of-zeros": (lambda: _packed_layers(8, 60), "TooLargeError"),
        "image-zstd-layers-of-zeros": (lambda: _packed_layers(8, 60, "zstd"), "TooLargeError"),
        "image-whiteouts": (
            lambda: saved_image([{"a/b": b"1", "c": b""}, dict.fromkeys(_WHITEOUTS, b"")]),
            "unsafe-name",
        ),
        "image-link-loop": (
            lambda: (
                _member("l", tarfile.SYMTYPE, link="l") + _saved([{"Config": "config.json", "Layers": ["l"]}])
            ),
            "UnreadableTargetError",
        ),
        "oci-index-loop": (
            lambda: _oci(
                {"manifests": [_LOOP]}, **{"blobs/sha256/a": json.dumps({"manifests": [_LOOP]}).encode()}
            ),
            "UnreadableTargetError",
        ),
        "oci-odd-index": (lambda: _oci({"manifests": [{"platform": "linux"}, 7]}), "UnreadableTargetError"),
        "oci-manifests-is-a-number": (lambda: _oci({"manifests": 7}), "UnreadableTargetError"),
        "oci-digest-leaves": (
            lambda: _oci({"manifests": [{"digest": "sha256:../../etc/passwd"}]}),
            "UnreadableTargetError",
        ),
    }
)


def _repeated(times: int, files: int) -> bytes:
    layer = tarred({f"f{number}": b"" for number in range(files)})
    return _saved([{"Config": "config.json", "Layers": ["l.tar"] * times}], **{"l.tar": layer})


def _packed_layers(count: int, megabytes: int, packing: str = "gzip") -> bytes:
    """Give layers of which each is harmless."""
    names = [f"{number}.tar" for number in range(count)]
    layer = PACK[packing](tarred({"zeros": ZEROS * megabytes}))
    return _saved([{"Config": "config.json", "Layers": names}], **dict.fromkeys(names, layer))


EXPECTED: Mapping[str, str] = MappingProxyType(
    {name: words for table in (ZIPS, TARS, IMAGES) for name, (_, words) in table.items()}
)


# Those that take some seconds each; `python -m tests.fuzz.mutate --slow` runs them.
SLOW = ("image-one-layer-often", "tar-million-entries", "tar-pax-bomb")


def cases(names: list[str] | None = None) -> Iterator[Case]:
    """Give the archives named, or all but the slow ones."""
    for name, (make, _) in {**ZIPS, **TARS, **IMAGES}.items():

        def write(folder: Path, make: Make = make, name: str = name) -> Path:
            path = folder / f"{name}.bin"
            path.write_bytes(make())
            return path

        if name in names if names is not None else name not in SLOW:
            yield Case(name, write)
