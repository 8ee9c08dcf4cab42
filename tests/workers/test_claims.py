"""Nothing that the program did not publish is replaced or deleted, and what it did publish always can be."""

from dataclasses import replace
from pathlib import Path

import pytest

from deblur_core.errors import OccupiedNameError
from deblur_core.provenance.sidecar import sidecar_key
from tests.media import make_clip
from tests.workers.shaken_clip import shaken_clip
from tests.workers.test_stages import NOTHING_IS_GOOD_ENOUGH, Line, job_in
from workers.sealing import Sealer

pytestmark = pytest.mark.usefixtures("one_restorer")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path


def test_a_file_of_somebody_elses_stays_and_no_work_is_done_for_it(archive: Path) -> None:
    make_clip(archive / "in" / "clip.mp4", frames=12, size=(96, 64))
    (archive / "out" / "clip.mp4").write_bytes(b"the only original")
    line = Line(job_in(archive))
    with pytest.raises(OccupiedNameError, match=r"clip\.mp4 .*not published by this program.*move it away"):
        line.restore("clip.mp4")
    assert (archive / "out" / "clip.mp4").read_bytes() == b"the only original"
    assert not line.calls


@pytest.mark.parametrize("occupied", ["clip.avi", "clip.avi.mkv"])
def test_where_the_name_shows_only_in_the_end_it_is_asked_for_then(archive: Path, occupied: str) -> None:
    """An AVI that is restored becomes Matroska; one in which nothing was good enough is copied."""
    shaken_clip(archive / "in" / "clip.avi", frames=24, shaken=((8, 14),), codec="mpeg4")
    (archive / "out" / occupied).write_bytes(b"the only original")
    options = {} if occupied == "clip.avi.mkv" else {"limits": NOTHING_IS_GOOD_ENOUGH}
    with pytest.raises(OccupiedNameError):
        Line(job_in(archive, **options)).restore("clip.avi")
    assert [path.name for path in (archive / "out").iterdir() if path.name != "_restore"] == [occupied]
    assert (archive / "out" / occupied).read_bytes() == b"the only original"


@pytest.mark.parametrize("shaken", [(), ((8, 14),)])
@pytest.mark.parametrize("changed", [False, True])
def test_a_video_whose_run_was_stopped_before_its_record_is_the_programs_own(
    archive: Path, monkeypatch: pytest.MonkeyPatch, shaken: tuple[tuple[int, int], ...], changed: bool
) -> None:
    source = archive / "in" / "clip.mp4"
    shaken_clip(source, frames=24, shaken=shaken)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Sealer, "seal", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        Line(job_in(archive)).restore("clip.mp4")
    assert sorted(path.name for path in (archive / "out").iterdir()) == ["_restore", "clip.mp4"]
    if changed:
        shaken_clip(source, frames=20, shaken=shaken)
    assert Line(job_in(archive)).restore("clip.mp4") is not None
    assert (archive / "out" / sidecar_key("clip.mp4")).stat().st_size > 0
    assert not [path for path in (archive / "out" / "_restore" / "work").rglob("*") if path.is_file()]


def test_another_film_of_that_name_published_under_a_name_of_its_own_is_left_alone(archive: Path) -> None:
    shaken_clip(archive / "in" / "clip.mp4", frames=24, shaken=((8, 14),))
    Line(replace(job_in(archive), rename="first.mp4")).restore("clip.mp4")
    first = (archive / "out" / "first.mp4").read_bytes()
    make_clip(archive / "in" / "clip.mp4", frames=12, size=(96, 64))
    Line(replace(job_in(archive), rename="second.mp4")).restore("clip.mp4")
    assert (archive / "out" / "first.mp4").read_bytes() == first
    assert (archive / "out" / sidecar_key("first.mp4")).stat().st_size > 0
    assert (archive / "out" / "second.mp4").is_file()


def test_a_second_copy_under_another_name_is_made(archive: Path) -> None:
    make_clip(archive / "in" / "clip.mp4", frames=12, size=(96, 64))
    for name in ("first.mp4", "second.mp4"):
        assert Line(replace(job_in(archive), rename=name)).restore("clip.mp4") is not None
        assert (archive / "out" / name).is_file()
