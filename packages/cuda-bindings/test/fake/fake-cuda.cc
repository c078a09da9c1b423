// A libcuda.so.1 for tests: device memory is host memory that other processes can open by its handles, streams run at once, and kernels are the real
// ones, compiled as plain C++. FAKE_CUDA_FAIL="cuMemAlloc_v2=2,…" makes calls fail, FAKE_CUDA_LOG names a file that every call is appended to,
// FAKE_CUDA_DEVICES sets the number of devices.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATOR_ON_CPU
#include "../../native/kernels/kv-kernels.cu"

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

// Memory of cuMemAlloc and cuIpcOpenMemHandle: a mapped memfd each.
struct Block {
  int fd;
  size_t bytes;
};
static std::mutex blocks_mutex;
static std::map<Pointer, Block> blocks;
static Result MapBlock(Pointer* pointer, int fd, size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return 2;
  *pointer = reinterpret_cast<Pointer>(at);
  std::lock_guard<std::mutex> lock(blocks_mutex);
  blocks[*pointer] = {fd, bytes};
  return 0;
}
static Result UnmapBlock(Pointer pointer) {
  std::lock_guard<std::mutex> lock(blocks_mutex);
  const auto found = blocks.find(pointer);
  if (found == blocks.end()) return 1;
  munmap(reinterpret_cast<void*>(pointer), found->second.bytes);
  close(found->second.fd);
  blocks.erase(found);
  return 0;
}
static int MakeMemfd(size_t bytes) {
  const int fd = static_cast<int>(syscall(SYS_memfd_create, "fake-cuda", 1 /* MFD_CLOEXEC */));
  return fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0 ? fd : -1;
}

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
Result cuDeviceGetAttribute(int* value, int attribute, int) { *value = attribute == 75 ? 9 : attribute == 16 ? 132 : attribute == 115 || attribute == 102 || attribute == 103 || attribute == 128; return 0; }
Result cuDeviceGetPCIBusId(char* text, int bytes, int device) { snprintf(text, bytes, "0000:0%d:00.0", device + 1); return 0; }
Result cuDeviceCanAccessPeer(int* can, int a, int b) { *can = a != b; return 0; }
Result cuDevicePrimaryCtxRetain(void** context, int device) { BEGIN("cuDevicePrimaryCtxRetain"); *context = reinterpret_cast<void*>(static_cast<size_t>(device) + 0x100); return 0; }
Result cuDevicePrimaryCtxRelease_v2(int) { return Call("cuDevicePrimaryCtxRelease_v2"); }
Result cuCtxSetCurrent(void*) { return 0; }
Result cuCtxEnablePeerAccess(void*, unsigned) { BEGIN("cuCtxEnablePeerAccess"); return 0; }
Result cuMemGetInfo_v2(size_t* free_bytes, size_t* total) { *free_bytes = 70ull << 30; *total = 80ull << 30; return 0; }
Result cuMemAlloc_v2(Pointer* pointer, size_t bytes) { BEGIN("cuMemAlloc_v2"); const int fd = MakeMemfd(bytes); return fd < 0 ? 2 : MapBlock(pointer, fd, bytes); }
Result cuMemFree_v2(Pointer pointer) { BEGIN("cuMemFree_v2"); return UnmapBlock(pointer); }
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
// A legacy handle: whose memory it is, and where in that process.
struct Ipc { char reserved[64]; };
struct IpcContent { pid_t owner; int fd; size_t bytes; };
Result cuIpcGetMemHandle(char* handle, Pointer pointer) {
  BEGIN("cuIpcGetMemHandle");
  std::lock_guard<std::mutex> lock(blocks_mutex);
  const auto found = blocks.find(pointer);
  if (found == blocks.end()) return 1;
  const IpcContent content{getpid(), found->second.fd, found->second.bytes};
  memset(handle, 0, 64);
  memcpy(handle, &content, sizeof(content));
  return 0;
}
Result cuIpcOpenMemHandle_v2(Pointer* pointer, Ipc handle, unsigned) {
  BEGIN("cuIpcOpenMemHandle_v2");
  IpcContent content;
  memcpy(&content, handle.reserved, sizeof(content));
  if (content.owner == getpid()) return 201;  // as the driver: not in the process that made it
  const std::string path = "/proc/" + std::to_string(content.owner) + "/fd/" + std::to_string(content.fd);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  return fd < 0 ? 1 : MapBlock(pointer, fd, content.bytes);
}
Result cuIpcCloseMemHandle(Pointer pointer) { BEGIN("cuIpcCloseMemHandle"); return UnmapBlock(pointer); }
Result cuModuleLoadData(void** module, const void*) { BEGIN("cuModuleLoadData"); *module = malloc(1); return 0; }
Result cuModuleUnload(void* module) { BEGIN("cuModuleUnload"); free(module); return 0; }
Result cuEventSynchronize(void*) { return Call("cuEventSynchronize"); }
Result cuModuleGetFunction(void** function, void*, const char* name) {
  BEGIN("cuModuleGetFunction");
  static const char* const names[] = {"stator_copy_table", "stator_regroup", "stator_permute", "stator_fp8_to_bf16", "stator_bf16_to_fp8", "stator_checksum"};
  for (size_t i = 0; i < 6; i += 1)
    if (strcmp(name, names[i]) == 0) {
      *function = reinterpret_cast<void*>(i + 1);
      return 0;
    }
  return 500;  // CUDA_ERROR_NOT_FOUND
}
Result cuLaunchKernel(void* function, unsigned grid, unsigned, unsigned, unsigned block, unsigned, unsigned, unsigned, void*, void** args, void**) {
  BEGIN("cuLaunchKernel");
  auto pointer = [&](int i) { return *static_cast<u64*>(args[i]); };
  auto word = [&](int i) { return *static_cast<u32*>(args[i]); };
  gridDim.x = grid;
  blockDim.x = block;
  for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x += 1)
    for (threadIdx.x = 0; threadIdx.x < block; threadIdx.x += 1) switch (reinterpret_cast<size_t>(function)) {
        case 1: stator_copy_table((const u64*)pointer(0), (const u64*)pointer(1), pointer(2), word(3)); break;
        case 2: stator_regroup((u8*)pointer(0), (const u8*)pointer(1), (const u64*)pointer(2), (const u64*)pointer(3), word(4)); break;
        case 3: stator_permute((u8*)pointer(0), (const u8*)pointer(1), (const u64*)pointer(2)); break;
        case 4: stator_fp8_to_bf16((u16*)pointer(0), (const u8*)pointer(1), (const float*)pointer(2), pointer(3), pointer(4)); break;
        case 5: stator_bf16_to_fp8((u8*)pointer(0), (const u16*)pointer(1), (const float*)pointer(2), pointer(3), pointer(4)); break;
        case 6: stator_checksum((u32*)pointer(0), (const u64*)pointer(1), pointer(2), word(3)); break;
      }
  return 0;
}

