// NVML as far as serving needs it. Prototypes are declared here from NVIDIA's public documentation.
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>

#include "library.h"

namespace gpu {
namespace {

using Result = int;
using Device = void*;
constexpr Result kTimeout = 10;
constexpr Result kNotSupported = 3;

struct Utilization {
  unsigned gpu, memory;
};
struct Memory {
  unsigned long long total, free, used;
};
struct FieldValue {
  unsigned field, scope;
  long long timestamp, latency;
  unsigned type;
  Result result;
  union {
    double d;
    unsigned ui;
    unsigned long ul;
    unsigned long long ull;
    long long sll;
  } value;
};
struct EventData {
  Device device;
  unsigned long long type, data;
  unsigned gpu_instance, compute_instance;
};

struct PciInfo {
  char bus_id_legacy[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
struct Api {
  Result (*Init)();
  Result (*Shutdown)();
  const char* (*ErrorString)(Result);
  Result (*DriverVersion)(char*, unsigned);
  Result (*Count)(unsigned*);
  Result (*ByIndex)(unsigned, Device*);
  Result (*Name)(Device, char*, unsigned);
  Result (*Uuid)(Device, char*, unsigned);
  Result (*UtilizationRates)(Device, Utilization*);
  Result (*PowerUsage)(Device, unsigned*);
  Result (*PowerLimit)(Device, unsigned*);
  Result (*Energy)(Device, unsigned long long*);
  Result (*MemoryInfo)(Device, Memory*);
  Result (*Temperature)(Device, unsigned, unsigned*);
  Result (*Clock)(Device, unsigned, unsigned*);
  Result (*PcieThroughput)(Device, unsigned, unsigned*);
  Result (*NvLinkState)(Device, unsigned, unsigned*);
  Result (*NvLinkRemote)(Device, unsigned, PciInfo*);
  Result (*FieldValues)(Device, int, FieldValue*);
  Result (*EventSetCreate)(void**);
  Result (*RegisterEvents)(Device, unsigned long long, void*);
  Result (*EventSetWait)(void*, EventData*, unsigned);
  Result (*EventSetFree)(void*);
  ~Api() {
    if (is_up) Shutdown();
  }
  bool is_up = false;
};

void Check(Napi::Env env, const Api& api, Result result, const char* call) {
  if (result == 0) return;
  const char* text = api.ErrorString(result);
  Throw(env, "NVML", std::string(call) + ": " + (text == nullptr ? "unknown error" : text), result);
}

class Nvml : public Napi::ObjectWrap<Nvml> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Nvml",
                       {InstanceMethod("driverVersion", &Nvml::DriverVersion), InstanceMethod("count", &Nvml::Count), InstanceMethod("identity", &Nvml::Identity), InstanceMethod("read", &Nvml::Read),
                        InstanceMethod("nvlink", &Nvml::NvLink), InstanceMethod("watchXid", &Nvml::WatchXid), InstanceMethod("close", &Nvml::Close)});
  }

