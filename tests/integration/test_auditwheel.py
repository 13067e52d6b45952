"""The auditor and auditwheel say the same of popular wheels with native code.

auditwheel runs in an environment of its own with no folder of this machine to find libraries in: what it says must
not depend on where the test runs. Its answers are kept in build/auditwheel, for one on TensorFlow takes minutes.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import audit
from audit.policy import best, manylinux
from cli.tests import AUDITWHEEL, AUDITWHEEL_LOCK
from tests.auditwheel.make_policies import shortened
from tests.wheels import NAMES, ROOT, FetchFailed, wheel

LIBRARY = AUDITWHEEL / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "auditwheel"


def shown(path: Path) -> dict[str, Any]:
    lock = hashlib.sha256(AUDITWHEEL_LOCK.read_bytes()).hexdigest()[:12]
    kept = AUDITWHEEL / "answers" / f"{path.name}.{path.stat().st_size}.{lock}.json"
    if not kept.exists():
        command = [str(AUDITWHEEL / "bin/auditwheel"), "show", "--json", "--ldpaths", "", str(path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(answer)
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_versions_libraries_and_policy_are_those_that_auditwheel_shows(name: str) -> None:
    try:
        path = wheel(name)
    except FetchFailed as error:
        pytest.skip(f"no wheel: {error}")
    theirs = shown(path)
    facts = audit.analyse(audit.read(path)).python
    (ours,) = facts.needs.values()
    policies = manylinux(ours.machine)
    overall = best(ours)
    versions = {version for names in ours.versions.values() for version in names}
    by_symbols = next(one for one in policies if not any(map(one.refuses, versions)))
    assert {library: sorted(names) for library, names in ours.versions.items()} == theirs["versioned_symbols"]
    assert sorted(ours.libraries - policies[0].libraries) == sorted(theirs["external_libs"])
    assert by_symbols.name == theirs["sym_tag"]
    assert (overall.name if overall else f"linux_{ours.machine}") == theirs["overall_tag"]


def test_the_policies_are_those_of_auditwheel() -> None:
    theirs = json.loads((LIBRARY / "policy" / "manylinux-policy.json").read_text())
    assert json.loads((ROOT / "audit" / "manylinux.json").read_text()) == shortened(theirs)
