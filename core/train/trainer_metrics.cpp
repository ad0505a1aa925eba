// What a training measures of itself: the line of progress and the rows of metrics.
#include <algorithm>

#include "core/base/units.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/train/epoch_row.hpp"
#include "core/train/trainer.hpp"

namespace sluice {

/// Of the epoch that is running.
std::vector<LinePart> Trainer::live_figures() const {
  const Statistics& statistics = step_->executor().statistics();
  const double loss = position_.loss_sum / static_cast<double>(position_.images);
  std::vector<LinePart> figures = {{"loss " + loss_text(loss), concat("loss ", fixed(loss, 2)), 85}};
  if (const std::int64_t images = statistics.count(Role::kImages); images > 0) {
    const double share = static_cast<double>(statistics.count(Role::kCorrect)) / static_cast<double>(images);
    figures.push_back({"accuracy " + accuracy_text(share), concat("acc ", fixed(100 * share, 0), "%"), 80, 16, 7});
  }
  append_live_metrics(figures, network_, statistics.counts_by_node());
  figures.push_back({concat("lr ", lr_text(lr_)), "", 30, 11});
  return figures;
}

/// Of the epoch so far over all ranks. The root takes them over, so that they are counted once.
const Statistics& Trainer::gather_statistics() {
  Executor& executor = step_->executor();
  *statistics_ = executor.statistics();
  if (ranks_.size() == 1) return *statistics_;
  statistics_->sum_over(ranks_);
  executor.reset_statistics();
  if (ranks_.is_root()) executor.add_statistics(*statistics_);
  return *statistics_;
}

MetricsRow Trainer::training_row() {
  const double trained = static_cast<double>(position_.images), seconds = position_.train_seconds;
  const Statistics& statistics = gather_statistics();
  const std::int64_t correct = statistics.count(Role::kCorrect), images = statistics.count(Role::kImages);
  const double cross_entropy = statistics.sum(Role::kLoss);
  MetricsRow row = {{"epoch", position_.epoch + 1},
                    {"step", position_.step},
                    {"lr", lr_},
                    {"train_loss", position_.loss_sum / trained}};
  if (images > 0) row.emplace_back("train_accuracy", static_cast<double>(correct) / static_cast<double>(images));
  if (step_->teachers() != nullptr) {
    row.emplace_back("train_cross_entropy", cross_entropy / static_cast<double>(std::max<std::int64_t>(1, images)));
    row.emplace_back("distillation_loss", position_.divergence_sum / trained);
  }
  for (std::size_t i = 0; i < position_.auxiliary_sums.size(); ++i) {
    row.emplace_back(network_.auxiliary_losses()[i].first, position_.auxiliary_sums[i] / trained);
  }
  append_figures(row, "", network_, statistics.counts_by_node());
  row.emplace_back("gradient_norm", position_.gradient_norm);
  row.emplace_back("seconds", seconds);
  row.emplace_back("images_per_second", static_cast<double>(images) / std::max(1e-9, seconds));
  row.emplace_back("data_wait_percent", 100.0 * position_.data_wait_seconds / std::max(1e-9, seconds));
  return row;
}

/// What lines of epochs say, in this order.
std::vector<std::string> Trainer::shown_columns() const {
  std::vector<std::string> columns = {"epoch", "lr", "train_loss", "train_accuracy"};
  const auto add = [&](const std::vector<std::string>& more) {
    columns.insert(columns.end(), more.begin(), more.end());
  };
  if (step_->teachers() != nullptr) add({"train_cross_entropy", "distillation_loss"});
  for (const auto& loss : network_.auxiliary_losses()) columns.push_back(loss.first);
  add(shown_figures("", network_));
  add({"seconds", "images_per_second", "data_wait_percent", evaluated_set_ + "_loss", evaluated_set_ + "_accuracy"});
  if (const std::int64_t k = experiment_.eval.top_k; k > 0)
    columns.push_back(concat(evaluated_set_, "_top", k, "_accuracy"));
  add(shown_figures(evaluated_set_ + "_", network_));
  return columns;
}

void Trainer::record(const MetricsRow& row) {
  if (metrics_ != nullptr) metrics_->write(row);
  if (observer_ != nullptr) observer_->measured(row);
  append_row(history_, row);
  log_.figures(row_line(row, shown_columns(), experiment_.train.epochs));
}

/// ", density 45.1 %, cost 45.3 % (18.41 M multiply-adds for one image)": what the weights that are kept do, where that
/// depends on the images.
std::string Trainer::work_of_best() const {
  std::string text;
  if (!has_conditional_cost(network_)) return text;
  const std::string set = evaluated_set_ + "_";
  const auto value = [&](const std::string& column) {
    return value_at(history_, early_stopping_->state().best_epoch, column);
  };
  for (const std::string& column : shown_figures(set, network_)) {
    const std::optional<double> figure = value(column), macs = value(set + "macs_executed");
    if (!figure || !macs) continue;
    text += concat(", ", shown_name(column).substr(set.size()), " ", shown_text(column, *figure));
    if (is_flop_reduction(column)) text += concat(" (", operations_text(*macs), " multiply-adds for one image)");
  }
  return text;
}

/// Of the last row of metrics; 0 where there is none.
std::int64_t Trainer::recorded_step() const {
  return static_cast<std::int64_t>(last_value(history_, "step").value_or(0));
}

}  // namespace sluice
