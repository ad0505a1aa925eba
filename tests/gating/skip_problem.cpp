#include "tests/gating/skip_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "core/base/random.hpp"

namespace sluice {
namespace {

constexpr float kSrcScale = 0.02F;  // clips what is above 2.54
constexpr float kDstScale = 0.03F, kAddendScale = 0.01F;
constexpr float kLow = -0.75F, kHigh = 1.25F;

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

double element(const TensorDesc& desc, const void* data, std::int64_t at) {
  if (desc.type == DataType::kU8)
    return static_cast<double>(desc.scale) * static_cast<double>(static_cast<const std::uint8_t*>(data)[at]);
  return static_cast<double>(desc.type == DataType::kBF16 ? widen(static_cast<const BFloat16*>(data)[at])
                                                          : static_cast<const float*>(data)[at]);
}

void set_element(const TensorDesc& desc, void* data, std::int64_t at, double value) {
  if (desc.type == DataType::kU8) {
    const double level = std::clamp(std::nearbyint(value / static_cast<double>(desc.scale)), 0.0, 127.0);
    static_cast<std::uint8_t*>(data)[at] = static_cast<std::uint8_t>(level);
    return;
  }
  if (desc.type == DataType::kBF16) return narrow(static_cast<float>(value), static_cast<BFloat16*>(data)[at]);
  static_cast<float*>(data)[at] = static_cast<float>(value);
}

Buffer random_activation(const TensorDesc& desc, Random& random, bool integers, bool nonnegative = false) {
  Buffer buffer(desc.bytes());
  for (std::int64_t i = 0; i < desc.count(); ++i) {
    const double number = random.normal(), value = nonnegative ? std::max(number, 0.0) : number;
    set_element(desc, buffer.data(), i, integers ? std::nearbyint(2 * value) : value);
  }
  return buffer;
}

std::vector<float> random_numbers(std::int64_t count, Random& random, double scale, double shift) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.normal() * scale + shift));
  values.shrink_to_fit();
  return values;
}

/// A number with about `share` of the values above it, in the widest gap near there.
double threshold(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  if (share <= 0) return values.back() + 1;
  if (share >= 1) return values.front() - 1;
  const auto count = static_cast<std::int64_t>(values.size());
  const std::int64_t wanted =
      std::clamp<std::int64_t>(std::llround((1 - share) * static_cast<double>(count)), 1, count - 1);
  std::int64_t best = wanted;
  const auto gap = [&](std::int64_t i) { return values[index(i)] - values[index(i - 1)]; };
  for (std::int64_t i = std::max<std::int64_t>(1, wanted - 3); i <= std::min(count - 1, wanted + 3); ++i) {
    if (gap(i) > gap(best)) best = i;
  }
  return (values[index(best)] + values[index(best - 1)]) / 2;
}

}  // namespace

std::string to_string(const SkipCase& c) {
  std::ostringstream out;
  out << c.images << "x" << c.inputs << "x" << c.height << "x" << c.width << " to " << c.outputs << ", kernel "
      << c.kernel << " stride " << c.stride << " pad " << c.pad << " dilation " << c.dilation << ", p " << c.partitions
      << (c.group ? " group" : "") << (c.shuffle ? " shuffle" : "") << ", granularity "
      << static_cast<int>(c.granularity) << ", density " << c.density << ", lanes_from " << c.lanes_from
      << (c.int8 ? ", int8" : "");
  return out.str();
}

SkipData::SkipData(const SkipCase& c) : case_(c) {
  ConvGeometry g = problem().geometry;
  src_desc_ = {{c.images, c.inputs, c.height, c.width}, c.src_type, c.src_block == 0 ? c.inputs : c.src_block};
  dst_desc_ = {g.dst_shape(src_desc_.shape), c.dst_type, c.dst_block == 0 ? c.outputs : c.dst_block};
  addend_desc_ = dst_desc_;
  addend_desc_.type = c.addend_type.value_or(c.dst_type);
  src_desc_.scale = kSrcScale;
  dst_desc_.scale = kDstScale;
  addend_desc_.scale = kAddendScale;
  paths_ = PathMask({c.partitions, c.group, c.shuffle}, g.weights_shape(src_desc_.shape));
  Random random(static_cast<std::uint64_t>(c.inputs * 1000 + c.outputs), Purpose::kTest);
  src_ = random_activation(src_desc_, random, c.integers, c.int8);
  const std::int64_t products = c.inputs * c.kernel * c.kernel;
  weights_ = random_numbers(c.outputs * products, random, 1 / std::sqrt(static_cast<double>(products)), 0);
  if (c.integers) {
    for (float& w : weights_) w = std::nearbyint(static_cast<float>(random.normal()));
  }
  round_weights();
  make_products();
  slope_ = random_numbers(c.outputs, random, 0, 1);
  for (float& slope : slope_) slope = static_cast<float>(0.5 + random.uniform());
  open_scale_ = random_numbers(c.outputs, random, 0.5, 1);
  open_shift_ = random_numbers(c.outputs, random, 0.5, 0);
  closed_scale_ = random_numbers(c.outputs, random, 0.5, 1);
  closed_shift_ = random_numbers(c.outputs, random, 0.5, 0);
  limit_.resize(index(c.outputs));
  set_density(c.density);
}

