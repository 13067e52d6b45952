"""Files for tests and benchmarks, which do without what is neither bundled nor to be reached."""

from dataclasses import dataclass, field
from pathlib import Path

from cli.console import Step
from cli.pipeline import Pipeline
from model_fetch import DownloadFailed, Entry, NoNetwork, fetch_model


@dataclass(frozen=True, kw_only=True)
class Supply:
    """Where entries of the catalogue come from; `given_up` are the hosts that were tried in vain, each once."""

    cache: Path
    mirrors: tuple[str, ...]
    given_up: set[str] = field(default_factory=set)

    def find(self, entry: Entry, shown: Step | None = None) -> tuple[Path, ...] | None:
        """The verified files of the entry, with progress on `shown`; None where they cannot be had.

        Raises:
            ModelFetchError: there is a file at its public URL, and it is not the catalogue's.
        """
        try:
            return fetch_model(
                entry,
                cache=self.cache,
                mirrors=self.mirrors,
                progress=shown.show_bytes if shown else None,
                warn=shown.say if shown else None,
                given_up=self.given_up,
            )
        except (NoNetwork, DownloadFailed):
            return None


def supply_of(pipeline: Pipeline) -> Supply:
    """What the pipeline's own settings offer."""
    return Supply(cache=pipeline.cache, mirrors=pipeline.mirrors)
