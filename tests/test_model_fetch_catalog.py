import re
from pathlib import PurePosixPath

import pytest

from model_fetch import Asset, BadCatalog, Catalog, Entry, Labels, UnknownName, load_catalog
from tests.catalogued import needed

CATALOG = load_catalog()
DIGEST = "0" * 64


def text_of(labels: Labels) -> str:
    (file,) = needed(labels)
    return file.read_text(encoding="utf-8")


def test_the_catalogue_has_every_kind_of_thing() -> None:
    assert len(CATALOG.models) == 10
    assert [model.name for model in CATALOG.models if model.format == "tfjs"] == [
        "tfjs_mobilenet_v1_0.75_224"
    ]
    assert [model.name for model in CATALOG.models if model.output == "logits"] == [
        "mobilenet_v2_1.0_224_quant_logits"
    ]
    assert len(CATALOG.samples) == 15


@pytest.mark.parametrize("entry", CATALOG.entries, ids=lambda entry: entry.name)
def test_every_asset_comes_over_https_and_says_its_licence(entry: Entry) -> None:
    for asset in entry.files:
        assert asset.url.startswith("https://")
        assert len(asset.licence) > 3
        # A branch name in a URL would let its content change.
        assert "raw.githubusercontent.com" not in asset.url or re.search(r"/[0-9a-f]{40}/", asset.url)


@pytest.mark.parametrize("sample", CATALOG.samples, ids=lambda sample: sample.name)
def test_every_sample_names_the_origin_of_its_photo(sample: Entry) -> None:
    (asset,) = sample.files
    assert re.match(r"CC-BY-\d\.0\W+\w+|CC0-1.0, \w+|public domain \(|Pexels licence \(", asset.licence)


@pytest.mark.parametrize("model", CATALOG.models, ids=lambda model: model.name)
def test_the_value_range_of_a_model_suits_its_input_type(model: Entry) -> None:
    assert model in CATALOG.models
    lowest, highest = CATALOG.model(model.name).input_range
    expected = {"uint8": (0, 255), "float32": (-1, 1)}[CATALOG.model(model.name).input_type]
    assert (lowest, highest) == expected


@pytest.mark.parametrize("entry", CATALOG.entries, ids=lambda entry: entry.name)
def test_every_entry_can_be_fetched_and_verified(entry: Entry) -> None:
    assert [file.stat().st_size for file in needed(entry)] == [asset.bytes for asset in entry.files]


def test_every_accepted_answer_is_a_line_of_the_labels() -> None:
    (labels,) = CATALOG.labels
    lines = text_of(labels).splitlines()
    assert len(lines) == labels.lines == 1001
    for sample in CATALOG.samples:
        # A line that stands twice (crane) would not tell which class is meant.
        assert [lines.count(answer) for answer in sample.accepted] == [1] * len(sample.accepted)


@pytest.mark.parametrize(("name", "first", "classes"), [
    ("mobilenet_v2_1.0_224_quant", "background", 1001),
    ("tfjs_mobilenet_v1_0.75_224", "tench, Tinca tinca", 1000),
])  # fmt: skip
def test_class_names_begin_with_the_name_of_class_0(name: str, first: str, classes: int) -> None:
    model = CATALOG.model(name)
    names = model.class_names(text_of(CATALOG.labels_of(model)))
    assert (names[0], len(names)) == (first, classes)
    assert names[-1] == "toilet tissue, toilet paper, bathroom tissue"


