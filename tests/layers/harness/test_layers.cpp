#include "tests/layers/harness/test_layers.hpp"

#include <sstream>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

Shape with_batch(std::int64_t batch, const Shape& one) {
  std::vector<std::int64_t> dims = one.dims();
  dims[0] = batch;
  return Shape(dims);
}

/// Place in memory of the element that is number `i` in logical order.
std::int64_t place(const TensorDesc& desc, std::int64_t i) {
  const Shape& s = desc.shape;
  if (s.rank() != 4) return i;
  return desc.offset(i / (s[kW] * s[kH] * s[kC]), i / (s[kW] * s[kH]) % s[kC], i / s[kW] % s[kH], i % s[kW]);
}

float get(const Tensor& tensor, std::int64_t i) {
  const std::int64_t at = place(tensor.desc, i);
  return tensor.desc.type == DataType::kBF16 ? widen(tensor.as<const BFloat16>()[at]) : tensor.as<const float>()[at];
}

void put(const Tensor& tensor, std::int64_t i, float value) {
  const std::int64_t at = place(tensor.desc, i);
  if (tensor.desc.type == DataType::kBF16) {
    narrow(value, tensor.as<BFloat16>()[at]);
  } else {
    tensor.as<float>()[at] = value;
  }
}

class TestSourceOp : public Op {
 public:
  void forward(const Context& c) override {
    for (std::int64_t i = 0; i < c.dst.desc.count(); ++i) put(c.dst, i, c.param[0][i]);
  }

  void backward(const Context& c) override {
    for (std::int64_t i = 0; i < c.dst.desc.count(); ++i) c.diff_param[0][i] += get(c.diff_dst[0], i);
  }
};

class TestSource : public Layer {
 public:
  explicit TestSource(Keys& keys) {
    keys.required("batch", batch_, at_least(1), "images");
    keys.required("shape", shape_, "CxHxW, or K");
    keys.optional("fp32", fp32_, "fp32 whatever the network's precision");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    std::vector<std::int64_t> dims = {batch_};
    std::istringstream text(shape_);
    for (std::string size; std::getline(text, size, 'x');) dims.push_back(std::stoll(size));
    declare.parameter("value", Shape(dims), "weights", Init::normal(1));
    dims[0] = src[0][kN];
    declare.dst = Shape(dims);
    if (fp32_) declare.dst_type = DataType::kF32;
  }

  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return std::make_unique<TestSourceOp>(); }

 private:
  std::int64_t batch_ = 1;
  std::string shape_;
  bool fp32_ = false;
};

class TestLossOp : public Op {
 public:
  void forward(const Context& c) override {
    double sum = 0;
    for (std::int64_t i = 0; i < c.src[0].desc.count(); ++i)
      sum += static_cast<double>(c.buffer[0][i]) * static_cast<double>(get(c.src[0], i));
    *c.dst.as<float>() = static_cast<float>(sum);
  }

  void backward(const Context& c) override {
    const float upstream = *c.diff_dst[0].as<const float>();
    for (std::int64_t i = 0; i < c.src[0].desc.count(); ++i) put(c.diff_src[0], i, upstream * c.buffer[0][i]);
  }
};

class TestLoss : public Layer {
 public:
  explicit TestLoss(Keys& keys) { keys.required("batch", batch_, at_least(1), "images"); }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.buffer("weights", with_batch(batch_, src[0]), 0);
    declare.dst = {1};
    declare.dst_type = DataType::kF32;
    declare.is_loss = true;
  }

  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return std::make_unique<TestLossOp>(); }

 private:
  std::int64_t batch_ = 1;
};

}  // namespace

void register_test_layers(Registry& registry) {
  registry.add_layer("test_source", "a parameter as an activation",
                     [](Keys& keys) { return std::make_unique<TestSource>(keys); });
  register_test_rotate(registry);
  registry.add_layer("test_loss", "weighted sum", [](Keys& keys) { return std::make_unique<TestLoss>(keys); });
}

}  // namespace sluice
