"""The sums of a run, as JSON for programs and as a few lines for people. Knows neither Ray nor Prefect."""

import html
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from deblur_core.manifests.videos import FAILED, RESTORED, UNCHANGED, VideoRecord
from deblur_core.storage.keys import printable
from workers.progress import Snapshot

_SKIPPED = "skipped"
_FRAMES = ("total", "blurred", "restored", "rejected")


@dataclass(frozen=True)
class Failure:
    """A video that was not published, where it failed and why."""

    video: str
    stage: str
    error: str


@dataclass(frozen=True)
class Summary:
    """What a run did. Frames are those of the videos that this run worked on; seconds are wall time. not_retried: of
    the failures, those that an earlier run had found final."""

    run_id: str
    seconds: float
    videos: dict[str, int]
    frames: dict[str, int]
    failures: tuple[Failure, ...]
    not_retried: int = 0

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints; its keys are a contract."""
        return {
            "run_id": self.run_id,
            "seconds": round(self.seconds, 3),
            "videos": self.videos,
            "frames": self.frames,
            "failures": [asdict(failure) for failure in self.failures],
        }

    @property
    def exit_code(self) -> int:
        """0, or 3 when some videos failed."""
        return 3 if self.failures else 0


@dataclass
class Tally:
    """What became of videos, added up as they end: of a million only those that failed are remembered one by one."""

    videos: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @classmethod
    def of(cls, worked: Iterable[VideoRecord], skipped: int = 0) -> "Tally":
        """Of videos that a run worked on, and how many it skipped."""
        tally = cls(Counter({_SKIPPED: skipped}))
        for record in worked:
            tally.add(record)
        return tally

    def add(self, record: VideoRecord, skipped: bool = False) -> None:
        """Counts a video. skipped: it had been published before."""
        self.videos[_SKIPPED if skipped else record.status] += 1
        if skipped:
            return
        if record.status == FAILED:
            self.failures.append(Failure(record.video, record.stage or "", record.error or ""))
        else:
            frames = (record.frames, record.blurred, record.restored, record.rejected)
            self.frames.update(dict(zip(_FRAMES, frames, strict=True)))

    def include(self, other: "Tally") -> None:
        """Adds what another has counted."""
        self.videos.update(other.videos)
        self.frames.update(other.frames)
        self.failures += other.failures


def summarize(run_id: str, seconds: float, tally: Tally) -> Summary:
    """The sums of a run of `seconds`."""
    return Summary(
        run_id,
        seconds,
        {
            "total": tally.videos.total(),
            **{name: tally.videos[name] for name in (RESTORED, UNCHANGED, _SKIPPED, FAILED)},
        },
        {name: tally.frames[name] for name in _FRAMES},
        tuple(sorted(tally.failures, key=lambda failure: failure.video)),
    )


def run_report(summary: Summary, snapshot: Snapshot, options: dict[str, Any]) -> dict[str, Any]:
    """What `runs/<run id>/summary.json` holds: the summary, the settings and what each stage cost."""
    stages = {name: asdict(stage) for name, stage in snapshot.stages.items()}
    return {
        **summary.to_json(),
        "start_up_seconds": round(snapshot.start_up_seconds, 3),
        "options": options,
        "stages": stages,
    }


def lines(summary: Summary, destination: str) -> Iterable[str]:
    """The end of a run in words."""
    videos, frames = summary.videos, summary.frames
    if videos["skipped"] == videos["total"]:
        yield f"Nothing to do: all {videos['total']} videos are published already and unchanged ({destination})."
        return
    yield (
        f"{videos['total']} videos in {summary.seconds:.0f} s: {videos['restored']} restored, "
        f"{videos['unchanged']} unchanged (copied), {videos['skipped']} skipped, {videos['failed']} failed."
    )
    yield (
        f"{frames['total']} frames: {frames['blurred']} blurred, {frames['restored']} restored, "
        f"{frames['rejected']} kept because the restored frame was not better."
    )
    for failure in summary.failures:
        yield printable(f"FAILED {failure.video} [{failure.stage}] {failure.error}")
    if summary.not_retried:
        yield (
            f"{summary.not_retried} of them failed for good in an earlier run and were not tried again: their files, "
            "the models and the settings are unchanged (--retry-failed tries them)."
        )
    yield f"Published in {destination}"


def markdown(summary: Summary, destination: str) -> str:
    """The summary artifact of a flow run."""
    rows = "\n".join(f"| {name} | {count} |" for name, count in summary.videos.items())
    frames = "\n".join(f"| {name} | {count} |" for name, count in summary.frames.items())
    failures = "\n".join(f"- `{_plain(f.video)}` ({f.stage}): {_plain(f.error)}" for f in summary.failures) or "none"
    return (
        f"# Run {summary.run_id}\n\n{summary.seconds:.0f} s, published in `{destination}`\n\n"
        f"| videos | |\n| --- | ---: |\n{rows}\n\n| frames | |\n| --- | ---: |\n{frames}\n\n"
        f"## Failures\n\n{failures}\n"
    )


def _plain(text: str) -> str:
    """For Markdown that is shown as a page: nothing in it is a mark."""
    return html.escape(printable(text).replace("`", "'"), quote=False)
