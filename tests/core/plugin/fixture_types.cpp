// The layer that every plug-in of the tests registers, under the name that fixture.cpp gives it.
#include "core/graph/registry.hpp"

const char* fixture_type();
void fixture_registered();

namespace {

class Copy : public sluice::Layer {
 public:
  void infer(const std::vector<sluice::Shape>& src, sluice::Declarations& declare) override {
    declare.dst = src.at(0);
    declare.like_src = true;
  }
  void forward(sluice::Context& c) override { sluice::copy_activation(c.src[0], c.dst); }
  void backward(sluice::Context& c) override { sluice::copy_activation(c.diff_dst[0], c.diff_src[0]); }
};

}  // namespace

void fixture_register(sluice::Registry& registry) {
  registry.add_layer(fixture_type(), "copies", [](sluice::Keys&) { return std::make_unique<Copy>(); });
  fixture_registered();
}
