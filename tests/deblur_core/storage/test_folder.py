"""What only a folder can get wrong: links, killed writers, rights, odd names, files that change in place."""

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from deblur_core.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    UnavailableError,
)
from deblur_core.storage import ObjectStore, open_store

PUT_FROM_A_PIPE = """
import sys
from pathlib import Path
from deblur_core.storage import open_store
open_store(sys.argv[1]).put_file("a/clip.mp4", Path(sys.argv[2]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in store.list()]


@contextmanager
def put_that_waits(root: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the middle of a put: it has written 1 MiB and waits for the rest."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", PUT_FROM_A_PIPE, str(root), str(pipe)]
    with subprocess.Popen(command) as process, pipe.open("wb") as writer:
        writer.write(bytes(1 << 20))
        writer.flush()
        deadline = time.monotonic() + 20
        while not any(partial.stat().st_size for partial in (root / "_restore/tmp").glob(".*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
        process.kill()


def test_a_killed_put_leaves_nothing_visible_and_can_be_cleaned_up(root: Path, tmp_path: Path) -> None:
    store = open_store(root)
    store.put("a/clip.mp4", b"the version before")
    with put_that_waits(root, tmp_path) as process:
        assert keys(store) == ["a/clip.mp4"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert store.read("a/clip.mp4") == b"the version before"
    assert keys(store) == ["a/clip.mp4"]
    assert store.clean_up_partial(older_than_seconds=3600) == 0
    assert store.clean_up_partial(older_than_seconds=0) == 1
    assert store.clean_up_partial(older_than_seconds=0) == 0
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "a/clip.mp4"]


def test_a_file_of_the_scratch_folder_is_moved_not_copied(root: Path) -> None:
    store = open_store(root)
    with store.scratch_folder() as folder:
        made = folder / "film.mp4"
        made.write_bytes(b"frames")
        inode = made.stat().st_ino
        store.put_file("a/film.mp4", made)
        assert not made.exists()
    assert (root / "a/film.mp4").stat().st_ino == inode
    assert [path.name for path in root.iterdir()] == ["a"]


def test_a_scratch_folder_that_was_left_is_cleaned_up_by_the_age_of_its_youngest_file(root: Path) -> None:
    store = open_store(root)
    with store.scratch_folder() as folder:
        (folder / "film.mp4").write_bytes(b"frames")
        long_ago = time.time() - 7200
        os.utime(folder, (long_ago, long_ago))
        assert store.clean_up_partial(older_than_seconds=3600) == 0
        os.utime(folder / "film.mp4", (long_ago, long_ago))
        os.utime(folder, (long_ago, long_ago))
        assert store.clean_up_partial(older_than_seconds=3600) == 1
        assert not folder.exists()
    assert list(root.iterdir()) == []


def test_a_full_disk_below_the_scratch_folder_names_the_store(root: Path) -> None:
    store = open_store(root)
    with pytest.raises(StorageFullError, match=f"no room left in {root}"), store.scratch_folder():
        raise OSError(errno.ENOSPC, "No space left on device", "film.mp4")
    assert list(root.iterdir()) == []


def test_a_put_that_fails_leaves_no_temporary_file(root: Path, tmp_path: Path) -> None:
    store = open_store(root)
    with pytest.raises(StorageError, match="missing"):
        store.put_file("k", tmp_path / "missing")
    with pytest.raises(StorageError, match="same name"):
        (root / "folder").mkdir()
        store.put("folder", b"x")
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_no_empty_folder_stays_when_the_last_object_is_gone(root: Path) -> None:
    store = open_store(root)
    store.put("work/a/segment", b"x")
    assert store.put_if_absent("work/a/other", b"x") and not store.put_if_absent("work/a/other", b"y")
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir()) == ["work", "work/a"]
    assert store.delete_prefix("work/") == 2
    assert list(root.iterdir()) == []


def test_writers_that_take_the_folder_of_temporary_files_from_each_other_all_succeed(root: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: open_store(root).put(f"k{number}", b"x"), range(200)))
    assert sorted(path.name for path in root.iterdir()) == sorted(f"k{number}" for number in range(200))


def test_a_key_below_a_file_is_refused(root: Path) -> None:
    store = open_store(root)
    store.put("a", b"")
    for write in (store.put, store.put_if_absent):
        with pytest.raises(StorageError, match="a file and a folder have the same name"):
            write("a/b", b"")
    assert not store.exists("a/b")


def test_a_missing_folder_is_empty_to_ask_but_not_to_list(tmp_path: Path) -> None:
    store = open_store(tmp_path / "not yet")
    assert not store.exists("k")
    assert store.delete_prefix("work/") == 0
    assert store.clean_up_partial(0) == 0
    with pytest.raises(BucketNotFoundError, match="not yet"):
        keys(store)
    store.put("k", b"")
    assert keys(store) == ["k"]


def test_the_etag_changes_with_the_content_in_place_and_by_replacement(root: Path) -> None:
    store = open_store(root)
    etags = [store.put("k", b"same").etag, store.put("k", b"same").etag]
    with (root / "k").open("r+b") as file:
        file.write(b"SAME")
    etags.append(store.head("k").etag)
    with (root / "k").open("ab") as file:
        file.write(b"longer")
    etags.append(store.head("k").etag)
    assert len(set(etags)) == 4


def test_the_etag_does_not_change_by_reading_renaming_or_changing_rights(root: Path) -> None:
    store = open_store(root)
    etag = store.put("k", b"content").etag
    store.read("k")
    (root / "k").chmod(0o600)
    (root / "k").rename(root / "k2")
    assert store.head("k2").etag == etag


def test_a_copy_of_a_file_that_grows_meanwhile_is_refused(root: Path, tmp_path: Path) -> None:
    source, target = open_store(root), open_store(tmp_path / "target")
    planned = source.put("k", b"half")
    with source.open("k", planned) as file:
        assert file.read(2) == b"ha"
        (root / "k").write_bytes(b"half and more")
        with pytest.raises(ObjectChangedError):
            file.seek(0)
            while file.read(1):
                pass
    with pytest.raises(ObjectChangedError):
        target.copy_from(source, "k", "k", info=planned)
    assert not target.exists("k")


def test_links_that_lead_out_are_neither_listed_nor_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"secret")
    (root / "folder").symlink_to(outside)
    (root / "file.mp4").symlink_to(outside / "secret.mp4")
    (root / "dangling.mp4").symlink_to(outside / "absent")
    (root / "loop").symlink_to(root)
    store = open_store(root)
    assert keys(store) == []
    passed_over: list[str] = []
    assert list(store.list(passed_over=passed_over.append)) == []
    assert sorted(passed_over) == ["dangling.mp4", "file.mp4", "folder", "loop"]
    assert list(store.list("folder/")) == []
    for key in ("folder/secret.mp4", "file.mp4"):
        with pytest.raises(StorageError, match="leads out"):
            store.read(key)
    for write in (store.put, store.put_if_absent):
        with pytest.raises(StorageError, match="leads out"):
            write("folder/new.mp4", b"x")
    with pytest.raises(StorageError, match="leads out"):
        store.delete("folder/secret.mp4")
    assert list(outside.iterdir()) == [outside / "secret.mp4"]


def test_a_link_to_a_file_inside_is_an_object(root: Path) -> None:
    store = open_store(root)
    store.put("real.mp4", b"content")
    (root / "link.mp4").symlink_to(root / "real.mp4")
    assert keys(store) == ["link.mp4", "real.mp4"]
    assert store.read("link.mp4") == b"content"
    store.put("link.mp4", b"its own")
    assert store.read("real.mp4") == b"content"


def test_a_root_that_is_itself_a_link_serves(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    store = open_store(tmp_path / "link")
    store.put("a/k", b"x")
    assert [info.key for info in store.list("a/")] == ["a/k"]


def test_a_pipe_or_socket_is_no_object(root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    store = open_store(root)
    assert keys(store) == []
    with pytest.raises(ObjectNotFoundError):
        store.read("pipe.mp4")


def test_a_name_that_is_no_text_is_listed_escaped_and_its_reading_says_why(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.mp4")).write_bytes(b"x")
    store = open_store(root)
    assert keys(store) == ["caf\\xe9.mp4"]
    with pytest.raises(ObjectNotFoundError, match="not UTF-8, rename"):
        store.open("caf\\xe9.mp4")


def test_deleting_the_last_object_of_a_folder_removes_the_folder_but_not_the_root(root: Path) -> None:
    store = open_store(root)
    store.put("a/b/c", b"")
    store.put("a/d", b"")
    store.delete("a/b/c")
    assert (root / "a").is_dir() and not (root / "a/b").exists()
    store.delete("a/d")
    assert root.is_dir() and not (root / "a").exists()


def test_writers_and_deleters_of_one_folder_do_not_trip_over_each_other(root: Path) -> None:
    store = open_store(root)
    stop = threading.Event()

    def delete() -> None:
        while not stop.is_set():
            store.delete("a/b/k")

    deleter = threading.Thread(target=delete)
    deleter.start()
    try:
        for _ in range(100):
            store.put("a/b/k", b"x")
    finally:
        stop.set()
        deleter.join()


def test_put_if_absent_has_one_winner_among_processes(root: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        won = pool.starmap(put_once, [(root, f"claim-{n}") for n in range(20) for _ in range(4)], chunksize=1)
    assert won.count(True) == 20


def put_once(root: Path, key: str) -> bool:
    return open_store(root).put_if_absent(key, b"mine")


def test_checking_rights_removes_the_folders_it_made(tmp_path: Path) -> None:
    open_store(tmp_path / "new" / "archive").check_writable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "sub/folder"])
def test_a_place_that_a_file_occupies_is_not_writable(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        open_store(tmp_path / "file" / below).check_writable()


def test_a_folder_without_rights_is_denied(root: Path) -> None:
    store = open_store(root)
    store.put("k", b"x")
    with without_rights(root):
        for ask in (store.check_writable, lambda: store.put("j", b""), lambda: store.read("k"), lambda: keys(store)):
            with pytest.raises(AccessDeniedError, match="not allowed to"):
                ask()


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StorageFullError, "No space left on device; free space there"),
        (errno.EDQUOT, StorageFullError, "free space there"),
        (errno.EROFS, AccessDeniedError, "Read-only file system; change its rights or choose another place"),
        (errno.EIO, UnavailableError, "once the disk or the network is well"),
        (errno.ESTALE, UnavailableError, "once the disk or the network is well"),
        (errno.EFBIG, StorageError, "File too large"),
    ],
)
def test_a_disk_that_refuses_while_it_is_written_to_is_told_and_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StorageError], words: str
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    store = open_store(root)
    store.put("k", b"before")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(kind, match=words) as caught:
            store.put("k", b"after")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert store.read("k") == b"before"
    assert [path.name for path in root.rglob("*")] == ["k"]


def test_a_store_whose_links_lead_in_a_circle_says_so(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    for place in (tmp_path / "one", tmp_path / "one" / "below"):
        store = open_store(place)
        for ask in (store.check_writable, lambda store=store: store.put("k", b"")):
            with pytest.raises(StorageError, match="symbolic links in a circle; name the place itself"):
                ask()


def test_a_link_that_leads_in_a_circle_is_no_object(root: Path) -> None:
    (root / "loop.mp4").symlink_to(root / "loop.mp4")
    store = open_store(root)
    store.put("k", b"x")
    assert keys(store) == ["k"]
    with pytest.raises(StorageError, match="in a circle"):
        store.head("loop.mp4")


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Take away the rights on a folder, and from root its power to do without them."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(mode)
