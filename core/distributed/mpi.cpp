// The communicator over MPI; compiled once for each MPI library, for their binary interfaces differ.
#include <link.h>
#include <mpi.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>
#include <vector>

#include "core/distributed/communicator.hpp"
#include "core/distributed/mpi_helper.hpp"

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

std::string whole_library_text() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int size = 0;
  MPI_Get_library_version(text, &size);
  return {text, static_cast<std::size_t>(size)};
}

/// "Open MPI v4.1.4, package: ..." to "Open MPI v4.1.4".
std::string library_text() {
  const std::string whole = whole_library_text();
  std::string first = whole.substr(0, whole.find_first_of(",\n"));
  std::replace(first.begin(), first.end(), '\t', ' ');
  return first;
}

/// "mca_btl_tcp.so" is one of Open MPI's; it keeps those loaded that it has chosen.
int note_component(dl_phdr_info* library, std::size_t, void* found) {
  const std::string path = library->dlpi_name == nullptr ? "" : library->dlpi_name;
  for (const char* kind : {"pml", "mtl", "btl"}) {
    const std::string before = concat("/mca_", kind, "_");
    const std::size_t at = path.rfind(before), end = path.rfind(".so");
    if (at == std::string::npos || end == std::string::npos || end < at + before.size()) continue;
    const std::string name = path.substr(at + before.size(), end - at - before.size());
    static_cast<std::set<std::string>*>(found)->insert(concat(kind, " ", name));
  }
  return 0;
}

/// MPICH says what it was built for: "MPICH Device:    ch4:ofi".
std::string device_text() {
  const std::string whole = whole_library_text(), before = "Device:";
  const std::size_t at = whole.find(before);
  if (at == std::string::npos) return "";
  const std::size_t begin = whole.find_first_not_of(" \t", at + before.size());
  return whole.substr(begin, whole.find_first_of("\n", begin) - begin);
}

