"""Starts programs as in the foreground of a terminal, where no signal is ignored, wherever the tests themselves run.

A shell's background job ignores SIGINT and one of nohup SIGHUP, and every program that they start inherits that
(execve(2)).
"""

import sys
from pathlib import Path

_RESET = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def foreground(*command: str | Path) -> list[str]:
    """`command`, to be started with the signals' default actions; its process is the one that is started."""
    return [sys.executable, "-I", "-S", "-c", _RESET, *map(str, command)]
