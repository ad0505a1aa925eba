// An event file of TensorBoard: records of a length, its checksum, an event, and the event's checksum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/descriptor.hpp"

namespace sluice_events {
class Event;
}

namespace sluice {

/// Appends events to one file. An event is on its way to the disk when add() returns.
class EventFile {
 public:
  /// Continues the file, or makes it. Events past `last_step`, and what a killed process left unfinished at the end,
  /// are cut first. Throws Error(kEnvironment) where the file cannot be read or written, Error(kCheckpoint) where it is
  /// no event file.
  EventFile(std::string path, std::int64_t last_step);

  /// Throws Error(kEnvironment), after taking back a half-written event, when the disk is full.
  void add(const sluice_events::Event& event);
  /// The last configuration (configuration_event) that the file holds; empty where there is none.
  const std::string& configuration() const { return configuration_; }
  /// The last step of the events that the file held when it was opened; 0 where it held none.
  std::int64_t last_step() const { return last_step_; }

 private:
  std::string path_, configuration_;
  Descriptor file_;
  std::int64_t size_ = 0, last_step_ = 0;
};

}  // namespace sluice
