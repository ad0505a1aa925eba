#include "core/serve/session.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace sluice {
namespace {

std::int64_t checked(std::int64_t batch) {
  if (batch < 1) throw Error(ExitCode::kUsage, concat("session: expected a batch of at least 1, got ", batch));
  return batch;
}

}  // namespace

Session::Session(std::shared_ptr<const Model> model, std::int64_t batch)
    : model_(std::move(model)),
      executor_(*model_->experiment().network, model_->experiment().executor_options(Mode::kInference, checked(batch))),
      pixels_(model_->image(), model_->normalization(), {}),
      image_values_(model_->image().channels * model_->image().height * model_->image().width),
      images_(static_cast<std::size_t>(batch * image_values_)) {
  choose_kernels(executor_, model_->kernels());
  executor_.refresh();
}

void Session::run(const std::uint8_t* images, std::int64_t count, float* logits) {
  for (std::int64_t first = 0; first < count; first += batch()) {
    const std::int64_t some = std::min(batch(), count - first);
    for (std::int64_t i = 0; i < some; ++i)
      pixels_.apply(images + (first + i) * image_values_, {}, images_.data() + i * image_values_);
    answer(some, logits + first * model_->classes());
  }
}

void Session::run(const float* images, std::int64_t count, float* logits) {
  for (std::int64_t first = 0; first < count; first += batch()) {
    const std::int64_t some = std::min(batch(), count - first);
    std::copy_n(images + first * image_values_, some * image_values_, images_.data());
    answer(some, logits + first * model_->classes());
  }
}

/// Copies of the first image fill the batch: of several equal images none can change what a layer measures over all of
/// them.
void Session::answer(std::int64_t count, float* logits) {
  for (std::int64_t i = count; i < batch(); ++i)
    std::copy_n(images_.data(), image_values_, images_.data() + i * image_values_);
  executor_.set_batch(images_.data(), nullptr);
  executor_.forward();
  std::copy_n(executor_.logits().as<const float>(), count * model_->classes(), logits);
}

}  // namespace sluice
