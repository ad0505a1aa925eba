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

/// The processes (ranks) of a run. What is said to be collective all ranks call in the same order, and it does not
/// return before it has what it asked for. One thread uses it. A rank that fails elsewhere must call abort, or the
/// others wait for it. Functions throw Error(kEnvironment) where the transport fails.
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
  /// What carries the messages, as the library calls it: "pml ob1, btl self tcp vader"; empty where it does not say.
  virtual std::string transport() const = 0;

  /// Collective: element-wise sums over all ranks, in place. Every rank gets the same bits, and the same ones again for
  /// the same values and number of ranks. Integers are exact.
  virtual void sum(double* values, std::int64_t count) = 0;
  virtual void sum(std::int64_t* values, std::int64_t count) = 0;
  /// Collective: the largest of all ranks' values, element-wise, in place.
  virtual void largest(std::int64_t* values, std::int64_t count) = 0;
  /// Collective: the bytes of `root` for everybody.
  virtual void broadcast(void* bytes, std::int64_t count, int root) = 0;

  /// Pieces of arrays on their way. All ranks start the exchanges in the same order, and the gathers; the memory is the
  /// communicator's until they have arrived.
  using Transfer = int;
  /// Gives rank r the r-th of size() pieces of so many bytes; the r-th received one is rank r's.
  virtual Transfer start_exchange(const void* pieces, void* received, std::int64_t bytes) = 0;
  /// The r-th of size() pieces becomes what rank r has there.
  virtual Transfer start_gather(void* pieces, std::int64_t bytes) = 0;
  /// Whether it is there; then it is over. Lets all transfers go on: MPI may do nothing while nobody asks.
  virtual bool arrived(Transfer transfer) = 0;
  /// Returns when it is there.
  virtual void wait(Transfer transfer) = 0;
  /// From now on a thread looks after transfers too while the program computes, where the library lets it.
  virtual void start_helper() = 0;

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
