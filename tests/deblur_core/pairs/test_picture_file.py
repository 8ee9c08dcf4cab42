"""Pictures of pairs: read as the field reads them, or refused in a line that names them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_core.errors import UsageError
from deblur_core.pairs.picture_file import check_sizes, picture_size, read_picture
from deblur_core.pairs.sets import find_pairs
from tests.deblur_core.pairs import tiny_sets
from tests.deblur_core.pairs.tiny_sets import SIZE, sharp_picture, write_picture


def test_a_png_is_read_as_it_is(tmp_path: Path) -> None:
    assert np.array_equal(read_picture(write_picture(tmp_path / "a.png", sharp_picture(1))), sharp_picture(1))


def test_sixteen_bits_and_grey_become_eight_bits_of_rgb(tmp_path: Path) -> None:
    grey = sharp_picture(1)[..., 0]
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", grey.astype(np.uint16) << 8)[1].tobytes())
    assert np.array_equal(read_picture(tmp_path / "a.png"), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_size_is_told_of_both_formats(tmp_path: Path, suffix: str) -> None:
    assert picture_size(write_picture(tmp_path / f"a{suffix}", sharp_picture(1))) == SIZE


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 255]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize(
    ("suffix", "harm"),
    [(".png", cut), (".png", flipped), (".png", lambda data: b""), (".jpg", cut), (".jpg", lambda data: b"no picture")],
)
def test_a_damaged_picture_is_refused_without_a_word_of_its_decoder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, harm: Callable[[bytes], bytes]
) -> None:
    path = write_picture(tmp_path / f"a{suffix}", sharp_picture(1))
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(UsageError, match=rf"a\{suffix} cannot be read \(it is damaged or no picture\)"):
        read_picture(path)
    assert capfd.readouterr().err == ""


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    for read in (read_picture, picture_size):
        with pytest.raises(UsageError, match=r"a\.png cannot be read \(No such file"):
            read(tmp_path / "a.png")


def test_a_pair_of_two_sizes_is_named(tmp_path: Path) -> None:
    tiny_sets.plain(tmp_path)
    write_picture(tmp_path / "sharp" / "001.png", sharp_picture(1, (32, 40)))
    with pytest.raises(UsageError, match=r"blurred/001\.png is 48 × 32, .*sharp/001\.png is 40 × 32"):
        check_sizes(find_pairs(tmp_path).sequences)


def test_a_video_whose_frames_change_size_is_refused_but_photographs_may(tmp_path: Path) -> None:
    tiny_sets.plain(tmp_path)
    for kind in ("blurred", "sharp"):
        write_picture(tmp_path / kind / "002.png", sharp_picture(1, (40, 40)))
    with pytest.raises(UsageError, match=r"002\.png is 40 × 40, the frames before it are 48 × 32.*--single"):
        check_sizes(find_pairs(tmp_path).sequences)
    check_sizes(find_pairs(tmp_path, single=True).sequences)


def test_a_picture_too_small_for_ssim_is_refused(tmp_path: Path) -> None:
    for kind in ("blurred", "sharp"):
        write_picture(tmp_path / kind / "a.png", sharp_picture(1, (8, 32)))
    with pytest.raises(UsageError, match=r"a\.png is 32 × 8: SSIM needs 11 pixels"):
        check_sizes(find_pairs(tmp_path).sequences)
