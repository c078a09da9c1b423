#include "plan/plan.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  transfer::InitMapping(env, exports);
  transfer::InitFdServer(env, exports);
  transfer::InitPlan(env, exports);
  transfer::InitCopy(env, exports);
  transfer::InitCma(env, exports);
  transfer::InitUcx(env, exports);
  transfer::InitWire(env, exports);
  transfer::InitFile(env, exports);
  return exports;
}

NODE_API_MODULE(stator_transfer, Init)
