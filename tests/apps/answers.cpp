// answers CHECKPOINT.h5 IMAGES COUNT OUT: what a network says of images (bytes, N x H x W x C), for comparison with
// other programs. Writes the logits, N x classes floats, to OUT.logits, and to OUT.NUMBER a byte for each decision of a
// gated layer, N x H x W x C. Prints a line for each layer that counts open gates: number, name, open ones, whether
// there is such a file.
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

#include "apps/load.hpp"
#include "core/base/error.hpp"
#include "core/data/pixel_pass.hpp"
#include "core/graph/kernel_choice.hpp"
#include "core/model/trained_network.hpp"

namespace {

using namespace sluice;

std::vector<float> images_of(const std::string& path, std::int64_t count, const Shape& image,
                             const Normalization& how) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  const std::int64_t each = image.count();
  if (static_cast<std::int64_t>(bytes.size()) != count * each)
    throw Error(ExitCode::kUsage, concat(path, ": has ", bytes.size(), " bytes, expected ", count * each));
  const PixelPass pixels({image[kC], image[kH], image[kW]}, how, {});
  std::vector<float> images(bytes.size());
  for (std::int64_t i = 0; i < count; ++i)
    pixels.apply(reinterpret_cast<const std::uint8_t*>(bytes.data()) + i * each, {}, images.data() + i * each);
  return images;
}

void write(const std::string& path, const void* data, std::int64_t bytes) {
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(data), bytes);
}

int run(const std::vector<std::string>& arguments) {
  const std::int64_t count = std::stoll(arguments[2]);
  Registry registry;
  const Trained trained = load_trained(arguments[0], {}, registry);
  Experiment& experiment = *trained.experiment;
  experiment.configure_threads();
  Network& network = experiment.network();
  const Normalization& normalization = trained.network.trained_with();
  ExecutorOptions options = experiment.executor_options(Mode::kInference, count);
  options.record_decisions = true;
  options.layout = ExecutorOptions::LayoutChoice::kNhwc;
  options.type = DataType::kF32;
  Executor executor(network, options);
  choose_kernels(executor, trained.network.kernels());
  executor.refresh();
  const std::vector<float> images = images_of(arguments[1], count, network.input_shape(1), normalization);
  executor.set_batch(images.data(), nullptr);
  executor.forward();
  write(arguments[3] + ".logits", executor.logits().data, executor.logits().desc.count() * 4);
  std::set<int> others;  // whose products others close
  for (const ChannelProducts& products : network.channel_products()) others.insert(products.node);
  for (int n = 0; n < static_cast<int>(network.nodes().size()); ++n) {
    const Node& node = network.nodes()[static_cast<std::size_t>(n)];
    if (node.declared.counts.empty() || node.declared.is_loss || others.count(n) > 0) continue;
    const float* const decisions = executor.decisions(n);
    std::cout << n << " " << node.name << " " << executor.counts(n)[0] << " " << (decisions != nullptr) << "\n";
    if (decisions == nullptr) continue;
    const std::int64_t size = node.declared.dst.count() * count;
    const std::vector<char> bytes(decisions, decisions + size);
    write(concat(arguments[3], ".", n), bytes.data(), size);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "answers: " << error.what() << "\n";
    return 1;
  }
}
