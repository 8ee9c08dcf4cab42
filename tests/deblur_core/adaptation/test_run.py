"""From a request to a weights file and its report: written only if it is better, refused in one line if it is wrong."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from deblur_core.adaptation.run import AdaptationRequest, adapt_restorer
from deblur_core.adaptation.settings import AdaptationSettings
from deblur_core.errors import UsageError
from deblur_core.models.registry import load_restorer
from tests.deblur_core.adaptation.conftest import Place


def request(place: Place, **settings: Any) -> AdaptationRequest:
    quick = {"iterations": 8, "rate": 2e-3, "patch": 96, "labelled_patches": 24, "taught_patches": 8,
             "unlabelled_patches": 4, "held_out_patches": 8}  # fmt: skip
    chosen = AdaptationSettings(**{**quick, **settings})
    out = str(place.folder / "adapted.safetensors")
    return AdaptationRequest("tiny", str(place.videos), out, chosen, (".mp4",), "cpu", weights=str(place.weights))


def test_a_better_result_is_written_with_a_report_beside_it_and_can_be_used(place: Place) -> None:
    report = adapt_restorer(request(place))
    assert report["accepted"], report["reason"]
    out = place.folder / "adapted.safetensors"
    assert report["out"] == str(out)
    assert report["weights_sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert report["adapted_from_sha256"] == hashlib.sha256(place.weights.read_bytes()).hexdigest()
    assert report["held_out_pairs"]["psnr_after_db"] > report["held_out_pairs"]["psnr_before_db"]
    assert report["videos"] == ["clip.mp4"]
    assert json.loads((place.folder / "adapted.json").read_text()) == report
    left = {"adapted.json", "adapted.safetensors", "tiny.safetensors", "videos"}
    assert {each.name for each in place.folder.iterdir()} == left
    with safe_open(str(out), "pt") as file:
        assert file.metadata() == {"restorer": "tiny", "adapted_from_sha256": report["adapted_from_sha256"]}
    assert load_restorer("tiny", "cpu", out).weights_sha256 == report["weights_sha256"]


def test_a_refused_result_writes_nothing(place: Place) -> None:
    before = sorted(place.folder.iterdir())
    report = adapt_restorer(request(place, rate=1e-9))
    assert not report["accepted"]
    assert report["out"] is None
    assert "the original stays" in report["reason"]
    assert sorted(place.folder.iterdir()) == before


def test_one_video_may_be_named_and_what_lies_in_a_destination_is_no_video_of_it(place: Place) -> None:
    (place.videos / "_restore").mkdir()
    (place.videos / "_restore" / "part.mp4").write_text("not ours")
    whole = adapt_restorer(request(place, iterations=1))
    assert whole["skipped"] == []
    alone = replace(request(place, iterations=1), videos=str(place.videos / "clip.mp4"))
    assert adapt_restorer(alone)["videos"] == ["clip.mp4"]


def wrong(place: Place, **changed: str) -> AdaptationRequest:
    return replace(request(place), **{name: value.format(folder=place.folder) for name, value in changed.items()})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"restorer": "tinny"}, "unknown restorer 'tinny': there is .*default"),
        ({"videos": "{folder}/nowhere"}, "--videos .*nowhere.*is not a folder"),
        ({"videos": "{folder}/empty"}, "holds 0 files but no video"),
        ({"videos": "{folder}/texts"}, "none of 1 videos can be read; text.mp4: .*not a media file"),
        ({"out": "{folder}/adapted.pt"}, r"ends in \.safetensors"),
        ({"out": "{folder}/nowhere/adapted.safetensors"}, "there is no folder .*nowhere, make it first"),
        ({"device": "tpu"}, "device 'tpu' is unknown"),
        ({"selector": "eyes"}, "unknown selector 'eyes'"),
    ],
)
def test_a_wrong_request_is_answered_in_one_line(place: Place, changed: dict[str, str], words: str) -> None:
    (place.folder / "empty").mkdir()
    (place.folder / "texts").mkdir()
    (place.folder / "texts" / "text.mp4").write_text("a text under a video's name\n" * 100)
    with pytest.raises(UsageError, match=words) as caught:
        adapt_restorer(wrong(place, **changed))
    assert len(str(caught.value).splitlines()) == 1
    assert not Path(place.folder / "adapted.safetensors").exists()