SkipProblem SkipData::problem() const {
  SkipProblem p;
  p.geometry.channels = case_.outputs;
  p.geometry.kernel = case_.kernel;
  p.geometry.stride = case_.stride;
  p.geometry.pad = case_.pad;
  p.geometry.dilation = case_.dilation;
  p.src = src_desc_;
  p.dst = dst_desc_;
  p.paths = paths_;
  p.granularity = case_.granularity;
  p.src_scale = case_.int8 ? kSrcScale : 0;
  if (case_.adds) p.addend = addend_desc_;
  if (case_.clips) {
    p.low = kLow;
    p.high = kHigh;
  }
  p.allow_winograd = case_.allow_winograd;
  p.lanes_from = case_.lanes_from;
  return p;
}

SkipConstants SkipData::constants() const {
  SkipConstants constants;
  constants.gate = {limit_.data(), case_.granularity == Granularity::kElement ? nullptr : slope_.data()};
  if (!case_.norms) return constants;
  constants.open_scale = open_scale_.data();
  constants.open_shift = open_shift_.data();
  constants.closed_scale = closed_scale_.data();
  constants.closed_shift = closed_shift_.data();
  return constants;
}

void SkipData::round_weights() {
  rounded_.assign(weights_.begin(), weights_.end());
  if (!case_.int8) return;
  const std::size_t size = weights_.size() / index(case_.outputs);
  for (std::size_t first = 0; first < weights_.size(); first += size) {
    float most = 0;
    for (std::size_t i = first; i < first + size; ++i) most = std::max(most, std::abs(weights_[i]));
    const float scale = most / 127;
    for (std::size_t i = first; i < first + size; ++i)
      rounded_[i] = static_cast<double>(scale) * static_cast<double>(std::nearbyint(weights_[i] / scale));
  }
}

void SkipData::make_products() {
  const SkipCase& c = case_;
  base_.assign(index(dst_desc_.count()), 0);
  conditional_ = base_;
  const Shape& dst = dst_desc_.shape;
  for (std::int64_t at = 0; at < dst_desc_.count(); ++at) {
    const std::int64_t x = at % dst[kW], y = at / dst[kW] % dst[kH], o = at / dst[kW] / dst[kH] % dst[kC];
    const std::int64_t n = at / dst[kW] / dst[kH] / dst[kC];
    for (std::int64_t tap = 0; tap < c.kernel * c.kernel; ++tap) {
      const std::int64_t h = y * c.stride - c.pad + tap / c.kernel * c.dilation;
      const std::int64_t w = x * c.stride - c.pad + tap % c.kernel * c.dilation;
      if (h < 0 || w < 0 || h >= c.height || w >= c.width) continue;
      for (std::int64_t i = 0; i < c.inputs; ++i) {
        double value = element(src_desc_, src_.data(), src_desc_.offset(n, paths_.source_channel(i), h, w));
        if (c.int8) {
          const float level = std::nearbyint(static_cast<float>(value) * (1 / kSrcScale));
          value = static_cast<double>(kSrcScale) * std::min(127.0, static_cast<double>(level));
        }
        const double weight = rounded_[index((o * c.inputs + i) * c.kernel * c.kernel + tap)];
        (paths_.is_base(o, i) ? base_ : conditional_)[index(at)] += weight * value;
      }
    }
  }
}

std::int64_t SkipData::slice_width() const {
  return case_.granularity == Granularity::kElement ? 1 : case_.granularity == Granularity::kSlice ? 16 : case_.outputs;
}

std::vector<double> SkipData::scores(std::int64_t first, std::int64_t end) const {
  const Shape& dst = dst_desc_.shape;
  const std::int64_t plane = dst[kH] * dst[kW];
  std::vector<double> scores(index(dst[kN] * plane));
  for (std::int64_t i = 0; i < dst[kN] * plane; ++i) {
    for (std::int64_t o = first; o < end; ++o) {
      const double distance =
          base_[index((i / plane * dst[kC] + o) * plane + i % plane)] - static_cast<double>(limit_[index(o)]);
      scores[index(i)] += distance * (slice_width() == 1 ? 1 : static_cast<double>(slope_[index(o)]));
    }
  }
  return scores;
}

void SkipData::set_density(double density) {
  for (std::int64_t first = 0; first < case_.outputs; first += slice_width()) {
    const std::int64_t end = std::min(first + slice_width(), case_.outputs);
    for (std::int64_t o = first; o < end; ++o) limit_[index(o)] = 0.05F * static_cast<float>(o % 3);
    const double slope = slice_width() == 1 ? 1 : static_cast<double>(slope_[index(first)]);
    limit_[index(first)] += static_cast<float>(threshold(scores(first, end), density) / slope);
  }
}