def test_names_are_found_in_the_kind_that_is_asked_for() -> None:
    assert CATALOG.model("mobilenet_v1_0.25_224").input_size == (224, 224)
    assert CATALOG.sample("panda.jpg").accepted == (
        "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca",
    )
    assert CATALOG.entry("panda.jpg") == CATALOG.sample("panda.jpg")
    assert CATALOG.entry("imagenet_1001") == CATALOG.labels[0]
    with pytest.raises(UnknownName, match=r"no model called 'panda\.jpg'"):
        CATALOG.model("panda.jpg")


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"'panda.jpeg'.*did you mean .*panda\.jpg") as raised:
        CATALOG.sample("panda.jpeg")
    assert raised.value.exit_code == 10
    with pytest.raises(UnknownName) as raised:
        CATALOG.entry("zzzzzz")
    assert "did you mean" not in str(raised.value)
    assert "--list" in str(raised.value)


def test_rows_tell_kind_size_and_whether_all_files_are_cached() -> None:
    shard = CATALOG.model("tfjs_mobilenet_v1_0.75_224").files[-1]
    rows = {
        row.name: row for row in CATALOG.rows(bundled=lambda _: False, cached=lambda asset: asset != shard)
    }
    assert len(rows) == len(CATALOG.entries)
    assert [rows[name].kind for name in ("mobilenet_v1_0.25_224", "imagenet_1001", "panda.jpg")] == [
        "model", "labels", "sample"
    ]  # fmt: skip
    assert [name for name, row in rows.items() if not row.cached] == ["tfjs_mobilenet_v1_0.75_224"]
    assert rows["tfjs_mobilenet_v1_0.75_224"].bytes == 10_407_904 + 49_403
    assert rows["panda.jpg"].licence.startswith("CC-BY-1.0, Aaron Logan")


@pytest.mark.parametrize(("url", "location"), [
    ("https://example.org/a/b.tflite", "example.org/a/b.tflite"),
    ("https://example.org/a/b.tflite?generation=1", "example.org/a/b.tflite"),
    ("http://127.0.0.1:8080/b", "127.0.0.1:8080/b"),
])  # fmt: skip
def test_the_location_of_an_asset_is_host_and_path(url: str, location: str) -> None:
    assert Asset(url=url, sha256=DIGEST, bytes=1, licence="-").location == PurePosixPath(location)


@pytest.mark.parametrize("url", [
    "https://example.org/../../etc/passwd",
    "https://example.org/a/../b",
    "https://example.org/./b",
    "https://example.org//etc/passwd",
    "https://example.org/a/%2e%2e/b",
    "https://example.org/a\\..\\b",
    "https://example.org/a/b\0",
    "https://example.org/a/..;/b",
    "https://example.org/.ssh/config",
    "https://example.org/a/",
    "https://example.org/",
    "https://example.org",
    "https://../etc/passwd",
    "https://..",
    "https:///etc/passwd",
    "https://user@example.org/b",
    "https://user:word@example.org/b",
    "https://[::1]/b",
    "https://example.org/b.part",
    "https://example.org:x/b",
    "file:///etc/passwd",
    "ftp://example.org/b",
    "/etc/passwd",
    "",
])  # fmt: skip
def test_no_url_leads_out_of_the_cache(url: str) -> None:
    with pytest.raises(BadCatalog, match="no plain http"):
        Asset(url=url, sha256=DIGEST, bytes=1, licence="-")


@pytest.mark.parametrize(
    ("sha256", "size"), [("0" * 63, 1), ("G" * 64, 1), ("A" * 64, 1), (DIGEST, 0), (DIGEST, -1)]
)
def test_an_asset_has_a_digest_and_a_size(sha256: str, size: int) -> None:
    with pytest.raises(BadCatalog):
        Asset(url="https://example.org/b", sha256=sha256, bytes=size, licence="-")


def test_a_catalogue_without_its_labels_is_refused() -> None:
    with pytest.raises(BadCatalog, match="no labels called 'imagenet_1001'"):
        Catalog(models=CATALOG.models, labels=(), samples=())


def test_a_catalogue_with_a_name_or_a_file_twice_is_refused() -> None:
    with pytest.raises(BadCatalog, match=r"the name 'panda\.jpg' 2 times"):
        Catalog(models=(), labels=(), samples=CATALOG.samples[:1] * 2)
