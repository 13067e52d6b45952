"""The files of an image with three Debian packages, Pillow and libunder48.so, each as small as it can be."""

import json
from pathlib import Path

import audit

ROOT = Path(__file__).parents[1]
_ELF = ROOT / "tests/fixtures/elf/trees/breadth-first-the-first-requester-decides"
NATIVE = (
    _ELF / "lib/liba.so"
).read_bytes()  # made by Debian's gcc; needs libx.so, which it looks for in /of-a
LIBX = (_ELF / "of-a/libx.so").read_bytes()

_FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: "
_COPYRIGHT = {
    "libx": _FORMAT + "GPL-2+\n\nLicense: GPL-2+\n See `/usr/share/common-licenses/GPL-2'.\n",
    "liby1": "It is free.\n",
    "base-files": "See /usr/share/common-licenses/GPL.\n",
}
STATUS = """\
Package: libx
Status: install ok unpacked
Source: x-src (1:1.0-1)
Version: 1:1.0-1+b2
Architecture: amd64
Pre-Depends: liby1 (>= 1)
Depends: libx, missing | base-files:any
Description: has a line of its own
 Depends: nothing

Package: liby1
Status: install ok unpacked
Source: y
Version: 2~rc1
Architecture: all

Package: base-files
Status: install ok unpacked
Version: 12.4+deb12u15
Architecture: amd64
"""
_LISTS = {"libx": "/of-a/libx.so\n", "liby1": "/etc/y\n", "base-files": "/etc/os-release\n"}
_METADATA = "Name: pillow\nVersion: 13.0.0\nLicense-Expression: MIT-CMU\n\nText\n"
_SBOM = {"components": [{"name": "libtiff", "version": "4.7.2"}, {"name": "no version"}]}
_SITE = "under48/action"


def small_image(folder: Path) -> audit.Tree:
    """Write the files into `folder`, and read them."""
    files: dict[str, str | bytes] = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "usr/share/common-licenses/GPL-2": "GNU GENERAL PUBLIC LICENSE",
        "of-a/libx.so": LIBX,
        "var/lib/dpkg/status": STATUS,
        **{f"var/lib/dpkg/info/{name}.list": text for name, text in _LISTS.items()},
        **{f"usr/share/doc/{name}/copyright": text for name, text in _COPYRIGHT.items()},
        f"{_SITE}/libunder48.so": NATIVE,
        f"{_SITE}/PIL/_imaging.so": LIBX,
        f"{_SITE}/pillow.libs/libtiff-20b7e810.so.6.3.0": LIBX,
        f"{_SITE}/pillow.libs/libzstd-40ad5e7e.so.1.5.7": LIBX,
        f"{_SITE}/pillow.libs/libnovel-00000001.so.3": LIBX,
        f"{_SITE}/pillow-13.0.0.dist-info/METADATA": _METADATA,
        f"{_SITE}/pillow-13.0.0.dist-info/licenses/LICENSE": "a text",
        f"{_SITE}/pillow-13.0.0.dist-info/sboms/pillow.cdx.json": json.dumps(_SBOM),
    }
    listed = [name.removeprefix(f"{_SITE}/") for name in files if "pillow" in name or "PIL" in name]
    files[f"{_SITE}/pillow-13.0.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in listed)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return audit.read_folder(folder)
