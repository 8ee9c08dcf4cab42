"""Locations as people type them, and whether one lies inside another."""

from pathlib import Path

import pytest

from deblur_core.errors import UsageError
from deblur_core.storage import Location, open_store, parse_location


@pytest.mark.parametrize(
    ("text", "bucket", "path"),
    [
        ("s3://archive", "archive", ""),
        ("s3://archive/", "archive", ""),
        ("s3://archive/films/1998/", "archive", "films/1998"),
        ("S3://archive/Straße und Meer", "archive", "Straße und Meer"),
    ],
)
def test_an_s3_url_is_a_bucket_and_a_prefix(text: str, bucket: str, path: str) -> None:
    assert parse_location(text) == Location("s3", bucket, path)


def test_a_relative_folder_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_location("films/") == Location("file", "", str(tmp_path / "films"))
    assert parse_location(Path("./a/../films")).path == str((tmp_path / "films").resolve())


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_location("~/films").path == str(tmp_path / "films")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "give a folder"),
        ("  ", "give a folder"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3:/bucket/prefix", "did you mean s3://bucket/prefix"),
        ("s3://bad bucket/x", "no valid bucket name"),
        ("s3://bucket/a/../b", "'..'"),
        ("s3://bucket//x", "relative"),
        ("s3://bucket/a//x", "empty segment"),
        ("http://host/video.mp4", "http://, which is not supported"),
        ("gs://bucket/x", "gs://, which is not supported"),
        ("file:///archive", "file://, which is not supported"),
        ("a\0b", "control character"),
        ("~nobody-of-this-name/films", "home that does not exist"),
    ],
)
def test_a_malformed_location_is_refused_in_one_line_with_advice(text: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_location(text)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inner", "outer", "inside"),
    [
        ("s3://bkt/films/x", "s3://bkt/films", True),
        ("s3://bkt/films", "s3://bkt/films/", True),
        ("s3://bkt/films", "s3://bkt", True),
        ("s3://bkt/films2", "s3://bkt/films", False),
        ("s3://bkt", "s3://bkt/films", False),
        ("s3://other/films", "s3://bkt", False),
        ("/films", "s3://bkt", False),
    ],
)
def test_a_prefix_is_inside_another_by_whole_segments(inner: str, outer: str, inside: bool) -> None:
    assert parse_location(inner).is_inside(parse_location(outer)) is inside


def test_a_folder_is_inside_itself_and_those_above(tmp_path: Path) -> None:
    source = parse_location(tmp_path / "films")
    assert source.is_inside(source)
    assert parse_location(tmp_path / "films" / "not yet" / "there").is_inside(source)
    assert not parse_location(tmp_path / "films2").is_inside(source)
    assert not parse_location(tmp_path).is_inside(source)


def test_symbolic_links_do_not_hide_that_a_folder_is_inside(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "films")
    source, linked = parse_location(tmp_path / "films"), parse_location(tmp_path / "link" / "out")
    assert linked.is_inside(source)
    assert parse_location(tmp_path / "films" / "out").is_inside(parse_location(tmp_path / "link"))


@pytest.mark.parametrize(
    ("text", "above", "name"),
    [
        ("s3://bkt/a/clip.mp4", "s3://bkt/a", "clip.mp4"),
        ("s3://bkt/k", "s3://bkt", "k"),
        ("/a/k", "/a", "k"),
        ("/k", "/", "k"),
    ],
)
def test_a_single_object_splits_into_its_store_and_its_key(text: str, above: str, name: str) -> None:
    place, last = parse_location(text).split_last()
    assert (place.url, last) == (above, name)


def test_a_whole_bucket_is_no_single_object() -> None:
    with pytest.raises(UsageError, match="no single object"):
        parse_location("s3://bkt").split_last()


@pytest.mark.parametrize("text", ["s3://archive/films", "s3://archive", "/srv/films"])
def test_a_store_names_itself_as_it_was_typed(text: str) -> None:
    assert open_store(text).url == text
    assert open_store(parse_location(text)).url == text


def test_places_whose_links_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    loop, other = parse_location(tmp_path / "loop" / "out"), parse_location(tmp_path)
    for ask in (lambda: loop.is_inside(other), lambda: other.is_inside(loop)):
        with pytest.raises(UsageError, match="symbolic links in a circle"):
            ask()
