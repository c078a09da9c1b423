"""Routes one request through `stator router` with nothing but HTTP and JSON; prints what it was told."""
import base64
import json
import struct
import sys
import urllib.request

base = sys.argv[1]


def post(path, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def call(method, **body):
    return post("/stator.v1.RouterService/" + method, body)


prompt = {"id": "1", "promptIds": list(range(100))}
for worker in ("a", "b"):
    call("AddWorker", blockTokens=16, worker={
        "id": worker, "epoch": "1", "role": "WORKER_ROLE_BOTH", "model": "qwen", "ranks": 1,
        "capacity": {"requests": 8, "kvBlocks": 1000, "queue": 8},
    })
# What the engine of b says it holds: names of token ids 0..15, 16..31, 32..47 and 48..63 (XXH3-64, seed 1337, chained).
names = [
    15310707395893867146,
    13769157705258532664,
    11879827756109914528,
    3888788807566526800,
]
packed = b"".join(struct.pack("<Q", name) for name in names)
call("Observe", batches=[{
    "worker": "b", "epoch": "1", "sequence": "1",
    "events": [{"stored": {"sequenceHashes": base64.b64encode(packed).decode(), "tier": "KV_TIER_DEVICE"}}],
}])
dry = call("Select", prompt=prompt, explain=True)
reserved = call("Reserve", prompt=prompt)
chosen = reserved["selection"]["chosen"]
progress = call("Progress", reservation=reserved["reservation"], prefilled=True, cachedTokens=64, outputTokens=8)
call("Release", reservation=reserved["reservation"])
query = post("/query", {"model": "qwen", "token_ids": prompt["promptIds"]})
print(json.dumps({
    "chosen": chosen["worker"],
    "cachedTokens": chosen["cachedTokens"],
    "known": progress["known"],
    "longest": {worker: hit["longest_matched"] for worker, hit in query["default"].items()},
    "dryRun": sorted(candidate["worker"] for candidate in dry["candidates"]),
}))
