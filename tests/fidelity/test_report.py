"""The page of the matrix: what is wrong stands out, and a table that was not made anew stays."""

from tests.fidelity.report import Row, with_clips, with_files
from tests.fidelity.run_cell import Verdict

GOOD = Row(("mp4", "H.264", "tags"), Verdict("exact", "", (), 24, 4, 12, 57.9), None)
BAD = Row(("avi", "H.264", "tags"), Verdict("converted", "avi → Matroska"), "sound is 0.5 s off the picture")
FILE = Row(("some/file.mp4",), Verdict("declined", "has no video stream"), None)


def test_each_row_tells_its_outcome_and_what_is_wrong() -> None:
    page = with_clips("", [GOOD, BAD])
    assert "| mp4 | H.264 | tags | exact |  | 12 of 20 identical, others ≥ 57 dB |" in page
    assert "| avi | H.264 | tags | **wrong** | sound is 0.5 s off the picture |  |" in page
    assert "2 in all: 1 exact, 0 converted, 0 declined, 1 wrong." in page


def test_the_table_of_files_stays_when_only_clips_are_run_and_the_other_way_round() -> None:
    both = with_files(with_clips("", [GOOD]), [FILE])
    again = with_clips(both, [GOOD, GOOD])
    assert again.count("| some/file.mp4 | declined | has no video stream |") == 1
    assert with_files(again, []).count("| mp4 | H.264 | tags |") == 2
    assert "some/file.mp4" not in with_files(again, [])
