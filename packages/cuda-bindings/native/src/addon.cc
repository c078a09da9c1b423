#include "library.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  gpu::InitCuda(env, exports);
  gpu::InitNvml(env, exports);
  return exports;
}

NODE_API_MODULE(stator_cuda, Init)
