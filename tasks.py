"""The commands: parse options, call, print. `./inv --list` names them, `./inv --help TASK` explains one."""

import dataclasses
import json as js
import sys
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from cli.failures import reported
from cli.words import take_words

take_words(
    {"verify": ("photo", None), "audit": ("target", 1), "fetch-model": ("name", None), "test": ("path", None)}
)

# What several tasks take.
_MODEL = {"model": "a model of the catalogue (fetch-model --list); default: invoke.yaml's"}
_ARCH = {"arch": "the engine's own is the only one yet: amd64 or arm64"}
_MIRROR = {
    "mirror": "folder or URL that holds <host>/<path> of public files, tried before those of UNDER48_MIRRORS and of "
    "invoke.yaml; may be repeated"
}
_JSON = {"json": "print the result as JSON on stdout; progress stays on stderr"}


def _pipeline(c: Context, **options: Any) -> Any:
    from cli.pipeline import Pipeline  # so that `--list` and `--help` need not import the engine's client

    return Pipeline({**c.config, **{key: value for key, value in options.items() if value}})


@task(help={"stop": "stop the engine, if it is one that under48 started"})
@reported
def engine(c: Context, stop: bool = False) -> None:
    """Find a Docker engine; on Debian or Ubuntu, as root, install and start one where there is none.

    Examples:
        ./inv engine           what build and verify do first
        ./inv engine --stop    stops what this project started, and nothing else
    """
    from images import engine as engines

    if stop:
        print(engines.stop())
    else:
        _pipeline(c).engine  # noqa: B018 - finding it is the work


@task(
    iterable=["name", "mirror"],
    help={
        "name": "models, labels or samples, as plain words, too; default: invoke.yaml's model and its labels",
        "list": "list what there is, how large it is, and whether it is bundled or in the cache",
        **_MIRROR,
        "all": "fetch the whole catalogue",
        **_JSON,
    },
)
@reported
def fetch_model(
    c: Context, name: Any, mirror: Any, list: bool = False, all: bool = False, json: bool = False
) -> None:
    """Fetch models, labels and sample photos into the cache, verified by digest.

    Examples:
        ./inv fetch-model
        ./inv fetch-model mobilenet_v1_0.25_224 panda.jpg
        ./inv fetch-model --list
        ./inv fetch-model --all --mirror /mnt/mirror
    """
    import model_fetch
    from cli.report import catalog_table

    pipeline = _pipeline(c, mirror=mirror)
    if list:
        rows = model_fetch.list_catalog(pipeline.catalog, pipeline.cache)
        print(js.dumps([dataclasses.asdict(row) for row in rows], indent=1) if json else catalog_table(rows))
        return
    every = [entry.name for entry in pipeline.catalog.entries]
    names = every if all else name or [pipeline.model.name, pipeline.model.labels]
    files = [str(path) for path in pipeline.fetch(*names)]
    print(js.dumps(files, indent=1) if json else "\n".join(files))


@task(
    iterable=["mirror"],
    help={
        **_MODEL,
        **_ARCH,
        **_MIRROR,
        "base": "build on this image instead of Debian bookworm",
        "update-base": "look for a newer base instead of keeping to the one recorded beside the build",
    },
)
@reported
def build(
    c: Context,
    model: str = "",
    arch: str = "",
    base: str = "",
    update_base: bool = False,
    mirror: Any = None,
) -> None:
    """Build the image: TensorFlow Lite compiled for one model, and what it needs to run, from scratch.

    Examples:
        ./inv build
        ./inv build --model mobilenet_v1_0.25_224
    """
    pipeline = _pipeline(c, mirror=mirror, model=model, arch=arch, base=base, update_base=update_base)
    tag = pipeline.image.tag
    pipeline.sbom  # noqa: B018 - writing it is the work
    print(tag)


@task(
    help={
        "dry-run": "say what would go, and remove nothing",
        "all": "the current images, the base and the build's cache, too; the next build takes minutes",
    }
)
@reported
def clean(c: Context, dry_run: bool = False, all: bool = False) -> None:
    """Remove images and build stages from the engine that newer ones have replaced; only what under48 made.

    Examples:
        ./inv clean --dry-run
        ./inv clean
        ./inv clean --all      everything that under48 has in the engine
    """
    print(_pipeline(c).clean(everything=all, dry_run=dry_run))


