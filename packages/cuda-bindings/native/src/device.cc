// Devices and their contexts.
#include "handle.h"

namespace gpu {
namespace {

class Cuda : public Napi::ObjectWrap<Cuda> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Cuda",
                       {InstanceMethod("driverVersion", &Cuda::DriverVersion), InstanceMethod("devices", &Cuda::Devices), InstanceMethod("canAccessPeer", &Cuda::CanAccessPeer),
                        InstanceMethod("retain", &Cuda::Retain)});
  }
  explicit Cuda(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Cuda>(info) {
    driver_ = LoadDriver(info.Env(), info[0].As<Napi::String>());
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
      int major = 0, minor = 0, processors = 0, pools = 0, mapping = 0, fds = 0, fabric = 0;
      Check(env, *driver_, driver_->DeviceGet(&device, i), "cuDeviceGet");
      Check(env, *driver_, driver_->DeviceGetName(name, sizeof(name), device), "cuDeviceGetName");
      Check(env, *driver_, driver_->DeviceGetUuid(uuid, device), "cuDeviceGetUuid");
      Check(env, *driver_, driver_->DeviceTotalMem(&bytes, device), "cuDeviceTotalMem");
      Check(env, *driver_, driver_->DeviceGetPCIBusId(bus, sizeof(bus), device), "cuDeviceGetPCIBusId");
      // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR 75, _MINOR 76, MULTIPROCESSOR_COUNT 16
      Check(env, *driver_, driver_->DeviceGetAttribute(&major, 75, device), "cuDeviceGetAttribute");
      Check(env, *driver_, driver_->DeviceGetAttribute(&minor, 76, device), "cuDeviceGetAttribute");
      Check(env, *driver_, driver_->DeviceGetAttribute(&processors, 16, device), "cuDeviceGetAttribute");
      // MEMORY_POOLS_SUPPORTED 115, VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED 102, HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED 103, HANDLE_TYPE_FABRIC_SUPPORTED 128:
      // drivers that do not know an attribute do not have what it is about.
      driver_->DeviceGetAttribute(&pools, 115, device);
      driver_->DeviceGetAttribute(&mapping, 102, device);
      driver_->DeviceGetAttribute(&fds, 103, device);
      driver_->DeviceGetAttribute(&fabric, 128, device);
      auto entry = Napi::Object::New(env);
      entry.Set("index", i);
      entry.Set("name", name);
      entry.Set("pciBusId", bus);
      entry.Set("uuid", Napi::Buffer<unsigned char>::Copy(env, uuid, sizeof(uuid)));
      entry.Set("totalBytes", static_cast<double>(bytes));
      entry.Set("major", major);
      entry.Set("minor", minor);
      entry.Set("multiprocessors", processors);
      entry.Set("hasPools", pools != 0 && driver_->MemAllocAsync != nullptr);
      entry.Set("hasFdHandles", mapping != 0 && fds != 0 && driver_->MemCreate != nullptr);
      entry.Set("hasFabricHandles", mapping != 0 && fabric != 0 && driver_->MemCreate != nullptr);
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

}  // namespace

void DefineDevices(Napi::Env env, Napi::Object exports) { exports.Set("Cuda", Cuda::Define(env)); }

}  // namespace gpu
