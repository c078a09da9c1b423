"""How long one call takes on a device: the median of repeated runs, replayed from a CUDA graph where there is one."""

from __future__ import annotations

import statistics
import time
from typing import Callable

import torch


def milliseconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median milliseconds of one `call`, its launch cost hidden in a graph on CUDA as engines hide it."""
    for _ in range(3):
        call()
    return _on_cuda(call, repeats) if device.type == "cuda" else _on_host(call, repeats)


def _on_host(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def _on_cuda(call: Callable[[], object], repeats: int) -> float:
    inner = 10
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(inner):
            call()
    graph.replay()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for _ in range(max(3, repeats // 3)):
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / inner)
    return statistics.median(times)
