// Draws where a gated network computes: open_gates CHECKPOINT.h5 [--section.key=value ...] >open_gates.svg. One column
// for each of the first classes: an image of the test set in grey, and for each resolution the share of its gates that
// are open, the darker the more, each row by itself. README.md has what it drew of
// configs/pretrained/cifar10_resnet8_wide_cg.h5.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>
#include <sluice/train.hpp>
#include <sstream>
#include <vector>

namespace {

using namespace sluice;

constexpr int kColumns = 8, kLevels = 16;
constexpr double kSide = 84, kGap = 12, kTop = 26, kLeft = 118;  // pixels of the picture

/// Shares by pixel, 0 to 1.
struct Map {
  std::int64_t height = 0, width = 0;
  std::vector<double> values;
};

struct Column {
  std::string title;
  double executed = 0;  ///< share of the multiply-adds
  Map image;
  std::map<std::int64_t, Map, std::greater<>> open;  ///< by height
};

/// A column of numbers for each colour from `low` to `high`: runs of equal cells are one rectangle.
void draw(std::ostream& out, const Map& map, double x, double y, const int (&low)[3], const int (&high)[3]) {
  const double cell = kSide / static_cast<double>(map.width);
  std::vector<std::ostringstream> paths(kLevels);
  const auto level = [&](std::int64_t i) {
    return static_cast<std::size_t>(
        std::lround(std::clamp(map.values[static_cast<std::size_t>(i)], 0.0, 1.0) * (kLevels - 1)));
  };
  for (std::int64_t row = 0; row < map.height; ++row) {
    for (std::int64_t begin = 0, end = 0; begin < map.width; begin = end) {
      while (end < map.width && level(row * map.width + end) == level(row * map.width + begin)) ++end;
      paths[level(row * map.width + begin)] << "M" << begin << " " << row << "h" << end - begin << "v1h-" << end - begin
                                            << "z";
    }
  }
  out << "<g transform=\"translate(" << x << " " << y << ") scale(" << cell << ")\">\n";
  for (int l = 0; l < kLevels; ++l) {
    const std::string path = paths[static_cast<std::size_t>(l)].str();
    if (path.empty()) continue;
    char colour[8];
    const auto mix = [&](int c) { return low[c] + (high[c] - low[c]) * l / (kLevels - 1); };
    std::snprintf(colour, sizeof(colour), "#%02x%02x%02x", mix(0), mix(1), mix(2));
    out << "<path fill=\"" << colour << "\" d=\"" << path << "\"/>\n";
  }
  out << "</g>\n";
}

void write(std::ostream& out, double x, double y, const char* anchor, const std::string& text) {
  out << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\">" << text << "</text>\n";
}

void draw(std::ostream& out, const std::vector<Column>& columns) {
  const int black[3] = {0, 0, 0}, white[3] = {255, 255, 255}, closed[3] = {238, 242, 247}, open[3] = {12, 84, 160};
  const double rows = 1 + static_cast<double>(columns[0].open.size()), step = kSide + kGap;
  const double width = kLeft + step * static_cast<double>(columns.size()), height = kTop + rows * step + 14;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << width << " " << height
      << "\" font-family=\"sans-serif\" font-size=\"12\" shape-rendering=\"crispEdges\">\n<rect width=\"" << width
      << "\" height=\"" << height << "\" fill=\"#fff\"/>\n";
  write(out, 8, kTop + kSide / 2, "start", "image");
  write(out, 8, height - 8, "start", "computed");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const double x = kLeft + step * static_cast<double>(i);
    write(out, x + kSide / 2, 16, "middle", columns[i].title);
    draw(out, columns[i].image, x, kTop, black, white);
    double y = kTop;
    for (const auto& [side, map] : columns[i].open) {
      y += step;
      if (i == 0) write(out, 8, y + kSide / 2, "start", concat("gates, ", map.width, " x ", side));
      draw(out, map, x, y, closed, open);
    }
    write(out, x + kSide / 2, height - 8, "middle", concat(std::lround(100 * columns[i].executed), " %"));
  }
  out << "</svg>\n";
}

