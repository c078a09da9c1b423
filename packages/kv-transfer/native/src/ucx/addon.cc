// UCX as JS sees it.
#include "../runs.h"

#include "engine.h"

namespace transfer {
namespace ucx {

std::vector<std::string> ReadKeys(const Napi::Array& array) {
  std::vector<std::string> keys;
  for (uint32_t i = 0; i < array.Length(); i += 1) {
    auto key = array.Get(i).As<Napi::Uint8Array>();
    keys.emplace_back(reinterpret_cast<const char*>(key.Data()), key.ByteLength());
  }
  return keys;
}

std::vector<Range> ReadWords(const Napi::Array& array) {
  std::vector<Range> words;
  for (uint32_t i = 0; i < array.Length(); i += 1) {
    auto view = array.Get(i).As<Napi::BigUint64Array>();
    words.push_back({reinterpret_cast<uintptr_t>(view.Data()), view.ByteLength()});
  }
  return words;
}

struct EndpointHandle {
  std::shared_ptr<Engine> engine;
  std::shared_ptr<Endpoint> endpoint;
};

class Ucx : public Napi::ObjectWrap<Ucx> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Ucx",
                       {InstanceMethod("version", &Ucx::Version), InstanceMethod("address", &Ucx::Address), InstanceMethod("register", &Ucx::Register), InstanceMethod("unregister", &Ucx::Unregister),
                        InstanceMethod("connect", &Ucx::Connect), InstanceMethod("transfer", &Ucx::Transfer), InstanceMethod("stop", &Ucx::Stop), InstanceMethod("disconnect", &Ucx::Disconnect), InstanceMethod("close", &Ucx::Close)});
  }

  // new Ucx(library, onEnd(kind, job, status, message))
  explicit Ucx(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Ucx>(info) {
    Api api{};
    if (const std::string reason = LoadApi(info[0].As<Napi::String>(), api); !reason.empty()) Throw(info.Env(), "ABSENT", reason);
    auto call = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "stator ucx", 0, 1);
    call.Unref(info.Env());
    engine_ = std::make_shared<Engine>(api, std::make_shared<Outbox>(std::move(call)));
    if (const std::string reason = engine_->Start(); !reason.empty()) Throw(info.Env(), "UCX", reason);
  }

 private:
  Engine& Up(Napi::Env env) {
    if (engine_ == nullptr) Throw(env, "CLOSED", "UCX was closed");
    return *engine_;
  }
  Napi::Value Version(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), Up(info.Env()).api().ucp_get_version_string()); }
  Napi::Value Address(const Napi::CallbackInfo& info) {
    const std::string& address = Up(info.Env()).address();
    return Napi::Buffer<char>::Copy(info.Env(), address.data(), address.size());
  }

  // register(view) -> { id, address, key }
  Napi::Value Register(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Engine& engine = Up(env);
    auto view = info[0].As<Napi::Uint8Array>();
    void* address = view.Data();
    const size_t bytes = view.ByteLength();
    struct Result {
      ucs_status_t status = UCS_OK;
      ucp_mem_h memory = nullptr;
      std::string key;
    };
    const Result result = engine.Call<Result>([&]() {
      Result made;
      ucp_mem_map_params_t params{};
      params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
      params.address = address;
      params.length = bytes;
      made.status = engine.api().ucp_mem_map(engine.context(), &params, &made.memory);
      if (made.status != UCS_OK) return made;
      void* packed = nullptr;
      size_t length = 0;
      made.status = engine.api().ucp_rkey_pack(engine.context(), made.memory, &packed, &length);
      if (made.status != UCS_OK) {
        engine.api().ucp_mem_unmap(engine.context(), made.memory);
        return made;
      }
      made.key.assign(static_cast<const char*>(packed), length);
      engine.api().ucp_rkey_buffer_release(packed);
      return made;
    });
    if (result.status != UCS_OK) Throw(env, "UCX", std::string("ucp_mem_map: ") + engine.api().ucs_status_string(result.status));
    const uint32_t id = next_memory_++;
    memories_[id] = result.memory;
    auto object = Napi::Object::New(env);
    object.Set("id", id);
    object.Set("address", Napi::BigInt::New(env, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(address))));
    object.Set("key", Napi::Buffer<char>::Copy(env, result.key.data(), result.key.size()));
    return object;
  }

  Napi::Value Unregister(const Napi::CallbackInfo& info) {
    const auto found = memories_.find(info[0].As<Napi::Number>().Uint32Value());
    if (found == memories_.end() || engine_ == nullptr) return info.Env().Undefined();
    Engine& engine = *engine_;
    const ucp_mem_h memory = found->second;
    memories_.erase(found);
    engine.Call<int>([&]() {
      engine.api().ucp_mem_unmap(engine.context(), memory);
      return 0;
    });
    return info.Env().Undefined();
  }

  Napi::Value Connect(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Engine& engine = Up(env);
    auto address = info[0].As<Napi::Uint8Array>();
    const std::string bytes(reinterpret_cast<const char*>(address.Data()), address.ByteLength());
    auto endpoint = std::make_shared<Endpoint>();
    const ucs_status_t status = engine.Call<ucs_status_t>([&]() {
      ucp_ep_params_t params{};
      params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
      params.address = reinterpret_cast<const ucp_address_t*>(bytes.data());
      params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
      params.err_handler.cb = [](void* argument, ucp_ep_h, ucs_status_t failure) { static_cast<Endpoint*>(argument)->failure = failure; };
      params.err_handler.arg = endpoint.get();
      return engine.api().ucp_ep_create(engine.worker(), &params, &endpoint->handle);
    });
    if (status != UCS_OK) Throw(env, "UCX", std::string("ucp_ep_create: ") + engine.api().ucs_status_string(status));
    return Napi::External<EndpointHandle>::New(env, new EndpointHandle{engine_, endpoint}, [](Napi::Env, EndpointHandle* held) {
      held->engine->Queue([engine = held->engine.get(), endpoint = held->endpoint] { engine->CloseEndpoint(endpoint); });
      delete held;
    });
  }

  // transfer(endpoint, isRead, batch, localViews, remotePairs, keys, status { addresses, keys, before, after, tables, words, values }) -> job. The words of
  // `status` are read before and after the data of the same job; a write begins only where the words named by tables and words have their values.
  Napi::Value Transfer(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Engine& engine = Up(env);
    auto job = std::make_shared<Job>(ReadRuns(info[2].As<Napi::Object>()));
    job->endpoint = info[0].As<Napi::External<EndpointHandle>>().Data()->endpoint;
    job->is_read = info[1].As<Napi::Boolean>();
    job->local = ReadViews(info[3].As<Napi::Array>());
    job->remote = ReadAddresses(info[4].As<Napi::BigUint64Array>());
    job->remote_keys = ReadKeys(info[5].As<Napi::Array>());
    auto status = info[6].As<Napi::Object>();
    auto addresses = status.Get("addresses").As<Napi::BigUint64Array>();
    const auto before = ReadWords(status.Get("before").As<Napi::Array>());
    const auto after = ReadWords(status.Get("after").As<Napi::Array>());
    job->status_keys = ReadKeys(status.Get("keys").As<Napi::Array>());
    if (job->remote_keys.size() != job->remote.size() || before.size() != addresses.ElementLength() || after.size() != before.size() || job->status_keys.size() != before.size())
      Throw(env, "BOUNDS", "one key per remote range is needed");
    for (size_t i = 0; i < before.size(); i += 1) job->words.push_back({addresses[i], before[i], after[i], nullptr});
    auto tables = status.Get("tables").As<Napi::Uint32Array>();
    auto words = status.Get("words").As<Napi::Uint32Array>();
    auto values = status.Get("values").As<Napi::BigUint64Array>();
    for (size_t i = 0; i < tables.ElementLength(); i += 1) {
      if (tables[i] >= before.size() || (uint64_t{words[i]} + 1) * 8 > before[tables[i]].bytes) Throw(env, "BOUNDS", "an expected word is outside its table");
      job->expected.push_back({tables[i], words[i], values[i]});
    }
    if (const int64_t bad = FirstOutside(job->owned.runs, job->local, job->remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
    job->id = next_job_++;
    jobs_[job->id] = job;
    if (jobs_.size() > 256) Forget();
    engine.Add(job);
    return Napi::Number::New(env, static_cast<double>(job->id));
  }

  Napi::Value Stop(const Napi::CallbackInfo& info) {
    const auto found = jobs_.find(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
    if (found != jobs_.end())
      if (auto job = found->second.lock()) job->stop = true;
    return info.Env().Undefined();
  }

  void Forget() {
    for (auto it = jobs_.begin(); it != jobs_.end();) it = it->second.expired() ? jobs_.erase(it) : std::next(it);
  }

  Napi::Value Disconnect(const Napi::CallbackInfo& info) {
    auto* held = info[0].As<Napi::External<EndpointHandle>>().Data();
    held->engine->Queue([engine = held->engine.get(), endpoint = held->endpoint] { engine->CloseEndpoint(endpoint); });
    return info.Env().Undefined();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (engine_ != nullptr) {
      Engine& engine = *engine_;
      for (const auto& [id, memory] : memories_)
        engine.Call<int>([&engine, memory = memory]() {
          engine.api().ucp_mem_unmap(engine.context(), memory);
          return 0;
        });
      memories_.clear();
      engine.StopThread();
      engine.outbox().Release();
      engine_.reset();
    }
    return info.Env().Undefined();
  }

  std::shared_ptr<Engine> engine_;
  std::unordered_map<uint32_t, ucp_mem_h> memories_;
  uint32_t next_memory_ = 1;
  std::unordered_map<uint64_t, std::weak_ptr<Job>> jobs_;
  uint64_t next_job_ = 1;
};

}  // namespace ucx

void InitUcx(Napi::Env env, Napi::Object exports) { exports.Set("Ucx", ucx::Ucx::Define(env)); }

}  // namespace transfer
