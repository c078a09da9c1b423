// UCX, opened at run time. One worker per transport, owned by one progress thread: all UCX calls happen there, JS only queues and is called back.
#include "runs.h"

#if __has_include(<ucp/api/ucp.h>)
#include <dlfcn.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "copy_pool.h"

namespace transfer {
namespace {

// Spun before sleeping, µs: a wake from sleep costs more than most small transfers.
constexpr auto kSpin = std::chrono::microseconds(100);
// Some descriptors of UCX are known not to fire: the sleep is bounded.
constexpr int kSleepMs = 20;
constexpr size_t kWindow = 512;

struct Api {
#define UCX_SYMBOL(name) decltype(&::name) name
  UCX_SYMBOL(ucp_init_version);
  UCX_SYMBOL(ucp_cleanup);
  UCX_SYMBOL(ucp_config_read);
  UCX_SYMBOL(ucp_config_release);
  UCX_SYMBOL(ucp_worker_create);
  UCX_SYMBOL(ucp_worker_destroy);
  UCX_SYMBOL(ucp_worker_get_address);
  UCX_SYMBOL(ucp_worker_release_address);
  UCX_SYMBOL(ucp_worker_progress);
  UCX_SYMBOL(ucp_worker_get_efd);
  UCX_SYMBOL(ucp_worker_arm);
  UCX_SYMBOL(ucp_ep_create);
  UCX_SYMBOL(ucp_ep_close_nbx);
  UCX_SYMBOL(ucp_ep_flush_nbx);
  UCX_SYMBOL(ucp_mem_map);
  UCX_SYMBOL(ucp_mem_unmap);
  UCX_SYMBOL(ucp_rkey_pack);
  UCX_SYMBOL(ucp_rkey_buffer_release);
  UCX_SYMBOL(ucp_ep_rkey_unpack);
  UCX_SYMBOL(ucp_rkey_destroy);
  UCX_SYMBOL(ucp_put_nbx);
  UCX_SYMBOL(ucp_get_nbx);
  UCX_SYMBOL(ucp_request_check_status);
  UCX_SYMBOL(ucp_request_free);
  UCX_SYMBOL(ucp_get_version_string);
  UCX_SYMBOL(ucs_status_string);
#undef UCX_SYMBOL
};

std::string LoadApi(const std::string& path, Api& api) {
  // Must be set before the library is loaded; what the operator set stays.
  setenv("UCX_ERROR_SIGNALS", "", 0);
  setenv("UCX_MEM_EVENTS", "n", 0);
  setenv("UCX_WARN_UNUSED_ENV_VARS", "n", 0);
  setenv("UCX_LOG_LEVEL", "fatal", 0);
  setenv("UCX_KEEPALIVE_INTERVAL", "1s", 0);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return dlerror();
  std::string missing;
#define UCX_FIND(name)                                                      \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(handle, #name));    \
  if (api.name == nullptr) missing += std::string(missing.empty() ? "" : ", ") + #name
  UCX_FIND(ucp_init_version);
  UCX_FIND(ucp_cleanup);
  UCX_FIND(ucp_config_read);
  UCX_FIND(ucp_config_release);
  UCX_FIND(ucp_worker_create);
  UCX_FIND(ucp_worker_destroy);
  UCX_FIND(ucp_worker_get_address);
  UCX_FIND(ucp_worker_release_address);
  UCX_FIND(ucp_worker_progress);
  UCX_FIND(ucp_worker_get_efd);
  UCX_FIND(ucp_worker_arm);
  UCX_FIND(ucp_ep_create);
  UCX_FIND(ucp_ep_close_nbx);
  UCX_FIND(ucp_ep_flush_nbx);
  UCX_FIND(ucp_mem_map);
  UCX_FIND(ucp_mem_unmap);
  UCX_FIND(ucp_rkey_pack);
  UCX_FIND(ucp_rkey_buffer_release);
  UCX_FIND(ucp_ep_rkey_unpack);
  UCX_FIND(ucp_rkey_destroy);
  UCX_FIND(ucp_put_nbx);
  UCX_FIND(ucp_get_nbx);
  UCX_FIND(ucp_request_check_status);
  UCX_FIND(ucp_request_free);
  UCX_FIND(ucp_get_version_string);
  UCX_FIND(ucs_status_string);
#undef UCX_FIND
  return missing.empty() ? "" : "it lacks " + missing;
}

struct Endpoint {
  ucp_ep_h handle = nullptr;
  std::atomic<ucs_status_t> failure{UCS_OK};
  std::unordered_map<std::string, ucp_rkey_h> keys;
  bool is_open = true;
};

struct Job {
  std::shared_ptr<Endpoint> endpoint;
  bool is_read = false;
  OwnedRuns owned;
  std::vector<Range> local;
  std::vector<Range> remote;
  std::vector<std::string> remote_keys;
  std::vector<ucp_rkey_h> rkeys;
  std::list<void*> pending;
  void* flush = nullptr;
  bool is_flushed = false;
  size_t run = 0;
  uint32_t piece = 0;
  ucs_status_t status = UCS_OK;
  std::atomic<bool> stop{false};
  Napi::ThreadSafeFunction done;
  explicit Job(const Runs& runs) : owned(runs) {}
};

class Engine {
 public:
  explicit Engine(const Api& api) : api_(api) {}

