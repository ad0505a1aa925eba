// Everything that a reader can be asked.
#pragma once

#include "core/checkpoint/reader_services.hpp"
#include "core/data/hdf5_images.hpp"
#include "core/reader/service.hpp"

namespace sluice {

inline ReaderServices all_reader_services() {
  return {{"checkpoint", make_checkpoint_service},
          {"inspect", make_inspect_service},
          {"tensors", make_tensor_service},
          {"images", make_image_service}};
}

}  // namespace sluice
