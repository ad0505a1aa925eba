#include "tests/layers/harness/portable_run.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace sluice {
namespace {

using Ints = std::vector<std::int64_t>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// An operator with the values of its operands.
struct Call {
  const PortableNode& node;
  std::vector<const Array*> in;

  const Array& src(std::size_t i) const { return *in.at(i); }
  bool has(const char* name) const { return node.attributes.count(name) != 0; }
  std::int64_t whole(const char* name, std::int64_t otherwise) const {
    return has(name) ? std::get<std::int64_t>(node.attributes.at(name)) : otherwise;
  }
  double number(const char* name, double otherwise) const {
    return has(name) ? std::get<double>(node.attributes.at(name)) : otherwise;
  }
  Ints ints(const char* name, Ints otherwise) const {
    return has(name) ? std::get<Ints>(node.attributes.at(name)) : otherwise;
  }
};

Array each(const Array& src, const std::function<double(double)>& function) {
  Array dst = src;
  for (double& value : dst.values) value = function(value);
  return dst;
}

/// Sizes of 1 stand for any.
Shape joint_shape(const std::vector<const Array*>& in) {
  std::size_t rank = 0;
  for (const Array* array : in) rank = std::max(rank, array->shape.rank());
  Shape shape(Ints(rank, 1));
  for (const Array* array : in) {
    for (std::size_t d = 0; d < array->shape.rank(); ++d) {
      std::int64_t& size = shape[rank - array->shape.rank() + d];
      size = std::max(size, array->shape[d]);
    }
  }
  return shape;
}

/// The element of `array` that goes with element `i` of something of the joint shape.
double element(const Array& array, const Shape& shape, std::int64_t i) {
  std::int64_t at = 0, step = 1;
  for (std::size_t d = shape.rank(); d-- > 0; i /= shape[d]) {
    const std::size_t missing = shape.rank() - array.shape.rank();
    if (d < missing) continue;
    const std::int64_t size = array.shape[d - missing];
    at += size == 1 ? 0 : i % shape[d] * step;
    step *= size;
  }
  return array[at];
}

Array together(const Call& call, const std::function<double(const std::vector<double>&)>& function) {
  Array dst(joint_shape(call.in));
  std::vector<double> values(call.in.size());
  for (std::int64_t i = 0; i < dst.count(); ++i) {
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = element(*call.in[k], dst.shape, i);
    dst[i] = function(values);
  }
  return dst;
}

Array convolution(const Call& call) {
  const Array &src = call.src(0), &weights = call.src(1);
  const Ints strides = call.ints("strides", {1, 1}), pads = call.ints("pads", {0, 0, 0, 0}),
             dilations = call.ints("dilations", {1, 1});
  const std::int64_t groups = call.whole("group", 1), inputs = weights.shape[1], outputs = weights.shape[0] / groups;
  const auto size = [&](std::size_t axis) {
    return (src.shape[axis] + pads[axis - 2] + pads[axis] - dilations[axis - 2] * (weights.shape[axis] - 1) - 1) /
               strides[axis - 2] +
           1;
  };
  EXPECT_EQ(src.shape[kC], inputs * groups) << call.node.name;
  Array dst(Shape{src.shape[kN], weights.shape[0], size(kH), size(kW)});
  std::int64_t at = 0;
  for (std::int64_t n = 0; n < dst.shape[kN]; ++n) {
    for (std::int64_t o = 0; o < dst.shape[kC]; ++o) {
      for (std::int64_t y = 0; y < dst.shape[kH]; ++y) {
        for (std::int64_t x = 0; x < dst.shape[kW]; ++x, ++at) {
          double sum = call.in.size() > 2 ? call.src(2)[o] : 0;
          for (std::int64_t tap = 0; tap < inputs * weights.shape[kH] * weights.shape[kW]; ++tap) {
            const std::int64_t kx = tap % weights.shape[kW], ky = tap / weights.shape[kW] % weights.shape[kH],
                               i = tap / weights.shape[kW] / weights.shape[kH];
            const std::int64_t h = y * strides[0] - pads[0] + ky * dilations[0],
                               w = x * strides[1] - pads[1] + kx * dilations[1];
            if (h < 0 || w < 0 || h >= src.shape[kH] || w >= src.shape[kW]) continue;
            sum += src.at(n, o / outputs * inputs + i, h, w) * weights.at(o, i, ky, kx);
          }
          dst[at] = sum;
        }
      }
    }
  }
  return dst;
}

/// The largest value, or the mean, of the pixels in each window; padding is none.
Array pool(const Call& call, bool mean) {
  const Array& src = call.src(0);
  const Ints kernel = call.ints("kernel_shape", {}), strides = call.ints("strides", {1, 1}),
             pads = call.ints("pads", {0, 0, 0, 0});
  const auto size = [&](std::size_t axis) {
    return (src.shape[axis] + pads[axis - 2] + pads[axis] - kernel[axis - 2]) / strides[axis - 2] + 1;
  };
  Array dst(Shape{src.shape[kN], src.shape[kC], size(kH), size(kW)});
  std::int64_t at = 0;
  for (std::int64_t plane = 0; plane < dst.shape[kN] * dst.shape[kC]; ++plane) {
    for (std::int64_t y = 0; y < dst.shape[kH]; ++y) {
      for (std::int64_t x = 0; x < dst.shape[kW]; ++x, ++at) {
        double sum = 0, most = -kInfinity, count = 0;
        for (std::int64_t tap = 0; tap < kernel[0] * kernel[1]; ++tap) {
          const std::int64_t h = y * strides[0] - pads[0] + tap / kernel[1],
                             w = x * strides[1] - pads[1] + tap % kernel[1];
          if (h < 0 || w < 0 || h >= src.shape[kH] || w >= src.shape[kW]) continue;
          const double value = src[(plane * src.shape[kH] + h) * src.shape[kW] + w];
          sum += value;
          most = std::max(most, value);
          ++count;
        }
        dst[at] = mean ? sum / count : most;
      }
    }
  }
  return dst;
}

/// dst's element at an index is src's at another, or a zero where there is none.
Array moved(const Array& src, const Shape& shape, const std::function<bool(const Ints& to, Ints& from)>& where) {
  Array dst(shape);
  Ints to(shape.rank()), from(src.shape.rank());
  for (std::int64_t i = 0; i < dst.count(); ++i) {
    std::int64_t left = i, at = 0;
    for (std::size_t d = shape.rank(); d-- > 0; left /= shape[d]) to[d] = left % shape[d];
    if (!where(to, from)) continue;
    for (std::size_t d = 0; d < from.size(); ++d) at = at * src.shape[d] + from[d];
    dst[i] = src[at];
  }
  return dst;
}

Array pad(const Call& call) {
  const Array& src = call.src(0);
  const Ints pads = call.ints("pads", {});
  Shape shape = src.shape;
  for (std::size_t d = 0; d < shape.rank(); ++d) shape[d] += pads[d] + pads[shape.rank() + d];
  return moved(src, shape, [&](const Ints& to, Ints& from) {
    for (std::size_t d = 0; d < to.size(); ++d) {
      from[d] = to[d] - pads[d];
      if (from[d] < 0 || from[d] >= src.shape[d]) return false;
    }
    return true;
  });
}

Array slice(const Call& call) {
  const auto axis = static_cast<std::size_t>(call.ints("axes", {})[0]);
  const std::int64_t start = call.ints("starts", {})[0];
  Shape shape = call.src(0).shape;
  shape[axis] = call.ints("ends", {})[0] - start;
  return moved(call.src(0), shape, [&](const Ints& to, Ints& from) {
    from = to;
    from[axis] += start;
    return true;
  });
}

Array transpose(const Call& call) {
  const Ints perm = call.ints("perm", {});
  Shape shape = call.src(0).shape;
  for (std::size_t d = 0; d < perm.size(); ++d) shape[d] = call.src(0).shape[static_cast<std::size_t>(perm[d])];
  return moved(call.src(0), shape, [&](const Ints& to, Ints& from) {
    for (std::size_t d = 0; d < perm.size(); ++d) from[static_cast<std::size_t>(perm[d])] = to[d];
    return true;
  });
}

Array reshape(const Array& src, Ints dims) {
  for (std::size_t d = 0; d < dims.size(); ++d) dims[d] = dims[d] == 0 ? src.shape[d] : dims[d];
  Array dst = src;
  dst.shape = Shape(dims);
  EXPECT_EQ(dst.shape.count(), src.count());
  return dst;
}

Array concat(const Call& call) {
  Array dst;
  dst.shape = call.src(0).shape;
  for (std::size_t k = 1; k < call.in.size(); ++k) dst.shape[kC] += call.src(k).shape[kC];
  for (std::int64_t n = 0; n < dst.shape[kN]; ++n) {
    for (const Array* src : call.in) {
      const std::int64_t each = src->count() / src->shape[kN];
      dst.values.insert(dst.values.end(), src->values.begin() + n * each, src->values.begin() + (n + 1) * each);
    }
  }
  return dst;
}

Array gemm(const Call& call) {
  const Array &src = call.src(0), &weights = call.src(1);
  Array dst(Shape{src.shape[0], weights.shape[0]});
  for (std::int64_t i = 0; i < dst.count(); ++i) {
    const std::int64_t n = i / weights.shape[0], o = i % weights.shape[0], inputs = src.shape[1];
    dst[i] = call.in.size() > 2 ? call.src(2)[o] : 0;
    for (std::int64_t k = 0; k < inputs; ++k) dst[i] += src[n * inputs + k] * weights[o * inputs + k];
  }
  return dst;
}

Array batch_normalization(const Call& call) {
  Array dst = call.src(0);
  const std::int64_t pixels = dst.shape[kH] * dst.shape[kW];
  for (std::int64_t i = 0; i < dst.count(); ++i) {
    const std::int64_t c = i / pixels % dst.shape[kC];
    const double deviation = std::sqrt(call.src(4)[c] + call.number("epsilon", 1e-5));
    dst[i] = (dst[i] - call.src(3)[c]) / deviation * call.src(1)[c] + call.src(2)[c];
  }
  return dst;
}

/// By output where the scale has several numbers.
Array dequantize(const Call& call) {
  Array dst = call.src(0);
  const std::int64_t each = dst.count() / call.src(1).count();
  for (std::int64_t i = 0; i < dst.count(); ++i) dst[i] *= call.src(1)[i / each];
  return dst;
}

Array quantize(const Call& call, bool is_signed) {
  const double low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  return each(call.src(0), [&](double x) { return std::clamp(std::nearbyint(x / call.src(1)[0]), low, high); });
}

Array global_mean(const Array& src) {
  Array dst(Shape{src.shape[kN], src.shape[kC], 1, 1});
  const std::int64_t pixels = src.shape[kH] * src.shape[kW];
  for (std::int64_t i = 0; i < src.count(); ++i) dst[i / pixels] += src[i] / static_cast<double>(pixels);
  return dst;
}

/// Over all axes, or over all but the first.
Array largest(const Array& src, bool by_image) {
  const std::int64_t images = by_image ? src.shape[kN] : 1, each = src.count() / images;
  Array dst(by_image ? Shape(std::vector<std::int64_t>(src.shape.rank(), 1)) : Shape{});
  if (by_image) dst.shape[kN] = images;
  dst.values.clear();
  for (auto first = src.values.begin(); first != src.values.end(); first += each)
    dst.values.push_back(*std::max_element(first, first + each));
  return dst;
}

using Operator = std::function<Array(const Call&)>;
using Numbers = const std::vector<double>&;

const std::map<std::string, Operator>& operators() {
  static const std::map<std::string, Operator> table = {
      {"Conv", convolution},
      {"Gemm", gemm},
      {"BatchNormalization", batch_normalization},
      {"MaxPool", [](const Call& c) { return pool(c, false); }},
      {"AveragePool", [](const Call& c) { return pool(c, true); }},
      {"GlobalAveragePool", [](const Call& c) { return global_mean(c.src(0)); }},
      {"ReduceMax", [](const Call& c) { return largest(c.src(0), !c.ints("axes", {}).empty()); }},
      {"Pad", pad},
      {"Slice", slice},
      {"Transpose", transpose},
      {"Concat", concat},
      {"Reshape", [](const Call& c) { return reshape(c.src(0), c.ints("shape", {})); }},
      {"Flatten",
       [](const Call& c) {
         return reshape(c.src(0), {0, c.src(0).count() / c.src(0).shape[kN]});
       }},
      {"DequantizeLinear", dequantize},
      {"Relu", [](const Call& c) { return each(c.src(0), [](double x) { return std::max(x, 0.0); }); }},
      {"Clip",
       [](const Call& c) {
         return each(c.src(0), [&](double x) {
           return std::min(std::max(x, c.number("min", -kInfinity)), c.number("max", kInfinity));
         });
       }},
      {"LeakyRelu",
       [](const Call& c) { return each(c.src(0), [&](double x) { return x > 0 ? x : x * c.number("alpha", 0.01); }); }},
      {"PRelu", [](const Call& c) { return together(c, [](Numbers v) { return v[0] > 0 ? v[0] : v[0] * v[1]; }); }},
      {"Sigmoid", [](const Call& c) { return each(c.src(0), [](double x) { return 1 / (1 + std::exp(-x)); }); }},
      {"HardSigmoid",
       [](const Call& c) {
         return each(c.src(0), [&](double x) {
           return std::clamp(x * c.number("alpha", 0.2) + c.number("beta", 0.5), 0.0, 1.0);
         });
       }},
      {"Abs", [](const Call& c) { return each(c.src(0), [](double x) { return std::abs(x); }); }},
      {"Floor", [](const Call& c) { return each(c.src(0), [](double x) { return std::floor(x); }); }},
      {"Round", [](const Call& c) { return each(c.src(0), [](double x) { return std::nearbyint(x); }); }},
      {"Sign", [](const Call& c) { return each(c.src(0), [](double x) { return x > 0   ? 1.0
                                                                               : x < 0 ? -1.0
                                                                                       : 0.0; }); }},
      {"Cast", [](const Call& c) { return c.src(0); }},
      {"Identity", [](const Call& c) { return c.src(0); }},
      {"Add", [](const Call& c) { return together(c, [](Numbers v) { return v[0] + v[1]; }); }},
      {"Sub", [](const Call& c) { return together(c, [](Numbers v) { return v[0] - v[1]; }); }},
      {"Mul", [](const Call& c) { return together(c, [](Numbers v) { return v[0] * v[1]; }); }},
      {"Div", [](const Call& c) { return together(c, [](Numbers v) { return v[0] / v[1]; }); }},
      {"Greater", [](const Call& c) { return together(c, [](Numbers v) { return v[0] > v[1] ? 1.0 : 0.0; }); }},
      {"Where", [](const Call& c) { return together(c, [](Numbers v) { return v[0] > 0 ? v[1] : v[2]; }); }}};
  return table;
}

}  // namespace

std::map<std::string, Array> run_portable(const PortableGraph& graph, const Array& images) {
  std::map<std::string, Array> values = {{PortableGraph::kInput, images}};
  for (const auto& [name, tensor] : graph.constants()) {
    Array array(tensor.shape);
    std::visit([&](const auto& from) { array.values.assign(from.begin(), from.end()); }, tensor.values);
    values[name] = array;
  }
  for (const PortableNode& node : graph.nodes()) {
    Call call{node, {}};
    for (const std::string& input : node.inputs) call.in.push_back(&values.at(input));
    Array result;
    if (node.op == "QuantizeLinear") {
      const PortableTensor& zero = graph.constants().at(node.inputs.at(2));
      result = quantize(call, std::holds_alternative<std::vector<std::int8_t>>(zero.values));
    } else {
      result = operators().at(node.op)(call);
    }
    for (double& value : result.values) value = static_cast<double>(static_cast<float>(value));
    values[node.result] = std::move(result);
  }
  return values;
}

}  // namespace sluice