  std::string Start() {
    ucp_config_t* config = nullptr;
    ucs_status_t status = api_.ucp_config_read(nullptr, nullptr, &config);
    if (status != UCS_OK) return api_.ucs_status_string(status);
    ucp_params_t params{};
    params.field_mask = UCP_PARAM_FIELD_FEATURES;
    params.features = UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
    status = api_.ucp_init_version(UCP_API_MAJOR, UCP_API_MINOR, &params, config, &context_);
    api_.ucp_config_release(config);
    if (status != UCS_OK) return api_.ucs_status_string(status);
    ucp_worker_params_t worker{};
    worker.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    worker.thread_mode = UCS_THREAD_MODE_SERIALIZED;
    status = api_.ucp_worker_create(context_, &worker, &worker_);
    if (status != UCS_OK) return api_.ucs_status_string(status);
    status = api_.ucp_worker_get_efd(worker_, &efd_);
    if (status != UCS_OK) return api_.ucs_status_string(status);
    ucp_address_t* address = nullptr;
    size_t length = 0;
    status = api_.ucp_worker_get_address(worker_, &address, &length);
    if (status != UCS_OK) return api_.ucs_status_string(status);
    address_.assign(reinterpret_cast<const char*>(address), length);
    api_.ucp_worker_release_address(worker_, address);
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread_ = std::thread([this] { Progress(); });
    return "";
  }

  ~Engine() {
    if (thread_.joinable()) {
      is_stopping_ = true;
      Wake();
      thread_.join();
    }
    if (worker_ != nullptr) api_.ucp_worker_destroy(worker_);
    if (context_ != nullptr) api_.ucp_cleanup(context_);
    if (wake_ >= 0) close(wake_);
  }

  const std::string& address() const { return address_; }
  const Api& api() const { return api_; }
  ucp_context_h context() const { return context_; }
  ucp_worker_h worker() const { return worker_; }

  void Queue(std::function<void()> command) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      commands_.push_back(std::move(command));
    }
    Wake();
  }

  // Runs on the progress thread and waits: for the short set-up calls only.
  template <typename Value>
  Value Call(std::function<Value()> command) {
    auto task = std::make_shared<std::packaged_task<Value()>>(std::move(command));
    auto result = task->get_future();
    Queue([task] { (*task)(); });
    return result.get();
  }

  void Add(std::shared_ptr<Job> job) {
    Queue([this, job] { jobs_.push_back(job); });
  }

  void CloseEndpoint(const std::shared_ptr<Endpoint>& endpoint) {
    if (!endpoint->is_open) return;
    endpoint->is_open = false;
    for (const auto& [name, key] : endpoint->keys) api_.ucp_rkey_destroy(key);
    endpoint->keys.clear();
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = UCP_EP_CLOSE_FLAG_FORCE;
    void* request = api_.ucp_ep_close_nbx(endpoint->handle, &param);
    if (UCS_PTR_IS_PTR(request)) closing_.push_back(request);
  }

 private:
  void Wake() {
    const uint64_t one = 1;
    if (write(wake_, &one, sizeof(one)) < 0) return;
  }

