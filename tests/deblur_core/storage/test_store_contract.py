"""What every object store promises, asked of a folder, of moto's S3 and of a real OpenStack Swift alike."""

import io
import os
import pickle
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deblur_core.errors import ObjectChangedError, ObjectNotFoundError, StorageError
from deblur_core.storage import ObjectStore, open_store, parse_location
from deblur_core.storage.s3 import S3ObjectStore
from deblur_core.storage.s3_transfers import TransferSizes

MEBIBYTE = 1024 * 1024
SMALL_PARTS = TransferSizes(5 * MEBIBYTE, 5 * MEBIBYTE, 5 * MEBIBYTE)
"""The smallest parts that S3 allows, so that a test object of 11 MiB has three."""

MakeStore = Callable[[], ObjectStore]


@pytest.fixture(params=["folder", "moto", pytest.param("swift", marks=pytest.mark.integration)])
def make_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeStore:
    """Makes empty stores of one kind; those of S3 lie in one bucket."""
    if request.param == "folder":
        return lambda: open_store(tmp_path / f"store-{uuid.uuid4().hex}")
    server = request.getfixturevalue(f"{request.param}_s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    bucket = server.shared_bucket
    return lambda: S3ObjectStore(parse_location(f"s3://{bucket}/store {uuid.uuid4().hex}"), SMALL_PARTS)


@pytest.fixture
def store(make_store: MakeStore) -> ObjectStore:
    return make_store()


@pytest.fixture(scope="module")
def long_content() -> bytes:
    """11 MiB that never repeat: three parts of 5 MiB."""
    return os.urandom(11 * MEBIBYTE)


@pytest.fixture
def long_file(tmp_path: Path, long_content: bytes) -> Path:
    path = tmp_path / "long.mp4"
    path.write_bytes(long_content)
    return path


def test_a_file_made_in_the_scratch_folder_is_put_and_the_folder_goes(store: ObjectStore, long_content: bytes) -> None:
    with store.scratch_folder() as folder:
        (folder / "film.mp4").write_bytes(long_content)
        (folder / "left over").write_bytes(b"x")
        info = store.put_file("a/film.mp4", folder / "film.mp4")
        assert [each.key for each in store.list()] == ["a/film.mp4"]
        assert store.head("a/film.mp4").etag == info.etag
    assert not folder.exists()
    assert store.read("a/film.mp4") == long_content


def test_what_was_put_is_read_back_with_its_size_and_a_recent_time(store: ObjectStore) -> None:
    info = store.put("a/clip.mp4", b"frames")
    assert store.read("a/clip.mp4") == b"frames"
    assert (info.key, info.size_bytes) == ("a/clip.mp4", 6)
    assert abs(info.modified_seconds - time.time()) < 60
    assert store.head("a/clip.mp4").etag == info.etag


def test_an_absent_object_is_not_found(store: ObjectStore) -> None:
    store.put("a/clip.mp4", b"frames")
    for ask in (store.head, store.read, store.open, lambda key: store.read_range(key, 0, 1)):
        with pytest.raises(ObjectNotFoundError, match="other"):
            ask("a/other.mp4")
    assert store.exists("a/clip.mp4")
    assert not store.exists("a/other.mp4")
    assert not store.exists("a")


def test_a_put_replaces_and_changes_the_etag(store: ObjectStore) -> None:
    first = store.put("k", b"one")
    second = store.put("k", b"two")
    assert first.etag != second.etag
    assert store.read("k") == b"two"


def test_an_object_may_be_empty(store: ObjectStore, tmp_path: Path) -> None:
    assert store.put("empty", b"").size_bytes == 0
    assert store.read("empty") == b""
    assert store.read_range("empty", 0, 10) == b""
    with store.open("empty") as file:
        assert file.read(10) == b""
    store.download("empty", tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""
    assert store.put_file("copy", tmp_path / "empty").size_bytes == 0
    assert [info.key for info in store.list()] == ["copy", "empty"]


def test_a_range_is_clipped_at_the_end_of_the_object(store: ObjectStore) -> None:
    store.put("k", b"0123456789")
    assert store.read_range("k", 2, 3) == b"234"
    assert store.read_range("k", 8, 100) == b"89"
    assert store.read_range("k", 10, 5) == b""
    assert store.read_range("k", 500, 5) == b""
    assert store.read_range("k", 3, 0) == b""


def test_a_range_pinned_to_an_etag_refuses_another_version(store: ObjectStore) -> None:
    old = store.put("k", b"old content")
    assert store.read_range("k", 0, 3, etag=old.etag) == b"old"
    new = store.put("k", b"new content")
    with pytest.raises(ObjectChangedError, match="k changed"):
        store.read_range("k", 0, 3, etag=old.etag)
    assert store.read_range("k", 0, 3, etag=new.etag) == b"new"


def test_an_open_file_refuses_to_mix_two_versions(store: ObjectStore, long_file: Path) -> None:
    store.put_file("k", long_file)
    with store.open("k") as file:
        file.read(1000)
        replace_in_place(store, "k", b"x" * 11 * MEBIBYTE)
        file.seek(10 * MEBIBYTE)
        with pytest.raises(ObjectChangedError):
            file.read(1000)


def test_a_file_opened_as_a_version_that_is_gone_is_refused(store: ObjectStore) -> None:
    old = store.put("k", b"old content")
    store.put("k", b"new content")
    with store.open("k", old) as file, pytest.raises(ObjectChangedError):
        file.read(3)


def test_an_open_file_reads_seeks_and_tells_like_a_file(
    store: ObjectStore, long_file: Path, long_content: bytes
) -> None:
    store.put_file("k", long_file)
    with store.open("k") as file:
        assert file.seekable() and file.readable()
        for start, length in ((0, 10), (5 * MEBIBYTE - 3, 7), (len(long_content) - 4, 100), (123_457, 300_000)):
            assert file.seek(start) == start
            assert file.read(length) == long_content[start : start + length]
            assert file.tell() == min(start + length, len(long_content))
        assert file.seek(-5, io.SEEK_END) == len(long_content) - 5
        assert file.read() == long_content[-5:]
        assert file.seek(100) and file.seek(-50, io.SEEK_CUR) == 50
        with pytest.raises((ValueError, OSError)):
            file.seek(-1)


def test_ranges_across_the_parts_of_a_large_object_are_right(
    store: ObjectStore, long_file: Path, long_content: bytes
) -> None:
    info = store.put_file("big", long_file)
    assert info.size_bytes == len(long_content)
    for border in (5 * MEBIBYTE, 10 * MEBIBYTE):
        part = slice(border - 3, border + 4)
        assert store.read_range("big", part.start, 7, etag=info.etag) == long_content[part]


def test_a_listing_says_the_same_of_an_object_as_head(store: ObjectStore, long_file: Path) -> None:
    store.put("small", b"abc")
    store.put_file("large", long_file)
    for info in store.list():
        head = store.head(info.key)
        assert (info.key, info.size_bytes, info.etag) == (head.key, head.size_bytes, head.etag)
        assert info.modified_seconds == pytest.approx(head.modified_seconds, abs=1)


def test_a_listing_is_in_the_binary_order_of_utf8(store: ObjectStore) -> None:
    # '.' and '-' sort before '/', '0' after it: a folder is not sorted by its name alone.
    keys = ["a/b", "a-c", "a.txt", "a0", "a/b.c/d", "B", "é", "z", "한", "🎬", "a/Z"]
    for key in keys:
        store.put(key, b"")
    assert [info.key for info in store.list()] == sorted(keys, key=str.encode)


def test_a_prefix_is_the_beginning_of_a_key(store: ObjectStore) -> None:
    for key in ("a/b/1", "a/b/2", "a/bc", "a/c", "b"):
        store.put(key, b"")
    assert [info.key for info in store.list("a/b")] == ["a/b/1", "a/b/2", "a/bc"]
    assert [info.key for info in store.list("a/b/")] == ["a/b/1", "a/b/2"]
    assert [info.key for info in store.list("a/b/2")] == ["a/b/2"]
    assert list(store.list("nothing/here/")) == []
    assert list(store.list("b/")) == []


def test_keys_may_hold_spaces_and_any_letters_and_signs(store: ObjectStore) -> None:
    keys = ["Sommer 2019/Straße & Käse.mp4", "a+b%20c=d?e#f.mov", "映像/ブレ.mkv", "quote'\"<>.mp4", "…/... .mp4"]
    for number, key in enumerate(keys):
        store.put(key, str(number).encode())
    assert {info.key for info in store.list()} == set(keys)
    assert [store.read(key).decode() for key in keys] == list("01234")
    assert store.delete_prefix("映像/") == 1
    store.copy_from(store, keys[0], "copy of " + keys[1])
    assert store.read("copy of " + keys[1]) == b"0"


def test_a_key_that_could_lead_anywhere_else_is_refused(store: ObjectStore) -> None:
    outside = ["", "/etc/passwd", "../out", "a/../../out", "a//b", "a/", "./a", "a/.", "..", "//host/share"]
    unprintable = ["a\0b", "a\nb", "\x7f", "\x1b[31m", "\udcff", "x" * 1025]
    for key in outside + unprintable:
        for ask in (store.head, store.read, store.open, store.delete, lambda key: store.put(key, b"x")):
            with pytest.raises(StorageError, match="the object key") as caught:
                ask(key)
            assert str(caught.value).isprintable()


def test_of_sixteen_writers_that_race_one_wins(store: ObjectStore) -> None:
    start = threading.Barrier(16)

    def write(number: int) -> bool:
        mine = pickle.loads(pickle.dumps(store))  # noqa: S301
        start.wait()
        return bool(mine.put_if_absent("claim", str(number).encode()))

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(write, range(16)))
    assert won.count(True) == 1
    assert store.read("claim") == str(won.index(True)).encode()


def test_put_if_absent_leaves_what_is_there(store: ObjectStore) -> None:
    assert store.put_if_absent("a/k", b"first")
    assert not store.put_if_absent("a/k", b"second")
    assert store.read("a/k") == b"first"


def test_delete_removes_and_does_not_mind_what_is_absent(store: ObjectStore) -> None:
    store.put("a/b/c", b"")
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert not store.exists("a/b/c")
    assert list(store.list()) == []


def test_delete_prefix_removes_all_that_it_lists_and_nothing_else(store: ObjectStore) -> None:
    for key in ("work/1", "work/2/3", "workshop", "other"):
        store.put(key, b"")
    assert store.delete_prefix("work/") == 2
    assert store.delete_prefix("work/") == 0
    assert [info.key for info in store.list()] == ["other", "workshop"]
    with pytest.raises(StorageError, match="everything"):
        store.delete_prefix("")


def test_download_writes_the_whole_object(
    store: ObjectStore, long_file: Path, long_content: bytes, tmp_path: Path
) -> None:
    store.put_file("big", long_file)
    target = tmp_path / "got" / "big.mp4"
    target.parent.mkdir()
    store.download("big", target)
    assert target.read_bytes() == long_content
    assert list(target.parent.iterdir()) == [target]


def test_a_download_that_cannot_be_written_says_where(store: ObjectStore, tmp_path: Path) -> None:
    store.put("k", b"x")
    with pytest.raises(StorageError, match="no-folder"):
        store.download("k", tmp_path / "no-folder" / "k")


@pytest.mark.parametrize("size_bytes", [0, 1000, 11 * MEBIBYTE])
def test_a_copy_within_one_kind_of_store_has_the_same_bytes(
    make_store: MakeStore, long_content: bytes, size_bytes: int, tmp_path: Path
) -> None:
    source, target = make_store(), make_store()
    (tmp_path / "f").write_bytes(long_content[:size_bytes])
    source.put_file("from", tmp_path / "f")
    info = target.copy_from(source, "from", "a/to")
    assert target.read("a/to") == long_content[:size_bytes]
    assert info.etag == target.head("a/to").etag


def test_a_copy_between_a_folder_and_this_store_goes_both_ways(
    store: ObjectStore, long_file: Path, long_content: bytes
) -> None:
    folder = open_store(long_file.parent)
    store.copy_from(folder, "long.mp4", "there")
    folder.copy_from(store, "there", "back.mp4")
    assert (long_file.parent / "back.mp4").read_bytes() == long_content


def test_a_copy_of_a_version_that_is_gone_is_refused_and_leaves_nothing(make_store: MakeStore) -> None:
    source, target = make_store(), make_store()
    planned = source.put("k", b"old content")
    source.put("k", b"new content")
    target.put("other", b"")
    with pytest.raises(ObjectChangedError):
        target.copy_from(source, "k", "k", info=planned)
    assert [info.key for info in target.list()] == ["other"]


def test_a_copy_of_an_absent_object_is_not_found(make_store: MakeStore) -> None:
    source, target = make_store(), make_store()
    source.put("k", b"")
    with pytest.raises(ObjectNotFoundError, match="other"):
        target.copy_from(source, "other", "k")


def test_checking_that_a_store_is_writable_leaves_nothing(store: ObjectStore) -> None:
    store.check_writable()
    store.put("k", b"")
    store.check_writable()
    assert [info.key for info in store.list()] == ["k"]
    assert store.clean_up_partial(-3600) == 0


def test_the_place_for_unfinished_objects_is_closed_to_callers(store: ObjectStore) -> None:
    with pytest.raises(StorageError, match="unfinished"):
        store.put("_restore/tmp/mine", b"")
    store.put("_restore/work/mine", b"")
    assert [info.key for info in store.list("_restore/")] == ["_restore/work/mine"]


def test_a_pickled_store_works_elsewhere(store: ObjectStore) -> None:
    store.put("k", b"content")
    there = pickle.loads(pickle.dumps(store))  # noqa: S301
    assert there.read("k") == b"content"
    assert there.url == store.url


def replace_in_place(store: ObjectStore, key: str, data: bytes) -> None:
    """Change an object as someone else would: in a folder, inside the same file."""
    if store.url.startswith("s3:"):
        store.put(key, data)
    else:
        (Path(store.url) / key).write_bytes(data)
