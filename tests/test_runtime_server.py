"""The runtime's answers, logs and environment, asked of the real process as the platform would."""

from __future__ import annotations

import io
import json
import signal
import sys
import tarfile
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.runtime_process import SENTINEL, RuntimeProcess, make_zip

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

ECHO = "def main(args):\n    return args\n"
NO_BINARY = {"error": "The action failed to generate or locate a binary. See logs for details."}
NOT_STARTED = {"error": "Cannot start action. Check logs for details."}
NO_DICTIONARY = {"error": "The action did not return a dictionary or array."}
BUILT_IN = """
import helper
print("loaded")
def main(args):
    return {"built in": helper.NAME, "args": args}
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[RuntimeProcess]:
    with RuntimeProcess(tmp_path) as process:
        yield process


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[RuntimeProcess]:
    """A runtime with an action built in."""
    folder = tmp_path / "built-in"
    folder.mkdir()
    (folder / "__main__.py").write_text(BUILT_IN)
    (folder / "helper.py").write_text("NAME = 'yes'\n")
    with RuntimeProcess(tmp_path, folder) as process:
        yield process


# /init
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["", None])
def test_init_without_code_is_refused_where_nothing_is_built_in(
    runtime: RuntimeProcess, code: str | None
) -> None:
    missing = (403, {"error": "Missing main/no code to execute."})
    assert runtime.init(code) == missing
    assert runtime.send("/init", "{}") == missing
    assert runtime.run({}) == (500, {"error": "no action defined yet"})
    assert runtime.init(ECHO) == (200, {"ok": True})  # nothing was spoilt
    assert runtime.lines(0) == ("", "")


def test_a_second_init_is_refused_and_the_first_stays(runtime: RuntimeProcess) -> None:
    assert runtime.init(ECHO) == (200, {"ok": True})
    assert runtime.init("def main(args): return {}") == (
        403,
        {"error": "Cannot initialize the action more than once."},
    )
    assert "Cannot initialize the action more than once." in runtime.lines(0)[1]
    assert runtime.run({"a": 1}) == (200, {"a": 1})


@pytest.mark.parametrize(
    ("code", "answer", "err"),
    [
        ("def main(args)\n  return", NO_BINARY, "SyntaxError"),
        ("x = '\0'", NO_BINARY, "null bytes"),
        (make_zip({"main.py": ECHO}), NO_BINARY, "Zip file does not include"),
        (make_zip({"__main__.py": "def"}), NO_BINARY, "SyntaxError"),
        (make_zip({"__main__.py": ECHO, "virtualenv/lib/x.py": ""}), NO_BINARY, "Invalid virtualenv"),
        (make_zip({"__main__.py": ECHO, "requirements.txt": "x"}), NO_BINARY, "no pip"),
        (make_zip({"__main__.py": ECHO, "../evil.py": ""}), NO_BINARY, "leads out"),
        (make_zip({"__main__.py": ECHO})[:-30], NO_BINARY, "damaged"),
        ("import no_such_package", NOT_STARTED, "ModuleNotFoundError"),
        ("1/0", NOT_STARTED, "ZeroDivisionError"),
        ("import sys; sys.exit(1)", NOT_STARTED, "Command exited abruptly during initialization."),
        ("def other(args): return {}", NOT_STARTED, "no function 'main'"),
        ("main = 3", NOT_STARTED, "no function 'main'"),
    ],
)
def test_code_that_gives_no_action_is_502_with_its_cause_in_the_log(
    runtime: RuntimeProcess, code: str | bytes, answer: object, err: str
) -> None:
    assert runtime.init(code) == (502, answer)
    out, log = runtime.lines(1)
    assert out == ""
    assert err in log
    assert "images/runtime" not in log  # no frames of ours
    assert runtime.run({}) == (500, {"error": "no action defined yet"})
    assert runtime.init(ECHO) == (200, {"ok": True})
    assert runtime.run({"again": True}) == (200, {"again": True})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        '"x"',
        '{"value":7}',
        '{"value":{"code":7}}',
        '{"value":{"code":"x","env":[]}}',
        "[" * 99999,
    ],
)
def test_a_malformed_init_is_400_and_the_server_lives(runtime: RuntimeProcess, body: str) -> None:
    status, answer = runtime.send("/init", body)
    assert (status, list(answer)) == (400, ["error"])
    assert runtime.init(ECHO) == (200, {"ok": True})
    assert runtime.lines(0) == ("", "")


def test_binary_code_that_is_not_base64_is_400(runtime: RuntimeProcess) -> None:
    status, answer = runtime.send("/init", '{"value":{"binary":true,"code":"not base64"}}')
    assert status == 400
    assert answer["error"].startswith("cannot decode the request: ")


def test_init_takes_48_megabytes_of_code(runtime: RuntimeProcess) -> None:
    assert runtime.init(ECHO + "#" * 50_000_000) == (200, {"ok": True})
    assert runtime.run({"a": 1}) == (200, {"a": 1})


def test_source_knows_its_name_its_folder_and_unicode(runtime: RuntimeProcess) -> None:
    code = """
