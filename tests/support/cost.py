"""What a block costs the processor, whatever else goes on."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def costing_less_than(seconds: float) -> Iterator[None]:
    """Fail where the block takes this thread so many seconds of processor time or more.

    Neither other threads count nor the looking for rubbish, which takes half a second where thousands of tests left theirs.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        before = time.thread_time()
        yield
        took = time.thread_time() - before
    finally:
        if collects:
            gc.enable()
    assert took < seconds, f"{took:.3f} s of processor time"
