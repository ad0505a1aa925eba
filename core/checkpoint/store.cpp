// Names, rotation and fallback of a run's checkpoints.
#include "core/checkpoint/store.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "core/base/atomic_file.hpp"
#include "core/base/directory.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/checkpoint/seal.hpp"

namespace sluice {
namespace {

constexpr char kBegin[] = "checkpoint-", kEnd[] = ".h5";
constexpr std::size_t kDigits = 10;

/// The step in "checkpoint-0000000042.h5"; -1 for any other name.
std::int64_t step_of(const std::string& name) {
  const std::size_t begin = sizeof(kBegin) - 1, end = sizeof(kEnd) - 1;
  if (name.size() < begin + kDigits + end || name.size() > begin + 18 + end) return -1;
  if (name.compare(0, begin, kBegin) != 0 || name.compare(name.size() - end, end, kEnd) != 0) return -1;
  const std::string digits = name.substr(begin, name.size() - begin - end);
  if (digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  if (digits.size() > kDigits && digits[0] == '0') return -1;
  return std::stoll(digits);
}

}  // namespace

CheckpointStore::CheckpointStore(std::string directory, std::int64_t keep)
    : directory_(std::move(directory)), keep_(std::max<std::int64_t>(keep, 1)) {
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (error) throw_system_error(directory_, "make the directory", error.value());
  remove_stale_temporaries(directory_);
}

std::string CheckpointStore::path_of(std::int64_t step) const {
  std::string digits = std::to_string(step);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return (std::filesystem::path(directory_) / (kBegin + digits + kEnd)).string();
}

std::string CheckpointStore::best_path() const {
  return (std::filesystem::path(directory_) / "best.h5").string();
}

std::vector<std::int64_t> CheckpointStore::steps() const {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const std::string& name : names_in(directory_, error)) {
    const std::int64_t step = step_of(name);
    if (step >= 0) steps.push_back(step);
  }
  if (error) throw_system_error(directory_, "list the directory", error.value());
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string CheckpointStore::save(const Checkpoint& checkpoint, std::int64_t step, bool best) {
  const std::string path = path_of(step);
  sluice::save(checkpoint, path);
  if (best) make_best(path);
  prune(step);
  return path;
}

void CheckpointStore::make_best(const std::string& path) const {
  const std::string best = best_path(), temporary = temporary_name(best);
  if (::link(path.c_str(), temporary.c_str()) == 0) {
    commit_file(temporary, best);
    ::unlink(temporary.c_str());  // rename leaves it where best.h5 already was this very file
    return;
  }
  // A file system without hard links.
  std::vector<char> bytes = read_sealed(path);
  append_seal(bytes);
  write_file_atomic(best, std::string_view(bytes.data(), bytes.size()));
}

void CheckpointStore::prune(std::int64_t newest) const {
  std::vector<std::int64_t> all = steps();
  const auto later = std::upper_bound(all.begin(), all.end(), newest);
  const auto kept = later - std::min<std::ptrdiff_t>(later - all.begin(), keep_);
  for (auto step = all.begin(); step != all.end(); ++step) {
    if (step < kept || step >= later) ::unlink(path_of(*step).c_str());
  }
}

std::optional<CheckpointStore::Last> CheckpointStore::last() const {
  std::vector<std::string> paths;
  for (std::int64_t step : steps()) paths.insert(paths.begin(), path_of(step));
  std::error_code ignored;
  if (std::filesystem::exists(best_path(), ignored)) paths.push_back(best_path());
  if (paths.empty()) return std::nullopt;
  std::vector<std::string> problems;
  for (const std::string& path : paths) {
    try {
      Last last{load(path), path, {}};
      for (const std::string& problem : problems)
        last.warnings.push_back(concat(problem, "; continuing from ", path, " instead"));
      return last;
    } catch (const Error& error) {
      if (error.code() == ExitCode::kEnvironment) throw;  // the file may be whole
      problems.push_back(error.what());
    }
  }
  std::string text = concat(one_line(directory_), ": none of ", paths.size(), " checkpoints can be used:");
  for (const std::string& problem : problems) text += "\n  " + one_line(problem);
  throw ErrorLines(ExitCode::kCheckpoint, text);
}

}  // namespace sluice
