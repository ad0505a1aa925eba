#include "core/train/training_step.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/parallel.hpp"
#include "core/config/text.hpp"
#include "core/graph/layer_table.hpp"

namespace sluice {

namespace {

/// What ranks tell each other, one behind the other; the network's auxiliary losses follow.
enum Told : std::size_t { kBroken, kStopping, kSaving, kDataLoss, kDivergence, kAuxiliary };

double one_if(bool yes) {
  return yes ? 1.0 : 0.0;
}

/// Images of each batch that this rank computes.
std::int64_t share(std::int64_t batch, const Communicator& ranks) {
  return rank_share(batch, ranks.rank(), ranks.size()).size();
}

}  // namespace

void check_trainable(const Experiment& experiment) {
  if (experiment.run.precision == Precision::kInt8) {
    throw Error(ExitCode::kUsage, concat(experiment.where("run", "precision"),
                                         ": int8 is for inference; train in fp32 or bf16, then run sluice-deploy "
                                         "--precision=int8"));
  }
}

PipelineOptions training_batches(const Experiment& experiment, const Normalization& normalization,
                                 const Communicator& ranks) {
  PipelineOptions options = training_pipeline(experiment.data, normalization, experiment.train.batch,
                                              static_cast<std::uint64_t>(experiment.run.seed));
  options.rank = ranks.rank();
  options.world = ranks.size();
  options.parts = experiment.train.accumulate;
  return options;
}

TrainingStep::TrainingStep(Experiment& experiment, const TrainingData& data, Communicator& ranks, Log& log,
                           std::function<RankWishes()> wishes)
    : experiment_(experiment),
      network_(experiment.network()),
      ranks_(ranks),
      own_wishes_(std::move(wishes)),
      images_(data.sets.train->size()) {
  ExecutorOptions options = experiment.executor_options(Mode::kTraining, share(experiment.train.part_batch(), ranks));
  if (experiment.distributed.sync_batchnorm && ranks.size() > 1)
    options.share = {&ranks, experiment.train.part_batch()};
  if (ranks.size() > 1) options.counted = {&ranks, experiment.train.part_batch()};
  options.seed += static_cast<std::uint64_t>(ranks.rank()) << 32;  // other images, other dropout
  executor_ = std::make_unique<Executor>(network_, options);
  for (const std::string& line : slow_kernels(*executor_)) log.warning(line);
  if (experiment.train.accumulate > 1)
    gradient_sum_ = Buffer(std::max<std::int64_t>(1, network_.parameter_count()) * 4);
  if (ranks.size() > 1) {
    GradientReducer::Options reduction;
    reduction.wire = experiment.distributed.gradients;
    reducer_ = std::make_unique<GradientReducer>(ranks, gradients(), network_.parameter_count(), network_.buffer_data(),
                                                 network_.buffer_count(), reduction);
  }
  optimizer_ =
      std::make_unique<Optimizer>(experiment.optimizer, parameter_ranges(network_), network_.parameter_count());
  if (experiment.distillation.enabled()) take_teachers(data, log);
  if (Mixing{experiment.data.mixup, experiment.data.cutmix}.enabled())
    mixed_loss_ = std::make_unique<MixedLoss>(*executor_, network_);
}

void TrainingStep::take_teachers(const TrainingData& data, Log& log) {
  const DistillationOptions& options = experiment_.distillation;
  teachers_ =
      std::make_unique<Teachers>(experiment_, data.normalization, share(experiment_.train.part_batch(), ranks_));
  distilled_loss_ = std::make_unique<DistilledLoss>(*executor_, network_);
  distilled_loss_->set(teachers_->logits(), &options.weight, &options.temperature);
  for (const std::string& warning : teachers_->warnings(*data.sets.train)) log.warning(warning);
  log.info(concat("learns from ", join(options.teachers, ", "), " with weight ", options.weight, " at temperature ",
                  options.temperature));
}

void TrainingStep::measure(const Batch& batch) {
  const std::vector<float> buffers(network_.buffer_data(), network_.buffer_data() + network_.buffer_count());
  const BatchPart part = part_of(batch, 0, experiment_.train.accumulate);
  executor_->lend_batch(part.images, part.labels);
  executor_->measure();
  ranks_.broadcast(network_.parameter_data(), network_.parameter_count() * 4, 0);
  std::copy(buffers.begin(), buffers.end(), network_.buffer_data());
  executor_->reset_statistics();
}

void TrainingStep::run(const Batch& batch, double lr, TrainingPosition& position) {
  const std::int64_t parts = experiment_.train.accumulate;
  executor_->set_epochs(static_cast<double>(position.epoch) +
                        static_cast<double>(position.images) / static_cast<double>(images_));
  weight_ = static_cast<double>(batch.count) / static_cast<double>(batch.whole);
  for (std::int64_t part = 0; part < parts; ++part) differentiate(part_of(batch, part, parts), part, position);
  position.gradient_norm = optimizer_->gradient_norm(gradients());
  if (!std::isfinite(position.gradient_norm)) stop_diverged(position.gradient_norm, "gradient norm", position);
  optimizer_->step(network_.parameter_data(), gradients(), lr, position.gradient_norm);
  executor_->refresh();
  ++position.step;
  ++position.batch;
  position.images += batch.whole;
}

RankWishes TrainingStep::wishes() const {
  if (told_.empty()) return {};
  return {told_[kStopping] > 0, told_[kSaving] > 0};
}

/// Where the gradient of the whole step is.
float* TrainingStep::gradients() const {
  return gradient_sum_.data() != nullptr ? gradient_sum_.as<float>() : executor_->gradients();
}

/// Forward and backward of one part of a step. The last part ends with the means over all ranks, of gradients and of
/// running statistics, so that every rank holds the same network.
void TrainingStep::differentiate(const BatchPart& batch, std::int64_t part, TrainingPosition& position) {
  const std::int64_t parts = experiment_.train.accumulate;
  const bool reduces = reducer_ != nullptr && part + 1 == parts;
  if (teachers_ != nullptr) teachers_->answer(batch);
  if (mixed_loss_ != nullptr) mixed_loss_->set(batch);
  executor_->lend_batch(batch.images, batch.labels);
  executor_->forward(static_cast<std::uint64_t>(position.step * parts + part));
  if (reduces) reducer_->begin(weight_);
  if (reduces && parts == 1)
    executor_->backward([this](std::int64_t first) { reducer_->advance(first); });
  else
    executor_->backward();
  if (parts > 1) add_part(part);
  if (reduces) reducer_->finish();
  tell(batch.count, position);
  if (told_[kBroken] > 0) stop_diverged(executor_->loss(), "loss", position);
}

void TrainingStep::add_part(std::int64_t part) {
  constexpr std::int64_t kGrain = 65536;
  float* const sum = gradient_sum_.as<float>();
  const float* const own = executor_->gradients();
  const float part_share = 1.0F / static_cast<float>(experiment_.train.accumulate);
  parallel_for(network_.parameter_count(), kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) sum[i] = (part == 0 ? 0.0F : sum[i]) + part_share * own[i];
  });
}

