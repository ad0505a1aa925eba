// Small networks for the tests of this folder, built as users build them.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.hpp"
#include "core/graph/executor.hpp"
#include "layers/layers.hpp"

namespace sluice {

/// A network with the registry and the configuration it came from.
struct Built {
  explicit Built(const std::string& ini, std::uint64_t seed = 1, void (*more_types)(Registry&) = nullptr) {
    register_layers(registry);
    if (more_types != nullptr) more_types(registry);
    config = std::make_unique<Config>(Config::parse(ini, "net.ini"));
    network = std::make_unique<Network>(*config, registry);
    config->check();
    network->initialise(seed);
  }

  Network& operator*() const { return *network; }
  Network* operator->() const { return network.get(); }

  Registry registry;
  std::unique_ptr<Config> config;
  std::unique_ptr<Network> network;
};

/// A residual network in miniature: fan-out, both kinds of shortcut, fusable chains, dropout.
inline std::string residual_ini(bool dropout = false) {
  const std::string conv = "\ntype = conv\nkernel = 3\npad = 1\nchannels = ";
  return "[network]\ninput = 3x8x8\n[layer.conv0]" + conv +
         "16\n[layer.bn0]\ntype = batchnorm\n[layer.relu0]\ntype = relu\n[layer.conv1]" + conv +
         "16\n[layer.bn1]\ntype = batchnorm\n[layer.relu1]\ntype = relu\n[layer.conv2]" + conv +
         "16\n[layer.bn2]\ntype = batchnorm\n[layer.add]\ntype = add\nfrom = bn2, relu0\n[layer.relu2]\ntype = relu\n"
         "[layer.conv3]" +
         conv +
         "32\nstride = 2\n[layer.bn3]\ntype = batchnorm\n[layer.shortcut]\ntype = shortcut\nfrom = relu2\nchannels = "
         "32\n"
         "stride = 2\nkind = projection\n[layer.add2]\ntype = add\nfrom = bn3, shortcut\n[layer.relu3]\ntype = relu\n"
         "[layer.pool]\ntype = global_pool\n" +
         (dropout ? "[layer.dropout]\ntype = dropout\nrate = 0.3\n" : "") +
         "[layer.fc]\ntype = linear\nfeatures = 5\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";
}

/// Random images in N x H x W x C with their labels.
struct Batch {
  Batch(const Network& network, std::int64_t images, std::int64_t classes, std::uint64_t seed) {
    Random random(seed, Purpose::kTest, 3);
    const std::int64_t count = network.input_shape(images).count();
    for (std::int64_t i = 0; i < count; ++i) data.push_back(static_cast<float>(random.normal()));
    for (std::int64_t i = 0; i < images; ++i)
      labels.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes))));
  }
  void give(Executor& executor) const { executor.set_batch(data.data(), labels.data()); }

  std::vector<float> data;
  std::vector<std::int32_t> labels;
};

inline ExecutorOptions options_of(Mode mode, std::int64_t batch) {
  ExecutorOptions options;
  options.mode = mode;
  options.batch = batch;
  return options;
}

/// refresh, forward and, in training, backward.
inline void run_step(Executor& executor, std::uint64_t step = 0) {
  executor.refresh();
  executor.forward(step);
  if (executor.options().mode == Mode::kTraining) executor.backward();
}

inline std::vector<float> copy_of(const float* values, std::int64_t count) {
  return {values, values + count};
}
inline std::vector<float> logits_of(const Executor& executor) {
  const Tensor logits = executor.logits();
  return copy_of(logits.as<const float>(), logits.desc.count());
}
inline std::vector<float> gradients_of(const Executor& executor, const Network& network) {
  return copy_of(executor.gradients(), network.parameter_count());
}
inline std::vector<float> buffers_of(const Network& network) {
  return copy_of(network.buffer_data(), network.buffer_count());
}
inline std::vector<float> parameters_of(const Network& network) {
  return copy_of(network.parameter_data(), network.parameter_count());
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Largest difference over the largest value; infinite where a value is not finite.
inline double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 1e-30, difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b.at(i));
    if (!(x - x == 0) || !(y - y == 0)) return 1e300;
    largest = x * x > largest * largest ? (x < 0 ? -x : x) : largest;
    difference = x - y > difference ? x - y : (y - x > difference ? y - x : difference);
  }
  return difference / largest;
}

}  // namespace sluice
