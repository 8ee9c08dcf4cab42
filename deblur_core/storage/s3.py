"""`S3ObjectStore`: a prefix of an S3 bucket as an object store, on Amazon or any compatible server.

It knows the S3 calls and which of them servers get wrong; connections and the meaning of errors are in `s3_client.py`.

- Order: S3 lists in the binary order of the keys' UTF-8. A server that does not is found out and refused, not sorted:
  sorting would hold millions of keys in memory.
- Markers of empty folders (keys that end in '/') are no objects here. A key that `keys.check_key` refuses is listed,
  so that it is not lost in silence; using it raises StorageError.
- Pinned reads send If-Match, and the ETag of the answer is compared as well, for servers that ignore the header.
- put_if_absent is one conditional request. OpenStack Swift is the exception: it checks, then writes, and lets writers
  that come within milliseconds of each other all succeed, the last one staying. There the winner is who finds its own
  object after a wait, a second or five times its own request, in which every write that had passed the check must have
  ended (Fischer's algorithm). That is as good as the wait is long, so do not build on it what a second winner would
  break; and until its end a reader may see the object of a writer that loses.
- What is put as bytes bears its SHA-256 as metadata, and is compared with it when it is read as a whole: half an answer
  that says it is whole is asked for again. Reads of a range know how much has to come.
- Uploads in parts are announced by a small object beside them, so that `clean_up_partial` aborts those of our killed
  writers and no upload of anybody else below the same prefix.
- Memory: an upload or download in parts holds at most 5 parts of 16 MiB, of any size of object.
"""

import builtins
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from deblur_core.errors import AccessDeniedError, ObjectNotFoundError, StorageError, UnavailableError
from deblur_core.retry import Backoff, attempted
from deblur_core.storage.keys import TEMPORARY_PREFIX, check_key, check_prefix
from deblur_core.storage.location import Location
from deblur_core.storage.ranged_file import RangedFile
from deblur_core.storage.s3_client import endpoint_from_environment, explained, http_status, s3_client
from deblur_core.storage.s3_transfers import TransferSizes
from deblur_core.storage.store import ObjectInfo, ObjectStore, changed, check_range, refuse_everything
from deblur_core.storage.system_errors import from_system

_BODY_BACKOFF = Backoff(attempts=4, first_seconds=0.2, most_seconds=2.0)
_CONFLICT_BACKOFF = Backoff(attempts=5, first_seconds=0.1, most_seconds=2.0)
_OPENSTACK_HEADER = "x-openstack-request-id"
_SETTLE_SECONDS = 1.0
_KEYS_OF_A_DELETE = 1000
_UPLOADS = f"{TEMPORARY_PREFIX}upload-"
_CHECKSUM = "sha256"


