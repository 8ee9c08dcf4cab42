"""`restore-archive synthesize`: partly blurred pairs from a folder of sharp videos and photographs.

OUT gets a folder for each clip (deblur_core/synthesis/pair_folder.py), `manifest.parquet` with a row a clip, and
`synthesis.json` with settings, seed and what the sources were. The same sources, settings and seed give the same bytes,
and each clip depends on its own name and content only.
"""

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deblur_core.errors import UsageError, VideoError
from deblur_core.output_place import writing_explained
from deblur_core.synthesis.pair_folder import ClipRecord, read_record, write_clip, write_manifest, write_whole
from deblur_core.synthesis.pairs import Model, PairSettings, make_pairs
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings
from deblur_core.synthesis.rebvids import RebvidsSettings
from deblur_core.synthesis.recording import RecordingSettings
from deblur_core.synthesis.sharp_sources import SharpSource, find_sources, open_clip
from flows.settings import resolve_settings

HIGH_RATE = 50
"""Frames a second from which a clip is taken for one of high rate, whose frames are averaged."""

_SOME_FAILED = 3
_UNFINISHED = ".synthesis.unfinished.json"


@dataclass(frozen=True)
class SynthesisOptions:
    """The command's options; pairs are (least, most). Pixels are those of the frames as they are written."""

    model: str = "auto"
    seed: int = 0
    averaging: str = "linear"
    interval: tuple[int, int] = (7, 12)
    blurred_share: tuple[float, float] = (0.4, 0.7)
    defocus_share: float = 0.0
    highlights: float = 0.3
    noise: float = 1.0
    compression: str = "mixed"
    crf: tuple[float, float] = (16.0, 30.0)
    frames: int | None = None
    shorter_side: int | None = None
    picture_rate: float | None = None
    video: bool = False

    def check(self) -> None:
        """Raises UsageError in one line that names the option and what it may be."""
        choices = {
            "model": ("auto", "rebvids", "shake"),
            "averaging": ("linear", "signal"),
            "compression": ("mixed", "h264", "jpeg", "none"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"--{name} {getattr(self, name)}: there is {', '.join(allowed)}")
        for name, least, most in (("interval", 3, 240), ("blurred_share", 0.0, 1.0), ("crf", 0.0, 51.0)):
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise UsageError(f"{_option(name)} {low} {high}: must be two rising numbers from {least:g} to {most:g}")
        for name, least, most in (
            ("defocus_share", 0.0, 1.0), ("highlights", 0.0, 1.0), ("noise", 0.0, 100.0), ("seed", 0, 2**63),
            ("frames", 1, 10**9), ("shorter_side", 32, 10**5), ("picture_rate", 1.0, 10**5),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"{_option(name)} {value}: must be a number from {least:g} to {most:g}")

    def pair_settings(self) -> PairSettings:
        codec: Any = None if self.compression == "mixed" else self.compression
        averaging: Any = self.averaging
        return PairSettings(
            RebvidsSettings(
                interval_frames=self.interval,
                blurred_share=self.blurred_share,
                averaging=averaging,
                share_highlights=self.highlights,
                share_defocused=self.defocus_share,
            ),
            PartlyBlurredSettings(
                blurred_share=self.blurred_share,
                share_highlights=self.highlights,
                share_defocused=self.defocus_share,
            ),
            RecordingSettings(noise=self.noise, codec=codec, crf=self.crf),
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def synthesize(sharp_dir: Path, out: Path, options: SynthesisOptions, force: bool) -> int:
    """Writes OUT and says what each clip became. Returns the exit code: 0, or 3 when a source could not be used.

    Goes on where an earlier command of the same settings was interrupted. Raises UsageError before anything is written.
    """
    options.check()
    rate = None if options.picture_rate is None else Fraction(options.picture_rate).limit_denominator(1001)
    suffixes = resolve_settings().video_suffixes
    sources = find_sources(sharp_dir, suffixes, rate)
    settings = _described(options)
    redo = not _claim(sharp_dir, out, settings, force)
    records, failures = [], []
    with writing_explained(out), _one_thread():
        for source in sources:
            try:
                record = _make(source, out, options, settings, redo)
            except VideoError as error:
                failures.append({"source": source.place, "error": str(error)})
                sys.stderr.write(f"restore-archive: {error}\n")
                continue
            records.append(record)
            share = 100 * record.blurred / record.frames
            sys.stdout.write(
                f"{record.clip}: {record.frames} frames, {record.blurred} blurred ({share:.0f} %), {record.model}\n"
            )
        _finish(out, settings, records, failures)
    blurred, frames = sum(each.blurred for each in records), sum(each.frames for each in records)
    sys.stdout.write(f"{len(records)} clips, {frames} frames, {blurred} blurred: {out}\n")
    if failures:
        sys.stdout.write(f"{len(failures)} of {len(sources)} sources could not be used\n")
    return _SOME_FAILED if failures else 0


def _described(options: SynthesisOptions) -> dict[str, Any]:
    """What decides the result, but for the sources, as JSON has it."""
    version = importlib.metadata.version("restore-archive")
    described = {"version": version, "options": asdict(options), "drawn_from": asdict(options.pair_settings())}
    plain: dict[str, Any] = json.loads(json.dumps(described))
    return plain


def _claim(sharp_dir: Path, out: Path, settings: dict[str, Any], force: bool) -> bool:
    """Makes OUT ours and says whether it holds the unfinished work of the same command; refuses other content."""
    here, there = sharp_dir.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UsageError(f"{out} and {sharp_dir} lie in one another: name another OUT")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: name a folder")
    claim = out / _UNFINISHED
    text = json.dumps(settings, indent=1) + "\n"
    try:
        ours = claim.is_file() and claim.read_text() == text
        if not force and not ours and out.exists() and any(out.iterdir()):
            raise UsageError(f"{out} is not empty: name another folder, or replace its clips with --force")
        out.mkdir(parents=True, exist_ok=True)
        write_whole(claim, text.encode())
        return ours
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}") from error


def _make(
    source: SharpSource, out: Path, options: SynthesisOptions, settings: dict[str, Any], redo: bool
) -> ClipRecord:
    """One clip, unless it lies there already from the same source and settings."""
    sha256 = source.sha256()
    decides = json.dumps([settings, source.name, source.place, source.kind, sha256], sort_keys=True)
    fingerprint = hashlib.sha256(decides.encode()).hexdigest()
    folder = out / source.name
    if not redo and (done := read_record(folder, fingerprint)) is not None:
        return done
    named = hashlib.sha256(source.place.encode()).digest()
    rng = np.random.default_rng([options.seed, *np.frombuffer(named, np.uint32).tolist()])
    clip = open_clip(source, rng, options.frames, options.shorter_side)
    model = _model(source, clip.rate, clip.count, options)
    rate = float(clip.rate) / (sum(options.interval) / 2.0 if model == "rebvids" else 1.0)
    about = ClipRecord(source.name, source.place, sha256, model, rate)
    pairs = make_pairs(model, clip.frames(), clip.count, rng, options.pair_settings())
    return write_clip(pairs, folder, about, fingerprint, options.video)


def _model(source: SharpSource, rate: Fraction, count: int, options: SynthesisOptions) -> Model:
    """Photographs do not move, so they are shaken whatever was asked for."""
    if source.kind == "photograph" or options.model == "shake":
        return "shake"
    if options.model == "rebvids" or (rate >= HIGH_RATE and count >= 2 * options.interval[1]):
        return "rebvids"
    return "shake"


def _finish(out: Path, settings: dict[str, Any], records: list[ClipRecord], failures: list[dict[str, str]]) -> None:
    """The manifest and the account; what failed may be tried again by the same command."""
    write_manifest(records, out / "manifest.parquet")
    account = {**settings, "seed": settings["options"]["seed"], "clips": [asdict(each) for each in records]}
    write_whole(out / "synthesis.json", (json.dumps({**account, "failures": failures}, indent=1) + "\n").encode())
    if not failures:
        (out / _UNFINISHED).unlink()


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV's flow depends on the number of its threads, and the pairs are to depend on the seed alone."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
