#include "core/train/first_weights.hpp"

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/model/network_checkpoint.hpp"

namespace sluice {

void take_first_weights(const Experiment& experiment, Network& network, const TrainingData& data, Log& log) {
  const std::string& init = experiment.train.init;
  if (init.empty()) return;
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
}

}  // namespace sluice
