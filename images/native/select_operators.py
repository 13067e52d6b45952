"""Chooses what TensorFlow Lite is compiled with: from a model's operators to sources and registrations.

Runs in the compile stage, on the sources themselves, so that a newer TensorFlow needs no table to be kept up.

    select_operators.py OPERATORS.json TENSORFLOW_LITE_FOLDER OUTPUT_FOLDER

OPERATORS.json is a list of {"builtin": number, "version": number, "custom": name or null}. Written are
kernels.txt (source files below kernels/), operators.inc (U48_OPERATOR lines for classifier.cc) and operators.txt
(the names).
"""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

# Compiled for every model: see third_party.cmake.
SHARED = {"kernel_util.cc", "eigen_support.cc", "cpu_backend_context.cc", "cpu_backend_gemm_eigen.cc"}
CUSTOM = 32  # BuiltinOperator_CUSTOM of schema.fbs: an operator that TensorFlow Lite itself does not have


class UnknownOperator(Exception):
    """The model needs something that these sources do not hold."""


class Registration(NamedTuple):
    name: str
    lowest: int
    highest: int


def operator_names(schema: str) -> dict[int, str]:
    """The numbers and names of `enum BuiltinOperator` in the text of schema.fbs."""
    body = re.search(r"enum BuiltinOperator\s*:\s*\w+\s*\{(.*?)\}", schema, re.DOTALL)
    if body is None:
        raise UnknownOperator("schema.fbs has no enum BuiltinOperator")
    text = re.sub(r"//[^\n]*", "", body[1])
    return {int(number): name for name, number in re.findall(r"(\w+)\s*=\s*(\d+)", text)}


def registered(register: str) -> dict[str, Registration]:
    """What the text of register.cc adds: AddBuiltin(BuiltinOperator_X, Register_X(), lowest, highest)."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", register, flags=re.DOTALL)
    calls = re.findall(
        r"AddBuiltin\(\s*BuiltinOperator_(\w+),\s*(?:\w+::)*Register_(\w+)\(\)([^;]*)\);", text
    )
    found = {}
    for operator, function, versions in calls:
        numbers = [int(n) for n in re.findall(r"\d+", versions)] + [1, 1]
        if operator == function:
            found[operator] = Registration(
                operator, numbers[0], numbers[1] if len(numbers) > 3 else numbers[0]
            )
    return found


def choose(
    wanted: list[dict[str, object]], names: dict[int, str], known: dict[str, Registration]
) -> list[Registration]:
    """The registrations for the operators a model has.

    Raises:
        UnknownOperator: with every operator, or version of one, that is not there.
    """
    chosen, missing = {}, []
    for operator in wanted:
        number, version = int(str(operator["builtin"])), int(str(operator["version"]))
        name = names.get(number, f"number {number}")
        registration = known.get(name)
        if number == CUSTOM:
            missing.append(f"the custom operator {operator['custom']!r}")
        elif registration is None:
            missing.append(f"operator {name}")
        elif not registration.lowest <= version <= registration.highest:
            known_versions = f"{registration.lowest} to {registration.highest}"
            missing.append(f"version {version} of {name} (known: {known_versions})")
        else:
            chosen[name] = registration
    if missing:
        raise UnknownOperator("the model has what this TensorFlow Lite does not know: " + ", ".join(missing))
    return sorted(chosen.values())


def kernel_sources(chosen: list[Registration], sources: dict[str, str]) -> list[str]:
    """The files of kernels/ that define the registrations, and those that these include from."""
    defines = {}
    for file, text in sources.items():
        for name in re.findall(r"TfLiteRegistration\s*\*\s*Register_(\w+)\s*\(\s*\)\s*\{", text):
            defines[name] = file
    absent = [r.name for r in chosen if r.name not in defines]
    if absent:
        raise UnknownOperator("no source file registers " + ", ".join(absent))
    needed: set[str] = set()
    queue = [defines[r.name] for r in chosen]
    while queue:
        file = queue.pop()
        if file in needed or file in SHARED:
            continue
        needed.add(file)
        headers = re.findall(r'#include "tensorflow/lite/kernels/([\w/]+)\.h"', sources[file])
        queue += [f"{header}.cc" for header in headers if f"{header}.cc" in sources]
    return sorted(needed)


def main(operators: Path, tflite: Path, output: Path) -> None:
    wanted = json.loads(operators.read_text())
    names = operator_names((tflite / "schema/schema.fbs").read_text())
    known = registered((tflite / "core/kernels/register.cc").read_text())
    chosen = choose(wanted, names, known)
    kernels = {f.name: f.read_text() for f in (tflite / "kernels").glob("*.cc") if "test" not in f.name}
    files = kernel_sources(chosen, kernels)
    output.mkdir(parents=True, exist_ok=True)
    (output / "kernels.txt").write_text("".join(f"{f}\n" for f in files))
    lines = (f"U48_OPERATOR({r.name}, {r.lowest}, {r.highest})\n" for r in chosen)
    (output / "operators.inc").write_text("".join(lines))
    (output / "operators.txt").write_text("".join(f"{r.name}\n" for r in chosen))
    print(f"operators: {' '.join(r.name for r in chosen)}")
    print(f"kernels:   {' '.join(files)}")


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:4]))
    except UnknownOperator as error:
        sys.exit(str(error))
