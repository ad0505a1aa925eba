// The communicator over MPI; compiled once for each MPI library, for their binary interfaces differ.
#include <mpi.h>

#include <algorithm>
#include <cstdlib>

#include "core/distributed/communicator.hpp"

namespace sluice {
namespace {

void check(int result, const char* action) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int size = 0;
  MPI_Error_string(result, text, &size);
  throw Error(ExitCode::kEnvironment,
              concat("MPI: cannot ", action, ": ", text, "; look at the other ranks' messages and the network"));
}

/// "Open MPI v4.1.4, package: ..." to "Open MPI v4.1.4".
std::string library_text() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int size = 0;
  MPI_Get_library_version(text, &size);
  const std::string whole(text, static_cast<std::size_t>(size));
  std::string first = whole.substr(0, whole.find_first_of(",\n"));
  std::replace(first.begin(), first.end(), '\t', ' ');
  return first;
}

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator() {
    int provided = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "start");
    check(MPI_Comm_dup(MPI_COMM_WORLD, &ranks_), "connect the ranks");
    MPI_Comm_set_errhandler(ranks_, MPI_ERRORS_RETURN);
    check(MPI_Comm_rank(ranks_, &rank_), "count the ranks");
    check(MPI_Comm_size(ranks_, &size_), "count the ranks");
  }
  /// Waits for the other ranks.
  ~MpiCommunicator() override {
    MPI_Comm_free(&ranks_);
    MPI_Finalize();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string library() const override { return library_text(); }

  void sum(float* values, std::int64_t count) override { sum_as(values, count, MPI_FLOAT); }
  void sum(double* values, std::int64_t count) override { sum_as(values, count, MPI_DOUBLE); }
  void sum(std::int64_t* values, std::int64_t count) override { sum_as(values, count, MPI_INT64_T); }

  void broadcast(void* bytes, std::int64_t count, int root) override {
    for (std::int64_t done = 0; done < count; done += kAtOnce) {
      char* const at = static_cast<char*>(bytes) + done;
      check(MPI_Bcast(at, static_cast<int>(std::min(kAtOnce, count - done)), MPI_BYTE, root, ranks_), "broadcast");
    }
  }

  [[noreturn]] void abort(ExitCode code) override {
    MPI_Abort(ranks_, static_cast<int>(code));
    std::_Exit(static_cast<int>(code));
  }

 private:
  static constexpr std::int64_t kAtOnce = 1 << 28;  // MPI counts with int

  template <class T>
  void sum_as(T* values, std::int64_t count, MPI_Datatype type) {
    for (std::int64_t done = 0; done < count; done += kAtOnce)
      check(MPI_Allreduce(MPI_IN_PLACE, values + done, static_cast<int>(std::min(kAtOnce, count - done)), type, MPI_SUM,
                          ranks_),
            "add up over the ranks");
  }

  MPI_Comm ranks_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
};

}  // namespace
}  // namespace sluice

extern "C" __attribute__((visibility("default"))) sluice::Communicator* sluice_make_communicator() {
  return new sluice::MpiCommunicator;
}
