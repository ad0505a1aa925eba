// SGD, AdamW and LARS over the parameter arena, with hyper-parameters by parameter group and gradient clipping.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/buffer.hpp"

namespace sluice {

class Config;
class Keys;

/// A parameter's place in the arena, in elements.
struct ParameterRange {
  std::string name;   ///< "layer1.0.conv1.weight"
  std::string group;  ///< "weights", "bias", "norm", ...; what the layer declared
  std::int64_t offset = 0;
  std::int64_t count = 0;
};

/// Keys of `[group.NAME]`.
struct GroupOptions {
  double lr_scale = 1;
  double weight_decay = 0;  ///< starts as what `[optimizer]` says for the group
  void describe(Keys& keys);
};

/// Keys of `[optimizer]`. `lr` is the base learning rate that `[schedule]` shapes.
struct OptimizerOptions {
  enum class Type { kSgd, kAdamW, kLars };
  Type type = Type::kSgd;
  double lr = 0.1;
  double momentum = 0.9;                     ///< sgd, lars
  bool nesterov = false;                     ///< sgd
  std::vector<double> betas = {0.9, 0.999};  ///< adamw
  double eps = 1e-8;                         ///< adamw
  double trust = 0.001;                      ///< lars: eta
  double weight_decay = 0;
  std::vector<std::string> no_decay;
  double clip_norm = 0;                        ///< 0 = off
  double clip_value = 0;                       ///< 0 = off
  std::map<std::string, GroupOptions> groups;  ///< from `[group.NAME]`, by name

  void describe(Keys& keys);
  /// Reads `[optimizer]` and every `[group.NAME]`; errors go to the configuration's diagnostics.
  static OptimizerOptions read(Config& config);
  /// Reports every group that `no_decay` or a `[group.NAME]` section names and the network does not have.
  void check_groups(const std::vector<ParameterRange>& ranges, Config& config) const;
  GroupOptions group(const std::string& name) const;
};

/// The first range that holds a NaN or an infinity, or nullptr: names the layer when training diverges.
const ParameterRange* first_non_finite(const std::vector<ParameterRange>& ranges, const float* arena);

/// Updates parameters in place. Semantics of PyTorch (torch.optim.SGD with dampening 0, torch.optim.AdamW): for sgd
/// `d = g + wd*w; v = m*v + d; w -= lr*(nesterov ? d + m*v : v)`; adamw decays weights apart from the gradient.
/// lars is You, Gitman and Ginsburg, "Large Batch Training of Convolutional Networks" (2017, arXiv 1708.03888),
/// equation 6 and algorithm 1: with the local rate `r = trust ||w|| / (||g|| + wd ||w||)` of each parameter's w and g,
/// `v = m*v + lr*r*(g + wd*w); w -= v`; r is 1 where a norm is 0, and for the groups in no_decay (biases and
/// normalisations, whose norms say little).
/// Arithmetic in float; the result does not depend on the number of threads. Nothing is allocated after construction.
class Optimizer {
 public:
  /// `total` = elements of the arenas; ranges may leave gaps but must not overlap (Error kInternal).
  Optimizer(const OptimizerOptions& options, std::vector<ParameterRange> ranges, std::int64_t total);

  /// Euclidean norm of the gradient over all ranges, in double; NaN or infinite if any element is.
  double gradient_norm(const float* grads);
  /// One update with learning rate `lr` (each group's factor is applied here). Needs the norm only for `clip_norm`:
  /// give it where it is known, else it is computed. Throws Error(kDiverged) rather than clip by a norm that is not
  /// finite.
  void step(float* params, const float* grads, double lr, std::optional<double> gradient_norm = {});

  /// What a checkpoint must hold beside the parameters: arrays that are indexed like the arena ("momentum"; "exp_avg",
  /// "exp_avg_sq"), to be written from and restored into, and the number of steps done.
  struct State {
    std::string name;
    float* data;
    std::int64_t count;
  };
  std::vector<State> states() const { return states_; }
  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }
  const std::vector<ParameterRange>& ranges() const { return ranges_; }

 private:
  /// Part of a range (of the ranges), small enough for a cache, with its hyper-parameters.
  struct Piece {
    std::int64_t offset, count;
    std::int64_t start;  ///< elements in the pieces before it
    std::size_t range;
    double lr_scale, weight_decay;
  };
  void make_pieces();
  void add_state(const char* name, std::int64_t total);
  template <class Body>
  void for_pieces(Body&& body);
  void step_sgd(const Piece& piece, float* params, const float* grads, double lr, float scale) const;
  void step_adamw(const Piece& piece, float* params, const float* grads, double lr, float scale) const;
  void find_local_rates(const float* params, const float* grads, float scale);
  void step_lars(const Piece& piece, float* params, const float* grads, double lr, float scale) const;

  OptimizerOptions options_;
  std::vector<ParameterRange> ranges_;
  std::vector<Piece> pieces_;
  std::int64_t elements_ = 0;
  std::vector<double> sums_;                       ///< squared norm of each piece
  std::vector<double> weight_sums_, local_rates_;  ///< lars: of the parameters, and of each range
  std::vector<Buffer> buffers_;
  std::vector<State> states_;
  std::int64_t steps_ = 0;
};

}  // namespace sluice
