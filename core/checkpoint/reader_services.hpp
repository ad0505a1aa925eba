// What a reader does with checkpoints and other files of tensors (core/reader/service.hpp).
#pragma once

#include <memory>

#include "core/reader/service.hpp"

namespace sluice {

// None of them shares memory.
std::unique_ptr<ReaderService> make_checkpoint_service(int);  ///< for `load`
std::unique_ptr<ReaderService> make_inspect_service(int);     ///< for `inspect`
std::unique_ptr<ReaderService> make_tensor_service(int);      ///< for ForeignFile

}  // namespace sluice
