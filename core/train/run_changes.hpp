// A run's identity: whether a run may go on with a configuration that is not the one it was started with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/compare.hpp"

namespace sluice {

/// What the command line allows a run that is continued.
struct ResumePermission {
  bool extend = false;          ///< the schedule may be stretched to another number of epochs
  bool accept_changes = false;  ///< keys that decide the result may change from here on
};

/// Where the run stands.
struct RunStanding {
  std::int64_t epochs_done = 0;   ///< whole ones
  bool nothing_left = false;      ///< the configuration now asks for no further step
  bool schedule_follows = false;  ///< its learning rates depend on the number of epochs, before or now
};

/// Changes that a run may go on with. KeyRole says which these are: those without effect and those of rounding always;
/// where something is left to train also kContinues, and with a word the others. Of kContinues `train.epochs` needs
/// the word `extend` where the schedule follows it, and may change in a finished run where it does not.
struct AcceptedChanges {
  std::vector<Change> harmless;  ///< without effect, or of rounding
  std::vector<Change> recorded;  ///< all that the result depends on; those of rounding, too
  bool decides = false;          ///< the rest of the run is not what it would have been
};

/// Throws Error(kUsage), which names `directory`, what differs and what to do, where the run may not go on.
AcceptedChanges judge_changes(const std::string& directory, const std::vector<Change>& changes,
                              const RunStanding& standing, const ResumePermission& permission);

}  // namespace sluice
