// Times 3x3 convolutions of levels, from bytes to bytes, against the fastest dense convolution in fp32, alternating in
// one process: level_speed [--threads N] [--repeats N] [--bits N] [--signed] [SHAPE...], a shape being 16x32x32n128.
// Prints the time of fp32 and, as shares of it, those of direct products and of Winograd's algorithm.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "layers/convolution.hpp"
#include "layers/level_convolution.hpp"
#include "tests/gating/take_turns.hpp"
#include "tests/layers/harness/speed_program.hpp"

namespace sluice {
namespace {

struct Options {
  int threads = 1, repeats = 15;
  std::int64_t bits = 3;
  LevelSet weights = LevelSet::kFull;
  std::vector<std::string> shapes;
};

class Layer {
 public:
  Layer(const std::string& text, const Options& options) {
    std::int64_t channels = 0, height = 0, width = 0, images = 0;
    if (std::sscanf(text.c_str(), "%ldx%ldx%ldn%ld", &channels, &height, &width, &images) != 4)
      throw Error(ExitCode::kUsage, concat("expected CHANNELSxHEIGHTxWIDTHnIMAGES, got '", text, "'"));
    problem_.geometry.channels = channels;
    problem_.geometry.kernel = 3;
    problem_.geometry.pad = 1;
    problem_.source = {options.bits, LevelSet::kFull};
    problem_.weights = {8, options.weights};
    problem_.src = {{images, channels, height, width}, DataType::kU8, channels};
    problem_.dst = problem_.src;
    problem_.src_nonnegative = true;
    problem_.dst_levels = static_cast<int>(problem_.source.levels());
    problem_.epilogue.low = 0;
    Random random(1, Purpose::kTest);
    const auto count = static_cast<std::size_t>(problem_.src.count());
    floats_.resize(count);
    for (float& x : floats_) x = static_cast<float>(random.normal());
    result_.resize(count);
    for (std::size_t i = 0; i < count; ++i) bytes_.push_back(static_cast<std::uint8_t>(random.below(8)));
    out_.resize(count);
    const auto most = static_cast<double>(problem_.weights.levels());
    for (std::int64_t i = 0; i < channels * channels * 9; ++i)
      weights_.push_back(static_cast<float>(std::nearbyint((2 * random.uniform() - 1) * most)));
    numbers_.assign(static_cast<std::size_t>(channels + 16), 0.001F);
  }

  std::function<void()> floats() {
    TensorDesc desc = problem_.src;
    desc.type = DataType::kF32;
    if (desc.shape[kC] % 16 == 0) desc.block = 16;
    ConvProblem problem{problem_.geometry, desc, desc, Mode::kInference, true, true, {}};
    problem.epilogue.low = 0;
    auto conv = std::make_shared<ConvForward>(problem);
    SlotBook book;
    conv->book(book, book.scratch(), book.scratch());
    const auto memory = std::make_shared<OwnMemory>(book);
    conv->pack(memory->memory(), weights_.data());
    kernel_ = conv->kernel();
    return [=] { conv->run(memory->memory(), floats_.data(), numbers_.data(), result_.data()); };
  }
  const std::string& kernel() const { return kernel_; }

  std::function<void()> levels(bool winograd) {
    LevelProblem problem = problem_;
    problem.winograd = winograd;
    auto conv = std::make_shared<LevelConvolution>(problem);
    SlotBook book;
    conv->book(book, book.scratch());
    const auto memory = std::make_shared<OwnMemory>(book);
    conv->pack(memory->memory(), weights_.data());
    return [=] {
      conv->run(memory->memory(), bytes_.data(), {1, numbers_.data(), numbers_.data(), nullptr, nullptr, &scale_},
                out_.data());
    };
  }

 private:
  LevelProblem problem_;
  float scale_ = 1;
  std::vector<float> floats_, result_, weights_, numbers_;
  std::vector<std::uint8_t> bytes_, out_;
  std::string kernel_;
};

void measure(const std::string& shape, const Options& options) {
  Layer layer(shape, options);
  const auto floats = layer.floats(), direct = layer.levels(false), winograd = layer.levels(true);
  const auto [time, of_direct] = take_turns(floats, direct, options.repeats);
  const auto [again, of_winograd] = take_turns(floats, winograd, options.repeats);
  const auto [a, b] = take_turns(direct, winograd, options.repeats);
  std::printf("%-14s fp32 %8.1f us (%s), direct %.2f, winograd %.2f; winograd / direct %.2f\n", shape.c_str(),
              time * 1e6, layer.kernel().c_str(), of_direct / time, of_winograd / again, b / a);
  std::fflush(stdout);
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
    } else if (word == "--bits") {
      options.bits = number();
    } else if (word == "--signed") {
      options.weights = LevelSet::kSigned;
    } else {
      options.shapes.push_back(word);
    }
  }
  if (options.shapes.empty())
    options.shapes = {"16x32x32n128", "32x16x16n128", "64x8x8n128", "16x32x32n1", "32x16x16n1", "64x8x8n1"};
  set_threads(options.threads);
  std::printf("%d threads, %s; shares of fp32's time\n", options.threads, to_string(cpu_isa()).c_str());
  for (const std::string& shape : options.shapes) measure(shape, options);
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return sluice::speed_program("level_speed", sluice::run, argc, argv);
}
