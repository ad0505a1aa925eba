// Accuracies are shares from 0 to 1. Before format 1.5 they were written per cent.
#pragma once

#include <string>

namespace sluice {

struct Checkpoint;

constexpr int kFirstMinorWithShares = 5;

/// Puts shares in the place of what a file of before says: in the history, in what early stopping remembers, and in the
/// configuration.
void make_shares(Checkpoint& checkpoint);

/// The same of `[early_stopping] min_delta` in a resolved configuration, where the metric is an accuracy.
void make_min_delta_a_share(std::string& configuration);

}  // namespace sluice
