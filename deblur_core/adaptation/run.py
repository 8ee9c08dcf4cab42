"""One adaptation from a restorer's name and a place with videos to a weights file with a report beside it.

Everything that can be wrong with a request is said before anything is read or learnt. Knows no scheduler.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from safetensors.torch import save

from deblur_core.adaptation.adapt import Adaptation, Watch, adapt
from deblur_core.adaptation.gather import Gathered, gather
from deblur_core.adaptation.settings import AdaptationSettings
from deblur_core.errors import SettingsError, StorageError, UsageError
from deblur_core.models.precision import pick_device
from deblur_core.models.registry import RestorerEntry, find_restorer, load_restorer, load_selector
from deblur_core.storage import ObjectStore, open_store, parse_location

SUFFIX = ".safetensors"
NO_TEACHER = "none"
_META = "_restore/"  # what a run leaves beside its videos


@dataclass(frozen=True)
class AdaptationRequest:
    """restorer: a name of the registry; videos: a file, a folder or s3://…; out: the weights file to write, there too.

    video_suffixes: which files count as videos; selector, threshold: which frames count as blurred; weights: a file to
    start from, instead of the released ones; teacher: a restorer to learn from on the blurred frames, "none", or None
    for the one that the registry names.
    """

    restorer: str
    videos: str
    out: str
    settings: AdaptationSettings
    video_suffixes: tuple[str, ...]
    device: str = "auto"
    selector: str = "default"
    threshold: float = 0.5
    weights: str | None = None
    teacher: str | None = None


def adapt_restorer(request: AdaptationRequest, watch: Watch | None = None) -> dict[str, Any]:
    """Adapts, and writes `out` and the report beside it (`out` with .json) if the result is better; returns the report.

    A refused result writes nothing; the report's `accepted` says so and `reason` why. Raises UsageError for a request
    that cannot be carried out, StorageError where a store fails.
    """
    entry = find_restorer(request.restorer)
    teaching = _teaching(request)
    device = pick_device(request.device)
    folder, name = _destination(request.out)
    store, keys = _videos(request)
    restorer = load_restorer(entry.name, request.device, request.weights)
    rng = np.random.default_rng([request.settings.seed, 2])
    gathered = gather(store, keys, load_selector(request.selector), request.threshold, rng)
    if not gathered.footage:
        raise UsageError(_why_nothing(request, gathered))
    teacher = None
    if teaching is not None:
        # A restorer that runs the same weights in a better way runs those that are to be adapted.
        own = request.weights if teaching.weights == entry.weights else None
        teacher = load_restorer(teaching.name, request.device, own)
    done = adapt(restorer.network, gathered.footage, request.settings, device=device, watch=watch, teacher=teacher)
    facts = report(request, restorer.weights_sha256, teaching.name if teaching else None, gathered, done)
    if done.accepted:
        data = save(done.weights, {"restorer": entry.name, "adapted_from_sha256": restorer.weights_sha256})
        facts |= {"out": f"{folder.url.rstrip('/')}/{name}", "weights_sha256": hashlib.sha256(data).hexdigest()}
        folder.put(name, data)
        folder.put(str(PurePosixPath(name).with_suffix(".json")), json.dumps(facts, indent=1).encode())
    return facts


def report(
    request: AdaptationRequest, base_sha256: str, teacher: str | None, gathered: Gathered, done: Adaptation
) -> dict[str, Any]:
    """What was done and what it gave, as JSON holds it."""
    settings = request.settings
    return {
        "restorer": request.restorer,
        "accepted": done.accepted,
        "reason": done.reason,
        "held_out_pairs": {
            "count": settings.held_out_patches,
            "psnr_before_db": _rounded(done.before_db),
            "psnr_after_db": _rounded(done.after_db),
            "gain_standard_error_db": _rounded(done.error_db),
        },
        "blurred_patches": {
            "looked_at": done.looked_at,
            "explained_by_motion": done.explained,
            "learnt_from": done.teaching,
        },
        "teacher": teacher,
        "taught_patches": done.taught,
        "iterations": settings.iterations,
        "frames": settings.frames,
        "alpha": settings.alpha,
        "formation": settings.formation,
        "seed": settings.seed,
        "seconds": round(done.seconds, 1),
        "videos": list(gathered.videos),
        "skipped": [{"video": video, "error": error} for video, error in gathered.skipped],
        "adapted_from_sha256": base_sha256,
        "out": None,
        "weights_sha256": None,
    }


def _teaching(request: AdaptationRequest) -> RestorerEntry | None:
    """The teacher that is asked for, or else the restorer's own."""
    name = request.teacher or find_restorer(request.restorer).teacher
    if name is None or name == NO_TEACHER:
        return None
    try:
        return find_restorer(name)
    except SettingsError as error:
        raise SettingsError(f"--teacher: {error}, or {NO_TEACHER}") from error


def _rounded(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None


def _destination(out: str) -> tuple[ObjectStore, str]:
    """Where the weights are to go, after a trial that something can be written there."""
    if PurePosixPath(out).suffix != SUFFIX:
        raise UsageError(f"--out {out}: a weights file ends in {SUFFIX}, name it so")
    folder, name = parse_location(out).split_last()
    if folder.scheme == "file" and not Path(folder.path).is_dir():
        raise UsageError(f"--out {out}: there is no folder {folder.path}, make it first")
    store = open_store(folder)
    try:
        store.check_writable()
    except StorageError as error:
        raise UsageError(f"--out {out}: {error}") from error
    return store, name


def _videos(request: AdaptationRequest) -> tuple[ObjectStore, Sequence[str]]:
    """The store and the keys of the videos that were named."""
    place = parse_location(request.videos)
    if place.scheme == "file" and Path(place.path).is_file():
        folder, name = place.split_last()
        return open_store(folder), [name]
    store = open_store(place)
    try:
        keys = [each.key for each in store.list() if not each.key.startswith(_META)]
    except StorageError as error:
        raise UsageError(f"--videos {request.videos}: {error}") from error
    videos = [key for key in keys if PurePosixPath(key).suffix.lower() in request.video_suffixes]
    if not videos:
        endings = " ".join(request.video_suffixes[:6])
        raise UsageError(f"--videos {request.videos} holds {len(keys)} files but no video ({endings} …)")
    return store, videos


def _why_nothing(request: AdaptationRequest, gathered: Gathered) -> str:
    if gathered.skipped:
        _, error = gathered.skipped[0]
        return f"--videos {request.videos}: none of {len(gathered.skipped)} videos can be read; {error}"
    return f"--videos {request.videos}: no video has six frames of one shot; name longer ones"
