"""The native library against TensorFlow itself: same input tensors, every catalogued model on every catalogued photo.

Measured on an AVX512-VNNI machine: of the quantised models every output byte is equal, of the float ones no
probability differs by more than 3e-7. The tolerance is for other processors, for which XNNPACK may choose other
kernels here than in TensorFlow's newer version of it.

TensorFlow's slow reference kernels (OpResolverType.BUILTIN_REF) are no measure for quantised models: they requantise
with integers where XNNPACK does with floats, and TensorFlow's own default result is up to 9 steps from theirs.
"""

import array
import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.pipeline import ROOT
from cli.tests import REFERENCE
from images.activation import Status
from model_fetch import load_catalog
from tests.catalogued import ByEntry, at_hand, needed
from tests.integration.inside import ImageOf, Initialized, encoded, source

pytestmark = pytest.mark.engine

CATALOG = load_catalog()
MODELS = [model.name for model in CATALOG.models if model.format == "tflite"]
PHOTOS = [sample.name for sample in CATALOG.samples]

QUANTISED_STEPS = 1
FLOAT_DIFFERENCE = 1e-5
CODES = {"uint8": "B", "int8": "b", "float32": "f"}  # of the array module

# How many of a model's operators there are, and how many XNNPACK takes. Those that stay behind:
# RESHAPE and SQUEEZE beside the end, SOFTMAX of quantised tensors, QUANTIZE between uint8 and int8.
PLANS = {
    "mobilenet_v1_0.25_128_quant": (31, 29),
    "mobilenet_v1_0.25_224": (31, 30),
    "mobilenet_v1_0.25_224_metadata": (31, 30),
    "mobilenet_v1_0.25_224_quant": (31, 29),
    "mobilenet_v1_0.5_160_quant": (31, 29),
    "mobilenet_v1_0.75_192_quant": (31, 29),
    "mobilenet_v2_1.0_224_quant": (66, 64),
    "mobilenet_v2_1.0_224_quant_logits": (65, 64),
    "tf2_mobilenet_v2_1.0_224_ptq": (68, 65),
}


Answers = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def native(image_of: ImageOf, initialized: Initialized, photos: dict[str, Path]) -> Answers:
    """What the action in `actions/tensors.py` says, by model and photo."""
    answers: Answers = ByEntry()
    for model in at_hand([CATALOG.model(name) for name in MODELS]):
        with initialized(image_of(model).id, code=source("tensors")) as running:
            answers[model] = ByEntry()
            for name, file in photos.items():
                activation = running.run({"image": encoded(file)})
                assert activation.classified.status is Status.SUCCESS, (model, name, activation)
                answers[model][name] = activation.classified.result
    return answers


@pytest.fixture(scope="module")
def reference(native: Answers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which one process of TensorFlow, whose import takes seconds, has done everything."""
    folder = tmp_path_factory.mktemp("reference")
    jobs = {}
    for model, answers in native.items():
        (folder / model).mkdir()
        for name, answer in answers.items():
            (folder / model / f"{name}.in").write_bytes(base64.b64decode(answer["input"]))
        (file,) = needed(CATALOG.model(model))
        jobs[model] = {"model": str(file), "inputs": list(answers)}
    (folder / "jobs.json").write_text(json.dumps(jobs))
    program = ROOT / "tests/reference/infer.py"
    done = subprocess.run(
        [REFERENCE / "bin/python", program, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def output_of(reference: Path, model: str) -> dict[str, Any]:
    described: dict[str, Any] = json.loads((reference / "outputs.json").read_text())[model]
    return described


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("model", MODELS)
def test_the_library_agrees_with_tensorflow(native: Answers, reference: Path, model: str, photo: str) -> None:
    answer = native[model][photo]
    kind = output_of(reference, model)["type"]
    ours = array.array(CODES[kind], base64.b64decode(answer["output"]))
    theirs = array.array(CODES[kind], (reference / model / f"{photo}.out").read_bytes())
    apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    assert apart <= (FLOAT_DIFFERENCE if kind == "float32" else QUANTISED_STEPS)
    assert ours.index(max(ours)) == theirs.index(max(theirs))


@pytest.mark.parametrize("model", MODELS)
def test_stored_numbers_stand_for_what_tensorflow_says(native: Answers, reference: Path, model: str) -> None:
    answer = native[model][PHOTOS[0]]
    theirs = output_of(reference, model)
    assert (answer["scale"], answer["zero_point"]) == (theirs["scale"], theirs["zero_point"])
    stored = array.array(CODES[theirs["type"]], base64.b64decode(answer["output"]))
    scale, zero = (theirs["scale"], theirs["zero_point"]) if theirs["scale"] else (1, 0)
    assert answer["scores"] == pytest.approx([(value - zero) * scale for value in stored], rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_xnnpack_takes_all_operators_but_known_ones(native: Answers, model: str) -> None:
    plans = {(answer["nodes"], answer["delegated"]) for answer in native[model].values()}
    assert plans == {PLANS[model]}
