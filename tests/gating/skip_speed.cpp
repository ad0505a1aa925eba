// Times the convolution that skips against dense ones of the same shape, alternating in one process: skip_speed
// [--threads N] [--p N] [--int8] [--quick] [--density D] [--dots] [SHAPE...], a shape being 16x32x32n128. Prints a
// table: the dense direct convolution's time, Winograd's, the base path alone, and by density how many times faster
// than the direct one each way is.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "gating/skip/skip_conv.hpp"
#include "layers/convolution.hpp"
#include "tests/gating/take_turns.hpp"
#include "tests/layers/harness/speed_program.hpp"

namespace sluice {
namespace {

struct Options {
  int threads = 1, repeats = 15;
  std::int64_t partitions = 4;
  bool group = true;
  bool int8 = false;
  std::vector<std::string> shapes;
  std::vector<double> densities{.05, .1, .2, .3, .5, .8, 1.0};
  std::vector<int> ways;
};

struct Size {
  std::int64_t channels = 0, height = 0, width = 0, images = 0;
};

Size parse(const std::string& text) {
  Size s;
  if (std::sscanf(text.c_str(), "%ldx%ldx%ldn%ld", &s.channels, &s.height, &s.width, &s.images) != 4)
    throw Error(ExitCode::kUsage, concat("expected CHANNELSxHEIGHTxWIDTHnIMAGES, got '", text, "'"));
  return s;
}

/// One layer: a dense convolution with bias and clip, and ours.
class Layer {
 public:
  Layer(const Size& size, const Options& options) : size_(size), options_(options) {
    const bool blocked = size.channels % 16 == 0 && cpu_isa() == Isa::kAvx512 && !options.int8;
    const std::int64_t block = blocked ? 16 : size.channels;
    problem_.geometry.channels = size.channels;
    problem_.geometry.kernel = 3;
    problem_.geometry.pad = 1;
    problem_.src = {{size.images, size.channels, size.height, size.width}, DataType::kF32, block};
    problem_.dst = problem_.src;
    problem_.paths =
        PathMask({options.partitions, options.group, false}, problem_.geometry.weights_shape(problem_.src.shape));
    problem_.low = 0;
    src_ = Buffer(problem_.src.bytes());
    dst_ = Buffer(problem_.dst.bytes());
    Random random(1, Purpose::kTest);
    for (std::int64_t i = 0; i < problem_.src.count(); ++i) src_.as<float>()[i] = static_cast<float>(random.normal());
    if (options.int8) go_in_int8();
    const std::int64_t count = problem_.geometry.weights_shape(problem_.src.shape).count();
    const double scale = std::sqrt(2.0 * static_cast<double>(size.channels) / static_cast<double>(count));
    for (std::int64_t i = 0; i < count; ++i) weights_.push_back(static_cast<float>(random.normal() * scale));
    shift_.assign(static_cast<std::size_t>(size.channels), 0.1F);
    find_quantiles();
  }

  /// Runs of a dense convolution.
  std::function<void()> dense(bool winograd) {
    if (options_.int8) return dense_int8();
    ConvProblem dense{problem_.geometry, problem_.src, problem_.dst, Mode::kInference, true, winograd, {}};
    dense.epilogue.low = 0;
    if (winograd) dense.src.block = dense.dst.block = size_.channels % 16 == 0 ? 16 : size_.channels;
    auto conv = std::make_shared<ConvForward>(dense);
    const auto memory = memory_of(*conv);
    conv->pack(memory->memory(), weights_.data());
    kernel_ = conv->kernel();
    return [=] { conv->run(memory->memory(), src_.data(), shift_.data(), dst_.data()); };
  }
  /// From int8 to int8.
  std::function<void()> dense_int8() {
    ConvProblem dense{problem_.geometry, problem_.src, problem_.dst, Mode::kInference, false, false, {}};
    dense.epilogue.low = 0;
    dense.epilogue.high = kMostInt8Level;
    dense.scaled = dense.shifted = true;
    auto conv = std::make_shared<ConvForward>(dense);
    const auto memory = memory_of(*conv);
    auto whole = weights_;
    for (float& w : whole) w = std::clamp(std::nearbyint(w * 100), -127.0F, 127.0F);
    conv->pack(memory->memory(), whole.data());
    kernel_ = conv->kernel();
    return [=] {
      conv->run(memory->memory(), src_.data(), ScaleOperands{shift_.data(), shift_.data(), nullptr}, dst_.data());
    };
  }
  const std::string& kernel() const { return kernel_; }

