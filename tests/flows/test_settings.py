"""Settings: where a value comes from, and what is said about a wrong one."""

from pathlib import Path
from typing import Any

import pytest

from deblur_core.errors import SettingsError
from flows.settings import Settings, check_device, origin_of, resolve_settings


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a restore.toml of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_argument_wins_over_environment_file_and_default(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_settings().threshold == 0.5
    (place / "restore.toml").write_text("threshold = 0.2\n")
    assert (resolve_settings().threshold, origin_of("threshold", {})) == (0.2, "file restore.toml")
    monkeypatch.setenv("RESTORE_THRESHOLD", "0.3")
    assert (resolve_settings().threshold, origin_of("threshold", {})) == (0.3, "environment")
    assert resolve_settings(threshold=0.4).threshold == 0.4
    assert origin_of("threshold", {"threshold": 0.4}) == "argument"


def test_an_argument_of_zero_is_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORE_THRESHOLD", "0.3")
    assert resolve_settings(threshold=0.0).threshold == 0.0


def test_what_is_not_given_stays_open_to_the_other_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORE_STRIDE", "15")
    assert resolve_settings(stride=None).stride == 15


def test_every_setting_can_come_from_the_file(place: Path) -> None:
    (place / "own.safetensors").write_bytes(b"weights")
    (place / "restore.toml").write_text(
        'source = "in"\ndestination = "out"\nwork = "tmp"\nrestorer = "default"\nselector = "default"\n'
        'weights = "own.safetensors"\n'
        "threshold = 0.1\nstride = 2\nslow_motion = 1\nreencode = true\n"
        'codec = "hevc"\ncrf = 20\ndevice = "cpu"\nsegment_frames = 50\nshard_videos = 3\ndeadline_factor = 2.5\n'
        'ray_address = "auto"\nvideo_suffixes = ["MP4", ".mov"]\n'
    )
    settings = resolve_settings()
    assert {origin_of(name, {}) for name in Settings.model_fields} == {"file restore.toml"}
    assert settings.video_suffixes == (".mp4", ".mov")
    assert settings.restore_options().crf == 20.0
    assert settings.restore_options().reencode
    assert settings.restore_options().weights == str(place / "own.safetensors")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"threshold": -0.1}, ("threshold", "-0.1", "argument", "greater than or equal to 0")),
        ({"threshold": 1.5}, ("threshold", "less than or equal to 1")),
        ({"threshold": float("nan")}, ("threshold", "nan")),
        ({"stride": 0}, ("stride", "greater than or equal to 1")),
        ({"restorer": "defualt"}, ("unknown restorer 'defualt'", "there is default")),
        ({"selector": "eyes"}, ("unknown selector 'eyes'", "there is default")),
        ({"codec": "h265"}, ("codec", "h265", "hevc")),
        ({"crf": 99.0}, ("crf", "99", "63")),
        ({"crf": 60.0}, ("crf", "60", "use 0 to 51", "--codec names vp9 or av1")),
        ({"crf": 51.5, "codec": "h264"}, ("crf", "51.5", "use 0 to 51")),
        ({"crf": 60.0, "codec": "hevc"}, ("crf", "60", "use 0 to 51")),
        ({"deadline_factor": 0.0}, ("deadline_factor", "greater than 0")),
        ({"segment_frames": 0}, ("segment_frames", "greater than or equal to 1")),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_may_be(arguments: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as raised:
        resolve_settings(**arguments)
    assert all(word in str(raised.value) for word in words)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("treshold = 0.5", ("treshold", "file restore.toml", "is no setting: did you mean threshold?")),
        ("threshold = 'high'", ("threshold", "'high'", "file restore.toml", "valid number")),
        ("threshold = ", ("restore.toml", "not valid TOML")),
        ("[run]\nthreshold = 0.5", ("run", "is no setting: there is source, destination, ")),
        ("codec = 'h264'\ncrf = 60", ("crf", "60", "file restore.toml", "use 0 to 51")),
    ],
)
def test_a_wrong_file_is_named_in_one_line(place: Path, text: str, words: tuple[str, ...]) -> None:
    (place / "restore.toml").write_text(text)
    with pytest.raises(SettingsError) as raised:
        resolve_settings()
    assert all(word in str(raised.value) for word in words)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("RESTORE_THRESHOLD", "half"), ("RESTORE_DEVICE", "tpu"), ("RESTORE_VIDEO_SUFFIXES", ".mp4 .mov")],
)
def test_a_wrong_environment_variable_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        resolve_settings()
    assert name.removeprefix("RESTORE_").lower() in str(raised.value)
    assert "environment" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("RESTORE_TRESHOLD", "did you mean RESTORE_THRESHOLD?"),
        ("restore_Codek", "did you mean RESTORE_CODEC?"),
        ("RESTORE_", "there is RESTORE_SOURCE, RESTORE_DESTINATION, "),
        ("RESTORE_COLOUR", "there is RESTORE_SOURCE, RESTORE_DESTINATION, "),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "0.2")
    with pytest.raises(SettingsError) as raised:
        resolve_settings()
    assert str(raised.value).startswith(f"{name} (from the environment) is no setting: {hint}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "RESTORE_ARCHIVE_HEAD_SVC_SERVICE_HOST",
        "RESTORE_ARCHIVE_HEAD_SVC_SERVICE_PORT",
        "RESTORE_ARCHIVE_HEAD_SVC_SERVICE_PORT_GCS_SERVER",
        "RESTORE_ARCHIVE_HEAD_SVC_PORT",
        "RESTORE_ARCHIVE_HEAD_SVC_PORT_6379_TCP",
        "RESTORE_ARCHIVE_HEAD_SVC_PORT_6379_TCP_ADDR",
        "RESTORE_ARCHIVE_HEAD_SVC_PORT_6379_TCP_PROTO",
        "restore_threshold",
    ],
)
def test_variables_of_kubernetes_and_settings_in_small_letters_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A pod is told of each service of its namespace, and the cluster's in infra/kuberay begins as settings do."""
    monkeypatch.setenv(name, "0.25")
    assert resolve_settings().threshold == (0.25 if name == "restore_threshold" else 0.5)


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_a_high_crf_goes_with_the_codecs_that_have_it(codec: str) -> None:
    assert resolve_settings(crf=63.0, codec=codec).crf == 63.0


