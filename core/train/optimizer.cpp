// The update loops: one pass over parameters, gradients and state, in pieces that do not depend on the threads.
#include "core/train/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kPieceElements = 16384;      // four arrays of it fit a second-level cache
constexpr std::int64_t kParallelElements = 100000;  // below it, waking the pool costs more than it saves

double sum_of_squares(const float* values, std::int64_t count) {
  constexpr int kLanes = 8;  // independent sums, so that the loop vectorises
  double lanes[kLanes] = {};
  const std::int64_t whole = count - count % kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const double value = values[i + j];
      lanes[j] += value * value;
    }
  for (std::int64_t i = whole; i < count; ++i) lanes[0] += double{values[i]} * values[i];
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

/// Gradient after clipping; a NaN stays a NaN.
inline float clipped(float gradient, float scale, float limit) {
  const float g = gradient * scale;
  const float below = g > limit ? limit : g;
  return below < -limit ? -limit : below;
}

template <bool kNesterov>
void sgd(float* __restrict w, float* __restrict v, const float* __restrict grads, std::int64_t count, float lr,
         float decay, float momentum, float scale, float limit) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = clipped(grads[i], scale, limit) + decay * w[i];
    v[i] = momentum * v[i] + g;
    w[i] -= lr * (kNesterov ? g + momentum * v[i] : v[i]);
  }
}

void plain_sgd(float* __restrict w, const float* __restrict grads, std::int64_t count, float lr, float decay,
               float scale, float limit) {
  for (std::int64_t i = 0; i < count; ++i) w[i] -= lr * (clipped(grads[i], scale, limit) + decay * w[i]);
}

void lars(float* __restrict w, float* __restrict v, const float* __restrict grads, std::int64_t count, float rate,
          float decay, float momentum, float scale) {
  for (std::int64_t i = 0; i < count; ++i) {
    v[i] = momentum * v[i] + rate * (grads[i] * scale + decay * w[i]);
    w[i] -= v[i];
  }
}

/// Constants of one AdamW step.
struct AdamConstants {
  float keep;       ///< 1 - lr * weight decay
  float step_size;  ///< lr / (1 - beta1^t)
  float root;       ///< 1 / sqrt(1 - beta2^t)
  float beta1, rest1, beta2, rest2, eps;
};

void adamw(float* __restrict w, float* __restrict m, float* __restrict v, const float* __restrict grads,
           std::int64_t count, const AdamConstants& c, float scale, float limit) {
  const AdamConstants k = c;
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = clipped(grads[i], scale, limit);
    m[i] = k.beta1 * m[i] + k.rest1 * g;
    v[i] = k.beta2 * v[i] + k.rest2 * g * g;
    w[i] = w[i] * k.keep - k.step_size * (m[i] / (std::sqrt(v[i]) * k.root + k.eps));
  }
}

float limit_of(double clip_value) {
  return clip_value > 0 ? static_cast<float>(clip_value) : std::numeric_limits<float>::infinity();
}

void check_ranges(std::vector<ParameterRange> ranges, std::int64_t total) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  std::int64_t end = 0;
  for (const ParameterRange& range : ranges) {
    if (range.offset < end || range.count < 0 || range.offset + range.count > total)
      throw Error(ExitCode::kInternal, concat("parameter ", range.name, ": [", range.offset, ", ",
                                              range.offset + range.count, ") overlaps or leaves the arena of ", total));
    end = range.offset + range.count;
  }
}

}  // namespace

const ParameterRange* first_non_finite(const std::vector<ParameterRange>& ranges, const float* arena) {
  for (const ParameterRange& range : ranges)
    if (!std::isfinite(sum_of_squares(arena + range.offset, range.count))) return &range;
  return nullptr;
}

Optimizer::Optimizer(const OptimizerOptions& options, std::vector<ParameterRange> ranges, std::int64_t total)
    : options_(options), ranges_(std::move(ranges)) {
  check_ranges(ranges_, total);
  make_pieces();
  if (options_.type == OptimizerOptions::Type::kAdamW) {
    add_state("exp_avg", total);
    add_state("exp_avg_sq", total);
  } else if (options_.momentum > 0 || options_.type == OptimizerOptions::Type::kLars) {
    add_state("momentum", total);
  }
}

void Optimizer::make_pieces() {
  for (std::size_t r = 0; r < ranges_.size(); ++r) {
    const ParameterRange& range = ranges_[r];
    const GroupOptions group = options_.group(range.group);
    for (std::int64_t done = 0; done < range.count; done += kPieceElements) {
      const std::int64_t count = std::min(kPieceElements, range.count - done);
      pieces_.push_back({range.offset + done, count, elements_, r, group.lr_scale, group.weight_decay});
      elements_ += count;
    }
  }
  sums_.resize(pieces_.size());
}

void Optimizer::add_state(const char* name, std::int64_t total) {
  buffers_.emplace_back(total * static_cast<std::int64_t>(sizeof(float)));
  states_.push_back({name, buffers_.back().as<float>(), total});
}

