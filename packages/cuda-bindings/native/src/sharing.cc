// Memory of one process in another: legacy IPC handles, and file descriptors and fabric handles of mapped memory.
#include <cstring>

#include "handle.h"

namespace gpu {
namespace {

Napi::Value IpcExport(const Napi::CallbackInfo& info) {
  Handle& memory = Open(info[0]);
  IpcHandle handle{};
  Check(info.Env(), *memory.owner->driver, memory.owner->driver->IpcGetMemHandle(&handle, memory.pointer), "cuIpcGetMemHandle");
  return Napi::Buffer<char>::Copy(info.Env(), handle.reserved, sizeof(handle.reserved));
}

Napi::Value IpcImport(const Napi::CallbackInfo& info) {
  Handle memory = NewHandle(ContextOf(info[0]), Kind::kImported);
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

// Memory made apart from its address. Which kinds of handles it can be shared by is fixed when it is made.
BackingProperties PropertiesOf(Device device, int kinds) {
  BackingProperties properties{};
  properties.type = 1;  // pinned
  properties.handle_types = kinds;
  properties.location = {kDeviceLocation, device};
  return properties;
}

// Reserves addresses for a backing, maps it and lets the device read and write. Takes the backing over.
Napi::Value MapBacking(Napi::Env env, std::shared_ptr<ContextHolder> owner, Backing backing, size_t bytes) {
  const Driver& driver = *owner->driver;
  Pointer address = 0;
  Result result = driver.MemAddressReserve(&address, bytes, 0, 0, 0);
  const char* call = "cuMemAddressReserve";
  if (result == 0) {
    result = driver.MemMap(address, bytes, 0, backing, 0);
    call = "cuMemMap";
    if (result == 0) {
      const AccessDescription access{{kDeviceLocation, owner->device}, kReadWrite};
      result = driver.MemSetAccess(address, bytes, &access, 1);
      call = "cuMemSetAccess";
      if (result != 0) driver.MemUnmap(address, bytes);
    }
    if (result != 0) driver.MemAddressFree(address, bytes);
  }
  if (result != 0) driver.MemRelease(backing);
  Check(env, driver, result, call);
  Handle handle = NewHandle(std::move(owner), Kind::kMapped);
  handle.pointer = address;
  handle.bytes = bytes;
  handle.backing = backing;
  return Wrap(env, std::move(handle));
}

// granularity(context, kinds): mapped memory comes in multiples of this.
Napi::Value Granularity(const Napi::CallbackInfo& info) {
  auto owner = ContextOf(info[0]);
  const Driver& driver = *owner->driver;
  Require(info.Env(), driver.MemGetAllocationGranularity, "cuMemGetAllocationGranularity");
  const BackingProperties properties = PropertiesOf(owner->device, info[1].As<Napi::Number>());
  size_t bytes = 0;
  Check(info.Env(), driver, driver.MemGetAllocationGranularity(&bytes, &properties, 0 /* minimum */), "cuMemGetAllocationGranularity");
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

// allocateShareable(context, bytes, kinds)
Napi::Value AllocateShareable(const Napi::CallbackInfo& info) {
  auto owner = ContextOf(info[0]);
  const Driver& driver = *owner->driver;
  Require(info.Env(), driver.MemCreate, "cuMemCreate");
  const BackingProperties properties = PropertiesOf(owner->device, info[2].As<Napi::Number>());
  Backing backing = 0;
  Check(info.Env(), driver, driver.MemCreate(&backing, U64(info[1]), &properties, 0), "cuMemCreate");
  return MapBacking(info.Env(), std::move(owner), backing, U64(info[1]));
}

// exportFd(memory) -> file descriptor, the caller's to close.
Napi::Value ExportFd(const Napi::CallbackInfo& info) {
  Handle& memory = Open(info[0]);
  if (memory.kind != Kind::kMapped) Throw(info.Env(), "NOT_SHAREABLE", "only memory of allocateShareable has such handles");
  int fd = -1;
  Check(info.Env(), *memory.owner->driver, memory.owner->driver->MemExportToShareableHandle(&fd, memory.backing, kPosixFd, 0), "cuMemExportToShareableHandle");
  return Napi::Number::New(info.Env(), fd);
}

// exportFabric(memory) -> 64 bytes that every node of the NVLink domain can open.
Napi::Value ExportFabric(const Napi::CallbackInfo& info) {
  Handle& memory = Open(info[0]);
  if (memory.kind != Kind::kMapped) Throw(info.Env(), "NOT_SHAREABLE", "only memory of allocateShareable has such handles");
  IpcHandle handle{};
  Check(info.Env(), *memory.owner->driver, memory.owner->driver->MemExportToShareableHandle(&handle, memory.backing, kFabric, 0), "cuMemExportToShareableHandle");
  return Napi::Buffer<char>::Copy(info.Env(), handle.reserved, sizeof(handle.reserved));
}

// importShareable(context, fd | 64 bytes, bytes)
Napi::Value ImportShareable(const Napi::CallbackInfo& info) {
  auto owner = ContextOf(info[0]);
  const Driver& driver = *owner->driver;
  Require(info.Env(), driver.MemImportFromShareableHandle, "cuMemImportFromShareableHandle");
  Backing backing = 0;
  if (info[1].IsNumber()) {
    const intptr_t fd = info[1].As<Napi::Number>().Int32Value();
    Check(info.Env(), driver, driver.MemImportFromShareableHandle(&backing, reinterpret_cast<void*>(fd), kPosixFd), "cuMemImportFromShareableHandle");
  } else {
    auto bytes = info[1].As<Napi::Uint8Array>();
    if (bytes.ByteLength() != sizeof(IpcHandle)) Throw(info.Env(), "BOUNDS", "a fabric handle has 64 bytes");
    IpcHandle handle{};
    memcpy(handle.reserved, bytes.Data(), sizeof(handle.reserved));
    Check(info.Env(), driver, driver.MemImportFromShareableHandle(&backing, &handle, kFabric), "cuMemImportFromShareableHandle");
  }
  return MapBacking(info.Env(), std::move(owner), backing, U64(info[2]));
}

}  // namespace

void DefineSharing(Napi::Env env, Napi::Object exports) {
  Define(env, exports, "ipcExport", IpcExport);
  Define(env, exports, "ipcImport", IpcImport);
  Define(env, exports, "enablePeer", EnablePeer);
  Define(env, exports, "granularity", Granularity);
  Define(env, exports, "allocateShareable", AllocateShareable);
  Define(env, exports, "exportFd", ExportFd);
  Define(env, exports, "exportFabric", ExportFabric);
  Define(env, exports, "importShareable", ImportShareable);
}

}  // namespace gpu
