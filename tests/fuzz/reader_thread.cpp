// A thread in the place of the reader's process: what crashes must be seen.
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "core/reader/all_services.hpp"
#include "core/reader/start_reader.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {
namespace {

struct Gone {};

class ThreadChannel : public Channel {
 public:
  using Channel::Channel;

 private:
  void fail(End) override { throw Gone{}; }
};

void answer_all(int socket, int shared_memory) {
  try {
    ThreadChannel channel(socket);
    answer_requests(channel, all_reader_services(), shared_memory, {[](std::int64_t) {}, [](double) {}});
  } catch (const Gone&) {
  }
  if (shared_memory >= 0) ::close(shared_memory);
}

}  // namespace

/// In the place of the library's.
StartedReader start_reader(const std::string&, int shared_memory) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) found("no sockets");
  std::thread(answer_all, ends[1], shared_memory < 0 ? -1 : ::dup(shared_memory)).detach();
  return {ends[0], -1};
}

}  // namespace sluice
