"""Prints the conformance table: `python -m tests.integration.conformance [--image IMAGE] [VECTOR…]`."""

import argparse
import sys

from cli.pipeline import Pipeline
from cli.tests import settings
from tests.integration.conformance.table import CASES, Played, checklist, markdown


def main() -> int:
    """Play the named vectors, all where none is named; 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.conformance")
    parser.add_argument("--image", help="another image than that of the settings, such as an official one")
    parser.add_argument("vectors", nargs="*", metavar="VECTOR", help="13a-1 …; all where none is named")
    arguments = parser.parse_args()
    pipeline = Pipeline(settings())
    cases = [case for case in CASES if not arguments.vectors or case[0] in arguments.vectors]
    played = Played(pipeline.engine, arguments.image or pipeline.image.tag, cases)
    try:
        outcomes = [(case, played[case]) for case in cases]
    finally:
        played.close()
    print(markdown(outcomes))
    failed = {vector for (vector, _), outcome in outcomes if outcome.problems}
    if not arguments.vectors:
        print(checklist({vector for vector, _ in cases} - failed))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
