import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from images.native import select_operators
from images.native.select_operators import (
    Registration,
    UnknownOperator,
    choose,
    kernel_sources,
    operator_names,
    registered,
)

SCHEMA = """
namespace tflite;
enum TensorType : byte { FLOAT32 = 0 }
// LINT.IfChange
enum BuiltinOperator : int32 {
  ADD = 0,
  CONV_2D = 3, // an old one: CONVOLUTION = 99
  // WARNING: Experimental interface, GONE = 98
  CUSTOM = 32,
  IF = 118,
  BROADCAST_TO = 130,

  WAVE = 140, LSTM = 16,
}
enum BuiltinOptions : byte { Pool2D = 5 }
"""

REGISTER = """
BuiltinOpResolver::BuiltinOpResolver() {
  AddBuiltin(BuiltinOperator_ADD, Register_ADD(),
             /* min_version */ 1,
             /* max_version */ 4);
  AddBuiltin(BuiltinOperator_CONV_2D, Register_CONV_2D(),
             /* min_version = */ 1,
             /* max_version = */ 8);
  AddBuiltin(BuiltinOperator_LSTM, Register_LSTM(), /* min_version = */ 1,
             /* max_version = 9, once */ 4);  // AddBuiltin(BuiltinOperator_GONE, Register_GONE());
  AddBuiltin(BuiltinOperator_BROADCAST_TO, Register_BROADCAST_TO(),
             /* min_version = */ 2, /* max_version = */ 3);
  // The following are experimental. AddBuiltin(BuiltinOperator_WAVE, Register_WAVE());
  AddBuiltin(BuiltinOperator_IF, tflite::ops::builtin::Register_IF());
  AddBuiltin(BuiltinOperator_MUL,
             Register_MUL(), 7);
  AddBuiltin(BuiltinOperator_DELEGATE, Register_OTHER());
  AddCustom("Mfcc", tflite::ops::custom::Register_MFCC());
}
"""

KERNELS = {
    "add.cc": '#include "tensorflow/lite/kernels/internal/reference/add.h"\n'
    '#include "tensorflow/lite/kernels/kernel_util.h"\nTfLiteRegistration* Register_ADD() {\n',
    "conv.cc": '#include "tensorflow/lite/kernels/cpu_backend_context.h"\n'
    "TfLiteRegistration* Register_CONVOLUTION_REF() {\n}\nTfLiteRegistration* Register_CONV_2D() {\n",
    "lstm.cc": '#include "tensorflow/lite/kernels/lstm_eval.h"\nTfLiteRegistration * Register_LSTM ( ) {\n',
    "lstm_eval.cc": '#include "tensorflow/lite/kernels/lstm_shared.h"\n'
    '#include "tensorflow/lite/kernels/lstm_eval.h"\n',
    "lstm_shared.cc": '#include "tensorflow/lite/kernels/lstm_eval.h"\n',
    "register_ref.cc": "TfLiteRegistration* Register_IF();\n",
    "kernel_util.cc": "",
    "cpu_backend_context.cc": "",
}


def _wanted(builtin: int, version: int = 1, custom: str | None = None) -> dict[str, object]:
    return {"builtin": builtin, "version": version, "custom": custom}


def test_names_are_those_of_the_one_enum_without_its_comments() -> None:
    assert operator_names(SCHEMA) == {
        0: "ADD",
        3: "CONV_2D",
        16: "LSTM",
        32: "CUSTOM",
        118: "IF",
        130: "BROADCAST_TO",
        140: "WAVE",
    }


def test_a_schema_without_the_enum_is_refused() -> None:
    with pytest.raises(UnknownOperator, match="no enum BuiltinOperator"):
        operator_names("enum TensorType : byte { FLOAT32 = 0 }")


def test_registrations_are_read_through_comments_line_breaks_and_namespaces() -> None:
    assert set(registered(REGISTER).values()) == {
        Registration("ADD", 1, 4),
        Registration("CONV_2D", 1, 8),
        Registration("LSTM", 1, 4),
        Registration("BROADCAST_TO", 2, 3),
        Registration("IF", 1, 1),
        Registration("MUL", 7, 7),
    }


