"""Captions stay with the frame whose picture is replaced; what the encoder cannot write is declined."""

from pathlib import Path

import av
import numpy as np
import pytest

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.frame_side_data import replaced_picture, require_kept
from tests.media import decoded_frames, frame_hash, make_clip, odd_clips


def captioned_frame(folder: Path) -> av.VideoFrame:
    plain = make_clip(folder / "plain.mp4", frames=3, size=(98, 66), audio=False)
    return decoded_frames(odd_clips.rewritten(plain, folder / "a.mp4", odd_clips.captioned))[1]


def kinds(frame: av.VideoFrame) -> list[str]:
    return [item.type.name for item in frame.side_data]


def test_the_new_picture_comes_with_the_captions_of_the_old(tmp_path: Path) -> None:
    original = captioned_frame(tmp_path)
    picture = av.VideoFrame.from_ndarray(np.full((99, 98), 77, np.uint8), "yuv420p")
    merged = replaced_picture(original, picture)
    assert "A53_CC" in kinds(merged)
    assert frame_hash(merged) == frame_hash(picture)


def test_a_frame_without_captions_is_the_new_picture_itself(tmp_path: Path) -> None:
    original = decoded_frames(make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48), audio=False))[0]
    picture = av.VideoFrame(64, 48, "yuv420p")
    assert replaced_picture(original, picture) is picture


@pytest.mark.parametrize("encoder", ["libsvtav1", "libvpx-vp9", "ffv1"])
def test_captions_that_an_encoder_would_lose_are_declined(tmp_path: Path, encoder: str) -> None:
    with pytest.raises(DeclinedVideoError, match=r"a\.mp4: frame 1 carries closed captions, for which .* has no place"):
        require_kept(captioned_frame(tmp_path), encoder, 1, "a.mp4")


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_captions_that_the_encoder_writes_are_no_reason_to_decline(tmp_path: Path, encoder: str) -> None:
    require_kept(captioned_frame(tmp_path), encoder, 1, "a.mp4")
