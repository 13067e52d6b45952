"""Lets tasks take plain words: `invoke verify a.jpg b.jpg`, `invoke audit` and `invoke audit app.zip`.

Invoke's own positional arguments are always required and always one word each. Here a task's list option also takes
the words after the task's name. And an option that takes a number refuses anything else with a message, where
Invoke has a traceback. This replaces one method of Invoke's parser, which requirements.lock pins.
"""

from collections.abc import Mapping
from typing import NoReturn

from invoke.exceptions import Exit, ParseError
from invoke.parser.parser import ParseMachine

_invoke_handle = ParseMachine.handle
_SHOWN_CHARACTERS = 40  # of a word that is refused
MISUSE = 2  # invoke itself ends with 1, which `audit` keeps for findings


class _Refused(ParseError, Exit):
    """The command line makes no sense; ends the program with its own code."""

    def __init__(self, message: str, parser: ParseMachine) -> None:
        ParseError.__init__(self, message, parser.context)
        self.args = (message,)
        self.message = None  # a ParseError is printed already
        self._code = MISUSE


def _refuse(self: ParseMachine, message: str) -> NoReturn:
    raise _Refused(message, self)


def take_words(tasks: Mapping[str, tuple[str, int | None]]) -> None:
    """For each task name: the list option that takes its words, and how many at most (None: all that follow).

    Where only so many are taken, a task's name starts that task instead, as in `invoke audit verify`.
    """

    def handle(self: ParseMachine, token: str) -> None:
        option, most = tasks.get(self.context.name or "", ("", 0)) if self.context else ("", 0)
        is_word = not token.startswith("-") and not self.waiting_for_flag_value
        if option and is_word and self.current_state == "context":
            words = self.context.args[option]
            if most is None or (len(words.value) < most and token not in self.contexts):
                words.value = token
                return
        try:
            _invoke_handle(self, token)
        except ValueError:  # of int(token)
            option = getattr(self.flag, "name", "")
            shown = token if len(token) <= _SHOWN_CHARACTERS else f"{token[:_SHOWN_CHARACTERS]}…"
            self.error(f"--{option} takes a whole number, not {shown!r}")

    ParseMachine.error = _refuse  # type: ignore[method-assign, assignment]
    ParseMachine.handle = handle  # type: ignore[method-assign]
