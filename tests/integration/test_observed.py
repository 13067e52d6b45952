"""What is seen of a running container, by its own Python and from outside; and what `audit --observed` says."""

import json
from pathlib import Path

import docker
import pytest

from cli.auditing import audit_built
from cli.audits import Asked
from cli.pipeline import Pipeline
from cli.tests import settings
from images import observe
from images.build import Image
from images.verify import Photo, verify_photos
from tests.integration.inside import Initialized, encoded

pytestmark = pytest.mark.engine

LOADED = {"libunder48.so", "python3.11", "libc.so.6"}


def names(paths: frozenset[str]) -> set[str]:
    return {path.rpartition("/")[2] for path in paths}


@pytest.mark.parametrize("hardened", [False, True])
def test_what_a_container_maps_is_seen_by_its_own_python(
    image: Image, initialized: Initialized, photos: dict[str, Path], *, hardened: bool
) -> None:
    with initialized(image.id, hardened=hardened) as running:
        running.run({"image": encoded(photos["panda.jpg"])})
        container = running.running.container
        found = observe._from_inside(container, observe.PYTHONS[0])
        assert names(found) >= LOADED
        assert found == observe.mapped(container)
        assert running.run({"image": encoded(photos["panda.jpg"])}).classified.kept


def test_where_no_python_starts_this_machines_own_view_of_the_process_is_taken(
    image: Image, initialized: Initialized, monkeypatch: pytest.MonkeyPatch
) -> None:
    with initialized(image.id) as running:
        container = running.running.container
        inside = observe.mapped(container)
        monkeypatch.setattr(observe, "PYTHONS", ("/no/such/python", "nor-this"))
        assert observe.mapped(container) in (inside, frozenset())  # none without root's rights
        assert observe._from_inside(container, "/no/such/python") == frozenset()


def test_a_container_that_has_ended_shows_nothing(image: Image, initialized: Initialized) -> None:
    with initialized(image.id) as running:
        running.running.container.kill()
        running.running.container.wait()
        assert observe.mapped(running.running.container) == frozenset()


def test_each_photo_is_looked_at_when_its_last_call_has_been_measured(
    engine: docker.DockerClient, image: Image, photos: dict[str, Path]
) -> None:
    seen: dict[str, frozenset[str]] = {}
    taken = [Photo(name=name, content=photos[name].read_bytes()) for name in ("panda.jpg", "lion.jpg")]
    no_picture = Photo(name="no picture", content=b"x")
    verify_photos(
        engine,
        image.id,
        [*taken, no_picture],
        memory_mib=256,
        repeat=0,
        observe=lambda photo, running: seen.update({photo.name: observe.mapped(running.container)}),
    )
    assert seen.keys() == {"panda.jpg", "lion.jpg", "no picture"}
    assert all(names(paths) >= LOADED for paths in seen.values())


def test_the_audit_says_what_verify_saw(pipeline: Pipeline, photos: dict[str, Path]) -> None:
    own = Pipeline(settings())  # a new one: each step of a pipeline is done once
    own.verify(own.photos([str(photos["panda.jpg"])]), repeat=0)
    document = json.loads(own.observed.read_text())
    assert document["image"] == own.image.id
    assert names(document["mapped"]) >= LOADED
    judged = audit_built(own, Asked(observed=""))[0]
    found = {finding.rule: finding for finding in judged.findings}
    assert "libunder48.so" in found["mapped-later"].message
    assert "panda.jpg was classified" in found["never-mapped"].message
    assert found.keys() & {"mapped-unforeseen", "mapped-elsewhere"} == set()
    plain = {finding.rule for finding in audit_built(pipeline)[0].findings}
    assert plain == found.keys() - {"mapped-later", "never-mapped"}
