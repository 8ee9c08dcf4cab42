"""What only S3 can get wrong: credentials, buckets, pages, lost answers and orphaned uploads."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from deblur_core.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ObjectChangedError,
    StorageError,
    UsageError,
)
from deblur_core.storage import ObjectInfo, ObjectStore, RangedFile, open_store, parse_location
from deblur_core.storage.folder import FolderObjectStore
from deblur_core.storage.s3 import S3ObjectStore
from deblur_core.storage.s3_client import s3_client
from deblur_core.storage.s3_transfers import TransferSizes

MEBIBYTE = 1024 * 1024
SMALL_PARTS = TransferSizes(5 * MEBIBYTE, 5 * MEBIBYTE, 5 * MEBIBYTE)

QUESTIONS: dict[str, Callable[[ObjectStore], object]] = {
    "list": lambda store: next(store.list(), None),
    "head": lambda store: store.head("k"),
    "exists": lambda store: store.exists("k"),
    "read": lambda store: store.read("k"),
    "open": lambda store: store.open("k"),
    "put": lambda store: store.put("k", b"x"),
    "put_if_absent": lambda store: store.put_if_absent("k", b"x"),
    "check_writable": lambda store: store.check_writable(),
    "delete_prefix": lambda store: store.delete_prefix("a/"),
    "clean_up_partial": lambda store: store.clean_up_partial(0),
}


@pytest.fixture(params=["moto", pytest.param("swift", marks=pytest.mark.integration)])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return use(request.getfixturevalue(f"{request.param}_s3"), monkeypatch)


@pytest.fixture
def moto(moto_s3: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    return use(moto_s3, monkeypatch)


@pytest.fixture
def swift(swift_s3: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    return use(swift_s3, monkeypatch)


def use(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


def refusal(question: str, store: ObjectStore, kind: type[StorageError]) -> str:
    """The message of the error that a question ends in, which is always one line."""
    with pytest.raises(kind) as caught:
        QUESTIONS[question](store)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_wrong_secret_is_access_denied_and_not_told_to_anyone(
    swift: Any, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    store = open_store(f"s3://{swift.shared_bucket}/archive")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-and-more")
    message = refusal(question, store, AccessDeniedError)
    assert "credentials" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_missing_bucket_is_named(server: Any, question: str) -> None:
    assert "s3://no-such-bucket" in refusal(question, open_store("s3://no-such-bucket/archive"), BucketNotFoundError)


def test_missing_credentials_say_what_to_set(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    message = refusal("head", open_store("s3://bucket"), AccessDeniedError)
    assert "AWS_ACCESS_KEY_ID" in message
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "AWS_PROFILE" in refusal("list", open_store("s3://bucket"), AccessDeniedError)


def test_an_endpoint_that_does_not_answer_is_named_without_its_password(
    moto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://someone:hunter2@127.0.0.1:1")
    message = refusal("list", open_store("s3://bucket"), StorageError)
    assert "cannot reach 127.0.0.1:1" in message
    assert "hunter2" not in message


def test_an_endpoint_that_is_no_url_is_a_usage_error(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("localhost:9000", "https://", "ftp://host", "http://my host"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", text)
        with pytest.raises(UsageError, match="AWS_ENDPOINT_URL is no address of a server; write it as"):
            open_store("s3://bucket")


def test_a_listing_goes_on_beyond_a_page_of_a_thousand(moto: Any) -> None:
    from moto.s3.models import s3_backends

    bucket = moto.create_bucket()
    store = open_store(f"s3://{bucket}/archive")
    keys = [f"{number:04}.mp4" for number in range(1100)]
    for key in keys:
        # Past the wire, into the server of this process: 1,100 requests would take seconds.
        s3_backends["123456789012"]["aws"].put_object(bucket, f"archive/{key}", b"")
    assert [info.key for info in store.list()] == keys
    assert store.delete_prefix("0") == 1000
    assert [info.key for info in store.list()] == keys[1000:]


def test_a_store_sees_only_what_lies_under_its_prefix(server: Any) -> None:
    bucket = server.create_bucket()
    inner, outer = open_store(f"s3://{bucket}/films/1998"), open_store(f"s3://{bucket}")
    inner.put("a.mp4", b"")
    outer.put("films/1998b/b.mp4", b"")
    assert [info.key for info in inner.list()] == ["a.mp4"]
    assert [info.key for info in outer.list()] == ["films/1998/a.mp4", "films/1998b/b.mp4"]


def test_markers_of_empty_folders_are_no_objects(server: Any) -> None:
    bucket = server.create_bucket()
    for key in ("archive/", "archive/sub/", "archive/sub/clip.mp4"):
        server.client.put_object(Bucket=bucket, Key=key, Body=b"")
    assert [info.key for info in open_store(f"s3://{bucket}/archive").list()] == ["sub/clip.mp4"]


def test_an_object_that_a_folder_could_not_hold_is_listed_and_its_use_refused(moto: Any) -> None:
    bucket = moto.create_bucket()
    moto.client.put_object(Bucket=bucket, Key="a//clip.mp4", Body=b"")
    store = open_store(f"s3://{bucket}")
    assert [info.key for info in store.list()] == ["a//clip.mp4"]
    with pytest.raises(StorageError, match="empty segment"):
        store.open("a//clip.mp4")


def test_put_if_absent_knows_its_own_object_when_an_answer_was_lost(moto: Any) -> None:
    store = S3ObjectStore(parse_location(f"s3://{moto.create_bucket()}"))
    client = s3_client(store.endpoint_url)

    def lose_the_first_answer(attempts: int, **_: object) -> float | None:
        return 0.0 if attempts == 1 else None

    client.meta.events.register_first("needs-retry.s3.PutObject", lose_the_first_answer)
    try:
        assert store.put_if_absent("claim", b"mine")
        assert not store.put_if_absent("claim", b"theirs")
    finally:
        client.meta.events.unregister("needs-retry.s3.PutObject", lose_the_first_answer)
    assert store.read("claim") == b"mine"


class FailingFolder(FolderObjectStore):
    """A source that breaks off after 8 MiB."""

    def open(self, key: str, info: ObjectInfo | None = None) -> BinaryIO:
        file = super().open(key, info)
        read = file.read

        def read_or_fail(size: int = -1) -> bytes:
            if file.tell() > 8 * MEBIBYTE:
                raise ObjectChangedError("it changed")
            return read(size)

        file.read = read_or_fail  # type: ignore[method-assign]
        return file


def test_an_upload_that_fails_in_the_middle_leaves_neither_object_nor_parts(server: Any, tmp_path: Path) -> None:
    bucket = server.create_bucket()
    (tmp_path / "long.mp4").write_bytes(bytes(16 * MEBIBYTE))
    store = S3ObjectStore(parse_location(f"s3://{bucket}"), SMALL_PARTS)
    with pytest.raises(ObjectChangedError):
        store.copy_from(FailingFolder(tmp_path), "long.mp4", "long.mp4")
    assert not store.exists("long.mp4")
    assert not server.client.list_multipart_uploads(Bucket=bucket).get("Uploads")


KILLED_IN_AN_UPLOAD = """
import os, signal, sys
from pathlib import Path
from deblur_core.storage.location import parse_location
from deblur_core.storage.s3 import S3ObjectStore
from deblur_core.storage.s3_transfers import TransferSizes
store = S3ObjectStore(parse_location(sys.argv[1]), TransferSizes(5 << 20, 5 << 20))
type(store._client).upload_part = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
store.put_file("ours.mp4", Path(sys.argv[2]))
"""


@pytest.mark.integration
def test_cleaning_up_aborts_what_killed_writers_of_ours_began_and_nothing_of_others(swift: Any, tmp_path: Path) -> None:
    bucket, client = swift.create_bucket(), swift.client
    (tmp_path / "long.mp4").write_bytes(bytes(16 * MEBIBYTE))
    arguments = [sys.executable, "-c", KILLED_IN_AN_UPLOAD, f"s3://{bucket}/archive", str(tmp_path / "long.mp4")]
    assert subprocess.run(arguments, env={**os.environ, **swift.environment()}).returncode == -signal.SIGKILL
    store = open_store(f"s3://{bucket}/archive")
    for key in ("archive/theirs.mp4", "archive/ours.mp4.theirs", "other/c.mp4"):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    client.put_object(Bucket=bucket, Key="archive/_restore/tmp/write-check-of-a-killed-run", Body=b"")
    assert "archive/ours.mp4" in _uploads(client, bucket)
    assert list(store.list()) == []
    assert store.clean_up_partial(older_than_seconds=3600) == 0
    # Servers give times in whole seconds: a time ahead makes all of them old.
    assert store.clean_up_partial(older_than_seconds=-10) == 3
    assert _uploads(client, bucket) == ["archive/ours.mp4.theirs", "archive/theirs.mp4", "other/c.mp4"]
    assert not client.list_objects_v2(Bucket=bucket).get("Contents")


def _uploads(client: Any, bucket: str) -> list[str]:
    return sorted(upload["Key"] for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()))


def test_checking_rights_in_a_versioned_bucket_leaves_no_version(moto: Any) -> None:
    bucket, client = moto.create_bucket(), moto.client
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    open_store(f"s3://{bucket}/archive").check_writable()
    found = client.list_object_versions(Bucket=bucket)
    assert not found.get("Versions") and not found.get("DeleteMarkers")


def test_a_file_over_s3_reads_ahead_and_does_not_read_all(server: Any, tmp_path: Path) -> None:
    content = os.urandom(MEBIBYTE) * 12
    (tmp_path / "film.mp4").write_bytes(content)
    store = S3ObjectStore(parse_location(f"s3://{server.create_bucket()}"), SMALL_PARTS)
    store.put_file("film.mp4", tmp_path / "film.mp4")
    with store.open("film.mp4") as file:
        assert isinstance(file, RangedFile)
        assert file.seek(10 * MEBIBYTE) and file.read(10) == content[10 * MEBIBYTE :][:10]
        assert (file.request_count, file.fetched_bytes) == (1, 256 * 1024)
        file.seek(0)
        while file.read(64 * 1024):
            pass
        assert file.request_count <= 8
        assert file.fetched_bytes == len(content) + 256 * 1024


def test_a_pickled_store_carries_its_endpoint_but_no_secret(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"s3://{moto.create_bucket()}")
    store.put("k", b"content")
    travelling = pickle.dumps(store)
    assert moto.secret_key.encode() not in travelling
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert pickle.loads(travelling).read("k") == b"content"  # noqa: S301


def test_the_stores_of_a_process_share_a_client_until_the_credentials_change(
    moto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = s3_client(moto.endpoint_url)
    with ThreadPoolExecutor(4) as pool:
        assert {id(client) for client in pool.map(s3_client, [moto.endpoint_url] * 8)} == {id(first)}
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert s3_client(moto.endpoint_url) is not first


def test_importing_the_package_loads_no_s3_library() -> None:
    script = """
import sys
from deblur_core.storage import open_store
open_store("s3://bucket/prefix"), open_store("folder")
sys.exit(", ".join({"boto3", "botocore", "s3transfer", "av", "torch", "numpy"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