import os, sys
def niam(args):
    sep = args["delimiter"]
    print(sep + " ☃ " + sep)
    return {"winter": sep + " ☃ " + sep, "name": __name__, "here": os.getcwd() == sys.path[0],
            "python": sys.executable, "file": os.path.basename(__file__), "module": sys.modules["main__"] is
            not None}
"""
    assert runtime.init(code, main="niam") == (200, {"ok": True})
    status, answer = runtime.run({"delimiter": "❄"})
    assert status == 200
    assert "python" in answer.pop("python")
    assert answer == {
        "winter": "❄ ☃ ❄", "name": "main__", "here": True, "file": "__main__.py", "module": True
    }  # fmt: skip
    assert runtime.lines(1) == ("❄ ☃ ❄", "")


FILES = {
    "__main__.py": "from echo import echo\n"
    "def niam(args):\n    return {**echo(args), 'data': open('a/b.txt').read()}\n",
    "echo.py": "def echo(args):\n    return {'echo': args}\n",
    "a/b.txt": "content",
}


def make_tar(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize("code", [make_zip(FILES), make_tar(FILES)], ids=["zip", "tar.gz"])
def test_archives_bring_modules_and_relative_files(runtime: RuntimeProcess, code: bytes) -> None:
    assert runtime.init(code, main="niam") == (200, {"ok": True})
    assert runtime.run({"msg": "it works"}) == (200, {"echo": {"msg": "it works"}, "data": "content"})
    assert runtime.lines(1) == ("", "")


@pytest.mark.parametrize("entry", ["__main__.py", "exec", "main__.py"])
def test_archives_may_name_their_entry_in_three_ways(runtime: RuntimeProcess, entry: str) -> None:
    assert runtime.init(make_zip({entry: ECHO})) == (200, {"ok": True})
    assert runtime.run({"a": 1}) == (200, {"a": 1})


def test_a_virtualenv_in_the_zip_is_activated(runtime: RuntimeProcess) -> None:
    activate = """
import os, site, sys
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
before = len(sys.path)
site.addsitedir(os.path.join(root, "lib"))
sys.path[:] = sys.path[before:] + sys.path[:before]
"""
    files = {
        "__main__.py": "import agent\ndef main(args):\n    return {'agent': agent.NAME}\n",
        "virtualenv/bin/activate_this.py": activate,
        "virtualenv/lib/agent.py": "NAME = 'smith'\n",
    }
    assert runtime.init(make_zip(files))[0] == 200
    assert runtime.run({}) == (200, {"agent": "smith"})


# /run
# -----------------------------------------------------------------------------------------------------------


def test_echo_and_prints_of_several_activations(runtime: RuntimeProcess) -> None:
    code = """
import sys
def main(args):
    print("hello stdout")
    print("hello stderr", file=sys.stderr)
    return args
