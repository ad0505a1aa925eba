// What the layers of a network count and sum up while it runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

class Communicator;
class Network;

/// What a statistic means to those who do not know its layer.
enum class Role {
  kOther,
  kImages,   ///< count: images that a loss has seen
  kCorrect,  ///< count: those whose class the network found
  kLoss,     ///< sum over images of the loss by the labels alone
  kOpen,     ///< count: outputs that were computed in full
  kTotal     ///< count: outputs that a decision was made about
};

/// A statistic that a layer declares.
struct Statistic {
  std::string name;  ///< in reports and files
  Role role = Role::kOther;
};

/// Index of the statistic with a role, or -1.
int find_role(const std::vector<Statistic>& statistics, Role role);

/// By node, in the order of declaration.
using CountsByNode = std::vector<std::vector<std::int64_t>>;
using SumsByNode = std::vector<std::vector<double>>;

/// Counts (exact integers) and sums (doubles) of all layers of a network. Those of several batches, executors or
/// processes add up.
class Statistics {
 public:
  explicit Statistics(const Network& network);

  /// Of a node, in the order of its declaration.
  std::int64_t* counts(int node) { return counts_.data() + count_offset_[static_cast<std::size_t>(node)]; }
  double* sums(int node) { return sums_.data() + sum_offset_[static_cast<std::size_t>(node)]; }

  /// Over all layers that declare one with this role.
  std::int64_t count(Role role) const;
  double sum(Role role) const;

  void clear();
  /// `other` is of the same network.
  void add(const Statistics& other);
  void subtract(const Statistics& other);
  /// Adds up those of all ranks, for everybody.
  void sum_over(Communicator& ranks);

  CountsByNode counts_by_node() const;
  SumsByNode sums_by_node() const;

 private:
  const Network* network_;
  std::vector<std::size_t> count_offset_, sum_offset_;  ///< by node, and the end
  std::vector<std::int64_t> counts_;
  std::vector<double> sums_;
};

}  // namespace sluice
