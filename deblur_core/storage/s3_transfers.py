"""Large objects in parts: which sizes go in parts, and boto3's transfer manager held to a bounded memory.

It knows no bucket and no key. The manager aborts an upload whose part fails or whose caller is interrupted, so nothing
orphaned stays in the bucket unless the process is killed.
"""

from dataclasses import dataclass
from typing import Any

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class TransferSizes:
    """Above which sizes an object goes in parts.

    multipart_bytes: uploads and downloads; below, one request.
    part_bytes: of them. Grown by the transfer manager where an object would need over 10,000 parts.
    server_copy_bytes: copies inside the server. Amazon allows 5 GiB a request; at 1 GiB no server needs longer than
        the 60 s after which a request is given up.
    """

    multipart_bytes: int = 64 * _MEBIBYTE
    part_bytes: int = 16 * _MEBIBYTE
    server_copy_bytes: int = 1024 * _MEBIBYTE

    def manager(self, client: Any) -> Any:
        """A transfer manager for uploads and downloads: 4 connections, at most 5 parts in memory."""
        return _manager(client, self.multipart_bytes, self.part_bytes)

    def copy_manager(self, client: Any) -> Any:
        """A transfer manager for copies inside the server, of which no byte comes here."""
        return _manager(client, self.server_copy_bytes, max(self.part_bytes, self.server_copy_bytes // 4))


def _manager(client: Any, threshold_bytes: int, part_bytes: int) -> Any:
    from s3transfer.manager import TransferConfig, TransferManager

    config = TransferConfig(
        multipart_threshold=threshold_bytes,
        multipart_chunksize=part_bytes,
        max_request_concurrency=4,
        max_submission_concurrency=1,
        max_in_memory_upload_chunks=4,
        max_io_queue_size=64,
    )
    return TransferManager(client, config)
