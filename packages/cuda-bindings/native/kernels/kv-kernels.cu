// All KV-cache kernels. `node tools/native/ptx.mjs` compiles this to PTX, which is committed as src/kernels/kv-kernels.ts.
#include "copy.cu"
#include "fp8.cu"
#include "checksum.cu"
