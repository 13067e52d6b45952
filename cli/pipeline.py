"""The steps from nothing to a classified photo, in order, each shown as it is done and done once."""

import contextlib
import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker

import audit
import model_fetch
from cli.audits import Asked
from cli.console import Step, human_bytes, human_time, step
from cli.settings import BadSetting, read_settings
from errors import Under48Error
from images import architecture, engine
from images.base import Base, ensure_base
from images.build import ACTION_FOLDER, Image, Variant, build_image
from images.docker_build import Step as BuildStep
from images.errors import ContainerFailed
from images.extract import read_folder, saved
from images.package import write_whole, zip_bytes
from images.verify import Photo, Verdict, find_photos, verify_photos

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "build"


class NotBuildable(Under48Error):
    """The model that was asked for cannot be compiled in."""

    exit_code = 2


class Pipeline:
    """The work under one set of settings (invoke.yaml's, with the command line's over them)."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Nothing is done yet: each step runs when it is first asked for."""
        self._open = contextlib.ExitStack()  # saved images that trees still read from
        self.settings = read_settings(settings, ROOT)
        self.cache = self.settings.cache
        self.mirrors = self.settings.mirrors

    @functools.cached_property
    def catalog(self) -> model_fetch.Catalog:
        """Everything that can be fetched."""
        return model_fetch.load_catalog()

    @functools.cached_property
    def model(self) -> model_fetch.Model:
        """The model that the settings name."""
        model = self.catalog.model(self.settings.model)
        if model.format != "tflite":
            raise NotBuildable(f"{model.name} is a {model.format} model: choose a .tflite one to build")
        return model

    @functools.cached_property
    def engine(self) -> docker.DockerClient:
        """An engine that answers."""
        with step("engine") as shown:
            found = engine.ensure(self.settings.engine or None, report=shown.say)
            about = found.version()
            shown.outcome = f"{about['Version']}, API {about['ApiVersion']}, {about['Os']}/{about['Arch']}"
        return found

    @functools.cached_property
    def architecture(self) -> architecture.Architecture:
        """What is built for: the engine's own architecture.

        Raises:
            NotBuildable: the settings ask for another one.
        """
        builder = architecture.named(self.engine.version()["Arch"])
        wanted = architecture.named(self.settings.arch or builder.name)
        if wanted != builder:
            raise NotBuildable(
                f"this engine runs on {builder.name}, and images for {wanted.name} are not cross-built yet: "
                f"name an engine on {wanted.name} (DOCKER_HOST, or `engine` in invoke.yaml)"
            )
        return wanted

    def fetch(self, *names: str) -> list[Path]:
        """The verified files of catalogue entries, in the order of their names."""
        entries = [self.catalog.entry(name) for name in names]
        with step("fetch") as shown:
            fetched = [self._fetch(entry, shown) for entry in entries]
            shown.outcome = f"{', '.join(names)}, verified"
            shown.bytes = sum(asset.bytes for entry in entries for asset in entry.files)
        return [path for paths in fetched for path in paths]

    def _fetch(self, entry: model_fetch.Entry, shown: Step) -> tuple[Path, ...]:
        return model_fetch.fetch_model(
            entry, cache=self.cache, mirrors=self.mirrors, progress=shown.show_bytes, warn=shown.say
        )

    @functools.cached_property
    def base(self) -> Base:
        """The Debian base, for the engine's architecture: the build stages run on it."""
        with step("base") as shown:
            base = ensure_base(
                self.engine,
                self.architecture,
                image=self.settings.base or None,
                update=self.settings.update_base,
                record=OUTPUT / f"base-{self.architecture.name}.json",
                report=_show_base(shown),
            )
            shown.outcome = f"{base.reference}, {base.how}"
        return base

    @functools.cached_property
    def image(self) -> Image:
        """The image of the model, built when anything that it is made from has changed."""
        model, architecture = self.model, self.architecture
        files = self.fetch(model.name, model.labels)
        variant = Variant(
            model=model,
            model_file=files[0],
            labels_file=files[-1],
            architecture=architecture,
            base=self.base,
            refreshed=self._refreshed(),
        )
        folders = [Path(mirror) for mirror in self.mirrors if "://" not in mirror]
        with step("build") as shown:
            image = build_image(
                self.engine, variant, cache=self.cache, mirrors=folders, report=_show_build(shown)
            )
            shown.outcome = image.tag if image.fresh else f"{image.tag}, nothing has changed"
            shown.bytes = image.size
        if image.fresh:
            shown.say(f"operators compiled in: {', '.join(image.operators)}")
        return image

    def _refreshed(self) -> str:
        """When newer packages were last asked for; kept beside the build, as the base is."""
        record = OUTPUT / f"refreshed-{self.architecture.name}"
        if self.settings.update_base:
            write_whole(record, dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds").encode())
        return record.read_text() if record.is_file() else ""

    @functools.cached_property
    def package(self) -> Path:
        """The zip of the action, with everything it needs."""
        image = self.image
        path = OUTPUT / f"classify-{self.model.name}-{self.architecture.name}.zip"
        with step("package") as shown:
            content = zip_bytes(read_folder(self.engine, image.id, ACTION_FOLDER))
            if not path.is_file() or path.read_bytes() != content:
                write_whole(path, content)
            shown.outcome = str(path.relative_to(ROOT))
            shown.bytes = len(content)
        return path

    def audit_built(self, asked: Asked = Asked()) -> list[audit.Judged]:  # noqa: B008 - a frozen value
        """What the auditor says of the image, and of the zip unpacked on top of it."""
        if asked.runtime:
            raise BadSetting("--runtime says where a TARGET is unpacked: name the target, too")
        image, package = self.image, self.package
        with step("audit") as shown:
            runtime = self._image_tree(image.tag)
            judged = [
                self._judge(runtime, None, asked, limit=self._limit),
                self._judge(audit.read(package), runtime, asked),
            ]
            natives = sum(len(one.analysis.elves) for one in judged)
            shown.outcome = f"{natives} native files in the image and the zip: {_counted(judged)}"
        return judged

    def audit_target(self, target: str, asked: Asked = Asked()) -> list[audit.Judged]:  # noqa: B008 - a frozen value
        """What the auditor says of a file or folder, or else of an image in the engine."""
        with step("audit") as shown:
            runtime = self._tree(asked.runtime) if asked.runtime else None
            judged = self._judge(self._tree(target), runtime, asked, limit=self._limit)
            shown.outcome = f"{target}: {len(judged.analysis.elves)} native files, {_counted([judged])}"
        return [judged]

    def _judge(
        self, tree: audit.Tree, runtime: audit.Tree | None, asked: Asked, limit: audit.Limit | None = None
    ) -> audit.Judged:
        analysis = audit.analyse(
            tree, runtime=runtime, at=asked.at, limit=limit, config=asked.config, compress=asked.compress
        )
        return audit.judge(analysis)

    def _tree(self, name: str) -> audit.Tree:
        """The files of what is at a path, or else of an image in the engine."""
        path = Path(name).expanduser()
        return audit.read(path) if path.exists() or _is_path(name) else self._image_tree(name)

    def _image_tree(self, name: str) -> audit.Tree:
        try:
            file = self._open.enter_context(saved(self.engine, name))
        except ContainerFailed as error:
            raise audit.UnreadableTargetError(
                f"{name} is neither a file or folder here nor an image in the engine: name one of these"
            ) from error
        return audit.read_image(file, name)

    @property
    def _limit(self) -> audit.Limit | None:
        mib = self.settings.limit
        return audit.Limit(bytes=round(mib * (1 << 20))) if mib else None

    def photos(self, names: Sequence[str]) -> list[Photo]:
        """The photos that files, folders and names of samples stand for."""
        return find_photos(names, self.catalog, lambda name: self.fetch(self.catalog.sample(name).name)[0])

    def verify(self, photos: Sequence[Photo], repeat: int) -> list[Verdict]:
        """Run the image on each photo."""
        image = self.image
        with step("verify") as shown:
            verdicts = verify_photos(
                self.engine,
                image.id,
                photos,
                memory_mib=self.settings.memory,
                repeat=repeat,
                report=lambda name, done: shown.show(name, done, len(photos)),
            )
            good = sum(not verdict.problem for verdict in verdicts)
            shown.outcome = (
                f"{good} of {len(photos)} photos as expected, {human_bytes(max(v.memory for v in verdicts))}"
            )
        return verdicts


_FILES = (".zip", ".whl", ".so", ".tar", ".tar.gz", ".tgz")


def _is_path(target: str) -> bool:
    """Whether a name, by its look, means a file rather than an image."""
    return target.startswith(("/", "./", "../", "~")) or target.endswith(_FILES)


def _show_base(shown: Step) -> Callable[[str], None]:
    def report(message: str) -> None:
        notable = "with apt-get" in message or "instead" in message
        (shown.say if notable else shown.show)(message)

    return report


_LONG_STEP_S = 5.0  # a build step that took longer gets a line of its own


def _show_build(shown: Step) -> Callable[[BuildStep], None]:
    def report(at: BuildStep) -> None:
        if at.done and not at.cached and at.elapsed_s >= _LONG_STEP_S:
            shown.say(f"{human_time(at.elapsed_s):>12}  {at.instruction[:80]}")
        else:
            shown.show(f"{at.number}/{at.total}  {at.line or at.instruction}", at.number, at.total)

    return report


def _counted(judged: Sequence[audit.Judged]) -> str:
    """How many findings there are of each severity: `2 errors, 1 note`."""
    counts = Counter(finding.severity for one in judged for finding in one.findings)
    words = [
        f"{count} {severity.name.lower()}{'s'[: count > 1]}"
        for severity, count in sorted(counts.items())[::-1]
    ]
    return ", ".join(words) or "no findings"


def exit_status(audited: Sequence[audit.Judged], verdicts: Sequence[Verdict]) -> int:
    """1 when a photo failed or a finding is an error, else 0."""
    wrong = any(verdict.problem for verdict in verdicts)
    return max([int(wrong), *(audit.exit_status(one.findings) for one in audited)])