  void Progress() {
    auto last_work = std::chrono::steady_clock::now();
    while (!is_stopping_ || !jobs_.empty()) {
      std::deque<std::function<void()>> commands;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        commands.swap(commands_);
      }
      for (auto& command : commands) command();
      bool is_busy = !commands.empty();
      is_busy |= api_.ucp_worker_progress(worker_) != 0;
      if (is_stopping_)
        for (auto& job : jobs_) job->stop = true;
      for (auto it = jobs_.begin(); it != jobs_.end();) it = Advance(**it) ? jobs_.erase(it) : std::next(it);
      for (auto it = closing_.begin(); it != closing_.end();) {
        if (api_.ucp_request_check_status(*it) == UCS_INPROGRESS) ++it;
        else {
          api_.ucp_request_free(*it);
          it = closing_.erase(it);
        }
      }
      const auto now = std::chrono::steady_clock::now();
      if (is_busy) last_work = now;
      if (is_busy || now - last_work < kSpin) continue;
      if (api_.ucp_worker_arm(worker_) == UCS_ERR_BUSY) continue;
      pollfd fds[2] = {{efd_, POLLIN, 0}, {wake_, POLLIN, 0}};
      poll(fds, 2, jobs_.empty() ? kSleepMs : 1);
      uint64_t drained;
      if (read(wake_, &drained, sizeof(drained)) > 0) last_work = std::chrono::steady_clock::now();
    }
    for (const auto& request : closing_) api_.ucp_request_free(request);
  }

  void Take(Job& job, void* request) {
    if (request == nullptr) return;
    if (UCS_PTR_IS_ERR(request)) {
      if (job.status == UCS_OK) job.status = UCS_PTR_STATUS(request);
    } else {
      job.pending.push_back(request);
    }
  }

  // One step of a job; true when it is over and told.
  bool Advance(Job& job) {
    Endpoint& endpoint = *job.endpoint;
    const Runs& runs = job.owned.runs;
    ucp_request_param_t param{};
    if (job.status == UCS_OK && endpoint.failure != UCS_OK) job.status = endpoint.failure;
    if (job.status == UCS_OK && !endpoint.is_open) job.status = UCS_ERR_CANCELED;
    while (job.run < runs.count && job.status == UCS_OK && !job.stop && job.pending.size() < kWindow) {
      const uint64_t bytes = static_cast<uint64_t>(runs.piece_bytes[job.run]);
      const uintptr_t l = job.local[runs.local_index[job.run]].base + static_cast<uint64_t>(runs.local_offset[job.run]) + static_cast<uint64_t>(runs.local_stride[job.run]) * job.piece;
      const uintptr_t r = job.remote[runs.remote_index[job.run]].base + static_cast<uint64_t>(runs.remote_offset[job.run]) + static_cast<uint64_t>(runs.remote_stride[job.run]) * job.piece;
      const ucp_rkey_h key = job.rkeys[runs.remote_index[job.run]];
      if (job.is_read) Take(job, api_.ucp_get_nbx(endpoint.handle, reinterpret_cast<void*>(l), bytes, r, key, &param));
      else Take(job, api_.ucp_put_nbx(endpoint.handle, reinterpret_cast<const void*>(l), bytes, r, key, &param));
      job.piece += 1;
      if (job.piece == runs.pieces[job.run]) {
        job.piece = 0;
        job.run += 1;
      }
    }
    for (auto it = job.pending.begin(); it != job.pending.end();) {
      const ucs_status_t status = api_.ucp_request_check_status(*it);
      if (status == UCS_INPROGRESS) {
        ++it;
        continue;
      }
      // Every request counts: a flush has been seen to succeed where all puts had failed.
      if (status != UCS_OK && job.status == UCS_OK) job.status = status;
      api_.ucp_request_free(*it);
      it = job.pending.erase(it);
    }
    if (!job.pending.empty()) return false;
    if (job.run < runs.count && job.status == UCS_OK && !job.stop) return false;
    if (!job.is_flushed && job.status == UCS_OK && endpoint.is_open) {
      if (job.flush == nullptr) {
        void* request = api_.ucp_ep_flush_nbx(endpoint.handle, &param);
        if (UCS_PTR_IS_ERR(request)) job.status = UCS_PTR_STATUS(request);
        else if (request != nullptr) {
          job.flush = request;
          return false;
        }
      } else {
        const ucs_status_t status = api_.ucp_request_check_status(job.flush);
        if (status == UCS_INPROGRESS) return false;
        api_.ucp_request_free(job.flush);
        job.flush = nullptr;
        if (status != UCS_OK) job.status = status;
      }
      job.is_flushed = true;
    }
    const bool is_complete = job.status == UCS_OK && job.run == runs.count;
    const std::string message = job.status == UCS_OK ? "" : api_.ucs_status_string(job.status);
    job.done.BlockingCall([is_complete, message](Napi::Env env, Napi::Function callback) {
      if (message.empty()) callback.Call({Napi::Boolean::New(env, is_complete)});
      else callback.Call({Napi::Boolean::New(env, false), Napi::String::New(env, message)});
    });
    job.done.Release();
    return true;
  }

  const Api api_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int efd_ = -1;
  int wake_ = -1;
  std::string address_;
  std::thread thread_;
  std::atomic<bool> is_stopping_{false};
  std::mutex mutex_;
  std::deque<std::function<void()>> commands_;
  std::list<std::shared_ptr<Job>> jobs_;
  std::list<void*> closing_;
};

