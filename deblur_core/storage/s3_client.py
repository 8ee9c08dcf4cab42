"""Connections to S3 and what their failures mean. The only file that imports boto3, and only at the first request.

It knows no object store. One client serves all threads of a process that use the same endpoint and the same `AWS_…`
settings: a client costs 12 MB and 0.1 s, and stores are unpickled by the thousand in workers.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from deblur_core.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    RestoreArchiveError,
    StorageError,
    StorageFullError,
    UnavailableError,
    UsageError,
)

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_ATTEMPTS = 5
_CONNECTIONS = 32

_ENDPOINT = re.compile(r"(?P<scheme>https?://)([^\s/@]+@)?(?P<place>[\w.\-\[\]:]+(/\S*)?)", re.IGNORECASE)
_BAD_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthFailure", "InvalidSecurity"}
_OLD_CREDENTIALS = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
_PASSING = {
    "RequestTimeout", "RequestTimeoutException", "SlowDown", "Throttling", "ThrottlingException",
    "RequestLimitExceeded", "BandwidthLimitExceeded", "InternalError", "ServiceUnavailable", "OperationAborted",
    "ConditionalRequestConflict", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch",
}  # fmt: skip
_GRANTS = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject and s3:ListBucket",
    "GetObject": "s3:GetObject",
    "CopyObject": "s3:GetObject on the source and s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}

_clients: dict[object, Any] = {}
_lock = threading.Lock()


def _forget_clients() -> None:
    """A forked child must not share its parent's connections, nor wait for a lock that nobody there will release."""
    global _lock
    _lock = threading.Lock()
    _clients.clear()


os.register_at_fork(after_in_child=_forget_clients)


def endpoint_from_environment() -> str | None:
    """AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, None for Amazon's own; raises UsageError if it is no http(s) URL.

    Without user name and password, if it has any: S3 has no use for them, and botocore's errors show the whole URL.
    """
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        url = os.environ.get(name)
        if url:
            parts = _ENDPOINT.fullmatch(url)
            if not parts:
                raise UsageError(f"{name} is no address of a server; write it as https://host or http://host:port")
            return f"{parts['scheme']}{parts['place']}".rstrip("/")
    return None


def s3_client(endpoint_url: str | None) -> Any:
    """The boto3 client of this process for this endpoint and the `AWS_…` settings of now.

    Raises botocore's errors; use it inside `explained`.
    """
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    with _lock:
        client = _clients.get((endpoint_url, settings))
        if client is None:
            client = _clients[endpoint_url, settings] = _connect(endpoint_url)
        return client


def _connect(endpoint_url: str | None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        # Servers other than Amazon's seldom have a DNS name for each bucket.
        s3={"addressing_style": "path"} if endpoint_url else None,
        # boto3's default since 1.36, a CRC32 in a trailer of a chunked upload, is refused by many S3-compatible servers
        # (older Swift, Ceph, MinIO). Without it every upload is still guarded: its SHA-256 is part of the signature,
        # and the server refuses a body that does not match. Ranged reads have no checksum in either case.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # "standard" also retries throttling, with jittered exponential waits; a person's AWS_MAX_ATTEMPTS wins.
        retries=None if "AWS_MAX_ATTEMPTS" in os.environ else {"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    return boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=config)


def http_status(error: Exception) -> int:
    """The HTTP status of a server's answer; 0 for an error that no server sent."""
    response = getattr(error, "response", None)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(response, dict) else 0


@contextmanager
def explained(url: str, endpoint_url: str | None, key: str | None = None) -> Iterator[None]:
    """Turn botocore's errors inside into one of this program's, in one line that holds no secret.

    url: the store's; key: the object that is dealt with, if it is one.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError

    place = f"{url}/{key}" if key else url
    try:
        yield
    except RestoreArchiveError:
        raise
    except ClientError as error:
        raise _from_answer(error, url, place, key) from error
    except S3DownloadFailedError as error:
        raise ObjectChangedError(f"{place} changed while it was downloaded; run again") from error
    except RetriesExceededError as error:
        raise UnavailableError(f"{place}: the download broke off; run again") from error
    except BotoCoreError as error:
        raise _from_client(error, place, endpoint_url) from error


def _from_answer(error: Any, url: str, place: str, key: str | None) -> StorageError:
    """What a server's refusal means."""
    code, status = str(error.response.get("Error", {}).get("Code", "")), http_status(error)
    if code == "NoSuchBucket" or (status == 404 and key is None):
        return BucketNotFoundError(f"the bucket of {url} does not exist; create it or check the name and the endpoint")
    if status == 404:
        return ObjectNotFoundError(f"{url} has no object {key}")
    if code in _BAD_CREDENTIALS:
        advice = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the AWS profile"
        return AccessDeniedError(f"{place}: the store does not accept these credentials ({code}); {advice}")
    if code in _OLD_CREDENTIALS:
        return AccessDeniedError(f"{place}: the credentials have expired ({code}); sign in again")
    if code == "RequestTimeTooSkewed":
        return AccessDeniedError(f"{place}: the clock of this machine is wrong, so the store refuses it; set the clock")
    if status in (401, 403):
        grant = _GRANTS.get(error.operation_name, "s3:PutObject")
        return AccessDeniedError(
            f"{place}: access denied; check the credentials, and that they are granted {grant} here"
        )
    if code in _WRONG_REGION or status == 301:
        return StorageError(f"{place}: the bucket is in another region; set AWS_REGION to it")
    if status == 507 or code == "QuotaExceeded":
        return StorageFullError(f"{place}: the store is full; free space or raise its quota")
    if status in (408, 429) or (status >= 500 and status != 501) or code in _PASSING:
        said = f"{status} {code}" if code not in ("", str(status)) else f"{status}"
        return UnavailableError(f"{place}: the store answers {said} again and again; run again once it is well")
    message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())[:200]
    return StorageError(f"{place}: the store answered {status} {code} to {error.operation_name}: {message}")


def _from_client(error: Exception, place: str, endpoint_url: str | None) -> StorageError:
    """What a failure on this side of the wire means."""
    from botocore import exceptions as failures

    no_credentials = (
        failures.NoCredentialsError,
        failures.PartialCredentialsError,
        failures.CredentialRetrievalError,
        failures.ProfileNotFound,
        failures.SSOError,
        failures.TokenRetrievalError,
    )
    if isinstance(error, no_credentials):
        advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        return AccessDeniedError(f"{place}: no usable credentials ({type(error).__name__}); {advice}")
    if isinstance(error, (failures.HTTPClientError, failures.ConnectionError)):
        host = urlsplit(endpoint_url).netloc if endpoint_url else "Amazon S3"
        advice = "check AWS_ENDPOINT_URL and the network"
        kind = StorageError if isinstance(error, failures.SSLError) else UnavailableError
        return kind(f"{place}: cannot reach {host} ({type(error).__name__}); {advice}")
    if isinstance(error, (failures.IncompleteReadError, failures.ChecksumError, failures.FlexibleChecksumError)):
        return UnavailableError(f"{place}: the store's answer broke off or came damaged; run again")
    return StorageError(f"{place}: {type(error).__name__}: the request could not be made or its answer read; run again")
