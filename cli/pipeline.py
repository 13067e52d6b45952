"""The steps from nothing to a classified photo, in order, each shown as it is done and done once."""

import contextlib
import datetime as dt
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import audit
import model_fetch
from cli.console import Step, human_bytes, human_time, step
from cli.observed import keep
from cli.report import removal_table
from cli.settings import read_settings
from errors import Under48Error
from images import architecture, engine
from images.base import Base, ensure_base
from images.build import ACTION_FOLDER, SBOM, SBOM_FOLDER, Image, Variant, build_image
from images.clean import removal, remove, stored_images, used_images
from images.engine import Engine, builder_name, buildkit
from images.engine import Step as BuildStep
from images.extract import read_folder
from images.observe import mapped
from images.package import zip_bytes
from images.shrink import NotShrinkable
from images.verify import Photo, PhotoFile, Verdict, find_photos, verify_photos
from images.whole import write_whole

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "build"


class NotBuildable(Under48Error):
    """The model that was asked for cannot be compiled in."""

    exit_code = 2


class Pipeline:
    """The work under one set of settings (invoke.yaml's, with the command line's over them)."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Nothing is done yet: each step runs when it is first asked for."""
        self.opened = contextlib.ExitStack()  # saved images that trees still read from
        self.settings = read_settings(settings, ROOT, os.environ)
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
    def engine(self) -> Engine:
        """An engine that answers."""
        with step("engine") as shown:
            found = engine.ensure(self.settings.engine or None, report=shown.say)
            shown.outcome = (
                f"{found.title}, API {found.api.api_version}, {found.platform}, {builder_name(found)}"
            )
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
            labels=self.catalog.labels_of(model),
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
    def sbom(self) -> Path:
        """The image's bill of materials, as it lies in the image."""
        image = self.image
        path = OUTPUT / f"sbom-{self.model.name}-{self.architecture.name}.cdx.json"
        with step("sbom") as shown:
            content = read_folder(self.engine, image.id, SBOM_FOLDER)[SBOM]
            if not path.is_file() or path.read_bytes() != content:
                write_whole(path, content)
            shown.outcome = str(path.relative_to(ROOT))
            shown.bytes = len(content)
        return path

    def clean(self, *, everything: bool, dry_run: bool) -> str:
        """Remove what newer images have replaced, or `everything`; returns what was, or would be, removed."""
        engine = self.engine
        found = removal(stored_images(engine), used_images(engine), everything=everything)
        with step("clean") as shown:
            refused = [] if dry_run else remove(engine, found.images)
            for line in refused:
                shown.say(line)
            if everything and buildkit.answers(engine):
                shown.say(
                    "BuildKit keeps steps of all projects in one cache: `docker builder prune` empties it"
                )
            shown.outcome = (
                "nothing removed, as asked"
                if dry_run
                else f"{len(found.images) - len(refused)} images removed"
            )
        return removal_table(found)

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

    @property
    def observed(self) -> Path:
        """Where `verify` keeps what it saw mapped in the image's containers."""
        return OUTPUT / f"observed-{self.model.name}-{self.architecture.name}.json"

    def photos(self, names: Sequence[str]) -> list[PhotoFile]:
        """The photos that files, folders and names of samples stand for."""
        return find_photos(names, self.catalog, lambda name: self.fetch(self.catalog.sample(name).name)[0])

    def verify(self, photos: Sequence[PhotoFile], repeat: int, *, shrink: bool = False) -> list[Verdict]:
        """Run the image on each photo; with `shrink` those that the platform would refuse are made smaller first.

        Raises:
            PhotoMissing: a photo can no longer be read.
        """
        image = self.image
        with step("verify") as shown:
            seen: dict[str, frozenset[str]] = {}
            verdicts = verify_photos(
                self.engine,
                image.id,
                (_fitted(photo.read(), shown, shrink=shrink) for photo in photos),
                memory_mib=self.settings.memory,
                repeat=repeat,
                report=lambda name, done: shown.show(name, done, len(photos)),
                observe=lambda photo, running: seen.update({photo.name: mapped(running.container)}),
            )
            keep(self.observed, image.id, seen, shown.say)
            good = sum(not verdict.problem for verdict in verdicts)
            shown.outcome = (
                f"{good} of {len(photos)} photos as expected, {human_bytes(max(v.memory for v in verdicts))}"
            )
        return verdicts


def _fitted(photo: Photo, shown: Step, *, shrink: bool) -> Photo:
    """The photo as it is sent; a line for one that cannot be made small enough."""
    try:
        return photo.shrunk() if shrink else photo
    except NotShrinkable as error:
        shown.say(f"{photo.name}: {error}")
        return photo


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


def exit_status(audited: Sequence[audit.Judged], verdicts: Sequence[Verdict]) -> int:
    """1 when a photo failed or a finding is an error, else 0."""
    wrong = any(verdict.problem for verdict in verdicts)
    return max([int(wrong), *(audit.exit_status(one.findings) for one in audited)])
