// How fast the input pipeline makes batches for training when nothing else runs.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "apps/load.hpp"

namespace sluice {

struct DataSpeed {
  std::string set;
  std::int64_t batch = 0, batches = 0;  ///< timed
  double seconds = 0;
  std::int64_t bytes = 0;  ///< of the batches that wait, at most
  double images_per_second() const { return static_cast<double>(batch * batches) / seconds; }
};

/// Times `steps` batches of training images, behind one that is not timed; begins another epoch where one ends. The
/// thread that asks for them helps to make them where images are decoded.
DataSpeed time_data(const Experiment& experiment, const KnownImages& images, std::int64_t steps);

void print_data_speed(std::ostream& out, const DataSpeed& speed);
void print_json_data_speed(std::ostream& out, const DataSpeed& speed);

}  // namespace sluice
