"""Sets of pairs in the shapes in which they are published: what is found, in which order, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deblur_core.errors import UsageError
from deblur_core.pairs.frame_pairs import PairedSet
from deblur_core.pairs.sets import find_pairs, set_names
from tests.deblur_core.pairs import tiny_sets
from tests.deblur_core.pairs.tiny_sets import write_pair

SHAPES: dict[str, tuple[Callable[[Path], Path], str, dict[str, int]]] = {
    "plain": (tiny_sets.plain, "", {"set": 3}),
    "gopro": (tiny_sets.gopro, "test", {"GOPR0384_11_00": 2, "GOPR0385_11_01": 2}),
    "reds": (tiny_sets.reds, "val", {"000": 1, "001": 1}),
    "dvd": (tiny_sets.dvd, "test (1 of 3 sequences)", {"720p_240fps_2": 2}),
    "bsd": (tiny_sets.bsd, "test", {"000": 2, "003": 2}),
    "realblur": (tiny_sets.realblur, "test", {"scene050": 1, "scene244_reflect": 1}),
    "hide": (tiny_sets.hide, "test", {"test-close-ups": 2, "test-long-shot": 1}),
}


def found(paired: PairedSet) -> dict[str, int]:
    return {sequence.name: len(sequence.pairs) for sequence in paired.sequences}


@pytest.mark.parametrize("name", SHAPES)
def test_a_published_set_is_told_by_its_shape(tmp_path: Path, name: str) -> None:
    make, part, sequences = SHAPES[name]
    paired = find_pairs(make(tmp_path / "set"))
    assert (paired.set_name, paired.part, found(paired), paired.unpaired) == (name, part, sequences, 0)


@pytest.mark.parametrize("name", SHAPES)
def test_every_pair_says_its_sequence_and_order_and_both_its_files_are_there(tmp_path: Path, name: str) -> None:
    for sequence in find_pairs(SHAPES[name][0](tmp_path / "set"), name).sequences:
        assert [pair.order for pair in sequence.pairs] == list(range(len(sequence.pairs)))
        assert all(pair.sequence == sequence.name for pair in sequence.pairs)
        assert all(pair.blurred.is_file() and pair.sharp.is_file() for pair in sequence.pairs)
        assert all(pair.blurred != pair.sharp for pair in sequence.pairs)


@pytest.mark.parametrize("name", SHAPES)
def test_photographs_are_told_from_video(tmp_path: Path, name: str) -> None:
    paired = find_pairs(SHAPES[name][0](tmp_path / "set"))
    assert {sequence.photographs for sequence in paired.sequences} == {name in ("realblur", "hide")}


def test_every_set_that_can_be_asked_for_has_a_shape_here() -> None:
    assert set(set_names()) == {*SHAPES, "auto", "gopro-gamma"}


def test_single_makes_photographs_of_a_video(tmp_path: Path) -> None:
    paired = find_pairs(tiny_sets.plain(tmp_path), single=True)
    assert [sequence.photographs for sequence in paired.sequences] == [True]


def test_frame_ten_comes_after_frame_nine(tmp_path: Path) -> None:
    for number in (10, 9, 100):
        write_pair(tmp_path / "blurred" / f"f{number}.png", tmp_path / "sharp" / f"f{number}.png")
    (sequence,) = find_pairs(tmp_path).sequences
    assert [pair.blurred.name for pair in sequence.pairs] == ["f9.png", "f10.png", "f100.png"]


def test_pictures_without_a_partner_are_counted_and_left_out(tmp_path: Path) -> None:
    tiny_sets.plain(tmp_path)
    (tmp_path / "sharp" / "001.png").unlink()
    (tmp_path / "blurred" / "000.png").unlink()
    paired = find_pairs(tmp_path)
    assert [pair.blurred.name for pair in paired.sequences[0].pairs] == ["002.png"]
    assert paired.unpaired == 2


@pytest.mark.parametrize(
    ("name", "inner", "part", "sequences"),
    [
        ("gopro", "train", "train", {"GOPR0372_07_00": 2}),
        ("gopro", "test/GOPR0385_11_01", "GOPR0385_11_01", {"GOPR0385_11_01": 2}),
        ("reds", "train", "train", {"000": 1, "001": 1}),
        ("dvd", "quantitative_datasets", "test (1 of 3 sequences)", {"720p_240fps_2": 2}),
        ("dvd", "quantitative_datasets/IMG_0200", "IMG_0200", {"IMG_0200": 2}),
        ("bsd", "valid", "valid", {"002": 2}),
        (
            "realblur",
            "RealBlur-J_ECC_IMCORR_centroid_itensity_ref",
            "test",
            {"scene050": 1, "scene244_reflect": 1},
        ),
        ("hide", "train", "train", {"train": 1}),
        ("hide", "test", "test", {"test-close-ups": 2, "test-long-shot": 1}),
    ],
)
def test_a_part_of_a_set_can_be_given(
    tmp_path: Path, name: str, inner: str, part: str, sequences: dict[str, int]
) -> None:
    paired = find_pairs(SHAPES[name][0](tmp_path / "set") / inner)
    assert (paired.set_name, paired.part, found(paired)) == (name, part, sequences)


def test_gopros_other_blur_is_taken_when_asked_for(tmp_path: Path) -> None:
    paired = find_pairs(tiny_sets.gopro(tmp_path), "gopro-gamma")
    assert {pair.blurred.parent.name for sequence in paired.sequences for pair in sequence.pairs} == {"blur_gamma"}


def test_dvd_without_the_tested_sequences_is_taken_whole(tmp_path: Path) -> None:
    for name in ("IMG_0100", "IMG_0200"):
        write_pair(tmp_path / "test" / name / "input" / "00000.jpg", tmp_path / "test" / name / "GT" / "00000.jpg")
    paired = find_pairs(tmp_path)
    assert (paired.part, found(paired)) == ("test", {"IMG_0100": 1, "IMG_0200": 1})


def test_reds_archives_may_each_have_their_own_folder(tmp_path: Path) -> None:
    paired = find_pairs(tiny_sets.reds(tmp_path, apart=True))
    assert (paired.set_name, paired.part, found(paired)) == ("reds", "val", {"000": 1, "001": 1})


def test_realblur_without_its_list_is_every_scene(tmp_path: Path) -> None:
    paired = find_pairs(tiny_sets.realblur(tmp_path, tested=False))
    assert (paired.part, found(paired)) == ("all scenes", {"scene001": 2, "scene050": 2, "scene244_reflect": 2})


def test_realblur_pairs_have_the_same_number(tmp_path: Path) -> None:
    for sequence in find_pairs(tiny_sets.realblur(tmp_path, tested=False)).sequences:
        assert [(pair.blurred.name, pair.sharp.name) for pair in sequence.pairs] == [
            ("blur_1.png", "gt_1.png"),
            ("blur_12.png", "gt_12.png"),
        ]


def test_a_listed_photograph_of_realblur_that_is_missing_is_counted(tmp_path: Path) -> None:
    tiny_sets.realblur(tmp_path)
    next(tmp_path.glob("*/scene050/blur/blur_12.png")).unlink()
    paired = find_pairs(tmp_path)
    assert (found(paired), paired.unpaired) == ({"scene244_reflect": 1}, 1)


def test_both_kinds_of_realblur_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"RealBlur-J_.*, RealBlur-R_.*, which are scored apart"):
        find_pairs(tiny_sets.realblur(tmp_path, kinds=("J", "R")))


def test_a_list_of_realblur_that_is_none_is_refused_by_its_line(tmp_path: Path) -> None:
    tiny_sets.realblur(tmp_path)
    (tmp_path / "RealBlur_J_test_list.txt").write_text("\n<html>not found</html>\n")
    with pytest.raises(UsageError, match="line 2 names no pair"):
        find_pairs(tmp_path)


def test_a_folder_that_looks_like_two_sets_needs_a_name(tmp_path: Path) -> None:
    tiny_sets.gopro(tiny_sets.plain(tmp_path))
    with pytest.raises(UsageError, match=r"several sets \(plain, gopro\): say which with --set"):
        find_pairs(tmp_path)
    assert find_pairs(tmp_path, "gopro").set_name == "gopro"


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist: check the path"):
        find_pairs(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no folder"):
        find_pairs(tmp_path / "file")


def test_a_folder_of_no_known_shape_is_refused_with_the_shapes_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no pairs under .*: expected blurred/\*\.png and sharp/.* \(plain\); or"):
        find_pairs(tmp_path)


def test_a_folder_of_another_shape_than_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no pairs under .*: expected val/val_blur/000 and val/.* \(reds\)$"):
        find_pairs(tiny_sets.plain(tmp_path), "reds")


def test_folders_without_a_common_name_hold_no_pairs(tmp_path: Path) -> None:
    write_pair(tmp_path / "blurred" / "a.png", tmp_path / "sharp" / "b.png")
    with pytest.raises(UsageError, match=r"no pairs under .*: it has the folders of plain, but no blurred picture"):
        find_pairs(tmp_path)


def test_an_unknown_set_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown set 'goproo': there is auto, plain, gopro"):
        find_pairs(tmp_path, "goproo")
