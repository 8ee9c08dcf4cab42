"""How many requests and bytes a file over ranged reads costs, measured over a folder: it counts as any store does."""

import io
import os
from pathlib import Path

import pytest

from deblur_core.errors import StorageError
from deblur_core.storage import ObjectInfo, ObjectStore, RangedFile, open_store

MEBIBYTE = 1024 * 1024
SIZE_BYTES = 64 * MEBIBYTE + 12_345


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(MEBIBYTE) * 64 + os.urandom(12_345)


@pytest.fixture(scope="module")
def stored(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> tuple[ObjectStore, ObjectInfo]:
    store = open_store(tmp_path_factory.mktemp("archive"))
    return store, store.put("film.mp4", content)


@pytest.fixture
def file(stored: tuple[ObjectStore, ObjectInfo]) -> RangedFile:
    return RangedFile(*stored)


def held_bytes(file: RangedFile) -> int:
    return sum(len(window) for window in file._windows.values())


def test_opening_and_seeking_ask_for_nothing(file: RangedFile) -> None:
    assert file.seek(0, io.SEEK_END) == SIZE_BYTES
    assert file.seek(-100, io.SEEK_CUR) == SIZE_BYTES - 100
    assert (file.request_count, file.fetched_bytes) == (0, 0)


def test_reading_to_the_end_takes_few_requests_and_no_byte_twice(file: RangedFile, content: bytes) -> None:
    pieces = []
    while piece := file.read(32 * 1024):
        pieces.append(piece)
        assert held_bytes(file) <= 20 * MEBIBYTE
    assert b"".join(pieces) == content
    assert file.fetched_bytes == SIZE_BYTES
    # 0.25 + 0.5 + 1 + 2 MiB, then 4 MiB at a time.
    assert file.request_count == 4 + 16


def test_a_jump_reads_one_small_window(file: RangedFile, content: bytes) -> None:
    file.seek(40_000_000)
    assert file.read(1000) == content[40_000_000:40_001_000]
    assert (file.request_count, file.fetched_bytes) == (1, 256 * 1024)


def test_read_ahead_falls_back_after_a_jump(file: RangedFile) -> None:
    for _ in range(16):
        file.read(MEBIBYTE)
    before = file.fetched_bytes
    file.seek(50 * MEBIBYTE)
    file.read(1000)
    assert file.fetched_bytes - before == 256 * 1024


def test_the_index_at_the_end_and_a_return_to_the_start_are_cheap(file: RangedFile, content: bytes) -> None:
    head = file.read(4096)
    file.seek(-10_000, io.SEEK_END)
    assert file.read() == content[-10_000:]
    file.seek(0)
    assert file.read(4096) == head
    assert file.request_count == 2
    assert file.fetched_bytes < 2 * 256 * 1024


def test_sound_that_lies_apart_keeps_its_window_while_the_picture_runs_on(file: RangedFile, content: bytes) -> None:
    picture, sound = 0, 48 * MEBIBYTE
    while picture < 40 * MEBIBYTE:
        file.seek(picture)
        assert file.read(64 * 1024) == content[picture : picture + 64 * 1024]
        file.seek(sound)
        assert file.read(1024) == content[sound : sound + 1024]
        picture, sound = picture + 64 * 1024, sound + 1024
    # The picture: 4 growing windows and 10 of 4 MiB. The sound: 640 kB in windows of 256 and 512 KiB.
    assert file.request_count <= 17
    assert file.fetched_bytes <= 46 * MEBIBYTE


def test_one_large_read_asks_for_large_windows_at_once(file: RangedFile, content: bytes) -> None:
    file.seek(MEBIBYTE)
    assert file.read(16 * MEBIBYTE) == content[MEBIBYTE : 17 * MEBIBYTE]
    assert file.request_count == 4


def test_reading_everything_at_once_gives_everything(file: RangedFile, content: bytes) -> None:
    assert file.read() == content


def test_reading_at_the_end_and_beyond_gives_nothing(file: RangedFile) -> None:
    file.seek(SIZE_BYTES)
    assert file.read(10) == b""
    file.seek(SIZE_BYTES + 1000)
    assert file.read(10) == b""
    assert file.request_count == 0


def test_a_closed_file_cannot_be_read(file: RangedFile) -> None:
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_a_store_that_answers_with_too_few_bytes_is_an_error(stored: tuple[ObjectStore, ObjectInfo]) -> None:
    store, info = stored
    longer = ObjectInfo(info.key, info.size_bytes + 1000, info.etag, info.modified_seconds)
    file = RangedFile(store, longer)
    file.seek(-10, io.SEEK_END)
    with pytest.raises(StorageError, match="bytes came for"):
        file.read(10)


def test_pyav_opens_seeks_and_decodes_through_it_without_reading_it_all(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    np = pytest.importorskip("numpy")
    path = tmp_path / "film.mp4"
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "1", "g": "25"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(150):
            picture = noise.integers(0, 256, (240, 320, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    store = open_store(tmp_path)
    info = store.head("film.mp4")
    file = RangedFile(store, info)
    with av.open(file) as container:
        stream = container.streams.video[0]
        container.seek(int(4 / stream.time_base), stream=stream)
        frame = next(container.decode(stream))
    assert frame.time == pytest.approx(4.0)
    assert info.size_bytes > 8 * MEBIBYTE
    assert file.fetched_bytes < info.size_bytes / 4
