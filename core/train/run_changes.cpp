#include "core/train/run_changes.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

bool is_epochs(const Change& change) {
  return change.section == "train" && change.key == "epochs";
}

bool depends(const Change& change) {
  return change.role.role == KeyRole::kDecides || change.role.role == KeyRole::kContinues;
}

/// The first of them in words.
std::string named(const std::vector<Change>& changes) {
  constexpr std::size_t kMostNamed = 8;
  std::vector<std::string> texts;
  for (const Change& change : changes) {
    if (texts.size() < kMostNamed) texts.push_back(to_string(change));
  }
  const std::string rest =
      changes.size() > kMostNamed ? concat("; and ", changes.size() - kMostNamed, " more") : std::string();
  return join(texts, "; ") + rest;
}

[[noreturn]] void refuse(const std::string& directory, const std::vector<Change>& changes, const std::string& what) {
  throw Error(ExitCode::kUsage,
              concat(directory, ": holds a run of another configuration (", named(changes), "); ", what));
}

}  // namespace

AcceptedChanges judge_changes(const std::string& directory, const std::vector<Change>& changes,
                              const RunStanding& standing, const ResumePermission& permission) {
  AcceptedChanges accepted;
  std::vector<Change> all;
  bool decides = false, stretches = false, shortens = false, goes_on = false;
  for (const Change& change : changes) {
    if (change.role.role == KeyRole::kRounding || depends(change)) accepted.recorded.push_back(change);
    if (!depends(change)) {
      accepted.harmless.push_back(change);
      continue;
    }
    all.push_back(change);
    decides = decides || change.role.role == KeyRole::kDecides;
    goes_on = goes_on || !is_epochs(change);
    if (!is_epochs(change)) continue;
    stretches = standing.schedule_follows;
    shortens = std::stoll(change.now.value_or("0")) < standing.epochs_done;
  }
  if (shortens) {
    const std::string before = all.front().before.value_or("");
    const std::string more = standing.schedule_follows ? concat(before, ", or more with --extend")
                                                       : concat(standing.epochs_done, " or more");
    refuse(directory, all,
           concat("it has trained ", standing.epochs_done, " epochs already: ",
                  all.size() > 1 ? "choose another run.dir" : concat("give --train.epochs=", more)));
  }
  if (standing.nothing_left && (goes_on || stretches))
    refuse(directory, all, "nothing is left to train in it: choose another run.dir");
  std::vector<std::string> words;
  if (decides && !permission.accept_changes) words.push_back("--accept-changes goes on with them from here");
  if (stretches && !permission.extend) words.push_back("--extend stretches the schedule to the new number of epochs");
  if (!words.empty()) refuse(directory, all, concat("choose another run.dir; or ", join(words, ", ")));
  accepted.decides = !all.empty();
  return accepted;
}

}  // namespace sluice
