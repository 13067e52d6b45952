"""The environment of one activation after another: seen by Python, C and child processes, in the same memory."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# In a process of its own: the runtime's module takes its process's environment for the action's.
_BEGIN = """
import ctypes, json, os, subprocess, sys
from images.runtime.environment import Environment
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
libc.mallinfo2.restype = type("Info", (ctypes.Structure,), {"_fields_": [(n, ctypes.c_size_t) for n in "abcdefghij"]})
environment = Environment()
def begin(number, size):
    environment.begin({
        "activation_id": f"{number:032x}", "transaction_id": "x" * size, "deadline": str(number), "value": {}
    })
"""


def _outcome(code: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_python_c_and_child_processes_see_the_values_of_this_activation() -> None:
    seen = _outcome("""
found = []
for number, size in ((1, 3), (2, 3), (3, 300), (4, 0)):
    begin(number, size)
    child = "import os; print(len(os.environ['__OW_TRANSACTION_ID']), os.environ['__OW_DEADLINE'])"
    found.append((
        len(os.environ["__OW_TRANSACTION_ID"]), os.environ["__OW_DEADLINE"], libc.getenv(b"__OW_DEADLINE").decode(),
        subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.split(),
    ))
print(json.dumps(found))
""")
    assert seen == [
        [size, str(number), str(number), [str(size), str(number)]]
        for number, size in ((1, 3), (2, 3), (3, 300), (4, 0))
    ]


def test_what_the_activation_before_had_is_gone_for_python_and_for_c() -> None:
    seen = _outcome("""
begin(1, 3)
os.environ["__OW_DEADLINE"] = "the action's own"
begin(2, 3)
environment.begin({"activation_id": "3"})
print(json.dumps([os.environ.get("__OW_DEADLINE"), libc.getenv(b"__OW_DEADLINE"), os.environ["__OW_ACTIVATION_ID"]]))
""")
    assert seen == [None, None, "3"]


def test_ten_thousand_activations_keep_no_memory() -> None:
    kept = _outcome("""
for number in range(100):
    begin(number, 32)
before = libc.mallinfo2().h
for number in range(10_000):
    begin(number, 32)
print(json.dumps(libc.mallinfo2().h - before))
""")
    assert isinstance(kept, int)
    assert kept < 100_000  # of bytes in use; with setenv(3) it is 2.6 million
