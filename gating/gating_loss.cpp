// The term of the training loss that makes gates close: it pulls thresholds towards a target (Hua et al., NeurIPS 2019,
// section 3.3; Zhang et al., ICLR 2020, section 3.3; a higher threshold skips more), or what the network costs.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/graph/network.hpp"
#include "gating/cost_target.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

/// By which a layer says what its published loss is: "norm", or else squares.
constexpr const char* kFormAttribute = "gating_loss_form";

/// Over the gated layers l, with D_l = sum over channels of (threshold - target)^2 and weights w_l:
///   squares: penalty * sum of w_l D_l          (channel gating)
///   norm:    penalty * sum of w_l sqrt(D_l)    (precision gating)
///   cost:    see CostTarget; nothing of thresholds
/// w_l = 1; or, with penalty_by_cost, the layer's multiply-adds over the mean of all gated layers', so that the target
/// speaks of the network's cost. Thresholds are the parameters of group `threshold`; shared ones count once, with the
/// multiply-adds of all their layers.
class GatingLoss : public AuxiliaryLoss {
 public:
  explicit GatingLoss(Keys& keys) {
    keys.choice("form", form_,
                {{"auto", Form::kAuto}, {"squares", Form::kSquares}, {"norm", Form::kNorm}, {"cost", Form::kCost}},
                "squares, norm: of the thresholds' distance to target; auto: norm for pg_conv, squares for other "
                "layers, as published; cost: of the network's cost to cost_target");
    const bool by_cost = form_ == Form::kCost;
    if (by_cost && !keys.documenting()) {
      keys.idle({"target", "penalty", "penalty_by_cost"}, "form = cost");
    } else {
      keys.optional("target", target_, any_number(), "what thresholds are pulled to");
      keys.optional("penalty", penalty_, at_least(0.0), "strength of the pull");
      keys.optional("penalty_by_cost", by_cost_, "weight each layer by its multiply-adds");
    }
    if (by_cost || keys.documenting()) {
      cost_.describe(keys);
    } else {
      keys.idle({"cost_target", "cost_penalty", "ramp_epochs"}, "another form than cost");
    }
  }

  void bind(const Network& network) override {
    if (form_ == Form::kCost) return cost_.bind(network);
    double macs = 0;
    for (const Parameter& p : network.parameters()) {
      if (p.group != kThreshold) continue;
      Term term{p.offset, p.shape.count(), 0.0, form_ == Form::kNorm};
      for (const std::string& user : p.users) {
        const Node& node = network.nodes()[static_cast<std::size_t>(network.find(user))];
        if (form_ == Form::kAuto) term.norm = node.layer->attributes().get<std::string>(kFormAttribute) == "norm";
        for (const CostTerm& cost : node.declared.costs)
          term.weight += cost.refines ? 0.0 : static_cast<double>(cost.macs);
      }
      macs += term.weight;
      terms_.push_back(term);
    }
    for (Term& term : terms_)
      term.weight = by_cost_ && macs > 0 ? term.weight * static_cast<double>(terms_.size()) / macs : 1.0;
  }

  bool applies() const override { return form_ == Form::kCost ? cost_.applies() : !terms_.empty(); }
  bool wants_counts() const override { return form_ == Form::kCost; }

  void compare(const Network& network, double epochs, const CountsByNode& evaluated,
               const CountsByNode& trained) override {
    cost_.compare(network, epochs, evaluated, trained);
  }
  std::map<std::string, double> memory() const override { return cost_.memory(); }
  void set_memory(const std::map<std::string, double>& memory) override { cost_.set_memory(memory); }

  double forward(const Network& network, const AuxiliaryStep& step) override {
    if (form_ == Form::kCost) return cost_.forward(network, step);
    double loss = 0;
    for (const Term& term : terms_) {
      const double distance = squared_distance(network, term);
      loss += penalty_ * term.weight * (term.norm ? std::sqrt(distance) : distance);
    }
    return loss;
  }

  std::vector<std::string> advice_on_ramp(double epochs) const {
    return form_ == Form::kCost ? cost_.advice_on_ramp(epochs) : std::vector<std::string>();
  }

