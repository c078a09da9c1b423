// The CUDA driver API as far as KV transfer needs it. Prototypes are declared here from NVIDIA's public documentation: nothing of CUDA is needed to build.
#pragma once
#include <memory>
#include <string>

#include "library.h"

namespace gpu {

using Result = int;
using Device = int;
using Pointer = unsigned long long;
using Context = void*;
using Stream = void*;
using Event = void*;
using Module = void*;
using Function = void*;
// Of memory that is made apart from its address (VMM).
using Backing = unsigned long long;
struct IpcHandle {
  char reserved[64];
};
struct Location {
  int type;
  int id;
};
struct BackingProperties {
  int type;
  int handle_types;
  Location location;
  void* win32;
  unsigned char compression;
  unsigned char rdma;
  unsigned short usage;
  unsigned char reserved[4];
};
struct AccessDescription {
  Location location;
  int flags;
};

constexpr Result kNotReady = 600;
constexpr int kDeviceLocation = 1;
constexpr int kPosixFd = 1;
constexpr int kFabric = 8;
constexpr int kReadWrite = 3;

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
  Result (*EventCreate)(Event*, unsigned);
  Result (*EventDestroy)(Event);
  Result (*EventRecord)(Event, Stream);
  Result (*EventQuery)(Event);
  Result (*EventSynchronize)(Event);
  Result (*EventElapsedTime)(float*, Event, Event);
  Result (*IpcGetMemHandle)(IpcHandle*, Pointer);
  Result (*IpcOpenMemHandle)(Pointer*, IpcHandle, unsigned);
  Result (*IpcCloseMemHandle)(Pointer);
  Result (*ModuleLoadData)(Module*, const void*);
  Result (*ModuleUnload)(Module);
  Result (*ModuleGetFunction)(Function*, Module, const char*);
  Result (*LaunchKernel)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void**, void**);

  // Later than the rest: null in older drivers. Whoever calls them asks first.
  Result (*MemAllocAsync)(Pointer*, size_t, Stream);
  Result (*MemFreeAsync)(Pointer, Stream);
  Result (*MemGetAllocationGranularity)(size_t*, const BackingProperties*, int);
  Result (*MemCreate)(Backing*, size_t, const BackingProperties*, unsigned long long);
  Result (*MemRelease)(Backing);
  Result (*MemAddressReserve)(Pointer*, size_t, size_t, Pointer, unsigned long long);
  Result (*MemAddressFree)(Pointer, size_t);
  Result (*MemMap)(Pointer, size_t, size_t, Backing, unsigned long long);
  Result (*MemUnmap)(Pointer, size_t);
  Result (*MemSetAccess)(Pointer, size_t, const AccessDescription*, size_t);
  Result (*MemExportToShareableHandle)(void*, Backing, int, unsigned long long);
  Result (*MemImportFromShareableHandle)(Backing*, void*, int);
};

// Throws ABSENT or TOO_OLD.
std::shared_ptr<Driver> LoadDriver(Napi::Env env, const std::string& path);

// Throws what the driver calls the failure.
void Check(Napi::Env env, const Driver& driver, Result result, const char* call);

// Throws TOO_OLD unless the driver has a later function.
template <typename Function>
void Require(Napi::Env env, Function function, const char* name) {
  if (function == nullptr) Throw(env, "TOO_OLD", std::string("the driver lacks ") + name);
}

}  // namespace gpu
