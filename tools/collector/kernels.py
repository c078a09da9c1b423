"""The kernels that are measured, each as rows of a table in AIConfigurator's column names."""

from __future__ import annotations

from typing import Iterator

import torch
import torch.nn.functional as F

from grids import Grid
from timing import milliseconds

Row = dict


def _random(shape: tuple, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.randn(shape, device=device, dtype=torch.float32).to(dtype)


def supports_fp8(device: torch.device) -> bool:
    """Tensor cores for 8-bit floats: compute capability 8.9 and up, and a PyTorch that calls them."""
    return (
        device.type == "cuda" and hasattr(torch, "_scaled_mm") and torch.cuda.get_device_capability(device) >= (8, 9)
    )


def gemm(grid: Grid, device: torch.device) -> Iterator[Row]:
    """`[m, k] x [k, n]` in bfloat16, and in 8-bit floats with one scale per tensor where the device has them."""
    for n, k in grid.gemm_weights:
        weight = _random((n, k), torch.bfloat16, device)
        narrow = weight.to(torch.float8_e4m3fn) if supports_fp8(device) else None
        one = torch.ones((), device=device)
        for m in grid.gemm_rows:
            x = _random((m, k), torch.bfloat16, device)
            yield {
                "gemm_dtype": "bfloat16",
                "m": m,
                "n": n,
                "k": k,
                "kernel_source": "torch.linear",
                "latency": milliseconds(lambda: F.linear(x, weight), device, grid.repeats),
            }
            if narrow is not None and m % 16 == 0:
                x8 = x.to(torch.float8_e4m3fn)
                yield {
                    "gemm_dtype": "fp8",
                    "m": m,
                    "n": n,
                    "k": k,
                    "kernel_source": "torch._scaled_mm",
                    "latency": milliseconds(
                        lambda: torch._scaled_mm(x8, narrow.t(), one, one, out_dtype=torch.bfloat16),
                        device,
                        grid.repeats,
                    ),
                }


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], device=q.device).triu(1).bool(), float("-inf"))
    return scores.softmax(-1) @ v


def _attention_source() -> str:
    return "torch.sdpa" if hasattr(F, "scaled_dot_product_attention") else "torch.matmul"


def _attention_row(op: str, batch: int, isl: int, step: int, heads: int, kv: int, dim: int, latency: float) -> Row:
    return {
        "attn_dtype": "bfloat16",
        "kv_cache_dtype": "bfloat16",
        "op_name": op,
        "num_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": dim,
        "window_size": 0,
        "batch_size": batch,
        "beam_width": 1,
        "isl": isl,
        "step": step,
        "kernel_source": _attention_source(),
        "latency": latency,
    }


def context_attention(grid: Grid, device: torch.device) -> Iterator[Row]:
    """Causal attention of whole prompts. Keys and values of shared heads are expanded before the clock starts."""
    for heads, kv, dim in grid.attention_heads:
        for batch in grid.context_batches:
            for isl in grid.context_lengths:
                if batch * isl > grid.max_tokens:
                    continue
                q, k, v = (_random((batch, heads, isl, dim), torch.bfloat16, device) for _ in range(3))
                latency = milliseconds(lambda: _attention(q, k, v, True), device, grid.repeats)
                yield _attention_row("context_attention", batch, isl, 0, heads, kv, dim, latency)


def generation_attention(grid: Grid, device: torch.device) -> Iterator[Row]:
    """One query token per sequence against its cache; query heads of one group form the rows of a product."""
    for heads, kv, dim in grid.attention_heads:
        for batch in grid.generation_batches:
            for context in grid.generation_contexts:
                if batch * context > grid.max_cached_tokens:
                    continue
                q = _random((batch, kv, heads // kv, dim), torch.bfloat16, device)
                k, v = (_random((batch, kv, context, dim), torch.bfloat16, device) for _ in range(2))
                latency = milliseconds(lambda: _attention(q, k, v, False), device, grid.repeats)
                yield _attention_row("generation_attention", batch, context - 1, 1, heads, kv, dim, latency)


def memory_copy(grid: Grid, device: torch.device) -> Iterator[Row]:
    """Copies within the device and, where it is not the host, to and from pinned host memory."""
    for size in grid.copy_bytes:
        source = torch.empty(size, dtype=torch.uint8, device=device)
        pairs = [("device_to_device", source, torch.empty_like(source))]
        if device.type == "cuda":
            host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
            pairs += [("host_to_device", host, source), ("device_to_host", source, host)]
        for name, a, b in pairs:
            yield {
                "copy_dtype": "uint8",
                "op_name": name,
                "message_size": size,
                "kernel_source": "torch.copy_",
                "latency": milliseconds(lambda: b.copy_(a, non_blocking=True), device, grid.repeats),
            }


def small_operations(grid: Grid, device: torch.device) -> Iterator[Row]:
    """Kernels that read and write activations once: what is left of them for few tokens is the cost of a launch."""
    for tokens in grid.small_tokens:
        for hidden in grid.small_hidden:
            x = _random((tokens, hidden), torch.bfloat16, device)
            y = _random((tokens, hidden), torch.bfloat16, device)
            weight = torch.ones(hidden, device=device, dtype=torch.bfloat16)
            calls = {
                "add": (lambda: x + y, 3),
                "silu_multiply": (lambda: F.silu(x) * y, 5),
                "layer_norm": (lambda: F.layer_norm(x, (hidden,), weight), 2),
            }
            for name, (call, passes) in calls.items():
                yield {
                    "elementwise_dtype": "bfloat16",
                    "op_name": name,
                    "num_tokens": tokens,
                    "hidden_size": hidden,
                    "num_bytes": passes * tokens * hidden * 2,
                    "num_kernels": 2 if name == "silu_multiply" else 1,
                    "kernel_source": "torch",
                    "latency": milliseconds(call, device, grid.repeats),
                }
