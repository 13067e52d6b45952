"""What images should not hold, one image at fault for each rule; and what only looks like it."""

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

import pytest

import audit
from audit.readers.image import read_image
from audit.rules import hygiene
from audit.secrets import is_secret, secrets_in

PASSWD = "root:x:0:0::/:/bin/sh\nwww:x:33:33::/:/bin/false\n"
GROUP = "root:x:0:\nwww:x:33:\nlocal:x:50:\n"
AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLE"


def image(
    files: Mapping[str, tuple[int, int, int]] = {},
    *,
    history: list[dict[str, Any]] | None = None,
    accounts: bool = True,
    **config: Any,
) -> audit.Tree:
    """Save an image of one layer; `files` are names to mode, user, group, folders end in `/`."""

    def packed(members: Mapping[str, tuple[int, int, int, bytes]]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, (mode, uid, gid, content) in members.items():
                member = tarfile.TarInfo(name.rstrip("/"))
                member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
                member.mode, member.uid, member.gid, member.size = mode, uid, gid, len(content)
                tar.addfile(member, io.BytesIO(content))
        return out.getvalue()

    etc = {"etc/passwd": (0o644, 0, 0, PASSWD.encode()), "etc/group": (0o644, 0, 0, GROUP.encode())}
    layer = packed({**(etc if accounts else {}), **{name: (*row, b"") for name, row in files.items()}})
    document = {"architecture": "amd64", "config": {"User": "33", **config}, "history": history or []}
    manifest = [{"Config": "c.json", "Layers": ["l.tar"]}]
    parts = {
        "manifest.json": json.dumps(manifest).encode(),
        "c.json": json.dumps(document).encode(),
        "l.tar": layer,
    }
    return read_image(
        io.BytesIO(packed({name: (0o644, 0, 0, data) for name, data in parts.items()})), "app:1"
    )


def found(tree: audit.Tree) -> dict[str, str]:
    return {f.rule: f"{f.subject}: {f.message}" for f in audit.check(audit.analyse(tree), hygiene.RULES)}


def test_an_image_of_one_program_and_its_user_is_clean() -> None:
    files = {
        "app/main": (0o755, 0, 0),
        "tmp/": (0o1777, 0, 0),
        "srv/": (0o755, 33, 50),
        "data": (0o4644, 0, 0),
    }
    assert found(image(files, Env=["PATH=/app"])) == {}


@pytest.mark.parametrize(
    ("user", "rule"),
    [
        ("", "root-user"),
        ("0", "root-user"),
        ("root", "root-user"),
        ("0:33", "root-user"),
        ("www", None),
        ("www:local", None),
        ("33", None),
        ("65534:65534", None),
        ("nobody", "unknown-user"),
        ("www:staff", "unknown-user"),
    ],
)
def test_the_user_of_an_image_is_known_and_not_root(user: str, rule: str | None) -> None:
    assert list(found(image(User=user))) == ([rule] if rule else [])


def test_a_user_by_name_needs_an_account_file() -> None:
    assert list(found(image(User="www", accounts=False))) == ["unknown-user"]
    assert found(image(User="33", accounts=False)) == {}


@pytest.mark.parametrize(
    ("files", "rule", "words"),
    [
        (
            {"bin/su": (0o4755, 0, 0)},
            "set-id",
            "app:1: 1 set-user-ID or set-group-ID program: /bin/su (4755, user 0)",
        ),
        ({"bin/wall": (0o2755, 0, 33)}, "set-id", "/bin/wall (2755, group 33)"),
        ({"open/": (0o777, 0, 0)}, "world-writable", "1 folder that everybody may write"),
        ({"a": (0o644, 1000, 0), "b": (0o644, 1000, 0)}, "unknown-owner", "2 files of owners"),
        ({"a": (0o644, 33, 7)}, "unknown-owner", "group 7 of 1 such as /a"),
        ({"bin/busybox": (0o755, 0, 0)}, "shell", "1 shell: /bin/busybox"),
        ({"usr/bin/apt-get": (0o755, 0, 0)}, "package-manager", "1 package manager: /usr/bin/apt-get"),
    ],
)
def test_a_file_at_fault(files: dict[str, tuple[int, int, int]], rule: str, words: str) -> None:
    findings = found(image(files))
    assert list(findings) == [rule]
    assert words in findings[rule]


def test_many_files_are_one_finding_with_some_of_their_names() -> None:
    message = found(image({f"bin/p{i}": (0o4755, 0, 0) for i in range(20)}))["set-id"]
    assert "20 set-user-ID" in message
    assert message.endswith("and 14 more")


def test_a_package_or_folder_has_no_owners_to_judge(tmp_path: Any) -> None:
    program = tmp_path / "sh"
    program.write_bytes(b"")
    program.chmod(0o4755)
    assert found(audit.read(tmp_path)) == {}


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"Env": ["NPM_TOKEN=hunter2-hunter2"]}, "env NPM_TOKEN: looks like a secret: NPM_TOKEN"),
        ({"Labels": {"deploy": f"key {AWS_KEY}"}}, "label deploy: looks like a secret: an AWS access key"),
        (
            {"history": [{"created_by": "|1 DB_PASSWORD=hunter2-hunter2 /bin/sh -c make"}]},
            "history: in step 1, looks like a secret: DB_PASSWORD",
        ),
    ],
)
def test_a_secret_is_named_and_not_repeated(where: dict[str, Any], words: str) -> None:
    message = found(image(**where))["secret"]
    assert message.startswith(words)
    assert "hunter2" not in message
    assert AWS_KEY not in message


