// The least that a request over a TCP connection of this host can take, without any of our code: a client asks with 76 bytes, a server thread answers with
// BYTES ("get"), or the client sends 76 + BYTES and gets 16 back ("put"). Usage: loopback-ping BYTES ROUNDS. Prints one JSON line: microseconds, medians, by
// threads that sleep in recv and by threads that spin. Memory is cold: a different part of 192 MiB each time.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

static constexpr size_t kArena = 192u << 20;
static constexpr size_t kRequest = 76;
static constexpr size_t kAnswer = 16;

static void Receive(int fd, char* to, size_t bytes, bool spins) {
  while (bytes > 0) {
    const ssize_t got = recv(fd, to, bytes, spins ? MSG_DONTWAIT : 0);
    if (got < 0) continue;
    if (got == 0) exit(1);
    to += got;
    bytes -= static_cast<size_t>(got);
  }
}
static void Send(int fd, const char* from, size_t bytes, int flags = 0) {
  while (bytes > 0) {
    const ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL | flags);
    if (sent <= 0) exit(1);
    from += sent;
    bytes -= static_cast<size_t>(sent);
  }
}

static double Median(bool is_get, size_t bytes, int rounds, bool spins) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 1) != 0) exit(1);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client, reinterpret_cast<sockaddr*>(&address), size) != 0) exit(1);
  const int server = accept(listener, nullptr, nullptr);
  const int one = 1;
  for (int fd : {client, server}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  static std::vector<char> here(kArena, 1), there(kArena, 2);
  const size_t slots = kArena / bytes;
  const auto at = [&](int round) { return (static_cast<size_t>(round) * 7919 % slots) * bytes; };
  std::thread serving([&] {
    char request[kRequest];
    const char answer[kAnswer] = {};
    for (int round = 0; round < rounds; round += 1) {
      Receive(server, request, kRequest, spins);
      if (is_get) Send(server, there.data() + at(round), bytes);
      else {
        Receive(server, there.data() + at(round), bytes, spins);
        Send(server, answer, kAnswer);
      }
    }
  });
  std::vector<double> micros;
  char request[kRequest] = {};
  for (int round = 0; round < rounds; round += 1) {
    const auto start = std::chrono::steady_clock::now();
    if (is_get) {
      Send(client, request, kRequest);
      Receive(client, here.data() + at(round), bytes, spins);
    } else {
      Send(client, request, kRequest, MSG_MORE);
      Send(client, here.data() + at(round), bytes);
      Receive(client, request, kAnswer, spins);
    }
    micros.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  serving.join();
  for (int fd : {client, server, listener}) close(fd);
  std::sort(micros.begin(), micros.end());
  return micros[micros.size() / 2];
}

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const size_t bytes = strtoull(arguments[1], nullptr, 10);
  const int rounds = atoi(arguments[2]);
  if (bytes == 0 || bytes > kArena || rounds <= 0) return 2;
  printf("{\"bytes\":%zu,\"getSleepingUs\":%.1f,\"getSpinningUs\":%.1f,\"putSleepingUs\":%.1f,\"putSpinningUs\":%.1f}\n", bytes, Median(true, bytes, rounds, false), Median(true, bytes, rounds, true),
         Median(false, bytes, rounds, false), Median(false, bytes, rounds, true));
}
