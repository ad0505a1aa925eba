// Looks at the beginning and the end of every picture of a list, which costs little of what decoding them does.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/signals.hpp"
#include "core/data/picture_list.hpp"
#include "core/picture/decode.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kHead = 32 << 10, kTail = 4 << 10;

/// Up to `count` bytes from `offset` on; fewer where they cannot be read.
std::string_view read_some(int fd, std::int64_t offset, std::int64_t count, std::string& to) {
  to.resize(static_cast<std::size_t>(count));
  const ssize_t got = ::pread(fd, to.data(), to.size(), offset);
  return std::string_view(to).substr(0, got < 0 ? 0 : static_cast<std::size_t>(got));
}

class Checker {
 public:
  Checker(const PictureList& list, std::int64_t max_pixels, PictureCheck& check)
      : list_(list), max_pixels_(max_pixels), check_(check) {}

  void run() {
    const auto pictures = static_cast<std::int64_t>(list_.files.size());
    std::string head, tail;
    for (std::int64_t i; (i = next_.fetch_add(1)) < pictures;) {
      try {
        throw_if_stopped();
        check_.sizes[static_cast<std::size_t>(i)] = look_at(i, head, tail);
      } catch (const Error& error) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (error.code() == ExitCode::kData) {
          check_.bad.push_back({i, error.what()});
        } else {
          failure_ = std::current_exception();
          next_ = pictures;
        }
      }
    }
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  PictureSize look_at(std::int64_t i, std::string& head, std::string& tail) const {
    const std::string path = list_.root + "/" + list_.files[static_cast<std::size_t>(i)];
    const std::int64_t bytes = list_.bytes[static_cast<std::size_t>(i)];
    if (bytes > kHead) {
      const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), path);
      try {
        const PictureHeader header = read_picture_header(read_some(file.get(), 0, kHead, head), max_pixels_);
        if (!find_missing_end(header, read_some(file.get(), bytes - kTail, kTail, tail))) return header.size;
      } catch (const Error&) {  // what lies behind decides
      }
    }
    read_picture_file(path, max_pixels_, head);
    const PictureHeader header = read_picture_header(head, max_pixels_);
    if (const auto missing = find_missing_end(header, head)) throw Error(ExitCode::kData, *missing);
    return header.size;
  }

  const PictureList& list_;
  const std::int64_t max_pixels_;
  PictureCheck& check_;
  std::atomic<std::int64_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

PictureCheck check_pictures(const PictureList& list, std::int64_t max_pixels) {
  constexpr std::size_t kPicturesOfThread = 256;
  PictureCheck check;
  check.sizes.resize(list.files.size());
  Checker checker(list, max_pixels, check);
  const std::size_t most =
      std::min<std::size_t>(static_cast<std::size_t>(available_threads()), list.files.size() / kPicturesOfThread);
  std::vector<std::thread> threads;
  try {
    while (threads.size() + 1 < most) threads.emplace_back([&checker] { checker.run(); });
  } catch (const std::system_error&) {  // the others do it
  }
  checker.run();
  for (std::thread& thread : threads) thread.join();
  checker.rethrow();
  std::sort(check.bad.begin(), check.bad.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
  return check;
}

}  // namespace sluice
