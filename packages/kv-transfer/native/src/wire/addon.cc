// The engine of native data connections as JS sees it.
#include <fcntl.h>

#include <cerrno>

#include "engine.h"

namespace transfer {
namespace wire {

class Wire : public Napi::ObjectWrap<Wire> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Wire",
                       {InstanceMethod("addRegion", &Wire::AddRegion), InstanceMethod("removeRegion", &Wire::RemoveRegion), InstanceMethod("attach", &Wire::Attach), InstanceMethod("detach", &Wire::Detach),
                        InstanceMethod("transfer", &Wire::Transfer), InstanceMethod("stop", &Wire::Stop), InstanceMethod("close", &Wire::Close)});
  }

  // new Wire(onEvent(kind, id, status, message)): kind 0 a transfer ended, 1 a connection ended, 2 a peer's request was refused.
  explicit Wire(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Wire>(info) {
    Napi::Env env = info.Env();
    auto call = Napi::ThreadSafeFunction::New(env, info[0].As<Napi::Function>(), "stator wire", 0, 1);
    call.Unref(env);
    const unsigned cores = std::thread::hardware_concurrency();
    engine_ = std::make_shared<Engine>(cores >= 8 ? 4 : cores >= 4 ? 2 : 1, std::make_shared<Outbox>(std::move(call)));
    // Runs before the environment takes the call away: the threads must not outlive it.
    env.AddCleanupHook(
        [](std::weak_ptr<Engine>* held) {
          if (auto engine = held->lock()) engine->StopThreads();
          delete held;
        },
        new std::weak_ptr<Engine>(engine_));
  }

 private:
  static void Hold(const std::vector<Range>& ranges, Held& held) {
    for (const Range& range : ranges) held.push_back(MappingOf(range.base));
  }

  Engine& Up(Napi::Env env) {
    if (engine_ == nullptr) Throw(env, "CLOSED", "the engine was closed");
    return *engine_;
  }

  // addRegion(id, key, segments, status)
  Napi::Value AddRegion(const Napi::CallbackInfo& info) {
    bool lossless = false;
    auto region = std::make_shared<Region>();
    region->key = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
    region->segments = ReadViews(info[2].As<Napi::Array>());
    auto status = info[3].As<Napi::BigUint64Array>();
    region->status = status.Data();
    region->words = status.ElementLength();
    Hold(region->segments, region->held);
    region->held.push_back(MappingOf(reinterpret_cast<uintptr_t>(region->status)));
    Up(info.Env()).regions().Add(info[0].As<Napi::Number>().Uint32Value(), std::move(region));
    return info.Env().Undefined();
  }

  Napi::Value RemoveRegion(const Napi::CallbackInfo& info) {
    if (engine_ != nullptr) engine_->regions().Remove(info[0].As<Napi::Number>().Uint32Value());
    return info.Env().Undefined();
  }

  // attach(fd, isDialer, greeting?) -> connection. The descriptor is duplicated: the caller closes its own.
  Napi::Value Attach(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Engine& engine = Up(env);
    const int fd = fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 3);
    if (fd < 0) Throw(env, "ATTACH", std::string("duplicating the socket: ") + strerror(errno));
    std::string greeting;
    if (info[2].IsTypedArray()) {
      auto bytes = info[2].As<Napi::Uint8Array>();
      greeting.assign(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
    }
    return Napi::Number::New(env, engine.Attach(fd, info[1].As<Napi::Boolean>(), std::move(greeting)));
  }

  Napi::Value Detach(const Napi::CallbackInfo& info) {
    const uint32_t connection = info[0].As<Napi::Number>().Uint32Value();
    if (engine_ != nullptr) engine_->WorkerOf(connection).Detach(connection);
    return info.Env().Undefined();
  }

  // transfer(connection, isRead, batch, localViews, parts { regions, segments, keys, bytes }, checks { regions, blocks, expected }) -> job, or 0 where it is done
  Napi::Value Transfer(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Engine& engine = Up(env);
    const uint32_t connection = info[0].As<Napi::Number>().Uint32Value();
    auto job = std::make_shared<Job>(ReadRuns(info[2].As<Napi::Object>()));
    job->is_read = info[1].As<Napi::Boolean>();
    job->local = ReadViews(info[3].As<Napi::Array>());
    Hold(job->local, job->held);
    auto named = info[4].As<Napi::Object>();
    auto regions = named.Get("regions").As<Napi::Uint32Array>();
    auto segments = named.Get("segments").As<Napi::Uint32Array>();
    auto keys = named.Get("keys").As<Napi::BigUint64Array>();
    auto bytes = named.Get("bytes").As<Napi::Float64Array>();
    std::vector<RemotePart> parts;
    std::vector<Range> remote;
    for (size_t i = 0; i < regions.ElementLength(); i += 1) {
      parts.push_back({regions[i], segments[i], keys[i]});
      remote.push_back({0, static_cast<uint64_t>(bytes[i])});
    }
    auto held = info[5].As<Napi::Object>();
    auto check_regions = held.Get("regions").As<Napi::Uint32Array>();
    auto blocks = held.Get("blocks").As<Napi::Uint32Array>();
    auto expected = held.Get("expected").As<Napi::BigUint64Array>();
    std::vector<Check> checks;
    for (size_t i = 0; i < check_regions.ElementLength(); i += 1) checks.push_back({check_regions[i], blocks[i], expected[i]});
    if (const int64_t bad = FirstOutside(job->owned.runs, job->local, remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
    job->body = EncodeRequest(job->owned.runs, parts, checks);
    if (job->body.size() > kBodyLimit) Throw(env, "LIMIT", "a batch of " + std::to_string(job->owned.runs.count) + " runs is too long for one request");
    job->id = engine.NextJob();
    if (engine.WorkerOf(connection).PostInline(connection, job)) return Napi::Number::New(env, 0);
    return Napi::Number::New(env, static_cast<double>(job->id));
  }

  Napi::Value Stop(const Napi::CallbackInfo& info) {
    const uint32_t connection = info[0].As<Napi::Number>().Uint32Value();
    if (engine_ != nullptr) engine_->WorkerOf(connection).Stop(connection, static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value()));
    return info.Env().Undefined();
  }

  // Ends every connection; what ran is told as failed. No memory is touched any more when it returns.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (engine_ == nullptr) return info.Env().Undefined();
    engine_->StopThreads();
    engine_->Release();
    engine_.reset();
    return info.Env().Undefined();
  }

  std::shared_ptr<Engine> engine_;
};

}  // namespace wire

void InitWire(Napi::Env env, Napi::Object exports) { exports.Set("Wire", wire::Wire::Define(env)); }

}  // namespace transfer
