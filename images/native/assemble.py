"""Makes the final image's files from unpacked packages and the classifier; runs in the `rootfs` stage.

    assemble.py ROOTFS.toml TARGET_FOLDER OUTPUT_FOLDER

TARGET_FOLDER holds everything, OUTPUT_FOLDER gets what the image needs: the closure that the auditor computes,
the files that rootfs.toml keeps, and what a package manager's scripts would have made. Nothing of the target is
executed.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

USER = 65534  # nobody: the files are root's, so the server cannot change them
CERTIFICATES = Path("usr/share/ca-certificates/mozilla")


def drop(target: Path, patterns: list[str]) -> None:
    for pattern in patterns:
        for path in list(target.glob(pattern.lstrip("/"))):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def keep_closure(target: Path, output: Path, recipe: dict[str, Any]) -> None:
    options = [word for entry in recipe["entry_points"] for word in ("--entry", entry)]
    options += [word for path in recipe["keep"] for word in ("--keep", path)]
    subprocess.run(
        [sys.executable, "-m", "audit.closure", str(target), *options, "--to", str(output)], check=True
    )


def strip_debug(target: Path) -> None:
    """Removes debug sections and symbol tables from what is loaded at run time, where a wheel has them.

    Only where it makes the file smaller: it grows what patchelf has aligned already.
    """
    for path in sorted((target / "under48/action").rglob("*.so*")):
        smaller = path.with_name(path.name + ".stripped")
        subprocess.run([os.environ["STRIP"], "--strip-unneeded", "-o", str(smaller), str(path)], check=True)
        if smaller.stat().st_size < path.stat().st_size:
            smaller.replace(path)
        else:
            smaller.unlink()


def write_accounts(output: Path) -> None:
    """Names for the two users there are: programs ask for them, and `nobody` needs a home to write to."""
    lines = {
        "passwd": f"root:x:0:0:root:/:/nonexistent\nnobody:x:{USER}:{USER}:nobody:/tmp:/nonexistent\n",
        "group": f"root:x:0:\nnogroup:x:{USER}:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    for name, text in lines.items():
        (output / "etc").mkdir(exist_ok=True)
        (output / "etc" / name).write_text(text)
    (output / "tmp").mkdir()
    (output / "tmp").chmod(0o1777)


def write_certificates(target: Path, output: Path) -> None:
    """The bundle that ca-certificates' own script would write: all of Mozilla's roots."""
    bundle = output / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    texts = (path.read_text().strip() + "\n" for path in sorted((target / CERTIFICATES).glob("*.crt")))
    bundle.write_text("".join(texts))
    (output / "usr/lib/ssl").mkdir(parents=True, exist_ok=True)
    (output / "usr/lib/ssl/certs").symlink_to("/etc/ssl/certs")
    (output / "usr/lib/ssl/cert.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")


def keep_package_records(target: Path, output: Path) -> None:
    """Keeps, of each package with a file in the image, its status, the list of its files, and its licence."""
    source, records = target / "var/lib/dpkg", output / "var/lib/dpkg"
    (records / "info").mkdir(parents=True)
    kept = []
    for stanza in (source / "status").read_text().strip().split("\n\n"):
        name = stanza.partition("\n")[0].removeprefix("Package: ")
        listed = (source / "info" / f"{name}.list").read_text().splitlines()
        files = [path for path in listed if is_file(output / path.lstrip("/"))]
        copyright_file = Path("usr/share/doc") / name / "copyright"
        if name == "ca-certificates":  # its files are in the bundle
            files.append("/etc/ssl/certs/ca-certificates.crt")
        if not files:
            continue
        if (target / copyright_file).is_file():
            (output / copyright_file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target / copyright_file, output / copyright_file)
            files.append(f"/{copyright_file}")
        kept.append(stanza)
        (records / "info" / f"{name}.list").write_text("".join(f"{path}\n" for path in sorted(files)))
    (records / "status").write_text("\n\n".join(kept) + "\n")


def is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def compile_action(output: Path) -> None:
    """Byte code for our own modules, as unpack_packages.py makes it for Python's."""
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(output), "-p", "/", str(output / "under48")], check=True)


def level(output: Path, epoch: int) -> None:
    """One owner, one time, no write permission for others: the same files give the same layer."""
    for path in [output, *output.rglob("*")]:
        os.chown(path, 0, 0, follow_symlinks=False)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
        if not path.is_symlink() and path != output / "tmp":
            executable = path.stat().st_mode & 0o100 and path.suffix != ".py"
            path.chmod(0o755 if path.is_dir() or executable else 0o644)


def main(recipe_file: str, target_folder: str, output_folder: str) -> None:
    recipe = tomllib.loads(Path(recipe_file).read_text())
    target, output = Path(target_folder), Path(output_folder)
    drop(target, recipe["drop"])
    strip_debug(target)
    keep_closure(target, output, recipe)
    write_accounts(output)
    write_certificates(target, output)
    keep_package_records(target, output)
    compile_action(output)
    level(output, int(os.environ["SOURCE_DATE_EPOCH"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