"""
    assert runtime.init(code) == (200, {"ok": True})
    values: list[object] = [
        {"string": "hello"},
        {"string": "❄ ☃ ❄"},
        {"numbers": [42, 1]},
        {"object": {"a": "A"}},
    ]
    for value in [*values, ["a", "b"], {"arg": "a" * 1_048_561}]:
        assert runtime.run(value) == (200, value)
    out, err = runtime.logs()
    assert out == f"hello stdout\n{SENTINEL}\n" * 6
    assert err == f"hello stderr\n{SENTINEL}\n" * 6


RESULTS: list[tuple[str, int, object, str]] = [
    ("return 'text'", 502, NO_DICTIONARY, ""),
    ("return 7", 502, NO_DICTIONARY, ""),
    ("return None", 200, {}, ""),
    ("return ['a', 'b']", 200, ["a", "b"], ""),
    ("return {'error': 'sorry', 'more': 1}", 200, {"error": "sorry", "more": 1}, ""),
    ("return {'a': 1 / 0}", 200, {"error": "division by zero"}, "Traceback"),
    ("raise KeyError", 200, {"error": "KeyError"}, "Traceback"),
    ("import sys; sys.exit(1)", 400, {"error": "command exited"}, ""),
    ("import sys; sys.exit('why')", 400, {"error": "command exited"}, "why"),
    ("raise KeyboardInterrupt", 200, {"error": "KeyboardInterrupt"}, "Traceback"),
    ("import sys; return {'in': sys.stdin.read()}", 200, {"in": ""}, ""),
    ("return (lambda: main(args))()", 200, {"error": "maximum recursion depth exceeded"}, "RecursionError"),
]


@pytest.mark.parametrize(("body", "status", "answer", "err"), RESULTS)
def test_what_an_action_does_becomes_this_answer(
    runtime: RuntimeProcess, body: str, status: int, answer: object, err: str
) -> None:
    assert runtime.init(f"def main(args):\n    {body}\n") == (200, {"ok": True})
    assert runtime.run({}) == (status, answer)
    out, log = runtime.lines(1)
    assert out == ""
    assert err in log if err else log == ""
    assert "images/runtime" not in log
    assert runtime.run({}) == (status, answer)  # and the action is still there
    assert runtime.process.poll() is None


@pytest.mark.parametrize("body", ["return {'a': float('nan')}", "return {'a': b'x'}", "return {'a': {1}}"])
def test_results_that_json_cannot_hold_are_502_with_the_reason(runtime: RuntimeProcess, body: str) -> None:
    runtime.init(f"def main(args):\n    {body}\n")
    status, answer = runtime.run({})
    assert status == 502
    assert answer["error"].startswith("The action did not return a dictionary or array that JSON can hold: ")
    assert runtime.lines(1) == ("", "")


def test_main_without_parameters_is_the_actions_error(runtime: RuntimeProcess) -> None:
    runtime.init("def main():\n    return {}\n")
    assert runtime.run({}) == (200, {"error": "main() takes 0 positional arguments but 1 was given"})


def test_async_actions_share_one_event_loop(runtime: RuntimeProcess) -> None:
    code = """
import asyncio
loops = []
async def main(args):
    await asyncio.sleep(0)
    loops.append(asyncio.get_running_loop())
    return {"runs": len(loops), "loops": len(set(loops))}
"""
    runtime.init(code)
    assert [runtime.run({})[1] for _ in range(2)] == [{"runs": 1, "loops": 1}, {"runs": 2, "loops": 1}]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"value":', "\x00"])
def test_a_malformed_run_is_400_and_the_action_stays(runtime: RuntimeProcess, body: str) -> None:
    runtime.init(ECHO)
    status, answer = runtime.send("/run", body)
    assert (status, list(answer)) == (400, ["error"])
    assert runtime.run({"a": 1}) == (200, {"a": 1})


@pytest.mark.parametrize("body", ["{}", "null", '{"value":null}', '{"value":{}}'])
def test_a_missing_value_is_an_empty_object(runtime: RuntimeProcess, body: str) -> None:
    runtime.init(ECHO)
    assert runtime.send("/run", body) == (200, {})


@pytest.mark.parametrize("value", ["text", 7, True])
def test_a_value_that_is_no_object_is_404(runtime: RuntimeProcess, value: object) -> None:
    runtime.init(ECHO)
    expected = {"error": "The action did not receive a dictionary or array as an argument."}
    assert runtime.run(value) == (404, expected)
    assert runtime.lines(1) == ("", "")


# Environment
# ----------------------------------------------------------------------------------------------------

READ_ENV = """
import os
SEEN = {name: os.environ.get(name) for name in ("SOME_VAR", "ANOTHER_VAR", "__OW_ACTIVATION_ID", "HOST_VAR")}
def main(args):
    return {"import": SEEN, "run": {k: v for k, v in os.environ.items() if k.startswith("__OW_")}}
