"""Writes audit/manylinux.json, the manylinux policies in short, from auditwheel's own table of them.

    python tests/auditwheel/make_policies.py auditwheel/policy/manylinux-policy.json audit/manylinux.json

Policies grow: what one promises, every later one does too. So each row holds only what it adds.
"""

import json
import sys
from pathlib import Path
from typing import Any


def shortened(policies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the rows from the oldest glibc to the newest, each with the libraries and versions it adds."""
    libraries: set[str] = set()
    versions: dict[str, set[str]] = {}
    rows = []
    for policy in sorted(policies, key=lambda policy: -policy["priority"]):
        if policy["name"] == "linux":  # promises nothing
            continue
        added = {}
        for machine, names in sorted(policy["symbol_versions"].items()):
            promised = {f"{prefix}_{version}" for prefix, found in names.items() for version in found}
            if new := sorted(promised - versions.setdefault(machine, set())):
                added[machine] = new
            versions[machine] |= promised
        rows.append(
            {
                "name": policy["name"],
                "aliases": policy["aliases"],
                "libraries": sorted(set(policy["lib_whitelist"]) - libraries),
                "machines": sorted(policy["symbol_versions"]),
                "versions": added,
            }
        )
        libraries |= set(policy["lib_whitelist"])
    return rows


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    rows = [json.dumps(row) for row in shortened(json.loads(source.read_text()))]
    target.write_text("[\n" + ",\n".join(rows) + "\n]\n")
