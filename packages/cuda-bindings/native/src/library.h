// A shared library opened at run time, its symbols by name, and errors that carry the driver's own code.
#pragma once
#include <dlfcn.h>
#include <napi.h>

#include <string>

namespace gpu {

[[noreturn]] inline void Throw(Napi::Env env, const std::string& code, const std::string& message, int result = 0) {
  auto error = Napi::Error::New(env, message);
  error.Set("code", code);
  error.Set("result", Napi::Number::New(env, result));
  throw error;
}

class Library {
 public:
  // Throws { code: "ABSENT" } with the loader's reason.
  Library(Napi::Env env, const std::string& name) : handle_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) Throw(env, "ABSENT", dlerror());
  }
  // Drivers stay loaded: their own threads may still run when the last handle goes.
  template <typename Function>
  Function Find(const char* name) const {
    return reinterpret_cast<Function>(dlsym(handle_, name));
  }

 private:
  void* handle_;
};

void InitNvml(Napi::Env env, Napi::Object exports);

}  // namespace gpu
