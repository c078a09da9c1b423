// The CUDA driver API as far as KV transfer needs it. Prototypes are declared here from NVIDIA's public documentation: nothing of CUDA is needed to build.
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>

#include "library.h"

namespace gpu {
namespace {

using Result = int;
using Device = int;
using Pointer = unsigned long long;
using Context = void*;
using Stream = void*;
using Event = void*;
using Module = void*;
using Function = void*;
struct IpcHandle {
  char reserved[64];
};

struct Driver {
  Result (*Init)(unsigned);
  Result (*DriverGetVersion)(int*);
  Result (*GetErrorName)(Result, const char**);
  Result (*GetErrorString)(Result, const char**);
  Result (*DeviceGetCount)(int*);
  Result (*DeviceGet)(Device*, int);
  Result (*DeviceGetName)(char*, int, Device);
  Result (*DeviceGetUuid)(unsigned char*, Device);
  Result (*DeviceTotalMem)(size_t*, Device);
  Result (*DeviceGetAttribute)(int*, int, Device);
  Result (*DeviceGetPCIBusId)(char*, int, Device);
  Result (*DeviceCanAccessPeer)(int*, Device, Device);
  Result (*PrimaryCtxRetain)(Context*, Device);
  Result (*PrimaryCtxRelease)(Device);
  Result (*CtxSetCurrent)(Context);
  Result (*CtxEnablePeerAccess)(Context, unsigned);
  Result (*MemGetInfo)(size_t*, size_t*);
  Result (*MemAlloc)(Pointer*, size_t);
  Result (*MemFree)(Pointer);
  Result (*MemHostAlloc)(void**, size_t, unsigned);
  Result (*MemFreeHost)(void*);
  Result (*MemsetD8Async)(Pointer, unsigned char, size_t, Stream);
  Result (*MemcpyHtoDAsync)(Pointer, const void*, size_t, Stream);
  Result (*MemcpyDtoHAsync)(void*, Pointer, size_t, Stream);
  Result (*MemcpyDtoDAsync)(Pointer, Pointer, size_t, Stream);
  Result (*MemcpyPeerAsync)(Pointer, Context, Pointer, Context, size_t, Stream);
  Result (*StreamCreate)(Stream*, unsigned);
  Result (*StreamDestroy)(Stream);
  Result (*StreamQuery)(Stream);
  Result (*StreamSynchronize)(Stream);
  Result (*StreamWaitEvent)(Stream, Event, unsigned);
  Result (*LaunchHostFunc)(Stream, void (*)(void*), void*);
  Result (*EventCreate)(Event*, unsigned);
  Result (*EventDestroy)(Event);
  Result (*EventRecord)(Event, Stream);
  Result (*EventQuery)(Event);
  Result (*EventElapsedTime)(float*, Event, Event);
  Result (*IpcGetMemHandle)(IpcHandle*, Pointer);
  Result (*IpcOpenMemHandle)(Pointer*, IpcHandle, unsigned);
  Result (*IpcCloseMemHandle)(Pointer);
  Result (*ModuleLoadData)(Module*, const void*);
  Result (*ModuleUnload)(Module);
  Result (*ModuleGetFunction)(Function*, Module, const char*);
  Result (*LaunchKernel)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void**, void**);
};

constexpr Result kNotReady = 600;

std::shared_ptr<Driver> Load(Napi::Env env, const std::string& path) {
  const Library library(env, path);
  auto driver = std::make_shared<Driver>();
  std::string missing;
  auto find = [&](auto& slot, const char* name) {
    slot = library.Find<std::remove_reference_t<decltype(slot)>>(name);
    if (slot == nullptr) missing += std::string(missing.empty() ? "" : ", ") + name;
  };
  find(driver->Init, "cuInit");
  find(driver->DriverGetVersion, "cuDriverGetVersion");
  find(driver->GetErrorName, "cuGetErrorName");
  find(driver->GetErrorString, "cuGetErrorString");
  find(driver->DeviceGetCount, "cuDeviceGetCount");
  find(driver->DeviceGet, "cuDeviceGet");
  find(driver->DeviceGetName, "cuDeviceGetName");
  find(driver->DeviceGetUuid, "cuDeviceGetUuid");
  find(driver->DeviceTotalMem, "cuDeviceTotalMem_v2");
  find(driver->DeviceGetAttribute, "cuDeviceGetAttribute");
  find(driver->DeviceGetPCIBusId, "cuDeviceGetPCIBusId");
  find(driver->DeviceCanAccessPeer, "cuDeviceCanAccessPeer");
  find(driver->PrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  find(driver->PrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  find(driver->CtxSetCurrent, "cuCtxSetCurrent");
  find(driver->CtxEnablePeerAccess, "cuCtxEnablePeerAccess");
  find(driver->MemGetInfo, "cuMemGetInfo_v2");
  find(driver->MemAlloc, "cuMemAlloc_v2");
  find(driver->MemFree, "cuMemFree_v2");
  find(driver->MemHostAlloc, "cuMemHostAlloc");
  find(driver->MemFreeHost, "cuMemFreeHost");
  find(driver->MemsetD8Async, "cuMemsetD8Async");
  find(driver->MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  find(driver->MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  find(driver->MemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2");
  find(driver->MemcpyPeerAsync, "cuMemcpyPeerAsync");
  find(driver->StreamCreate, "cuStreamCreate");
  find(driver->StreamDestroy, "cuStreamDestroy_v2");
  find(driver->StreamQuery, "cuStreamQuery");
  find(driver->StreamSynchronize, "cuStreamSynchronize");
  find(driver->StreamWaitEvent, "cuStreamWaitEvent");
  find(driver->LaunchHostFunc, "cuLaunchHostFunc");
  find(driver->EventCreate, "cuEventCreate");
  find(driver->EventDestroy, "cuEventDestroy_v2");
  find(driver->EventRecord, "cuEventRecord");
  find(driver->EventQuery, "cuEventQuery");
  find(driver->EventElapsedTime, "cuEventElapsedTime");
  find(driver->IpcGetMemHandle, "cuIpcGetMemHandle");
  find(driver->IpcOpenMemHandle, "cuIpcOpenMemHandle_v2");
  find(driver->IpcCloseMemHandle, "cuIpcCloseMemHandle");
  find(driver->ModuleLoadData, "cuModuleLoadData");
  find(driver->ModuleUnload, "cuModuleUnload");
  find(driver->ModuleGetFunction, "cuModuleGetFunction");
  find(driver->LaunchKernel, "cuLaunchKernel");
  if (!missing.empty()) Throw(env, "TOO_OLD", "the driver lacks " + missing);
  return driver;
}

void Check(Napi::Env env, const Driver& driver, Result result, const char* call) {
  if (result == 0) return;
  const char* name = nullptr;
  const char* text = nullptr;
  driver.GetErrorName(result, &name);
  driver.GetErrorString(result, &text);
  Throw(env, name == nullptr ? "CUDA_ERROR_UNKNOWN" : name, std::string(call) + ": " + (text == nullptr ? "unknown error" : text), result);
}

// One device's primary context. Everything that lives in it holds it, so it goes last.
struct ContextHolder {
  std::shared_ptr<Driver> driver;
  Device device;
  Context context = nullptr;
  ~ContextHolder() {
    if (context != nullptr) driver->PrimaryCtxRelease(device);
  }
  void Use(Napi::Env env) const { Check(env, *driver, driver->CtxSetCurrent(context), "cuCtxSetCurrent"); }
};

enum class Kind { kDevice, kImported, kStream, kEvent, kModule };

struct Handle {
  std::shared_ptr<ContextHolder> owner;
  Kind kind;
  Pointer pointer = 0;
  void* object = nullptr;
  bool is_open = true;
  // Idempotent; without an environment (a finalizer) failures are dropped: the context may be gone already.
  Result Close() {
    if (!is_open) return 0;
    is_open = false;
    const Driver& driver = *owner->driver;
    driver.CtxSetCurrent(owner->context);
    switch (kind) {
      case Kind::kDevice:
        return driver.MemFree(pointer);
      case Kind::kImported:
        return driver.IpcCloseMemHandle(pointer);
      case Kind::kStream:
        return driver.StreamDestroy(object);
      case Kind::kEvent:
        return driver.EventDestroy(object);
      case Kind::kModule:
        return driver.ModuleUnload(object);
    }
    return 0;
  }
};

Napi::External<Handle> Wrap(Napi::Env env, Handle&& handle) {
  return Napi::External<Handle>::New(env, new Handle(std::move(handle)), [](Napi::Env, Handle* held) {
    held->Close();
    delete held;
  });
}

Handle& Open(const Napi::Value& value) {
  Handle& handle = *value.As<Napi::External<Handle>>().Data();
  if (!handle.is_open) Throw(value.Env(), "CLOSED", "the handle was closed");
  handle.owner->Use(value.Env());
  return handle;
}

Stream StreamOf(const Napi::Value& value) { return value.IsUndefined() ? nullptr : Open(value).object; }
uint64_t U64(const Napi::Value& value) { return static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue()); }

class Cuda : public Napi::ObjectWrap<Cuda> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Cuda",
                       {InstanceMethod("driverVersion", &Cuda::DriverVersion), InstanceMethod("devices", &Cuda::Devices), InstanceMethod("canAccessPeer", &Cuda::CanAccessPeer),
                        InstanceMethod("retain", &Cuda::Retain)});
  }
  explicit Cuda(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Cuda>(info) {
    driver_ = Load(info.Env(), info[0].As<Napi::String>());
    Check(info.Env(), *driver_, driver_->Init(0), "cuInit");
  }

 private:
  Napi::Value DriverVersion(const Napi::CallbackInfo& info) {
    int version = 0;
    Check(info.Env(), *driver_, driver_->DriverGetVersion(&version), "cuDriverGetVersion");
    return Napi::Number::New(info.Env(), version);
  }
  Napi::Value Devices(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    int count = 0;
    Check(env, *driver_, driver_->DeviceGetCount(&count), "cuDeviceGetCount");
    auto list = Napi::Array::New(env, count);
    for (int i = 0; i < count; i += 1) {
      Device device = 0;
      char name[256] = {};
      char bus[64] = {};
      unsigned char uuid[16] = {};
      size_t bytes = 0;
      int major = 0, minor = 0, processors = 0;
      Check(env, *driver_, driver_->DeviceGet(&device, i), "cuDeviceGet");
      Check(env, *driver_, driver_->DeviceGetName(name, sizeof(name), device), "cuDeviceGetName");
      Check(env, *driver_, driver_->DeviceGetUuid(uuid, device), "cuDeviceGetUuid");
      Check(env, *driver_, driver_->DeviceTotalMem(&bytes, device), "cuDeviceTotalMem");
      Check(env, *driver_, driver_->DeviceGetPCIBusId(bus, sizeof(bus), device), "cuDeviceGetPCIBusId");
      // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR 75, _MINOR 76, MULTIPROCESSOR_COUNT 16
      Check(env, *driver_, driver_->DeviceGetAttribute(&major, 75, device), "cuDeviceGetAttribute");
      Check(env, *driver_, driver_->DeviceGetAttribute(&minor, 76, device), "cuDeviceGetAttribute");
      Check(env, *driver_, driver_->DeviceGetAttribute(&processors, 16, device), "cuDeviceGetAttribute");
      auto entry = Napi::Object::New(env);
      entry.Set("index", i);
      entry.Set("name", name);
      entry.Set("pciBusId", bus);
      entry.Set("uuid", Napi::Buffer<unsigned char>::Copy(env, uuid, sizeof(uuid)));
      entry.Set("totalBytes", static_cast<double>(bytes));
      entry.Set("major", major);
      entry.Set("minor", minor);
      entry.Set("multiprocessors", processors);
      list.Set(static_cast<uint32_t>(i), entry);
    }
    return list;
  }
  Napi::Value CanAccessPeer(const Napi::CallbackInfo& info) {
    int can = 0;
    Check(info.Env(), *driver_, driver_->DeviceCanAccessPeer(&can, info[0].As<Napi::Number>(), info[1].As<Napi::Number>()), "cuDeviceCanAccessPeer");
    return Napi::Boolean::New(info.Env(), can != 0);
  }
  Napi::Value Retain(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto holder = std::make_shared<ContextHolder>();
    holder->driver = driver_;
    Check(env, *driver_, driver_->DeviceGet(&holder->device, info[0].As<Napi::Number>()), "cuDeviceGet");
    Check(env, *driver_, driver_->PrimaryCtxRetain(&holder->context, holder->device), "cuDevicePrimaryCtxRetain");
    return Napi::External<std::shared_ptr<ContextHolder>>::New(env, new std::shared_ptr<ContextHolder>(holder), [](Napi::Env, std::shared_ptr<ContextHolder>* held) { delete held; });
  }
  std::shared_ptr<Driver> driver_;
};

std::shared_ptr<ContextHolder> ContextOf(const Napi::Value& value) {
  auto holder = *value.As<Napi::External<std::shared_ptr<ContextHolder>>>().Data();
  holder->Use(value.Env());
  return holder;
}

Napi::Value MemoryInfo(const Napi::CallbackInfo& info) {
  auto holder = ContextOf(info[0]);
  size_t free_bytes = 0, total = 0;
  Check(info.Env(), *holder->driver, holder->driver->MemGetInfo(&free_bytes, &total), "cuMemGetInfo");
  auto result = Napi::Object::New(info.Env());
  result.Set("freeBytes", static_cast<double>(free_bytes));
  result.Set("totalBytes", static_cast<double>(total));
  return result;
}

Napi::Value Allocate(const Napi::CallbackInfo& info) {
  Handle handle{ContextOf(info[0]), Kind::kDevice};
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->MemAlloc(&handle.pointer, U64(info[1])), "cuMemAlloc");
  return Wrap(info.Env(), std::move(handle));
}

Napi::Value AddressOf(const Napi::CallbackInfo& info) { return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(Open(info[0]).pointer)); }

// pinned(context, bytes) -> ArrayBuffer of page-locked memory; freed when it is collected, with its context still held.
Napi::Value Pinned(const Napi::CallbackInfo& info) {
  auto holder = ContextOf(info[0]);
  void* address = nullptr;
  const size_t bytes = U64(info[1]);
  Check(info.Env(), *holder->driver, holder->driver->MemHostAlloc(&address, bytes, 1 /* portable */), "cuMemHostAlloc");
  memset(address, 0, bytes);
  return Napi::ArrayBuffer::New(
      info.Env(), address, bytes,
      [](Napi::Env, void* data, std::shared_ptr<ContextHolder>* held) {
        (*held)->driver->CtxSetCurrent((*held)->context);
        (*held)->driver->MemFreeHost(data);
        delete held;
      },
      new std::shared_ptr<ContextHolder>(holder));
}

// copy(kind, target, targetOffset, source, sourceOffset, bytes, stream): kind 0 host to device, 1 device to host, 2 device to device, 3 between devices.
Napi::Value Copy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int kind = info[0].As<Napi::Number>();
  const uint64_t to = U64(info[2]), from = U64(info[4]), bytes = U64(info[5]);
  if (kind == 0) {
    auto source = info[3].As<Napi::Uint8Array>();
    if (from + bytes > source.ByteLength()) Throw(env, "BOUNDS", "the copy leaves the host buffer");
    Handle& target = Open(info[1]);
    Check(env, *target.owner->driver, target.owner->driver->MemcpyHtoDAsync(target.pointer + to, source.Data() + from, bytes, StreamOf(info[6])), "cuMemcpyHtoDAsync");
  } else if (kind == 1) {
    auto target = info[1].As<Napi::Uint8Array>();
    if (to + bytes > target.ByteLength()) Throw(env, "BOUNDS", "the copy leaves the host buffer");
    Handle& source = Open(info[3]);
    Check(env, *source.owner->driver, source.owner->driver->MemcpyDtoHAsync(target.Data() + to, source.pointer + from, bytes, StreamOf(info[6])), "cuMemcpyDtoHAsync");
  } else {
    Handle& source = Open(info[3]);
    Handle& target = Open(info[1]);
    const Driver& driver = *target.owner->driver;
    const Result result = kind == 2 ? driver.MemcpyDtoDAsync(target.pointer + to, source.pointer + from, bytes, StreamOf(info[6]))
                                    : driver.MemcpyPeerAsync(target.pointer + to, target.owner->context, source.pointer + from, source.owner->context, bytes, StreamOf(info[6]));
    Check(env, driver, result, kind == 2 ? "cuMemcpyDtoDAsync" : "cuMemcpyPeerAsync");
  }
  return env.Undefined();
}

