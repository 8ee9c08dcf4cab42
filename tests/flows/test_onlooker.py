"""The onlooker of the kill tests sees what it is there to see."""

import time
from pathlib import Path

from tests.flows.onlooker import Onlooker


def test_it_notices_a_file_that_is_visible_before_it_is_complete(tmp_path: Path) -> None:
    with Onlooker(tmp_path / "out", tmp_path / "copies") as onlooker:
        (tmp_path / "out").mkdir()
        with (tmp_path / "out" / "clip.mp4").open("wb") as file:
            file.write(b"half")
            file.flush()
            time.sleep(0.3)
            file.write(b" and the rest")
    assert [copy.read_bytes() for copy in onlooker.seen["clip.mp4"]] == [b"half"]


def test_it_notices_work_that_is_done_twice(tmp_path: Path) -> None:
    target = tmp_path / "out" / "_restore" / "work" / "clip.mp4" / "part.mkv"
    target.parent.mkdir(parents=True)
    with Onlooker(tmp_path / "out", tmp_path / "copies") as onlooker:
        for number in range(2):
            temporary = tmp_path / f"temporary-{number}"
            temporary.write_bytes(b"x")
            temporary.rename(target)
            time.sleep(0.3)
    assert onlooker.rewritten == ["_restore/work/clip.mp4/part.mkv"]
    assert onlooker.seen == {}
