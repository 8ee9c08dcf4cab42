"""Whether the places of a run answer: what the source holds can be read, destination and work can be written.

A source is a folder, a prefix, or a single file; beside a single file, the destination may be one, too. Raises
RestoreArchiveError for what a run would refuse.
"""

from pathlib import Path, PurePosixPath

from deblur_core.errors import UsageError
from deblur_core.storage import Location, open_store, parse_location
from flows.settings import Settings

PLACES = ("source", "destination", "work")


def check_place(name: str, settings: Settings) -> None:
    """Tries the place that the setting `name` of PLACES holds; nothing of it stays."""
    place = parse_location(getattr(settings, name))
    if name == "source":
        _read(place, settings)
    elif name == "destination" and _is_single_result(place, settings):
        open_store(place.split_last()[0]).check_writable()
    else:
        open_store(place).check_writable()


def _read(place: Location, settings: Settings) -> None:
    if _is_single(place, settings):
        folder, file = place.split_last()
        with open_store(folder).open(file) as opened:
            opened.read(1)
        return
    if place.scheme == "file" and not Path(place.path).is_dir():
        raise UsageError(f"source {settings.source} does not exist: check the path")
    next(iter(open_store(place).list()), None)


def _is_single(place: Location, settings: Settings) -> bool:
    if place.scheme == "file":
        return Path(place.path).is_file()
    if PurePosixPath(place.path).suffix.lower() not in settings.video_suffixes:
        return False
    folder, name = place.split_last()
    return open_store(folder).exists(name)


def _is_single_result(place: Location, settings: Settings) -> bool:
    if settings.source is None or PurePosixPath(place.path).suffix.lower() not in settings.video_suffixes:
        return False
    is_folder = place.scheme == "file" and Path(place.path).is_dir()
    return not is_folder and _is_single(parse_location(settings.source), settings)
