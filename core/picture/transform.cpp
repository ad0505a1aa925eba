#include "core/picture/transform.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>

#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/picture/transform_kinds.hpp"

namespace sluice {

namespace {

struct Kind {
  const char* name;
  const char* arguments;
  TransformPtr (*make)(TransformArguments&);
  const char* doc;
};

const Kind kKinds[] = {
    {"resize", "(SIDE) or (HxW)", make_resize, "antialiased bilinear: the shorter side to SIDE, or both sides"},
    {"center_crop", "(SIDE) or (HxW)", make_center_crop,
     "the middle, with zeros around it where the picture is smaller"},
    {"random_resized_crop", "(SIDE or HxW, area = 0.08, most = 1)", make_random_resized_crop,
     "a part with a random share of the area and sides of 3:4 to 4:3, resized"},
    {"pad_crop", "(PIXELS)", make_pad_crop, "zeros around the picture, then a random window of its own size"},
    {"flip", "(p = 0.5)", make_flip, "mirrors left to right"},
    {"color_jitter", "(brightness, contrast = 0, saturation = 0, hue = 0)", make_color_jitter,
     "changes by random factors, in random order"},
    {"grayscale", "(p = 0.1)", make_grayscale, "takes the colours away"},
    {"rand_augment", "(operations = 2, magnitude = 9)", make_rand_augment, "RandAugment"},
    {"trivial_augment", "", make_trivial_augment, "TrivialAugment (wide)"},
    {"random_erasing", "(p = 0.5, area = 0.02, most = 0.33)", make_random_erasing,
     "a random rectangle becomes the mean colour"},
};

struct Call {
  std::string name;
  std::vector<std::string> arguments;
};

/// Splits "a(1, 2), b" into calls.
std::vector<Call> parse_calls(const std::string& text) {
  std::vector<Call> calls;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t comma = text.find(',', at), open = text.find('(', at);
    Call call;
    std::size_t end = std::min(comma, text.size());
    if (open < end) {
      const std::size_t close = text.find(')', open);
      if (close == std::string::npos)
        refuse_text(concat("'(' without ')' behind ", sluice::quoted(trim(text.substr(at, open - at)))));
      call.name = trim(text.substr(at, open - at));
      call.arguments = split_list(text.substr(open + 1, close - open - 1));
      end = std::min(text.find(',', close), text.size());
      const std::string rest = trim(text.substr(close + 1, end - close - 1));
      if (!rest.empty())
        refuse_text(concat("expected a comma behind ", call.name, "(...), got ", sluice::quoted(rest)));
    } else {
      call.name = trim(text.substr(at, end - at));
    }
    if (call.name.empty()) refuse_text("expected the name of a transform, got nothing between two commas");
    calls.push_back(std::move(call));
    at = end + 1;
    if (end < text.size() && trim(text.substr(at)).empty()) refuse_text("expected a transform behind the last comma");
  }
  return calls;
}

const Kind& find_kind(const std::string& name) {
  for (const Kind& kind : kKinds) {
    if (name == kind.name) return kind;
  }
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.push_back(kind.name);
  refuse_text(concat("no transform ", sluice::quoted(name), suggestion(name, names, "known transforms")));
}

template <class T>
std::optional<T> parse(const std::string& word) {
  T value{};
  const auto [rest, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (problem != std::errc() || rest != word.data() + word.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<PictureWindow> Transform::window(const PictureSize&, Random&) const {
  return std::nullopt;
}

void Transform::apply(Picture& picture, TransformWork& work) const {
  const std::optional<PictureWindow> part = window(picture.size, work.random);
  assert(part);
  apply_window(picture, *part, work.scratch.resize, work.scratch.other);
  std::swap(picture, work.scratch.other);
}

void TransformArguments::refuse(const std::string& why) const {
  refuse_text(concat(name_, ": ", why));
}

const std::string& TransformArguments::take(const char* what) {
  if (!more()) refuse(concat("expected ", what, ", got nothing"));
  return words_[next_++];
}

double TransformArguments::number(const char* what, double low, double high) {
  const std::string& word = take(what);
  const std::optional<double> value = parse<double>(word);
  if (!value || !(*value >= low && *value <= high))
    refuse(concat(what, ": expected a number of ", low, " to ", high, ", got ", sluice::quoted(word)));
  return *value;
}

double TransformArguments::number(const char* what, double low, double high, double fallback) {
  return more() ? number(what, low, high) : fallback;
}

std::int64_t TransformArguments::integer(const char* what, std::int64_t low, std::int64_t high) {
  const std::string& word = take(what);
  const std::optional<std::int64_t> value = parse<std::int64_t>(word);
  if (!value || *value < low || *value > high)
    refuse(concat(what, ": expected an integer of ", low, " to ", high, ", got ", sluice::quoted(word)));
  return *value;
}

std::int64_t TransformArguments::integer(const char* what, std::int64_t low, std::int64_t high, std::int64_t fallback) {
  return more() ? integer(what, low, high) : fallback;
}

bool TransformArguments::is_size() const {
  return more() && words_[next_].find('x') != std::string::npos;
}

PictureSize TransformArguments::size(const char* what) {
  if (!is_size()) {
    const std::int64_t side = integer(what, 1, kMostPictureSide);
    return {side, side};
  }
  const std::string& word = take(what);
  const std::size_t cross = word.find('x');
  const auto height = parse<std::int64_t>(word.substr(0, cross)), width = parse<std::int64_t>(word.substr(cross + 1));
  const auto fits = [](const std::optional<std::int64_t>& side) {
    return side && *side >= 1 && *side <= kMostPictureSide;
  };
  if (!fits(height) || !fits(width))
    refuse(concat(what, ": expected height x width such as 192x256, got ", sluice::quoted(word)));
  return {*height, *width};
}

void TransformArguments::end() const {
  if (more()) refuse(concat("does not take a further argument, got ", sluice::quoted(words_[next_])));
}

Transforms::Transforms(const std::string& text) {
  for (const Call& call : parse_calls(trim(text))) {
    TransformArguments arguments(call.name, call.arguments);
    steps_.push_back({call.name, find_kind(call.name).make(arguments)});
    arguments.end();
  }
}

const std::string& Transforms::first_random() const {
  static const std::string none;
  for (const Step& step : steps_) {
    if (step.transform->random()) return step.name;
  }
  return none;
}

std::optional<PictureSize> Transforms::size(std::optional<PictureSize> of) const {
  for (const Step& step : steps_) of = step.transform->size(of);
  return of;
}

Random Transforms::stream(const TransformDraw& draw, std::size_t step) const {
  constexpr unsigned kEpochBits = 48;  // step 0 has the streams that the short form (data.augment) has
  return Random(draw.seed, Purpose::kAugment, draw.epoch | static_cast<std::uint64_t>(step) << kEpochBits, draw.sample);
}

std::optional<PictureWindow> Transforms::window(const PictureSize& of, const TransformDraw& draw) const {
  if (steps_.empty()) return std::nullopt;
  Random random = stream(draw, 0);
  return steps_[0].transform->window(of, random);
}

void Transforms::apply(Picture& picture, const TransformDraw& draw, bool windowed,
                       const std::vector<std::uint8_t>& fill, DecodeScratch& scratch) const {
  for (std::size_t i = windowed ? 1 : 0; i < steps_.size(); ++i) {
    TransformWork work = {stream(draw, i), fill, scratch};
    steps_[i].transform->apply(picture, work);
  }
}

std::vector<std::pair<std::string, std::string>> transform_docs() {
  std::vector<std::pair<std::string, std::string>> docs;
  for (const Kind& kind : kKinds) docs.emplace_back(concat(kind.name, kind.arguments), kind.doc);
  return docs;
}

}  // namespace sluice
