#include "core/distributed/rank_facts.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/base/cgroup.hpp"
#include "core/base/fields.hpp"
#include "core/base/processors.hpp"

namespace sluice {
namespace {

template <class Fields, class Facts>
void describe_fields(Fields& fields, Facts& facts) {
  fields.add(facts.host), fields.add(facts.machine), fields.add(facts.build), fields.add(facts.instructions);
  fields.add(facts.processors), fields.add(facts.nodes), fields.add(facts.quota), fields.add(facts.threads);
}

struct TextSink {
  std::string text;
  void write(const void* bytes, std::int64_t count) {
    text.append(static_cast<const char*>(bytes), static_cast<std::size_t>(count));
  }
};

struct TextSource {
  const std::string& text;
  std::size_t at = 0;
  void read(void* bytes, std::int64_t count) {
    const auto size = static_cast<std::size_t>(count);
    if (text.size() - at < size) reject();
    std::memcpy(bytes, text.data() + at, size);
    at += size;
  }
  [[noreturn]] static void reject() {
    throw Error(ExitCode::kEnvironment,
                "a rank says what this one does not understand: install one build on all nodes");
  }
};

/// Ranks of one host whose processors overlap.
struct Crowd {
  std::set<std::int64_t> processors;
  std::vector<std::int64_t> ranks;
  std::int64_t threads = 0, quota = 0;

  bool meets(const RankFacts& facts) const {
    return std::any_of(facts.processors.begin(), facts.processors.end(),
                       [this](std::int64_t id) { return processors.count(id) > 0; });
  }
  void take(const Crowd& other) {
    processors.insert(other.processors.begin(), other.processors.end());
    ranks.insert(ranks.end(), other.ranks.begin(), other.ranks.end());
    threads += other.threads;
    quota = std::max(quota, other.quota);
  }
  std::int64_t room() const {
    const auto count = static_cast<std::int64_t>(processors.size());
    return quota > 0 ? std::min(quota, count) : count;
  }
};

std::vector<Crowd> crowds_of(const std::string& host, const std::vector<RankFacts>& ranks) {
  std::vector<Crowd> crowds;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankFacts& facts = ranks[rank];
    if (facts.host != host || facts.processors.empty()) continue;
    Crowd own = {{facts.processors.begin(), facts.processors.end()},
                 {static_cast<std::int64_t>(rank)},
                 facts.threads,
                 facts.quota};
    const auto met =
        std::stable_partition(crowds.begin(), crowds.end(), [&](const Crowd& c) { return !c.meets(facts); });
    std::for_each(met, crowds.end(), [&](const Crowd& crowd) { own.take(crowd); });
    crowds.erase(met, crowds.end());
    std::sort(own.ranks.begin(), own.ranks.end());
    crowds.push_back(std::move(own));
  }
  return crowds;
}

/// "avx512 (ranks 0-2), avx2 (ranks 3)"; empty where all are alike.
std::string differences(const std::vector<RankFacts>& ranks, std::string RankFacts::*what) {
  std::vector<std::string> kinds;
  for (const RankFacts& facts : ranks)
    if (std::find(kinds.begin(), kinds.end(), facts.*what) == kinds.end()) kinds.push_back(facts.*what);
  if (kinds.size() < 2) return "";
  std::string text;
  for (const std::string& kind : kinds) {
    std::vector<std::int64_t> having;
    for (std::size_t rank = 0; rank < ranks.size(); ++rank)
      if (ranks[rank].*what == kind) having.push_back(static_cast<std::int64_t>(rank));
    text +=
        concat(text.empty() ? "" : ", ", kind, " (", having.size() == 1 ? "rank " : "ranks ", number_list(having), ")");
  }
  return text;
}

}  // namespace

void find_place(RankFacts& facts) {
  facts.processors = allowed_processors();
  facts.nodes = numa_nodes(facts.processors);
  facts.quota = cgroup_limit();
}

std::vector<RankFacts> exchange_facts(Communicator& ranks, const RankFacts& own) {
  TextSink sink;
  FieldWriter(sink).add(own);
  std::vector<RankFacts> all;
  for (const std::string& text : gather(ranks, sink.text)) {
    TextSource source{text};
    all.push_back(FieldReader(source).get<RankFacts>());
  }
  return all;
}

std::string facts_text(std::size_t rank, const RankFacts& facts) {
  std::string place;
  if (!facts.processors.empty()) place += concat("; processors ", number_list(facts.processors));
  if (facts.quota > 0) place += concat(", time of ", facts.quota);
  if (!facts.nodes.empty())
    place += concat(", NUMA ", facts.nodes.size() == 1 ? "node " : "nodes ", number_list(facts.nodes));
  return concat(rank_name(static_cast<int>(rank), facts.host), ": ", facts.machine, place);
}

std::vector<std::string> rank_warnings(const std::vector<RankFacts>& ranks) {
  std::vector<std::string> lines;
  std::set<std::string> hosts;
  for (const RankFacts& facts : ranks) hosts.insert(facts.host);
  for (const std::string& host : hosts) {
    for (const Crowd& crowd : crowds_of(host, ranks)) {
      if (crowd.ranks.size() < 2 || crowd.threads <= crowd.room()) continue;
      lines.push_back(concat("ranks ", number_list(crowd.ranks), " on ", host, " have ", crowd.threads,
                             " threads on the same ", crowd.room(), crowd.room() == 1 ? " processor" : " processors",
                             " and wait for each other: start fewer, lower run.threads, or give each its own "
                             "(mpirun --bind-to, srun --cpus-per-task)"));
    }
  }
  if (const std::string builds = differences(ranks, &RankFacts::build); !builds.empty())
    lines.push_back(concat("builds differ: ", builds,
                           "; results are the same bits again only while each rank has the same one: install one build "
                           "on all nodes"));
  if (const std::string sets = differences(ranks, &RankFacts::instructions); !sets.empty())
    lines.push_back(concat("instruction sets differ: ", sets,
                           "; results are the same bits again only while each rank has the same one: ask for equal "
                           "nodes, or set SLUICE_MAX_ISA to the least of them"));
  return lines;
}

}  // namespace sluice
