// The keys of the [log] section.
#pragma once

namespace sluice {

class Keys;

/// Keys of `[log]`.
struct LogOptions {
  double interval = 60;      ///< seconds between plain progress lines; 0 = none
  bool tensorboard = false;  ///< event files beside the metrics
  void describe(Keys& keys);
};

}  // namespace sluice
