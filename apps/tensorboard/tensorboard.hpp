// A training for TensorBoard: [log] tensorboard.
#pragma once

#include <memory>
#include <string>

#include "core/train/observer.hpp"

namespace sluice {

class Experiment;

/// Writes to the event file of that name: every metric as a scalar under its name; of layers that decide, the values by
/// which they do and the shares of open gates at the pixels of a few images as histograms, and these shares as images;
/// the configuration as text. The experiment must outlive it. Events past the step that a training goes on from are
/// cut; metrics of epochs before, which the file lacks, are taken from the run's metrics.csv, `metrics`.
std::unique_ptr<TrainingObserver> observe_for_tensorboard(Experiment& experiment, const std::string& file,
                                                          const std::string& metrics);

}  // namespace sluice
