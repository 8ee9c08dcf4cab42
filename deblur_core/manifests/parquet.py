"""Reads Parquet files that lie in memory, in the thread that asks for them."""

import pyarrow as pa
import pyarrow.parquet as pq


def table_from(data: bytes) -> pa.Table:
    """All of a file's table. Raises what pyarrow raises over one that is damaged.

    `read_table` would begin threads for it, which now and then are not yet done when a short process ends: that then
    aborts, or hangs, after its last word (github.com/apache/arrow/issues/33975).
    """
    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