  explicit Nvml(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Nvml>(info), api_(std::make_shared<Api>()) {
    const Library library(info.Env(), info[0].As<Napi::String>());
    std::string missing;
    auto find = [&](auto& slot, const char* name, bool is_needed) {
      slot = library.Find<std::remove_reference_t<decltype(slot)>>(name);
      if (slot == nullptr && is_needed) missing += std::string(missing.empty() ? "" : ", ") + name;
    };
    find(api_->Init, "nvmlInit_v2", true);
    find(api_->Shutdown, "nvmlShutdown", true);
    find(api_->ErrorString, "nvmlErrorString", true);
    find(api_->DriverVersion, "nvmlSystemGetDriverVersion", true);
    find(api_->Count, "nvmlDeviceGetCount_v2", true);
    find(api_->ByIndex, "nvmlDeviceGetHandleByIndex_v2", true);
    find(api_->Name, "nvmlDeviceGetName", true);
    find(api_->Uuid, "nvmlDeviceGetUUID", true);
    find(api_->UtilizationRates, "nvmlDeviceGetUtilizationRates", true);
    find(api_->PowerUsage, "nvmlDeviceGetPowerUsage", true);
    find(api_->PowerLimit, "nvmlDeviceGetEnforcedPowerLimit", false);
    find(api_->Energy, "nvmlDeviceGetTotalEnergyConsumption", false);
    find(api_->MemoryInfo, "nvmlDeviceGetMemoryInfo", true);
    find(api_->Temperature, "nvmlDeviceGetTemperature", true);
    find(api_->Clock, "nvmlDeviceGetClockInfo", false);
    find(api_->PcieThroughput, "nvmlDeviceGetPcieThroughput", false);
    find(api_->NvLinkState, "nvmlDeviceGetNvLinkState", false);
    find(api_->NvLinkRemote, "nvmlDeviceGetNvLinkRemotePciInfo_v2", false);
    find(api_->FieldValues, "nvmlDeviceGetFieldValues", false);
    find(api_->EventSetCreate, "nvmlEventSetCreate", false);
    find(api_->RegisterEvents, "nvmlDeviceRegisterEvents", false);
    find(api_->EventSetWait, "nvmlEventSetWait_v2", false);
    find(api_->EventSetFree, "nvmlEventSetFree", false);
    if (!missing.empty()) Throw(info.Env(), "TOO_OLD", "NVML lacks " + missing);
    Check(info.Env(), *api_, api_->Init(), "nvmlInit");
    api_->is_up = true;
  }

  ~Nvml() override { Stop(); }

 private:
  Api& Up(Napi::Env env) {
    if (api_ == nullptr) Throw(env, "CLOSED", "NVML was closed");
    return *api_;
  }
  Device At(const Napi::CallbackInfo& info) {
    Device device = nullptr;
    Api& api = Up(info.Env());
    Check(info.Env(), api, api.ByIndex(info[0].As<Napi::Number>().Uint32Value(), &device), "nvmlDeviceGetHandleByIndex");
    return device;
  }
  Napi::Value DriverVersion(const Napi::CallbackInfo& info) {
    char text[96] = {};
    Api& api = Up(info.Env());
    Check(info.Env(), api, api.DriverVersion(text, sizeof(text)), "nvmlSystemGetDriverVersion");
    return Napi::String::New(info.Env(), text);
  }
  Napi::Value Count(const Napi::CallbackInfo& info) {
    unsigned count = 0;
    Api& api = Up(info.Env());
    Check(info.Env(), api, api.Count(&count), "nvmlDeviceGetCount");
    return Napi::Number::New(info.Env(), count);
  }
  Napi::Value Identity(const Napi::CallbackInfo& info) {
    Device device = At(info);
    char name[96] = {};
    char uuid[96] = {};
    Check(info.Env(), *api_, api_->Name(device, name, sizeof(name)), "nvmlDeviceGetName");
    Check(info.Env(), *api_, api_->Uuid(device, uuid, sizeof(uuid)), "nvmlDeviceGetUUID");
    auto result = Napi::Object::New(info.Env());
    result.Set("name", name);
    result.Set("uuid", uuid);
    return result;
  }

  // read(index, figure): a number, an object of numbers, or undefined where this device has no such figure.
  Napi::Value Read(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Device device = At(info);
    const std::string figure = info[1].As<Napi::String>();
    unsigned number = 0;
    Result result = kNotSupported;
    if (figure == "utilization") {
      Utilization rates{};
      result = api_->UtilizationRates(device, &rates);
      if (result == 0) {
        auto pair = Napi::Object::New(env);
        pair.Set("gpu", rates.gpu);
        pair.Set("memory", rates.memory);
        return pair;
      }
    } else if (figure == "memory") {
      Memory memory{};
      result = api_->MemoryInfo(device, &memory);
      if (result == 0) {
        auto pair = Napi::Object::New(env);
        pair.Set("usedBytes", static_cast<double>(memory.used));
        pair.Set("totalBytes", static_cast<double>(memory.total));
        return pair;
      }
    } else if (figure == "energy") {
      unsigned long long millijoules = 0;
      if (api_->Energy != nullptr) result = api_->Energy(device, &millijoules);
      if (result == 0) return Napi::Number::New(env, static_cast<double>(millijoules));
    } else if (figure == "pcie") {
      unsigned received = 0;
      if (api_->PcieThroughput != nullptr) result = api_->PcieThroughput(device, 0, &number);
      if (result == 0) result = api_->PcieThroughput(device, 1, &received);
      if (result == 0) {
        auto pair = Napi::Object::New(env);
        pair.Set("transmit", number);
        pair.Set("receive", received);
        return pair;
      }
    } else {
      if (figure == "power") result = api_->PowerUsage(device, &number);
      else if (figure == "powerLimit" && api_->PowerLimit != nullptr) result = api_->PowerLimit(device, &number);
      else if (figure == "temperature") result = api_->Temperature(device, 0, &number);
      else if (figure == "smClock" && api_->Clock != nullptr) result = api_->Clock(device, 1, &number);
      if (result == 0) return Napi::Number::New(env, number);
    }
    if (result == kNotSupported) return env.Undefined();
    Check(env, *api_, result, figure.c_str());
    return env.Undefined();
  }

  // nvlink(index): for each of up to 18 links { link, isActive, transmitKib?, receiveKib? }; cumulative data counters.
  Napi::Value NvLink(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Device device = At(info);
    auto list = Napi::Array::New(env);
    if (api_->NvLinkState == nullptr) return list;
    uint32_t found = 0;
    for (unsigned link = 0; link < 18; link += 1) {
      unsigned active = 0;
      if (api_->NvLinkState(device, link, &active) != 0) continue;
      auto entry = Napi::Object::New(env);
      entry.Set("link", link);
      entry.Set("isActive", active == 1);
      if (active == 1 && api_->FieldValues != nullptr) {
        // NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX 138, _RX 139, KiB, scope = link
        FieldValue fields[2] = {};
        fields[0].field = 138;
        fields[1].field = 139;
        fields[0].scope = fields[1].scope = link;
        if (api_->FieldValues(device, 2, fields) == 0 && fields[0].result == 0 && fields[1].result == 0) {
          entry.Set("transmitKib", static_cast<double>(fields[0].value.ull));
          entry.Set("receiveKib", static_cast<double>(fields[1].value.ull));
        }
      }
      if (active != 0 && api_->NvLinkRemote != nullptr) {
        PciInfo remote{};
        if (api_->NvLinkRemote(device, link, &remote) == 0) entry.Set("remotePciBusId", remote.bus_id);
      }
      list.Set(found, entry);
      found += 1;
    }
    return list;
  }

  // watchXid(listener(index, xid)): a thread waits for critical XID events until close.
  Napi::Value WatchXid(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Api& api = Up(env);
    if (api.EventSetCreate == nullptr || api.RegisterEvents == nullptr || api.EventSetWait == nullptr || api.EventSetFree == nullptr) return Napi::Boolean::New(env, false);
    if (watcher_.joinable()) Throw(env, "BUSY", "XID events are watched already");
    unsigned count = 0;
    Check(env, api, api.Count(&count), "nvmlDeviceGetCount");
    void* set = nullptr;
    Check(env, api, api.EventSetCreate(&set), "nvmlEventSetCreate");
    std::vector<Device> devices(count);
    bool is_any = false;
    for (unsigned i = 0; i < count; i += 1) {
      api.ByIndex(i, &devices[i]);
      is_any |= api.RegisterEvents(devices[i], 0x8 /* critical XID */, set) == 0;
    }
    if (!is_any) {
      api.EventSetFree(set);
      return Napi::Boolean::New(env, false);
    }
    auto listener = Napi::ThreadSafeFunction::New(env, info[0].As<Napi::Function>(), "stator xid", 64, 1);
    listener.Unref(env);
    is_watching_ = true;
    watcher_ = std::thread([this, api = api_, set, devices, listener]() mutable {
      while (is_watching_) {
        EventData event{};
        const Result result = api->EventSetWait(set, &event, 200);
        if (result == kTimeout) continue;
        if (result != 0) break;
        uint32_t index = 0;
        while (index < devices.size() && devices[index] != event.device) index += 1;
        const double xid = static_cast<double>(event.data);
        if (listener.NonBlockingCall([index, xid](Napi::Env callEnv, Napi::Function callback) { callback.Call({Napi::Number::New(callEnv, index), Napi::Number::New(callEnv, xid)}); }) == napi_closing) break;
      }
      api->EventSetFree(set);
      listener.Release();
    });
    return Napi::Boolean::New(env, true);
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    Stop();
    return info.Env().Undefined();
  }

  void Stop() {
    is_watching_ = false;
    if (watcher_.joinable()) watcher_.join();
    api_.reset();
  }

  std::shared_ptr<Api> api_;
  std::thread watcher_;
  std::atomic<bool> is_watching_{false};
};

}  // namespace

void InitNvml(Napi::Env env, Napi::Object exports) { exports.Set("Nvml", Nvml::Define(env)); }

}  // namespace gpu
