"""What images should not hold, one image at fault for each rule; and what only looks like it."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import pytest

import audit
from audit.readers.image import read_image
from audit.rules import hygiene, owners
from audit.secrets import LEAST_TEXT, MAX_TEXT_IN_ALL, secrets_in

RULES = (*hygiene.RULES, *owners.RULES)

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
    return {f.rule: f"{f.subject}: {f.message}" for f in audit.check(audit.analyse(tree), RULES)}


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
        (
            {"history": [{"created_by": "/bin/sh -c echo 'root:hunter2' | chpasswd"}]},
            "history: in step 1, looks like a secret: a password for chpasswd",
        ),
        (
            {"Env": ["DATABASE_URL=redis://:hunter2@cache"]},
            "env DATABASE_URL: looks like a secret: a password in a URL",
        ),
        ({"Labels": {"org.example.dbPassword": "hunter2"}}, "label org.example.dbPassword: looks like"),
    ],
)
def test_a_secret_is_named_and_not_repeated(where: dict[str, Any], words: str) -> None:
    message = found(image(**where))["secret"]
    assert message.startswith(words)
    assert "hunter2" not in message
    assert AWS_KEY not in message


# Many texts that are long, and many that are short.
TOO_MUCH = {"long": (40, "password=" * 10_000), "short": (20_000, "x")}


@pytest.mark.parametrize(("count", "text"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_of_all_texts_of_an_image_a_bounded_part_is_looked_at(
    count: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def counting(text: str, told: AbstractSet[str]) -> Iterator[str]:
        looked.append(len(text))
        return secrets_in(text, told)

    monkeypatch.setattr(hygiene, "secrets_in", counting)
    env = ["DB=postgres://u:hunter2@db/x", *(f"E{at}={text}" for at in range(count)), "DB_PASSWORD=x1"]
    tree = image(Env=env, history=[{"created_by": text}] * count)
    subjects = [finding.subject for finding in audit.check(audit.analyse(tree), RULES)]
    assert sum(looked) <= MAX_TEXT_IN_ALL
    assert len(looked) <= MAX_TEXT_IN_ALL // LEAST_TEXT
    assert {"env DB", "env DB_PASSWORD"} <= set(subjects)  # the name of a setting is always looked at


def test_a_secret_that_history_repeats_is_one_finding() -> None:
    history = [{"created_by": "/bin/sh -c #(nop)  ENV API_KEY=0123456789abcdef"}, {"no": "command"}]
    tree = image(Env=["API_KEY=0123456789abcdef"], history=history)
    findings = audit.check(audit.analyse(tree), RULES)
    assert [(f.rule, f.subject) for f in findings] == [("secret", "env API_KEY")]


@pytest.mark.parametrize(
    ("command", "files", "folders", "kinds", "advice"),
    [
        (
            "/bin/sh -c npm install x",
            22,
            0,
            "22 files",
            "npm and tar keep the packer's number: add chown -R 0:0",
        ),
        ("/bin/sh -c chown 10010 /a", 1, 0, "1 file", "npm and tar keep the packer's number"),
        (
            "RUN /bin/sh -c chown -R 1001 /a # buildkit",
            3,
            1,
            "3 files and 1 folder",
            "add the account, or chown",
        ),
        ("/bin/sh -c mkdir /d && chown 1001 /d", 0, 1, "1 folder", "add the account, or chown to the number"),
        ("/bin/sh -c #(nop) ADD file:1 in / ", 1, 0, "1 file", "ADD keeps the numbers of an archive"),
        ("/bin/sh -c #(nop) COPY --chown=1001 file:1 in /", 2, 0, "2 files", "add the account, or chown to"),
        ("COPY /a /b # buildkit", 1, 0, "1 file", "copy them with --chown=0:0"),
        ("", 2, 2, "2 files and 2 folders", "chown -R 0:0 them where npm or tar unpacks them"),
    ],
)
def test_the_advice_on_owners_without_an_account_fits_what_made_them(
    command: str, files: int, folders: int, kinds: str, advice: str
) -> None:
    names = [f"f{at}" for at in range(files)] + [f"d{at}/" for at in range(folders)]
    tree = image(dict.fromkeys(names, (0o755, 1001, 0)), history=[{"created_by": command}])
    (finding,) = (one for one in audit.check(audit.analyse(tree), RULES))
    assert finding.message.startswith(f"{kinds} of owners")
    assert finding.remedy.startswith(advice)


@pytest.mark.parametrize(("accounts", "rules"), [(True, {"unknown-owner", "set-id"}), (False, set())])
def test_owners_and_modes_count_in_a_tar_that_is_a_root_file_system(accounts: bool, rules: set[str]) -> None:  # noqa: FBT001
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("project-1/main", *(["etc/passwd", "etc/group"] if accounts else [])):
            member = tarfile.TarInfo(name)
            member.mode, member.uid = 0o4755, 1000
            tar.addfile(member, io.BytesIO())
    assert {*found(audit.read_tar(file, "project-1.tar"))} == rules
