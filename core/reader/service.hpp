// The reader's own side: what sluice-reader does with requests.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/reader/channel.hpp"

namespace sluice {

/// Descriptors that the reader is started with.
constexpr int kReaderSocket = 3, kReaderMemory = 4;
/// Leads every request.
constexpr std::int64_t kRequest = 1;
/// What a reader sends first of all, once it and its libraries have started.
constexpr std::int64_t kReady = 2;
/// In place of the exit code of an Error.
constexpr std::int64_t kOutOfMemory = 1000;

/// What a reader can be asked. It keeps what is open from one request to the next.
class ReaderService {
 public:
  virtual ~ReaderService() = default;
  /// Sends the answer, once nothing can go wrong any more.
  using Answer = std::function<void(Channel&)>;
  /// Takes the fields of one request and does what it wants. May throw Error.
  virtual Answer answer(Channel& request) = 0;
};

/// By name, functions that make one; they are given the descriptor of the memory that is shared.
using ReaderServices = std::map<std::string, std::function<std::unique_ptr<ReaderService>(int shared_memory)>>;

/// The whole program: answers requests to one of the services, within the limits that the other side states, until the
/// other side is gone. Returns the exit code.
int serve_reader(const ReaderServices& services);

/// Who sees to it that the limits are kept.
struct ReaderLimiter {
  std::function<void(std::int64_t memory_bytes)> begin;
  std::function<void(double seconds)> work;  ///< how long the next answer may take; 0 after it
};
/// Its part that is no more than a conversation. Ends where the channel's `fail` throws.
void answer_requests(Channel& channel, const ReaderServices& services, int shared_memory, const ReaderLimiter& limiter);

/// Lets this process take as much more memory as it maps in addition.
void extend_memory_limit(std::int64_t bytes);

}  // namespace sluice
