// The only header with oneDNN's types: one engine, one way to build and run primitives for oneDNN 2.6 and 3.x.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/graph/slots.hpp"
#include "core/graph/tensor.hpp"
#include "oneapi/dnnl/dnnl.hpp"

namespace sluice::onednn {

dnnl::engine& engine();
/// The calling thread's stream.
dnnl::stream& stream();
/// "2.6.3 (OpenMP)".
std::string version();
/// Computes bf16 natively: the processor does, and no variable in the environment keeps oneDNN from using that.
bool has_bf16();
/// Has fast convolutions of activations in blocks of 16 channels; else they fall to reference kernels.
bool has_blocks();

dnnl::memory::data_type data_type(DataType type);
/// The memory descriptor of a tensor. An activation of 16 channels is both NHWC and nChw16c: `prefer_blocked` says
/// which to call it.
dnnl::memory::desc desc(const TensorDesc& tensor, bool prefer_blocked = false);
/// Row-major fp32.
dnnl::memory::desc plain(const std::vector<std::int64_t>& dims);
/// oneDNN chooses the layout.
dnnl::memory::desc any(const std::vector<std::int64_t>& dims, DataType type);
std::int64_t bytes(const dnnl::memory::desc& desc);

/// Attributes of all our primitives: scratch memory is the caller's.
dnnl::primitive_attr attributes();

/// A primitive descriptor from its own arguments, e.g. make<dnnl::convolution_forward>(attr, prop_kind, algorithm, src,
/// ...).
template <class Primitive, class... Arguments>
typename Primitive::primitive_desc make(const dnnl::primitive_attr& attr, const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine(), arguments..., attr);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(arguments...), attr, engine());
#endif
}

/// The same for a backward primitive, with its forward descriptor as the hint.
template <class Primitive, class Hint, class... Arguments>
typename Primitive::primitive_desc make_backward(const dnnl::primitive_attr& attr, const Hint& hint,
                                                 const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine(), arguments..., hint, attr);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(arguments...), attr, engine(), hint);
#endif
}

/// A primitive with its arguments in a fixed order; running it allocates nothing.
class Operation {
 public:
  using Argument = std::pair<int, dnnl::memory::desc>;

  Operation() = default;
  template <class PrimitiveDesc>
  Operation(const PrimitiveDesc& descriptor, const dnnl::primitive& primitive, std::vector<Argument> arguments)
      : Operation(primitive, std::move(arguments), descriptor.scratchpad_desc()) {}

  bool empty() const { return exec_.empty(); }
  /// What the primitive wants beside its arguments. To be called once, before it runs.
  void book(Scratch scratch) { scratch_ = scratch.book<std::byte>(scratch_bytes_); }
  /// Memory for each argument, in the order given to the constructor.
  void run(const Memory& memory, std::initializer_list<const void*> handles);

 private:
  Operation(const dnnl::primitive& primitive, std::vector<Argument> arguments, const dnnl::memory::desc& scratchpad);

  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> exec_;
  std::int64_t scratch_bytes_ = 0;
  Slot<std::byte> scratch_;
};

/// Copies between layouts and types; `accumulate` adds to the destination.
Operation reorder(const dnnl::memory::desc& src, const dnnl::memory::desc& dst, bool accumulate = false);

/// "jit:avx512_core", for the layer table.
template <class PrimitiveDesc>
std::string kernel_name(const PrimitiveDesc& descriptor) {
  return descriptor.impl_info_str();
}

}  // namespace sluice::onednn
