"""Names from outside: none leads out of a store, hides another, or speaks to the terminal in its own words."""

from pathlib import Path

import pytest

from deblur_core.errors import StorageError
from deblur_core.storage import open_store, spelling
from deblur_core.storage.keys import check_key, printable


@pytest.fixture
def case_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that answers to any case, and keeps names in lower case."""
    monkeypatch.setattr(spelling, "ignores_case", lambda _: True)
    monkeypatch.setattr(spelling, "_names_in", lambda folder: [each.name.lower() for each in folder.iterdir()])


def test_what_differs_in_case_alone_is_not_replaced(tmp_path: Path, case_ignored: None) -> None:
    store = open_store(tmp_path)
    store.put("Folder/A.mp4", b"first")
    with pytest.raises(StorageError, match=r"keeps .*folder under that name.*rename one"):
        store.put("Folder/A.mp4", b"second")
    assert store.read("Folder/A.mp4") == b"first"
    store.put("other/a.mp4", b"first")
    store.put("other/a.mp4", b"second")
    assert store.read("other/a.mp4") == b"second"
    assert list(tmp_path.rglob(".partial*")) == []


def test_case_counts_where_the_file_system_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put("a.mp4", b"small")
    if spelling.ignores_case(tmp_path / "a.mp4"):
        with pytest.raises(StorageError, match="upper and lower case alone"):
            store.put("A.mp4", b"large")
    else:
        store.put("A.mp4", b"large")
    assert store.read("a.mp4") == b"small"


def test_another_composition_of_the_same_letters_is_no_other_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS lists é as e and an accent, whatever was written."""
    monkeypatch.setattr(spelling, "ignores_case", lambda _: True)
    (tmp_path / "caf\u00e9.mp4").write_bytes(b"x")
    monkeypatch.setattr(spelling, "_names_in", lambda folder: ["cafe\u0301.mp4"])
    assert spelling.kept_as(tmp_path / "caf\u00e9.mp4", tmp_path) is None
    assert spelling.kept_as(tmp_path / "absent.mp4", tmp_path) is None


def test_a_name_of_255_bytes_serves_and_one_more_is_refused_in_one_line(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    longest = "ä" * 125 + "x.mp4"
    assert len(longest.encode()) == 255
    store.put(longest, b"x")
    assert store.read(longest) == b"x"
    for ask in (store.head, store.open, lambda key: store.put(key, b"x")):
        with pytest.raises(StorageError) as caught:
            ask("x" + longest)
        assert len(str(caught.value).splitlines()) == 1
    assert [info.key for info in store.list()] == [longest]


def test_what_a_source_calls_its_own_restore_folder_is_read_but_its_unfinished_part_is_closed(tmp_path: Path) -> None:
    (tmp_path / "_restore" / "tmp").mkdir(parents=True)
    (tmp_path / "_restore" / "tmp" / "a.mp4").write_bytes(b"x")
    (tmp_path / "_restore" / "b.mp4").write_bytes(b"x")
    assert [info.key for info in open_store(tmp_path).list()] == ["_restore/b.mp4"]
    with pytest.raises(StorageError, match="unfinished"):
        check_key("_restore/tmp/a.mp4")


@pytest.mark.parametrize("key", ["..", "../a.mp4", "a/../../b", "/etc/passwd", "a//b", "./a", "a/", "", "a\nb", "a\0b"])
def test_no_key_leads_out_of_a_store_of_any_kind(key: str) -> None:
    """S3 takes such keys; a folder would follow them."""
    with pytest.raises(StorageError, match="the object key"):
        check_key(key)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("film.mp4", "film.mp4"),
        ("Straße 映像 שלום 👩‍🎬.mp4", "Straße 映像 שלום 👩‍🎬.mp4"),
        ("a\nFAILED b.mp4", "a\\nFAILED b.mp4"),
        ("\x1b[2J\x07.mp4", "\\x1b[2J\\x07.mp4"),
        ("a\u202e4pm.exe", "a\\u202e4pm.exe"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_what_is_shown_stays_on_its_line_and_in_its_order(name: str, shown: str) -> None:
    assert printable(name) == shown
    shown.encode()
