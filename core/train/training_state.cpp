#include "core/train/training_state.hpp"

#include <algorithm>
#include <cstdlib>

#include "core/config/config.hpp"
#include "core/config/text.hpp"
#include "core/train/experiment.hpp"

namespace sluice {
namespace {

/// Times differ between equal runs, and are kept where runs may differ: as texts.
double time_of(const Checkpoint& checkpoint, const std::string& name) {
  const auto found = checkpoint.run.find(name);
  return found == checkpoint.run.end() ? 0 : std::strtod(found->second.c_str(), nullptr);
}

/// Files of Sluice 0.1 counted steps: images and sums over images come from the batch of their configuration.
void convert_from_steps(const Checkpoint& checkpoint, TrainingPosition& position) {
  const std::int64_t batch = Config::stored(checkpoint.config, checkpoint.file).read<TrainOptions>("train").batch;
  position.images = position.batch * batch;
  const auto images = static_cast<double>(batch);
  position.loss_sum *= images;
  position.divergence_sum *= images;
  for (double& sum : position.auxiliary_sums) sum *= images;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// A count that no run exceeds.
std::int64_t count_of(const Checkpoint& checkpoint, const std::string& key) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  const auto count = state_value<std::int64_t>(checkpoint, key);
  if (count < 0 || count > kMost)
    throw Error(ExitCode::kCheckpoint, concat(checkpoint.file, ": /state/", key, " is ", count, ", expected 0 to ",
                                              kMost, "; resume from another checkpoint"));
  return count;
}

/// A place in the run; files of before knew whole epochs alone.
double epochs_of(const Checkpoint& checkpoint, const std::string& key) {
  constexpr double kMost = 1e12;
  const auto found = checkpoint.state.find(key);
  const bool whole = found != checkpoint.state.end() && std::holds_alternative<std::int64_t>(found->second);
  const double epochs =
      whole ? static_cast<double>(std::get<std::int64_t>(found->second)) : state_value<double>(checkpoint, key);
  if (!(epochs >= 0 && epochs <= kMost))
    throw Error(ExitCode::kCheckpoint, concat(checkpoint.file, ": /state/", key, " is ", epochs, ", expected 0 to ",
                                              kMost, "; resume from another checkpoint"));
  return epochs;
}

}  // namespace

void TrainingPosition::end_epoch() {
  elapsed_seconds += train_seconds;
  ++epoch;
  images = batch = 0;
  loss_sum = divergence_sum = data_wait_seconds = train_seconds = 0;
  std::fill(auxiliary_sums.begin(), auxiliary_sums.end(), 0.0);
}

void save_early_stopping(Checkpoint& checkpoint, const EarlyStopping& early) {
  const EarlyStopping::State& state = early.state();
  if (state.best) checkpoint.state["best"] = *state.best;
  checkpoint.state["best_epoch"] = state.best_epoch;
  if (state.reference) checkpoint.state["reference"] = *state.reference;
  checkpoint.state["reference_epoch"] = state.reference_epoch;
  checkpoint.state["last_evaluated_epoch"] = state.last_epoch;
}

void restore_early_stopping(const Checkpoint& checkpoint, EarlyStopping& early) {
  EarlyStopping::State state;
  if (checkpoint.state.count("best") != 0) state.best = state_value<double>(checkpoint, "best");
  state.best_epoch = epochs_of(checkpoint, "best_epoch");
  if (checkpoint.state.count("reference") != 0) state.reference = state_value<double>(checkpoint, "reference");
  state.reference_epoch = epochs_of(checkpoint, "reference_epoch");
  state.last_epoch = epochs_of(checkpoint, "last_evaluated_epoch");
  early.restore(state);
}

void save_position(Checkpoint& checkpoint, const TrainingPosition& position) {
  checkpoint.state["images"] = position.images;
  checkpoint.state["batch"] = position.batch;
  checkpoint.state["loss_sum"] = position.loss_sum;
  checkpoint.state["gradient_norm"] = position.gradient_norm;
  for (std::size_t i = 0; i < position.auxiliary_sums.size(); ++i) {
    checkpoint.state[concat("auxiliary_sum_", i)] = position.auxiliary_sums[i];
  }
  if (!position.changes.empty()) checkpoint.state["changes"] = join(position.changes, "\n");
  checkpoint.run["elapsed_seconds"] = concat(position.elapsed_seconds);
  checkpoint.run["train_seconds"] = concat(position.train_seconds);
  checkpoint.run["data_wait_seconds"] = concat(position.data_wait_seconds);
}

void restore_position(const Checkpoint& checkpoint, TrainingPosition& position) {
  const auto has = [&](const std::string& key) { return checkpoint.state.count(key) != 0; };
  position.epoch = count_of(checkpoint, "epoch");
  position.step = count_of(checkpoint, "step");
  position.batch = count_of(checkpoint, "batch");
  position.loss_sum = state_value<double>(checkpoint, "loss_sum");
  if (has("gradient_norm")) position.gradient_norm = state_value<double>(checkpoint, "gradient_norm");
  if (has("divergence_sum")) position.divergence_sum = state_value<double>(checkpoint, "divergence_sum");
  for (std::size_t i = 0; i < position.auxiliary_sums.size(); ++i) {
    const std::string key = concat("auxiliary_sum_", i);
    position.auxiliary_sums[i] = has(key) ? state_value<double>(checkpoint, key) : 0.0;
  }
  if (has("images"))
    position.images = count_of(checkpoint, "images");
  else
    convert_from_steps(checkpoint, position);
  if (has("changes")) position.changes = lines_of(state_value<std::string>(checkpoint, "changes"));
  position.elapsed_seconds = time_of(checkpoint, "elapsed_seconds");
  position.train_seconds = time_of(checkpoint, "train_seconds");
  position.data_wait_seconds = time_of(checkpoint, "data_wait_seconds");
}

}  // namespace sluice
