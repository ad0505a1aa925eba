// The layer that every plug-in of the tests registers, under the name that fixture.cpp gives it.
#include "core/graph/registry.hpp"

const char* fixture_type();
void fixture_registered();

namespace {

class CopyOp : public sluice::Op {
 public:
  void forward(const sluice::Context& c) override { sluice::copy_activation(c.src[0], c.dst); }
  void backward(const sluice::Context& c) override { sluice::copy_activation(c.diff_dst[0], c.diff_src[0]); }
};

class Copy : public sluice::Layer {
 public:
  void infer(const std::vector<sluice::Shape>& src, sluice::Declarations& declare) const override {
    declare.dst = src.at(0);
    declare.like_src = true;
  }
  std::unique_ptr<sluice::Op> make_op(const sluice::OpRequest&, sluice::OpNeeds&) const override {
    return std::make_unique<CopyOp>();
  }
};

}  // namespace

void fixture_register(sluice::Registry& registry) {
  registry.add_layer(fixture_type(), "copies", [](sluice::Keys&) { return std::make_unique<Copy>(); });
  fixture_registered();
}
