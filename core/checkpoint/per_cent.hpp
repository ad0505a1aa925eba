// Accuracies are shares from 0 to 1. Before format 1.5 they were written per cent.
#pragma once

#include <string>
#include <vector>

namespace sluice {

struct Checkpoint;

/// The file is of before.
bool was_per_cent(const Checkpoint& checkpoint);

/// Puts shares in the place of what a file of before says: in the history, in what early stopping remembers, and in the
/// configuration. Others stay as they are.
void make_shares(Checkpoint& checkpoint);

/// The same of a table of before.
void make_shares(const std::vector<std::string>& columns, std::vector<std::vector<double>>& rows);

/// The same of `[early_stopping] min_delta` in a resolved configuration, where the metric is an accuracy.
void make_min_delta_a_share(std::string& configuration);

}  // namespace sluice