"""


def test_environment_at_import_and_anew_for_each_run(tmp_path: Path) -> None:
    container = {"__OW_API_HOST": "xyz", "__OW_FOO": "a=b", "HOST_VAR": "from the image"}
    with RuntimeProcess(tmp_path, env=container) as runtime:
        init = {"SOME_VAR": "xyz", "ANOTHER_VAR": "", "__OW_ACTIVATION_ID": "first", "__OW_API_KEY": "k:1"}
        assert runtime.init(READ_ENV, env=init) == (200, {"ok": True})
        lasting = {"__OW_API_HOST": "xyz", "__OW_FOO": "a=b"}
        context = {"namespace": "ns", "action_name": "/ns/a", "action_version": "0.0.1", "activation_id": "2",
                   "transaction_id": "t", "deadline": 123, "api_key": "k:2"}  # fmt: skip
        _, answer = runtime.run({}, **context)
        assert answer["import"] == {
            "SOME_VAR": "xyz", "ANOTHER_VAR": "", "__OW_ACTIVATION_ID": "first", "HOST_VAR": "from the image"
        }  # fmt: skip
        assert answer["run"] == {
            **lasting,
            **{f"__OW_{key.upper()}": str(value) for key, value in context.items()},
        }
        assert runtime.run({}, deadline=None, api_key=True)[1]["run"] == {
            **lasting, "__OW_DEADLINE": "", "__OW_API_KEY": "true"
        }  # fmt: skip
        assert runtime.run({})[1]["run"] == lasting
        assert runtime.run({}, api_key="a\0secret")[0] == 400
        assert "k:1" not in "".join(runtime.logs())
        assert "secret" not in "".join(runtime.logs())


def test_output_at_import_belongs_to_the_first_activation(runtime: RuntimeProcess) -> None:
    runtime.init("import os\nprint(os.environ['X'])\n" + ECHO, env={"X": "xyz"})
    runtime.run({})
    assert runtime.logs() == (f"xyz\n{SENTINEL}\n", f"{SENTINEL}\n")


# Logs
# -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "print('no newline', end='')",
        "sys.stdout.buffer.write(b'no newline')",
        "subprocess.run(['printf', 'no newline'])",
        "ctypes.CDLL(None).printf(b'no newline\\n')",
        "sys.stdout = open('/dev/null', 'w'); print('lost'); sys.__stdout__.write('no newline')",
        "print('no newline'); sys.stdout.close()",
    ],
)
def test_output_of_any_kind_comes_before_the_sentinel_and_is_not_lost(
    runtime: RuntimeProcess, body: str
) -> None:
    runtime.init(f"import ctypes, subprocess, sys\ndef main(args):\n    {body}\n    return {{}}\n")
    for count in (1, 2):
        assert runtime.run({}) == (200, {})
        lines = [line for line in runtime.logs()[0].splitlines() if line]
        assert lines == ["no newline", SENTINEL] * count


def test_lines_are_in_the_log_even_if_the_action_is_killed(runtime: RuntimeProcess) -> None:
    runtime.init("import os\ndef main(args):\n    print('last words')\n    os._exit(3)\n")
    with pytest.raises(ConnectionError):
        runtime.run({})
    assert runtime.logs()[0] == "last words\n"


# A built-in action
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [None, "{}", '{"value":{"code":null}}', '{"value":{"code":""}}', '{"value":{}}']
)
def test_the_built_in_action_answers_with_and_without_init(stub: RuntimeProcess, body: str | None) -> None:
    if body is not None:
        assert stub.send("/init", body) == (200, {"ok": True})
    assert stub.run({"a": 1}) == (200, {"built in": "yes", "args": {"a": 1}})
    assert stub.send("/run", "null") == (200, {"built in": "yes", "args": {}})
    assert stub.lines(2) == ("loaded", "")
    assert stub.send("/init", "{}")[0] == (200 if body is None else 403)


def test_code_that_is_sent_replaces_the_built_in_action_and_its_modules(stub: RuntimeProcess) -> None:
    files = {
        "__main__.py": "import helper\ndef main(args):\n    return {'mine': helper.NAME}\n",
        "helper.py": "NAME = 1",
    }
    assert stub.init(make_zip(files)) == (200, {"ok": True})
    assert stub.run({}) == (200, {"mine": 1})


def test_what_the_built_in_action_printed_is_not_in_the_log_of_other_code(stub: RuntimeProcess) -> None:
    assert stub.init(ECHO) == (200, {"ok": True})
    assert stub.run({"a": 1}) == (200, {"a": 1})
    assert stub.lines(1) == ("", "")


@pytest.mark.parametrize("end", [ECHO, "raise OSError('model.tflite is missing')\n"])
def test_the_built_in_action_is_loaded_before_anybody_asks(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "early"
    folder.mkdir()
    (folder / "__main__.py").write_text("import os\nos.mkdir(__file__ + '.loaded')\nprint('loaded')\n" + end)
    with RuntimeProcess(tmp_path, folder) as runtime:
        wait_for((folder / "__main__.py.loaded").exists)
        if "raise" in end:  # whoever looks at the log shall see why, though nobody asks
            wait_for(lambda: "model.tflite is missing" in runtime.logs()[1])
            assert runtime.logs()[0] == "loaded\n"
        else:
            assert runtime.send("/init", "{}") == (200, {"ok": True})
            assert runtime.logs()[0] == "loaded\n"


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def test_a_failed_init_does_not_fall_back_to_the_built_in_action(stub: RuntimeProcess) -> None:
    assert stub.init("1/0")[0] == 502
    assert stub.run({}) == (500, {"error": "no action defined yet"})
    assert stub.init(None) == (200, {"ok": True})
    assert stub.run({})[1]["built in"] == "yes"


def test_a_built_in_action_that_cannot_load_is_told_at_init(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "__main__.py").write_text("raise OSError('model.tflite is missing')\n")
    with RuntimeProcess(tmp_path, folder) as runtime:
        assert runtime.send("/init", "{}") == (502, NOT_STARTED)
        assert "model.tflite is missing" in runtime.lines(1)[1]
        assert runtime.run({}) == (500, {"error": "no action defined yet"})
        assert runtime.init(ECHO) == (200, {"ok": True})


def test_init_waits_for_a_slow_load_instead_of_failing(tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "__main__.py").write_text("import time\ntime.sleep(3)\n" + ECHO)
    with RuntimeProcess(tmp_path, folder) as runtime:
        start = time.monotonic()
        runtime.connect().close()
        connected = time.monotonic() - start
        assert runtime.send("/init", "{}") == (200, {"ok": True})
        assert connected < 2 < time.monotonic() - start


# Connections
# ----------------------------------------------------------------------------------------------------


def test_overlapping_runs_are_answered_one_after_the_other(runtime: RuntimeProcess) -> None:
    runtime.init(
        "import time\nbusy = 0\ndef main(args):\n    global busy\n    busy += 1\n    time.sleep(0.02)\n"
        "    most = busy\n    busy -= 1\n    return {'n': args['n'], 'most': most}\n"
    )
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda number=number: answers.append((number, runtime.run({"n": number}))))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=str) == [(number, (200, {"n": number, "most": 1})) for number in range(8)]
    runtime.lines(8)


def receive(client: socket.socket) -> bytes:
    """Everything up to the end of one response."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0
    )
    while len(body) < length:
        body += client.recv(65536)
    return head.split(b"\r\n")[0] + b" " + body


