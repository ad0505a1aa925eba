// The coverage gate: finds layer types that lack a case against a reference, or a semantic case.
#pragma once

#include <string>
#include <vector>

namespace sluice {

/// Those of `types` without a case in a suite ("LayerCases") of this program.
std::vector<std::string> types_without_case(const std::vector<std::string>& types, const std::string& suite);

}  // namespace sluice
