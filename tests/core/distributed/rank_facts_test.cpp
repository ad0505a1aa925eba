// What the start of a run says of its ranks.
#include "core/distributed/rank_facts.hpp"

#include <gmock/gmock.h>

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RankFacts rank_on(const std::string& host, const std::vector<std::int64_t>& processors, std::int64_t threads) {
  RankFacts facts;
  facts.host = host;
  facts.machine = "a processor";
  facts.build = "1.0";
  facts.instructions = "avx2";
  facts.processors = processors;
  facts.nodes = {0};
  facts.threads = threads;
  return facts;
}

TEST(RankFacts, ALineSaysWhereARankRuns) {
  RankFacts facts = rank_on("node1", {0, 1, 2, 5}, 2);
  EXPECT_EQ(facts_text(3, facts), "rank 3 (node1): a processor; processors 0-2,5, NUMA node 0");
  facts.nodes = {0, 1};
  facts.quota = 2;
  EXPECT_EQ(facts_text(3, facts), "rank 3 (node1): a processor; processors 0-2,5, time of 2, NUMA nodes 0-1");
  facts.processors.clear();
  facts.nodes.clear();
  facts.quota = 0;
  EXPECT_EQ(facts_text(0, facts), "rank 0 (node1): a processor");
}

TEST(RankFacts, TheyTravelWhole) {
  const std::unique_ptr<Communicator> alone = single_process();
  RankFacts facts = rank_on("node1", {0, 1, 5}, 2);
  facts.quota = 7;
  const std::vector<RankFacts> all = exchange_facts(*alone, facts);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(facts_text(0, all[0]), facts_text(0, facts));
  EXPECT_EQ(all[0].build, "1.0");
  EXPECT_EQ(all[0].instructions, "avx2");
  EXPECT_EQ(all[0].threads, 2);
}

TEST(RankFacts, RanksWithProcessorsOfTheirOwnAreAsTheyShouldBe) {
  EXPECT_THAT(rank_warnings({rank_on("a", {0, 1}, 2), rank_on("a", {2, 3}, 2), rank_on("b", {0, 1}, 2)}), IsEmpty());
  EXPECT_THAT(rank_warnings({rank_on("a", {0, 1}, 1), rank_on("a", {0, 1}, 1)}), IsEmpty());  // there is room
}

TEST(RankFacts, RanksOnTheSameProcessorsAreWarnedAbout) {
  // The first two meet through the third.
  EXPECT_THAT(
      rank_warnings({rank_on("a", {0, 1}, 2), rank_on("a", {2, 3}, 2), rank_on("a", {1, 2}, 1), rank_on("a", {7}, 1),
                     rank_on("b", {0}, 1)}),
      ElementsAre("ranks 0-2 on a have 5 threads on the same 4 processors and wait for each other: start fewer, "
                  "lower run.threads, or give each its own (mpirun --bind-to, srun --cpus-per-task)"));
  RankFacts limited = rank_on("a", {0, 1, 2, 3}, 1);
  limited.quota = 1;
  EXPECT_THAT(rank_warnings({limited, limited}),
              ElementsAre("ranks 0-1 on a have 2 threads on the same 1 processor and wait for each other: start fewer, "
                          "lower run.threads, or give each its own (mpirun --bind-to, srun --cpus-per-task)"));
}

TEST(RankFacts, BuildsAndInstructionSetsThatDifferAreWarnedAbout) {
  RankFacts other = rank_on("c", {0}, 1);
  other.build = "1.1";
  other.instructions = "avx512";
  EXPECT_THAT(
      rank_warnings({rank_on("a", {0}, 1), rank_on("b", {0}, 1), other}),
      ElementsAre("builds differ: 1.0 (ranks 0-1), 1.1 (rank 2); results are the same bits again only while each "
                  "rank has the same one: install one build on all nodes",
                  "instruction sets differ: avx2 (ranks 0-1), avx512 (rank 2); results are the same bits again "
                  "only while each rank has the same one: ask for equal nodes, or set SLUICE_MAX_ISA to the "
                  "least of them"));
}

}  // namespace
}  // namespace sluice