  /// Runs of ours with a share of open gates.
  std::function<void()> skipping(int lanes_from, double density) {
    SkipProblem problem = problem_;
    problem.lanes_from = lanes_from;
    auto conv = std::make_shared<SkipConv>(problem);
    auto packed = std::make_shared<Buffer>(conv->packed_count() * 4);
    const auto memory = memory_of(*conv);
    auto limits = std::make_shared<std::vector<float>>();
    for (const auto& sorted : base_) {
      const auto count = static_cast<double>(sorted.size());
      const auto at = static_cast<std::int64_t>((1 - density) * count);
      const float above = std::numeric_limits<float>::infinity();
      limits->push_back(density <= 0 ? above : at == 0 ? -above : sorted[static_cast<std::size_t>(at - 1)]);
    }
    conv->pack(memory->memory(), weights_.data(), packed->as<float>());
    return [=] {
      SkipConstants constants;
      constants.gate.limit = limits->data();
      constants.open_shift = constants.closed_shift = shift_.data();
      open_ = conv->run(memory->memory(), src_.data(), packed->as<float>(), constants, nullptr, dst_.data());
    };
  }
  double share_open() const { return static_cast<double>(open_) / static_cast<double>(problem_.dst.count()); }

 private:
  static std::shared_ptr<OwnMemory> memory_of(ConvForward& conv) {
    SlotBook book;
    conv.book(book, book.scratch(), book.scratch());
    return std::make_shared<OwnMemory>(book);
  }
  static std::shared_ptr<OwnMemory> memory_of(SkipConv& conv) {
    SlotBook book;
    conv.book(book.scratch(), book.scratch());
    return std::make_shared<OwnMemory>(book);
  }

  void go_in_int8() {
    for (std::int64_t i = 0; i < problem_.src.count(); ++i) {
      const float level = std::nearbyint(src_.as<float>()[i] / kScale);
      src_.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(std::clamp<float>(level, 0, kMostInt8Level));
    }
    problem_.src.type = problem_.dst.type = DataType::kU8;
    problem_.src.scale = problem_.dst.scale = problem_.src_scale = kScale;
  }

  /// Base products of each channel, sorted.
  void find_quantiles() {
    base_.resize(static_cast<std::size_t>(size_.channels));
    SkipProblem problem = problem_;
    problem.low = -std::numeric_limits<float>::infinity();
    problem.dst.type = DataType::kF32;
    SkipConv conv(problem);
    const Buffer packed(conv.packed_count() * 4);
    const auto memory = memory_of(conv);
    conv.pack(memory->memory(), weights_.data(), packed.as<float>());
    const std::vector<float> never(base_.size(), std::numeric_limits<float>::infinity());
    SkipConstants constants;
    constants.gate.limit = never.data();
    conv.run(memory->memory(), src_.data(), packed.as<float>(), constants, nullptr, dst_.data());
    for (std::int64_t n = 0; n < size_.images; ++n) {
      for (std::int64_t c = 0; c < size_.channels; ++c) {
        for (std::int64_t i = 0; i < size_.height * size_.width; ++i) {
          const std::int64_t at = problem_.dst.offset(n, c, i / size_.width, i % size_.width);
          base_[static_cast<std::size_t>(c)].push_back(dst_.as<float>()[at]);
        }
      }
    }
    for (auto& values : base_) std::sort(values.begin(), values.end());
  }

  static constexpr float kScale = 4.0F / kMostInt8Level;

