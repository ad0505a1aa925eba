#include "core/graph/op.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/text_stream.hpp"

namespace sluice {

Op::~Op() = default;

void Op::backward(const Context&) {
  throw Error(ExitCode::kInternal, "its operation implements no backward");
}

void Ways::refresh(const Context& c) {
  if (static_cast<std::size_t>(c.alternative) >= ops_.size())
    throw Error(ExitCode::kInternal,
                concat("OpNeeds::alternatives names ", c.alternative + 1, " ways to the result, Ways has ", ops_.size(),
                       "; name each that was added"));
  for (const auto& op : ops_) op->refresh(c);
}

bool OpRequest::has(PostOp::Kind kind) const {
  return std::any_of(post_ops.begin(), post_ops.end(), [&](const PostOp& op) { return op.kind == kind; });
}

bool is_reference_kernel(const std::string& kernel) {
  // "ref:any", "ref_int8:any", "gemm:ref"; several names are separated by spaces.
  TextReader names(kernel);
  std::string name;
  while (names >> name) {
    if (name.rfind("ref", 0) == 0 || name.find(":ref") != std::string::npos) return true;
  }
  return false;
}

}  // namespace sluice