/// As given, it has been rounded already.
double SkipData::whole(std::size_t at) const {
  const double sum = base_[at] + conditional_[at];
  if (case_.lanes_from != SkipProblem::kGiven || case_.dst_type != DataType::kBF16) return sum;
  BFloat16 rounded;
  narrow(static_cast<float>(sum), rounded);
  return static_cast<double>(widen(rounded));
}

double SkipData::expected(std::int64_t channel, std::size_t at, bool open, double addend) const {
  const double product = open ? whole(at) : base_[at];
  double value = product;
  if (case_.norms) {
    const auto& scale = open ? open_scale_ : closed_scale_;
    const auto& shift = open ? open_shift_ : closed_shift_;
    value = product * static_cast<double>(scale[index(channel)]) + static_cast<double>(shift[index(channel)]);
  }
  value += addend;
  return case_.clips ? std::clamp(value, static_cast<double>(kLow), static_cast<double>(kHigh)) : value;
}

std::string SkipData::compare_results(const Buffer& dst, const Buffer& addend, double rounding) const {
  const Shape& shape = dst_desc_.shape;
  const std::int64_t plane = shape[kH] * shape[kW];
  const double scale = dst_desc_.type == DataType::kU8 ? static_cast<double>(dst_desc_.scale) : 0;
  const double half = scale / 2, most = 127 * scale;
  for (std::int64_t first = 0; first < case_.outputs; first += slice_width()) {
    const std::int64_t end = std::min(first + slice_width(), case_.outputs);
    const std::vector<double> score = scores(first, end);
    for (std::int64_t i = 0; i < shape[kN] * plane; ++i) {
      for (std::int64_t o = first; o < end; ++o) {
        const std::int64_t n = i / plane, y = i % plane / shape[kW], x = i % shape[kW];
        const std::int64_t at = dst_desc_.offset(n, o, y, x);
        const double before = case_.adds ? element(addend_desc_, addend.data(), at) : 0;
        double want = expected(o, index((n * shape[kC] + o) * plane + i % plane), score[index(i)] > 0, before);
        const double got = element(dst_desc_, dst.data(), at);
        if (dst_desc_.type == DataType::kU8) want = std::clamp(want, 0.0, most);
        if (std::abs(got - want) <= half + rounding * (1 + std::abs(want))) continue;
        std::ostringstream out;
        out << "image " << n << ", channel " << o << ", row " << y << ", column " << x << ": got " << got
            << ", expected " << want << (score[index(i)] > 0 ? " (open)" : " (closed)");
        return out.str();
      }
    }
  }
  return "";
}

/// Of both paths, like the result; empty unless the way wants it.
Buffer SkipData::given() const {
  if (case_.lanes_from != SkipProblem::kGiven) return {};
  Buffer given(dst_desc_.bytes());
  const Shape& dst = dst_desc_.shape;
  const std::int64_t plane = dst[kH] * dst[kW];
  for (std::int64_t at = 0; at < dst_desc_.count(); ++at) {
    const std::int64_t n = at / plane / dst[kC], o = at / plane % dst[kC], y = at % plane / dst[kW], x = at % dst[kW];
    set_element(dst_desc_, given.data(), dst_desc_.offset(n, o, y, x), whole(index(at)));
  }
  return given;
}

std::string SkipData::compare(SkipConv conv) const {
  Random random(7, Purpose::kTest);
  const Buffer addend = random_activation(addend_desc_, random, case_.integers);
  SlotBook book;
  conv.book(book.scratch(), book.scratch());
  const Buffer dst(dst_desc_.bytes()), packed(conv.packed_count() * 4), scratch(book.scratch_bytes());
  const Memory memory(nullptr, scratch.at(0), nullptr);
  // Whatever stands in memory must not matter.
  std::memset(scratch.data(), 0xff, index(scratch.bytes()));
  std::memset(dst.data(), 0xff, index(dst.bytes()));
  conv.pack(memory, weights_.data(), packed.as<float>());
  if (case_.in_place) std::memcpy(dst.data(), addend.data(), index(dst.bytes()));
  const void* const added = case_.in_place ? dst.data() : addend.data();
  const Buffer products = given();
  const std::int64_t open = conv.run(memory, src_.data(), packed.as<float>(), constants(), case_.adds ? added : nullptr,
                                     dst.data(), products.data());
  std::int64_t want = 0;
  for (std::int64_t first = 0; first < case_.outputs; first += slice_width()) {
    const std::int64_t end = std::min(first + slice_width(), case_.outputs);
    for (double score : scores(first, end)) want += score > 0 ? end - first : 0;
  }
  const bool winograd = conv.kernel().find(":wino") != std::string::npos;
  const double direct = case_.integers ? 0 : 4e-6;
  const double rounding = case_.dst_type == DataType::kBF16 ? 1.0 / 256 : winograd ? 1e-5 : direct;
  const std::string wrong = compare_results(dst, addend, rounding);
  if (!wrong.empty()) return to_string(case_) + ": " + wrong;
  if (open == want) return "";
  return to_string(case_) + ": " + std::to_string(open) + " gates are said to be open, not " + std::to_string(want);
}

}  // namespace sluice
