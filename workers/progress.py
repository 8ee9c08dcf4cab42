"""How far a run is: counters by stage and by video, taken as a snapshot at any time. Knows no screen."""

from dataclasses import dataclass, field, replace

STAGES = ("plan", "classify", "deblur", "assemble", "publish")


@dataclass(frozen=True)
class StageProgress:
    """frames: of finished calls; queued_frames: known and not finished; busy_seconds: spent inside actors."""

    calls: int = 0
    reused: int = 0
    frames: int = 0
    queued_frames: int = 0
    busy_seconds: float = 0.0
    actors: int = 0

    def finished(self, frames: int, seconds: float, reused: bool) -> "StageProgress":
        """With one more call done."""
        return replace(
            self,
            calls=self.calls + (not reused),
            reused=self.reused + reused,
            frames=self.frames + frames,
            queued_frames=self.queued_frames - frames,
            busy_seconds=self.busy_seconds + seconds,
        )

    def queued(self, frames: int) -> "StageProgress":
        """With more (or, negative, fewer) frames to come."""
        return replace(self, queued_frames=self.queued_frames + frames)


@dataclass(frozen=True)
class Snapshot:
    """stages by name; videos: how many there are, are finished, have failed;
    start_up_seconds: until every pool had an actor that was ready."""

    stages: dict[str, StageProgress] = field(default_factory=lambda: {name: StageProgress() for name in STAGES})
    videos_total: int = 0
    videos_done: int = 0
    videos_failed: int = 0
    start_up_seconds: float = 0.0