Napi::Value Fill(const Napi::CallbackInfo& info) {
  Handle& target = Open(info[0]);
  Check(info.Env(), *target.owner->driver, target.owner->driver->MemsetD8Async(target.pointer + U64(info[1]), static_cast<unsigned char>(info[2].As<Napi::Number>().Uint32Value()), U64(info[3]), StreamOf(info[4])), "cuMemsetD8Async");
  return info.Env().Undefined();
}

Napi::Value CreateStream(const Napi::CallbackInfo& info) {
  Handle handle{ContextOf(info[0]), Kind::kStream};
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->StreamCreate(&handle.object, 1 /* non-blocking */), "cuStreamCreate");
  return Wrap(info.Env(), std::move(handle));
}

// synchronize(stream, done(code?, message?)): a thread of its own waits, so that a faulted device answers too (a host function would never run).
Napi::Value Synchronize(const Napi::CallbackInfo& info) {
  Handle& stream = Open(info[0]);
  auto done = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "stator cuda stream", 0, 1);
  std::thread([owner = stream.owner, object = stream.object, done]() mutable {
    owner->driver->CtxSetCurrent(owner->context);
    const Result result = owner->driver->StreamSynchronize(object);
    const char* name = nullptr;
    if (result != 0) owner->driver->GetErrorName(result, &name);
    const std::string code = name == nullptr ? "" : name;
    done.BlockingCall([result, code](Napi::Env env, Napi::Function callback) {
      if (result == 0) callback.Call({});
      else callback.Call({Napi::String::New(env, code), Napi::Number::New(env, result)});
    });
    done.Release();
  }).detach();
  return info.Env().Undefined();
}

