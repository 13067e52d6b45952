"""The base of every error that a user is meant to read."""

from typing import ClassVar


class Under48Error(Exception):
    """An expected failure: its text says what happened, to what, and what to do now.

    Subclasses stand beside the code that raises them and set `exit_code`, the status the command ends with.
    Codes in use: 1 findings, 2 misuse or unreadable target, 3 a disk, 10-19 model_fetch, 20-29 engine, 30-39 build,
    40-49 running the image, 50 setting up the tests.
    """

    exit_code: ClassVar[int] = 1
