// Encoded pictures in an HDF5 file, as sluice-pack writes them: decoded while training.
#pragma once

#include <memory>

#include "core/data/formats.hpp"
#include "core/data/remote_images.hpp"

namespace sluice {

/// The file is open, and holds encoded pictures. Throws Error(kData).
std::unique_ptr<Dataset> make_packed(const DataOptions& options, Classes classes, std::unique_ptr<RemoteImages> file);

}  // namespace sluice