Napi::Value IsStreamIdle(const Napi::CallbackInfo& info) {
  Handle& stream = Open(info[0]);
  const Result result = stream.owner->driver->StreamQuery(stream.object);
  if (result != kNotReady) Check(info.Env(), *stream.owner->driver, result, "cuStreamQuery");
  return Napi::Boolean::New(info.Env(), result == 0);
}

Napi::Value CreateEvent(const Napi::CallbackInfo& info) {
  Handle handle{ContextOf(info[0]), Kind::kEvent};
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->EventCreate(&handle.object, 0), "cuEventCreate");
  return Wrap(info.Env(), std::move(handle));
}

Napi::Value RecordEvent(const Napi::CallbackInfo& info) {
  Handle& event = Open(info[0]);
  Check(info.Env(), *event.owner->driver, event.owner->driver->EventRecord(event.object, StreamOf(info[1])), "cuEventRecord");
  return info.Env().Undefined();
}

Napi::Value IsEventDone(const Napi::CallbackInfo& info) {
  Handle& event = Open(info[0]);
  const Result result = event.owner->driver->EventQuery(event.object);
  if (result != kNotReady) Check(info.Env(), *event.owner->driver, result, "cuEventQuery");
  return Napi::Boolean::New(info.Env(), result == 0);
}

