"""Rules about size and budgets, and the cut plan, on trees with real content."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import audit
from audit.config import BudgetRow, Config
from audit.cuts import replacements
from audit.readers.zips import read_zip
from audit.rules import Severity, budget, size
from audit.tree import Entry, Layer, Lost, Tree

ELF = Path(__file__).parent / "fixtures" / "elf" / "size"
LOW = {"bytes": 1.0, "share": 0.02}
NUMBERS = b"".join(b"%d " % number for number in range(20_000))


def zipped(files: dict[str, bytes]) -> Tree:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return read_zip(file, "action.zip")


WHEEL = zipped(
    {
        "pkg/a.py": b"1",
        "pkg/tests/b.dat": NUMBERS,
        "pkg/copy.dat": NUMBERS,
        "pkg/c.h": NUMBERS[1:],
        "pkg/debug.so": (ELF / "debug.so").read_bytes(),
        "pkg/__pycache__/gone.cpython-311.pyc": NUMBERS[2:],
        "pkg/__pycache__/a.cpython-311.pyc": NUMBERS[3:],
        "pkg-1.dist-info/RECORD": b"pkg/a.py,,\npkg/tests/b.dat,,\npkg/copy.dat,,\npkg/c.h,,\npkg/debug.so,,\n",
    }
)


def found(tree: Tree, *, low: bool = True, **more: Any) -> dict[str, audit.Finding]:
    rules = [replace(rule, config=LOW) if low else rule for rule in size.RULES]
    return {finding.rule: finding for finding in audit.check(audit.analyse(tree, **more), rules)}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("debug-left-behind", "600 bytes in 1 file (413 debug, 187 symbols): /pkg/debug.so 600"),
        (
            "duplicate-content",
            f"{len(NUMBERS):,} bytes in 1 group of equal files: /pkg/copy.dat = /pkg/tests",
        ),
        (
            "tests-left-behind",
            f"{len(NUMBERS):,} bytes in 1 file (most in pkg {len(NUMBERS):,}): /pkg/tests/b",
        ),
        ("development-files", f"{len(NUMBERS) - 1:,} bytes in 1 file (most in pkg"),
        ("cache-left-behind", f"{len(NUMBERS) - 2:,} bytes in 1 file (most in pkg/"),
    ],
)
def test_what_nobody_needs_is_one_finding_with_its_bytes(rule: str, words: str) -> None:
    finding = found(WHEEL)[rule]
    assert finding.message.startswith(words)
    assert finding.severity < Severity.ERROR


def test_little_is_not_worth_a_finding() -> None:
    assert "cache-left-behind" not in found(WHEEL, low=False)


def test_a_tree_without_leftovers_has_no_finding_even_without_thresholds() -> None:
    assert found(zipped({"a.py": b"1"})) == {}


def test_links_that_leave_a_package_are_a_warning_and_dangling_ones_a_note() -> None:
    links = {f"/l{number}": "../x" for number in range(5)} | {"/d1": "gone", "/d2": "gone"}
    entries = {path: Entry(kind="symlink", mode=0o777, target=target) for path, target in links.items()}
    tree = replace(WHEEL, entries={**WHEEL.entries, **entries})
    findings = audit.check(audit.analyse(tree), size.RULES)
    (leaving,) = [finding for finding in findings if finding.rule == "symlink-leaves-package"]
    assert leaving.message == "5 symlinks lead out of the package: /l0 to ../x, /l1 to ../x, /l2 to ../x"
    (dangling,) = [finding for finding in findings if finding.rule == "dangling-symlink"]
    assert dangling.message == "2 symlinks to nothing, or in a circle: /d1 to gone, /d2 to gone"


def image_of(lost_bytes: int) -> Tree:
    lost = (Lost(path="/big", size=lost_bytes, by=2, deleted=True),)
    layers = (Layer(name="a", files=1, size=100 << 20, lost=lost), Layer(name="b", files=0, size=0))
    return Tree(name="image", form="image", entries=WHEEL.entries, layers=layers)


@pytest.mark.parametrize(("lost_bytes", "said"), [(0, False), ((2 << 20) - 1, False), (3 << 20, True)])
def test_bytes_hidden_in_layers_are_a_warning_from_a_share_of_them_on(lost_bytes: int, *, said: bool) -> None:
    findings = found(image_of(lost_bytes), low=False)
    assert ("hidden-in-layers" in findings) is said
    if said:
        assert findings["hidden-in-layers"].message == (
            "3,145,728 bytes (3.0% of the layers) are hidden by later layers, all of them deleted: "
            "/big 3,145,728"
        )


@pytest.mark.parametrize(
    ("deleted", "overwritten", "how"),
    [
        (9, 0, "all of them deleted: /"),
        (0, 9, "all of them overwritten: /"),
        (4, 5, "4 of them deleted, the rest overwritten: /"),
    ],
)
def test_hidden_bytes_are_said_to_be_deleted_or_overwritten_as_they_are(
    deleted: int, overwritten: int, how: str
) -> None:
    sizes = {True: deleted, False: overwritten}
    lost = tuple(Lost(path="/x", size=size, by=2, deleted=gone) for gone, size in sizes.items() if size)
    layers = (replace(image_of(0).layers[0], size=100, lost=lost),)
    message = found(replace(image_of(0), layers=layers))["hidden-in-layers"].message
    assert f"later layers, {how}" in message


@pytest.mark.parametrize(
    ("path", "said"),
    [("/usr/lib/python3/dist-packages/x", True), ("/venv/site-packages/x", True), ("/var/lib/x", False)],
)
def test_hidden_python_packages_are_to_be_installed_with_one_command(path: str, *, said: bool) -> None:
    lost = (Lost(path=path, size=9, by=2, deleted=True), Lost(path="/y", size=5, by=2, deleted=True))
    layers = (replace(image_of(0).layers[0], size=100, lost=lost),)
    remedy = found(replace(image_of(0), layers=layers))["hidden-in-layers"].remedy
    assert ("install with one pip command" in remedy) is said


def limited(tree: Tree, row: BudgetRow) -> tuple[audit.Analysis, list[audit.Finding]]:
    analysis = audit.analyse(tree, config=Config(platforms=(), budgets=(row,)))
    return analysis, list(audit.check(analysis, budget.RULES))


def test_a_target_over_its_budget_is_told_how_to_fit() -> None:
    whole = sum(entry.size for entry in WHEEL.entries.values())
    row = BudgetRow(scope="whole", bytes=whole - 3 * len(NUMBERS), reason="x")
    analysis, findings = limited(WHEEL, row)
    (plan,) = analysis.cut_plans
    assert plan.fits
    # Each is harmless; byte code whose source is there would slow the start down, and is not touched.
    assert [step.cut.kind for step in plan.steps] == ["duplicate", "development", "orphan", "debug"]
    (finding,) = findings
    assert finding.rule == "over-limit"
    assert finding.remedy.startswith("remove in this order: duplicate of pkg (")
    assert finding.remedy.endswith(f"then {plan.budget.limit - plan.after:,} bytes are left")


def test_a_target_that_cannot_be_made_to_fit_is_told_how_far_it_goes() -> None:
    _, (finding,) = limited(WHEEL, BudgetRow(scope="whole", bytes=1, reason="x"))
    assert "still" in finding.remedy
    assert finding.remedy.endswith("bytes over: ship less, or as an image")


def layered() -> Tree:
    """Give an image whose first layer has the package but for its tests, and a file that the second one deletes."""
    tests = frozenset(path for path in WHEEL.entries if "/tests/" in path)
    lost = (Lost(path="/gone", size=7, by=2, deleted=True),)
    rest = frozenset(path for path, entry in WHEEL.entries.items() if entry.kind == "file") - tests
    sizes = [sum(WHEEL.entries[path].size for path in paths) for paths in (rest, tests)]
    layers = (
        Layer(name="a", files=len(rest) + 1, size=sizes[0] + 7, lost=lost, paths=rest),
        Layer(name="b", files=len(tests), size=sizes[1], paths=tests),
    )
    return Tree(name="image", form="image", entries=WHEEL.entries, layers=layers)


@pytest.mark.parametrize("name", ["1", "2"])
def test_a_layer_over_its_budget_is_told_to_cut_only_what_lies_in_it(name: str) -> None:
    tree = layered()
    analysis, (finding,) = limited(tree, BudgetRow(scope="layer", name=name, bytes=0, reason="x"))
    (plan,) = analysis.cut_plans
    assert finding.subject == f"layer {name}"
    paths = {path for step in plan.steps for path in step.paths}
    assert paths
    assert paths <= tree.layers[int(name) - 1].paths
    hidden = [step.size for step in plan.steps if step.cut.kind == "hidden in layers"]
    assert hidden == ([7] if name == "1" else [])
    assert plan.after == tree.layers[int(name) - 1].size - sum(step.size for step in plan.steps)


def test_a_layer_that_later_ones_hide_wholly_is_planned_for_too() -> None:
    tree = layered()
    lower = replace(tree.layers[0], size=7, files=1, paths=frozenset())
    analysis, _ = limited(
        replace(tree, layers=(lower, tree.layers[1])),
        BudgetRow(scope="layer", name="1", bytes=5, reason="x"),
    )
    (plan,) = analysis.cut_plans
    assert [(step.cut.kind, step.size) for step in plan.steps] == [("hidden in layers", 7)]
    assert plan.fits


@pytest.mark.parametrize("pattern", ["/pkg/tests/**", "**/*.so"])
def test_a_pattern_of_files_over_its_budget_is_told_to_cut_only_what_matches(pattern: str) -> None:
    analysis, (finding,) = limited(WHEEL, BudgetRow(scope="files", name=pattern, bytes=0, reason="x"))
    (plan,) = analysis.cut_plans
    assert finding.subject == pattern
    assert plan.budget.paths
    paths = {path for step in plan.steps for path in step.paths}
    assert paths
    assert paths <= plan.budget.paths
    assert plan.after == plan.budget.used - sum(step.size for step in plan.steps)


def test_an_image_over_its_limit_is_told_of_the_bytes_hidden_in_its_layers() -> None:
    tree = image_of(3 << 20)
    big = replace(tree.layers[0], size=10_000_000_001)
    analysis = audit.analyse(
        replace(tree, layers=(big, tree.layers[1])), config=Config(platforms=("aws-lambda-image",))
    )
    (plan,) = analysis.cut_plans
    assert [(step.cut.kind, step.size) for step in plan.steps] == [("hidden in layers", 3 << 20)]
    assert plan.fits


def test_a_budget_on_what_is_not_there_is_a_warning() -> None:
    _, (finding,) = limited(WHEEL, BudgetRow(scope="package", name="torch", bytes=5, reason="x"))
    assert (finding.rule, finding.subject) == ("budget-without-subject", "package torch")


def test_a_limit_with_a_way_around_it_is_a_warning_that_names_the_way() -> None:
    tree = replace(WHEEL, archive_size=(50 << 20) + 1)
    findings = audit.check(audit.analyse(tree, config=Config(platforms=("aws-lambda-zip",))), budget.RULES)
    assert [(one.rule, one.severity, one.remedy) for one in findings] == [
        ("over-direct-limit", Severity.WARNING, "upload it through S3 instead")
    ]


def test_a_package_that_a_smaller_one_can_stand_in_for_is_replaced_at_a_price() -> None:
    tree = zipped({"tensorflow/a.py": b"", "tensorflow_cpu-2.dist-info/RECORD": b"tensorflow/a.py,,\n"})
    big = replace(tree.entries["/tensorflow/a.py"], size=1_000_000_000, compressed=300_000_000)
    tree = replace(tree, entries={**tree.entries, "/tensorflow/a.py": big}, archive_size=300_000_500)
    (plan,) = audit.analyse(tree).cut_plans
    (step,) = plan.steps
    assert step.cut.why == "ai-edge-litert does the same when only .tflite models are run"
    assert plan.fits
    assert plan.harmless == 300_000_500
    assert plan.after > replacements()[0].packed


def test_every_rule_explains_itself() -> None:
    for rule in (*size.RULES, *budget.RULES):
        assert all((rule.means, rule.matters, rule.mend, rule.source)), rule.key
