#include "driver.h"

namespace gpu {

std::shared_ptr<Driver> LoadDriver(Napi::Env env, const std::string& path) {
  const Library library(env, path);
  auto driver = std::make_shared<Driver>();
  std::string missing;
  auto later = [&](auto& slot, const char* name) { slot = library.Find<std::remove_reference_t<decltype(slot)>>(name); };
  auto find = [&](auto& slot, const char* name) {
    later(slot, name);
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
  find(driver->EventCreate, "cuEventCreate");
  find(driver->EventDestroy, "cuEventDestroy_v2");
  find(driver->EventRecord, "cuEventRecord");
  find(driver->EventQuery, "cuEventQuery");
  find(driver->EventSynchronize, "cuEventSynchronize");
  find(driver->EventElapsedTime, "cuEventElapsedTime");
  find(driver->IpcGetMemHandle, "cuIpcGetMemHandle");
  find(driver->IpcOpenMemHandle, "cuIpcOpenMemHandle_v2");
  find(driver->IpcCloseMemHandle, "cuIpcCloseMemHandle");
  find(driver->ModuleLoadData, "cuModuleLoadData");
  find(driver->ModuleUnload, "cuModuleUnload");
  find(driver->ModuleGetFunction, "cuModuleGetFunction");
  find(driver->LaunchKernel, "cuLaunchKernel");
  later(driver->MemAllocAsync, "cuMemAllocAsync");
  later(driver->MemFreeAsync, "cuMemFreeAsync");
  later(driver->MemGetAllocationGranularity, "cuMemGetAllocationGranularity");
  later(driver->MemCreate, "cuMemCreate");
  later(driver->MemRelease, "cuMemRelease");
  later(driver->MemAddressReserve, "cuMemAddressReserve");
  later(driver->MemAddressFree, "cuMemAddressFree");
  later(driver->MemMap, "cuMemMap");
  later(driver->MemUnmap, "cuMemUnmap");
  later(driver->MemSetAccess, "cuMemSetAccess");
  later(driver->MemExportToShareableHandle, "cuMemExportToShareableHandle");
  later(driver->MemImportFromShareableHandle, "cuMemImportFromShareableHandle");
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

}  // namespace gpu
