#include "../runs.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>

#include "engine.h"

namespace transfer::ucx {

namespace {
using Clock = std::chrono::steady_clock;
// Spun before sleeping: a wake from sleep costs more than most small transfers.
constexpr auto kSpin = std::chrono::microseconds(100);
// Some descriptors of UCX are known not to fire: the sleep is bounded.
constexpr int kSleepMs = 20;
constexpr size_t kWindow = 1024;
// Completion callbacks get the job only: what frees a request is the same for the whole process.
void (*free_request)(void*) = nullptr;
}  // namespace

std::string Engine::Start() {
  free_request = api_.ucp_request_free;
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

void Engine::StopThread() {
  if (!thread_.joinable()) return;
  Queue([this] { is_stopping_ = true; });
  thread_.join();
}

Engine::~Engine() {
  StopThread();
  if (worker_ != nullptr) api_.ucp_worker_destroy(worker_);
  if (context_ != nullptr) api_.ucp_cleanup(context_);
  if (wake_ >= 0) close(wake_);
}

void Engine::Queue(std::function<void()> command) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    commands_.push_back(std::move(command));
  }
  if (!is_asleep_.exchange(false)) return;
  const uint64_t one = 1;
  if (write(wake_, &one, sizeof(one)) < 0) return;
}

void Engine::Add(std::shared_ptr<Job> job) {
  Queue([this, job] {
    for (const std::string& packed : job->remote_keys) job->rkeys.push_back(KeyOf(*job, packed));
    for (size_t i = 0; i < job->words.size(); i += 1) job->words[i].key = KeyOf(*job, job->status_keys[i]);
    if (!Advance(*job)) jobs_.push_back(job);
  });
}

ucp_rkey_h Engine::KeyOf(Job& job, const std::string& packed) {
  Endpoint& endpoint = *job.endpoint;
  if (!endpoint.is_open) {
    job.status = UCS_ERR_CANCELED;
    return nullptr;
  }
  if (const auto found = endpoint.keys.find(packed); found != endpoint.keys.end()) return found->second;
  ucp_rkey_h key = nullptr;
  const ucs_status_t status = api_.ucp_ep_rkey_unpack(endpoint.handle, packed.data(), &key);
  if (status != UCS_OK) job.status = status;
  else endpoint.keys[packed] = key;
  return key;
}

void Engine::CloseEndpoint(const std::shared_ptr<Endpoint>& endpoint) {
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

bool Engine::TakeCommands() {
  std::deque<std::function<void()>> commands;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    commands.swap(commands_);
  }
  for (auto& command : commands) command();
  return !commands.empty();
}

void Engine::Progress() {
  auto last_work = Clock::now();
  while (!is_stopping_ || !jobs_.empty()) {
    bool is_busy = TakeCommands();
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
    const auto now = Clock::now();
    if (is_busy) last_work = now;
    if (is_busy || now - last_work < kSpin) continue;
    if (api_.ucp_worker_arm(worker_) == UCS_ERR_BUSY) continue;
    is_asleep_ = true;
    {
      // What was queued before we said that we sleep got no wake.
      std::lock_guard<std::mutex> lock(mutex_);
      if (!commands_.empty()) {
        is_asleep_ = false;
        continue;
      }
    }
    pollfd fds[2] = {{efd_, POLLIN, 0}, {wake_, POLLIN, 0}};
    poll(fds, 2, jobs_.empty() ? kSleepMs : 1);
    is_asleep_ = false;
    uint64_t drained;
    if (read(wake_, &drained, sizeof(drained)) > 0) last_work = Clock::now();
  }
  for (const auto& request : closing_) api_.ucp_request_free(request);
}

ucp_request_param_t Engine::ParamsFor(Job& job) const {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.user_data = &job;
  // Every request counts: a flush has been seen to succeed where all puts had failed.
  param.cb.send = [](void* request, ucs_status_t status, void* user) {
    Job& done = *static_cast<Job*>(user);
    done.pending -= 1;
    if (status != UCS_OK && done.status == UCS_OK) done.status = status;
    free_request(request);
  };
  return param;
}

void Engine::Take(Job& job, void* request) {
  if (request == nullptr) return;
  if (UCS_PTR_IS_ERR(request)) {
    if (job.status == UCS_OK) job.status = UCS_PTR_STATUS(request);
  } else {
    job.pending += 1;
  }
}

