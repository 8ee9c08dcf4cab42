"""Proves that the frames of a joined video that were encoded, restored ones among them, decode to what they were
encoded as: that neither their new place nor their new headers changed a sample.

It reads the parts one after another, and knows nothing of the source.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import av
import numpy as np
from av.video.frame import VideoFrame

from deblur_core.errors import VerificationError
from deblur_core.video.parts import Part, open_part
from deblur_core.video.picture_check import difference
from deblur_core.video.source import each_frame


class EncodedCheck:
    """Sees the frames of the result one after the other, in order of presentation. To be closed: the part that is read
    stays open until then."""

    def __init__(self, parts: Sequence[Part], stay: np.ndarray, name: str) -> None:
        """stay: bool [N], the frames that are in no part."""
        self._stay, self._name = stay, name
        self._frames = _decoded(parts, name)
        self._number = 0

    def see(self, frame: VideoFrame) -> None:
        """Compares the next frame of the result. Raises VerificationError if it is not as it was encoded."""
        number, self._number = self._number, self._number + 1
        if self._stay[number]:
            return
        encoded = next(self._frames, None)
        if encoded is None or difference(encoded, frame, self._name)[0]:
            raise VerificationError(f"{self._name}: frame {number} does not decode to what it was encoded as")

    def close(self) -> None:
        self._frames.close()


def _decoded(parts: Sequence[Part], name: str) -> Generator[VideoFrame, None, None]:
    for number, part in enumerate(parts):
        with open_part(part) as container:
            try:
                yield from each_frame(container, container.streams.video[0])
            except av.FFmpegError as error:
                raise VerificationError(f"{name}: part {number} does not decode ({error.strerror})") from error
