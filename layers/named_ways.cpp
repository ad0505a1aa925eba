#include "layers/named_ways.hpp"

namespace sluice {

std::unique_ptr<Op> make_ways(const std::string& wanted, const std::vector<NamedWay>& ways, OpNeeds& needs) {
  for (const NamedWay& way : ways) {
    if (way.name != wanted) continue;
    if (auto op = way.make(needs.kernel)) return op;
  }
  std::vector<std::unique_ptr<Op>> open;
  std::vector<std::string> names;
  std::string kernels;
  for (const NamedWay& way : ways) {
    std::string kernel;
    auto op = way.make(kernel);
    if (op == nullptr) continue;
    open.push_back(std::move(op));
    names.push_back(way.name);
    kernels += (kernels.empty() ? "" : " ") + kernel;
  }
  needs.kernel = kernels;
  if (open.size() == 1) return std::move(open[0]);
  needs.alternatives = std::move(names);
  needs.alternative = static_cast<int>(open.size()) - 1;
  auto all = std::make_unique<Ways>();
  for (auto& op : open) all->add(std::move(op));
  return all;
}

}  // namespace sluice
