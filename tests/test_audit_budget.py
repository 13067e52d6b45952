"""Limits as the platforms measure them, and those of audit.toml."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.budget import Budget, Limit, base64_length, budgets
from audit.config import BudgetRow, Config
from audit.errors import ConfigError
from audit.profiles import limit_named
from audit.readers.builder import TreeBuilder
from audit.sizes import sizes
from audit.tree import Entry, Layer, Lost, Tree

OPENWHISK_CODE_BYTES = limit_named("openwhisk.code").bytes
OPENWHISK_ZIP_BYTES = limit_named("openwhisk.zip").bytes
FILES = {"/numpy/a.so": 600, "/numpy/b.py": 100, "/lib/c.so": 200, "/d": 100}


@given(st.binary(max_size=100))
def test_the_base64_length_is_that_of_the_text(content: bytes) -> None:
    assert base64_length(len(content)) == len(base64.b64encode(content))


def test_the_largest_zip_that_the_platform_takes_has_36_mib() -> None:
    assert OPENWHISK_ZIP_BYTES == 37_748_736
    assert base64_length(OPENWHISK_ZIP_BYTES) == OPENWHISK_CODE_BYTES == 50_331_648
    assert base64_length(OPENWHISK_ZIP_BYTES + 1) > OPENWHISK_CODE_BYTES


def tree_of(archive_size: int | None, form: Any = None) -> Tree:
    builder = TreeBuilder("x")
    for path, size in FILES.items():
        compressed = None if archive_size is None else size // 10
        builder.put(path, Entry(kind="file", mode=0o644, size=size, compressed=compressed))
    return builder.build(form or ("zip" if archive_size is not None else "image"), archive_size=archive_size)


def found(tree: Tree, config: Config | None = None, limit: Limit | None = None) -> tuple[Budget, ...]:
    return budgets(tree, sizes(tree, tree.entries), config or Config(), limit)


@pytest.mark.parametrize(
    ("size", "over"),
    [
        (5_000_000, [False, False, False]),
        (OPENWHISK_ZIP_BYTES, [False, False, False]),
        (OPENWHISK_ZIP_BYTES + 1, [True, True, False]),
        (OPENWHISK_CODE_BYTES + 1, [True, True, True]),
    ],
)
def test_a_zip_is_over_by_its_base64_text_while_the_plain_limit_only_stands_beside(
    size: int, over: list[bool]
) -> None:
    listed = found(tree_of(size))
    assert [budget.over for budget in listed] == over
    assert [budget.decides for budget in listed] == [True, False, False]


@pytest.mark.parametrize(
    ("form", "archive", "labels"),
    [
        ("zip", 700, ["zip, direct upload (AWS Lambda)", "unpacked (AWS Lambda zip)"]),
        ("folder", None, ["unpacked (AWS Lambda zip)"]),
        ("image", None, ["image (AWS Lambda)"]),
        ("tar", None, []),
    ],
)
def test_each_form_of_target_meets_the_limits_that_are_about_it(
    form: str, archive: int | None, labels: list[str]
) -> None:
    config = Config(platforms=("aws-lambda-zip", "aws-lambda-image"))
    assert [budget.label for budget in found(tree_of(archive, form), config)] == labels


def test_an_image_weighs_what_its_layers_weigh_hidden_files_included() -> None:
    lost = Lost(path="/x", size=500, by=2, deleted=True)
    layers = (Layer(name="a", files=2, size=900, lost=(lost,)), Layer(name="b", files=3, size=600))
    builder = TreeBuilder("x")
    builder.put("/d", Entry(kind="file", mode=0o644, size=1000))
    tree = Tree(name="x", form="image", entries=builder.entries, layers=layers)
    (budget,) = found(tree, Config(platforms=("aws-lambda-image",)))
    assert (budget.used, budget.hidden) == (1500, 500)


@pytest.mark.parametrize(("size", "over"), [(None, []), (1 << 20, [False]), ((1 << 20) + 1, [True])])
def test_parameters_are_judged_when_their_size_is_told(size: int | None, over: list[bool]) -> None:
    listed = found(tree_of(None), Config(parameters=size))
    assert [budget.over for budget in listed] == over


def test_an_image_has_the_budget_that_the_user_sets_on_its_files() -> None:
    assert found(tree_of(None)) == ()
    (budget,) = found(tree_of(None), limit=Limit(bytes=999, label="image"))
    assert (budget.label, budget.used, budget.left, budget.over) == ("image", 1000, -1, True)


def test_a_limit_of_the_user_on_a_zip_counts_its_own_bytes() -> None:
    assert found(tree_of(70), limit=Limit(bytes=60))[-1].used == 70


@pytest.mark.parametrize(
    ("row", "label", "used", "limit"),
    [
        ({"scope": "whole", "bytes": 5}, "whole", 1000, 5),
        ({"scope": "whole", "bytes": 5, "packed": True}, "whole, packed", 70, 5),
        ({"scope": "whole", "share": 0.5, "base": "aws-lambda-zip.unpacked"}, "whole", 1000, 125 << 20),
        ({"scope": "package", "name": "num*", "bytes": 5}, "package num*", 0, 5),
        ({"scope": "package", "name": "numpy/", "share": 0.25}, "package numpy/", 700, 250),
        ({"scope": "files", "name": "**/*.so", "share": 0.5}, "**/*.so", 800, 500),
        ({"scope": "files", "name": "/lib/*", "bytes": 5, "packed": True}, "/lib/*, packed", 20, 5),
        ({"scope": "files", "name": "*.so", "share": 0.5, "packed": True}, "*.so, packed", 0, 35),
        ({"scope": "layer", "name": "1", "bytes": 5}, "layer 1", 0, 5),
    ],
)
def test_a_row_of_the_file_measures_what_it_names(
    row: dict[str, Any], label: str, used: int, limit: int
) -> None:
    config = Config(platforms=(), budgets=(BudgetRow(**row, reason="why"),))
    (budget,) = found(tree_of(70), config)
    assert (budget.label, budget.used, budget.limit, budget.reason) == (label, used, limit, "why")
    assert budget.empty is (used == 0)


def test_a_pattern_is_looked_for_below_the_folder_that_a_package_lies_in() -> None:
    runtime, target = tree_of(None), tree_of(70)
    tree = runtime.with_mounted(target, "/action")
    own = [f"/action{path}" for path in FILES]
    row = BudgetRow(scope="files", name="/lib/*", bytes=5, reason="x")
    config = Config(platforms=(), budgets=(row,))
    (budget,) = budgets(target, sizes(tree, own, "/action"), config, at="/action")
    assert budget.paths == frozenset({"/action/lib/c.so"})


def test_a_layer_of_an_image_has_its_number_from_the_lowest() -> None:
    layers = (Layer(name="a", files=1, size=7), Layer(name="b", files=1, size=9))
    tree = Tree(name="x", form="image", entries=TreeBuilder("x").entries, layers=layers)
    rows = tuple(BudgetRow(scope="layer", name=name, bytes=5, reason="x") for name in ("1", "2", "3"))
    listed = found(tree, Config(budgets=rows))
    assert [(budget.used, budget.empty) for budget in listed] == [(7, False), (9, False), (0, True)]


def test_a_platform_or_base_that_is_not_known_is_refused() -> None:
    row = BudgetRow(scope="whole", share=0.5, base="azure.zip", reason="x")
    for config in (Config(platforms=("azure",)), Config(budgets=(row,))):
        with pytest.raises(ConfigError, match="azure"):
            found(tree_of(70), config)


def test_a_limit_of_nothing_is_always_over() -> None:
    budget = Budget(label="x", limit=0, used=1, reason="")
    assert budget.over
    assert budget.share == float("inf")
