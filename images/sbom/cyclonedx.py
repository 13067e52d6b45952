"""Writes parts as a CycloneDX document: the same parts, the same bytes."""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from operator import itemgetter

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
from cyclonedx.model.license import DisjunctiveLicense, LicenseAcknowledgement, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import is_supported_id

from images.sbom.part import Part

TEXT_PROPERTY = "under48:licence-text"
_NO_SERIAL = uuid.UUID(int=0)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "under48.org")


def as_cyclonedx(image: Part, parts: Sequence[Part], *, made_at: int) -> bytes:
    """A CycloneDX 1.6 document of `image`, which holds `parts`, in JSON; `made_at` in seconds since 1970.

    Its serial number is a digest of all the rest.
    """
    components = {part.ref: _component(part) for part in parts}
    root = _component(image, ComponentType.CONTAINER)
    bom = Bom(
        components=components.values(),
        serial_number=_NO_SERIAL,
        metadata=BomMetaData(component=root, timestamp=dt.datetime.fromtimestamp(made_at, tz=dt.UTC)),
    )
    bom.register_dependency(root, components.values())
    for part in parts:
        bom.register_dependency(
            components[part.ref], [components[ref] for ref in part.needs if ref in components]
        )
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    for component in document["components"]:  # which the library leaves in the order of a set
        component.get("evidence", {}).get("occurrences", []).sort(key=itemgetter("location"))
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return text.replace(str(_NO_SERIAL), str(uuid.uuid5(_NAMESPACE, text))).encode()


def _component(part: Part, kind: ComponentType | None = None) -> Component:
    texts = [Property(name=TEXT_PROPERTY, value=path) for path in part.licence_texts]
    said = [Property(name=name, value=value) for name, value in part.properties.items()]
    return Component(
        type=kind or ComponentType(part.kind),
        bom_ref=part.ref,
        name=part.name,
        version=part.version or None,
        purl=part.purl,
        cpe=part.cpe or None,
        licenses=[_licence(part.licence)],
        hashes=[_hash(part.sha256)] if part.sha256 else [],
        evidence=ComponentEvidence(occurrences=[Occurrence(location=path) for path in part.files])
        if part.files
        else None,
        external_references=list(_references(part)),
        properties=[*texts, *said],
    )


def _licence(expression: str) -> DisjunctiveLicense | LicenseExpression:
    declared = LicenseAcknowledgement.DECLARED
    if is_supported_id(expression):
        return DisjunctiveLicense(id=expression, acknowledgement=declared)
    return LicenseExpression(expression, acknowledgement=declared)


def _hash(sha256: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)


def _references(part: Part) -> list[ExternalReference]:
    source = part.source
    if source is None:
        return []
    kinds = ExternalReferenceType
    kind = kinds.SOURCE_DISTRIBUTION if source.is_source_code else kinds.DISTRIBUTION
    return [ExternalReference(type=kind, url=XsUri(source.url), hashes=[_hash(source.sha256)])]
