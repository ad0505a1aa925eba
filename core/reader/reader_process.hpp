// The process that reads HDF5 files for this one. A damaged or hostile file can crash or hang the HDF5 library, or make
// it take all memory: then this process ends, and the caller says so in one line.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/base/error.hpp"
#include "core/reader/channel.hpp"
#include "core/reader/service.hpp"
#include "core/reader/start_reader.hpp"

namespace sluice {

struct ReaderLimits {
  double seconds = 60;                                ///< for each answer, by the clock
  std::int64_t memory_bytes = std::int64_t{4} << 30;  ///< address space, beside the memory that is shared
  std::int64_t answer_bytes = std::int64_t{1} << 40;  ///< of each answer
};

/// The reader ended without an answer. what(): "crashed (signal 11, Segmentation fault)", "took longer than 60 s".
class ReaderFailed : public std::runtime_error {
 public:
  ReaderFailed(const std::string& text, bool crashed) : std::runtime_error(text), crashed_(crashed) {}
  bool crashed() const { return crashed_; }

 private:
  bool crashed_;
};

/// One reader with one of its services (core/reader/service.hpp). It is the program sluice-reader, started anew by exec
/// (so it may be made while there are threads) from beside the library. It gets /dev/null for its three standard files,
/// no signal that asks a run to stop, and ends when this object does. One thread uses it at a time.
class ReaderProcess : private Channel {
 public:
  /// `shared_memory`: a descriptor that it shares (core/reader/shared_memory.hpp), or -1. Throws Error(kEnvironment)
  /// where it cannot be started.
  ReaderProcess(const std::string& service, const ReaderLimits& limits, int shared_memory = -1,
                const std::string& program = installed_program());
  ~ReaderProcess() override;

  /// Sends a request. Several may be on their way; they are answered in order.
  template <class... Values>
  void ask(const Values&... values) {
    send(kRequest, values...);
  }
  /// Waits for the next answer; its fields are then to be taken with `get`. Throws the Error that the service threw,
  /// and where it ended ReaderFailed, or Error(kEnvironment) if that was not for what it read: after that there are no
  /// more answers.
  void wait();
  using Channel::get;
  using Channel::read;
  FieldReader<Channel> fields() { return FieldReader<Channel>(*this); }
  /// For an answer that cannot be: ends the reader and throws ReaderFailed.
  using Channel::reject;
  /// How long the next answer may take, where it is less than the limits say.
  void set_deadline(double seconds) { seconds_ = seconds; }

  /// Where sluice-reader lies: beside the library, in a folder for programs that users do not call.
  static std::string installed_program();

 private:
  ReaderProcess(StartedReader started, const std::string& service, const ReaderLimits& limits);
  [[noreturn]] void fail(End end) override;

  ReaderLimits limits_;
  double seconds_;
  pid_t process_;
  bool ready_ = false;
  std::string failure_ = "ended early";  ///< why there are no more answers
};

/// Limits for reading a whole file once: more of time and memory for a larger one. Holes in it do not count.
ReaderLimits limits_for(const std::string& file);

/// Runs `read` and turns the end of its reader into an Error that names the file.
template <class Read>
auto read_safely(const std::string& file, ExitCode code, Read read) {
  try {
    return read();
  } catch (const ReaderFailed& failed) {
    throw Error(code, concat(file, failed.crashed() ? ": is damaged: reading it " : ": reading it ", failed.what(),
                             failed.crashed() ? "; take another copy" : ""));
  }
}

}  // namespace sluice
