import subprocess
import sys
from pathlib import Path

import elftools

from images.build import ROOT
from images.imports import imported_files

FILES = {
    "a/__init__.py": "from a import everything",
    "a/everything.py": "",
    "a/start.py": "import json\nfrom a.next import thing\nfrom a import sub\nimport b",
    "a/next.py": "from a import start  # a circle",
    "a/sub.py": "def f():\n    from a.late import x",
    "a/late.py": "",
    "a/unused.py": "",
    "b.py": "",
}


def test_what_a_module_imports_is_found_through_others_and_inside_functions(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {path.relative_to(tmp_path).as_posix() for path in imported_files(tmp_path, "a.start")}
    assert found == {"a/start.py", "a/next.py", "a/sub.py", "a/late.py", "b.py"}


def test_the_closure_command_runs_on_these_files_and_pyelftools_alone(tmp_path: Path) -> None:
    for path in imported_files(ROOT, "audit.closure"):
        place = tmp_path / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    (tmp_path / "elftools").symlink_to(Path(elftools.__file__).parent)
    command = [sys.executable, "-S", "-m", "audit.closure", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
