// What the processes of one training say to each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {

/// The processes (ranks) of a run. Every function but rank, size, library and abort is collective: all ranks call the
/// same ones in the same order, and none returns before it has what it asked for. One thread uses it. A rank that fails
/// elsewhere must call abort, or the others wait for it. Functions throw Error(kEnvironment) where the transport fails.
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "Open MPI 4.1.4"; empty for a single process.
  virtual std::string library() const = 0;

  /// Element-wise sums over all ranks, in place. Every rank gets the same bits, and the same ones again for the same
  /// values and number of ranks. Integers are exact.
  virtual void sum(float* values, std::int64_t count) = 0;
  virtual void sum(double* values, std::int64_t count) = 0;
  virtual void sum(std::int64_t* values, std::int64_t count) = 0;
  /// The bytes of `root` for everybody.
  virtual void broadcast(void* bytes, std::int64_t count, int root) = 0;

  /// Ends all ranks at once, with this exit code.
  [[noreturn]] virtual void abort(ExitCode code) = 0;

  bool is_root() const { return rank() == 0; }
};

/// A process of its own: sums are what they were.
std::unique_ptr<Communicator> single_process();

/// The text of `root` for everybody.
std::string broadcast(Communicator& ranks, const std::string& text, int root);
/// The texts of all ranks, by rank, for everybody.
std::vector<std::string> gather(Communicator& ranks, const std::string& text);
/// The first rank that says yes; -1 where none does.
int first_rank(Communicator& ranks, bool yes);

/// An error that every rank has thrown: the root prints it.
class CommonError : public ErrorLines {
 public:
  using ErrorLines::ErrorLines;
};

/// Runs `work` on every rank (it must not communicate). Where it throws an Error on some, all throw a CommonError: the
/// first one's, with its rank and host in front where only some ranks have it. With a single process what was thrown.
void together(Communicator& ranks, const std::function<void()>& work);

/// "rank 3 (node2)".
std::string rank_name(int rank, const std::string& host);
std::string host_name();

}  // namespace sluice
