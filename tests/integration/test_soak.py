"""The soak, shortened: the same memory after hundreds of calls, and the same answers whatever came before."""

import docker
import pytest

from benchmarks.soak import BROKEN, GROWTH, pictures, soak
from images.build import Image
from images.invoker import Limits, invoker
from tests.catalogued import PICTURES, supply

pytestmark = pytest.mark.engine

COUNT = 1500
SLOW_BYTES = 600_000  # of base64: a few pictures take as long as all the others


@pytest.mark.parametrize("memory_mib", [128])
def test_nothing_grows_and_nothing_drifts(engine: docker.DockerClient, image: Image, memory_mib: int) -> None:
    inputs = {name: value for name, value in pictures(supply()).items() if len(value["image"]) < SLOW_BYTES}
    seen = soak(
        lambda: invoker(engine, image.id, limits=Limits(memory_mib=memory_mib)), {**inputs, **BROKEN}, COUNT
    )
    assert seen.calls > COUNT + len(inputs)
    classified = {name for name, answer in seen.answers.items() if '"results"' in answer}
    assert {name for name in inputs if PICTURES[name] in ("panda", "decoded")} <= classified
    assert seen.pauses > 0
    assert seen.differing == []
    assert seen.growth < GROWTH, [sample.resident for sample in seen.settled]
