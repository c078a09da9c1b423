// What leaves a connection: frames that wait, and streams of data straight from the memory they lie in.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "connection.h"

namespace transfer::wire {

namespace {
constexpr size_t kVector = 512;
}  // namespace

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
      // A request and the data that follows it at once are one packet, and one wake at the other end.
      const int more = !streams_.empty() && !streams_.front().is_stopped() ? MSG_MORE : 0;
      sent = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT | more);
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

}  // namespace transfer::wire