def request(body: bytes, *fields: bytes, path: bytes = b"/run") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_one_connection_may_carry_many_requests(runtime: RuntimeProcess) -> None:
    runtime.init(ECHO)
    with runtime.connect() as client:
        for number in range(3):
            client.sendall(request(b'{"value":{"n":%d}}' % number))
            assert receive(client) == b'HTTP/1.1 200 OK {"n":%d}' % number
        client.sendall(
            b"POST /run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b'c\r\n{"value":{}}\r\n0\r\n\r\n'
        )
        assert receive(client) == b"HTTP/1.1 200 OK {}"


def test_a_client_that_expects_100_continue_gets_it(runtime: RuntimeProcess) -> None:
    runtime.init(ECHO)
    whole = request(b'{"value":{}}', b"Expect: 100-continue", b"Connection: close")
    head, _, body = whole.partition(b"\r\n\r\n")
    with runtime.connect() as client:
        client.sendall(head + b"\r\n\r\n")
        assert receive(client) == b"HTTP/1.1 100 Continue "
        client.sendall(body)
        assert receive(client) == b"HTTP/1.1 200 OK {}"
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST http://[::1/x HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /\0 HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /%zz HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /run\r\n\r\n", b"400"),
        (b"POST /run HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400"),
        (b"DELETE /run HTTP/1.1\r\n\r\n", b"405"),
        (b"POST /init HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 300_000, b"413"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_closed(
    runtime: RuntimeProcess, sent: bytes, status: bytes
) -> None:
    with runtime.connect() as client:
        client.sendall(sent)
        assert receive(client).split(b" ")[1] == status
        client.settimeout(5)
        assert client.recv(1) == b""
    assert runtime.init(ECHO) == (200, {"ok": True})


