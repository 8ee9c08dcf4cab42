"""The IAM policy against the S3 requests that stages really make: each is recorded on its way out and judged by the
policy's own words.

Knows how a policy is read (actions, resources, and the one condition that this one uses) and which right each request
needs, from the S3 documentation; no Amazon.
"""

import fnmatch
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deblur_core.storage import open_store, parse_location, s3_client
from deblur_core.storage.s3 import S3ObjectStore
from deblur_core.storage.s3_transfers import TransferSizes
from flows.inventory import find_published, take_inventory
from flows.settings import resolve_settings
from tests.conftest import S3Server
from tests.fidelity.quick_line import EVERYTHING_IS_BETTER, all_calls, quick_models
from tests.infra.manifests import INFRA
from tests.media import make_clip
from workers.job import Job, RestoreOptions
from workers.planned_video import Stores

Request = tuple[str, dict[str, Any]]
"""Operation and parameters"""

_ON_KEY = {
    "GetObject": ("s3:GetObject",),
    "HeadObject": ("s3:GetObject",),
    "PutObject": ("s3:PutObject",),
    "DeleteObject": ("s3:DeleteObject",),
    "CopyObject": ("s3:PutObject", "s3:PutObjectTagging"),
    "CreateMultipartUpload": ("s3:PutObject",),
    "UploadPart": ("s3:PutObject",),
    "UploadPartCopy": ("s3:PutObject",),
    "CompleteMultipartUpload": ("s3:PutObject",),
    "AbortMultipartUpload": ("s3:AbortMultipartUpload",),
}
_ON_BUCKET = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}


def needs(operation: str, given: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """(action, ARN, listed prefix) of every right that a request needs."""
    bucket = f"arn:aws:s3:::{given['Bucket']}"
    if operation in _ON_BUCKET:
        yield _ON_BUCKET[operation], bucket, given.get("Prefix")
    elif operation == "DeleteObjects":
        for each in given["Delete"]["Objects"]:
            yield "s3:DeleteObject", f"{bucket}/{each['Key']}", None
    else:
        for action in _ON_KEY[operation]:
            yield action, f"{bucket}/{given['Key']}", None
    if operation == "HeadObject":
        yield "s3:ListBucket", bucket, None  # or an absent object is told as a forbidden one
    source = given.get("CopySource")
    if isinstance(source, dict):
        for action in ("s3:GetObject", "s3:GetObjectTagging"):
            yield action, f"arn:aws:s3:::{source['Bucket']}/{source['Key']}", None


def is_allowed(policy: dict[str, Any], action: str, arn: str, prefix: str | None) -> bool:
    return any(
        each["Effect"] == "Allow"
        and action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        and fnmatch.fnmatchcase(arn, each["Resource"])
        and _holds(each.get("Condition", {}), prefix)
        for each in policy["Statement"]
    )


def _holds(condition: dict[str, Any], prefix: str | None) -> bool:
    assert set(condition) <= {"StringLikeIfExists"}
    patterns = condition.get("StringLikeIfExists", {}).get("s3:prefix")
    return patterns is None or prefix is None or any(fnmatch.fnmatchcase(prefix, each) for each in patterns)


@pytest.fixture
def recorded(moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Every request that the program makes of S3 from now on."""
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    found: list[Request] = []
    connect = s3_client._connect

    def watched(endpoint_url: str | None) -> Any:
        client = connect(endpoint_url)
        client.meta.events.register(
            "provide-client-params.s3.*", lambda params, model, **_: found.append((model.name, dict(params)))
        )
        return client

    monkeypatch.setattr(s3_client, "_clients", {})
    monkeypatch.setattr(s3_client, "_connect", watched)
    return found


def test_a_run_makes_no_request_that_the_policy_does_not_allow(
    recorded: list[Request], moto_s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source, destination = moto_s3.create_bucket(), moto_s3.create_bucket()
    for name, content in {
        "films/blurred.mp4": make_clip(tmp_path / "a.mp4", frames=24, size=(96, 64)).read_bytes(),
        "films/b/other.avi": make_clip(tmp_path / "b.avi", frames=24, size=(96, 64), codec="mpeg4").read_bytes(),
        "films/broken.mp4": b"no film",
    }.items():
        moto_s3.client.put_object(Bucket=source, Key=name, Body=content)
    settings = resolve_settings(source=f"s3://{source}/films", destination=f"s3://{destination}/out/2026")
    options = RestoreOptions(segment_frames=24, limits=EVERYTHING_IS_BETTER)
    for again in (False, True):
        inventory = take_inventory(settings, f"run-{again}", force=again)
        job = Job(**{**vars(inventory.job), "options": options})
        stores = Stores(job)
        with quick_models():
            for task in inventory.pending:
                if "broken" not in task.video:
                    assert all_calls(job, stores, task).restored
    left = {"Key": "out/2026/_restore/tmp/upload-of-a-killed-run", "Body": b"out/2026/large.mp4"}
    moto_s3.client.put_object(Bucket=destination, **left)
    stores.destination.clean_up_partial(-10)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(6 << 20))
    small_parts = TransferSizes(5 << 20, 5 << 20, 5 << 20)
    S3ObjectStore(parse_location(settings.destination or ""), small_parts).put_file("large.mp4", large)
    open_store(f"s3://{destination}/out/2026").copy_from(stores.source, "blurred.mp4", "copy.mp4")
    find_published(settings)

    names = {"SOURCE-BUCKET": source, "SOURCE-PREFIX": "films", "DESTINATION-BUCKET": destination}
    text = (INFRA / "aws/iam-policy.json").read_text()
    for name, value in {**names, "DESTINATION-PREFIX": "out/2026"}.items():
        text = text.replace(name, value)
    policy = json.loads(text)
    asked = {need for operation, given in recorded for need in needs(operation, given)}
    assert {need for need in asked if not is_allowed(policy, *need)} == set()

    made = {operation for operation, _ in recorded}
    assert {"ListObjectsV2", "HeadObject", "GetObject", "PutObject", "CopyObject", "CreateMultipartUpload"} <= made
    assert {"DeleteObjects", "DeleteObject", "ListMultipartUploads"} <= made
    unused = {action for each in policy["Statement"] for action in _several(each["Action"])} - {
        need[0] for need in asked
    }
    assert unused == {"s3:AbortMultipartUpload"}  # only when a part fails


def test_the_judge_refuses_what_the_policy_does_not_name() -> None:
    policy = json.loads((INFRA / "aws/iam-policy.json").read_text())
    at = "arn:aws:s3:::DESTINATION-BUCKET/DESTINATION-PREFIX"
    assert is_allowed(policy, "s3:DeleteObject", f"{at}/_restore/work/a", None)
    assert not is_allowed(policy, "s3:DeleteObject", f"{at}/film.mp4", None)
    assert not is_allowed(policy, "s3:PutObject", "arn:aws:s3:::SOURCE-BUCKET/SOURCE-PREFIX/film.mp4", None)
    assert not is_allowed(policy, "s3:ListBucket", "arn:aws:s3:::SOURCE-BUCKET", "another/")


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
