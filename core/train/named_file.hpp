// Files that a configuration names: what is wrong with one begins with the key and its place.
#pragma once

#include <string>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// What `use` returns; an error of this kind becomes "net.ini:5: [section] key: " and its text.
template <class Use>
auto with_place(const Experiment& experiment, const char* section, const std::string& key, ExitCode kind, Use use)
    -> decltype(use()) {
  try {
    return use();
  } catch (const Error& error) {
    if (error.code() != kind) throw;
    const std::string text = concat(experiment.where(section, key), ": ", error.what());
    if (dynamic_cast<const ErrorLines*>(&error) != nullptr) throw ErrorLines(kind, text);
    throw Error(kind, text);
  }
}

}  // namespace sluice
