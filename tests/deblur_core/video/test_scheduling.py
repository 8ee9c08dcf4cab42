"""An encoder that makes itself real-time is put back in the queue."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deblur_core.video.encode import choose_encoder, encode_segment
from deblur_core.video.probe import probe
from deblur_core.video.scheduling import usual_scheduling
from tests.media import decoded_frames, make_clip

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="scheduling policies are Linux's")


def policies() -> set[int]:
    return {os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}


def test_this_thread_and_those_that_it_started_are_scheduled_as_before() -> None:
    over = threading.Event()
    before = policies()
    with usual_scheduling():
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except PermissionError:
            pytest.skip("only root may raise itself, so an encoder could not either")
        child = threading.Thread(target=over.wait)
        child.start()
        assert os.SCHED_RR in policies()
    try:
        assert policies() == before
    finally:
        over.set()
        child.join()


def test_a_part_encoded_as_av1_leaves_nothing_real_time(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=3, size=(96, 64), audio=False)
    info = replace(probe(source, "a.mp4"), codec="av1")
    before = policies()
    encode_segment(decoded_frames(source), np.ones(3, bool), info, choose_encoder(info, ".mkv"), tmp_path / "part.mkv")
    assert policies() == before
