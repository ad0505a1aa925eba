#include "apps/tensorboard/tensorboard.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "apps/decisions.hpp"
#include "apps/plane.hpp"
#include "apps/tensorboard/event_file.hpp"
#include "apps/tensorboard/summaries.hpp"
#include "core/base/error.hpp"
#include "core/data/pipeline.hpp"
#include "core/report/run_summary.hpp"
#include "core/train/conditional_layers.hpp"
#include "core/train/epoch_row.hpp"
#include "core/train/experiment.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kImages = 4;
constexpr std::int64_t kSide = 64;     // pixels that a map has at least, where it can
constexpr std::size_t kMostMaps = 40;  // layers
constexpr std::int64_t kGap = 2;       // pixels between the images of a row

/// Planes of one size side by side, each pixel enlarged to a square.
Picture in_a_row(const std::vector<Plane>& planes) {
  const Plane& first = planes.front();
  const std::int64_t zoom = std::max<std::int64_t>(1, kSide / std::max(first.height, first.width));
  const auto count = static_cast<std::int64_t>(planes.size());
  Picture picture;
  picture.reshape({first.height * zoom, count * (first.width * zoom + kGap) - kGap}, first.channels);
  std::fill(picture.pixels.begin(), picture.pixels.end(), std::uint8_t{128});
  for (std::int64_t y = 0; y < picture.size.height; ++y) {
    for (std::int64_t x = 0; x < picture.size.width; ++x) {
      const std::int64_t which = x / (first.width * zoom + kGap), column = x % (first.width * zoom + kGap) / zoom;
      if (column >= first.width) continue;
      for (std::int64_t c = 0; c < first.channels; ++c) {
        const std::int64_t from = (y / zoom * first.width + column) * first.channels + c;
        const double value = planes[static_cast<std::size_t>(which)].values[static_cast<std::size_t>(from)];
        picture.row(y)[x * first.channels + c] = byte_of(value);
      }
    }
  }
  return picture;
}

/// The first images of a set, one behind the other.
std::vector<float> first_images(const Experiment& experiment, const TrainingData& data) {
  Pipeline pipeline(data.evaluated(), evaluation_pipeline(experiment.data, data.normalization, kImages));
  pipeline.start(0);
  const Batch* batch = pipeline.next();
  while (batch != nullptr && batch->count == 0) batch = pipeline.next();
  if (batch == nullptr) return {};
  const auto floats = static_cast<std::int64_t>(batch->images.size()) / std::max<std::int64_t>(1, batch->count);
  return {batch->images.begin(), batch->images.begin() + batch->count * floats};
}

class TensorBoard : public TrainingObserver {
 public:
  TensorBoard(Experiment& experiment, std::string file, std::string metrics)
      : experiment_(experiment), path_(std::move(file)), metrics_(std::move(metrics)) {}

  void begin(const TrainingData& data, std::int64_t step) override {
    file_.emplace(path_, step);
    add_epochs_before();
    const std::string configuration = experiment_.config.resolved();
    const bool is_new = file_->configuration().empty();
    if (file_->configuration() != configuration) file_->add(configuration_event(step, configuration));
    looker_.emplace(experiment_);
    if (looker_->has_gates())
      images_ = first_images(experiment_, data);
    else
      looker_.reset();
    if (is_new && !images_.empty()) add_pictures(data.normalization);
  }

  void evaluated(std::int64_t step) override {
    sluice_events::Event event = event_at(step);
    add_parameters(event);
    if (!images_.empty()) add_decisions(event);
    if (event.summary().value_size() > 0) file_->add(event);
  }

  void measured(const MetricsRow& row) override {
    const auto step = std::find_if(row.begin(), row.end(), [](const auto& item) { return item.first == "step"; });
    sluice_events::Event event = event_at(std::get<std::int64_t>(step->second));
    for (const auto& [name, value] : row) {
      if (name == "epoch" || std::holds_alternative<double>(value)) add_scalar(event, name, as_number(value));
    }
    file_->add(event);
  }

 private:
  /// Of a run that nobody watched so far, or for a while. What was decided in these epochs is gone.
  void add_epochs_before() {
    const MetricsTable before = read_metrics(metrics_);
    for (std::size_t row = 0; row < before.rows.size(); ++row) {
      const double step = before.value(row, "step");
      if (!(step > static_cast<double>(file_->last_step()))) continue;
      sluice_events::Event event = event_at(static_cast<std::int64_t>(step));
      for (std::size_t column = 0; column < before.columns.size(); ++column) {
        const double value = before.rows[row][column];
        if (before.columns[column] != "step" && !std::isnan(value)) add_scalar(event, before.columns[column], value);
      }
      file_->add(event);
    }
  }

  Shape shape() const { return experiment_.network().input_shape(1); }
  std::int64_t count() const { return static_cast<std::int64_t>(images_.size()) / shape().count(); }
  const float* image(std::int64_t i) const { return images_.data() + i * shape().count(); }

  void add_pictures(const Normalization& normalization) {
    std::vector<Plane> planes;
    for (std::int64_t i = 0; i < count(); ++i) planes.push_back(image_of(image(i), shape(), normalization));
    sluice_events::Event event = event_at(0);
    add_image(event, "decisions/images", in_a_row(planes));
    file_->add(event);
  }

  /// The values by which layers decide.
  void add_parameters(sluice_events::Event& event) const {
    const Network& network = experiment_.network();
    const std::set<std::string> groups = groups_of_conditional_layers(network);
    for (const Node& node : network.nodes()) {
      for (const int p : node.params) {
        const Parameter& parameter = network.parameters()[static_cast<std::size_t>(p)];
        if (groups.count(parameter.group) == 0) continue;
        const float* const values = network.parameter_data() + parameter.offset;
        add_histogram(event, concat(parameter.group, "_values/", node.name),
                      {values, values + parameter.shape.count()});
      }
    }
  }

  /// The shares of open gates at the pixels of the images.
  void add_decisions(sluice_events::Event& event) {
    looker_->refresh();
    std::vector<std::vector<DecisionMap>> maps;
    for (std::int64_t i = 0; i < count(); ++i) {
      looker_->look(image(i));
      maps.push_back(looker_->maps());
    }
    for (std::size_t layer = 0; layer < std::min(kMostMaps, maps.front().size()); ++layer) {
      std::vector<Plane> planes;
      std::vector<double> shares;
      for (const std::vector<DecisionMap>& of_image : maps) {
        const DecisionMap& map = of_image[layer];
        planes.push_back(reduced({map.height, map.width, 1, map.shares}));
        shares.insert(shares.end(), map.shares.begin(), map.shares.end());
      }
      const std::string& name = maps.front()[layer].layer;
      add_histogram(event, "density_of_pixels/" + name, shares);
      add_image(event, "decisions/" + name, in_a_row(planes));
    }
  }

  Experiment& experiment_;
  std::string path_, metrics_;
  std::optional<EventFile> file_;
  std::optional<DecisionLooker> looker_;
  std::vector<float> images_;  ///< normalised; none where no layer decides
};

}  // namespace

std::unique_ptr<TrainingObserver> observe_for_tensorboard(Experiment& experiment, const std::string& file,
                                                          const std::string& metrics) {
  return std::make_unique<TensorBoard>(experiment, file, metrics);
}

}  // namespace sluice