class S3ObjectStore(ObjectStore):
    """The objects of `location`, an S3 one.

    The endpoint is that of the process which makes the store, and travels with it; credentials do not travel: every
    process finds its own by boto3's usual chain.
    """

    def __init__(self, location: Location, sizes: TransferSizes | None = None) -> None:
        self.url = location.url
        self.endpoint_url = endpoint_from_environment()
        self._bucket = location.bucket
        self._prefix = f"{location.path}/" if location.path else ""
        self._sizes = sizes or TransferSizes()
        self._bucket_was_seen = False

    def list(self, prefix: str = "", passed_over: Callable[[str], object] | None = None) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        last = ""
        with explained(self.url, self.endpoint_url):
            for entry in self._every("list_objects_v2", "Contents", self._prefix + prefix):
                key = entry["Key"].removeprefix(self._prefix)
                if key < last:
                    raise StorageError(f"{self.url} is listed out of order ({key!r} after {last!r}); use another store")
                last = key
                if key and not key.endswith("/") and not key.startswith(TEMPORARY_PREFIX):
                    yield _info(key, entry["Size"], entry)

    def head(self, key: str) -> ObjectInfo:
        name = self._name(key)
        with explained(self.url, self.endpoint_url, key):
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=name)
            except self._client.exceptions.ClientError as error:
                if http_status(error) == 404:
                    self._refuse_missing_bucket()
                raise
        self._bucket_was_seen = True
        return _info(key, answer["ContentLength"], answer)

    def read(self, key: str) -> bytes:
        return self._get(key)

    def read_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        check_range(start, length)
        if length == 0:
            return b""
        condition = {"IfMatch": f'"{etag}"'} if etag is not None else {}
        return self._get(key, etag, Range=f"bytes={start}-{start + length - 1}", **condition)

    def _get(self, key: str, etag: str | None = None, **wanted: str) -> bytes:
        from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        name = self._name(key)

        def get() -> bytes:
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=name, **wanted)
            except ClientError as error:
                if http_status(error) == 412:
                    raise changed(self.url, key) from error
                if http_status(error) == 416:
                    return b""  # the range begins at the end or beyond it
                raise
            if etag is not None and _plain(answer["ETag"]) != etag:
                answer["Body"].close()
                raise changed(self.url, key)
            try:
                with closing(answer["Body"]) as body:
                    data = cast(bytes, body.read())
            except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError) as error:
                raise UnavailableError(f"{self.url}/{key}: the answer broke off; run again") from error
            if "Range" not in wanted and _checksum_of(answer) not in (None, _checksum(data)):
                raise UnavailableError(f"{self.url}/{key}: the answer is not what was written there; run again")
            return data

        with explained(self.url, self.endpoint_url, key):
            return attempted(get, _BODY_BACKOFF)  # botocore retries requests, but not a body that breaks off

    def open(self, key: str, info: ObjectInfo | None = None) -> BinaryIO:
        return cast(BinaryIO, RangedFile(self, info or self.head(key)))

    def download(self, key: str, path: Path) -> None:
        name = self._name(key)
        with explained(self.url, self.endpoint_url, key), self._sizes.manager(self._client) as transfers:
            try:
                transfers.download(self._bucket, name, str(path)).result()
            except OSError as error:
                raise from_system("write", path, error) from error

    def put(self, key: str, data: bytes) -> ObjectInfo:
        return self._put_object(key, data, len(data), {_CHECKSUM: _checksum(data)})

    def put_file(self, key: str, path: Path) -> ObjectInfo:
        try:
            size_bytes = path.stat().st_size
            if size_bytes > self._sizes.multipart_bytes:
                return self._upload(key, str(path))
            with path.open("rb") as file:
                return self._put_object(key, file, size_bytes)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error

    def _put_object(
        self, key: str, body: bytes | BinaryIO, size_bytes: int, metadata: dict[str, str] | None = None
    ) -> ObjectInfo:
        name = self._name(key)
        with explained(self.url, self.endpoint_url, key):
            answer = self._client.put_object(Bucket=self._bucket, Key=name, Body=body, Metadata=metadata or {})
        return _info(key, size_bytes, answer)

    def _upload(self, key: str, source: str | BinaryIO) -> ObjectInfo:
        """Send a file or stream of any size; the transfer manager aborts the upload if a part fails."""
        name = self._name(key)
        manager = self._sizes.manager(self._client)
        with explained(self.url, self.endpoint_url, key), self._announced(name), manager as transfers:
            transfers.upload(source, self._bucket, name).result()
        return self.head(key)

    @contextmanager
    def _announced(self, name: str) -> Iterator[None]:
        """While an upload in parts may run, an object tells the key that it is for: parts of a killed writer are known
        as ours by that, and those of others below the same prefix are left alone."""
        mark = f"{self._prefix}{_UPLOADS}{uuid.uuid4().hex}"
        self._client.put_object(Bucket=self._bucket, Key=mark, Body=name.encode())
        try:
            yield
        except BaseException:
            with suppress(Exception):  # what matters is the error; the next run cleans up
                if not self._uploads_to(name):
                    self._client.delete_object(Bucket=self._bucket, Key=mark)
            raise
        self._client.delete_object(Bucket=self._bucket, Key=mark)

    def _uploads_to(self, name: str) -> "builtins.list[Any]":
        found = self._every("list_multipart_uploads", "Uploads", name)
        return [upload for upload in found if upload["Key"] == name]

    def put_if_absent(self, key: str, data: bytes) -> bool:
        name = self._name(key)
        writer = uuid.uuid4().hex
        with explained(self.url, self.endpoint_url, key):
            for attempt in range(_CONFLICT_BACKOFF.attempts):
                began = time.monotonic()
                try:
                    answer = self._client.put_object(
                        Bucket=self._bucket,
                        Key=name,
                        Body=data,
                        IfNoneMatch="*",
                        Metadata={"writer": writer, _CHECKSUM: _checksum(data)},
                    )
                except self._client.exceptions.ClientError as error:
                    # A request that was sent again, its answer lost, can find its own object in the way.
                    if http_status(error) == 412:
                        retried = error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
                        return retried and self._was_written_by(writer, name)
                    # Two writers at the very same time: Amazon tells one of them to ask again.
                    if http_status(error) != 409 or attempt == _CONFLICT_BACKOFF.attempts - 1:
                        raise
                    time.sleep(_CONFLICT_BACKOFF.pause_seconds(attempt + 1))
                else:
                    if _OPENSTACK_HEADER not in answer["ResponseMetadata"]["HTTPHeaders"]:
                        return True
                    # Others' requests take about as long as this one did, also on a server that is busy.
                    time.sleep(max(_SETTLE_SECONDS, 5 * (time.monotonic() - began)))
                    return self._was_written_by(writer, name)
        raise AssertionError("the last attempt returns or raises")

    def _was_written_by(self, writer: str, name: str) -> bool:
        return writer in self._client.head_object(Bucket=self._bucket, Key=name)["Metadata"].values()

    def delete(self, key: str) -> None:
        name = self._name(key)
        with suppress(ObjectNotFoundError), explained(self.url, self.endpoint_url, key):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def delete_prefix(self, prefix: str) -> int:
        refuse_everything(prefix, self.url)
        count = 0
        found = self.list(prefix)
        while keys := [info.key for info in islice(found, _KEYS_OF_A_DELETE)]:
            names = [{"Key": self._prefix + key} for key in keys]
            with explained(self.url, self.endpoint_url):
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": names, "Quiet": True})
            for failure in answer.get("Errors", ()):
                kind = AccessDeniedError if failure.get("Code") == "AccessDenied" else StorageError
                raise kind(f"s3://{self._bucket}/{failure.get('Key')}: cannot be deleted ({failure.get('Code')})")
            count += len(keys)
        return count

    def copy_from(self, source: ObjectStore, key: str, to_key: str, info: ObjectInfo | None = None) -> ObjectInfo:
        now = source.head(key)
        if info is not None and info.etag != now.etag:
            raise changed(source.url, key)
        if isinstance(source, S3ObjectStore) and source.endpoint_url == self.endpoint_url:
            copy = self._copy_in_server(source, now, to_key)
            if copy is not None:
                return copy
        with source.open(key, now) as content:
            return self._upload(to_key, content)

    def _copy_in_server(self, source: "S3ObjectStore", info: ObjectInfo, to_key: str) -> ObjectInfo | None:
        """Copy without the bytes coming here; None where the server refuses to copy this very version.

        OpenStack Swift 2.38 compares CopySourceIfMatch of a multipart object with another ETag than the one it shows.
        """
        from botocore.exceptions import ClientError
        from s3transfer.exceptions import S3CopyFailedError

        name = self._name(to_key)
        origin = {"Bucket": source._bucket, "Key": source._name(info.key)}
        pinned = {"CopySourceIfMatch": f'"{info.etag}"'}
        with explained(self.url, self.endpoint_url, to_key):
            try:
                if info.size_bytes <= self._sizes.server_copy_bytes:
                    self._client.copy_object(Bucket=self._bucket, Key=name, CopySource=origin, **pinned)
                else:
                    with self._announced(name), self._sizes.copy_manager(self._client) as transfers:
                        transfers.copy(origin, self._bucket, name, extra_args=pinned).result()
            except (ClientError, S3CopyFailedError) as error:
                if isinstance(error, ClientError) and http_status(error) != 412:
                    raise
                if source.head(info.key).etag != info.etag:
                    raise changed(source.url, info.key) from error
                return None
        return self.head(to_key)

    def check_writable(self) -> None:
        name = f"{self._prefix}{TEMPORARY_PREFIX}write-check-{uuid.uuid4().hex}"
        with explained(self.url, self.endpoint_url):
            answer = self._client.put_object(Bucket=self._bucket, Key=name, Body=b"")
            if "VersionId" in answer:
                # In a versioned bucket only this leaves no trace, but it needs a right of its own.
                with suppress(self._client.exceptions.ClientError):
                    self._client.delete_object(Bucket=self._bucket, Key=name, VersionId=answer["VersionId"])
                    return
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def clean_up_partial(self, older_than_seconds: float) -> int:
        latest = time.time() - older_than_seconds
        count = 0
        with explained(self.url, self.endpoint_url):
            for entry in self._every("list_objects_v2", "Contents", self._prefix + TEMPORARY_PREFIX):
                if entry["LastModified"].timestamp() <= latest:
                    if entry["Key"].startswith(self._prefix + _UPLOADS):
                        count += self._abort_announced(entry["Key"], latest)
                    self._client.delete_object(Bucket=self._bucket, Key=entry["Key"])
                    count += 1
        return count

    def _abort_announced(self, mark: str, latest: float) -> int:
        """Aborts what this mark was written for, if it began before `latest`, seconds since 1970. Returns how many."""
        with suppress(self._client.exceptions.NoSuchKey):
            name = self._client.get_object(Bucket=self._bucket, Key=mark)["Body"].read().decode()
            uploads = [each for each in self._uploads_to(name) if each["Initiated"].timestamp() <= latest]
            for upload in uploads:
                with suppress(self._client.exceptions.NoSuchUpload):
                    self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload["UploadId"])
            return len(uploads)
        return 0

    def _every(self, operation: str, kind: str, prefix: str) -> Iterator[Any]:
        for page in self._client.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get(kind, ())

    @property
    def _client(self) -> Any:
        return s3_client(self.endpoint_url)

    def _name(self, key: str) -> str:
        """The full key in the bucket."""
        return self._prefix + check_key(key)

    def _refuse_missing_bucket(self) -> None:
        """The answer to HEAD does not say whether the object or its bucket is missing; ask once."""
        if not self._bucket_was_seen:
            with suppress(AccessDeniedError), explained(self.url, self.endpoint_url):
                self._client.head_bucket(Bucket=self._bucket)
            self._bucket_was_seen = True


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _checksum_of(answer: Any) -> str | None:
    """What an object says of itself; servers differ in how they spell a name of metadata."""
    return next((value for name, value in answer.get("Metadata", {}).items() if name.lower() == _CHECKSUM), None)


def _plain(etag: str) -> str:
    return etag.strip('"')


def _info(key: str, size_bytes: int, answer: Any) -> ObjectInfo:
    """From an entry of a listing, or the answer to HEAD or PUT (which has only the server's Date)."""
    modified = answer.get("LastModified")
    if modified is None:
        modified = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return ObjectInfo(key, size_bytes, _plain(answer["ETag"]), modified.timestamp())
