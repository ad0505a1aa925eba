// When a training stops and saves, and what it leaves.
#include "core/base/digest.hpp"
#include "core/base/signals.hpp"
#include "core/train/trainer.hpp"

namespace sluice {

std::optional<std::string> Trainer::stop_reason() const {
  if (const int signal = stop_requested(); signal != 0) return concat("received ", signal_name(signal));
  if (!budget_.step_fits()) return budget_.reason();
  return std::nullopt;
}

/// Why all stop now, if they do.
std::optional<std::string> Trainer::common_stop_reason() const {
  std::optional<std::string> reason = stop_reason();
  if (ranks_.size() == 1) return reason;
  if (!step_->wishes().stop) return std::nullopt;
  const int rank = first_rank(ranks_, reason.has_value());
  return broadcast(ranks_, concat(rank_name(ranks_.rank(), host_name()), " ", reason.value_or("")), rank);
}

bool Trainer::save_due() const {
  const double interval = experiment_.checkpoint.interval;
  return interval > 0 && TimeBudget::steady_seconds() - last_saved_time_ > interval;
}

bool Trainer::common_save_due() const {
  return ranks_.size() == 1 ? save_due() : step_->wishes().save;
}

/// Now, to be continued.
Trainer::Outcome Trainer::stop(const std::string& where, const std::string& reason) {
  checkpoint(false);
  log_.info(concat("stopped ", where, ": ", reason, "; continue with --resume"));
  return Outcome::kStopped;
}

void Trainer::checkpoint(bool best) {
  const double start = TimeBudget::steady_seconds();
  gather_statistics();
  if (ranks_.is_root() && (position_.step != last_saved_step_ || best || position_.batch == 0)) {
    store_->save(make_checkpoint(parts()), position_.step, best);
  }
  last_saved_step_ = position_.step;
  last_saved_time_ = TimeBudget::steady_seconds();
  budget_.record_checkpoint(last_saved_time_ - start);
}

void Trainer::write_weights() {
  if (!ranks_.is_root()) return;
  mend_best();
  const std::string path = directory_.weights_file();
  save(weights_of(early_stopping_->state().best ? load(store_->best_path()) : make_checkpoint(parts())), path);
  log_.info(concat("weights of the best epoch: ", path, "; digest of the last weights ",
                   digest_hex(network_.parameter_data(), network_.parameter_count() * 4)));
}

}  // namespace sluice
