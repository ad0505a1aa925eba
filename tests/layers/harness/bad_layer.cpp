#include "tests/layers/harness/bad_layer.hpp"

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/graph/network.hpp"

namespace sluice {
namespace {

std::string network_text(const BadLayer& bad) {
  return "[network]\ninput = " + bad.input +
         "\n[layer.row]\ntype = linear\nfeatures = 4\n[layer.small]\ntype = max_pool\nfrom = data\nkernel = 2\n"
         "[layer.image]\ntype = relu\nfrom = data\n[layer.bad]\ntype = " +
         bad.type + "\n" + bad.keys + "\n";
}

std::string message_of(const BadLayer& bad) {
  Registry registry;
  bad.types(registry);
  try {
    Config config = Config::parse(network_text(bad), "net.ini");
    const Network network(config, registry);
    config.check();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage);
    return e.what();
  }
  return "no error";
}

TEST_P(BadLayers, AreRefused) {
  set_threads(num_threads());  // as programs do: denormal numbers are zeros from here on
  const std::string message = message_of(GetParam());
  const std::size_t text = message.find(": [");
  ASSERT_NE(text, std::string::npos) << message;
  EXPECT_EQ(message.substr(text + 2), GetParam().message) << message;
}

}  // namespace

void PrintTo(const BadLayer& bad, std::ostream* out) {
  *out << bad.type << ": " << bad.keys;
}

}  // namespace sluice
