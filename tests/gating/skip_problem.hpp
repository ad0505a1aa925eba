// Random problems for the convolution that skips, and their results by plain sums in double.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/buffer.hpp"
#include "gating/skip/skip_conv.hpp"

namespace sluice {

struct SkipCase {
  std::int64_t images = 2, inputs = 16, outputs = 16, height = 5, width = 7;
  std::int64_t kernel = 3, stride = 1, pad = 1, dilation = 1;
  std::int64_t partitions = 4;
  bool group = true, shuffle = false;
  Granularity granularity = Granularity::kElement;
  double density = 0.3;  ///< share of open gates, about
  int lanes_from = SkipProblem::kNever;
  std::int64_t src_block = 0, dst_block = 0;                      ///< 0: all channels
  DataType src_type = DataType::kF32, dst_type = DataType::kF32;  ///< a source in kU8 wants `int8`
  std::optional<DataType> addend_type;                            ///< like dst_type
  bool adds = false, in_place = false, clips = false;
  bool norms = false;  ///< scales and shifts of open and of closed outputs, all different
  bool int8 = false;   ///< products of int8, of a source without numbers below 0
  bool allow_winograd = true;
  bool integers = false;  ///< small whole numbers: all sums are exact
};

std::string to_string(const SkipCase& c);

/// Operands of one case. No decision is near its limit, unless all numbers are integers.
class SkipData {
 public:
  explicit SkipData(const SkipCase& c);

  SkipProblem problem() const;
  SkipConstants constants() const;
  const std::vector<float>& weights() const { return weights_; }
  const Buffer& src() const { return src_; }
  void set_lanes_from(int lanes) { case_.lanes_from = lanes; }
  /// Limits for a share of open gates.
  void set_density(double density);

  /// Base product of an output, at its place in N x O x H x W.
  double base(std::size_t at) const { return base_[at]; }
  void set_limit(std::int64_t channel, float limit) { limit_[static_cast<std::size_t>(channel)] = limit; }

  /// Runs it and compares all results and the number of open gates; returns what is wrong, or nothing.
  std::string compare(SkipConv conv) const;

 private:
  std::int64_t slice_width() const;
  void make_products();
  void round_weights();
  double whole(std::size_t at) const;  ///< of both paths
  Buffer given() const;
  std::vector<double> scores(std::int64_t first, std::int64_t end) const;
  double expected(std::int64_t channel, std::size_t at, bool open, double addend) const;
  std::string compare_results(const Buffer& dst, const Buffer& addend, double rounding) const;

  SkipCase case_;
  TensorDesc src_desc_, dst_desc_, addend_desc_;
  PathMask paths_;
  Buffer src_;
  std::vector<float> weights_;
  std::vector<double> rounded_;  ///< the weights that take part
  std::vector<float> limit_, slope_, open_scale_, open_shift_, closed_scale_, closed_shift_;
  std::vector<double> base_, conditional_;  ///< N x O x H x W
};

}  // namespace sluice
