// Opening a run directory safely.
#include "core/train/run_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/base/atomic_file.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/base/system_error.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRoom = 64 << 10;  // bytes that must fit onto the disk at the start

/// The first line, "4711 on node3"; "" when the holder could not leave its name.
std::string read_holder(int lock) {
  char text[512];
  const ssize_t size = ::pread(lock, text, sizeof text, 0);
  if (size <= 0) return "";
  std::string holder(text, static_cast<std::size_t>(size));
  return holder.substr(0, holder.find('\n'));
}

/// "4711 on node3" or a beginning of that, which a full disk leaves: no file of somebody else that happens to be called
/// .lock.
bool is_holder(const std::string& line) {
  const std::string on = " on ";
  const std::string host = line.substr(std::min(line.find_first_not_of("0123456789"), line.size()));
  return host.size() < line.size() ? on.rfind(host, 0) == 0 || host.rfind(on, 0) == 0 : line.empty();
}

/// Takes the lock unless another process has it: errno says why not. Who only looks (sluice-runs) has it for a moment.
bool lock_for_good(int lock) {
  constexpr int kTries = 20;
  for (int tried = 1;; ++tried) {
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK || tried == kTries) return false;
    ::usleep(5000);
  }
}

void write_holder(int lock) {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const std::string holder = concat(::getpid(), " on ", host, '\n');
  // Only for messages: a full disk is noticed by the probe.
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, holder.data(), holder.size(), 0) < 0) return;
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

RunDirectory::RunDirectory(const std::string& path, RunMode mode) : path_(without_trailing_slashes(path)) {
  if (path_.empty()) throw Error(ExitCode::kUsage, "[run] dir: expected the path of the run directory, got ''");
  std::error_code error;
  const bool exists = fs::exists(path_, error);
  if (exists && !fs::is_directory(path_, error))
    throw Error(ExitCode::kUsage, concat(path_, ": [run] dir names a file, not a directory; choose another run.dir"));
  try {
    if (exists) take_lock(O_RDWR);  // who uses it matters more than what it holds; makes nothing
    check_mode(mode);
    make();
    take_lock(O_RDWR | O_CREAT);
    check_mode(mode);  // another process may have started and ended since
    for (const std::string& file : files()) check_regular_or_absent(file);
    check_has_room(path_, kRoom);
  } catch (...) {
    remove_made();
    if (lock_ >= 0) ::close(lock_);
    throw;
  }
  remove_stale_temporaries(path_);
  holds_run_ = !run_files().empty();
}

RunDirectory::RunDirectory(const std::string& path, bool holds_run)
    : path_(without_trailing_slashes(path)), holds_run_(holds_run) {}

// Closing releases the lock; the file stays, since removing it would race with a process that waits for it.
RunDirectory::~RunDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

std::optional<std::string> RunDirectory::of_configuration(const std::string& file) {
  const fs::path path(file);
  const fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  if (path.filename() != "config.ini" || !fs::is_directory(directory / "checkpoints", error)) return std::nullopt;
  return directory.string();
}

void RunDirectory::make() {
  std::error_code error;
  for (fs::path each = fs::path(path_); !each.empty() && !fs::exists(each, error); each = each.parent_path())
    made_.push_back(each.string());
  if (!fs::create_directories(path_, error) && error) throw_system_error(path_, "make the directory", error.value());
}

void RunDirectory::discard() {
  if (holds_run_) return;
  for (const std::string& file :
       {config_file(), changes_file(), metrics_csv(), metrics_jsonl(), event_file(), log_file()})
    ::unlink(file.c_str());
  ::rmdir(checkpoints().c_str());
  remove_made();
}

/// Removes directories only where nothing else is in them.
void RunDirectory::remove_made() {
  if (!made_.empty() && lock_ >= 0) ::unlink((path_ + "/.lock").c_str());
  for (const std::string& directory : made_) ::rmdir(directory.c_str());
}

std::vector<std::string> RunDirectory::run_files() const {
  std::vector<std::string> found;
  std::error_code error;
  for (const std::string& file : files())
    if (fs::exists(fs::symlink_status(file, error))) found.push_back(fs::path(file).filename().string());
  if (fs::is_directory(checkpoints(), error) && !fs::is_empty(checkpoints(), error)) found.push_back("checkpoints");
  return found;
}

std::vector<std::string> RunDirectory::files() const {
  return {config_file(), changes_file(), weights_file(), metrics_csv(), metrics_jsonl(), event_file(), log_file()};
}

void RunDirectory::check_mode(RunMode mode) const {
  const std::vector<std::string> found = run_files();
  if (mode == RunMode::kResume && found.empty())
    throw Error(ExitCode::kUsage,
                concat(path_, ": there is no run to resume; start one without --resume, or use --auto-resume"));
  // A run has a log before it has a configuration: this one is the user's.
  if (mode == RunMode::kAutoResume && found == std::vector<std::string>{"config.ini"})
    throw Error(ExitCode::kUsage,
                concat(config_file(),
                       ": a run would replace it by its resolved configuration, and nothing else of a "
                       "run is here; move it out of the run directory, or choose another run.dir"));
  if (mode != RunMode::kNew || found.empty()) return;
  std::string list;
  for (const std::string& name : found) list += (list.empty() ? "" : ", ") + name;
  throw Error(ExitCode::kUsage, concat(path_, ": holds a run already (", list,
                                       "); continue it with --resume or --auto-resume, or choose another run.dir"));
}

void RunDirectory::take_lock(int flags) {
  if (lock_ >= 0) return;
  const std::string file = path_ + "/.lock";
  std::error_code ignored;
  if ((flags & O_CREAT) == 0 && !fs::exists(fs::symlink_status(file, ignored))) return;
  lock_ = open_regular(file, flags);
  const auto refuse = [&](ExitCode code, const std::string& text) {
    ::close(lock_);
    lock_ = -1;  // not ours to remove
    throw Error(code, text);
  };
  const std::string holder = read_holder(lock_);
  if (!is_holder(holder))
    refuse(ExitCode::kUsage, file + ": is no lock of Sluice, which needs this name; choose another run.dir");
  if (lock_for_good(lock_)) return write_holder(lock_);
  const int problem = errno;
  if (problem == EWOULDBLOCK) {
    refuse(ExitCode::kEnvironment, concat(path_, ": another process (", holder.empty() ? "unknown" : holder,
                                          ") uses this run directory; wait until it ends, or choose another run.dir"));
  }
  warnings_.push_back(concat(path_, ": no lock (", std::generic_category().message(problem),
                             "); nothing keeps a second process from using this run directory"));
}

}  // namespace sluice
