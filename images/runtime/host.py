"""Answers /init and /run one at a time: holds this container's action, its environment and its logs."""

# ruff: noqa: PTH112 - pathlib costs 7 ms of a cold start
from __future__ import annotations

import os
import sys

from . import loading, messages, unpack
from .environment import Environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .logs import Logs

    Answer = tuple[int, bytes]


class Host:
    """The state of one container: at most one successful /init, then any number of /run."""

    def __init__(self, logs: Logs, built_in: str, roots: Sequence[str]) -> None:
        """`built_in`: the built-in action's folder, if there is one; `roots`: where code may be unpacked."""
        self._logs = logs
        self._built_in = built_in if os.path.isdir(built_in) else None
        self._roots = roots
        self._environment = Environment()
        self._initialized = False
        self._action: loading.Action | None = None
        self._folder: str | None = None
        self._await: Callable[[object], object] | None = None

    def load_built_in(self) -> None:
        """Load the built-in action before anybody asks: a prewarmed container has that behind it.

        What it prints is held until somebody uses it: other code that is sent instead starts with an empty
        log. A failure is shown at once; /init then tries again and tells the platform.
        """
        if self._built_in is None:
            return
        self._logs.hold()
        if self._load(self._built_in, "main") is not None:
            self._logs.release()

    def answer(self, path: str, body: bytearray) -> Answer:
        """Answer a request to /init or /run: status and JSON body."""
        try:
            message = messages.read_object(body)
            return self._init(message) if path == "/init" else self._run(message)
        except messages.MalformedError as error:
            return 400, messages.error_body(str(error))

    def _init(self, message: dict[str, object]) -> Answer:
        if self._initialized:
            self._say(messages.INITIALIZED)
            return 403, messages.error_body(messages.INITIALIZED)
        init = messages.read_init(message)
        message.clear()  # the code may have 50 MB, and from here on `init` has it
        if init.code is None:
            return self._init_built_in(init.env)
        code = unpack.decode(init.code, binary=init.binary)
        init.code = None
        self._logs.release(drop=True)
        self._environment.export(init.env)
        self._forget()
        try:
            folder = self._lay_out(code)
        except unpack.CodeError as error:
            return self._started(self._failed(error))
        del code
        return self._started(self._load(folder, init.main))

    def _init_built_in(self, env: dict[str, str]) -> Answer:
        if self._built_in is None:
            return 403, messages.error_body(messages.MISSING_CODE)
        self._environment.export(env)
        self._logs.release()
        if self._folder == self._built_in:
            return self._started(None)
        self._forget()
        return self._started(self._load(self._built_in, "main"))

    def _lay_out(self, code: bytes) -> str:
        folder = unpack.new_folder(self._roots)
        try:
            if unpack.is_archive(code):
                unpack.unpack(code, folder)
            else:
                loading.write_source(code, folder)
        except BaseException:
            unpack.remove_folder(folder)
            raise
        return folder

    def _load(self, folder: str, main: str) -> Answer | None:
        """Load an action; None when that went well, else the answer, its cause being on stderr."""
        try:
            self._action = loading.load(folder, main)
        except unpack.CodeError as error:
            loading.forget(folder)
            return self._failed(error)
        except BaseException as error:  # noqa: BLE001 - whatever the action's code raises, SystemExit too
            loading.forget(folder)
            self._show(error)
            self._say(messages.ABRUPT)
            return 502, messages.error_body(messages.NOT_STARTED)
        self._folder = folder
        return None

    def _failed(self, error: unpack.CodeError) -> Answer:
        if error.__cause__ is not None:
            self._show(error.__cause__)
        self._say(error)
        return 502, messages.error_body(messages.NO_BINARY)

    def _started(self, failure: Answer | None) -> Answer:
        if failure is not None:
            self._logs.end()
            return failure
        self._initialized = True
        self._logs.flush()
        return 200, b'{"ok":true}'

    def _forget(self) -> None:
        folder, self._folder, self._action = self._folder, None, None
        if folder is not None:
            loading.forget(folder)

    def _run(self, message: dict[str, object]) -> Answer:
        action = self._action
        if action is None:
            return 500, messages.error_body(messages.NO_ACTION)
        self._environment.begin(message)
        self._logs.release()
        value = message.get("value")
        try:
            return self._call(action, {} if value is None else value)
        finally:
            self._logs.end()

    def _call(self, action: loading.Action, value: object) -> Answer:
        if not isinstance(value, (dict, list)):
            return 404, messages.error_body(messages.BAD_ARGUMENT)
        try:
            result = action(value)
            if hasattr(result, "__await__"):
                result = self._wait(result)
        except SystemExit as error:
            self._show(error)
            return 400, messages.error_body(messages.EXITED)
        except BaseException as error:  # noqa: BLE001 - a failing action is an answer, and the container stays
            self._show(error)
            return 200, messages.error_body(_describe(error))
        try:
            return 200, messages.result_body(result)
        except messages.ResultError as error:
            return 502, messages.error_body(str(error))

    def _wait(self, result: object) -> object:
        if self._await is None:
            from .waiting import make_waiter  # noqa: PLC0415 - asyncio costs 40 ms, and few actions are async

            self._await = make_waiter()
        return self._await(result)

    def _say(self, text: object) -> None:
        self._logs.flush()  # after which stderr is the log again, whatever the action has put there
        print(text, file=sys.stderr)

    def _show(self, error: BaseException) -> None:
        """Print what Python would: a traceback, beginning in the action's code; of SystemExit, its message."""
        if isinstance(error, SystemExit):
            if error.code is not None and not isinstance(error.code, int):
                self._say(error.code)
            return
        if isinstance(error, loading.StartError):
            self._say(error)
            return
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__:
            trace = trace.tb_next
        error.__traceback__ = trace  # the hook below shows this one, whatever it is given
        self._logs.flush()
        sys.__excepthook__(type(error), error, trace)  # in C, where the traceback module costs 4 ms


def _describe(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 - __str__ is the action's code too
        return type(error).__name__
