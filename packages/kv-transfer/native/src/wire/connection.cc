#include "connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace transfer::wire {

namespace {
constexpr size_t kStaging = 16u << 10;
constexpr size_t kVector = 512;
// One call of the kernel moves no more: the other end starts on the first part while the next is copied.
constexpr uint64_t kCall = 256u << 10;
constexpr size_t kServedLimit = 4096;
}  // namespace

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
  for (const auto& [request, job] : jobs) listener_.settled(job->id, Status::kFailed, reason);
}

void Connection::Post(std::shared_ptr<Job> job) {
  if (fd_ < 0) return listener_.settled(job->id, Status::kFailed, "the connection is closed");
  if (job->is_stopped) return listener_.settled(job->id, Status::kCancelled, "The transfer was cancelled.");
  job->request = next_request_++;
  job->cursor = Cursor(&job->owned.runs, &job->local);
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
  listener_.settled(job->id, Status::kCancelled, "The transfer was cancelled.");
}

// Sending.

bool Connection::BeginChunk() {
  while (!streams_.empty()) {
    Stream& stream = streams_.front();
    if (stream.is_stopped()) {
      if (stream.served) Refuse(stream.request, {Status::kCancelled, "The reader cancelled."});
      streams_.pop_front();
      if (!out_.empty()) return false;
      continue;
    }
    const uint64_t bytes = std::min<uint64_t>(stream.cursor().left(), kChunk);
    chunk_ = {Type::kData, Status::kOk, kMark, stream.request, bytes};
    chunk_header_left_ = sizeof(Header);
    chunk_left_ = bytes;
    return true;
  }
  return false;
}

// The last byte of a stream is with the kernel: only now an epoch says something about all of them.
void Connection::EndStream() {
  Stream stream = std::move(streams_.front());
  streams_.pop_front();
  if (!stream.served) return;
  Verdict verdict;
  {
    const auto use = regions_.Use();
    verdict = stream.served->admitted.Recheck();
  }
  served_.erase(stream.request);
  SendEnd(stream.request, verdict);
}

bool Connection::Send() {
  bool has_moved = false;
  is_blocked_ = false;
  while (fd_ >= 0) {
    const bool is_in_chunk = chunk_left_ > 0 || chunk_header_left_ > 0;
    if (!is_in_chunk && out_.empty() && !BeginChunk()) {
      if (out_.empty()) return has_moved;
      continue;
    }
    iovec vector[kVector];
    size_t count = 0;
    ssize_t sent;
    if (chunk_left_ == 0 && chunk_header_left_ == 0) {
      for (size_t i = 0; i < out_.size() && count < kVector; i += 1, count += 1) vector[count] = {out_[i].data() + (i == 0 ? out_done_ : 0), out_[i].size() - (i == 0 ? out_done_ : 0)};
      msghdr message{};
      message.msg_iov = vector;
      message.msg_iovlen = count;
      sent = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      for (ssize_t left = sent; left > 0;) {
        const size_t here = out_.front().size() - out_done_;
        if (static_cast<size_t>(left) < here) {
          out_done_ += static_cast<size_t>(left);
          break;
        }
        left -= static_cast<ssize_t>(here);
        out_done_ = 0;
        out_.pop_front();
      }
    } else {
      Stream& stream = streams_.front();
      if (chunk_header_left_ > 0) vector[count++] = {reinterpret_cast<char*>(&chunk_) + sizeof(Header) - chunk_header_left_, chunk_header_left_};
      uint64_t filled = 0;
      count += stream.cursor().Fill(vector + count, kVector - count, std::min(chunk_left_, kCall), filled);
      msghdr message{};
      message.msg_iov = vector;
      message.msg_iovlen = count;
      const auto use = regions_.Use();
      // Announced bytes whose memory is no longer ours to read go out as zeros: the other end drops them.
      const bool is_abandoned = stream.job ? stream.job->is_settled : stream.served->admitted.Recheck().status == Status::kRegionGone;
      if (is_abandoned) {
        static const char zeros[4096] = {};
        for (size_t i = count; i > 0 && i + 1 > (chunk_header_left_ > 0 ? 2u : 1u); i -= 1) vector[i - 1] = {const_cast<char*>(zeros), std::min<size_t>(vector[i - 1].iov_len, sizeof(zeros))};
        message.msg_iovlen = chunk_header_left_ > 0 ? std::min<size_t>(count, 2) : std::min<size_t>(count, 1);
      }
      sent = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        const size_t of_header = std::min<size_t>(chunk_header_left_, static_cast<size_t>(sent));
        chunk_header_left_ -= of_header;
        const uint64_t of_data = static_cast<uint64_t>(sent) - of_header;
        stream.cursor().Advance(of_data);
        chunk_left_ -= of_data;
      }
    }
    if (sent > 0) {
      if (chunk_left_ == 0 && chunk_header_left_ == 0 && !streams_.empty() && streams_.front().cursor().left() == 0) EndStream();
      has_moved = true;
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      is_blocked_ = true;
      return has_moved;
    }
    Close(strerror(errno));
  }
  return has_moved;
}

