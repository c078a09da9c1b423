"""Which sizes are measured. The full grid takes some five minutes on one H100; the tiny one seconds on a CPU."""

from __future__ import annotations

from dataclasses import dataclass



@dataclass(frozen=True)
class Grid:
    repeats: int
    gemm_rows: tuple
    gemm_weights: tuple
    attention_heads: tuple
    context_batches: tuple
    context_lengths: tuple
    max_tokens: int
    generation_batches: tuple
    generation_contexts: tuple
    max_cached_tokens: int
    copy_bytes: tuple
    small_tokens: tuple
    small_hidden: tuple


FULL = Grid(
    repeats=15,
    gemm_rows=(1, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192),
    gemm_weights=tuple(
        (n, k) for n in (512, 1024, 2048, 4096, 8192, 16384, 28672) for k in (512, 1024, 2048, 4096, 8192, 16384)
    ),
    attention_heads=((32, 8, 128), (16, 4, 128), (8, 1, 128), (32, 32, 128), (64, 8, 64)),
    context_batches=(1, 2, 4, 8),
    context_lengths=(128, 512, 1024, 2048, 4096, 8192, 16384),
    max_tokens=32768,
    generation_batches=(1, 4, 16, 64, 256),
    generation_contexts=(128, 512, 1024, 2048, 4096, 8192, 16384, 32768),
    max_cached_tokens=1 << 20,
    copy_bytes=tuple(1 << shift for shift in range(12, 31, 2)),
    small_tokens=(1, 8, 64, 512, 4096, 16384),
    small_hidden=(2048, 4096, 8192),
)

TINY = Grid(
    repeats=3,
    gemm_rows=(1, 16),
    gemm_weights=((64, 64), (128, 64)),
    attention_heads=((4, 2, 16),),
    context_batches=(1, 2),
    context_lengths=(16, 32),
    max_tokens=4096,
    generation_batches=(1, 2),
    generation_contexts=(32, 64),
    max_cached_tokens=4096,
    copy_bytes=(4096, 16384),
    small_tokens=(1, 8),
    small_hidden=(64,),
)
