// A step allocates nothing of ours, and the process does not grow.
//
// This program replaces the allocation functions and notes who called them while a step runs. Allocations inside oneDNN
// and the OpenMP runtime are theirs (oneDNN makes a small map of arguments for each execution).
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <new>

#include "core/base/buffer.hpp"
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/train/experiment.hpp"
#include "core/train/optimizer.hpp"
#include "tests/core/graph/networks.hpp"

namespace {

/// Callers of allocation functions while counting is on.
struct Record {
  std::atomic<bool> on{false};
  std::atomic<std::size_t> count{0};
  std::array<const void*, 1 << 14> callers{};

  void note(const void* caller) {
    if (!on.load(std::memory_order_relaxed)) return;
    const std::size_t at = count.fetch_add(1);
    if (at < callers.size()) callers[at] = caller;
  }
};
Record record;

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* old, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) {
  record.note(__builtin_return_address(0));
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  record.note(__builtin_return_address(0));
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  record.note(__builtin_return_address(0));
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  record.note(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t bytes) {
  record.note(__builtin_return_address(0));
  *to = __libc_memalign(alignment, bytes);
  return *to == nullptr ? ENOMEM : 0;
}
}
namespace {
void* take(std::size_t bytes, std::size_t alignment) {
  return alignment <= alignof(std::max_align_t) ? __libc_malloc(bytes) : __libc_memalign(alignment, bytes);
}

void* allocate(std::size_t bytes, std::size_t alignment, const void* caller) {
  record.note(caller);
  void* const p = take(bytes, alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

/// Not inlined: a compiler that saw both sides of the operators would take them for mismatched.
[[gnu::noinline]] void give_back(void* p) {
  std::free(p);
}

}  // namespace

void* operator new(std::size_t bytes) {
  return allocate(bytes, 1, __builtin_return_address(0));
}
void* operator new[](std::size_t bytes) {
  return allocate(bytes, 1, __builtin_return_address(0));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void operator delete(void* p) noexcept {
  give_back(p);
}
void operator delete[](void* p) noexcept {
  give_back(p);
}
void operator delete(void* p, std::size_t) noexcept {
  give_back(p);
}
void operator delete[](void* p, std::size_t) noexcept {
  give_back(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  give_back(p);
}
void operator delete[](void* p, std::align_val_t) noexcept {
  give_back(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  give_back(p);
}
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
  give_back(p);
}

namespace sluice {
namespace {

/// The library that an address belongs to.
std::string library_of(const void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "unknown";
  const std::string path = info.dli_fname;
  return path.substr(path.rfind('/') + 1);
}

struct Counted {
  std::size_t ours = 0, theirs = 0;
  std::string first;  ///< library and symbol of the first of ours
};

template <class Body>
Counted count_allocations(Body&& body) {
  record.count = 0;
  record.on = true;
  body();
  record.on = false;
  Counted counted;
  const std::size_t count = std::min(record.count.load(), record.callers.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::string library = library_of(record.callers[i]);
    const bool theirs = library.find("dnnl") != std::string::npos || library.find("gomp") != std::string::npos ||
                        library.find("tbb") != std::string::npos;
    (theirs ? counted.theirs : counted.ours) += 1;
    if (!theirs && counted.first.empty()) {
      Dl_info info{};
      dladdr(record.callers[i], &info);
      counted.first = library + ": " + (info.dli_sname == nullptr ? "?" : info.dli_sname);
    }
  }
  return counted;
}

TEST(Allocation, TheCounterSeesOurs) {
  const Counted counted = count_allocations([] { delete new std::vector<int>(100); });
  EXPECT_EQ(counted.ours, 2U);
  EXPECT_EQ(count_allocations([] { const Buffer buffer(1000); }).ours, 1U) << "without operator new";
  // And those within our libraries.
  const Built net(residual_ini());
  EXPECT_GT(count_allocations([&] { const Executor executor(*net, options_of(Mode::kTraining, 2)); }).ours, 10U);
}

/// What the residual network lacks.
const char* const kOtherLayers =
    "[network]\ninput = 3x8x8\n[layer.a]\ntype = conv\nchannels = 6\nkernel = 3\npad = 1\nbias = yes\n[layer.pact]\n"
    "type = pact_relu\n[layer.clip]\ntype = clip\n[layer.pad]\ntype = pad_shortcut\nchannels = 10\n[layer.join]\n"
    "type = concat\nfrom = a, pad\n[layer.bn]\ntype = batchnorm\n[layer.max]\ntype = max_pool\nkernel = 3\nstride = 2\n"
    "[layer.mean]\ntype = average_pool\nkernel = 2\n[layer.flatten]\ntype = flatten\n[layer.fc]\ntype = linear\n"
    "features = 5\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\nlabel_smoothing = 0.1\n";

void expect_no_allocation(const std::string& ini, const ExecutorOptions& options) {
  const Built net(ini);
  Executor executor(*net, options);
  Optimizer sgd(OptimizerOptions(), parameter_ranges(*net), net->parameter_count());
  const Batch batch(*net, options.batch, 5, 4);
  double sum = 0;
  const auto step = [&] {
    batch.give(executor);
    run_step(executor, 1);
    sum += executor.loss();
    if (options.mode == Mode::kTraining)
      sgd.step(net->parameter_data(), executor.gradients(), 0.01, sgd.gradient_norm(executor.gradients()));
  };
  step();  // threads start, oneDNN warms up
  const Counted counted = count_allocations([&] {
    for (int i = 0; i < 3; ++i) step();
  });
  EXPECT_EQ(counted.ours, 0U) << "the first from " << counted.first;
  EXPECT_GT(sum, 0);
}

class StepAllocations : public ::testing::TestWithParam<std::tuple<Mode, DataType, int>> {};

TEST_P(StepAllocations, AreNotOurs) {
  const auto [mode, type, threads] = GetParam();
  if (type == DataType::kBF16 && !cpu_has_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  set_threads(threads);
  ExecutorOptions options = options_of(mode, 6);
  options.type = type;
  options.slice = 2;  // of inference
  expect_no_allocation(residual_ini(true), options);
  expect_no_allocation(kOtherLayers, options);
}

std::string step_name(const ::testing::TestParamInfo<std::tuple<Mode, DataType, int>>& info) {
  const auto [mode, type, threads] = info.param;
  return concat(mode == Mode::kTraining ? "training_" : "inference_", to_string(type), "_", threads);
}

INSTANTIATE_TEST_SUITE_P(All, StepAllocations,
                         ::testing::Combine(::testing::Values(Mode::kTraining, Mode::kInference),
                                            ::testing::Values(DataType::kF32, DataType::kBF16),
                                            ::testing::Values(1, 2)),
                         step_name);

std::int64_t resident_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    std::int64_t kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib;
  }
  return 0;
}

TEST(Memory, ResidentMemoryIsFlatOverManySteps) {
  const Built net(residual_ini());
  Executor training(*net, options_of(Mode::kTraining, 8)), inference(*net, options_of(Mode::kInference, 8));
  const Batch batch(*net, 8, 5, 4);
  const auto steps = [&](int count) {
    for (int i = 0; i < count; ++i) {
      for (Executor* executor : {&training, &inference}) {
        batch.give(*executor);
        run_step(*executor, static_cast<std::uint64_t>(i));
      }
    }
  };
  steps(50);
  const std::int64_t before = resident_kib();
  ASSERT_GT(before, 0);
  steps(250);
  EXPECT_LE(resident_kib() - before, 64) << "KiB";
}

}  // namespace
}  // namespace sluice