def test_bad_clients_do_not_keep_good_ones_waiting(runtime: RuntimeProcess) -> None:
    runtime.init(ECHO)
    bad = [runtime.connect() for _ in range(400)]
    for number, client in enumerate(bad):
        try:
            client.sendall(request(b'{"value":{}}')[: number % 40])
        except ConnectionError:
            continue  # the oldest ones were let go
    assert runtime.run({"a": 1}) == (200, {"a": 1})
    for client in bad:
        client.close()
    assert runtime.run({"a": 2}) == (200, {"a": 2})


def test_a_client_that_leaves_during_a_run_disturbs_nobody(runtime: RuntimeProcess) -> None:
    runtime.init("import time\ndef main(args):\n    time.sleep(0.1)\n    return {'a': 'x' * 5_000_000}\n")
    with runtime.connect() as client:
        client.sendall(request(b'{"value":{}}'))
    assert runtime.run({})[0] == 200
    runtime.lines(2)


# Signals
# --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_at_once_even_in_the_middle_of_a_run(runtime: RuntimeProcess, number: int) -> None:
    runtime.init("import time\ndef main(args):\n    print('in it')\n    time.sleep(60)\n")
    with runtime.connect() as client:
        client.sendall(request(b'{"value":{}}'))
        while "in it" not in runtime.logs()[0]:
            time.sleep(0.01)
        start = time.monotonic()
        assert runtime.terminate(number) == 0
        assert time.monotonic() - start < 10


def test_processes_that_an_action_starts_end_without_the_server(runtime: RuntimeProcess) -> None:
    code = """
import multiprocessing, subprocess, time
def main(args):
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    forked.start()
    started = subprocess.Popen(["sleep", "60"])
    time.sleep(0.1)
    forked.terminate(); started.terminate()
    forked.join(5)
    return {"forked": forked.exitcode, "started": started.wait(5)}
"""
    runtime.init(code)
    assert runtime.run({}) == (200, {"forked": -15, "started": -15})
    assert runtime.run({}) == (200, {"forked": -15, "started": -15})


def test_user_code_sees_no_module_of_the_runtime(runtime: RuntimeProcess) -> None:
    runtime.init(
        "import sys\ndef main(args):\n    return {'path': sys.path, 'host': 'host' in sys.modules}\n"
    )
    _, answer = runtime.run({})
    assert not [path for path in answer["path"] if "images" in path]
    assert answer["host"] is False


def test_the_server_imports_little(runtime: RuntimeProcess) -> None:
    runtime.init("import sys\ndef main(args):\n    return {'modules': sorted(sys.modules)}\n")
    modules = set(runtime.run({})[1]["modules"])
    absent = {"http", "email", "asyncio", "dataclasses", "zipfile", "tarfile", "tempfile", "traceback"}
    assert not modules & (absent - loaded_by_python_alone())


def loaded_by_python_alone() -> set[str]:
    """What this environment's site hooks import into every process; the image's Python has none."""
    import subprocess  # noqa: PLC0415

    code = "import json, sys; print(json.dumps(list(sys.modules)))"
    modules: list[str] = json.loads(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    )
    return set(modules)
