"""Runs one target under atheris, in its own environment: see `python -m tests.fuzz`."""

import sys

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["audit", "elftools", "zipfile", "tarfile"]):
    from tests.fuzz.targets import feed


def main() -> None:
    """Fuzz the target named first; what follows are libFuzzer's own options."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, lambda content: feed(name, content))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
