"""Every vector of the contract's tables that applies to a Python runtime, asked of the real image in a container."""

from collections.abc import Iterator

import docker
import pytest

from images.build import Image
from tests.integration.conformance.table import CASES, Case, Played

pytestmark = pytest.mark.engine

NAMES = [f"{vector}-hardened" if hardened else vector for vector, hardened in CASES]

_TEST = "test_the_image_answers_as_the_vector_says"


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, engine: docker.DockerClient, image: Image) -> Iterator[Played]:
    """Plays what is selected, ahead of the tests that look at it."""
    selected = {item.name for item in request.session.items}
    cases = [case for case, name in zip(CASES, NAMES, strict=True) if f"{_TEST}[{name}]" in selected]
    played = Played(engine, image.id, cases)
    yield played
    played.close()


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_image_answers_as_the_vector_says(case: Case, played: Played) -> None:
    outcome = played[case]
    assert not outcome.problems, "\n".join(outcome.problems)


def test_its_tag_is_not_latest(image: Image) -> None:
    # Which the platform would pull anew for each container, and fail where it cannot (DockerContainer.scala).
    assert image.tag.partition(":")[2] not in {"", "latest"}