Napi::Value ElapsedMs(const Napi::CallbackInfo& info) {
  Handle& from = Open(info[0]);
  Handle& to = Open(info[1]);
  float ms = 0;
  Check(info.Env(), *from.owner->driver, from.owner->driver->EventElapsedTime(&ms, from.object, to.object), "cuEventElapsedTime");
  return Napi::Number::New(info.Env(), ms);
}

Napi::Value WaitEvent(const Napi::CallbackInfo& info) {
  Handle& event = Open(info[1]);
  Check(info.Env(), *event.owner->driver, event.owner->driver->StreamWaitEvent(StreamOf(info[0]), event.object, 0), "cuStreamWaitEvent");
  return info.Env().Undefined();
}

Napi::Value IpcExport(const Napi::CallbackInfo& info) {
  Handle& memory = Open(info[0]);
  IpcHandle handle{};
  Check(info.Env(), *memory.owner->driver, memory.owner->driver->IpcGetMemHandle(&handle, memory.pointer), "cuIpcGetMemHandle");
  return Napi::Buffer<char>::Copy(info.Env(), handle.reserved, sizeof(handle.reserved));
}

Napi::Value IpcImport(const Napi::CallbackInfo& info) {
  Handle memory{ContextOf(info[0]), Kind::kImported};
  auto bytes = info[1].As<Napi::Uint8Array>();
  if (bytes.ByteLength() != sizeof(IpcHandle)) Throw(info.Env(), "BOUNDS", "an IPC handle has 64 bytes");
  IpcHandle handle{};
  memcpy(handle.reserved, bytes.Data(), sizeof(handle.reserved));
  Check(info.Env(), *memory.owner->driver, memory.owner->driver->IpcOpenMemHandle(&memory.pointer, handle, 1 /* lazy peer access */), "cuIpcOpenMemHandle");
  return Wrap(info.Env(), std::move(memory));
}

