"""A catalogue of two samples, one model and its labels, whose files are a few bytes."""

import hashlib

from model_fetch import Asset, Catalog, Labels, Model, Sample

PANDA, SHEEP = b"a panda", b"a sheep"


def _asset(name: str, content: bytes) -> Asset:
    return Asset(
        url=f"https://files.example/{name}",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        licence="CC0-1.0",
    )


def small_catalog() -> Catalog:
    model = Model(
        name="small",
        files=(_asset("small.tflite", b"TFL3"),),
        format="tflite",
        input_size=(8, 8),
        input_type="uint8",
        input_range=(0, 255),
        crop=1,
        output="probabilities",
        output_type="uint8",
        labels="words",
        labels_offset=0,
    )
    return Catalog(
        models=(model,),
        labels=(Labels(name="words", asset=_asset("words.txt", b"panda\n"), lines=1),),
        samples=(
            Sample(
                name="panda.jpg",
                asset=_asset("panda.jpg", PANDA),
                accepted=("giant panda, panda", "lesser panda, red panda"),
            ),
            Sample(name="sheep.jpg", asset=_asset("sheep.jpg", SHEEP), accepted=("sheep",)),
        ),
    )
