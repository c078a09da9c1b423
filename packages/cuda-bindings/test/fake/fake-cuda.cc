// A libcuda.so.1 for tests: device memory is host memory, streams run at once. FAKE_CUDA_FAIL="cuMemAlloc_v2=2,…" makes calls fail, FAKE_CUDA_LOG names a
// file that every call is appended to, FAKE_CUDA_DEVICES sets the number of devices.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

using Result = int;
using Pointer = unsigned long long;

static Result Call(const char* name) {
  if (const char* log = getenv("FAKE_CUDA_LOG"); log != nullptr && *log != 0) {
    if (FILE* file = fopen(log, "a")) {
      fprintf(file, "%s\n", name);
      fclose(file);
    }
  }
  const char* fail = getenv("FAKE_CUDA_FAIL");
  if (fail == nullptr) return 0;
  const std::string wanted = std::string(name) + "=";
  const char* found = strstr(fail, wanted.c_str());
  return found == nullptr ? 0 : atoi(found + wanted.size());
}
#define BEGIN(name) \
  if (const Result failed = Call(name)) return failed

extern "C" {
Result cuInit(unsigned) { BEGIN("cuInit"); return 0; }
Result cuDriverGetVersion(int* version) { BEGIN("cuDriverGetVersion"); *version = 12040; return 0; }
Result cuGetErrorName(Result result, const char** name) { *name = result == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : result == 100 ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_UNKNOWN"; return 0; }
Result cuGetErrorString(Result, const char** text) { *text = "a failure that the test asked for"; return 0; }
Result cuDeviceGetCount(int* count) { BEGIN("cuDeviceGetCount"); const char* set = getenv("FAKE_CUDA_DEVICES"); *count = set == nullptr ? 2 : atoi(set); return 0; }
Result cuDeviceGet(int* device, int index) { BEGIN("cuDeviceGet"); *device = index; return 0; }
Result cuDeviceGetName(char* name, int bytes, int device) { snprintf(name, bytes, "Fake GPU %d", device); return 0; }
Result cuDeviceGetUuid(unsigned char* uuid, int device) { memset(uuid, device + 1, 16); return 0; }
Result cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = 80ull << 30; return 0; }
Result cuDeviceGetAttribute(int* value, int attribute, int) { *value = attribute == 75 ? 9 : attribute == 16 ? 132 : 0; return 0; }
Result cuDeviceGetPCIBusId(char* text, int bytes, int device) { snprintf(text, bytes, "0000:0%d:00.0", device + 1); return 0; }
Result cuDeviceCanAccessPeer(int* can, int a, int b) { *can = a != b; return 0; }
Result cuDevicePrimaryCtxRetain(void** context, int device) { BEGIN("cuDevicePrimaryCtxRetain"); *context = reinterpret_cast<void*>(static_cast<size_t>(device) + 0x100); return 0; }
Result cuDevicePrimaryCtxRelease_v2(int) { return Call("cuDevicePrimaryCtxRelease_v2"); }
Result cuCtxSetCurrent(void*) { return 0; }
Result cuCtxEnablePeerAccess(void*, unsigned) { BEGIN("cuCtxEnablePeerAccess"); return 0; }
Result cuMemGetInfo_v2(size_t* free_bytes, size_t* total) { *free_bytes = 70ull << 30; *total = 80ull << 30; return 0; }
Result cuMemAlloc_v2(Pointer* pointer, size_t bytes) { BEGIN("cuMemAlloc_v2"); *pointer = reinterpret_cast<Pointer>(malloc(bytes)); return 0; }
Result cuMemFree_v2(Pointer pointer) { BEGIN("cuMemFree_v2"); free(reinterpret_cast<void*>(pointer)); return 0; }
Result cuMemHostAlloc(void** pointer, size_t bytes, unsigned) { BEGIN("cuMemHostAlloc"); *pointer = malloc(bytes); return 0; }
Result cuMemFreeHost(void* pointer) { BEGIN("cuMemFreeHost"); free(pointer); return 0; }
Result cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void*) { BEGIN("cuMemsetD8Async"); memset(reinterpret_cast<void*>(to), value, bytes); return 0; }
Result cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t bytes, void*) { BEGIN("cuMemcpyHtoDAsync_v2"); memcpy(reinterpret_cast<void*>(to), from, bytes); return 0; }
Result cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t bytes, void*) { BEGIN("cuMemcpyDtoHAsync_v2"); memcpy(to, reinterpret_cast<void*>(from), bytes); return 0; }
Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void*) { BEGIN("cuMemcpyDtoDAsync_v2"); memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes); return 0; }
Result cuMemcpyPeerAsync(Pointer to, void*, Pointer from, void*, size_t bytes, void*) { BEGIN("cuMemcpyPeerAsync"); memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes); return 0; }
Result cuStreamCreate(void** stream, unsigned) { BEGIN("cuStreamCreate"); *stream = malloc(1); return 0; }
Result cuStreamDestroy_v2(void* stream) { BEGIN("cuStreamDestroy_v2"); free(stream); return 0; }
Result cuStreamQuery(void*) { return Call("cuStreamQuery"); }
Result cuStreamSynchronize(void*) { return Call("cuStreamSynchronize"); }
Result cuStreamWaitEvent(void*, void*, unsigned) { return Call("cuStreamWaitEvent"); }
Result cuLaunchHostFunc(void*, void (*function)(void*), void* data) { BEGIN("cuLaunchHostFunc"); function(data); return 0; }
Result cuEventCreate(void** event, unsigned) { BEGIN("cuEventCreate"); *event = malloc(1); return 0; }
Result cuEventDestroy_v2(void* event) { BEGIN("cuEventDestroy_v2"); free(event); return 0; }
Result cuEventRecord(void*, void*) { return Call("cuEventRecord"); }
Result cuEventQuery(void*) { return Call("cuEventQuery"); }
Result cuEventElapsedTime(float* ms, void*, void*) { BEGIN("cuEventElapsedTime"); *ms = 1.5f; return 0; }
Result cuIpcGetMemHandle(char* handle, Pointer pointer) { BEGIN("cuIpcGetMemHandle"); memset(handle, 0, 64); memcpy(handle, &pointer, sizeof(pointer)); return 0; }
struct Ipc { char reserved[64]; };
Result cuIpcOpenMemHandle_v2(Pointer* pointer, Ipc handle, unsigned) { BEGIN("cuIpcOpenMemHandle_v2"); memcpy(pointer, handle.reserved, sizeof(*pointer)); return 0; }
Result cuIpcCloseMemHandle(Pointer) { return Call("cuIpcCloseMemHandle"); }
Result cuModuleLoadData(void** module, const void*) { BEGIN("cuModuleLoadData"); *module = malloc(1); return 0; }
Result cuModuleUnload(void* module) { BEGIN("cuModuleUnload"); free(module); return 0; }
Result cuModuleGetFunction(void** function, void*, const char*) { BEGIN("cuModuleGetFunction"); *function = reinterpret_cast<void*>(1); return 0; }
Result cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**) { return Call("cuLaunchKernel"); }
}
