"""The Debian packages of an image as parts: what dpkg's status and their copyright files say of them."""

import re
from collections.abc import Iterator, Mapping, Sequence

from packageurl import PackageURL

from audit import Tree
from images.sbom.licences import COMMON_LICENCES, licence_of
from images.sbom.part import Part

_MAX_BYTES = 4 << 20
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")


def debian_parts(tree: Tree, natives: Mapping[str, Sequence[str]]) -> list[Part]:
    """The operating system, and every package of /var/lib/dpkg/status; `natives` lists native files by package."""
    release = os_release(tree)
    stanzas = list(_stanzas(text_of(tree, "/var/lib/dpkg/status")))
    present = {stanza["Package"]: _reference(stanza) for stanza in stanzas}
    return [
        _system(release),
        *(_package(tree, stanza, present, natives.get(stanza["Package"], ()), release) for stanza in stanzas),
    ]


def os_release(tree: Tree) -> dict[str, str]:
    """The settings of /etc/os-release; os-release(5)."""
    rows = (line.partition("=") for line in text_of(tree, "/etc/os-release").splitlines() if "=" in line)
    return {name: value.strip('"') for name, _, value in rows}


def text_of(tree: Tree, path: str) -> str:
    """A file's text, "" where there is none."""
    return (tree.read(path, _MAX_BYTES) or b"").decode("utf-8", "replace")


def common_texts(tree: Tree, copyright_text: str) -> Iterator[str]:
    """The texts in /usr/share/common-licenses that a copyright file refers to instead of repeating them."""
    for name in sorted(set(re.findall(rf"{COMMON_LICENCES}/([A-Za-z0-9.-]*[A-Za-z0-9])", copyright_text))):
        if tree.resolve(f"{COMMON_LICENCES}/{name}"):
            yield f"{COMMON_LICENCES}/{name}"


def package_url(
    name: str, version: str, architecture: str, source: str, release: Mapping[str, str]
) -> PackageURL:
    """A package's purl (purl-spec, type deb); `upstream` is how Syft and Grype name the source package."""
    distro = f"{release['ID']}-{release['VERSION_ID']}"
    qualifiers = {"arch": architecture, "distro": distro, **({"upstream": source} if source else {})}
    return PackageURL("deb", release["ID"], name, version, qualifiers)


def _system(release: Mapping[str, str]) -> Part:
    return Part(
        ref=f"os:{release['ID']}",
        kind="operating-system",
        name=release["ID"],
        version=release["VERSION_ID"],
        cpe=f"cpe:2.3:o:debian:debian_linux:{release['VERSION_ID']}:*:*:*:*:*:*:*",
        licence="LicenseRef-Debian-base-files",
        licence_texts=("/usr/share/doc/base-files/copyright",),
    )


def _package(
    tree: Tree,
    stanza: Mapping[str, str],
    present: Mapping[str, str],
    natives: Sequence[str],
    release: Mapping[str, str],
) -> Part:
    name, version = stanza["Package"], stanza["Version"]
    source, source_version = _source(stanza)
    upstream = "" if (source, source_version) == (name, version) else source
    if source_version != version:
        upstream += f"@{source_version}"
    about = f"/usr/share/doc/{name}/copyright"
    copyright_text = text_of(tree, about)
    return Part(
        ref=_reference(stanza),
        kind="library",
        name=name,
        version=version,
        purl=package_url(name, version, stanza["Architecture"], upstream, release),
        licence=licence_of(copyright_text, source),
        licence_texts=(about, *common_texts(tree, copyright_text)),
        files=tuple(natives),
        needs=tuple(sorted(set(_needs(stanza, present)))),
        # The names under which Trivy looks for the source package, which Debian's advisories are about.
        properties={
            "aquasecurity:trivy:PkgType": release["ID"],
            "aquasecurity:trivy:SrcName": source,
            "aquasecurity:trivy:SrcVersion": source_version,
        },
    )


def _stanzas(status: str) -> Iterator[dict[str, str]]:
    for block in status.strip().split("\n\n"):
        lines = (line.partition(": ") for line in block.splitlines() if line[:1] not in (" ", "\t"))
        yield {name: value for name, colon, value in lines if colon}


def _reference(stanza: Mapping[str, str]) -> str:
    return f"deb:{stanza['Package']}"


def _source(stanza: Mapping[str, str]) -> tuple[str, str]:
    """`Source: name (version)`, either part of which is left out where it is the package's own; deb-control(5)."""
    found = _SOURCE.fullmatch(stanza.get("Source", stanza["Package"]))
    name, version = found.groups() if found else (stanza["Package"], None)
    return name, version or stanza["Version"]


def _needs(stanza: Mapping[str, str], present: Mapping[str, str]) -> Iterator[str]:
    """Of its dependencies, those that are in the image; deb-control(5), "Depends"."""
    for field in ("Pre-Depends", "Depends"):
        for alternative in re.split(r"[,|]", stanza.get(field, "")):
            name = alternative.partition("(")[0].partition(":")[0].strip()
            if name in present and name != stanza["Package"]:
                yield present[name]
