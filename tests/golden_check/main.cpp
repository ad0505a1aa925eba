// golden_check FILE.h5 ...: compares layers and networks with values from an independent implementation.
#include <iostream>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/plugin/load.hpp"
#include "gating/gating.hpp"
#include "layers/layers.hpp"
#include "tests/golden_check/cases.hpp"
#include "tests/layers/harness/test_layers.hpp"

namespace sluice {
namespace {

const char* const kUsage =
    "usage: golden_check FILE.h5 ...\n"
    "Checks every group of each file: a layer in training and evaluation, or a network's first step, three steps of "
    "SGD\n"
    "and evaluation (with direct convolutions and with Winograd's). Prints the worst relative error by case; "
    "tests/golden/README.md\n"
    "describes the files. Exit code 0: all within tolerance, 1: not, 2: wrong arguments, 3: a file cannot be read.\n";

void register_all(Registry& registry) {
  register_layers(registry);
  register_plugin(gating_plugin(), registry);
  register_test_layers(registry);
}

std::vector<CaseReport> check_group(const Hdf5Group& group, const std::string& name, const Registry& registry) {
  if (!is_network(group)) return {check_layer(group, name, registry)};
  std::vector<CaseReport> runs = {check_network(group, name + " (direct)", registry, false),
                                  check_network(group, name + " (winograd)", registry, true)};
  if (rounds_to_levels(group)) excuse_edge(runs[0], runs[1]);
  return runs;
}

/// Number of cases that failed.
int check_file(const std::string& path, const Registry& registry) {
  const Hdf5File file = Hdf5File::open(path, ExitCode::kData);
  std::cout << path << "\n";
  int cases = 0, failed = 0;
  for (const std::string& name : file.members()) {
    std::vector<CaseReport> reports;
    try {
      reports = check_group(file.group(name), name, registry);
    } catch (const std::exception& e) {
      reports = {CaseReport(name)};
      reports[0].fail(e.what());
    }
    for (const CaseReport& report : reports) {
      std::cout << "  " << report.text() << std::flush;
      ++cases;
      failed += report.passed() ? 0 : 1;
    }
  }
  if (cases == 0) throw Error(ExitCode::kData, path + ": no cases; expected one group a case");
  std::cout << "  " << cases - failed << " of " << cases << " within tolerance\n";
  return failed;
}

int run(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == "--help") {
    std::cout << kUsage;
    return 0;
  }
  if (arguments.empty() || arguments[0].rfind('-', 0) == 0) {
    std::cerr << kUsage;
    return static_cast<int>(ExitCode::kUsage);
  }
  Registry registry;
  register_all(registry);
  int failed = 0;
  for (const std::string& path : arguments) failed += check_file(path, registry);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  try {
    return sluice::run({argv + 1, argv + argc});
  } catch (const sluice::Error& e) {
    std::cerr << "golden_check: " << e.what() << "\n";
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::cerr << "golden_check: " << e.what() << "\n";
    return 1;
  }
}
