"""`restore-archive doctor`: what it finds, and what it advises."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from deblur_core.models import registry
from flows.commands import doctor
from flows.commands.doctor import Finding
from flows.settings import Settings, resolve_settings
from tests.conftest import S3Server
from tests.media import make_clip


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a restore.toml, with one video in a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    make_clip(tmp_path / "one" / "in.mp4", frames=2, size=(64, 48))
    return tmp_path


def states(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"source": "one/in.mp4"}, {"source": "good"}),
        ({"source": "one"}, {"source": "good"}),
        ({"source": "nowhere/in.mp4"}, {"source": "bad"}),
        ({"source": "one/in.mp4", "destination": "new.mp4"}, {"source": "good", "destination": "good"}),
        ({"source": "one", "destination": "out", "work": "work"},
         {"source": "good", "destination": "good", "work": "good"}),
        ({"source": "one", "work": "/proc/x"}, {"source": "good", "work": "bad"}),
        ({"source": "one", "destination": "one/in.mp4/out"}, {"source": "good", "destination": "bad"}),
    ],
)  # fmt: skip
def test_places_are_tried_and_left_as_they_were(place: Path, settings: dict[str, str], found: dict[str, str]) -> None:
    assert states(doctor._storage(Settings(**settings))) == found
    assert sorted(path.name for path in place.rglob("*")) == ["in.mp4", "one"]


def test_a_source_that_is_not_there_is_not_to_be_made() -> None:
    (finding,) = doctor._storage(Settings(source="one/out.mp4"))
    assert finding.detail == "source one/out.mp4 does not exist: check the path"


def test_a_single_video_in_a_bucket_is_a_source(moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    bucket = moto_s3.create_bucket()
    moto_s3.client.put_object(Bucket=bucket, Key="film/a.mp4", Body=b"video")
    for source in (f"s3://{bucket}/film/a.mp4", f"s3://{bucket}/film"):
        settings = Settings(source=source, destination=f"s3://{bucket}/out/a.mp4")
        assert states(doctor._storage(settings)) == {"source": "good", "destination": "good"}
    assert [each["Key"] for each in moto_s3.client.list_objects_v2(Bucket=bucket)["Contents"]] == ["film/a.mp4"]


def test_a_wrong_path_of_one_s_own_weights_wants_another_path_not_another_installation(place: Path) -> None:
    own = doctor._weights(Settings(weights="nowhere.safetensors"))
    assert states(own) == {"weights": "good", "own weights": "bad"}
    assert "check the path" in own[1].remedy and "install" not in own[1].remedy


def test_released_weights_that_were_replaced_want_another_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deblur_core.models.weights_file.pinned_hash", lambda name: "0" * 64)
    registry.check_weights.cache_clear()
    (found,) = doctor._weights(Settings())
    assert (found.state, "install" in found.remedy) == ("bad", True)


@pytest.mark.parametrize(("ray_address", "state"), [("local", "bad"), ("auto", "note")])
def test_a_gpu_that_is_not_here_is_missed_unless_a_cluster_may_have_it(
    monkeypatch: pytest.MonkeyPatch, ray_address: str, state: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert states(doctor._gpu(Settings(device="cuda", ray_address=ray_address))) == {"GPU": state}


def test_encoders_are_tried_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """x265 and SVT-AV1 write dozens of lines to stderr on their own."""
    assert {"libx265", "libsvtav1"} <= set(states(doctor._codecs(resolve_settings())))
    assert capfd.readouterr() == ("", "")
