#include "apps/known_normalization.hpp"

#include <iostream>

namespace sluice {

std::optional<Normalization> known_normalization(const TrainedNetwork& trained) {
  struct Unknown {};
  Warnings warnings;
  try {
    const Normalization known =
        trained.normalization([]() -> std::shared_ptr<const Dataset> { throw Unknown(); }, warnings);
    for (const std::string& warning : warnings) std::cerr << "warning: " << warning << "\n";
    return known;
  } catch (const Unknown&) {
    return std::nullopt;
  }
}

}  // namespace sluice