  Size size_;
  Options options_;
  SkipProblem problem_;
  Buffer src_, dst_;
  std::vector<float> weights_, shift_;
  std::vector<std::vector<float>> base_;
  std::string kernel_;
  std::int64_t open_ = 0;
};

std::string way_name(int lanes_from) {
  return lanes_from == SkipProblem::kNever ? "dots" : concat("from ", lanes_from);
}

void measure(const std::string& text, const Options& options) {
  Layer layer(parse(text), options);
  const auto direct = layer.dense(false);
  const std::string kernel = layer.kernel();
  const auto winograd = layer.dense(true);
  const bool slow = options.int8 || is_reference_kernel(layer.kernel());  // oneDNN has no fast one for this processor
  const auto [time, other] = take_turns(direct, slow ? direct : winograd, options.repeats);
  const auto [again, base] = take_turns(direct, layer.skipping(SkipProblem::kNever, 0), options.repeats);
  std::printf("%-14s dense %8.1f us (%s), ", text.c_str(), time * 1e6, kernel.c_str());
  if (!slow) std::printf("winograd / dense %.2f (%s), ", other / time, layer.kernel().c_str());
  std::printf("base / dense %.3f\n", base / again);
  std::map<int, std::vector<double>> ratios;
  std::vector<double> best(options.densities.size(), 0);
  for (std::size_t d = 0; d < options.densities.size(); ++d) {
    for (int way : options.ways) {
      const auto [dense, ours] = take_turns(direct, layer.skipping(way, options.densities[d]), options.repeats);
      ratios[way].push_back(dense / ours);
      best[d] = std::max(best[d], dense / ours);
    }
  }
  for (int way : options.ways) {
    std::printf("    %-8s", way_name(way).c_str());
    for (double ratio : ratios[way]) std::printf(" %6.2f", ratio);
    std::printf("\n");
  }
  double even = options.densities.back();
  for (std::size_t d = best.size(); d-- > 1;) {
    if (best[d] < 1 && best[d - 1] >= 1) {
      const double share = (best[d - 1] - 1) / (best[d - 1] - best[d]);
      even = options.densities[d - 1] + share * (options.densities[d] - options.densities[d - 1]);
    }
  }
  std::printf("    break-even %s%.2f\n", best.back() >= 1 ? "> " : "", even);
  std::fflush(stdout);
}

Options parse_options(int argc, char** argv) {
  Options options;
  options.ways = {SkipProblem::kNever, SkipConv::lanes() / 2, 1, 0};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (word == "--threads") {
      options.threads = number();
    } else if (word == "--p") {
      options.partitions = number();
    } else if (word == "--repeats") {
      options.repeats = number();
    } else if (word == "--no-group") {
      options.group = false;
    } else if (word == "--int8") {
      options.int8 = true;
    } else if (word == "--density") {
      options.densities = {i + 1 < argc ? std::atof(argv[++i]) : 0};
    } else if (word == "--dots") {
      options.ways = {SkipProblem::kNever};
    } else if (word == "--quick") {
      options.densities = {.05, .1, .3, .5, 1};
      options.repeats = 5;
    } else {
      options.shapes.push_back(word);
    }
  }
  if (!options.shapes.empty()) return options;
  for (const char* shape : {"16x32x32", "32x16x16", "64x8x8", "128x16x16", "256x8x8", "512x4x4"}) {
    const std::string text = shape;
    options.shapes.push_back(text + (text.size() > 8 || text[0] == '2' || text[0] == '5' ? "n32" : "n128"));
    options.shapes.push_back(text + "n1");
  }
  return options;
}

int run(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  set_threads(options.threads);
  std::printf("p %d%s, %d threads, %s; times faster than dense at density", static_cast<int>(options.partitions),
              options.group ? " group" : "", options.threads, to_string(cpu_isa()).c_str());
  for (double density : options.densities) std::printf(" %.2f", density);
  std::printf("\n");
  for (const std::string& shape : options.shapes) measure(shape, options);
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return sluice::speed_program("skip_speed", sluice::run, argc, argv);
}
