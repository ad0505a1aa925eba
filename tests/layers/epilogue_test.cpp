// Post-ops in one form.
#include "layers/epilogue.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

const PostOp kAffine{PostOp::Kind::kAffine, 0, 0}, kAdd{PostOp::Kind::kAdd, 0, 0}, kClip{PostOp::Kind::kClip, 0, 6};

TEST(Epilogue, SaysWhatIsDoneAndInWhichOrder) {
  const Epilogue none(std::vector<PostOp>{});
  EXPECT_TRUE(none.empty());
  EXPECT_FALSE(none.clips());
  EXPECT_EQ(none.ending(), Ending::kNone);
  const Epilogue all({kAffine, kAdd, kClip});
  EXPECT_TRUE(all.affine && all.adds && all.clips());
  EXPECT_FALSE(all.clips_first);
  EXPECT_EQ(all.low, 0.0F);
  EXPECT_EQ(all.high, 6.0F);
  EXPECT_EQ(all.ending(), Ending::kAddClip);
  EXPECT_EQ(Epilogue({kClip, kAdd}).ending(), Ending::kClipAdd);
  EXPECT_EQ(Epilogue({kAdd}).ending(), Ending::kAdd);
  EXPECT_EQ(Epilogue({kClip}).ending(), Ending::kClip);
  const Epilogue affine({kAffine});
  EXPECT_EQ(affine.ending(), Ending::kNone);
  EXPECT_FALSE(affine.empty()) << "scale and shift are something";
}

TEST(Epilogue, AReluClipsOnOneSide) {
  const Epilogue relu({PostOp{PostOp::Kind::kClip, 0, Epilogue::kInfinity}});
  EXPECT_TRUE(relu.clips());
  EXPECT_EQ(relu.ending(), Ending::kClip);
}

TEST(Epilogue, ALearnedBoundIsKnownWhenItRuns) {
  const Epilogue pact({kAffine, kAdd, PostOp{PostOp::Kind::kBound, 0, 0}});
  EXPECT_FALSE(pact.clips()) << "at no number that is known";
  EXPECT_FALSE(Epilogue({PostOp{PostOp::Kind::kBound, 0, 0}}).empty());
  EXPECT_EQ(pact.ending(), Ending::kAddClip);
  const float bound = 2.5F;
  EXPECT_EQ(pact.clip(&bound).low, 0.0F);
  EXPECT_EQ(pact.clip(&bound).high, 2.5F);
}

}  // namespace
}  // namespace sluice
