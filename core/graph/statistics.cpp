#include "core/graph/statistics.hpp"

#include <algorithm>

#include "core/distributed/communicator.hpp"
#include "core/graph/network.hpp"

namespace sluice {
namespace {

template <class T>
void add_to(std::vector<T>& sum, const std::vector<T>& term) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += term[i];
}

template <class T>
void subtract_from(std::vector<T>& sum, const std::vector<T>& term) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] -= term[i];
}

/// The values of each node.
template <class T>
std::vector<std::vector<T>> by_node(const std::vector<T>& values, const std::vector<std::size_t>& offsets) {
  std::vector<std::vector<T>> nodes;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
    nodes.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(offsets[i]),
                       values.begin() + static_cast<std::ptrdiff_t>(offsets[i + 1]));
  return nodes;
}

}  // namespace

int find_role(const std::vector<Statistic>& statistics, Role role) {
  const auto found =
      std::find_if(statistics.begin(), statistics.end(), [&](const Statistic& s) { return s.role == role; });
  return found == statistics.end() ? -1 : static_cast<int>(found - statistics.begin());
}

Statistics::Statistics(const Network& network) : network_(&network), count_offset_{0}, sum_offset_{0} {
  for (const Node& node : network.nodes()) {
    count_offset_.push_back(count_offset_.back() + node.declared.counts.size());
    sum_offset_.push_back(sum_offset_.back() + node.declared.sums.size());
  }
  counts_.assign(count_offset_.back(), 0);
  sums_.assign(sum_offset_.back(), 0.0);
}

std::int64_t Statistics::count(Role role) const {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < network_->nodes().size(); ++i) {
    const int at = find_role(network_->nodes()[i].declared.counts, role);
    if (at >= 0) total += counts_[count_offset_[i] + static_cast<std::size_t>(at)];
  }
  return total;
}

double Statistics::sum(Role role) const {
  double total = 0;
  for (std::size_t i = 0; i < network_->nodes().size(); ++i) {
    const int at = find_role(network_->nodes()[i].declared.sums, role);
    if (at >= 0) total += sums_[sum_offset_[i] + static_cast<std::size_t>(at)];
  }
  return total;
}

void Statistics::clear() {
  std::fill(counts_.begin(), counts_.end(), 0);
  std::fill(sums_.begin(), sums_.end(), 0.0);
}

void Statistics::add(const Statistics& other) {
  add_to(counts_, other.counts_);
  add_to(sums_, other.sums_);
}

void Statistics::subtract(const Statistics& other) {
  subtract_from(counts_, other.counts_);
  subtract_from(sums_, other.sums_);
}

void Statistics::sum_over(Communicator& ranks) {
  ranks.sum(counts_.data(), static_cast<std::int64_t>(counts_.size()));
  ranks.sum(sums_.data(), static_cast<std::int64_t>(sums_.size()));
}

CountsByNode Statistics::counts_by_node() const {
  return by_node(counts_, count_offset_);
}

SumsByNode Statistics::sums_by_node() const {
  return by_node(sums_, sum_offset_);
}

}  // namespace sluice
