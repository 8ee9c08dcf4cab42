"""Streams that cannot be carried are declined by name, before anything of them is lost."""

from pathlib import Path

import av
import pytest

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.streams import add_copy
from tests.deblur_core.video.whole_path import rebuilt
from tests.media import make_clip, odd_clips


def test_the_creation_time_of_a_track_is_kept_in_matroska(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mkv", frames=8, size=(64, 48))
    clip = tmp_path / "a.mkv"
    with av.open(str(plain)) as before, av.open(str(clip), "w") as after:
        copies = [after.add_stream_from_template(each, opaque=True) for each in before.streams]
        copies[1].metadata["creation_time-und"] = "2016-05-31 17:01:35"
        for packet in before.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                after.mux(packet)
    out, *_ = rebuilt(clip, tmp_path)
    with av.open(str(clip)) as before, av.open(str(out)) as after:
        times = [
            {key.lower(): value for key, value in each.streams[1].metadata.items()}.get("creation_time")
            for each in (before, after)
        ]
    assert times == ["2016-05-31 17:01:35"] * 2


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_tags_that_somebody_made_up_and_names_of_tracks_are_kept(tmp_path: Path, name: str) -> None:
    clip = odd_clips.tagged(tmp_path / name, {"mood": "calm", "title": "Holiday"}, {"title": "first light"})
    out, *_ = rebuilt(clip, tmp_path)
    with av.open(str(out)) as container:
        assert (container.metadata["mood"], container.metadata["title"]) == ("calm", "Holiday")
        assert [stream.metadata["name"] for stream in container.streams] == ["first light"] * 2


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_well_known_tags_stay_in_the_older_kind_of_metadata(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, frames=8, size=(64, 48), metadata={"title": "Holiday", "comment": "long ago"})
    out, *_ = rebuilt(clip, tmp_path)
    assert b"mdta" not in out.read_bytes()
    with av.open(str(out)) as container:
        assert (container.metadata["title"], container.metadata["comment"]) == ("Holiday", "long ago")


def test_sound_of_which_nothing_is_known_is_declined(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", frames=1, size=(64, 48))  # the track is announced, and no packet of it comes
    with (
        av.open(str(clip)) as source,
        av.open(str(tmp_path / "out.ts"), "w") as target,
        pytest.raises(DeclinedVideoError, match=r"nobody can tell what its audio stream 1 \(aac\) holds"),
    ):
        add_copy(target, source.streams.audio[0], "a.ts")


def test_timed_metadata_of_a_kind_that_mp4_does_not_take_is_declined(tmp_path: Path) -> None:
    clip = tmp_path / "a.mov"
    make_clip(clip, frames=8, size=(64, 48), metadata={"timecode": "10:00:00:00"})
    with av.open(str(clip)) as source, av.open(str(tmp_path / "out.mp4"), "w") as target:
        data = next(stream for stream in source.streams if stream.type == "data")
        data.metadata.pop("timecode")
        with pytest.raises(DeclinedVideoError, match=r"data stream 2 .* cannot be put into a mp4 file; rename"):
            add_copy(target, data, "a.mov")
