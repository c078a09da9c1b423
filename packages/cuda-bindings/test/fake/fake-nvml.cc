// A libnvidia-ml.so.1 for tests: one H100-like device and one that supports little. FAKE_NVML_FAIL works as in fake-cuda.cc; FAKE_NVML_XID is reported once.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

using Result = int;
using Device = void*;
static Result Call(const char* name) {
  const char* fail = getenv("FAKE_NVML_FAIL");
  if (fail == nullptr) return 0;
  const std::string wanted = std::string(name) + "=";
  const char* found = strstr(fail, wanted.c_str());
  return found == nullptr ? 0 : atoi(found + wanted.size());
}
static size_t IndexOf(Device device) { return reinterpret_cast<size_t>(device) - 1; }
static Result Poor(Device device) { return IndexOf(device) == 1 ? 3 : 0; }

struct Utilization { unsigned gpu, memory; };
struct Memory { unsigned long long total, free, used; };
struct FieldValue { unsigned field, scope; long long timestamp, latency; unsigned type; Result result; union { double d; unsigned long long ull; } value; };
struct EventData { Device device; unsigned long long type, data; unsigned gi, ci; };

extern "C" {
Result nvmlInit_v2() { return Call("nvmlInit_v2"); }
Result nvmlShutdown() { return Call("nvmlShutdown"); }
const char* nvmlErrorString(Result) { return "a failure that the test asked for"; }
Result nvmlSystemGetDriverVersion(char* text, unsigned bytes) { snprintf(text, bytes, "550.54.15"); return 0; }
Result nvmlDeviceGetCount_v2(unsigned* count) { *count = 2; return Call("nvmlDeviceGetCount_v2"); }
Result nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) { *device = reinterpret_cast<Device>(static_cast<size_t>(index) + 1); return Call("nvmlDeviceGetHandleByIndex_v2"); }
Result nvmlDeviceGetName(Device device, char* text, unsigned bytes) { snprintf(text, bytes, "Fake GPU %zu", IndexOf(device)); return 0; }
Result nvmlDeviceGetUUID(Device device, char* text, unsigned bytes) { snprintf(text, bytes, "GPU-fake-%zu", IndexOf(device)); return 0; }
Result nvmlDeviceGetUtilizationRates(Device, Utilization* rates) { *rates = {87, 41}; return Call("nvmlDeviceGetUtilizationRates"); }
Result nvmlDeviceGetPowerUsage(Device, unsigned* milliwatts) { *milliwatts = 612345; return Call("nvmlDeviceGetPowerUsage"); }
Result nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned* milliwatts) { *milliwatts = 700000; return Poor(device); }
Result nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long* millijoules) { *millijoules = 9876543210ull; return Poor(device); }
Result nvmlDeviceGetMemoryInfo(Device, Memory* memory) { *memory = {80ull << 30, 30ull << 30, 50ull << 30}; return 0; }
Result nvmlDeviceGetTemperature(Device, unsigned, unsigned* celsius) { *celsius = 61; return 0; }
Result nvmlDeviceGetClockInfo(Device, unsigned type, unsigned* megahertz) { *megahertz = type == 1 ? 1980 : 0; return 0; }
Result nvmlDeviceGetPcieThroughput(Device device, unsigned counter, unsigned* kilobytes) { *kilobytes = counter == 0 ? 1000 : 2000; return Poor(device); }
Result nvmlDeviceGetNvLinkRemotePciInfo_v2(Device, unsigned link, char* info) { memset(info, 0, 68); snprintf(info + 36, 32, "00000000:0%u:00.0", link + 3); return 0; }
Result nvmlDeviceGetNvLinkState(Device device, unsigned link, unsigned* active) { *active = link == 0; return link < 2 ? Poor(device) : 2; }
Result nvmlDeviceGetFieldValues(Device, int count, FieldValue* fields) { for (int i = 0; i < count; i += 1) { fields[i].result = 0; fields[i].value.ull = fields[i].field * 1000ull; } return 0; }
Result nvmlEventSetCreate(void** set) { *set = malloc(1); return 0; }
Result nvmlDeviceRegisterEvents(Device device, unsigned long long, void*) { return Poor(device); }
Result nvmlEventSetWait_v2(void*, EventData* event, unsigned) {
  static bool is_told = false;
  const char* xid = getenv("FAKE_NVML_XID");
  if (xid != nullptr && !is_told) {
    is_told = true;
    *event = {reinterpret_cast<Device>(1), 8, static_cast<unsigned long long>(atoi(xid)), 0, 0};
    return 0;
  }
  usleep(5000);
  return 10;
}
Result nvmlEventSetFree(void* set) { free(set); return 0; }
}
