"""Runs models in TensorFlow's own interpreter, for the results that the native library is compared with.

    .venv-reference/bin/python tests/reference/infer.py FOLDER

FOLDER/jobs.json maps the name of a model to its file and to the names of its inputs. The input tensor of each is in
FOLDER/<model>/<name>.in, as the bytes that it has in memory; the output tensor comes beside it as <name>.out.
FOLDER/outputs.json then says of each model what type its output has, and what its numbers stand for.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np  # type: ignore[import-not-found]
import tensorflow as tf  # type: ignore[import-untyped]


def infer(folder: Path, model: str, names: list[str]) -> dict[str, Any]:
    """Run one model on all its inputs, as the interpreter does by default: on a CPU that is with XNNPACK."""
    interpreter = tf.lite.Interpreter(model_path=model)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    for name in names:
        tensor = np.frombuffer((folder / f"{name}.in").read_bytes(), given["dtype"]).reshape(given["shape"])
        interpreter.set_tensor(given["index"], tensor)
        interpreter.invoke()
        (folder / f"{name}.out").write_bytes(interpreter.get_tensor(made["index"]).tobytes())
    scale, zero_point = made["quantization"]  # 0 and 0 for floats
    return {"type": np.dtype(made["dtype"]).name, "scale": float(scale), "zero_point": int(zero_point)}


def main(folder: Path) -> None:
    """Do all jobs of the folder."""
    jobs = json.loads((folder / "jobs.json").read_text())
    outputs = {name: infer(folder / name, job["model"], job["inputs"]) for name, job in jobs.items()}
    (folder / "outputs.json").write_text(json.dumps(outputs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
