"""What the integration tests share: the engine, the catalogue, images of the catalogued models, photos."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import docker
import pytest

from cli.pipeline import Pipeline
from cli.tests import settings
from images.activation import Status
from images.build import Image
from images.engine import Engine
from images.invoker import Invoker, invoker
from tests.catalogued import ByEntry, at_hand, needed
from tests.integration.inside import ImageOf, Initialized


@pytest.fixture(scope="session")
def pipeline_of() -> Callable[[str], Pipeline]:
    """The commands' own pipeline for a model; where no engine can be had, its first use fails, as it should."""
    return cache(lambda model: Pipeline({**settings(), "model": model}))


@pytest.fixture(scope="session")
def pipeline(pipeline_of: Callable[[str], Pipeline]) -> Pipeline:
    """That of the default model."""
    return pipeline_of(settings()["model"])


@pytest.fixture(scope="session")
def engine(pipeline: Pipeline) -> Engine:
    return pipeline.engine


@pytest.fixture(scope="session")
def image_of(pipeline_of: Callable[[str], Pipeline]) -> ImageOf:
    """The image of a model, looked up or built once in a session; `./inv test` has built them all before.

    Without the model's file the test that asks is skipped.
    """

    def image(model: str) -> Image:
        pipeline = pipeline_of(model)
        needed(pipeline.model)
        return pipeline.image

    return image


@pytest.fixture(scope="session")
def image(pipeline: Pipeline) -> Image:
    """That of the default model."""
    return pipeline.image


@pytest.fixture(scope="session")
def photos(pipeline: Pipeline) -> dict[str, Path]:
    """The files of the catalogued samples that can be had, by name; asking for another skips the test that asks."""
    samples = pipeline.catalog.samples
    return ByEntry({name: needed(pipeline.catalog.sample(name))[0] for name in at_hand(samples)})


@pytest.fixture(scope="session")
def initialized(engine: docker.DockerClient) -> Initialized:
    """Starts an image and inits it, as it is or with what is given as `code`; removes it at the end."""

    @contextmanager
    def start(tag: str, *, hardened: bool = True, **code: Any) -> Iterator[Invoker]:
        with invoker(engine, tag, hardened=hardened) as running:
            answer = running.init(**code)
            assert answer.classified.status is Status.SUCCESS, answer
            yield running

    return start
