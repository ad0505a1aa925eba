#include "apps/decision_maps.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "apps/decisions.hpp"
#include "apps/plane.hpp"
#include "core/model/ranking.hpp"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostImages = 400;         // that are looked at
constexpr std::int64_t kMostFloats = 16LL << 20;  // of them together
constexpr std::size_t kMostLayers = 40;

std::string base64(const std::vector<double>& shares) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < shares.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const double share = i + k < shares.size() ? shares[i + k] : 0;
      group = group << 8U | byte_of(share);
    }
    for (std::size_t k = 0; k < 4; ++k) text += i + k > shares.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63U];
  }
  return text;
}

/// What a network says about an image.
struct Answer {
  std::int64_t predicted = 0;
  double sureness = 0;  ///< the probability of what is predicted
  double density = 0;   ///< DecisionLooker::density
};

Answer look(DecisionLooker& looker, std::int64_t classes, const float* image) {
  const RankedClass best = rank_classes(looker.look(image), classes, 1).front();
  return {best.label, best.probability, looker.density()};
}

/// Bits of the activations that a layer multiplies where this share of its gates is open; nothing where gates leave out
/// products.
std::optional<double> bits_at(const Node& node, double density) {
  double bits = 0;
  bool adds = false;
  for (const CostTerm& term : node.declared.costs) {
    if (term.open >= 0 && !term.refines) return std::nullopt;
    adds = adds || term.open >= 0;
    bits += static_cast<double>(term.activation_bits) * (term.open >= 0 ? density : 1);
  }
  return adds ? std::optional<double>(bits) : std::nullopt;
}

Json layers_json(const DecisionLooker& looker, const Network& network) {
  Json json = Json::array();
  for (const DecisionMap& map : looker.maps()) {
    if (json.size() == kMostLayers) break;
    const Plane small = reduced({map.height, map.width, 1, map.shares});
    json.push_back({{"name", map.layer},
                    {"width", small.width},
                    {"height", small.height},
                    {"density", density_of(map)},
                    {"shares", base64(small.values)}});
    const Node& node = network.nodes()[static_cast<std::size_t>(network.find(map.layer))];
    if (const std::optional<double> bits = bits_at(node, density_of(map))) json.back()["bits"] = *bits;
  }
  return json;
}

struct Seen {
  std::vector<float> image;
  std::int32_t label = 0;
  Answer answer;
};

std::vector<Seen> look_at(OpenNetwork& opened, DecisionLooker& looker) {
  const std::int64_t floats = opened.network().input_shape(1).count();
  const std::int64_t most = std::clamp<std::int64_t>(kMostFloats / floats, 1, kMostImages);
  Pipeline pipeline(*opened.images.dataset,
                    evaluation_pipeline(opened.experiment().data, opened.images.normalization, 1));
  std::vector<Seen> seen;
  pipeline.start(0);
  while (static_cast<std::int64_t>(seen.size()) < most) {
    const Batch* const batch = pipeline.next();
    if (batch == nullptr) break;
    if (batch->count == 0) continue;
    seen.push_back(
        {batch->images, batch->labels.front(), look(looker, opened.network().classes(), batch->images.data())});
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

Json decision_maps(OpenNetwork& opened, int count, std::vector<std::string>& silent) {
  Json json = Json::array();
  DecisionLooker looker(*opened.trained->experiment);
  silent = looker.silent();
  const std::vector<Seen> seen = look_at(opened, looker);
  const Shape input = opened.network().input_shape(1);
  for (const auto& [why, one] : choose(seen, count)) {
    looker.look(one->image.data());
    const Plane image = image_of(one->image.data(), input, opened.images.normalization);
    json.push_back({{"why", why},
                    {"label", class_name(*opened.images.dataset, one->label)},
                    {"predicted", class_name(*opened.images.dataset, one->answer.predicted)},
                    {"density", one->answer.density},
                    {"width", image.width},
                    {"height", image.height},
                    {"rgb", base64(image.values)},
                    {"layers", layers_json(looker, opened.network())}});
  }
  return json;
}

}  // namespace sluice
