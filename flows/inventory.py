"""What there is to do: the videos of the source, compared with what the destination already holds.

Everything that can be wrong with a request is found here, before anything is written or started. Knows no Ray.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deblur_core.errors import (
    BucketNotFoundError,
    ObjectNotFoundError,
    SettingsError,
    StorageError,
    UsageError,
)
from deblur_core.manifests.videos import FAILED, VideoRecord, each_record, records_from_bytes
from deblur_core.models.registry import check_weights
from deblur_core.provenance.sidecar import sidecar_key
from deblur_core.provenance.versions import making_version
from deblur_core.storage import Location, ObjectInfo, ObjectStore, open_store, parse_location
from deblur_core.storage.keys import printable
from deblur_core.storage.lease import refuse_if_held, remove_dead
from deblur_core.video.containers import output_name
from deblur_core.video.preservation import master_name
from flows.settings import Settings
from workers.job import META, Job, VideoTask
from workers.memory import give_back_freed_memory

log = logging.getLogger(__name__)

_UNFOLLOWED = "a symbolic link that is not followed"
VIDEOS_KEY = f"{META}/videos.parquet"


@dataclass(frozen=True)
class Inventory:
    """pending: to be restored; done: keys of those that are skipped; given_up: failed for good in an earlier run and
    not tried again; other_files: in the source but no video by name."""

    job: Job
    pending: tuple[VideoTask, ...]
    done: tuple[str, ...]
    given_up: tuple[VideoRecord, ...]
    other_files: int

    @property
    def total(self) -> int:
        """Videos in the source."""
        return len(self.pending) + len(self.done) + len(self.given_up)


@dataclass(frozen=True)
class _Places:
    source: Location
    destination: Location
    only: str | None
    rename: str | None


def take_inventory(
    settings: Settings, run_id: str, force: bool = False, writes: bool = True, retry_failed: bool = False
) -> Inventory:
    """Lists the source and decides what is to be done. retry_failed: also what failed for good.

    Raises UsageError: source missing, empty or without videos; destination not writable (asked only if `writes`), or
    inside the source; credentials or bucket wrong; weights that are not the released ones; slow motion that the
    restorer does not give; a destination or WORK that another run on this machine writes into.
    """
    options = settings.restore_options()
    check_weights(options.restorer, options.selector, settings.weights)
    places = _places(settings)
    work = settings.work or f"{places.destination.url.rstrip('/')}/{META}/work"
    _check_apart(places, parse_location(work))
    source, destination = open_store(places.source.url), open_store(places.destination.url)
    with _as_usage(f"source {settings.source}"):
        videos, other_files = _list_videos(source, settings, places.only)
    if not videos:
        raise UsageError(_why_no_video(settings, other_files))
    if writes:
        with _as_usage(f"destination {settings.destination}"):
            destination.check_writable()
        with _as_usage(f"work {work}"):
            open_store(work).check_writable()
    job = Job(
        run_id=run_id,
        source_url=source.url,
        destination_url=destination.url,
        work_url=parse_location(work).url,
        options=options,
        device=settings.device,
        salt=run_id if force else "",
        rename=places.rename,
    )
    with _as_usage(f"destination {settings.destination}"):
        done, given_up = _finished(destination, videos, job)
    done, given_up = [] if force else done, [] if force or retry_failed else given_up
    finished = {*done, *(record.video for record in given_up)}
    pending = tuple(video for video in videos if video.video not in finished)
    if writes:
        for url in leased_places(job):
            (refuse_if_held if pending else remove_dead)(open_store(url))
    give_back_freed_memory()  # all the rows of the archive were read
    return Inventory(job, pending, tuple(done), tuple(given_up), other_files)


def leased_places(job: Job) -> tuple[str, ...]:
    """Where only one run at a time may write: the destination, and WORK where that lies elsewhere. What a run tidies up
    in WORK would be another's."""
    inside = parse_location(job.work_url).is_inside(parse_location(job.destination_url))
    return (job.destination_url,) if inside else (job.destination_url, job.work_url)


@dataclass(frozen=True)
class PublishedArchive:
    """An archive and what became of it. names: for each video, the keys under which it may be published."""

    source: ObjectStore
    destination: ObjectStore
    videos: tuple[ObjectInfo, ...]
    names: dict[str, tuple[str, ...]]
    records: dict[str, VideoRecord]


def find_published(settings: Settings) -> PublishedArchive:
    """The videos of the source, beside a destination that an earlier run has written. Writes nothing.

    Raises UsageError: source missing, empty or without videos; destination missing; credentials or bucket wrong.
    """
    places = _places(settings)
    source, destination = open_store(places.source.url), open_store(places.destination.url)
    with _as_usage(f"source {settings.source}"):
        videos, other_files = _list_videos(source, settings, places.only)
    if not videos:
        raise UsageError(_why_no_video(settings, other_files))
    with _as_usage(f"destination {settings.destination}"):
        if next(destination.list(), None) is None:
            raise UsageError(f"destination {settings.destination} is empty: nothing was published there")
        records = read_records(destination)
    taken = {video.video for video in videos}
    names = {}
    for video in videos:
        key = places.rename or video.video
        others = [name for name in (output_name(key), master_name(key)) if name not in taken]
        names[video.video] = tuple(dict.fromkeys([key, *others]))
    infos = tuple(ObjectInfo(video.video, video.size_bytes, video.etag, 0.0) for video in videos)
    return PublishedArchive(source, destination, infos, names, records)


