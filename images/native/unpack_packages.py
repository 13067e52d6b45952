"""Unpacks Debian packages and all that they depend on into a folder, for any architecture, running none.

    unpack_packages.py ARCHITECTURE OUTPUT_FOLDER ROOTFS.toml

The packages are those that rootfs.toml names; apt resolves their dependencies against an empty system. Beside the
files, OUTPUT_FOLDER/var/lib/dpkg gets the status and the file list of each package, as dpkg would have written
them, so that sizes and licences can be told by package. What rootfs.toml lists of Python's library is compiled to
byte code, by this stage's Python of the same version.
"""

import importlib
import io
import os
import py_compile
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

# Debian's merged /usr: these are symlinks to what lies below usr/ (the packages still name both).
MERGED = ("bin", "sbin", "lib", "lib64")


def download(architecture: str, packages: list[str], into: Path) -> list[Path]:
    """Let apt fetch and verify `packages` and their dependencies; returns the .deb files, sorted."""
    (into / "archives/partial").mkdir(parents=True)
    (into / "lists/partial").mkdir(parents=True)
    (into / "status").touch()
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Dir::State::status": into / "status",
        "Dir::State::Lists": into / "lists",
        "Dir::Cache::Archives": into / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    subprocess.run(["apt-get", *options, "-qq", "update"], check=True)
    install = ["install", "--download-only", "--no-install-recommends", "--yes", "-qq"]
    subprocess.run(["apt-get", *options, *install, *packages], check=True, stdout=subprocess.DEVNULL)
    return sorted((into / "archives").glob("*.deb"))


def unpack(deb: Path, target: Path) -> None:
    """Lay a package's files into `target`, and add it to dpkg's status and lists there."""
    files = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, stdout=subprocess.PIPE
    ).stdout
    untar = ["tar", "--extract", "--keep-directory-symlink", "--directory", str(target)]
    subprocess.run(untar, input=files, check=True)
    name, control = (
        subprocess.run(
            ["dpkg-deb", "-f", str(deb), *field], check=True, stdout=subprocess.PIPE
        ).stdout.decode()
        for field in (["Package"], [])
    )
    dpkg = target / "var/lib/dpkg"
    (dpkg / "info").mkdir(parents=True, exist_ok=True)
    with (dpkg / "status").open("a") as status:
        first, _, rest = control.partition("\n")
        status.write(f"{first}\nStatus: install ok unpacked\n{rest.rstrip()}\n\n")
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        lines = [f"{path.removeprefix('.')}\n" for path in archive.getnames() if path != "."]
    (dpkg / "info" / f"{name.strip()}.list").write_text("".join(lines))


def compile_library(target: Path, modules: list[str]) -> None:
    """Byte code for `modules` and all that they import, tied to no timestamp (PEP 552, unchecked hashes)."""
    for module in modules:
        importlib.import_module(module)
    library = Path(os.__file__).parent
    files = (getattr(module, "__file__", None) for module in sys.modules.values())
    loaded = [Path(file) for file in files if file]
    sources = [
        path.relative_to(library) for path in loaded if path.is_relative_to(library) and path.suffix == ".py"
    ]
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for source in sources:
        place = library.relative_to("/") / source
        if not (target / place).is_file():  # what the builder's architecture alone has: _sysconfigdata
            continue
        py_compile.compile(str(target / place), dfile=f"/{place}", doraise=True, invalidation_mode=unchecked)


def main(architecture: str, output: str, recipe: str) -> None:
    wanted = tomllib.loads(Path(recipe).read_text())
    target = Path(output)
    for folder in MERGED:
        (target / "usr" / folder).mkdir(parents=True, exist_ok=True)
        (target / folder).symlink_to(f"usr/{folder}")
    with tempfile.TemporaryDirectory() as scratch:
        debs = download(architecture, wanted["packages"], Path(scratch))
        for deb in debs:
            unpack(deb, target)
    compile_library(target, wanted["bytecode"])
    print(f"unpacked {len(debs)} packages: {' '.join(deb.name.partition('_')[0] for deb in debs)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
