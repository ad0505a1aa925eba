// Computes what a portable graph says, operator by operator, as ONNX defines them: slow, and sharing nothing with
// layers.
#pragma once

#include <map>
#include <string>

#include "core/graph/portable.hpp"
#include "tests/layers/harness/array.hpp"

namespace sluice {

/// The value of every name for these images, N x C x H x W; results are rounded to fp32. Throws std::out_of_range for
/// an operator that it does not know.
std::map<std::string, Array> run_portable(const PortableGraph& graph, const Array& images);

}  // namespace sluice
