// What a report says of one run or checkpoint.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/data/dataset.hpp"
#include "core/report/run_summary.hpp"

namespace sluice {

using ReportJson = nlohmann::ordered_json;

struct ReportOptions {
  std::vector<std::string> overrides;
  Split split = Split::kTest;
  bool evaluate = true;
  bool time = false;   ///< and time the network as sluice-deploy would run it
  int maps = 0;        ///< test images whose decisions are shown
  bool whole = false;  ///< with configuration, environment and history by layer
};

/// A subject as page.js takes it, and what is compared with others.
struct ReportSubjectData {
  RunSummary run;  ///< of a checkpoint: its configuration and history
  ReportJson json;
};

/// Reads a run directory or a checkpoint, evaluates its best weights, and notes as problems of the subject what could
/// not be read or evaluated. Throws Error where nothing can be said.
ReportSubjectData report_subject(const std::string& path, const ReportOptions& options);

}  // namespace sluice
