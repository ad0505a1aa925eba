// What event files say, as TensorBoard understands it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/tensorboard/event.pb.h"
#include "core/picture/picture.hpp"

namespace sluice {

/// The first event of a file.
sluice_events::Event version_event();
/// An event of now, without values.
sluice_events::Event event_at(std::int64_t step);

void add_scalar(sluice_events::Event& event, const std::string& tag, double value);
/// In thirty buckets of one width from the least to the greatest; values that are not finite are left out.
void add_histogram(sluice_events::Event& event, const std::string& tag, const std::vector<double>& values);
/// Of 1 or 3 channels, as PNG. Throws Error(kEnvironment) where this build has no picture libraries.
void add_image(sluice_events::Event& event, const std::string& tag, const Picture& picture);

/// A configuration as text.
sluice_events::Event configuration_event(std::int64_t step, const std::string& configuration);
/// The configuration that an event holds; empty where it holds something else.
std::string configuration_in(const sluice_events::Event& event);

}  // namespace sluice