def test_a_secret_that_history_repeats_is_one_finding() -> None:
    history = [{"created_by": "/bin/sh -c #(nop)  ENV API_KEY=0123456789abcdef"}, {"no": "command"}]
    tree = image(Env=["API_KEY=0123456789abcdef"], history=history)
    findings = audit.check(audit.analyse(tree), hygiene.RULES)
    assert [(f.rule, f.subject) for f in findings] == [("secret", "env API_KEY")]


@pytest.mark.parametrize(
    "text",
    [
        "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
        "PYTHON_SHA256=8d3ed8ec5c88c1c95f5e558612a725450d2452813ddad5e58fdb1a53b1209b78",
        "POSTGRES_PASSWORD_FILE=/run/secrets/password",
        "PASSWORD=$PASSWORD TOKEN=${TOKEN}",
        'TOKENIZERS_PARALLELISM=false  MAX_TOKEN=4096 SECRET= PASSWORD=""',
        "curl https://user:$PASSWORD@host/",
        "AUTH_TOKEN=xxxxxxxxxx API_KEY=<none>",
        "monkey=bananas-for-all",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text: str) -> None:
    assert list(secrets_in(text)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"ENV A={AWS_KEY}", ["an AWS access key"]),
        ("git clone https://bob:s3cr3tpw@git.example.org/x", ["a password in a URL"]),
        ("-----BEGIN RSA PRIVATE KEY-----", ["a private key"]),
        ("export token='0f9e8d7c6b5a'", ["token"]),
        ('ENV client.secret="0f9e8d7c6b5a"', ["client.secret"]),
        ("GH=ghp_" + "a1B2" * 9, ["a GitHub token"]),
    ],
)
def test_what_is_a_secret_is_named(text: str, words: list[str]) -> None:
    assert list(secrets_in(text)) == words


def test_a_setting_is_judged_by_name_and_value() -> None:
    assert is_secret("DB_PASSWORD", "hunter2-hunter2")
    assert not is_secret("DB_PASSWORD", "/run/secrets/db")
    assert not is_secret("DB_PASSWORD_HINT", "hunter2-hunter2")


@pytest.mark.parametrize(("accounts", "rules"), [(True, {"unknown-owner", "set-id"}), (False, set())])
def test_owners_and_modes_count_in_a_tar_that_is_a_root_file_system(accounts: bool, rules: set[str]) -> None:  # noqa: FBT001
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("project-1/main", *(["etc/passwd", "etc/group"] if accounts else [])):
            member = tarfile.TarInfo(name)
            member.mode, member.uid = 0o4755, 1000
            tar.addfile(member, io.BytesIO())
    assert {*found(audit.read_tar(file, "project-1.tar"))} == rules
