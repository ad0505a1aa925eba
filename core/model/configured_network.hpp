// A network as a configuration describes it, and how it is run: all that the use of a network reads of a configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/config/config.hpp"
#include "core/data/options.hpp"
#include "core/graph/executor.hpp"
#include "core/graph/network.hpp"

namespace sluice {

/// What a network computes in. kInt8: inference whose layers multiply int8 where that is faster, and keep activations
/// in them where they can; the rest is fp32.
enum class Precision { kFp32, kBf16, kInt8 };
/// "fp32", "bf16", "int8".
std::string to_string(Precision precision);
/// Of the activations.
DataType activation_type(Precision precision);

/// `[run]`
struct RunOptions {
  std::string dir;
  std::int64_t seed = 1;
  std::int64_t threads = 0;  ///< 0: all that this process may use
  Precision precision = Precision::kFp32;
  ExecutorOptions::LayoutChoice layout = ExecutorOptions::LayoutChoice::kAuto;
  bool winograd = true;
  bool skip = true;
  void describe(Keys& keys);
};

/// `[eval]`
struct EvalOptions {
  std::int64_t batch = 128;
  std::int64_t top_k = 0;  ///< 0: the best answer alone counts
  void describe(Keys& keys);
};

constexpr int kMostInBatch = 1 << 20;  ///< images

/// Drops what a checkpoint's text says about the machine it was written on (Keys::of_machine).
void forget_of_machine(Section& section, const std::vector<KeyDoc>& keys);

/// Config::read, but what belongs to the machine is not taken from a checkpoint.
template <class Options>
Options read_here(Config& config, const std::string& section) {
  Options documented;
  Keys keys;
  documented.describe(keys);
  forget_of_machine(config.section(section), keys.docs());
  return config.read<Options>(section);
}

class ConfiguredNetwork {
 public:
  /// Takes the configuration (plug-ins are loaded already) and builds the network. Sections that a checkpoint's own
  /// text has for others, such as its training, are left to them. Throws Error(kUsage) with all mistakes. The registry
  /// must outlive it.
  ConfiguredNetwork(Config config, const Registry& registry);

  Config config;
  RunOptions run;
  EvalOptions eval;
  DataOptions data;

  Network& network() { return *network_; }
  const Network& network() const { return *network_; }
  /// "file:line: [section] key", for messages about values.
  std::string where(const std::string& section, const std::string& key) const;
  /// Executors as `[run]` asks for them.
  ExecutorOptions executor_options(Mode mode, std::int64_t batch) const;
  /// Sets the number of threads and tells the processor to flush denormal numbers to zero. Call once, before the first
  /// step. Returns a line about what is used where the system grants fewer threads than `[run] threads` wants, else "".
  std::string configure_threads() const;

 protected:
  /// For who reads more sections, then builds the network, then asks for Config::check.
  explicit ConfiguredNetwork(Config config);
  /// What becomes of a checkpoint's sections that nobody read.
  enum class Unread { kRefused, kPassedOver };
  void build(const Registry& registry, Unread unread);

 private:
  std::unique_ptr<Network> network_;
};

}  // namespace sluice
