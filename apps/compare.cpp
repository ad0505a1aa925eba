#include "apps/compare.hpp"

#include <memory>

#include "apps/open_network.hpp"
#include "apps/time_in_turn.hpp"
#include "core/report/network_table.hpp"

namespace sluice {

Records compare_networks(const std::vector<std::string>& files, const std::vector<std::string>& overrides, Split split,
                         bool time) {
  std::vector<std::unique_ptr<OpenNetwork>> kept;  // to be timed
  std::vector<OpenNetwork*> networks;
  std::vector<NetworkRow> rows;
  for (const std::string& file : files) {
    std::unique_ptr<OpenNetwork> opened = open_network(file, overrides, split);
    const Evaluation evaluation = opened->evaluate();
    rows.push_back(network_row(text_cell(file), opened->network(), evaluation));
    if (!time) continue;
    networks.push_back(opened.get());
    kept.push_back(std::move(opened));
  }
  const std::vector<NetworkTime> times = time_in_turn(networks);
  for (std::size_t i = 0; i < times.size(); ++i) {
    rows[i].milliseconds = times[i].milliseconds;
    rows[i].batch = times[i].batch;
  }
  return networks_table({"checkpoint", "checkpoint", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCutsPaths},
                        rows);
}

}  // namespace sluice
