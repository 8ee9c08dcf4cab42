"""Artifacts that Prefect's server does not take end no run."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.exceptions import ObjectNotFound

from flows import artifacts


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("All connection attempts failed"), ObjectNotFound(None), RuntimeError("no server")],
    ids=lambda error: type(error).__name__,
)
def test_a_server_that_does_not_take_them_is_only_told_of(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(artifacts.log, "warning", lambda text, *_: told.append(text))

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    for name in ("create_progress_artifact", "update_progress_artifact", "create_markdown_artifact"):
        monkeypatch.setattr(artifacts, name, refuse)
    assert artifacts.begin_progress("200 videos") is None
    artifacts.show_progress(uuid4(), 50.0)
    artifacts.show_summary("# Run")
    assert told == ["Prefect's server does not take an artifact: %s"] * 3


def test_one_that_takes_them_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    identity, seen = uuid4(), []
    monkeypatch.setattr(artifacts, "create_progress_artifact", lambda **_: identity)
    monkeypatch.setattr(artifacts, "update_progress_artifact", lambda **given: seen.append(given))
    artifacts.show_progress(artifacts.begin_progress("200 videos"), 50.0)
    assert seen == [{"artifact_id": identity, "progress": 50.0}]
