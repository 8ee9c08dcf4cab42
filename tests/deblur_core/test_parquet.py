"""Reading a table leaves nothing behind that could outlive the process's last word."""

import io
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deblur_core.manifests.parquet import table_from

THREADS = """
import os, sys
from deblur_core.manifests.parquet import table_from
threads = lambda: len(os.listdir("/proc/self/task"))
data = sys.stdin.buffer.read()
before = threads()
table_from(data)
print(threads() - before)
"""


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def test_a_table_comes_back_with_its_metadata() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", None]}).replace_schema_metadata({"kind": "test"})
    assert table_from(parquet(table)).equals(table, check_metadata=True)


def test_no_thread_is_begun_for_it() -> None:
    root = str(Path(__file__).parents[2])
    data = parquet(pa.table({"a": list(range(1000))}))
    done = subprocess.run(
        [sys.executable, "-c", THREADS], input=data, capture_output=True, check=True, env={"PYTHONPATH": root}
    )
    assert int(done.stdout) == 0