// Receiving.

bool Connection::Receive() {
  bool has_moved = false;
  // Bounded, so that answers get out between what keeps coming.
  for (int turn = 0; turn < 64 && fd_ >= 0; turn += 1) {
    ssize_t got;
    if (has_header_ && header_.type == Type::kData && payload_left_ > 0) {
      got = ReceiveData();
    } else if (has_header_ && payload_left_ > 0) {
      got = recv(fd_, body_.data() + body_.size() - payload_left_, payload_left_, MSG_DONTWAIT);
      if (got > 0) payload_left_ -= static_cast<uint64_t>(got);
      if (got > 0 && payload_left_ == 0 && !OnBody()) return true;
    } else {
      got = recv(fd_, staging_.data() + staged_, staging_.size() - staged_, MSG_DONTWAIT);
      if (got > 0) staged_ += static_cast<size_t>(got);
    }
    if (got > 0) {
      has_moved = true;
      if (!TakeStaged()) return true;
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    Close(got == 0 ? "the peer closed the connection" : strerror(errno));
    return true;
  }
  return has_moved;
}

// Reads the payload of a DATA frame to where it belongs, and into the staging buffer what follows it.
ssize_t Connection::ReceiveData() {
  iovec vector[kVector];
  char sink[16384];
  size_t count = 0;
  uint64_t filled = 0;
  const uint64_t limit = std::min(payload_left_, kCall);
  std::shared_lock<std::shared_mutex> use;
  if (into_served_) {
    use = regions_.Use();
    if (const Verdict verdict = into_served_->admitted.Recheck(); verdict.status != Status::kOk) {
      use.unlock();
      Refuse(header_.request, verdict);
      into_served_.reset();
    }
  }
  if (into_job_) {
    count = into_job_->cursor.Fill(vector, kVector - 1, limit, filled);
  } else if (into_served_) {
    count = into_served_->cursor.Fill(vector, kVector - 1, limit, filled);
  } else {
    filled = std::min<uint64_t>(limit, sizeof(sink));
    vector[0] = {sink, filled};
    count = 1;
  }
  if (filled == payload_left_) vector[count++] = {staging_.data() + staged_, staging_.size() - staged_};
  msghdr message{};
  message.msg_iov = vector;
  message.msg_iovlen = count;
  const ssize_t got = recvmsg(fd_, &message, MSG_DONTWAIT);
  if (use.owns_lock()) use.unlock();
  if (got <= 0) return got;
  const uint64_t data = std::min<uint64_t>(static_cast<uint64_t>(got), filled);
  staged_ += static_cast<size_t>(static_cast<uint64_t>(got) - data);
  if (into_job_) into_job_->cursor.Advance(data);
  if (into_served_) into_served_->cursor.Advance(data);
  ReceivedData(data);
  return got;
}

void Connection::ReceivedData(uint64_t bytes) {
  payload_left_ -= bytes;
  if (payload_left_ > 0) return;
  has_header_ = false;
  if (into_served_ && into_served_->cursor.left() == 0) {
    Verdict verdict;
    {
      const auto use = regions_.Use();
      verdict = into_served_->admitted.Recheck();
    }
    served_.erase(header_.request);
    SendEnd(header_.request, verdict);
  }
  into_job_.reset();
  into_served_.reset();
}

// Works off what lies in the staging buffer. False once the connection is closed.
bool Connection::TakeStaged() {
  while (fd_ >= 0) {
    const size_t here = staged_ - staged_done_;
    if (!has_header_) {
      if (here < sizeof(Header)) break;
      memcpy(&header_, staging_.data() + staged_done_, sizeof(Header));
      staged_done_ += sizeof(Header);
      if (!OnHeader()) return false;
      continue;
    }
    if (here == 0) break;
    const size_t take = static_cast<size_t>(std::min<uint64_t>(here, payload_left_));
    const char* from = staging_.data() + staged_done_;
    staged_done_ += take;
    if (header_.type != Type::kData) {
      memcpy(body_.data() + body_.size() - payload_left_, from, take);
      payload_left_ -= take;
      if (payload_left_ == 0 && !OnBody()) return false;
      continue;
    }
    Verdict verdict;
    {
      const auto use = regions_.Use();
      if (into_served_) verdict = into_served_->admitted.Recheck();
      Cursor* cursor = into_job_ ? &into_job_->cursor : into_served_ && verdict.status == Status::kOk ? &into_served_->cursor : nullptr;
      for (size_t done = 0; cursor != nullptr && done < take;) {
        iovec piece;
        uint64_t filled = 0;
        cursor->Fill(&piece, 1, take - done, filled);
        memcpy(piece.iov_base, from + done, filled);
        cursor->Advance(filled);
        done += filled;
      }
    }
    if (verdict.status != Status::kOk) {
      Refuse(header_.request, verdict);
      into_served_.reset();
    }
    ReceivedData(take);
  }
  if (staged_done_ == staged_) {
    staged_ = staged_done_ = 0;
  } else if (staged_done_ > 0) {
    memmove(staging_.data(), staging_.data() + staged_done_, staged_ - staged_done_);
    staged_ -= staged_done_;
    staged_done_ = 0;
  }
  return fd_ >= 0;
}

bool Connection::OnHeader() {
  const bool is_data = header_.type == Type::kData;
  if (header_.mark != kMark || header_.bytes > (is_data ? kChunk : kBodyLimit) || (is_data && header_.bytes == 0)) {
    Close("the peer sent something that is not a frame of this protocol");
    return false;
  }
  has_header_ = true;
  payload_left_ = header_.bytes;
  if (!is_data) {
    body_.resize(header_.bytes);
    return payload_left_ > 0 || OnBody();
  }
  FindTarget();
  const Cursor* cursor = into_job_ ? &into_job_->cursor : into_served_ ? &into_served_->cursor : nullptr;
  if (cursor != nullptr && cursor->left() < header_.bytes) {
    Close("the peer sent more bytes than it announced");
    return false;
  }
  return true;
}

void Connection::FindTarget() {
  if (is_dialer_) {
    const auto found = jobs_.find(header_.request);
    if (found != jobs_.end() && found->second->is_read) into_job_ = found->second;
  } else {
    const auto found = served_.find(header_.request);
    if (found != served_.end() && !found->second->is_read) into_served_ = found->second;
  }
}

bool Connection::OnBody() {
  has_header_ = false;
  switch (header_.type) {
    case Type::kRead:
    case Type::kWrite:
      return OnRequest();
    case Type::kEnd:
      OnEnd();
      return true;
    case Type::kCancel:
      OnCancel();
      return true;
    default:
      Close("the peer sent a frame of unknown type");
      return false;
  }
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
  if (is_short) listener_.settled(job->id, Status::kFailed, "the peer ended " + std::to_string(job->cursor.left()) + " bytes early");
  else listener_.settled(job->id, header_.status, std::string(body_.begin(), body_.end()));
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
