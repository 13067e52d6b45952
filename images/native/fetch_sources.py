"""Fetches, verifies and unpacks the rows of sources.toml; runs in the `fetched` stage of the image build.

    fetch_sources.py SOURCES.toml ARCHITECTURE MIRROR_FOLDER OUTPUT_FOLDER

A source is looked for in the mirror, in the pool of every Debian archive that apt is configured with, and last
at upstream's address. apt's own downloader is used, so that its proxies, certificates and retries hold here, too.
Each goes to OUTPUT_FOLDER/<name>; versions.txt there names all of them, licences/<name>/ holds their licences.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

APT_DOWNLOADER = "/usr/lib/apt/apt-helper"
POOL = "pool/main/"


class FetchError(Exception):
    """A source that is nowhere to be had, or not what the row says."""


def archives() -> list[str]:
    """The roots of the Debian archives that apt is configured with, each with a slash at its end."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], check=True, capture_output=True, text=True
    ).stdout
    return [uri.rstrip("/") + "/" for uri in dict.fromkeys(listing.split())]


def places(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Where a source may be had from, as (address, SHA-256)."""
    found = [(f"{root}{POOL}{row['pool']}", row["sha256"]) for root in archives()]
    if "url" in row:
        found.append((row["url"], row["url_sha256"]))
    return found


def fetch(row: dict[str, Any], mirror: Path, into: Path) -> Path:
    """Find a source in the mirror, or download it to `into`, and return its file.

    Raises:
        FetchError: no place has it with the digest that its row names.
    """
    complaints = []
    mirrored: Path = mirror / POOL / row["pool"]
    if mirrored.is_file():
        if hashlib.sha256(mirrored.read_bytes()).hexdigest() == row["sha256"]:
            return mirrored
        complaints.append("the mirror's copy has another digest than sources.toml names")
    for address, digest in places(row):
        file = into / address.rpartition("/")[2]
        command = [APT_DOWNLOADER, "download-file", address, str(file), f"SHA256:{digest}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return file
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("E:")]
        complaints.append(f"{address}: {' '.join(said)}")
    raise FetchError(
        f"{row['title']} {row['version']} cannot be fetched. Mend the network, or put {mirrored.name} "
        f"into a mirror as {POOL}{row['pool']}. Tried:\n  " + "\n  ".join(complaints)
    )


def unpack(file: Path, folder: Path) -> None:
    """Unpack a tarball, without the folder that most of them wrap everything in, or a .deb."""
    folder.mkdir(parents=True)
    if file.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], check=True)
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        subprocess.run(
            ["tar", "--extract", "--no-same-owner", "--file", str(file), "--directory", scratch], check=True
        )
        inside = list(Path(scratch).iterdir())
        top = inside[0] if len(inside) == 1 and inside[0].is_dir() else Path(scratch)
        for entry in top.iterdir():
            entry.rename(folder / entry.name)


def main(sources: str, architecture: str, mirror: str, output_folder: str) -> None:
    rows = tomllib.loads(Path(sources).read_text())["source"]
    rows = [row for row in rows if row.get("arch", architecture) == architecture]
    output = Path(output_folder)
    output.mkdir(parents=True, exist_ok=True)
    for row in rows:
        with tempfile.TemporaryDirectory() as scratch:
            file = fetch(row, Path(mirror), Path(scratch))
            print(f"{row['title']} {row['version']}: {file.stat().st_size:,} bytes, verified", flush=True)
            unpack(file, output / row["name"])
        for licence in row["licences"]:
            target = output / "licences" / row["name"] / Path(licence).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(output / row["name"] / licence, target)
    versions = ", ".join(f"{row['title']} {row['version']}" for row in rows)
    (output / "versions.txt").write_text(versions)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FetchError as error:
        sys.exit(str(error))
