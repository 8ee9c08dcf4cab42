"""What the tests of several stages share."""

from collections.abc import Iterator
from functools import lru_cache

import pytest
import torch

from deblur_core.models.registry import load_restorer


@pytest.fixture(scope="module")
def one_restorer() -> Iterator[None]:
    """A worker loads its restorer once and gives it one thread; so do tests that build many stages."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.stages.deblur.load_restorer", lru_cache(load_restorer))
        yield