def read_records(destination: ObjectStore) -> dict[str, VideoRecord]:
    """The rows of the destination's videos.parquet; none when there is none yet."""
    try:
        return records_from_bytes(destination.read(VIDEOS_KEY), f"{destination.url}/{VIDEOS_KEY}")
    except (ObjectNotFoundError, BucketNotFoundError):
        return {}


def _places(settings: Settings) -> _Places:
    if not settings.source or not settings.destination:
        missing = "source" if not settings.source else "destination"
        raise SettingsError(f"no {missing} given: name it as an argument, in RESTORE_{missing.upper()} or restore.toml")
    source, destination = parse_location(settings.source), parse_location(settings.destination)
    if not _is_file(source, settings):
        if source.scheme == "file" and not Path(source.path).is_dir():
            raise UsageError(f"source {settings.source} does not exist: check the path")
        return _Places(source, destination, None, None)
    folder, name = source.split_last()
    suffix = PurePosixPath(destination.path).suffix.lower()
    is_folder = destination.scheme == "file" and Path(destination.path).is_dir()
    if suffix not in settings.video_suffixes or is_folder:
        return _Places(folder, destination, name, None)
    if suffix != PurePosixPath(name).suffix.lower():
        raise UsageError(
            f"destination {settings.destination} has another extension than {name}: the container stays as it is, "
            f"so name it with {PurePosixPath(name).suffix}"
        )
    target, rename = destination.split_last()
    return _Places(folder, target, name, rename)


def _is_file(source: Location, settings: Settings) -> bool:
    if source.scheme == "file":
        return Path(source.path).is_file()
    if PurePosixPath(source.path).suffix.lower() not in settings.video_suffixes:
        return False
    folder, name = source.split_last()
    with _as_usage(f"source {settings.source}"):
        return open_store(folder.url).exists(name)


def _check_apart(places: _Places, work: Location) -> None:
    source, destination = places.source, places.destination
    meta = f"{destination.url.rstrip('/')}/{META}"
    if work.is_inside(destination) and not work.is_inside(parse_location(meta)):
        raise UsageError(f"work {work.url} lies among the published videos: name another place, or {meta}/work")
    if places.only is not None:
        same = (places.rename or places.only) == places.only and destination.url == source.url
        target = parse_location(f"{destination.url.rstrip('/')}/{places.rename or places.only}")
        if same or target.is_inside(parse_location(f"{source.url.rstrip('/')}/{places.only}")):
            raise UsageError(f"destination {destination.url} would overwrite the source: name another place")
        return
    if destination.is_inside(source):
        raise UsageError(f"destination {destination.url} lies inside the source {source.url}: name another place")
    if source.is_inside(destination):
        raise UsageError(f"source {source.url} lies inside the destination {destination.url}: name another place")
    if work.is_inside(source):
        raise UsageError(f"work {work.url} lies inside the source {source.url}: name another place")


def _list_videos(store: ObjectStore, settings: Settings, only: str | None) -> tuple[list[VideoTask], int]:
    if only is not None:
        info = store.head(only)
        return [VideoTask(only, info.etag, info.size_bytes)], 0
    videos, others, links = [], 0, list[str]()
    for info in store.list(passed_over=links.append):
        if info.key.startswith(f"{META}/"):
            continue
        if PurePosixPath(info.key).suffix.lower() in settings.video_suffixes:
            videos.append(VideoTask(info.key, info.etag, info.size_bytes))
        else:
            others += 1
    for key in links:
        if PurePosixPath(key).suffix.lower() in settings.video_suffixes:
            videos.append(VideoTask(key, _UNFOLLOWED, 0))  # fails with what is wrong with the link
        else:
            log.warning("%s is a symbolic link that is not followed", printable(key))
            others += 1
    return videos, others


def _why_no_video(settings: Settings, other_files: int) -> str:
    if not other_files:
        return f"source {settings.source} is empty: nothing to restore"
    return (
        f"source {settings.source} holds {other_files} files but no video: files count as videos by their extension "
        f"({' '.join(settings.video_suffixes[:6])} …; setting video_suffixes)"
    )


def _finished(destination: ObjectStore, videos: Sequence[VideoTask], job: Job) -> tuple[list[str], list[VideoRecord]]:
    """The keys of those that are published and unchanged, and the records of those that would only fail again."""
    done: list[str] = []
    given_up: list[VideoRecord] = []
    with suppress(ObjectNotFoundError, BucketNotFoundError):
        data = destination.read(VIDEOS_KEY)
        by_key, sizes = {video.video: video for video in videos}, _published_bytes(destination)
        for record in each_record(data, f"{destination.url}/{VIDEOS_KEY}"):
            video = by_key.get(record.video)
            if video is None or (record.source_etag, record.fingerprint) != (video.etag, job.fingerprint):
                continue
            if _is_published(record, sizes) and record.output in job.output_keys(video):
                done.append(record.video)
            elif record.is_final and record.failed_by == making_version():
                given_up.append(record)
    return done, given_up


def _published_bytes(destination: ObjectStore) -> dict[str, int]:
    """Sizes of the published objects, so that one that was deleted or cut by hand is made again."""
    return {info.key: info.size_bytes for info in destination.list() if not info.key.startswith(f"{META}/")}


def _is_published(record: VideoRecord, sizes: dict[str, int]) -> bool:
    return (
        record.status != FAILED
        and record.output is not None
        and sizes.get(record.output) == record.output_bytes
        and sizes.get(sidecar_key(record.output), 0) > 0
    )


@contextmanager
def _as_usage(what: str) -> Iterator[None]:
    """A store that cannot be reached at all is a wrong request, not a failed video."""
    try:
        yield
    except StorageError as error:
        raise UsageError(f"{what}: {error}") from error
