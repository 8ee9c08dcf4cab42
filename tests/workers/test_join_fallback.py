"""Where encoded GOPs do not fit between those that stay, all of the video is encoded, and the record says why."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from deblur_core.provenance.sidecar import from_bytes
from deblur_core.video.joining import H264Joining, Unit, Units
from tests.fidelity.judge import judge
from tests.fidelity.quick_line import restored
from tests.media import make_clip


def test_a_joined_video_that_fails_its_check_is_encoded_whole_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fits = H264Joining.fitted

    def spoiled(self: H264Joining, own: Units, is_keyframe: bool, first: Units) -> Iterator[Unit]:
        for unit in fits(self, own, is_keyframe, first):
            yield bytes(unit[:-8]) + bytes(byte ^ 0x55 for byte in unit[-8:])

    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    clip = make_clip(tmp_path / "in" / "a.mp4", frames=24, gop=6, size=(96, 64))
    monkeypatch.setattr(H264Joining, "fitted", spoiled)
    with caplog.at_level(logging.WARNING):
        outcome = restored(clip, tmp_path / "out")
    assert outcome.path is not None
    assert outcome.record is not None
    assert outcome.record.carried == 0
    said = "did not pass its check (a.mp4: frame 12 does not decode to what it was encoded as)"
    assert str(outcome.record.reencoded_because).endswith(said)
    assert "all of it is encoded" in caplog.text
    record = from_bytes((tmp_path / "out" / "a.mp4.restoration.json").read_bytes(), "a.mp4")
    assert "24 of 24 frames were encoded again" in record.converted[0].how
    assert str(outcome.record.reencoded_because) in record.converted[0].how
    assert (record.carried.frames, record.settings["reencode"]) == (0, False)
    assert judge(clip, outcome.path, outcome.restored).faults == []