struct EndpointHandle {
  std::shared_ptr<Engine> engine;
  std::shared_ptr<Endpoint> endpoint;
};

class Ucx : public Napi::ObjectWrap<Ucx> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Ucx",
                       {InstanceMethod("version", &Ucx::Version), InstanceMethod("address", &Ucx::Address), InstanceMethod("register", &Ucx::Register), InstanceMethod("unregister", &Ucx::Unregister),
                        InstanceMethod("connect", &Ucx::Connect), InstanceMethod("transfer", &Ucx::Transfer), InstanceMethod("disconnect", &Ucx::Disconnect), InstanceMethod("close", &Ucx::Close)});
  }

  explicit Ucx(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Ucx>(info) {
    Api api{};
    if (const std::string reason = LoadApi(info[0].As<Napi::String>(), api); !reason.empty()) Throw(info.Env(), "ABSENT", reason);
    engine_ = std::make_shared<Engine>(api);
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

  // transfer(endpoint, isRead, batch, localViews, remotePairs, keys, done(isComplete, message?)) -> stop()
  Napi::Value Transfer(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Engine& engine = Up(env);
    auto job = std::make_shared<Job>(ReadRuns(info[2].As<Napi::Object>()));
    job->endpoint = info[0].As<Napi::External<EndpointHandle>>().Data()->endpoint;
    job->is_read = info[1].As<Napi::Boolean>();
    job->local = ReadViews(info[3].As<Napi::Array>());
    job->remote = ReadAddresses(info[4].As<Napi::BigUint64Array>());
    auto keys = info[5].As<Napi::Array>();
    for (uint32_t i = 0; i < keys.Length(); i += 1) {
      auto key = keys.Get(i).As<Napi::Uint8Array>();
      job->remote_keys.emplace_back(reinterpret_cast<const char*>(key.Data()), key.ByteLength());
    }
    if (job->remote_keys.size() != job->remote.size()) Throw(env, "BOUNDS", "one key per remote range is needed");
    if (const int64_t bad = FirstOutside(job->owned.runs, job->local, job->remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
    job->done = Napi::ThreadSafeFunction::New(env, info[6].As<Napi::Function>(), "stator ucx", 0, 1);
    engine.Queue([&engine, job] {
      for (const std::string& packed : job->remote_keys) {
        ucp_rkey_h key = nullptr;
        if (!job->endpoint->is_open) {
          job->status = UCS_ERR_CANCELED;
        } else if (const auto found = job->endpoint->keys.find(packed); found != job->endpoint->keys.end()) {
          key = found->second;
        } else {
          const ucs_status_t status = engine.api().ucp_ep_rkey_unpack(job->endpoint->handle, packed.data(), &key);
          if (status != UCS_OK) job->status = status;
          else job->endpoint->keys[packed] = key;
        }
        job->rkeys.push_back(key);
      }
    });
    engine.Add(job);
    return Napi::Function::New(env, [job](const Napi::CallbackInfo& stopInfo) -> Napi::Value {
      job->stop = true;
      return stopInfo.Env().Undefined();
    });
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
      engine_.reset();
    }
    return info.Env().Undefined();
  }

  std::shared_ptr<Engine> engine_;
  std::unordered_map<uint32_t, ucp_mem_h> memories_;
  uint32_t next_memory_ = 1;
};

}  // namespace

void InitUcx(Napi::Env env, Napi::Object exports) { exports.Set("Ucx", Ucx::Define(env)); }

}  // namespace transfer

#else

namespace transfer {
// Built without UCX's headers: the transport says so.
void InitUcx(Napi::Env, Napi::Object) {}
}  // namespace transfer

#endif
