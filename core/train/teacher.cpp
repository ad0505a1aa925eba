#include "core/train/teacher.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/train/known_data.hpp"
#include "core/train/named_file.hpp"
#include "core/train/stored_network.hpp"

namespace sluice {
namespace {

std::string image_text(const Network& network) {
  const Shape shape = network.input_shape(1);
  return concat(shape[kC], "x", shape[kH], "x", shape[kW]);
}

/// Puts its weights in. What does not fit is no matter of the student's network.
TrainedNetwork trained(const Checkpoint& checkpoint, std::shared_ptr<ConfiguredNetwork> configured) {
  try {
    return {checkpoint, std::move(configured)};
  } catch (const Error& error) {
    // Below the first line stands each tensor.
    const std::string text = error.what();
    const std::size_t line = text.find("\n  ");
    const std::string first =
        line == std::string::npos ? text : text.substr(line + 3, text.find('\n', line + 1) - line - 3);
    throw Error(error.code(),
                concat(checkpoint.file, ": does not fit its own configuration, ", first, "; take another teacher"));
  }
}

void check_fits(const Network& own, const Experiment& student, const std::string& path) {
  const Network& other = student.network();
  const auto refuse = [&](const std::string& text) {
    throw Error(ExitCode::kUsage, concat(student.where("distillation", "teacher"), ": ", path, ": ", text));
  };
  if (own.input_shape(1) != other.input_shape(1))
    refuse(concat("takes images of ", image_text(own), ", this network ", image_text(other)));
  if (own.classes() != other.classes())
    refuse(concat("tells ", own.classes(), " classes apart, this network ", other.classes()));
}

TrainedNetwork fitting(const Checkpoint& checkpoint, const Experiment& student) {
  std::shared_ptr<ConfiguredNetwork> configured =
      network_of(checkpoint, student.network().registry(), student.where("distillation", "teacher"));
  check_fits(configured->network(), student, checkpoint.file);
  return trained(checkpoint, std::move(configured));
}

/// Runs that learn from a teacher remember it by the digest of this version of the format; what is newer is not about
/// what it answers.
constexpr int kDigestMinor = 2;

}  // namespace

Teacher::Teacher(const Checkpoint& checkpoint, const Experiment& student, const Normalization& normalization,
                 std::int64_t batch)
    : trained_(fitting(checkpoint, student)),
      digest_(content_digest(checkpoint, kDigestMinor)),
      executor_(trained_.network(), student.executor_options(Mode::kInference, batch)) {
  executor_.refresh();
  prepare_conversion(normalization, trained_.trained_with());
}

Teacher::Teacher(const std::string& path, const Experiment& student, const Normalization& normalization,
                 std::int64_t batch)
    : Teacher(with_place(student, "distillation", "teacher", ExitCode::kCheckpoint, [&] { return load(path); }),
              student, normalization, batch) {}

void Teacher::prepare_conversion(const Normalization& from, const Normalization& to) {
  if (to.mean.empty() || (to.mean == from.mean && to.std == from.std)) return;
  if (to.mean.size() != from.mean.size() || to.std.size() != from.std.size()) {
    throw Error(ExitCode::kCheckpoint,
                concat(trained_.file(), ": /normalisation: ", to.mean.size(), " means and ", to.std.size(),
                       " deviations for images of ", from.mean.size(), " channels"));
  }
  for (std::size_t c = 0; c < to.mean.size(); ++c) {
    scale_.push_back(static_cast<float>(from.std[c] / to.std[c]));
    shift_.push_back(static_cast<float>((from.mean[c] - to.mean[c]) / to.std[c]));
  }
  images_.resize(static_cast<std::size_t>(trained_.network().input_shape(executor_.options().batch).count()));
}

void Teacher::answer(const BatchPart& batch) {
  const float* images = batch.images;
  if (!images_.empty()) {
    const auto channels = static_cast<std::int64_t>(scale_.size());
    const auto pixels = static_cast<std::int64_t>(images_.size()) / channels;
    parallel_for(pixels, 1 << 12, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t p = begin; p < end; ++p) {
        for (std::int64_t c = 0; c < channels; ++c) {
          const auto at = static_cast<std::size_t>(p * channels + c), channel = static_cast<std::size_t>(c);
          images_[at] = images[at] * scale_[channel] + shift_[channel];
        }
      }
    });
    images = images_.data();
  }
  executor_.lend_batch(images, batch.labels);
  executor_.forward();
}

const float* Teacher::logits() const {
  return executor_.logits().as<const float>();
}

std::int64_t Teacher::logits_count() const {
  return executor_.logits().desc.count();
}

std::vector<std::string> Teacher::warnings(const Dataset& dataset) const {
  Warnings warnings = compare_class_names(trained_.class_names(), "the teacher " + trained_.file(), dataset);
  const std::vector<std::string> unmeasured = unmeasured_layers(trained_.network());
  if (!unmeasured.empty())
    warnings.push_back(concat("the teacher ", trained_.file(), ": ", unmeasured_text(unmeasured)));
  return warnings;
}

Teachers::Teachers(const Experiment& student, const Normalization& normalization, std::int64_t batch) {
  for (const std::string& path : student.distillation.teachers) {
    teachers_.push_back(std::make_unique<Teacher>(path, student, normalization, batch));
  }
  if (teachers_.size() > 1) mean_.resize(static_cast<std::size_t>(teachers_.front()->logits_count()));
}

void Teachers::answer(const BatchPart& batch) {
  for (const auto& teacher : teachers_) teacher->answer(batch);
  for (std::size_t i = 0; i < mean_.size(); ++i) {
    float sum = 0;
    for (const auto& teacher : teachers_) sum += teacher->logits()[i];
    mean_[i] = sum / static_cast<float>(teachers_.size());
  }
}

const float* Teachers::logits() const {
  return mean_.empty() ? teachers_.front()->logits() : mean_.data();
}

std::string Teachers::digest() const {
  std::string digests;
  for (const auto& teacher : teachers_) digests += (digests.empty() ? "" : ",") + teacher->digest();
  return digests;
}

std::vector<std::string> Teachers::warnings(const Dataset& dataset) const {
  std::vector<std::string> all;
  for (const auto& teacher : teachers_) {
    for (std::string& warning : teacher->warnings(dataset)) all.push_back(std::move(warning));
  }
  return all;
}

}  // namespace sluice
