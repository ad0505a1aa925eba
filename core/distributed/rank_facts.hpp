// What the ranks of a run tell each other about where they run, and what about it deserves a warning.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/distributed/communicator.hpp"

namespace sluice {

struct RankFacts {
  std::string host;
  std::string machine;                   ///< a line: processor, libraries, threads
  std::string build;                     ///< of Sluice and oneDNN
  std::string instructions;              ///< "avx512"
  std::vector<std::int64_t> processors;  ///< that it may run on
  std::vector<std::int64_t> nodes;       ///< NUMA nodes of these
  std::int64_t quota = 0;                ///< processors' worth of time that its control groups allow; 0: all
  std::int64_t threads = 1;
};

/// Of this process; the first four and the threads are the caller's to say.
void find_place(RankFacts& facts);
/// Collective: the facts of all ranks, by rank.
std::vector<RankFacts> exchange_facts(Communicator& ranks, const RankFacts& own);

/// "rank 1 (node2): AMD EPYC ...; processors 0-3, NUMA node 0".
std::string facts_text(std::size_t rank, const RankFacts& facts);
/// A line each: ranks of a host with more threads than processors, and builds or instruction sets that differ.
std::vector<std::string> rank_warnings(const std::vector<RankFacts>& ranks);

}  // namespace sluice
