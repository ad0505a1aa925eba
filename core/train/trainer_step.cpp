// One step of a training: forward, backward, what the ranks tell each other, and the update.
#include <algorithm>
#include <cmath>

#include "core/base/parallel.hpp"
#include "core/base/signals.hpp"
#include "core/train/trainer.hpp"

namespace sluice {
namespace {

/// What ranks tell each other, one behind the other; the network's auxiliary losses follow.
enum Told : std::size_t { kBroken, kStopping, kSaving, kDataLoss, kDivergence, kAuxiliary };

double one_if(bool yes) {
  return yes ? 1.0 : 0.0;
}

}  // namespace

void Trainer::step(const Batch& batch) {
  lr_ = schedule_->lr_at(schedule_step());
  const std::int64_t parts = experiment_.train.accumulate;
  weight_ = static_cast<double>(batch.count) / static_cast<double>(batch.whole);
  for (std::int64_t part = 0; part < parts; ++part) differentiate(part_of(batch, part, parts), part);
  float* const gradients = step_gradients();
  position_.gradient_norm = optimizer_->gradient_norm(gradients);
  if (!std::isfinite(position_.gradient_norm)) stop_diverged(position_.gradient_norm, "gradient norm");
  optimizer_->step(network_.parameter_data(), gradients, lr_, position_.gradient_norm);
  executor_->refresh();
  if (ema_ != nullptr) ema_->update(network_.parameter_data(), network_.buffer_data());
  ++position_.step;
  ++position_.batch;
  position_.images += batch.whole;
}

/// Where the gradient of the whole step is.
float* Trainer::step_gradients() const {
  return gradient_sum_.data() != nullptr ? gradient_sum_.as<float>() : executor_->gradients();
}

/// Forward and backward of one part of a step. The last part ends with the means over all ranks, of gradients and of
/// running statistics, so that every rank holds the same network.
void Trainer::differentiate(const BatchPart& batch, std::int64_t part) {
  const std::int64_t parts = experiment_.train.accumulate;
  const bool reduces = reducer_ != nullptr && part + 1 == parts;
  if (teachers_ != nullptr) teachers_->answer(batch);
  if (mixed_loss_ != nullptr) mixed_loss_->set(batch);
  executor_->lend_batch(batch.images, batch.labels);
  executor_->forward(static_cast<std::uint64_t>(position_.step * parts + part));
  if (reduces) reducer_->begin(weight_);
  if (reduces && parts == 1)
    executor_->backward([this](std::int64_t first) { reducer_->advance(first); });
  else
    executor_->backward();
  if (parts > 1) add_part(part);
  if (reduces) reducer_->finish();
  tell(batch.count);
  if (told_[kBroken] > 0) stop_diverged(executor_->loss(), "loss");
}

void Trainer::add_part(std::int64_t part) {
  constexpr std::int64_t kGrain = 65536;
  float* const sum = gradient_sum_.as<float>();
  const float* const own = executor_->gradients();
  const float share = 1.0F / static_cast<float>(experiment_.train.accumulate);
  parallel_for(network_.parameter_count(), kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) sum[i] = (part == 0 ? 0.0F : sum[i]) + share * own[i];
  });
}

/// All that the ranks have to say after a part of a step, in one sum.
void Trainer::tell(std::int64_t count) {
  const auto images = static_cast<double>(count);
  told_.assign({one_if(!std::isfinite(executor_->loss())), one_if(stop_reason().has_value()), one_if(save_due()),
                images * executor_->data_loss(),
                distilled_loss_ != nullptr ? images * distilled_loss_->divergence() : 0.0});
  for (const double loss : executor_->auxiliary_losses()) told_.push_back(images * loss);
  ranks_.sum(told_.data(), static_cast<std::int64_t>(told_.size()));
  position_.loss_sum += told_[kDataLoss];
  position_.divergence_sum += told_[kDivergence];
  for (std::size_t i = 0; i < position_.auxiliary_sums.size(); ++i)
    position_.auxiliary_sums[i] += told_[kAuxiliary + i];
}

double Trainer::schedule_step() const {
  const double done = static_cast<double>(position_.images) / static_cast<double>(experiment_.train.batch);
  const auto per_epoch = static_cast<double>(pipeline_->batches());
  return static_cast<double>(position_.epoch) * per_epoch + std::min(done, per_epoch);
}

/// On some rank something is not finite: all throw what that one says whose network breaks first.
void Trainer::stop_diverged(double value, const char* what) {
  const std::string layer = executor_->find_non_finite(static_cast<std::uint64_t>(position_.step));
  const std::string text = divergence(value, what, layer);
  if (ranks_.size() == 1) throw Error(ExitCode::kDiverged, text);
  const std::vector<Node>& nodes = network_.nodes();
  const auto broken = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) { return node.name == layer; });
  const std::int64_t place = broken - nodes.begin();  // of none: behind all
  std::int64_t first = -place;
  ranks_.largest(&first, 1);
  const int rank = first_rank(ranks_, place == -first);
  throw CommonError(ExitCode::kDiverged,
                    broadcast(ranks_, concat("on ", rank_name(ranks_.rank(), host_name()), ": ", text), rank));
}

std::string Trainer::divergence(double value, const char* what, const std::string& layer) {
  std::string where;
  const std::vector<ParameterRange>& ranges = optimizer_->ranges();
  if (const ParameterRange* range = first_non_finite(ranges, network_.parameter_data())) {
    where = concat("parameter ", range->name, " is not finite");
  } else if (!layer.empty()) {
    where = concat("layer ", layer, " is the first whose result is not finite");
  } else if (const ParameterRange* gradient = first_non_finite(ranges, step_gradients())) {
    where = concat("the gradient of ", gradient->name, " is not finite");
  }
  return concat("training diverged at epoch ", position_.epoch + 1, ", step ", position_.step, ": ", what, " is ",
                value, where.empty() ? "" : "; ", where,
                "; lower optimizer.lr, or add schedule.warmup_epochs or optimizer.clip_norm; the last checkpoint is "
                "untouched");
}

std::optional<std::string> Trainer::stop_reason() const {
  if (const int signal = stop_requested(); signal != 0) return concat("received ", signal_name(signal));
  if (!budget_.step_fits()) return budget_.reason();
  return std::nullopt;
}

/// Why all stop now, if they do.
std::optional<std::string> Trainer::common_stop_reason() const {
  std::optional<std::string> reason = stop_reason();
  if (ranks_.size() == 1) return reason;
  if (told_[kStopping] == 0) return std::nullopt;
  const int rank = first_rank(ranks_, reason.has_value());
  return broadcast(ranks_, concat(rank_name(ranks_.rank(), host_name()), " ", reason.value_or("")), rank);
}

bool Trainer::save_due() const {
  const double interval = experiment_.checkpoint.interval;
  return interval > 0 && TimeBudget::steady_seconds() - last_saved_time_ > interval;
}

bool Trainer::common_save_due() const {
  return ranks_.size() == 1 ? save_due() : told_[kSaving] > 0;
}

}  // namespace sluice
