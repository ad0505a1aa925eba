#include "apps/decision_maps.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/graph/executor.hpp"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostImages = 400;         // that are looked at
constexpr std::int64_t kMostFloats = 16LL << 20;  // of them together
constexpr std::int64_t kMostPixels = 64;          // of a picture's side
constexpr std::size_t kMostLayers = 40;

/// One channel of numbers from 0 to 1, or three.
struct Picture {
  std::int64_t height = 0, width = 0, channels = 1;
  std::vector<double> values;  ///< height x width x channels
};

/// Averaged over squares, so that no side is longer than kMostPixels.
Picture reduced(const Picture& picture) {
  const std::int64_t step = (std::max(picture.height, picture.width) + kMostPixels - 1) / kMostPixels;
  if (step <= 1) return picture;
  Picture small;
  small.height = (picture.height + step - 1) / step;
  small.width = (picture.width + step - 1) / step;
  small.channels = picture.channels;
  small.values.assign(static_cast<std::size_t>(small.height * small.width * small.channels), 0);
  std::vector<double> counts(small.values.size(), 0);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(picture.values.size()); ++i) {
    const std::int64_t c = i % picture.channels, x = i / picture.channels % picture.width,
                       y = i / picture.channels / picture.width;
    const auto at = static_cast<std::size_t>(((y / step) * small.width + x / step) * small.channels + c);
    small.values[at] += picture.values[static_cast<std::size_t>(i)];
    ++counts[at];
  }
  for (std::size_t i = 0; i < counts.size(); ++i) small.values[i] /= counts[i];
  return small;
}

std::string base64(const std::vector<double>& shares) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < shares.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const double share = i + k < shares.size() ? shares[i + k] : 0;
      group = group << 8U | static_cast<unsigned>(std::lround(255 * std::clamp(share, 0.0, 1.0)));
    }
    for (std::size_t k = 0; k < 4; ++k) text += i + k > shares.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63U];
  }
  return text;
}

/// Red, green and blue of a normalised image.
Picture image_of(const float* image, const Shape& shape, const Normalization& normalization) {
  Picture picture{shape[kH], shape[kW], 3, {}};
  const std::int64_t channels = shape[kC];
  for (std::int64_t pixel = 0; pixel < shape[kH] * shape[kW]; ++pixel) {
    for (std::int64_t c = 0; c < 3; ++c) {
      const std::int64_t from = channels >= 3 ? c : 0;
      const auto at = static_cast<std::size_t>(from);
      const double mean = at < normalization.mean.size() ? normalization.mean[at] : 0,
                   deviation = at < normalization.std.size() ? normalization.std[at] : 1;
      picture.values.push_back(image[pixel * channels + from] * deviation + mean);
    }
  }
  return reduced(picture);
}

/// The share of open gates over the channels of each pixel.
Picture map_of(const float* decisions, const Shape& shape) {
  Picture picture{shape.rank() == 4 ? shape[kH] : 1, shape.rank() == 4 ? shape[kW] : 1, 1, {}};
  const std::int64_t channels = shape[kC];
  for (std::int64_t pixel = 0; pixel < picture.height * picture.width; ++pixel) {
    double open = 0;
    for (std::int64_t c = 0; c < channels; ++c) open += decisions[pixel * channels + c];
    picture.values.push_back(open / static_cast<double>(channels));
  }
  return picture;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// One image after the other through a network that keeps its decisions.
class Looker {
 public:
  explicit Looker(OpenNetwork& opened) : network_(opened.network()), executor_(opened.network(), options(opened)) {
    executor_.refresh();
  }

  struct Answer {
    int predicted = 0;
    double sureness = 0;  ///< the probability of what is predicted
    double density = 0;   ///< open gates of all; -1 where there are none
  };
  Answer look(const float* image, std::int32_t label) {
    executor_.set_batch(image, &label);
    executor_.forward();
    const std::int64_t classes = network_.classes();
    const float* const logits = executor_.logits().as<float>();
    const float* const best = std::max_element(logits, logits + classes);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(logits[c] - *best));
    return {static_cast<int>(best - logits), 1 / sum, density()};
  }

  Json layers() const {
    Json json = Json::array();
    each([&](const Node& node, const float* decisions) {
      if (json.size() == kMostLayers) return;
      const Picture map = map_of(decisions, node.declared.dst), small = reduced(map);
      json.push_back({{"name", node.name},
                      {"width", small.width},
                      {"height", small.height},
                      {"density", mean(map.values)},
                      {"shares", base64(small.values)}});
    });
    return json;
  }

 private:
  /// In NHWC, so that a pixel's decisions lie together.
  static ExecutorOptions options(OpenNetwork& opened) {
    ExecutorOptions options = opened.experiment().executor_options(Mode::kInference, 1);
    options.record_decisions = true;
    options.layout = ExecutorOptions::LayoutChoice::kNhwc;
    options.skip = false;
    options.int8 = false;
    return options;
  }

  template <class Use>
  void each(const Use& use) const {
    for (int node = 0; node < static_cast<int>(network_.nodes().size()); ++node) {
      const float* const decisions = executor_.decisions(node);
      if (decisions != nullptr) use(network_.nodes()[static_cast<std::size_t>(node)], decisions);
    }
  }

  double density() const {
    double open = 0, all = 0;
    each([&](const Node& node, const float* decisions) {
      const std::int64_t count = node.declared.dst.count();
      for (std::int64_t i = 0; i < count; ++i) open += decisions[i];
      all += static_cast<double>(count);
    });
    return all > 0 ? open / all : -1;
  }

  Network& network_;
  Executor executor_;
};