  std::vector<std::string> advice_on_target(const Network& network, const AuxiliaryStep& last) const {
    if (form_ == Form::kCost) return cost_.advice_on_target(network, last);
    if (starts_measured(network)) return {};
    const double start = mean(network, [](const Parameter& p, std::int64_t) { return p.init.value; });
    const double end = mean(network, [&](const Parameter& p, std::int64_t i) {
      return static_cast<double>(network.parameter_data()[p.offset + i]);
    });
    const double way = target_ - start, share = (end - start) / way;
    if (penalty_ == 0 || std::abs(way) < kNear || share >= 0.5) return {};
    const double times = times_stronger(std::max(share, 0.0));
    const std::string found =
        concat("thresholds are ", fixed(end, 2), " on average, where [gating_loss] target is ", target_,
               " and threshold_init ", fixed(start, 2), ": the pull was too weak, or too short; ");
    if (!(times <= kMostTimes))
      return {concat(found, "a penalty more than ", kMostTimes, " times as large (it was ", penalty_,
                     "), or training more than ", kMostTimes, " times as long, would bring them near it")};
    return {concat(found, "a penalty of ", two_digits(times * penalty_), " (it was ", penalty_, "), or training ",
                   two_digits(times), " times as long, would bring them near it")};
  }

  void backward(const Network& network, const AuxiliaryStep& step, float* diff_params,
                CountGradients& diff_counts) override {
    if (form_ == Form::kCost) return cost_.backward(network, step, diff_counts);
    for (const Term& term : terms_) {
      // The norm has no gradient at the target itself; 0 is one of its subgradients.
      const double norm = term.norm ? std::sqrt(squared_distance(network, term)) : 0.5;
      const double factor = norm > 0 ? penalty_ * term.weight / norm : 0.0;
      const float* const thresholds = network.parameter_data() + term.offset;
      for (std::int64_t i = 0; i < term.count; ++i)
        diff_params[term.offset + i] += static_cast<float>(factor * (static_cast<double>(thresholds[i]) - target_));
    }
  }

 private:
  enum class Form { kAuto, kSquares, kNorm, kCost };
  /// One layer's thresholds.
  struct Term {
    std::int64_t offset, count;
    double weight;
    bool norm;
  };

  static constexpr double kNear = 0.1;  // of the target, where nobody wants advice
  static constexpr double kMostTimes = 99;
  static constexpr double kWanted = 0.9;  // of the way

  /// Where thresholds began is not known.
  static bool starts_measured(const Network& network) {
    const std::vector<Parameter>& all = network.parameters();
    return std::any_of(all.begin(), all.end(), [](const Parameter& p) {
      return p.group == kThreshold && p.init.kind == Init::Kind::kMeasured;
    });
  }

  /// Over all thresholds.
  template <class Value>
  double mean(const Network& network, const Value& value) const {
    double sum = 0, count = 0;
    for (const Parameter& p : network.parameters()) {
      if (p.group != kThreshold) continue;
      for (std::int64_t i = 0; i < p.shape.count(); ++i) sum += value(p, i);
      count += static_cast<double>(p.shape.count());
    }
    return sum / count;
  }

  /// By which the pull that brought thresholds `share` of the way would bring them kWanted of it, were it the only one:
  /// squares pull in proportion to what is left of the way, norms alike all along.
  double times_stronger(double share) const {
    const bool norms = std::all_of(terms_.begin(), terms_.end(), [](const Term& term) { return term.norm; });
    return norms ? kWanted / share : std::log(1 - kWanted) / std::log(1 - share);
  }

  double squared_distance(const Network& network, const Term& term) const {
    const float* const thresholds = network.parameter_data() + term.offset;
    double sum = 0;
    for (std::int64_t i = 0; i < term.count; ++i) {
      const double d = static_cast<double>(thresholds[i]) - target_;
      sum += d * d;
    }
    return sum;
  }

  double target_ = 1.0, penalty_ = 1e-4;
  Form form_ = Form::kAuto;
  bool by_cost_ = false;
  CostTarget cost_;
  std::vector<Term> terms_;
};

/// Null where the network has none.
const GatingLoss* gating_loss_of(const Network& network) {
  for (const auto& [name, loss] : network.auxiliary_losses())
    if (const auto* const gating = dynamic_cast<const GatingLoss*>(loss.get())) return gating;
  return nullptr;
}

}  // namespace

std::vector<std::string> advice_on_ramp(const Network& network, double epochs) {
  const GatingLoss* const loss = gating_loss_of(network);
  return loss != nullptr ? loss->advice_on_ramp(epochs) : std::vector<std::string>();
}

std::vector<std::string> advice_on_target(const Network& network, const AuxiliaryStep& last) {
  const GatingLoss* const loss = gating_loss_of(network);
  return loss != nullptr ? loss->advice_on_target(network, last) : std::vector<std::string>();
}

std::unique_ptr<AuxiliaryLoss> make_gating_loss(Keys& keys) {
  return std::make_unique<GatingLoss>(keys);
}

}  // namespace sluice