/// Ends MPI where MPI_Finalize must not be called: that of MPICH 4.0 over UCX may wait for ever for the answer of a
/// rank that has closed its connections already. What remains to be done is to tell the launcher, in PMI 1 on the
/// socket that it gave: without that it takes the first end for a crash and kills the other ranks of the node.
bool leave_without_finalize() {
#if defined(MPICH_NUMVERSION) && MPICH_NUMVERSION < 40100000
  const char* const launcher = std::getenv("PMI_FD");
  const bool other_pmi = whole_library_text().find("--with-pmi=") != std::string::npos;
  if (launcher == nullptr || other_pmi || device_text() != "ch4:ucx") return false;
  MPI_Barrier(MPI_COMM_WORLD);
  constexpr std::string_view kEnd = "cmd=finalize\n";
  const int socket = std::atoi(launcher);
  char answer = ::send(socket, kEnd.data(), kEnd.size(), MSG_NOSIGNAL) < 0 ? '\n' : ' ';
  while (answer != '\n' && ::read(socket, &answer, 1) == 1) continue;
  return true;
#else
  return false;
#endif
}

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator() {
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &threads_), "start");
    for (MPI_Comm* ranks : {&ranks_, &exchanges_, &gathers_}) {
      check(MPI_Comm_dup(MPI_COMM_WORLD, ranks), "connect the ranks");
      MPI_Comm_set_errhandler(*ranks, MPI_ERRORS_RETURN);
    }
    check(MPI_Comm_rank(ranks_, &rank_), "count the ranks");
    check(MPI_Comm_size(ranks_, &size_), "count the ranks");
  }
  /// Waits for the other ranks.
  ~MpiCommunicator() override {
    helper_.reset();
    for (MPI_Comm* ranks : {&ranks_, &exchanges_, &gathers_}) MPI_Comm_free(ranks);
    if (!leave_without_finalize()) MPI_Finalize();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string library() const override { return library_text(); }
  std::string transport() const override {
    std::set<std::string> components;
    ::dl_iterate_phdr(note_component, &components);
    std::string text;
    for (const std::string& component : components) text += (text.empty() ? "" : ", ") + component;
    return text.empty() ? device_text() : text;
  }

  void sum(double* values, std::int64_t count) override { reduce(values, count, MPI_DOUBLE, MPI_SUM); }
  void sum(std::int64_t* values, std::int64_t count) override { reduce(values, count, MPI_INT64_T, MPI_SUM); }
  void largest(std::int64_t* values, std::int64_t count) override { reduce(values, count, MPI_INT64_T, MPI_MAX); }

  void broadcast(void* bytes, std::int64_t count, int root) override {
    const Lock lock(helper_->mpi());
    for (std::int64_t done = 0; done < count; done += kAtOnce) {
      char* const at = static_cast<char*>(bytes) + done;
      check(MPI_Bcast(at, static_cast<int>(std::min(kAtOnce, count - done)), MPI_BYTE, root, ranks_), "broadcast");
    }
  }

  Transfer start_exchange(const void* pieces, void* received, std::int64_t bytes) override {
    const Lock lock(helper_->mpi());
    const Transfer transfer = free_transfer();
    const auto count = static_cast<int>(bytes);
    check(MPI_Ialltoall(pieces, count, MPI_BYTE, received, count, MPI_BYTE, exchanges_, &request(transfer)),
          "exchange gradients");
    note_underway();
    return transfer;
  }
  Transfer start_gather(void* pieces, std::int64_t bytes) override {
    const Lock lock(helper_->mpi());
    const Transfer transfer = free_transfer();
    check(MPI_Iallgather(MPI_IN_PLACE, 0, MPI_BYTE, pieces, static_cast<int>(bytes), MPI_BYTE, gathers_,
                         &request(transfer)),
          "gather gradients");
    note_underway();
    return transfer;
  }
  bool arrived(Transfer transfer) override {
    const Lock lock(helper_->mpi());
    int there = 0;
    check(MPI_Test(&request(transfer), &there, MPI_STATUS_IGNORE), "transfer gradients");
    if (there != 0) note_underway();
    return there != 0;
  }
  void wait(Transfer transfer) override {
    const Lock lock(helper_->mpi());
    check(MPI_Wait(&request(transfer), MPI_STATUS_IGNORE), "transfer gradients");
    note_underway();
  }
  void start_helper() override {
    if (threads_ >= MPI_THREAD_SERIALIZED) helper_->start(ranks_);
  }

  [[noreturn]] void abort(ExitCode code) override {
    MPI_Abort(ranks_, static_cast<int>(code));
    std::_Exit(static_cast<int>(code));
  }

 private:
  using Lock = std::lock_guard<std::mutex>;
  static constexpr std::int64_t kAtOnce = 1 << 28;  // MPI counts with int

  template <class T>
  void reduce(T* values, std::int64_t count, MPI_Datatype type, MPI_Op how) {
    const Lock lock(helper_->mpi());
    for (std::int64_t done = 0; done < count; done += kAtOnce)
      check(MPI_Allreduce(MPI_IN_PLACE, values + done, static_cast<int>(std::min(kAtOnce, count - done)), type, how,
                          ranks_),
            "add up over the ranks");
  }

  void note_underway() {
    const auto over = std::count(requests_.begin(), requests_.end(), MPI_REQUEST_NULL);
    helper_->set_underway(static_cast<int>(static_cast<std::ptrdiff_t>(requests_.size()) - over));
  }
  MPI_Request& request(Transfer transfer) { return requests_[static_cast<std::size_t>(transfer)]; }
  Transfer free_transfer() {
    const auto found = std::find(requests_.begin(), requests_.end(), MPI_REQUEST_NULL);
    const auto transfer = static_cast<Transfer>(found - requests_.begin());
    if (found == requests_.end()) requests_.push_back(MPI_REQUEST_NULL);
    return transfer;
  }

  MPI_Comm ranks_ = MPI_COMM_NULL;
  MPI_Comm exchanges_ = MPI_COMM_NULL, gathers_ = MPI_COMM_NULL;  ///< whose order is their own
  std::vector<MPI_Request> requests_;
  std::unique_ptr<MpiHelper> helper_ = std::make_unique<MpiHelper>();
  int rank_ = 0, size_ = 1, threads_ = MPI_THREAD_SINGLE;
};

}  // namespace
}  // namespace sluice

extern "C" __attribute__((visibility("default"))) sluice::Communicator* sluice_make_communicator() {
  return new sluice::MpiCommunicator;
}