Napi::Value EnablePeer(const Napi::CallbackInfo& info) {
  auto from = ContextOf(info[1]);
  auto to = ContextOf(info[0]);
  const Result result = to->driver->CtxEnablePeerAccess(from->context, 0);
  if (result != 704 /* already enabled */) Check(info.Env(), *to->driver, result, "cuCtxEnablePeerAccess");
  return info.Env().Undefined();
}

Napi::Value LoadModule(const Napi::CallbackInfo& info) {
  Handle handle{ContextOf(info[0]), Kind::kModule};
  const std::string ptx = info[1].As<Napi::String>();
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->ModuleLoadData(&handle.object, ptx.c_str()), "cuModuleLoadData");
  return Wrap(info.Env(), std::move(handle));
}

// launch(module, name, grid, block, args, stream): args are numbers (32 bit) or bigints (64 bit).
Napi::Value Launch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Handle& module = Open(info[0]);
  const Driver& driver = *module.owner->driver;
  const std::string name = info[1].As<Napi::String>();
  Function function = nullptr;
  Check(env, driver, driver.ModuleGetFunction(&function, module.object, name.c_str()), "cuModuleGetFunction");
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
  return env.Undefined();
}

Napi::Value CloseHandle(const Napi::CallbackInfo& info) {
  Handle& handle = *info[0].As<Napi::External<Handle>>().Data();
  const Result result = handle.Close();
  Check(info.Env(), *handle.owner->driver, result, "close");
  return info.Env().Undefined();
}

}  // namespace

void InitCuda(Napi::Env env, Napi::Object exports) {
  exports.Set("Cuda", Cuda::Define(env));
  auto set = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) { exports.Set(name, Napi::Function::New(env, function, name)); };
  set("memoryInfo", MemoryInfo);
  set("allocate", Allocate);
  set("addressOf", AddressOf);
  set("pinned", Pinned);
  set("copy", Copy);
  set("fill", Fill);
  set("createStream", CreateStream);
  set("synchronize", Synchronize);
  set("isStreamIdle", IsStreamIdle);
  set("createEvent", CreateEvent);
  set("recordEvent", RecordEvent);
  set("isEventDone", IsEventDone);
  set("elapsedMs", ElapsedMs);
  set("waitEvent", WaitEvent);
  set("ipcExport", IpcExport);
  set("ipcImport", IpcImport);
  set("enablePeer", EnablePeer);
  set("loadModule", LoadModule);
  set("launch", Launch);
  set("close", CloseHandle);
}

}  // namespace gpu
