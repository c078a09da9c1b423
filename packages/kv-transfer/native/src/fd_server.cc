// Hands memfds to peers over a unix socket. An own thread answers, so that a busy event loop doesn't keep peers waiting.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "runs.h"

namespace transfer {
namespace {

struct Request {
  uint64_t region;
  uint64_t key;
};

sockaddr_un AddressFor(Napi::Env env, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) Throw(env, "PATH", "the socket path is too long: " + path);
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

void SetTimeout(int fd, int ms) {
  timeval limit{ms / 1000, (ms % 1000) * 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

class FdServer : public Napi::ObjectWrap<FdServer> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "FdServer", {InstanceMethod("offer", &FdServer::Offer), InstanceMethod("withdraw", &FdServer::Withdraw), InstanceMethod("close", &FdServer::Close)});
  }

  explicit FdServer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FdServer>(info) {
    const std::string path = info[0].As<Napi::String>();
    const sockaddr_un address = AddressFor(info.Env(), path);
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    wake_ = eventfd(0, EFD_CLOEXEC);
    if (listener_ < 0 || wake_ < 0 || bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || listen(listener_, 64) != 0) {
      const std::string reason = strerror(errno);
      Stop();
      Throw(info.Env(), "LISTEN", "listening on " + path + ": " + reason);
    }
    thread_ = std::thread([this] { Serve(); });
  }

  ~FdServer() override { Stop(); }

 private:
  Napi::Value Offer(const Napi::CallbackInfo& info) {
    bool lossless = false;
    const uint64_t region = info[0].As<Napi::BigInt>().Uint64Value(&lossless);
    const uint64_t key = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
    std::lock_guard<std::mutex> lock(mutex_);
    offers_[region] = {info[2].As<Napi::Number>().Int32Value(), key};
    return info.Env().Undefined();
  }

  Napi::Value Withdraw(const Napi::CallbackInfo& info) {
    bool lossless = false;
    std::lock_guard<std::mutex> lock(mutex_);
    offers_.erase(info[0].As<Napi::BigInt>().Uint64Value(&lossless));
    return info.Env().Undefined();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    Stop();
    return info.Env().Undefined();
  }

  void Stop() {
    if (thread_.joinable()) {
      const uint64_t one = 1;
      if (write(wake_, &one, sizeof(one)) != sizeof(one)) shutdown(listener_, SHUT_RDWR);
      thread_.join();
    }
    if (listener_ >= 0) close(listener_);
    if (wake_ >= 0) close(wake_);
    listener_ = wake_ = -1;
  }

  void Serve() {
    for (;;) {
      pollfd fds[2] = {{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
      if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
      if (fds[1].revents != 0) return;
      if ((fds[0].revents & POLLIN) == 0) continue;
      const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) continue;
      SetTimeout(peer, 200);
      Answer(peer);
      close(peer);
    }
  }

  void Answer(int peer) {
    ucred who{};
    socklen_t size = sizeof(who);
    if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != geteuid()) return;
    Request request{};
    if (recv(peer, &request, sizeof(request), MSG_WAITALL) != sizeof(request)) return;
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = offers_.find(request.region);
    const bool is_allowed = found != offers_.end() && found->second.key == request.key;
    char status = is_allowed ? 1 : 0;
    iovec part{&status, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (is_allowed) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(header), &found->second.fd, sizeof(int));
    }
    sendmsg(peer, &message, MSG_NOSIGNAL);
  }

  struct Entry {
    int fd;
    uint64_t key;
  };
  int listener_ = -1;
  int wake_ = -1;
  std::thread thread_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, Entry> offers_;
};

// receiveFd(path, region, key) -> fd, or undefined where the owner refuses.
Napi::Value ReceiveFd(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string path = info[0].As<Napi::String>();
  bool lossless = false;
  const Request request{info[1].As<Napi::BigInt>().Uint64Value(&lossless), info[2].As<Napi::BigInt>().Uint64Value(&lossless)};
  const sockaddr_un address = AddressFor(env, path);
  const int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (peer < 0) Throw(env, "SOCKET", strerror(errno));
  SetTimeout(peer, 1000);
  auto fail = [&](const char* what) {
    const std::string reason = strerror(errno);
    close(peer);
    Throw(env, "FD", std::string(what) + ": " + reason);
  };
  if (connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fail("connect");
  if (send(peer, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request)) fail("send");
  char status = 0;
  iovec part{&status, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC) != 1) fail("recvmsg");
  close(peer);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (status != 1 || header == nullptr || header->cmsg_type != SCM_RIGHTS) return env.Undefined();
  int fd = -1;
  memcpy(&fd, CMSG_DATA(header), sizeof(int));
  return Napi::Number::New(env, fd);
}

}  // namespace

void InitFdServer(Napi::Env env, Napi::Object exports) {
  exports.Set("FdServer", FdServer::Define(env));
  exports.Set("receiveFd", Napi::Function::New(env, ReceiveFd));
}

}  // namespace transfer