Result cuMemAllocAsync(Pointer* pointer, size_t bytes, void*) { BEGIN("cuMemAllocAsync"); *pointer = reinterpret_cast<Pointer>(malloc(bytes)); return 0; }
Result cuMemFreeAsync(Pointer pointer, void*) { BEGIN("cuMemFreeAsync"); free(reinterpret_cast<void*>(pointer)); return 0; }

// Mapped memory: a backing is a memfd, so that a descriptor of it really shares it.
Result cuMemGetAllocationGranularity(size_t* bytes, const void*, int) { BEGIN("cuMemGetAllocationGranularity"); *bytes = 2 << 20; return 0; }
Result cuMemCreate(unsigned long long* backing, size_t bytes, const void*, unsigned long long) {
  BEGIN("cuMemCreate");
  const int fd = MakeMemfd(bytes);
  if (fd < 0) return 2;
  *backing = static_cast<unsigned long long>(fd);
  return 0;
}
Result cuMemRelease(unsigned long long backing) { BEGIN("cuMemRelease"); close(static_cast<int>(backing)); return 0; }
Result cuMemAddressReserve(Pointer* pointer, size_t bytes, size_t, Pointer, unsigned long long) {
  BEGIN("cuMemAddressReserve");
  *pointer = reinterpret_cast<Pointer>(mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  return 0;
}
Result cuMemAddressFree(Pointer pointer, size_t bytes) { BEGIN("cuMemAddressFree"); munmap(reinterpret_cast<void*>(pointer), bytes); return 0; }
Result cuMemMap(Pointer pointer, size_t bytes, size_t, unsigned long long backing, unsigned long long) {
  BEGIN("cuMemMap");
  return mmap(reinterpret_cast<void*>(pointer), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, static_cast<int>(backing), 0) == MAP_FAILED ? 1 : 0;
}
Result cuMemUnmap(Pointer pointer, size_t bytes) {
  BEGIN("cuMemUnmap");
  mmap(reinterpret_cast<void*>(pointer), bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  return 0;
}
Result cuMemSetAccess(Pointer, size_t, const void*, size_t) { return Call("cuMemSetAccess"); }
Result cuMemExportToShareableHandle(void* handle, unsigned long long backing, int kind, unsigned long long) {
  BEGIN("cuMemExportToShareableHandle");
  const int fd = dup(static_cast<int>(backing));
  if (kind == 1) *static_cast<int*>(handle) = fd;
  else {
    // A fabric handle of this process: its number stays valid as long as the process lives.
    memset(handle, 0, 64);
    memcpy(handle, &fd, sizeof(fd));
  }
  return 0;
}
Result cuMemImportFromShareableHandle(unsigned long long* backing, void* handle, int kind) {
  BEGIN("cuMemImportFromShareableHandle");
  int fd = 0;
  if (kind == 1) fd = static_cast<int>(reinterpret_cast<long>(handle));
  else memcpy(&fd, handle, sizeof(fd));
  *backing = static_cast<unsigned long long>(dup(fd));
  return 0;
}
}
