// What the name of a column of metrics says.
#pragma once

#include <string>

namespace sluice {

/// It is about one layer, "val_density/conv1": people who read a whole run do not want all of these.
inline bool is_of_layer(const std::string& column) {
  return column.find('/') != std::string::npos;
}

/// It ends in these words, "_loss", or is them.
bool column_ends_in(const std::string& column, const std::string& words);

/// "train_accuracy", "val_top5_accuracy": a share from 0 to 1.
bool is_accuracy(const std::string& column);

/// A value of the column for people, with four digits: "91.25 %" of an accuracy, else "0.4321".
std::string metric_text(const std::string& column, double value);

}  // namespace sluice
