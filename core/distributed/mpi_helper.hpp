// A thread that lets MPI get on with transfers while the program computes.
#pragma once

#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace sluice {

/// MPI is called under one lock (MPI_THREAD_SERIALIZED).
class MpiHelper {
 public:
  ~MpiHelper() {
    {
      const std::lock_guard<std::mutex> lock(mpi_);
      ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  std::mutex& mpi() { return mpi_; }
  /// Under the lock.
  void set_underway(int transfers) {
    underway_ = transfers;
    if (underway_ > 0) changed_.notify_all();
  }
  void start(MPI_Comm ranks) {
    if (!thread_.joinable()) thread_ = std::thread([this, ranks] { run(ranks); });
  }

 private:
  void run(MPI_Comm ranks) {
    std::unique_lock<std::mutex> lock(mpi_);
    while (!ending_) {
      if (underway_ == 0) {
        changed_.wait(lock);
        continue;
      }
      int found = 0;
      MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, ranks, &found, MPI_STATUS_IGNORE);  // nobody sends such a message
      changed_.wait_for(lock, std::chrono::microseconds(300), [this] { return ending_; });
    }
  }

  std::mutex mpi_;
  std::condition_variable changed_;
  std::thread thread_;
  int underway_ = 0;
  bool ending_ = false;
};

}  // namespace sluice
