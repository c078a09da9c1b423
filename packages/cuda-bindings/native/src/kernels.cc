// Modules of kernels and their launches.
#include <vector>

#include "handle.h"

namespace gpu {
namespace {

Napi::Value LoadModule(const Napi::CallbackInfo& info) {
  Handle handle = NewHandle(ContextOf(info[0]), Kind::kModule);
  const std::string ptx = info[1].As<Napi::String>();
  Module module = nullptr;
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->ModuleLoadData(&module, ptx.c_str()), "cuModuleLoadData");
  handle.object = std::shared_ptr<void>(module, [owner = handle.owner](void* object) {
    owner->driver->CtxSetCurrent(owner->context);
    owner->driver->ModuleUnload(object);
  });
  return Wrap(info.Env(), std::move(handle));
}

// launch(module, name, grid, block, args, stream): args are numbers (32 bit) or bigints (64 bit).
Napi::Value Launch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Handle& module = Open(info[0]);
  const Driver& driver = *module.owner->driver;
  const std::string name = info[1].As<Napi::String>();
  Function function = nullptr;
  Check(env, driver, driver.ModuleGetFunction(&function, module.object.get(), name.c_str()), "cuModuleGetFunction");
  auto list = info[4].As<Napi::Array>();
  std::vector<uint64_t> values(list.Length());
  std::vector<void*> pointers(list.Length());
  for (uint32_t i = 0; i < list.Length(); i += 1) {
    const Napi::Value value = list.Get(i);
    bool lossless = false;
    values[i] = value.IsBigInt() ? value.As<Napi::BigInt>().Uint64Value(&lossless) : value.As<Napi::Number>().Uint32Value();
    pointers[i] = &values[i];
  }
  Check(env, driver, driver.LaunchKernel(function, info[2].As<Napi::Number>(), 1, 1, info[3].As<Napi::Number>(), 1, 1, 0, StreamOf(info[5]), pointers.data(), nullptr), "cuLaunchKernel");
  FinishWithoutStream(env, driver, info[5]);
  return env.Undefined();
}

Napi::Value CloseHandle(const Napi::CallbackInfo& info) {
  Handle& handle = *info[0].As<Napi::External<Handle>>().Data();
  const Result result = handle.Close();
  Check(info.Env(), *handle.owner->driver, result, "close");
  return info.Env().Undefined();
}

}  // namespace

void DefineKernels(Napi::Env env, Napi::Object exports) {
  Define(env, exports, "loadModule", LoadModule);
  Define(env, exports, "launch", Launch);
  Define(env, exports, "close", CloseHandle);
}

}  // namespace gpu
