// ONNX files: a portable graph in the form that other programs read.
#pragma once

#include <map>
#include <string>

#include "core/graph/portable.hpp"

namespace sluice {

/// Versions of ONNX's operators ("opsets") that can be asked for.
constexpr std::int64_t kOldestOpset = 9, kNewestOpset = 25, kUsualOpset = 17;

/// The bytes of a file with the graph. The first dimension of input and answer, the batch, is dynamic. `metadata` is
/// kept in the file as pairs. Throws Error(kUsage) where an operator is not in the opset, or where the model is larger
/// than such a file can be (2 GiB).
std::string onnx_model(const PortableGraph& graph, std::int64_t opset,
                       const std::map<std::string, std::string>& metadata);

/// The file begins as those of onnx_model do.
bool is_onnx_of_sluice(const std::string& path);

}  // namespace sluice
