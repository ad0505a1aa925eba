#include "core/train/first_weights.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/model/network_checkpoint.hpp"

namespace sluice {

namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Some parameter is to be measured; `missing` are those that did not come from a file.
bool any_measured(const Network& network, const std::vector<std::string>& missing) {
  const std::vector<Parameter>& all = network.parameters();
  return std::any_of(all.begin(), all.end(), [&](const Parameter& p) {
    return p.init.kind == Init::Kind::kMeasured && std::any_of(missing.begin(), missing.end(), [&](const auto& path) {
             return ends_with(path, "weights/" + p.path());
           });
  });
}

}  // namespace

bool take_first_weights(const Experiment& experiment, Network& network, const TrainingData& data, Log& log) {
  const std::string& init = experiment.train.init;
  if (init.empty()) {
    std::vector<std::string> all;
    for (const Parameter& p : network.parameters()) all.push_back("weights/" + p.path());
    return any_measured(network, all);
  }
  const Checkpoint checkpoint = load(init);
  const RestoreReport report = restore_weights(checkpoint, network, false);
  if (report.restored.empty()) {
    throw Error(ExitCode::kCheckpoint, concat(init, ": none of its ", report.extra.size(),
                                              " tensors belongs to the network; train.init wants the same network"));
  }
  if (!experiment.train.init_partial && !(report.missing.empty() && report.extra.empty())) {
    const std::string& first = report.missing.empty() ? report.extra.front() : report.missing.front();
    throw Error(ExitCode::kCheckpoint, concat(init, ": lacks ", report.missing.size(),
                                              " of the network's tensors and has ", report.extra.size(), " others, ",
                                              first, " for one; train.init_partial = yes takes what both have"));
  }
  for (const std::string& warning : compare_start(checkpoint, data)) log.warning(warning);
  log.info(concat("starts from the weights of ", init));
  for (const std::string& path : report.missing) log.info(concat("  without ", path, ", which starts anew"));
  for (const std::string& path : report.extra) log.info(concat("  leaves out ", path));
  return any_measured(network, report.missing);
}

}  // namespace sluice
