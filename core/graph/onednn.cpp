#include "core/graph/onednn.hpp"

#include <new>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "oneapi/dnnl/dnnl_debug.h"

namespace sluice::onednn {
namespace {

using dnnl::memory;

#if DNNL_VERSION_MAJOR >= 3
bool is_empty(const memory::desc& desc) {
  return desc.get_size() == 0;
}
#else
bool is_empty(const memory::desc& desc) {
  return desc.data.ndims == 0 || desc.get_size() == 0;
}
#endif

bool may_use(dnnl_cpu_isa_t isa) {
  const auto needed = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & needed) == needed;
}

void check(dnnl_status_t status, const char* what) {
  if (status == dnnl_success) return;
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  const std::string text = concat("oneDNN: ", what, " failed: ", dnnl_status2str(status));
  if (status == dnnl_invalid_arguments) throw Error(ExitCode::kInternal, text);
  // What to compute was settled before: it lacks memory for code or for a kernel that it makes late.
  throw Error(ExitCode::kEnvironment, text + "; free memory, or use fewer threads");
}

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  const char* runtime = v->cpu_runtime == DNNL_RUNTIME_OMP   ? "OpenMP"
                        : v->cpu_runtime == DNNL_RUNTIME_TBB ? "TBB"
                                                             : "sequential";
  return concat(v->major, ".", v->minor, ".", v->patch, " (", runtime, ")");
}

bool has_bf16() {
  return cpu_has_bf16() && may_use(dnnl_cpu_isa_avx512_core_bf16);
}

bool has_blocks() {
  return may_use(dnnl_cpu_isa_avx512_core);
}

memory::data_type data_type(DataType type) {
  switch (type) {
    case DataType::kF32:
      return memory::data_type::f32;
    case DataType::kBF16:
      return memory::data_type::bf16;
    case DataType::kS32:
      return memory::data_type::s32;
    case DataType::kU8:
      return memory::data_type::u8;
    case DataType::kF64:  // oneDNN computes nothing in it
      break;
  }
  return memory::data_type::undef;
}

memory::desc desc(const TensorDesc& tensor, bool prefer_blocked) {
  const memory::dims dims(tensor.shape.dims());
  const auto type = data_type(tensor.type);
  if (tensor.block == 0)
    return tensor.shape.rank() == 1 ? memory::desc(dims, type, memory::format_tag::a) : plain(dims);
  const bool blocked = tensor.block == 16 && (tensor.shape[kC] > 16 || prefer_blocked);
  return memory::desc(dims, type, blocked ? memory::format_tag::nChw16c : memory::format_tag::nhwc);
}

memory::desc plain(const std::vector<std::int64_t>& dims) {
  memory::dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return memory::desc(dims, memory::data_type::f32, strides);
}

memory::desc any(const std::vector<std::int64_t>& dims, DataType type) {
  return memory::desc(dims, data_type(type), memory::format_tag::any);
}

std::int64_t bytes(const memory::desc& desc) {
  return static_cast<std::int64_t>(desc.get_size());
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

Operation::Operation(const dnnl::primitive& primitive, std::vector<Argument> arguments, const memory::desc& scratchpad)
    : primitive_(primitive) {
  if (!is_empty(scratchpad)) {
    scratch_bytes_ = bytes(scratchpad);
    arguments.emplace_back(DNNL_ARG_SCRATCHPAD, scratchpad);
  }
  for (const auto& [argument, desc] : arguments) {
    memories_.emplace_back(desc, engine(), nullptr);
    exec_.push_back({argument, memories_.back().get()});
  }
}

void Operation::run(const Memory& memory, std::initializer_list<const void*> handles) {
  std::size_t i = 0;
  for (const void* handle : handles) {
    check(dnnl_memory_set_data_handle(exec_[i++].memory, const_cast<void*>(handle)), "binding memory");
  }
  if (scratch_bytes_ > 0)
    check(dnnl_memory_set_data_handle(exec_[i].memory, memory[scratch_]), "binding scratch memory");
  dnnl::stream& s = stream();
  check(dnnl_primitive_execute(primitive_.get(), s.get(), static_cast<int>(exec_.size()), exec_.data()), "execution");
  check(dnnl_stream_wait(s.get()), "execution");
}

Operation reorder(const memory::desc& src, const memory::desc& dst, bool accumulate) {
  dnnl::primitive_attr attr = attributes();
  if (accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0F);
    attr.set_post_ops(ops);
  }
  const dnnl::reorder::primitive_desc descriptor(engine(), src, engine(), dst, attr);
  return Operation(descriptor, dnnl::reorder(descriptor), {{DNNL_ARG_FROM, src}, {DNNL_ARG_TO, dst}});
}

}  // namespace sluice::onednn
