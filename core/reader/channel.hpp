// One end of the connection between a process and its reader.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "core/base/fields.hpp"

namespace sluice {

/// A stream socket with buffers. One thread uses it.
class Channel {
 public:
  explicit Channel(int socket) : socket_(socket) {}
  virtual ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Sends values (core/base/fields.hpp).
  template <class... Values>
  void send(const Values&... values) {
    FieldWriter<Channel> fields(*this);
    (fields.add(values), ...);
    flush();
  }
  template <class T>
  T get() {
    return FieldReader<Channel>(*this).template get<T>();
  }

  void write(const void* bytes, std::int64_t count);
  void flush();
  void read(void* bytes, std::int64_t count);
  [[noreturn]] void reject();

 protected:
  enum class End { kClosed, kTimedOut, kTooMuch, kMalformed };
  /// What comes in from now on: how long it may take, and how much it may be. Without a call there are no limits.
  void limit(double seconds, std::int64_t bytes);
  /// Called where nothing more will come. Does not return.
  virtual void fail(End end) = 0;

 private:
  using Clock = std::chrono::steady_clock;
  std::int64_t receive(void* bytes, std::int64_t most);
  [[noreturn]] void give_up(End end);

  static constexpr std::int64_t kBufferBytes = 1 << 16;
  int socket_;
  Clock::time_point deadline_ = Clock::time_point::max();
  std::int64_t bytes_left_ = INT64_MAX;
  std::array<char, kBufferBytes> in_, out_;
  std::int64_t in_begin_ = 0, in_end_ = 0, out_end_ = 0;
};

}  // namespace sluice
