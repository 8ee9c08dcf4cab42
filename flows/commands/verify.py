"""`restore-archive verify`: the proof that was made before publication, made again over a whole archive, later.

It reads source and destination and writes nothing; it needs no model, no Ray and no Prefect.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from deblur_core.provenance.proof import Proof, repeat_proof
from deblur_core.storage import ObjectInfo
from deblur_core.storage.keys import printable
from flows.inventory import PublishedArchive, find_published
from flows.settings import resolve_settings

EXIT_SOME_WRONG = 3
_MOST_ROWS = 40


def verify(source: str | None, destination: str | None, hashes_only: bool, as_json: bool) -> int:
    """Checks every video of the source. Returns 0 when all hold, 3 when some do not; raises UsageError."""
    started = time.monotonic()
    given = {"source": source, "destination": destination}
    settings = resolve_settings(**{name: value for name, value in given.items() if value is not None})
    archive = find_published(settings)
    proofs = _prove_all(archive, hashes_only)
    seconds = time.monotonic() - started
    wrong = [proof for proof in proofs if not proof.holds]
    if as_json:
        sys.stdout.write(json.dumps(_report(proofs, seconds, hashes_only)) + "\n")
    else:
        _print(proofs, wrong, archive, seconds, hashes_only)
    return EXIT_SOME_WRONG if wrong else 0


def _prove_all(archive: PublishedArchive, hashes_only: bool) -> list[Proof]:
    """In order of the source's keys, a video a core; decoding leaves Python's lock free."""
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads,
    ):
        task = progress.add_task("verify", total=len(archive.videos))
        try:
            proofs = []
            for proof in threads.map(lambda video: _prove(archive, video, hashes_only), archive.videos):
                proofs.append(proof)
                progress.advance(task)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return proofs


def _prove(archive: PublishedArchive, video: ObjectInfo, hashes_only: bool) -> Proof:
    """One video; whatever is wrong with it, the others go on."""
    try:
        proof = repeat_proof(archive.source, video, archive.destination, archive.names[video.key], hashes_only)
    except Exception as error:  # noqa: BLE001 - the border of one video: its reason is told, with its kind
        return Proof(video.key, None, False, 0, (f"cannot be verified: {type(error).__name__}: {error}",))
    row = archive.records.get(video.key)
    if proof.output is None and row is not None and row.error:
        return Proof(video.key, None, False, 0, (f"is not published: it failed [{row.stage}] {row.error}",))
    return proof


def _report(proofs: Sequence[Proof], seconds: float, hashes_only: bool) -> dict[str, object]:
    wrong = [proof for proof in proofs if not proof.holds]
    return {
        "seconds": round(seconds, 3),
        "hashes_only": hashes_only,
        "videos": {
            "total": len(proofs),
            "proved": len(proofs) - len(wrong),
            "copies": sum(proof.holds and proof.is_copy for proof in proofs),
            "wrong": len(wrong),
        },
        "problems": [
            {"video": proof.video, "output": proof.output, "problems": list(proof.problems)} for proof in wrong
        ],
    }


def _print(
    proofs: Sequence[Proof], wrong: Sequence[Proof], archive: PublishedArchive, seconds: float, hashes_only: bool
) -> None:
    console = Console()
    rows: Iterable[Proof] = proofs if len(proofs) <= _MOST_ROWS else wrong
    table = Table("video", "published as", "restored frames", "proof")
    for proof in rows:
        kind = "copy" if proof.is_copy else str(proof.restored or "")
        words = "holds" if proof.holds else "; ".join(proof.problems)
        table.add_row(*(Text(printable(each)) for each in (proof.video, proof.output or "", kind, words)))
    if table.row_count:
        console.print(table)
    what = "by their hashes" if hashes_only else "by hash, time, picture, packet and tag"
    console.print(
        f"{len(proofs)} videos in {seconds:.0f} s, {what}: {len(proofs) - len(wrong)} hold, {len(wrong)} do not "
        f"({archive.destination.url}).",
        markup=False,
    )