// A piece is done by the thread whose share of the elements holds its first one.
template <class Body>
void Optimizer::for_pieces(Body&& body) {
  const std::int64_t grain = elements_ < kParallelElements ? elements_ : kPieceElements;
  parallel_for(elements_, grain, [&](std::int64_t begin, std::int64_t end) {
    auto piece = std::lower_bound(pieces_.begin(), pieces_.end(), begin,
                                  [](const Piece& p, std::int64_t start) { return p.start < start; });
    for (; piece != pieces_.end() && piece->start < end; ++piece)
      body(static_cast<std::size_t>(piece - pieces_.begin()));
  });
}

double Optimizer::gradient_norm(const float* grads) {
  for_pieces([&](std::size_t i) { sums_[i] = sum_of_squares(grads + pieces_[i].offset, pieces_[i].count); });
  double sum = 0;
  for (double part : sums_) sum += part;
  return std::sqrt(sum);
}

void Optimizer::step(float* params, const float* grads, double lr, std::optional<double> gradient_norm) {
  float scale = 1;
  if (options_.clip_norm > 0) {
    const double norm = gradient_norm ? *gradient_norm : this->gradient_norm(grads);
    if (!std::isfinite(norm)) {
      const ParameterRange* bad = first_non_finite(ranges_, grads);
      throw Error(ExitCode::kDiverged, concat("the gradient of ", bad == nullptr ? "the network" : bad->name,
                                              " is not finite: cannot clip it to norm ", options_.clip_norm));
    }
    scale = static_cast<float>(std::min(1.0, options_.clip_norm / (norm + 1e-6)));
  }
  ++steps_;
  using Type = OptimizerOptions::Type;
  if (options_.type == Type::kLars) find_local_rates(params, grads, scale);
  for_pieces([&](std::size_t i) {
    switch (options_.type) {
      case Type::kSgd:
        return step_sgd(pieces_[i], params, grads, lr, scale);
      case Type::kAdamW:
        return step_adamw(pieces_[i], params, grads, lr, scale);
      case Type::kLars:
        return step_lars(pieces_[i], params, grads, lr, scale);
    }
  });
}

void Optimizer::step_sgd(const Piece& piece, float* params, const float* grads, double lr, float scale) const {
  float* w = params + piece.offset;
  const float* g = grads + piece.offset;
  const auto rate = static_cast<float>(lr * piece.lr_scale);
  const auto decay = static_cast<float>(piece.weight_decay);
  const auto momentum = static_cast<float>(options_.momentum);
  const float limit = limit_of(options_.clip_value);
  if (states_.empty()) return plain_sgd(w, g, piece.count, rate, decay, scale, limit);
  float* v = states_[0].data + piece.offset;
  if (options_.nesterov)
    sgd<true>(w, v, g, piece.count, rate, decay, momentum, scale, limit);
  else
    sgd<false>(w, v, g, piece.count, rate, decay, momentum, scale, limit);
}

void Optimizer::step_adamw(const Piece& piece, float* params, const float* grads, double lr, float scale) const {
  const double rate = lr * piece.lr_scale;
  const double beta1 = options_.betas[0], beta2 = options_.betas[1];
  const auto t = static_cast<double>(steps_);
  const auto constant = [](double value) { return static_cast<float>(value); };
  const AdamConstants constants = {constant(1 - rate * piece.weight_decay),
                                   constant(rate / (1 - std::pow(beta1, t))),
                                   constant(1 / std::sqrt(1 - std::pow(beta2, t))),
                                   constant(beta1),
                                   constant(1 - beta1),
                                   constant(beta2),
                                   constant(1 - beta2),
                                   constant(options_.eps)};
  adamw(params + piece.offset, states_[0].data + piece.offset, states_[1].data + piece.offset, grads + piece.offset,
        piece.count, constants, scale, limit_of(options_.clip_value));
}

/// From the norms of each range's parameters and gradients.
void Optimizer::find_local_rates(const float* params, const float* grads, float scale) {
  weight_sums_.resize(pieces_.size());
  for_pieces([&](std::size_t i) {
    sums_[i] = sum_of_squares(grads + pieces_[i].offset, pieces_[i].count);
    weight_sums_[i] = sum_of_squares(params + pieces_[i].offset, pieces_[i].count);
  });
  local_rates_.assign(ranges_.size(), 1.0);
  for (std::size_t i = 0; i < pieces_.size();) {
    const Piece& first = pieces_[i];
    double gradient = 0, weight = 0;
    for (; i < pieces_.size() && pieces_[i].range == first.range; ++i) {
      gradient += sums_[i];
      weight += weight_sums_[i];
    }
    const double norm = std::sqrt(weight);
    const double divisor = static_cast<double>(scale) * std::sqrt(gradient) + first.weight_decay * norm;
    const std::vector<std::string>& plain = options_.no_decay;
    const bool local = std::find(plain.begin(), plain.end(), ranges_[first.range].group) == plain.end();
    if (local && gradient > 0 && weight > 0) local_rates_[first.range] = options_.trust * norm / divisor;
  }
}

void Optimizer::step_lars(const Piece& piece, float* params, const float* grads, double lr, float scale) const {
  lars(params + piece.offset, states_[0].data + piece.offset, grads + piece.offset, piece.count,
       static_cast<float>(lr * piece.lr_scale * local_rates_[piece.range]), static_cast<float>(piece.weight_decay),
       static_cast<float>(options_.momentum), scale);
}

}  // namespace sluice
