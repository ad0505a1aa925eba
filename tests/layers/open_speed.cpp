// Times the convolution of open channels against the fastest dense one of the same shape, alternating in one process:
// open_speed [--threads N] [SHAPE...], a shape being 16x32x32n128. Prints the dense time, and by share of open channels
// that of ours as a share of it: with closed outputs, and with closed inputs; both in fp32, then in int8.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/median.hpp"
#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "layers/convolution.hpp"
#include "layers/int8_open_convolution.hpp"
#include "layers/open_convolution.hpp"
#include "tests/layers/harness/speed_program.hpp"

namespace sluice {
namespace {

constexpr double kShares[] = {0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0};
constexpr int kRounds = 15;

/// Processor time of all threads: others on the machine matter less.
double seconds(const std::function<void()>& work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

/// Times of both, as medians over turns.
std::pair<double, double> compare(const std::function<void()>& a, const std::function<void()>& b) {
  a();
  const int inner = static_cast<int>(std::clamp(1e-3 / std::max(1e-6, std::min(seconds(a), seconds(b))), 1.0, 100.0));
  const auto several = [inner](const std::function<void()>& work) {
    work();
    return seconds([&] {
             for (int i = 0; i < inner; ++i) work();
           }) /
           inner;
  };
  std::vector<double> times_a, times_b;
  for (int i = 0; i < kRounds; ++i) {
    times_a.push_back(several(a));
    times_b.push_back(several(b));
  }
  return {median(times_a), median(times_b)};
}

class Layer {
 public:
  explicit Layer(const std::string& text) : random_(1, Purpose::kTest) {
    if (std::sscanf(text.c_str(), "%ldx%ldx%ldn%ld", &channels_, &height_, &width_, &images_) != 4)
      throw Error(ExitCode::kUsage, concat("expected CHANNELSxHEIGHTxWIDTHnIMAGES, got '", text, "'"));
    problem_.geometry.channels = channels_;
    problem_.geometry.kernel = 3;
    problem_.geometry.pad = 1;
    problem_.src = {{images_, channels_, height_, width_}, DataType::kF32, channels_};
    if (cpu_isa() == Isa::kAvx512 && channels_ % 16 == 0) problem_.src.block = 16;
    problem_.dst = problem_.src;
    problem_.low = 0;
    src_.resize(static_cast<std::size_t>(problem_.src.count()));
    for (float& x : src_) x = static_cast<float>(random_.normal());
    dst_.resize(src_.size());
    weights_.resize(static_cast<std::size_t>(channels_ * channels_ * 9));
    for (float& w : weights_) w = static_cast<float>(random_.normal());
    bias_.assign(static_cast<std::size_t>(channels_), 0.1F);
  }

  std::function<void()> dense(std::string& kernel) {
    ConvProblem dense{problem_.geometry, problem_.src, problem_.dst, Mode::kInference, true, true, {}};
    dense.epilogue.low = 0;
    auto conv = std::make_shared<ConvForward>(dense);
    SlotBook book;
    conv->book(book, book.scratch(), book.scratch());
    auto memory = std::make_shared<OwnMemory>(book);
    conv->pack(memory->memory(), weights_.data());
    kernel = conv->kernel();
    return [=] { conv->run(memory->memory(), src_.data(), bias_.data(), dst_.data()); };
  }

  std::function<void()> open(bool outputs, double share) {
    OpenProblem problem = problem_;
    (outputs ? problem.closes_outputs : problem.closes_inputs) = true;
    auto conv = std::make_shared<OpenConvolution>(problem);
    SlotBook book;
    conv->book(book, book.scratch(), book.scratch());
    auto memory = std::make_shared<OwnMemory>(book);
    conv->pack(memory->memory(), weights_.data());
    auto factors = std::make_shared<std::vector<float>>(factors_of(share));
    return [=] {
      const OpenFactors given{outputs ? nullptr : factors->data(), outputs ? factors->data() : nullptr};
      conv->run(memory->memory(), src_.data(), given, bias_.data(), dst_.data());
    };
  }

  /// Of a source in int8.
  std::function<void()> open_int8(bool outputs, double share) {
    Int8OpenConvolution::Problem problem;
    problem.product.geometry = problem_.geometry;
    problem.product.src = problem.product.dst = problem_.src;
    problem.product.src.block = problem.product.dst.block = channels_;
    problem.product.src.type = DataType::kU8;
    problem.product.epilogue.low = 0;
    (outputs ? problem.closes_outputs : problem.closes_inputs) = true;
    auto conv = std::make_shared<Int8OpenConvolution>(problem);
    SlotBook book;
    conv->book(book, book.scratch());
    auto memory = std::make_shared<OwnMemory>(book);
    conv->pack(memory->memory(), std::vector<float>(weights_.size(), 1.0F).data());
    auto factors = std::make_shared<std::vector<float>>(factors_of(share));
    auto src = std::make_shared<std::vector<std::uint8_t>>(src_.size(), 1);
    return [=] {
      const OpenFactors given{outputs ? nullptr : factors->data(), outputs ? factors->data() : nullptr};
      conv->run(memory->memory(), src->data(), given, {bias_.data(), bias_.data(), nullptr}, dst_.data());
    };
  }

 private:
  std::vector<float> factors_of(double share) {
    std::vector<float> factors(static_cast<std::size_t>(images_ * channels_));
    for (float& f : factors) f = random_.uniform() < share ? 1.0F : 0.0F;
    return factors;
  }

  long channels_ = 0, height_ = 0, width_ = 0, images_ = 0;
  Random random_;
  OpenProblem problem_;
  std::vector<float> src_, dst_, weights_, bias_;
};

void measure(const std::string& shape) {
  Layer layer(shape);
  std::string kernel;
  const std::function<void()> dense = layer.dense(kernel);
  std::printf("%-14s dense %.1f us (%s)\n", shape.c_str(), compare(dense, dense).first * 1e6, kernel.c_str());
  for (const int way : {0, 1, 2, 3}) {
    const bool outputs = way % 2 == 0, int8 = way > 1;
    std::printf("    %-5s%-8s", int8 ? "int8" : "fp32", outputs ? "outputs" : "inputs");
    for (const double share : kShares) {
      const auto [time, ours] = compare(dense, int8 ? layer.open_int8(outputs, share) : layer.open(outputs, share));
      std::printf("  %.2f: %.2f", share, ours / time);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

int run(int argc, char** argv) {
  std::vector<std::string> shapes;
  int threads = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--threads" && i + 1 < argc) {
      threads = std::atoi(argv[++i]);
    } else {
      shapes.emplace_back(argv[i]);
    }
  }
  set_threads(threads);
  if (shapes.empty()) shapes = {"16x32x32n16", "32x16x16n32", "64x8x8n64", "64x56x56n1", "128x28x28n1", "256x14x14n1"};
  for (const std::string& shape : shapes) measure(shape);
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return sluice::speed_program("open_speed", sluice::run, argc, argv);
}
