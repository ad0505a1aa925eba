#include "core/train/first_weights.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/config/text.hpp"
#include "core/model/network_checkpoint.hpp"
#include "core/train/named_file.hpp"
#include "core/train/statistics_pass.hpp"
#include "core/train/stored_network.hpp"
#include "core/train/training_step.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kMeasuredBatches = 16;  // for running statistics

/// Drops the paths in a checkpoint of tensors "LAYER/NAME".
void drop(std::vector<std::string>& paths, const std::vector<std::string>& tensors) {
  const auto is_one = [&](const std::string& path) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const std::string& tensor) { return ends_with(path, "/" + tensor); });
  };
  paths.erase(std::remove_if(paths.begin(), paths.end(), is_one), paths.end());
}

/// Where layers have weights in forms of their own.
std::vector<ConvertedLayer> convert(const Experiment& experiment, const Checkpoint& checkpoint, Network& network,
                                    RestoreReport& report) {
  if (!has_own_forms(network)) return {};
  const auto other = network_of(checkpoint, network.registry(), experiment.where("train", "init"));
  restore_weights(checkpoint, other->network());
  return convert_restored(other->network(), network, report);
}

constexpr std::size_t kNamed = 3;  // of many layers or tensors; the log file has all

void tell(const std::vector<ConvertedLayer>& converted, Log& log) {
  for (std::size_t i = 0; i < converted.size(); ++i) {
    const ConvertedLayer& layer = converted[i];
    std::vector<std::string> changes;
    if (layer.reordered) changes.emplace_back("filters in the order of its shuffled source");
    if (!layer.norm.empty()) changes.push_back(concat("both normalisations from ", layer.norm));
    const std::string text = concat("  converts ", layer.layer, ": ", join(changes));
    if (i < kNamed)
      log.info(text);
    else
      log.note(text);
  }
  if (converted.size() > kNamed) log.info(concat("  and ", converted.size() - kNamed, " layers more likewise"));
}

void list(Log& log, const char* begin, const std::vector<std::string>& paths, const char* end) {
  if (paths.empty()) return;
  const std::size_t named = std::min(kNamed, paths.size());
  const std::string more = paths.size() > named ? concat(" and ", paths.size() - named, " more") : "";
  log.info(concat(begin, join({paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(named)}, ", "), more, end));
  if (paths.size() > named) log.note(concat(begin, join(paths), end));
}

}  // namespace

std::vector<ConvertedLayer> convert_restored(const Network& other, Network& network, RestoreReport& report) {
  std::vector<ConvertedLayer> converted = convert_weights(other, network);
  for (const ConvertedLayer& layer : converted) {
    drop(report.missing, layer.set);
    drop(report.extra, layer.taken);
  }
  return converted;
}

const Parameter* first_measured(const Network& network, const std::vector<std::string>& missing) {
  for (const Parameter& p : network.parameters()) {
    const bool is_missing = std::any_of(missing.begin(), missing.end(), [&](const std::string& path) {
      return ends_with(path, "weights/" + p.path());
    });
    if (p.init.kind == Init::Kind::kMeasured && is_missing) return &p;
  }
  return nullptr;
}

bool take_first_weights(const Experiment& experiment, Network& network, const TrainingData& data, Log& log) {
  const std::string& init = experiment.train.init;
  if (init.empty()) {
    std::vector<std::string> all;
    for (const Parameter& p : network.parameters()) all.push_back("weights/" + p.path());
    return first_measured(network, all) != nullptr;
  }
  const auto at_key = [&](const auto& use) {
    return with_place(experiment, "train", "init", ExitCode::kCheckpoint, use);
  };
  const Checkpoint checkpoint = at_key([&] { return load(init); });
  RestoreReport report = at_key([&] { return restore_weights(checkpoint, network, false); });
  const auto refuse = [&](const std::string& text) {
    throw Error(ExitCode::kCheckpoint, concat(experiment.where("train", "init"), ": ", init, ": ", text));
  };
  if (report.restored.empty())
    refuse(concat("none of its ", report.extra.size(),
                  " tensors belongs to the network; train.init wants the same network"));
  const std::vector<ConvertedLayer> converted = convert(experiment, checkpoint, network, report);
  if (!experiment.train.init_partial && !(report.missing.empty() && report.extra.empty())) {
    const std::string& first = report.missing.empty() ? report.extra.front() : report.missing.front();
    refuse(concat("lacks ", report.missing.size(), " of the network's tensors and has ", report.extra.size(),
                  " others, ", first, " for one; train.init_partial = yes takes what both have"));
  }
  for (const std::string& warning : compare_start(checkpoint, data)) log.warning(warning);
  log.info(concat("starts from the weights of ", init));
  tell(converted, log);
  list(log, "  without ", report.missing, report.missing.size() == 1 ? ", which starts anew" : ", which start anew");
  list(log, "  leaves out ", report.extra, "");
  return first_measured(network, report.missing) != nullptr;
}

void measure_missing(Experiment& experiment, const TrainingData& data, const std::vector<std::string>& missing,
                     Log& log) {
  Network& network = experiment.network();
  const std::unique_ptr<Communicator> alone = single_process();
  TrainingStep step(experiment, data, *alone, log);
  step.executor().refresh();
  const PipelineOptions batches = training_batches(experiment, data.normalization, *alone);
  Pipeline pipeline(*data.sets.train, batches);
  pipeline.start(0);
  if (const Batch* const batch = pipeline.next()) step.measure(*batch);
  const std::vector<float> before(network.buffer_data(), network.buffer_data() + network.buffer_count());
  StatisticsPass(step.executor(), network, *data.sets.train, batches, experiment.train.accumulate, *alone)
      .run(0, kMeasuredBatches);
  for (const StateBuffer& buffer : network.buffers()) {
    const bool is_missing = std::any_of(missing.begin(), missing.end(), [&](const std::string& path) {
      return ends_with(path, "buffers/" + buffer.path());
    });
    const float* const old = before.data() + buffer.offset;
    if (!is_missing) std::copy(old, old + buffer.shape.count(), network.buffer_data() + buffer.offset);
  }
}

}  // namespace sluice
