// What a report says of one run or checkpoint.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/open_network.hpp"
#include "core/data/dataset.hpp"
#include "core/report/run_summary.hpp"

namespace sluice {

using ReportJson = nlohmann::ordered_json;

struct ReportOptions {
  std::vector<std::string> overrides;
  Split split = Split::kTest;
  bool evaluate = true;
  bool time = false;   ///< and time the network, as a whole and by layer, as sluice-deploy would run it
  bool keep = false;   ///< and keep the network, to be timed with others
  int maps = 0;        ///< test images whose decisions are shown
  bool whole = false;  ///< with configuration, environment and history by layer
};

/// A subject as page.js takes it, and what is compared with others.
struct ReportSubjectData {
  RunSummary run;  ///< of a checkpoint: its configuration and history
  ReportJson json;
  std::unique_ptr<OpenNetwork> network;  ///< where it is wanted and could be evaluated
};

/// Reads a run directory or a checkpoint, evaluates its best weights, and notes as problems of the subject what could
/// not be read or evaluated. Throws Error where nothing can be said.
ReportSubjectData report_subject(const std::string& path, const ReportOptions& options, EvaluationProgress& progress);

/// Notes as a problem of a subject where the times of its network vary much (unquiet_text).
void add_spread(double spread, ReportJson& json);

}  // namespace sluice
