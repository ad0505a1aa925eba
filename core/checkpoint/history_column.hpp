// What the name of a column of metrics says.
#pragma once

#include <string>

namespace sluice {

/// It is about one layer, "val_density/conv1": people who read a whole run do not want all of these.
inline bool is_of_layer(const std::string& column) {
  return column.find('/') != std::string::npos;
}

/// "train_accuracy", "val_top5_accuracy": a share from 0 to 1.
bool is_accuracy(const std::string& column);

/// "gate_density", "val_sparsity", "val_density/conv1": a share from 0 to 1.
bool is_density(const std::string& column);

/// "flop_reduction", "val_flop_reduction": 1 over the cost, the share of the dense multiply-adds that is executed.
bool is_flop_reduction(const std::string& column);

/// The column that this one is 1 minus of: "val_gate_density" of "val_sparsity"; "" of others.
std::string complement_of(const std::string& column);

/// "macs_executed", "val_macs_executed": the multiply-adds of an image.
bool is_work(const std::string& column);
/// The column of the cost beside a column of work: "val_flop_reduction" of "val_macs_executed".
std::string cost_beside(const std::string& column);

/// A value of the column for people, by the rules of core/base/units.hpp: "91.25 %" of an accuracy, "45.1 %" of a
/// density, "0.4321" of a loss, "18.41 M" of multiply-adds, times in seconds; others with four digits. NaN: "nan".
std::string metric_text(const std::string& column, double value);

/// What tables and lines show of a column: "val_density" for "val_gate_density", "val_cost" for "val_flop_reduction",
/// "multiply-adds" for "macs_executed", "bits" for "average_bits"; others under their own names.
std::string shown_name(const std::string& column);
/// The value under that name: of a cost "25.0 %", else metric_text().
std::string shown_text(const std::string& column, double value);

/// A difference between two values of the column that somebody chose, with the digits that it has: "0.1 %", "0.001".
std::string margin_text(const std::string& column, double margin);

}  // namespace sluice
