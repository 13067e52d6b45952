import pytest

from model_fetch import BadCatalog
from model_fetch.catalog_toml import parse_catalog

DIGEST = "0" * 64
GOOD = f"""
[[model]]
name = "m"
format = "tflite"
licence = "Apache-2.0"
input_size = [96, 128]
input_type = "float32"
input_range = [-1, 1]
crop = 0.875
output = "probabilities"
output_type = "float32"
labels = "l"
labels_offset = 1
files = [{{ url = "https://example.org/m.tflite", bytes = 3, sha256 = "{DIGEST}" }}]

[[labels]]
name = "l"
licence = "Apache-2.0"
lines = 5
files = [{{ url = "https://example.org/l.txt", bytes = 4, sha256 = "{DIGEST}" }}]

[[sample]]
name = "s.jpg"
licence = "CC0-1.0"
accepted = ["tiger cat"]
files = [{{ url = "https://example.org/s.jpg", bytes = 5, sha256 = "{DIGEST}" }}]
"""


def test_a_catalogue_becomes_values() -> None:
    catalog = parse_catalog(GOOD)
    (model,), (labels,), (sample,) = catalog.models, catalog.labels, catalog.samples
    assert (model.input_size, model.input_range, model.crop) == ((96, 128), (-1.0, 1.0), 0.875)
    assert (model.files[0].bytes, model.files[0].licence) == (3, "Apache-2.0")
    assert catalog.labels_of(model) is labels
    assert sample.accepted == ("tiger cat",)


def test_an_empty_catalogue_is_one() -> None:
    assert parse_catalog("").entries == ()


@pytest.mark.parametrize(("old", "new", "complaint"), [
    ("[[model]]", "[[model", "no TOML"),
    ("[[model]]", "[[modell]]", "the catalogue: keys are missing or unknown: modell"),
    ("[[sample]]", "[sample]", "the catalogue: sample"),
    ("crop = 0.875", "", "m: keys are missing or unknown: crop"),
    ("crop = 0.875", "crop = 0.875\ncorp = 1", "m: keys are missing or unknown: corp"),
    ("crop = 0.875", "crop = 87.5", "m: crop = 87.5"),
    ("crop = 0.875", "crop = true", "m: crop = True"),
    ('name = "m"', "", "an entry without a name: keys are missing or unknown: name"),
    ('name = "m"', 'name = "m/n"', "m/n: name"),
    ('name = "m"', 'name = "l"', "the name 'l' 2 times"),
    ('labels = "l"', 'labels = "k"', "no labels called 'k'"),
    ("/s.jpg", "/l.txt", "the location 'example.org/l.txt' 2 times"),
    ('"tflite"', '"onnx"', "m: format = 'onnx': should be one of tflite, tfjs"),
    ("[96, 128]", "[96]", "m: input_size"),
    ("[96, 128]", "[96, 128.5]", "m: input_size"),
    ("labels_offset = 1", "labels_offset = -1", "m: labels_offset"),
    ('accepted = ["tiger cat"]', "accepted = []", "s.jpg: accepted"),
    ('accepted = ["tiger cat"]', "accepted = [7]", "s.jpg: accepted"),
    ("https://example.org/m", "http://example.org/m", "a file of m: url"),
    ("bytes = 3", 'bytes = "3"', "a file of m: bytes"),
    ("files = [", "files = [7, ", "m: files"),
    (DIGEST, DIGEST[1:], "no SHA-256"),
])  # fmt: skip
def test_a_wrong_catalogue_is_refused_with_the_entry_and_the_key(old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(BadCatalog) as raised:
        parse_catalog(GOOD.replace(old, new))
    assert complaint in str(raised.value)
    assert raised.value.exit_code == 18