void Engine::ReadWords(Job& job, bool is_after) {
  const ucp_request_param_t param = ParamsFor(job);
  for (const StatusWords& words : job.words) {
    const Range& into = is_after ? words.after : words.before;
    if (job.status == UCS_OK) Take(job, api_.ucp_get_nbx(job.endpoint->handle, reinterpret_cast<void*>(into.base), into.bytes, words.address, words.key, &param));
  }
}

void Engine::PostData(Job& job) {
  const Runs& runs = job.owned.runs;
  ucp_request_param_t param = ParamsFor(job);
  param.op_attr_mask |= UCP_OP_ATTR_FLAG_MULTI_SEND;
  while (job.run < runs.count && job.status == UCS_OK && !job.stop && job.pending < kWindow) {
    const size_t i = job.run;
    const uint64_t bytes = static_cast<uint64_t>(runs.piece_bytes[i]);
    const uintptr_t l = job.local[runs.local_index[i]].base + static_cast<uint64_t>(runs.local_offset[i]) + static_cast<uint64_t>(runs.local_stride[i]) * job.piece;
    const uintptr_t r = job.remote[runs.remote_index[i]].base + static_cast<uint64_t>(runs.remote_offset[i]) + static_cast<uint64_t>(runs.remote_stride[i]) * job.piece;
    const ucp_rkey_h key = job.rkeys[runs.remote_index[i]];
    if (job.is_read) Take(job, api_.ucp_get_nbx(job.endpoint->handle, reinterpret_cast<void*>(l), bytes, r, key, &param));
    else Take(job, api_.ucp_put_nbx(job.endpoint->handle, reinterpret_cast<const void*>(l), bytes, r, key, &param));
    job.piece += 1;
    if (job.piece == runs.pieces[i]) {
      job.piece = 0;
      job.run += 1;
    }
  }
}

bool Engine::Advance(Job& job) {
  Endpoint& endpoint = *job.endpoint;
  if (job.status == UCS_OK && endpoint.failure != UCS_OK) job.status = endpoint.failure;
  if (job.status == UCS_OK && !endpoint.is_open) job.status = UCS_ERR_CANCELED;
  const bool is_over = job.status != UCS_OK || job.stop;
  using Phase = Job::Phase;
  if (job.phase == Phase::kStart && !is_over) {
    ReadWords(job, false);
    job.phase = Phase::kData;
    // A write must not begin before it is known that its region lives; a read only brings bytes that are then not believed.
    if (!job.is_read && job.pending > 0) return false;
  }
  if (job.phase == Phase::kData && !is_over) {
    if (!job.is_read && job.run == 0 && job.piece == 0) {
      if (job.pending > 0) return false;
      for (const Expected& expected : job.expected) {
        const StatusWords& words = job.words[expected.table];
        if (reinterpret_cast<const uint64_t*>(words.before.base)[expected.word] == expected.value) continue;
        // Nothing moves; told as a success, since whoever reads the words sees why.
        job.phase = Phase::kEnd;
        for (const StatusWords& all : job.words) memcpy(reinterpret_cast<void*>(all.after.base), reinterpret_cast<const void*>(all.before.base), all.before.bytes);
        break;
      }
    }
    if (job.phase == Phase::kData) {
      PostData(job);
      if (job.status == UCS_OK && !job.stop && job.run < job.owned.runs.count) return false;
      if (job.pending > 0) return false;
      job.phase = Phase::kFlush;
      if (!job.is_read && job.status == UCS_OK && !job.stop) {
        const ucp_request_param_t param = ParamsFor(job);
        Take(job, api_.ucp_ep_flush_nbx(endpoint.handle, &param));
      }
    }
  }
  if (job.pending > 0) return false;
  if (job.phase == Phase::kFlush && job.status == UCS_OK && !job.stop) {
    ReadWords(job, true);
    job.phase = Phase::kAfter;
    if (job.pending > 0) return false;
  }
  // 0 done, 1 stopped, 2 failed.
  const bool is_complete = job.status == UCS_OK && (job.phase == Phase::kAfter || job.phase == Phase::kEnd);
  outbox_->Push({0, job.id, static_cast<uint8_t>(is_complete ? 0 : job.status == UCS_OK ? 1 : 2), job.status == UCS_OK ? "" : api_.ucs_status_string(job.status)});
  return true;
}

}  // namespace transfer::ucx
