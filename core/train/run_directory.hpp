// The directory of one training run: its files' names, the guard against mixing runs, and the lock.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// What the command line asked for.
enum class RunMode {
  kNew,        ///< the directory must not hold a run
  kResume,     ///< it must hold one
  kAutoResume  ///< either
};

/// Opens `run.dir` for one process: makes it, refuses to mix runs, takes the lock, proves that files can be written,
/// and removes what a killed process left half-written. Nothing is created when it refuses.
class RunDirectory {
 public:
  /// Throws Error(kUsage): empty path, a file in its place, a run where a new one was asked for, none where one was to
  /// be resumed. Throws Error(kEnvironment): another process uses it, it cannot be made or written, the disk is full.
  RunDirectory(const std::string& path, RunMode mode);
  /// What another process of the same run has opened: makes, checks and locks nothing.
  RunDirectory(const std::string& path, bool holds_run);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  /// Takes back what was made in a directory that held no run, for a run that could not start: its files, and the
  /// directories made for them. Does nothing where `holds_run()`.
  void discard();

  /// The directory of the run whose resolved configuration this file is, or nothing.
  static std::optional<std::string> of_configuration(const std::string& file);

  const std::string& path() const { return path_; }
  /// An earlier process left a run here, to be continued. (It may have ended before its first checkpoint.)
  bool holds_run() const { return holds_run_; }
  /// For the log: for example, that the file system has no locks.
  const std::vector<std::string>& warnings() const { return warnings_; }

  std::string config_file() const { return path_ + "/config.ini"; }    ///< the resolved configuration
  std::string changes_file() const { return path_ + "/changes.log"; }  ///< of the configuration; none without changes
  std::string weights_file() const { return path_ + "/weights.h5"; }   ///< of the best epoch, at the end
  std::string metrics_csv() const { return path_ + "/metrics.csv"; }
  std::string metrics_jsonl() const { return path_ + "/metrics.jsonl"; }
  std::string event_file() const { return path_ + "/events.out.tfevents.0.sluice"; }  ///< [log] tensorboard
  std::string log_file() const { return path_ + "/log.txt"; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }  ///< a directory, made by the checkpoint store

 private:
  std::vector<std::string> files() const;
  std::vector<std::string> run_files() const;
  void check_mode(RunMode mode) const;
  void make();
  void remove_made();
  void take_lock(int flags);

  std::string path_;
  std::vector<std::string> made_;  ///< directories made for this run, the innermost first
  bool holds_run_ = false;
  int lock_ = -1;
  std::vector<std::string> warnings_;
};

}  // namespace sluice