struct Seen {
  std::vector<float> image;
  std::int32_t label = 0;
  Looker::Answer answer;
};

std::vector<Seen> look_at(OpenNetwork& opened, Looker& looker) {
  const std::int64_t floats = opened.network().input_shape(1).count();
  const std::int64_t most = std::clamp<std::int64_t>(kMostFloats / floats, 1, kMostImages);
  Pipeline pipeline(*opened.images.dataset,
                    evaluation_pipeline(opened.experiment().data, opened.images.normalization, 1));
  std::vector<Seen> seen;
  pipeline.start(0);
  while (static_cast<std::int64_t>(seen.size()) < most) {
    const Batch* const batch = pipeline.next();
    if (batch == nullptr) break;
    seen.push_back({batch->images, batch->labels.front(), looker.look(batch->images.data(), batch->labels.front())});
    if (seen.back().answer.density < 0) return {};
  }
  return seen;
}

/// Why an image is shown, and which one: in turns the surest of those found, the surest mistake, the least and the most
/// computed one, none of them twice.
std::vector<std::pair<std::string, const Seen*>> choose(const std::vector<Seen>& seen, int count) {
  using Score = std::function<double(const Seen&)>;
  const auto found = [](const Seen& one) { return one.answer.predicted == one.label; };
  const std::vector<std::pair<std::string, Score>> reasons = {
      {"found", [&](const Seen& one) { return found(one) ? one.answer.sureness : -1; }},
      {"mistaken", [&](const Seen& one) { return found(one) ? -1 : one.answer.sureness; }},
      {"least computed", [](const Seen& one) { return 1 - one.answer.density; }},
      {"most computed", [](const Seen& one) { return one.answer.density; }}};
  std::vector<std::pair<std::string, const Seen*>> chosen;
  std::vector<bool> taken(seen.size(), false);
  for (std::size_t turn = 0; turn < 4 * static_cast<std::size_t>(count); ++turn) {
    const auto& [why, score] = reasons[turn % reasons.size()];
    std::size_t best = seen.size();
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (!taken[i] && score(seen[i]) >= 0 && (best == seen.size() || score(seen[i]) > score(seen[best]))) best = i;
    }
    if (best == seen.size()) continue;
    taken[best] = true;
    chosen.emplace_back(why, &seen[best]);
    if (static_cast<int>(chosen.size()) == count) break;
  }
  return chosen;
}

std::string class_name(const Dataset& dataset, std::int64_t index) {
  return index < dataset.num_classes() ? dataset.class_name(index) : std::to_string(index);
}

}  // namespace

Json decision_maps(OpenNetwork& opened, int count) {
  Json json = Json::array();
  Looker looker(opened);
  const std::vector<Seen> seen = look_at(opened, looker);
  const Shape input = opened.network().input_shape(1);
  for (const auto& [why, one] : choose(seen, count)) {
    looker.look(one->image.data(), one->label);
    const Picture image = image_of(one->image.data(), input, opened.images.normalization);
    json.push_back({{"why", why},
                    {"label", class_name(*opened.images.dataset, one->label)},
                    {"predicted", class_name(*opened.images.dataset, one->answer.predicted)},
                    {"density", one->answer.density},
                    {"width", image.width},
                    {"height", image.height},
                    {"rgb", base64(image.values)},
                    {"layers", looker.layers()}});
  }
  return json;
}

}  // namespace sluice
