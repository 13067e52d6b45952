"""§12 of the contract line by line, and the vectors (or other tests) that prove each."""

_SERVER = "tests/test_runtime_server.py::"

CHECKLIST: dict[str, tuple[str, ...]] = {
    "binds 0.0.0.0:8080 as soon as /init can answer": (
        "13c-3e",
        _SERVER + "test_init_waits_for_a_slow_load_instead_of_failing",
    ),
    "imports framework and model at process start": (
        "x-log-7",
        _SERVER + "test_the_built_in_action_is_loaded_before_anybody_asks",
    ),
    "one request at a time for /run, while others may connect": ("13c-11", "x-http-3", "x-http-4"),
    "Content-Length always": ("13a-6", "13b-3", "x-http-7"),
    "code absent, null or empty where a classifier is built in": (
        "13a-1",
        "13a-2",
        "13c-3",
        "13c-3b",
        "13c-3c",
        "13c-3d",
        "13c-3e",
    ),
    "else the official texts": ("13a-1b", "13a-2b", "13c-1", "13c-2"),
    "zip and tar.gz by their first bytes": ("13b-1", "13b-1b", "x-code-3"),
    "safe extraction": ("x-code-1", "x-code-2", "13c-12", "13c-12b"),
    "__main__.py": ("13b-3", "13c-6", "13c-10b"),
    "working directory and sys.path": ("13b-2", "13c-7", "13c-7b"),
    "environment before import": ("13a-8", "13b-13", "x-env-3"),
    "__OW_* anew for each run": ("13a-9", "x-env-2"),
    "context as text": ("x-env-1", "x-env-4"),
    "JSON takes NumPy's values": ("13e-1",),
    "JSON without NaN": ("13e-2", "13e-1"),
    "502 with its text for a result of the wrong type": ("13a-3", "13e-4"),
    "an exception is 200 with `error`, its traceback on stderr": ("13b-4", "13e-6", "x-code-8"),
    "flush, newline, sentinel on both streams, then the answer": ("13a-6", "13e-10", "13e-11", "x-log-5"),
    "second init is 403, its text on a stream": ("13a-4",),
    "survives bad JSON": ("x-json-1", "x-json-2", "x-json-3"),
    "few threads, few files": ("x-limit-1", "x-limit-2"),
    "the image's tag is not `latest`": (
        "tests/integration/conformance/test_conformance.py::test_its_tag_is_not_latest",
    ),
    "less than 512 MB, with the unpacking of code": ("13e-16", "13e-17", "x-http-6", "x-limit-3"),
    "SIGTERM": (_SERVER + "test_the_server_ends_at_once_even_in_the_middle_of_a_run",),
}