@task(
    iterable=["mirror"],
    help={
        **_MODEL,
        **_ARCH,
        **_MIRROR,
        "json": "print the document itself on stdout; progress stays on stderr",
    },
)
@reported
def sbom(c: Context, model: str = "", arch: str = "", json: bool = False, mirror: Any = None) -> None:
    """Write the image's bill of materials, in CycloneDX's JSON, to build/sbom-<model>-<arch>.cdx.json.

    It is the file that lies in the image as /under48/sbom/image.cdx.json.

    Examples:
        ./inv sbom
        ./inv sbom --model mobilenet_v1_0.25_224 --json
    """
    path = _pipeline(c, mirror=mirror, model=model, arch=arch).sbom
    print(path.read_text() if json else path, end="" if json else "\n")


@task(iterable=["mirror"], help={**_MODEL, **_ARCH, **_MIRROR})
@reported
def package(c: Context, model: str = "", arch: str = "", mirror: Any = None) -> None:
    """Make build/classify-<model>-<arch>.zip: the action with everything in it; the same bytes every time.

    Examples:
        ./inv package
        ./inv package --model mobilenet_v1_0.25_224
    """
    print(_pipeline(c, mirror=mirror, model=model, arch=arch).package)


@task(
    iterable=["target", "mirror"],
    optional=["observed"],
    help={
        "target": "zip, wheel, tar, folder, ELF file or image (in the engine, saved, or an OCI layout), as a plain "
        "word, too; default: the model's image and zip",
        **_MODEL,
        "arch": "of a saved image for several architectures, the one to audit: amd64 or arm64; default: this machine's",
        **_MIRROR,
        "runtime": "image or folder that a zip, wheel, folder or ELF file will be unpacked in",
        "at": "where in the runtime it will be unpacked; default: /action",
        "profile": "platforms whose limits count, with commas between: openwhisk, aws-lambda-zip, …",
        "config": "an audit.toml with budgets, severities and waivers",
        "limit": "MiB that the target may have: unpacked, or as the zip that it is",
        "observed": "compare with what verify saw mapped in the container; for a target: with this file, which may "
        "be a copy of /proc/PID/maps",
        "verbose": "list the linkage of every native file",
        "format": "what to print: table, json, sarif, junit or markdown; default: table",
        "json": "short for --format json; progress stays on stderr",
        "html": "write a page with treemap, dependencies, findings and budget to this file, too",
        "baseline": "show what changed since the report in this file",
        "save-baseline": "write the report to this file, for --baseline later",
        "fail-on": "the least severity that ends in exit code 1: error, warning or note; default: error",
        "explain": "say what a rule means, why it matters and how to mend it (all: every rule), and end",
    },
)
@reported
def audit(
    c: Context,
    target: Any,
    model: str = "",
    arch: str = "",
    runtime: str = "",
    at: str = "",
    profile: str = "",
    config: str = "",
    limit: str = "",
    observed: Any = None,
    verbose: bool = False,
    format: str = "",
    json: bool = False,
    html: str = "",
    baseline: str = "",
    save_baseline: str = "",
    fail_on: str = "error",
    explain: str = "",
    mirror: Any = None,
) -> None:
    """Say whether every native library finds what it needs, and what takes the space; exit code 1 when not.

    Exit codes: 0 no finding as bad as --fail-on, 1 findings, 2 the target cannot be read or the options make no sense.

    Examples:
        ./inv audit
        ./inv audit debian:bookworm-slim
        ./inv audit dist/app-1.0-py3-none-any.whl --runtime python:3.11-slim --at /action
        ./inv audit app.zip --format sarif --fail-on warning
        ./inv audit app.zip --html app.html --baseline last.json --save-baseline last.json
        ./inv audit --observed
        ./inv audit --explain unresolved-needed
    """
    from cli import audits
    from cli.auditing import audit_built, audit_target

    if explain:
        print(audits.explain(explain))
        return
    asked = audits.asked(
        runtime=runtime, at=at, config=config, profile=profile, page=bool(html), observed=observed
    )
    files = {"html": html, "baseline": baseline, "save_baseline": save_baseline}
    to = audits.output(form=format, json=json, fail_on=fail_on, verbose=verbose, **files)
    pipeline = _pipeline(c, mirror=mirror, model=model, arch=arch, limit=limit)
    judged = audit_target(pipeline, target[0], asked) if target else audit_built(pipeline, asked)
    print(audits.tell(judged, to))
    sys.exit(audits.exit_status(judged, to.fail_on))


