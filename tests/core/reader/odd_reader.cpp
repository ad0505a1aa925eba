// A reader whose services go wrong in one way each.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <vector>

#include "core/base/error.hpp"
#include "core/reader/service.hpp"
#include "core/reader/shared_memory.hpp"

namespace {

using namespace sluice;

class Service : public ReaderService {
 public:
  explicit Service(std::function<Answer(Channel&)> work) : work_(std::move(work)) {}
  Answer answer(Channel& request) override { return work_(request); }

 private:
  std::function<Answer(Channel&)> work_;
};

ReaderServices::mapped_type service(std::function<ReaderService::Answer(Channel&)> work) {
  return [work = std::move(work)](int) { return std::make_unique<Service>(work); };
}

ReaderService::Answer text(const std::string& text) {
  return [text](Channel& channel) { channel.send(text); };
}

/// "0 1 2 3 4": the descriptors that are open, but for the folder's own.
std::string descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  std::string list;
  for (int descriptor = 0; descriptor < ::dirfd(folder); ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0) list += (list.empty() ? "" : " ") + std::to_string(descriptor);
  }
  ::closedir(folder);
  return list;
}

}  // namespace

int main() {
  return serve_reader({
      {"echo", service([](Channel& request) { return text(request.get<std::string>()); })},
      {"error", service([](Channel&) -> ReaderService::Answer { throw Error(ExitCode::kData, "a.h5: is damaged"); })},
      {"crash", service([](Channel&) -> ReaderService::Answer {
         std::raise(SIGSEGV);
         return {};
       })},
      {"leave", service([](Channel&) -> ReaderService::Answer { ::_exit(7); })},
      {"wait", service([](Channel&) -> ReaderService::Answer {
         for (;;) ::pause();
       })},
      {"compute", service([](Channel&) -> ReaderService::Answer {
         for (volatile int i = 0;; i = i + 1) continue;
       })},
      {"memory", service([](Channel& request) {
         const auto bytes = static_cast<std::size_t>(request.get<std::int64_t>());
         std::vector<std::string> parts;
         std::size_t made = 0;
         for (std::size_t part = std::min<std::size_t>(bytes, 1 << 24); made < bytes; made += part)
           parts.emplace_back(part, 'x');
         return text(std::to_string(made));
       })},
      {"much", service([](Channel&) { return text(std::string(3 << 20, 'x')); })},
      {"nonsense",
       service([](Channel&) -> ReaderService::Answer { return [](Channel& c) { c.send(std::int64_t{-1}); }; })},
      {"descriptors", service([](Channel&) { return text(descriptors()); })},
      {"signals", service([](Channel& request) {
         for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU}) std::raise(signal);
         return text(request.get<std::string>());
       })},
      {"fill", service([](Channel& request) {
         const auto bytes = request.get<std::int64_t>();
         extend_memory_limit(bytes);
         std::memset(SharedMemory::map(kReaderMemory, bytes).get(), 7, static_cast<std::size_t>(bytes));
         return text("filled");
       })},
  });
}
