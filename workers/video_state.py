"""Where one video stands: which of its segments are labelled, restored, encoded. Pure bookkeeping, no Ray.

It answers one question, after each result: which calls can be made now that could not be made before?
"""

from collections import Counter
from dataclasses import dataclass, field

from workers.job import SegmentTask, VideoTask, deblur_spans
from workers.results import Call, Planned


@dataclass
class VideoState:
    """A video on its way. `order`: its rank in the run, longest first; frame_pixels: of one frame, once it is planned.

    blurred: for each labelled segment, blurred frames by span; open_spans: spans of a segment that are still being
    restored; restored: for each segment that is through with deblurring, how many frames were restored.
    """

    task: VideoTask
    order: int
    segments: list[SegmentTask] = field(default_factory=list)
    cannot_rebuild: str | None = None
    frame_pixels: int = 0
    blurred: dict[int, tuple[int, ...]] = field(default_factory=dict)
    open_spans: dict[int, int] = field(default_factory=dict)
    restored: Counter[int] = field(default_factory=Counter)
    assembled: set[int] = field(default_factory=set)
    _assemble_asked: set[int] = field(default_factory=set)
    _publish_asked: bool = False

    def planned(self, result: Planned) -> list[Call]:
        """Every segment can be classified."""
        self.cannot_rebuild, self.frame_pixels = result.cannot_rebuild, result.frame_pixels
        self.segments = [
            SegmentTask(self.task, number, first, stop) for number, (first, stop) in enumerate(result.segments)
        ]
        return [Call("classify", segment, self.order, segment.frame_count) for segment in self.segments]

    def classified(self, number: int, blurred: tuple[int, ...]) -> list[Call]:
        """A segment can be deblurred once its neighbours are labelled too: it may look over its edges."""
        self.blurred[number] = blurred
        calls = []
        for candidate in (number - 1, number, number + 1):
            if 0 <= candidate < len(self.segments) and candidate not in self.open_spans and self._edges(candidate):
                spans = zip(deblur_spans(self.segments[candidate]), self.blurred[candidate], strict=True)
                deblur = [Call("deblur", span, self.order, count) for span, count in spans if count]
                self.open_spans[candidate] = len(deblur)
                calls += deblur
        return calls + self._encodable()

    def deblurred(self, number: int, restored: int) -> list[Call]:
        """What was restored is encoded; the first restored frame releases the segments that wait untouched."""
        self.restored[number] += restored
        self.open_spans[number] -= 1
        return self._encodable()

    def encoded(self, number: int) -> list[Call]:
        """After the last part, the video can be published."""
        self.assembled.add(number)
        return self._publishable()

    @property
    def has_restored(self) -> bool:
        """Whether any frame of it will differ from its source: then all of it is encoded, else it is copied."""
        return any(self.restored.values())

    def _edges(self, number: int) -> bool:
        around = (number - 1, number, number + 1)
        return all(other in self.blurred for other in around if 0 <= other < len(self.segments))

    def _encodable(self) -> list[Call]:
        calls = []
        if self.has_restored:
            for number, waiting_for in sorted(self.open_spans.items()):
                if not waiting_for and number not in self._assemble_asked:
                    self._assemble_asked.add(number)
                    segment = self.segments[number]
                    calls.append(Call("assemble", segment, self.order, segment.frame_count))
        return calls + self._publishable()

    def _publishable(self) -> list[Call]:
        complete = len(self.open_spans) == len(self.segments) and not any(self.open_spans.values())
        encoded = not self.has_restored or len(self.assembled) == len(self.segments)
        if self._publish_asked or not (complete and encoded):
            return []
        self._publish_asked = True
        return [Call("publish", self.task, self.order)]