/// All that the ranks have to say after a part of a step, in one sum.
void TrainingStep::tell(std::int64_t count, TrainingPosition& position) {
  const auto images = static_cast<double>(count);
  const RankWishes own = own_wishes_ ? own_wishes_() : RankWishes();
  told_.assign({one_if(!std::isfinite(executor_->loss())), one_if(own.stop), one_if(own.save),
                images * executor_->data_loss(),
                distilled_loss_ != nullptr ? images * distilled_loss_->divergence() : 0.0});
  for (const double loss : executor_->auxiliary_losses()) told_.push_back(images * loss);
  ranks_.sum(told_.data(), static_cast<std::int64_t>(told_.size()));
  position.loss_sum += told_[kDataLoss];
  position.divergence_sum += told_[kDivergence];
  for (std::size_t i = 0; i < position.auxiliary_sums.size(); ++i) position.auxiliary_sums[i] += told_[kAuxiliary + i];
}

/// On some rank something is not finite: all throw what that one says whose network breaks first.
void TrainingStep::stop_diverged(double value, const char* what, const TrainingPosition& position) {
  const std::string layer = executor_->find_non_finite(static_cast<std::uint64_t>(position.step));
  const std::string text = divergence(value, what, layer, position);
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

std::string TrainingStep::divergence(double value, const char* what, const std::string& layer,
                                     const TrainingPosition& position) {
  std::string where;
  const std::vector<ParameterRange>& ranges = optimizer_->ranges();
  if (const ParameterRange* range = first_non_finite(ranges, network_.parameter_data())) {
    where = concat("parameter ", range->name, " is not finite");
  } else if (!layer.empty()) {
    where = concat("layer ", layer, " is the first whose result is not finite");
  } else if (const ParameterRange* gradient = first_non_finite(ranges, gradients())) {
    where = concat("the gradient of ", gradient->name, " is not finite");
  }
  return diverged_text(position, what, value, where);
}

std::string diverged_text(const TrainingPosition& position, const char* what, double value, const std::string& where) {
  return concat(
      "training diverged at epoch ", position.epoch + 1, ", step ", position.step, ": ", what, " is ",
      std::isnan(value) ? "nan" : concat(value), where.empty() ? "" : "; ", where,
      "; lower optimizer.lr, or add schedule.warmup_epochs or optimizer.clip_norm; earlier checkpoints are untouched");
}

}  // namespace sluice
