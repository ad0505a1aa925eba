#include "core/reader/channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sluice {

Channel::~Channel() {
  ::close(socket_);
}

void Channel::reject() {
  give_up(End::kMalformed);
}

void Channel::give_up(End end) {
  fail(end);
  std::abort();
}

void Channel::limit(double seconds, std::int64_t bytes) {
  deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  bytes_left_ = bytes;
}

void Channel::write(const void* bytes, std::int64_t count) {
  const auto* at = static_cast<const char*>(bytes);
  while (count > 0) {
    if (out_end_ == kBufferBytes) flush();
    const std::int64_t here = std::min(count, kBufferBytes - out_end_);
    std::memcpy(out_.data() + out_end_, at, static_cast<std::size_t>(here));
    out_end_ += here;
    at += here;
    count -= here;
  }
}

void Channel::flush() {
  for (std::int64_t done = 0; done < out_end_;) {
    const ssize_t sent = ::send(socket_, out_.data() + done, static_cast<std::size_t>(out_end_ - done), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      out_end_ = 0;
      give_up(End::kClosed);
    }
    done += sent;
  }
  out_end_ = 0;
}

void Channel::read(void* bytes, std::int64_t count) {
  auto* at = static_cast<char*>(bytes);
  if (count > bytes_left_) give_up(End::kTooMuch);
  bytes_left_ -= count;
  while (count > 0) {
    if (in_begin_ == in_end_ && count >= kBufferBytes) {  // large blocks go where they belong at once
      const std::int64_t got = receive(at, count);
      at += got;
      count -= got;
      continue;
    }
    if (in_begin_ == in_end_) {
      in_begin_ = 0;
      in_end_ = receive(in_.data(), kBufferBytes);
    }
    const std::int64_t here = std::min(count, in_end_ - in_begin_);
    std::memcpy(at, in_.data() + in_begin_, static_cast<std::size_t>(here));
    in_begin_ += here;
    at += here;
    count -= here;
  }
}

std::int64_t Channel::receive(void* bytes, std::int64_t most) {
  for (;;) {
    if (deadline_ != Clock::time_point::max()) {
      const double left_ms = std::chrono::duration<double, std::milli>(deadline_ - Clock::now()).count();
      if (left_ms <= 0) give_up(End::kTimedOut);
      pollfd end = {socket_, POLLIN, 0};
      if (::poll(&end, 1, static_cast<int>(std::min(left_ms + 1, 1e6))) <= 0) continue;
    }
    const ssize_t got = ::recv(socket_, bytes, static_cast<std::size_t>(most), 0);
    if (got > 0) return got;
    if (got == 0 || errno != EINTR) give_up(End::kClosed);
  }
}

}  // namespace sluice
