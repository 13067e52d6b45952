"""What tests need to look into a running image: code that is sent there, pictures, the types of the shared fixtures."""

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from images.build import Image
from images.invoker import Invoker

ImageOf = Callable[[str], Image]
Initialized = Callable[..., AbstractContextManager[Invoker]]


def source(action: str) -> str:
    """The code of one of `actions/`, which is sent to /init and so runs inside the image."""
    return (Path(__file__).parent / "actions" / f"{action}.py").read_text()


def encoded(file: Path) -> str:
    """A picture as the classifier takes it."""
    return base64.b64encode(file.read_bytes()).decode()
