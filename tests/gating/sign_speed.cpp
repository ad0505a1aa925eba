// Times a 3x3 convolution with weights of one bit and a gated source of two, from fp32 to fp32, against oneDNN's dense
// one of bytes, alternating in one process: sign_speed [--threads N] [--repeats N] [SHAPE...], a shape being
// 64x16x16n32. Prints the dense time, that of the prediction alone (twice of which is what all bits cost without
// gates), and by density how many times faster than dense each way is.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>

#include "core/base/buffer.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "gating/signs/sign_conv.hpp"
#include "layers/convolution.hpp"
#include "tests/gating/take_turns.hpp"
#include "tests/layers/harness/speed_program.hpp"

namespace sluice {
namespace {

constexpr double kDensities[] = {0, .1, .2, .3, .4, .5, .6, .8, 1};

struct Options {
  int threads = 1, repeats = 15;
  std::vector<std::string> shapes;
};

class Layer {
 public:
  explicit Layer(const std::string& text) {
    std::int64_t channels = 0, height = 0, width = 0, images = 0;
    if (std::sscanf(text.c_str(), "%ldx%ldx%ldn%ld", &channels, &height, &width, &images) != 4)
      throw Error(ExitCode::kUsage, concat("expected CHANNELSxHEIGHTxWIDTHnIMAGES, got '", text, "'"));
    geometry_.channels = channels;
    geometry_.kernel = 3;
    geometry_.pad = 1;
    desc_ = {{images, channels, height, width}, DataType::kF32, channels};
    src_ = Buffer(desc_.bytes());
    dst_ = Buffer(desc_.bytes());
    Random random(1, Purpose::kTest);
    for (std::int64_t i = 0; i < desc_.count(); ++i) src_.as<float>()[i] = static_cast<float>(random.normal());
    for (std::int64_t i = 0; i < geometry_.weights_shape(desc_.shape).count(); ++i)
      weights_.push_back(random.normal() > 0 ? 1.0F : -1.0F);
    numbers_.assign(static_cast<std::size_t>(channels + 16), 0.1F);
    find_quantiles();
  }

  /// From bytes to bytes, clipped.
  std::function<void()> dense() {
    ConvProblem problem{geometry_, desc_, desc_, Mode::kInference, false, false, {}};
    problem.src.type = problem.dst.type = DataType::kU8;
    problem.src.scale = problem.dst.scale = 1.0F / kMostInt8Level;
    problem.epilogue.low = 0;
    problem.epilogue.high = kMostInt8Level;
    problem.scaled = problem.shifted = true;
    auto conv = std::make_shared<ConvForward>(problem);
    SlotBook book;
    conv->book(book, book.scratch(), book.scratch());
    const auto memory = std::make_shared<OwnMemory>(book);
    conv->pack(memory->memory(), weights_.data());
    kernel_ = conv->kernel();
    bytes_.assign(static_cast<std::size_t>(desc_.count()), 3);
    out_.resize(bytes_.size());
    return [=] {
      conv->run(memory->memory(), bytes_.data(), ScaleOperands{numbers_.data(), numbers_.data(), nullptr}, out_.data());
    };
  }
  const std::string& kernel() const { return kernel_; }

  std::function<void()> counting(SignWay way, double density) {
    Epilogue epilogue;
    epilogue.affine = true;
    epilogue.low = 0;
    auto conv = std::make_shared<SignConv>(geometry_, desc_, desc_, epilogue);
    SlotBook book;
    Scratch forward = book.scratch();
    conv->book(book, forward);
    const auto memory = std::make_shared<OwnMemory>(book);
    const auto at = static_cast<std::size_t>((1 - density) * static_cast<double>(sums_.size() - 1));
    const float limit = density <= 0 ? 1e7F : density >= 1 ? -1e7F : sums_[at];
    conv->pack(memory->memory(), weights_.data(), std::vector<float>(weights_.size(), limit).data());
    return [=] {
      open_ = conv->run(memory->memory(), src_.as<float>(), way, {numbers_.data(), numbers_.data(), nullptr, nullptr},
                        dst_.as<float>());
    };
  }
  double share_open() const { return static_cast<double>(open_) / static_cast<double>(desc_.count()); }

 private:
  /// Sums of high bits, sorted.
  void find_quantiles() {
    SignConv conv(geometry_, desc_, desc_, {});
    SlotBook book;
    Scratch forward = book.scratch();
    conv.book(book, forward);
    const OwnMemory memory(book);
    conv.pack(memory.memory(), weights_.data(), std::vector<float>(weights_.size(), 1e7F).data());
    const std::vector<float> ones(numbers_.size(), 1.0F), zeros(numbers_.size());
    conv.run(memory.memory(), src_.as<float>(), SignWay::kNone, {ones.data(), zeros.data(), nullptr, nullptr},
             dst_.as<float>());
    sums_.assign(dst_.as<float>(), dst_.as<float>() + desc_.count());
    std::sort(sums_.begin(), sums_.end());
  }

  ConvGeometry geometry_;
  TensorDesc desc_;
  Buffer src_, dst_;
  std::vector<float> weights_, numbers_, sums_;
  std::vector<std::uint8_t> bytes_, out_;
  std::string kernel_;
  std::int64_t open_ = 0;
};

void measure(const std::string& shape, const Options& options) {
  Layer layer(shape);
  const auto dense = layer.dense();
  const auto [time, prediction] = take_turns(dense, layer.counting(SignWay::kNone, 0), options.repeats);
  const auto [again, whole] = take_turns(dense, layer.counting(SignWay::kAll, 1), options.repeats);
  std::printf("%-14s dense %.1f us (%s), prediction / dense %.3f, all bits / dense %.3f\n", shape.c_str(), time * 1e6,
              layer.kernel().c_str(), prediction / time, whole / again);
  for (const auto& [name, way] :
       {std::pair("dots", SignWay::kDots), std::pair("lanes", SignWay::kLanes), std::pair("all", SignWay::kAll)}) {
    std::printf("    %-6s", name);
    for (const double density : kDensities) {
      const auto [of_dense, own] = take_turns(dense, layer.counting(way, density), options.repeats);
      std::printf(" %.2f:%.2f", layer.share_open(), of_dense / own);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (word == "--threads") {
      options.threads = number();
    } else if (word == "--repeats") {
      options.repeats = number();
    } else {
      options.shapes.push_back(word);
    }
  }
  if (options.shapes.empty()) options.shapes = {"64x32x32n16", "128x16x16n32", "256x8x8n64"};
  set_threads(options.threads);
  std::printf("%d threads, %s; times faster than dense, by share of open gates\n", options.threads,
              sign_kernel_name().c_str());
  for (const std::string& shape : options.shapes) measure(shape, options);
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return sluice::speed_program("sign_speed", sluice::run, argc, argv);
}
