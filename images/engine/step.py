"""What a build is asked for, and where it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of a Dockerfile to build; `network` is "none" (hermetic), "host" or "bridge"."""

    dockerfile: str = "Dockerfile"  # its name in the context
    target: str | None = None  # None: the last one
    tag: str | None = None
    network: str = "none"
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    cache_only: bool = False  # its image is not needed, only that later builds find its steps in the cache

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.tag or self.target or self.dockerfile


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Where a build stands; `line` is the newest line of the step's output, "" when it begins or ends."""

    number: int
    total: int
    instruction: str
    elapsed_s: float  # since the step began
    line: str = ""
    cached: bool = False  # known when the step is done
    done: bool = False


Report = Callable[[Step], None]
