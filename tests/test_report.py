import dataclasses
import re

from cli.report import catalog_table, details, removal_table, verdict_table
from images.clean import Removal, Stored
from images.verify import Ranked, Verdict
from model_fetch import Row, load_catalog

GOOD = Verdict(
    photo="panda.jpg",
    top=(
        Ranked(class_name="giant panda, panda, panda bear", probability=0.9375),
        Ranked(class_name="ice bear", probability=0.004),
    ),
    start_ms=200.4,
    init_ms=300,
    run_ms=60,
    warm_ms=24.04,
    memory=31 << 20,
    log=("[INFO] decode 4 ms", "[INFO] main 24 ms"),
)
BAD = dataclasses.replace(
    GOOD,
    photo="a photo with quite a long name.jpg",
    top=(),
    memory=0,
    problem="application error: {'error': 'no image'}",
    note="2,000,000 bytes: the platform takes 1,048,576",
)
LONG = dataclasses.replace(GOOD, top=(Ranked(class_name="w" * 80, probability=1),), photo="1e5")


def test_the_table_has_a_row_for_each_photo_and_its_remarks_below() -> None:
    table = verdict_table([GOOD, BAD])
    head, _, good, bad, *remarks = table.splitlines()
    assert head.split() == ["photo", "best", "class", "probability", "cold", "ms", "warm", "ms", "MiB"]
    assert good.split() == ["ok", "panda.jpg", "giant", "panda", "93.8%", "560", "24.0", "31.0"]
    assert bad.split()[:1] + bad.split()[-5:] == ["FAIL", "-", "-", "560", "24.0", "0.0"]
    assert remarks == [f"{BAD.photo}: {BAD.problem}", f"{BAD.photo}: {BAD.note}"]


def test_the_table_fits_100_columns_and_keeps_names_as_they_are() -> None:
    lines = verdict_table([GOOD, BAD, LONG]).splitlines()[:5]
    assert max(map(len, lines)) <= 100
    assert "1e5" in lines[-1]
    assert "www…" in lines[-1]


def test_details_name_the_classes_the_parts_of_the_cold_start_and_the_log() -> None:
    assert details(GOOD).splitlines() == [
        "93.75%  giant panda, panda, panda bear",
        " 0.40%  ice bear",
        "",
        "cold 560 ms = container 200 + /init 300 + first /run 60; warm 24.0 ms",
        "log of the first activation:",
        "  [INFO] decode 4 ms",
        "  [INFO] main 24 ms",
    ]


def test_details_show_the_parts_of_the_cold_start_that_the_action_logged() -> None:
    elapsed = {"processStart": 41.2, "import": 9, "loadModel": 4.4, "decode": 0.1, "firstInference": 4.2}
    log = tuple(f"elapsed {name} {ms:.1f} ms" for name, ms in elapsed.items())
    assert details(dataclasses.replace(GOOD, log=log)).splitlines()[4] == (
        "in it, by the action's own log: process start 41.2, import 9.0, model load 4.4, first inference 4.2 ms"
    )


def test_details_of_a_photo_without_classes_are_still_there() -> None:
    assert "cold 560 ms" in details(BAD)


def test_the_catalogue_is_listed_by_kind_name_size_and_state() -> None:
    rows = [
        Row(name="0.50", kind="model", bytes=4_100_000, bundled=True, cached=True, licence="Apache-2.0"),
        Row(name="panda.jpg", kind="sample", bytes=60823, bundled=False, cached=False, licence="L" * 60),
    ]
    _, _, first, second = catalog_table(rows).splitlines()
    assert first.split() == ["model", "0.50", "4.1", "MB", "yes", "yes", "Apache-2.0"]
    assert second.split() == ["sample", "panda.jpg", "60.8", "kB", "L" * 41 + "…"]


def test_the_real_catalogue_fits_120_columns() -> None:
    table = catalog_table(load_catalog().rows(bundled=lambda _: True, cached=lambda _: True))
    assert max(map(len, table.splitlines())) <= 120


def test_an_empty_table_is_its_headings() -> None:
    assert catalog_table([]).split()[:6] == ["kind", "name", "size", "bundled", "cached", "licence"]
    assert "photo" in verdict_table([])


def test_what_is_removed_is_counted_by_kind_with_the_room_it_takes() -> None:
    stage = Stored(id="1", tags=(), labels={"org.under48.stage": "compile"}, steps=(), layers=(), size=0)
    named = Stored(id="2", tags=("under48/classify:x",), labels={}, steps=(), layers=(), size=0)
    table = removal_table(Removal(images=(stage, stage, named), bytes=1_500_000))
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()[2:]]
    assert rows == [
        ["build stage compile", "2"],
        ["under48/classify:x", "1"],
        ["together, at most", "1.5 MB"],
    ]
