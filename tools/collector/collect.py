"""Measures the kernels of the machine it runs on into tables that `stator configure --tables` reads.

    python3 tools/collector/collect.py --out tables/        # on a GPU machine, no network needed
    python3 tools/collector/collect.py --out /tmp/t --device cpu --tiny
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
import time
from pathlib import Path

import torch

import kernels
from grids import FULL, TINY
from parquet import write_table

# Where each table lies below the output folder, as in AIConfigurator's `data/<system>`.
TABLES = {
    "gemm": ("gemm", kernels.gemm),
    "context_attention": ("attention", kernels.context_attention),
    "generation_attention": ("attention", kernels.generation_attention),
    "memory_copy": ("memory", kernels.memory_copy),
    "small_operations": ("memory", kernels.small_operations),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that the tables are written below")
    parser.add_argument("--device", default="cuda", help="torch device (default: cuda)")
    parser.add_argument("--tiny", action="store_true", help="a few small sizes: checks that everything runs")
    parser.add_argument("--only", choices=sorted(TABLES), nargs="+", help="measure these tables only")
    parser.add_argument("--seconds", type=float, default=540, help="stop starting new points after this long (default: 540)")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("No CUDA device is visible to PyTorch; pass --device cpu --tiny for a dry run", file=sys.stderr)
        return 2
    torch.manual_seed(0)
    deadline = time.monotonic() + options.seconds
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu"
    common = {"framework": "torch", "version": torch.__version__.split("+")[0], "device": name}
    grid = TINY if options.tiny else FULL
    for table in options.only or TABLES:
        family, measure = TABLES[table]
        rows = []
        with torch.inference_mode():
            for row in measure(grid, device):
                rows.append({**common, **row})
                if time.monotonic() > deadline:
                    print(f"{table}: out of time after {len(rows)} points", file=sys.stderr)
                    break
        path = options.out / family / "torch" / common["version"] / f"{table}_perf.parquet"
        write_table(path, rows)
        print(f"{table}: {len(rows)} points, {path}")
    machine = {
        **common,
        "python": platform.python_version(),
        "cuda": torch.version.cuda or "none",
        "date": datetime.date.today().isoformat(),
        "memoryBytes": torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0,
        "isTiny": options.tiny,
    }
    (options.out / "machine.json").write_text(json.dumps(machine, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
