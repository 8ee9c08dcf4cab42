"""A store that fails while FFmpeg reads from it: the store's error is told, not what FFmpeg made of half a file."""

from pathlib import Path

import av
import pytest

from deblur_core.errors import DamagedVideoError, ObjectChangedError, StorageError, UnavailableError
from deblur_core.storage import ObjectInfo, RangedFile, open_store
from deblur_core.storage.folder import FolderObjectStore
from deblur_core.storage.read_failures import read_failures_told
from tests.media import make_clip


class BreakingStore(FolderObjectStore):
    """Answers ranges until `breaks_at`, a byte."""

    breaks_at = 0

    def read_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        if start + length > self.breaks_at:
            raise UnavailableError("the store answers 503")
        return super().read_range(key, start, length, etag)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """1.5 MiB, the index at its end."""
    return make_clip(tmp_path / "clip.mkv", frames=30, size=(320, 240))


def test_what_a_reader_makes_of_a_failed_read_is_told_as_the_failed_read(tmp_path: Path) -> None:
    store = BreakingStore(tmp_path)
    with pytest.raises(UnavailableError, match="503") as caught, read_failures_told():
        file = RangedFile(store, ObjectInfo("k", 10, "etag", 0.0))
        try:
            file.read(10)
        except StorageError as error:
            raise DamagedVideoError("clip.mp4: is cut short") from error
    assert isinstance(caught.value.__cause__, DamagedVideoError)


def test_a_failed_read_that_its_reader_kept_to_itself_is_told_at_the_end(tmp_path: Path) -> None:
    store = BreakingStore(tmp_path)
    with pytest.raises(UnavailableError, match="503"), read_failures_told():
        file = RangedFile(store, ObjectInfo("k", 10, "etag", 0.0))
        with pytest.raises(StorageError):
            file.read(10)


def test_an_error_of_another_kind_stays_what_it_is() -> None:
    with pytest.raises(DamagedVideoError), read_failures_told():
        raise DamagedVideoError("clip.mp4: is cut short")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_store_that_fails_while_ffmpeg_reads_is_not_a_damaged_video(clip: Path, share: float) -> None:
    store = BreakingStore(clip.parent)
    size = clip.stat().st_size
    store.breaks_at = int(share * size)
    info = store.head(clip.name)
    with pytest.raises(UnavailableError, match="503"), read_failures_told():
        file = RangedFile(store, info)
        with av.open(file) as container:
            for _ in container.demux(video=0):
                pass


def test_a_source_that_changes_while_it_is_read_is_told_to_have(clip: Path) -> None:
    store = open_store(clip.parent)
    with (
        pytest.raises(ObjectChangedError, match=r"clip\.mkv changed while it was in use"),
        read_failures_told(),
        store.open(clip.name) as file,
        av.open(file) as container,
    ):
        for number, _ in enumerate(container.demux(video=0)):
            if number == 3:
                clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
