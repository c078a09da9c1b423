// A connection's life, and its requests: what this side asks and what it is asked for.
#include "connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace transfer::wire {

namespace {
constexpr size_t kStaging = 16u << 10;
constexpr size_t kServedLimit = 4096;
}  // namespace

uint64_t Job::bytes() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < owned.runs.count; i += 1) sum += static_cast<uint64_t>(owned.runs.piece_bytes[i]) * owned.runs.pieces[i];
  return sum;
}

Connection::Connection(int fd, bool is_dialer, const RegionTable& regions, Listener listener) : fd_(fd), is_dialer_(is_dialer), regions_(regions), listener_(std::move(listener)), staging_(kStaging) {
  const int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

Connection::~Connection() { Close("closed"); }

void Connection::Close(const std::string& reason) {
  if (fd_ < 0) return;
  close(fd_);
  fd_ = -1;
  streams_.clear();
  served_.clear();
  into_job_.reset();
  into_served_.reset();
  auto jobs = std::move(jobs_);
  jobs_.clear();
  for (const auto& [request, job] : jobs) listener_.settled(*job, Status::kFailed, reason);
}

void Connection::Post(std::shared_ptr<Job> job) {
  if (fd_ < 0) return listener_.settled(*job, Status::kFailed, "the connection is closed");
  if (job->is_stopped) return listener_.settled(*job, Status::kCancelled, "The transfer was cancelled.");
  job->request = next_request_++;
  job->cursor = Cursor(&job->owned.runs, &job->local);
  job->total = job->cursor.left();
  jobs_[job->request] = job;
  Queue(Frame(job->is_read ? Type::kRead : Type::kWrite, Status::kOk, job->request, job->body));
  job->body.clear();
  if (!job->is_read) streams_.push_back({job->request, job, nullptr});
}

void Connection::Stop(const std::shared_ptr<Job>& job) {
  const auto found = jobs_.find(job->request);
  if (fd_ < 0 || found == jobs_.end() || found->second != job) return;
  job->is_stopped = true;
  Queue(Frame(Type::kCancel, Status::kOk, job->request));
  // A read only touches memory here, and from now on its bytes are dropped. A write ends when the target says so.
  if (!job->is_read) return;
  jobs_.erase(found);
  if (into_job_ == job) into_job_.reset();
  listener_.settled(*job, Status::kCancelled, "The transfer was cancelled.");
}

void Connection::Refuse(uint32_t request, const Verdict& verdict) {
  served_.erase(request);
  SendEnd(request, verdict);
  if (verdict.status != Status::kCancelled) listener_.refused(verdict.status, verdict.message);
}

bool Connection::OnRequest() {
  auto served = std::make_shared<Served>();
  served->is_read = header_.type == Type::kRead;
  if (is_dialer_ || !DecodeRequest(body_, served->admitted.request) || served_.count(header_.request) > 0) {
    Close("the peer sent a request that is damaged");
    return false;
  }
  if (body_.capacity() > (1u << 20)) body_ = {};
  Verdict verdict;
  if (served_.size() >= kServedLimit) {
    verdict = {Status::kLimit, "More than " + std::to_string(kServedLimit) + " requests of one connection run."};
  } else {
    const auto use = regions_.Use();
    verdict = served->admitted.Admit(regions_);
  }
  if (verdict.status != Status::kOk) {
    Refuse(header_.request, verdict);
    return true;
  }
  served->cursor = Cursor(&served->admitted.request.runs, &served->admitted.ranges);
  served_[header_.request] = served;
  if (served->is_read) streams_.push_back({header_.request, nullptr, served});
  return true;
}

void Connection::OnEnd() {
  const auto found = jobs_.find(header_.request);
  if (found == jobs_.end()) return;
  const auto job = found->second;
  jobs_.erase(found);
  const bool is_short = header_.status == Status::kOk && job->cursor.left() > 0;
  job->is_stopped = true;
  job->is_settled = true;
  if (is_short) listener_.settled(*job, Status::kFailed, "the peer ended " + std::to_string(job->cursor.left()) + " bytes early");
  else listener_.settled(*job, header_.status, std::string(body_.begin(), body_.end()));
}

void Connection::OnCancel() {
  const auto found = served_.find(header_.request);
  if (found == served_.end()) return;
  found->second->is_stopped = true;
  // A read's stream sees it before its next chunk. Bytes of a write that still come are dropped.
  if (found->second->is_read) return;
  if (into_served_ == found->second) into_served_.reset();
  Refuse(header_.request, {Status::kCancelled, "The writer cancelled."});
}

}  // namespace transfer::wire
