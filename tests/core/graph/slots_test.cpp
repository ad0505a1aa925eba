// Slots lie apart, nest and overlap as they were booked; with AddressSanitizer nobody leaves the one he fetched.
#include "core/graph/slots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "core/base/error.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

std::uintptr_t address(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p);
}

/// Whether `b` begins behind the end of `a`, and is aligned.
template <class A, class B>
bool follows(const Memory& memory, const Slot<A>& a, const Slot<B>& b) {
  return address(memory[b]) >= address(memory[a]) + static_cast<std::uintptr_t>(a.bytes()) &&
         address(memory[b]) % Buffer::kAlignment == 0;
}

TEST(Slots, LieOneBehindTheOther) {
  SlotBook book;
  const auto first = book.kept<float>(3), second = book.kept<float>(100);
  Scratch scratch = book.scratch();
  const auto third = scratch.book<double>(5), fourth = scratch.book<double>(1);
  const OwnMemory own(book);
  EXPECT_EQ(first.count(), 3);
  EXPECT_EQ(third.bytes(), 40);
  EXPECT_TRUE(follows(own.memory(), first, second));
  EXPECT_TRUE(follows(own.memory(), third, fourth));
  EXPECT_EQ(book.used_bytes(), 412) << "without scratch memory, and what lies between";
  EXPECT_GE(book.kept_bytes(), 64 + 400);
  EXPECT_GE(book.scratch_bytes(), 64 + 8);
}

TEST(Slots, SavedOnesHavePlacesOfTheirOwn) {
  SlotBook book;
  const auto first = book.saved<float>(2);
  const BookedTensor second = book.saved({{2, 3}, DataType::kBF16, 0});
  ASSERT_EQ(book.saved_bytes().size(), 2U);
  EXPECT_GE(book.saved_bytes()[1], 12);
  alignas(64) std::byte memory[256];
  std::byte* const places[] = {memory + 128, memory};
  const Memory of(nullptr, nullptr, places);
  EXPECT_EQ(address(of[first]), address(memory + 128));
  EXPECT_EQ(of[second].data, memory);
  EXPECT_EQ(of[second].desc.shape, (Shape{2, 3}));
}

TEST(Slots, NotBookedHasNoMemory) {
  SlotBook book;
  book.kept<float>(4);
  book.scratch().book<float>(4);
  const OwnMemory own(book);
  EXPECT_EQ(own.memory()[Slot<float>()], nullptr);
  EXPECT_EQ(own.memory()[BookedTensor()].data, nullptr);
}

TEST(Slots, CopiesOfScratchMemoryOverlapAndNest) {
  SlotBook book;
  Scratch scratch = book.scratch();
  const auto common = scratch.book<float>(16);
  Scratch one = scratch, other = scratch;
  const auto small = one.book<float>(16), behind = one.book<float>(16), large = other.book<float>(1000);
  const OwnMemory own(book);
  EXPECT_TRUE(follows(own.memory(), common, small));
  EXPECT_TRUE(follows(own.memory(), small, behind));
  EXPECT_EQ(own.memory()[small], own.memory()[large]) << "they serve one after the other";
  EXPECT_LT(book.scratch_bytes(), 64 + 4000 + 3 * 128) << "the larger of the two counts";
}

TEST(Slots, BlocksHaveSlotsOfTheirOwn) {
  SlotBook of_block, book;
  Scratch inner = of_block.scratch();
  const auto first = inner.book<float>(20), second = inner.book<float>(4);
  Scratch scratch = book.scratch();
  const auto before = scratch.book<float>(1);
  const Blocks blocks = scratch.blocks(of_block, 3);
  const auto behind = scratch.book<float>(1);
  const OwnMemory own(book);
  EXPECT_GT(address(own.memory().block(blocks, 0)[first]), address(own.memory()[before]));
  for (std::int64_t i = 0; i < 3; ++i) {
    const Memory block = own.memory().block(blocks, i);
    EXPECT_TRUE(follows(block, first, second));
    const void* const next = i < 2 ? own.memory().block(blocks, i + 1)[first] : own.memory()[behind];
    EXPECT_LE(address(block[second] + 4), address(next));
  }
}

/// Writes `beyond` elements behind one of its slots.
class OverrunOp : public Op {
 public:
  OverrunOp(std::int64_t lifetime, std::int64_t beyond, OpNeeds& needs) : beyond_(beyond) {
    Scratch scratch = needs.slots.scratch();
    slot_ = lifetime == 0   ? needs.slots.saved<float>(5)
            : lifetime == 1 ? needs.slots.kept<float>(5)
                            : scratch.book<float>(5);
    needs.slots.kept<float>(5);
    scratch.book<float>(5);
  }
  void forward(const Context& c) override {
    std::fill_n(c.memory[slot_], slot_.count() + beyond_, 1.0F);
    copy_activation(c.src[0], c.dst);
  }
  void backward(const Context& c) override { copy_activation(c.diff_dst[0], c.diff_src[0]); }

 private:
  std::int64_t beyond_;
  Slot<float> slot_;
};

class Overrun : public Layer {
 public:
  explicit Overrun(Keys& keys) {
    keys.optional("lifetime", lifetime_, between(0, 2), "0: saved, 1: kept, 2: scratch");
    keys.optional("beyond", beyond_, between(0, 8), "elements");
  }
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.dst = src[0];
    declare.like_src = true;
  }
  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds& needs) const override {
    return std::make_unique<OverrunOp>(lifetime_, beyond_, needs);
  }

 private:
  std::int64_t lifetime_ = 0, beyond_ = 0;
};

/// A training step of a network with such a layer in its middle.
void run_overrun(std::int64_t lifetime, std::int64_t beyond) {
  Registry registry;
  register_layers(registry);
  registry.add_layer("overrun", "writes too far", [](Keys& keys) { return std::make_unique<Overrun>(keys); });
  Config config = Config::parse(
      concat("[network]\ninput = 3x5x5\n[layer.a]\ntype = conv\nchannels = 4\nkernel = 3\n[layer.b]\ntype = overrun\n"
             "lifetime = ",
             lifetime, "\nbeyond = ", beyond,
             "\n[layer.c]\ntype = conv\nchannels = 4\nkernel = 3\n[layer.pool]\ntype = global_pool\n"
             "[layer.loss]\ntype = softmax_cross_entropy\nfrom = pool, labels\n"),
      "overrun.ini");
  Network network(config, registry);
  config.check();
  network.initialise(1);
  Executor executor(network, options_of(Mode::kTraining, 2));
  Batch(network, 2, 4, 1).give(executor);
  run_step(executor);
}

TEST(RedZones, ASlotMayBeUsedToItsEnd) {
  for (std::int64_t lifetime = 0; lifetime < 3; ++lifetime) run_overrun(lifetime, 0);
}

TEST(RedZones, OneElementTooFarIsCaught) {
  if (!SLUICE_RED_ZONES) GTEST_SKIP() << "built without AddressSanitizer";
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  for (std::int64_t lifetime = 0; lifetime < 3; ++lifetime)
    EXPECT_DEATH(run_overrun(lifetime, 1), "use-after-poison") << "lifetime " << lifetime;
}

}  // namespace
}  // namespace sluice
