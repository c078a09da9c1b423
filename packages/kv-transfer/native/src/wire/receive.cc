// What comes in on a connection: frames, and data straight to the memory where it belongs.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "connection.h"

namespace transfer::wire {

namespace {
constexpr size_t kVector = 512;
}  // namespace

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

void Connection::Await(std::chrono::nanoseconds most) const {
  if (fd_ < 0 || most.count() <= 0) return;
  pollfd entry{fd_, POLLIN, 0};
  const timespec time{0, static_cast<long>(std::min<int64_t>(most.count(), 999'999'999))};
  ppoll(&entry, 1, &time, nullptr);
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

}  // namespace transfer::wire
