#include "apps/tensorboard/summaries.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/base/printable.hpp"
#include "core/picture/encode.hpp"

namespace sluice {
namespace {

using sluice_events::Event;

constexpr int kBuckets = 30;
constexpr char kConfiguration[] = "configuration";
constexpr char kIndent[] = "    ";  // a block of code in Markdown

sluice_events::Summary::Value& add_value(Event& event, const std::string& tag) {
  sluice_events::Summary::Value& value = *event.mutable_summary()->add_value();
  value.set_tag(valid_utf8(tag));
  return value;
}

/// Calls use(line) for each, without its end.
template <class Use>
void each_line(const std::string& text, const Use& use) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    use(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace

Event event_at(std::int64_t step) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  Event event;
  event.set_wall_time(std::chrono::duration<double>(now).count());
  event.set_step(step);
  return event;
}

Event version_event() {
  Event event = event_at(0);
  event.set_file_version("brain.Event:2");
  return event;
}

void add_scalar(Event& event, const std::string& tag, double value) {
  add_value(event, tag).set_simple_value(static_cast<float>(value));
}

void add_histogram(Event& event, const std::string& tag, const std::vector<double>& all) {
  std::vector<double> values;
  std::copy_if(all.begin(), all.end(), std::back_inserter(values), [](double value) { return std::isfinite(value); });
  if (values.empty()) return;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const double low = *least, width = (*most - low) / kBuckets;
  sluice_events::HistogramProto& histogram = *add_value(event, tag).mutable_histo();
  histogram.set_min(low);
  histogram.set_max(*most);
  histogram.set_num(static_cast<double>(values.size()));
  const int buckets = width > 0 ? kBuckets : 1;
  std::vector<double> counts(static_cast<std::size_t>(buckets), 0);
  double sum = 0, squares = 0;
  for (const double value : values) {
    const int bucket = width > 0 ? std::min(buckets - 1, static_cast<int>((value - low) / width)) : 0;
    ++counts[static_cast<std::size_t>(bucket)];
    sum += value;
    squares += value * value;
  }
  histogram.set_sum(sum);
  histogram.set_sum_squares(squares);
  for (int i = 0; i < buckets; ++i) {
    histogram.add_bucket_limit(i + 1 == buckets ? *most : low + (i + 1) * width);
    histogram.add_bucket(counts[static_cast<std::size_t>(i)]);
  }
}

void add_image(Event& event, const std::string& tag, const Picture& picture) {
  sluice_events::Summary::Image& image = *add_value(event, tag).mutable_image();
  image.set_height(static_cast<std::int32_t>(picture.size.height));
  image.set_width(static_cast<std::int32_t>(picture.size.width));
  image.set_colorspace(static_cast<std::int32_t>(picture.channels));
  image.set_encoded_image_string(encode_png(picture));
}

Event configuration_event(std::int64_t step, const std::string& configuration) {
  Event event = event_at(step);
  sluice_events::Summary::Value& value = add_value(event, kConfiguration);
  value.mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  sluice_events::TensorProto& tensor = *value.mutable_tensor();
  tensor.set_dtype(sluice_events::DT_STRING);
  tensor.mutable_tensor_shape()->add_dim()->set_size(1);
  std::string& text = *tensor.add_string_val();
  each_line(configuration, [&](const std::string& line) { text += kIndent + line + "\n"; });
  return event;
}

std::string configuration_in(const Event& event) {
  for (const sluice_events::Summary::Value& value : event.summary().value()) {
    if (value.tag() != kConfiguration || value.tensor().string_val_size() != 1) continue;
    std::string text;
    each_line(value.tensor().string_val(0),
              [&](const std::string& line) { text += line.substr(std::min(sizeof kIndent - 1, line.size())) + "\n"; });
    return text;
  }
  return "";
}

}  // namespace sluice