def test_the_operators_of_a_model_are_chosen_once_each_in_order() -> None:
    wanted = [_wanted(3, 8), _wanted(0), _wanted(3, 1), _wanted(130, 2)]
    assert [r.name for r in choose(wanted, operator_names(SCHEMA), registered(REGISTER))] == [
        "ADD",
        "BROADCAST_TO",
        "CONV_2D",
    ]


MISSING = {
    "a-number-that-no-schema-has": (_wanted(199), "operator number 199"),
    "a-number-below-all": (_wanted(-3), "operator number -3"),
    "named-and-not-registered": (_wanted(140), "operator WAVE"),
    "too-new": (_wanted(3, 9), "version 9 of CONV_2D (known: 1 to 8)"),
    "too-old": (_wanted(130, 1), "version 1 of BROADCAST_TO (known: 2 to 3)"),
    "custom": (_wanted(32, 1, "TFLite_Detection"), "the custom operator 'TFLite_Detection'"),
}


@pytest.mark.parametrize(("operator", "said"), MISSING.values(), ids=MISSING)
def test_what_is_not_there_is_named(operator: dict[str, object], said: str) -> None:
    with pytest.raises(UnknownOperator, match=re.escape(said) + "$"):
        choose([_wanted(0), operator], operator_names(SCHEMA), registered(REGISTER))


def test_one_message_names_all_that_is_missing() -> None:
    wanted = [operator for operator, _ in MISSING.values()]
    with pytest.raises(UnknownOperator) as caught:
        choose(wanted, operator_names(SCHEMA), registered(REGISTER))
    assert all(said in str(caught.value) for _, said in MISSING.values())


SOURCES = {
    "what-every-model-has-is-left-out": (["ADD", "CONV_2D"], ["add.cc", "conv.cc"]),
    "what-it-includes-and-what-that-includes": (["LSTM"], ["lstm.cc", "lstm_eval.cc", "lstm_shared.cc"]),
    "none": ([], []),
}


@pytest.mark.parametrize(("names", "files"), SOURCES.values(), ids=SOURCES)
def test_sources_are_those_that_define_the_registrations(names: list[str], files: list[str]) -> None:
    assert kernel_sources([Registration(name, 1, 1) for name in names], KERNELS) == files


def test_a_declaration_is_no_definition() -> None:
    with pytest.raises(UnknownOperator, match="no source file registers IF, WAVE"):
        kernel_sources([Registration(name, 1, 1) for name in ("ADD", "IF", "WAVE")], KERNELS)


def _tflite(folder: Path) -> Path:
    files = {"schema/schema.fbs": SCHEMA, "core/kernels/register.cc": REGISTER}
    files |= {f"kernels/{name}": text for name, text in KERNELS.items()}
    files["kernels/add_test.cc"] = KERNELS["add.cc"]  # would define Register_ADD a second time
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _run(tmp_path: Path, wanted: list[dict[str, object]]) -> subprocess.CompletedProcess[str]:
    (tmp_path / "operators.json").write_text(json.dumps(wanted))
    command = [select_operators.__file__, "operators.json", str(_tflite(tmp_path / "lite")), "out"]
    return subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_the_script_writes_what_the_build_reads(tmp_path: Path) -> None:
    done = _run(tmp_path, [_wanted(3, 2), _wanted(0)])
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        "kernels.txt": "add.cc\nconv.cc\n",
        "operators.inc": "U48_OPERATOR(ADD, 1, 4)\nU48_OPERATOR(CONV_2D, 1, 8)\n",
        "operators.txt": "ADD\nCONV_2D\n",
    }
    assert done.stdout == "operators: ADD CONV_2D\nkernels:   add.cc conv.cc\n"


def test_the_script_ends_with_one_line_when_an_operator_is_unknown(tmp_path: Path) -> None:
    done = _run(tmp_path, [_wanted(32, 1, "Detect"), _wanted(199)])
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "the model has what this TensorFlow Lite does not know: the custom operator 'Detect', operator number 199"
    ]
    assert not (tmp_path / "out").exists()
