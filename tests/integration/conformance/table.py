"""All vectors, and their outcomes as the Markdown table that is shown."""

from collections.abc import Container, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import docker

from tests.integration.conformance.checklist import CHECKLIST
from tests.integration.conformance.server import play
from tests.integration.conformance.vector import Outcome, Vector
from tests.integration.conformance.vectors_13a import VECTORS as SECTION_13A
from tests.integration.conformance.vectors_13b import VECTORS as SECTION_13B
from tests.integration.conformance.vectors_13c import VECTORS as SECTION_13C
from tests.integration.conformance.vectors_13e import VECTORS as SECTION_13E
from tests.integration.conformance.vectors_code import VECTORS as CODE
from tests.integration.conformance.vectors_faults import VECTORS as FAULTS
from tests.integration.conformance.vectors_json import VECTORS as JSON

VECTORS: tuple[Vector, ...] = (
    *SECTION_13A,
    *SECTION_13B,
    *SECTION_13C,
    *SECTION_13E,
    *CODE,
    *JSON,
    *FAULTS,
)

Case = tuple[str, bool]  # a vector's id, and whether the container is hardened
CASES: dict[Case, Vector] = {
    (vector.id, hardened): vector
    for hardened in (False, True)
    for vector in VECTORS
    if vector.applies(hardened=hardened)
}
_SIDE_BY_SIDE = 3  # containers: starting one is mostly waiting for the engine


class Played:
    """Outcomes of cases, which are played side by side from the moment that this is made."""

    def __init__(self, engine: docker.DockerClient, image: str, cases: Iterable[Case]) -> None:
        self._pool = ThreadPoolExecutor(_SIDE_BY_SIDE)
        self._futures: dict[Case, Future[Outcome]] = {
            case: self._pool.submit(play, engine, image, CASES[case], hardened=case[1]) for case in cases
        }

    def __getitem__(self, case: Case) -> Outcome:
        return self._futures[case].result()

    def close(self) -> None:
        """Play no more; those under way end and remove their containers."""
        self._pool.shutdown(cancel_futures=True)


def markdown(cases: Sequence[tuple[Case, Outcome]]) -> str:
    """The table: vector, what is expected, what came from a container, with the counts above it."""
    lines = []
    for hardened, title in (
        (False, "As the platform starts it"),
        (True, "With a read-only root, no capabilities"),
    ):
        outcomes = {case[0]: outcome for case, outcome in cases if case[1] is hardened}
        passed = sum(not outcome.problems for outcome in outcomes.values())
        lines += [
            f"### {title}: {passed} of {len(outcomes)} passed",
            "",
            "| vector | what | expected | got | passed |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(vector, outcomes[vector.id]) for vector in VECTORS if vector.id in outcomes]
        if hardened:
            lines += ["", "Not so there:", ""]
            lines += [
                f"- {vector.id}, {vector.name}: {vector.platform_only}"
                for vector in VECTORS
                if vector.platform_only
            ]
        lines.append("")
    return "\n".join(lines)


def checklist(passed: Container[str]) -> str:
    """§12 as a table, given the vectors that passed; what is proven elsewhere is named."""
    rows = [
        f"| {line} | {', '.join(proofs)} | {_holds(proofs, passed)} |" for line, proofs in CHECKLIST.items()
    ]
    return "\n".join(
        ("### The checklist (§12)", "", "| line | proven by | holds |", "|---|---|---|", *rows, "")
    )


def _holds(proofs: Sequence[str], passed: Container[str]) -> str:
    vectors = [proof for proof in proofs if "::" not in proof]
    if not vectors:
        return "where that test passes"
    return "yes" if all(vector in passed for vector in vectors) else "**no**"


def _row(vector: Vector, outcome: Outcome) -> str:
    name = vector.name + (f" ({vector.adapts})" if vector.adapts else "")
    verdict = f"**no**: {'; '.join(outcome.problems)}" if outcome.problems else "yes"
    cells = (vector.id, name, vector.expected, outcome.got, verdict)
    return f"| {' | '.join(' '.join(cell.replace('|', '&#124;').split()) for cell in cells)} |"