@task(
    iterable=["photo", "mirror"],
    help={
        "photo": "files, folders or names of samples, as plain words, too; default: panda.jpg",
        **_MODEL,
        **_ARCH,
        **_MIRROR,
        "repeat": "warm calls per photo, of which the median is shown",
        "memory": "MB that the container may use; default: invoke.yaml's 256",
        "shrink": "send a smaller picture where the platform would refuse the request: over 1 MiB as JSON",
        **_JSON,
    },
)
@reported
def verify(
    c: Context,
    photo: Any,
    model: str = "",
    arch: str = "",
    repeat: int = 5,
    memory: int = 0,
    shrink: bool = False,
    json: bool = False,
    mirror: Any = None,
) -> None:
    """Do all that is needed, then run the action in its container as the platform would, and classify photos.

    Each photo gets a container of its own: once cold, then --repeat times warm. Exit code 1 when a sample of
    the catalogue is taken for something else, or the audit finds an error.

    Examples:
        ./inv verify panda.jpg
        ./inv verify ~/photos lion.jpg --json
        ./inv verify lobster.jpg --shrink
    """
    import audit as auditor
    from cli.auditing import audit_built
    from cli.pipeline import exit_status
    from cli.report import details, verdict_table
    from cli.settings import check_option
    from images.verify import MOST_REPEAT, as_json

    check_option("repeat", repeat, 0, MOST_REPEAT)
    pipeline = _pipeline(c, mirror=mirror, model=model, arch=arch, memory=memory)
    photos = pipeline.photos(photo or ["panda.jpg"])
    audited = audit_built(pipeline)
    verdicts = pipeline.verify(photos, repeat, shrink=shrink)
    for one in audited:
        for finding in one.findings:
            if finding.severity >= auditor.Severity.ERROR:
                print(f"audit: {finding.subject}: {finding.message}; {finding.remedy}", file=sys.stderr)
    if json:
        print(js.dumps(as_json(verdicts), indent=1))
    else:
        print(verdict_table(verdicts))
        if len(verdicts) == 1:
            print(details(verdicts[0]))
    sys.exit(exit_status(audited, verdicts))


@task(
    iterable=["mirror"],
    help={
        **_MODEL,
        **_ARCH,
        **_MIRROR,
        "port": "of 127.0.0.1, to listen on; 0: any that is free; default: 3233, as OpenWhisk on one machine has",
        "memory": "MB that the container may use; default: invoke.yaml's 256",
        "json": "print the addresses as one line of JSON on stdout instead of lines to paste",
    },
)
@reported
def serve(
    c: Context,
    model: str = "",
    arch: str = "",
    port: int = 3233,
    memory: int = 0,
    json: bool = False,
    mirror: Any = None,
) -> None:
    """Serve the image on this machine as the platform would, until Ctrl-C, and print commands that call it.

    Takes photos as a raw web action does, and JSON as `wsk action invoke` sends it. Each call's verdict and log
    go to stderr. A container is reused, frozen after 10 s, and replaced when the platform would replace it.

    Examples:
        ./inv serve
        ./inv serve --port 0 --json
        ./inv serve --model mobilenet_v1_0.25_224 --memory 128
    """
    from cli import serving
    from cli.settings import check_option

    check_option("port", port, 0, 65_535)
    serving.run(_pipeline(c, mirror=mirror, model=model, arch=arch, memory=memory), port=port, json=json)


@task(
    iterable=["path"],
    help={
        "path": "test files or folders, as plain words, too; default: all tests",
        "unit": "only what needs no engine: seconds",
        "check": "ruff and mypy, too",
    },
)
@reported
def test(_c: Context, path: Any, unit: bool = False, check: bool = True) -> None:
    """Set up everything the tests need, check style and types, and run them.

    Examples:
        ./inv test
        ./inv test --unit
        ./inv test tests/test_operators.py --no-check
    """
    from cli import tests

    sys.exit(tests.run(list(path), unit=unit, check=check))
