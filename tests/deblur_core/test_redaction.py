"""No secret in what anybody reads: errors with all that caused them, and texts at the border."""

import traceback
from collections.abc import Callable

import pytest

from deblur_core.errors import RestoreArchiveError
from deblur_core.redaction import redacted
from deblur_core.storage import open_store, parse_location
from tests.conftest import S3Server

CANARY = "canary-of-the-"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"{CANARY}key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{CANARY}secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{CANARY}session")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def all_of(ask: Callable[[], object]) -> str:
    """What a log would hold of the error: it and all that caused it."""
    with pytest.raises(RestoreArchiveError) as caught:
        ask()
    return "".join(traceback.format_exception(caught.value))


def test_an_endpoint_with_a_password_shows_it_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://somebody:{CANARY}address@127.0.0.1:1")
    told = all_of(lambda: list(open_store("s3://bucket").list()))
    assert "127.0.0.1:1" in told and CANARY not in told


def test_a_proxy_with_a_password_shows_it_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example:80")
    monkeypatch.setenv("HTTP_PROXY", f"http://somebody:{CANARY}proxy@127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    told = all_of(lambda: list(open_store("s3://bucket").list()))
    assert "Proxy" in told and CANARY not in told


@pytest.mark.integration
def test_a_store_that_refuses_the_credentials_does_not_have_them_shown(
    swift_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", swift_s3.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift_s3.access_key)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    store = open_store(f"s3://{swift_s3.shared_bucket}")
    for ask in (lambda: store.head("k"), lambda: store.put("k", b"x"), lambda: list(store.list())):
        told = all_of(ask)
        assert "credentials" in told and CANARY not in told


@pytest.mark.parametrize("scheme", ["s3", "https", "ftp"])
def test_a_password_typed_into_a_location_is_not_repeated(scheme: str) -> None:
    told = all_of(lambda: parse_location(f"{scheme}://somebody:{CANARY}location@bucket/prefix"))
    assert "***@bucket/prefix" in told and CANARY not in told


def test_what_is_said_at_the_border_holds_neither_secrets_of_the_environment_nor_passwords(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"admin:{CANARY}server")
    monkeypatch.setenv("SOME_TOKEN", "short")
    monkeypatch.setenv("SOME_TOKEN_FILE", "/run/secrets/token")
    text = (
        f"signed with {CANARY}secret by {CANARY}key in {CANARY}session, sent to https://me:{CANARY}url@host/a@b "
        f"as admin:{CANARY}server; short, /run/secrets/token, s3://bucket/a@b.mp4"
    )
    assert redacted(text) == (
        "signed with *** by *** in ***, sent to https://***@host/a@b as ***; short, /run/secrets/token, s3://bucket/a@b.mp4"
    )


def test_the_doctor_shows_addresses_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.commands.doctor import _prefect, _storage
    from flows.settings import Settings

    monkeypatch.setenv("PREFECT_API_URL", f"http://somebody:{CANARY}server@127.0.0.1:1/api")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://somebody:{CANARY}address@127.0.0.1:1")
    found = [*_prefect(Settings()), *_storage(Settings())]
    assert [finding.what for finding in found] == ["Prefect", "S3"]
    assert all("127.0.0.1:1" in finding.detail and CANARY not in finding.detail for finding in found)


def test_the_last_word_of_a_command_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    from flows.command_line import _say

    _say(f"signed with {CANARY}secret", as_json=True)
    said = capsys.readouterr()
    assert said.err == "restore-archive: signed with ***\n" and said.out == '{"error": "signed with ***"}\n'
