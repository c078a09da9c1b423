#include "handle.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  gpu::DefineDevices(env, exports);
  gpu::DefineMemory(env, exports);
  gpu::DefineOrder(env, exports);
  gpu::DefineSharing(env, exports);
  gpu::DefineKernels(env, exports);
  gpu::DefineHostKernels(env, exports);
  gpu::InitNvml(env, exports);
  return exports;
}

NODE_API_MODULE(stator_cuda, Init)