/// The mean over the channels of what stands in NHWC, added to `into`.
void add_shares(const float* decisions, const Shape& shape, double weight, Map& into) {
  into.height = shape[kH], into.width = shape[kW];
  into.values.resize(static_cast<std::size_t>(into.height * into.width));
  for (std::size_t p = 0; p < into.values.size(); ++p) {
    const float* const pixel = decisions + p * static_cast<std::size_t>(shape[kC]);
    for (std::int64_t c = 0; c < shape[kC]; ++c) into.values[p] += weight * pixel[c] / static_cast<double>(shape[kC]);
  }
}

Column look(Executor& executor, const Network& network, const Dataset& dataset, std::int64_t index,
            const float* image) {
  executor.set_batch(image, nullptr);
  executor.reset_statistics();
  executor.forward();
  const Cost cost = total(layer_costs(network, executor.statistics().counts_by_node()));
  Column column{"", cost.macs_executed / cost.macs_dense, {}, {}};
  std::map<std::int64_t, double> layers;  // of a resolution
  for (int pass = 0; pass < 2; ++pass) {
    for (int node = 0; node < static_cast<int>(network.nodes().size()); ++node) {
      const float* const decisions = executor.decisions(node);
      if (decisions == nullptr) continue;
      const Shape& shape = network.nodes()[static_cast<std::size_t>(node)].declared.dst;
      if (pass == 0)
        ++layers[shape[kH]];
      else
        add_shares(decisions, shape, 1 / layers[shape[kH]], column.open[shape[kH]]);
    }
  }
  const ImageShape& shape = dataset.shape();
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(shape.count()));
  std::int32_t label = 0;
  dataset.read(&index, 1, bytes.data(), &label);
  column.title = dataset.class_name(label);
  column.image = {shape.height, shape.width, {}};
  const auto channels = static_cast<std::size_t>(shape.channels);
  for (std::size_t p = 0; p < bytes.size(); p += channels)
    column.image.values.push_back(std::accumulate(&bytes[p], &bytes[p] + channels, 0.0) /
                                  static_cast<double>(255 * channels));
  return column;
}

/// So that the largest of each resolution is 1.
void scale(std::vector<Column>& columns) {
  for (const auto& [side, first] : columns[0].open) {
    double largest = 0;
    for (const Column& column : columns)
      for (const double value : column.open.at(side).values) largest = std::max(largest, value);
    for (Column& column : columns)
      for (double& value : column.open.at(side).values) value /= std::max(largest, 1e-9);
  }
}

std::vector<Column> look_at_each_class(ConfiguredNetwork& configured, const Normalization& normalization) {
  const auto dataset = open_dataset(configured.data, Split::kTest);
  ExecutorOptions options = configured.executor_options(Mode::kInference, 1);
  options.record_decisions = true;
  options.layout = ExecutorOptions::LayoutChoice::kNhwc;  // of the decisions, too
  Executor executor(configured.network(), options);
  executor.refresh();
  Pipeline pipeline(*dataset, evaluation_pipeline(configured.data, normalization, 1));
  pipeline.start(0);
  std::map<std::int32_t, Column> by_class;
  while (const Batch* batch = pipeline.next()) {
    const std::int32_t label = batch->labels[0];
    if (label < kColumns && by_class.count(label) == 0)
      by_class[label] = look(executor, configured.network(), *dataset, batch->indices[0], batch->images.data());
    if (by_class.size() == kColumns) break;
  }
  std::vector<Column> columns;
  for (auto& [label, column] : by_class) columns.push_back(std::move(column));
  scale(columns);
  return columns;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2)
    throw Error(ExitCode::kUsage, "usage: open_gates CHECKPOINT.h5 [--section.key=value ...] >open_gates.svg");
  const Checkpoint checkpoint = load(argv[1]);
  Registry registry;
  register_all(registry);
  ConfiguredNetwork configured(Config::stored(checkpoint.config, checkpoint.file, {argv + 2, argv + argc}), registry);
  restore_weights(checkpoint, configured.network());
  std::ostringstream picture;
  draw(picture, look_at_each_class(configured, {checkpoint.mean, checkpoint.std}));
  std::fputs(picture.str().c_str(), stdout);
} catch (const Error& error) {
  std::fprintf(stderr, "open_gates: %s\n", error.what());
  return static_cast<int>(error.code());
}