def test_what_is_true_in_the_file_is_switched_off_by_an_argument(place: Path) -> None:
    (place / "restore.toml").write_text("reencode = true\n")
    assert resolve_settings().reencode
    assert not resolve_settings(reencode=False).reencode


def test_a_gpu_that_is_not_here_is_refused_unless_a_cluster_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SettingsError, match="device 'cuda' was asked for"):
        check_device(resolve_settings(device="cuda"))
    check_device(resolve_settings(device="cuda", ray_address="auto"))
    check_device(resolve_settings(device="auto"))


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORE_VIDEO_SUFFIXES", '["mp4"]')
    assert resolve_settings().video_suffixes == (".mp4",)


def test_a_file_that_is_not_text_is_named_in_one_line(place: Path) -> None:
    (place / "restore.toml").write_bytes(b"threshold = \xff\xfe")
    with pytest.raises(SettingsError, match=r"restore\.toml"):
        resolve_settings()


@pytest.mark.parametrize(("given", "used"), [({}, "contiguous"), ({"restorer": "contiguous"}, "contiguous")])
def test_slow_motion_chooses_its_restorer_unless_one_is_named(given: dict[str, Any], used: str) -> None:
    options = resolve_settings(slow_motion=7, **given).restore_options()
    assert (options.slow_motion, options.restorer) == (7, used)
    assert resolve_settings(slow_motion=1).restore_options().restorer == "default"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"slow_motion": 7, "restorer": "default"}, "the restorer 'default' does not give"),
        ({"slow_motion": 5}, "no restorer gives"),
        ({"slow_motion": 5, "restorer": "st-variant-rnn"}, "no restorer gives"),
    ],
)
def test_moments_that_the_restorer_does_not_give_are_refused(given: dict[str, Any], words: str) -> None:
    """Five frames of five, as st-variant-rnn gives, are not five moments of one."""
    with pytest.raises(SettingsError, match=f"slow_motion = .: {words} .* contiguous gives 7, and 1 is off"):
        resolve_settings(**given).restore_options()


def test_a_restorer_named_in_the_file_is_named(place: Path) -> None:
    (place / "restore.toml").write_text('restorer = "default"\n')
    with pytest.raises(SettingsError, match="the restorer 'default' does not give"):
        resolve_settings(slow_motion=7).restore_options()
