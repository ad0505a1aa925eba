// Puts definitions and environment variables in the place of ${NAME} and ${env:NAME}.
#include "core/config/substitute.hpp"

#include <algorithm>
#include <cstdlib>

#include "core/base/error.hpp"
#include "core/config/expression.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

/// Position of the '}' that closes the "${" whose text begins at `begin`, or npos.
std::size_t closing_brace(const std::string& text, std::size_t begin) {
  int depth = 1;
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string::npos;
}

constexpr std::size_t kLongestValue = 1 << 20, kMostGrowth = 64 << 20;

}  // namespace

std::string substitute(const std::string& text, const std::function<std::string(const std::string&)>& replace,
                       bool keep_escapes) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    if (text.compare(i, 3, "$${") == 0) {
      result += keep_escapes ? "$${" : "${";
      i += 3;
    } else if (text.compare(i, 2, "${") == 0) {
      const std::size_t close = closing_brace(text, i + 2);
      if (close == std::string::npos) {
        throw Error(ExitCode::kUsage, concat("'${' without '}' in ", quoted(text), "; write '$${' for a literal '${'"));
      }
      result += replace(text.substr(i + 2, close - i - 2));
      i = close + 1;
    } else {
      result += text[i++];
    }
    if (result.size() > kLongestValue && result.size() > text.size())
      throw Error(ExitCode::kUsage, "the value becomes longer than 1 MiB");
  }
  return result;
}

void Growth::add(std::size_t bytes) {
  total_ += bytes;
  if (total_ > kMostGrowth) throw Error(ExitCode::kUsage, "the values of the configuration become longer than 64 MiB");
}

std::string environment_value(const std::string& text, const std::function<std::string(const std::string&)>& replace,
                              bool keep_escapes) {
  const std::size_t dash = text.find(":-");
  const std::string name = text.substr(0, dash);
  const char* value = std::getenv(name.c_str());
  if (value != nullptr && (*value != '\0' || dash == std::string::npos)) {
    return keep_escapes ? escape_dollars(value) : value;
  }
  if (dash != std::string::npos) return substitute(text.substr(dash + 2), replace, keep_escapes);
  throw Error(ExitCode::kUsage, concat("the environment variable ", quoted(name),
                                       " is not set; set it or write ${env:", name, ":-DEFAULT}"));
}

std::set<std::string> words_in_braces(const std::string& text) {
  std::set<std::string> words;
  const auto keep = [&words](const std::string& name) { return *words.insert(name).first; };
  std::size_t end = 0;
  for (std::size_t open = text.find("${"); open != std::string::npos; open = text.find("${", end)) {
    end = closing_brace(text, open + 2);
    if (end == std::string::npos) break;
    replace_names(text.substr(open + 2, end - open - 2), keep);
  }
  return words;
}

std::string escape_dollars(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) result += '$';
    result += text[i];
  }
  return result;
}

Definitions::Definitions(const Section* section, Diagnostics& diagnostics)
    : section_(section), diagnostics_(diagnostics) {
  if (section == nullptr) return;
  for (const Entry& entry : section->entries()) resolve(entry.key);
}

void Definitions::apply(const Section& section, Entry& entry) {
  expand(section, entry, {});
}

void Definitions::apply_in_block(const Section& section, Entry& entry, const std::vector<std::string>& parameters) {
  expand(section, entry, {true, false, parameters});
}

void Definitions::apply_in_parameter_list(const Section& section, Entry& entry) {
  expand(section, entry, {true, true, {}});
}

void Definitions::reject_unused() {
  if (section_ == nullptr || too_deep_) return;
  std::vector<std::string> used(mentioned_.begin(), mentioned_.end());
  for (const Entry& entry : section_->entries()) {
    if (entry.used || mentioned_.count(entry.key) != 0) continue;
    const std::string hint = diagnostics_.full() ? "" : suggestion(entry.key, used, "names in use");
    section_->report(diagnostics_, entry.key, concat("nothing uses ${", entry.key, "}", hint));
  }
}

void Definitions::expand(const Section& section, Entry& entry, const Scope& scope) {
  if (entry.value.find("${") == std::string::npos) return;
  const auto replace = [&](const std::string& inner) { return lookup(inner, section, entry, scope); };
  const std::string before = entry.value;
  const std::size_t depth = depth_;
  try {
    entry.value = substitute(before, replace, scope.in_block);
    growth_.add(entry.value.size());
    // Quotes around a definition hold where it is the whole value.
    const Entry* const whole =
        section_ != nullptr && before.size() > 3 ? section_->find(before.substr(2, before.size() - 3)) : nullptr;
    if (whole != nullptr && entry.form == ValueForm::kPlain) entry.form = whole->form;
  } catch (const Error& error) {
    section.report(diagnostics_, entry.key, error.what());
    entry.broken = true;
    depth_ = depth;
  }
}

std::string Definitions::lookup(const std::string& inner, const Section& section, Entry& entry, const Scope& scope) {
  if (starts_with(inner, "env:")) {
    if (++depth_ > kDeepest) throw Error(ExitCode::kUsage, "defaults stand in defaults more than 100 deep");
    const auto nested = [&](const std::string& name) { return lookup(name, section, entry, scope); };
    const std::string value = environment_value(inner.substr(4), nested, scope.in_block);
    --depth_;
    return value;
  }
  if (inner.find(':') != std::string::npos) {
    if (++depth_ > kDeepest) throw Error(ExitCode::kUsage, "choices stand in choices more than 100 deep");
    const std::string text = choose(inner, section, entry, scope);
    --depth_;
    return text;
  }
  if (is_expression(inner)) return compute(inner, section, entry, scope);
  if (contains(scope.parameters, inner)) return concat("${", inner, "}");
  mentioned_.insert(inner);
  const Entry* definition = resolve(inner);
  if (definition != nullptr) {
    entry.take_origin_of(inner, *definition);
    if (definition->broken) return "";
    return scope.in_block ? escape_dollars(definition->value) : definition->value;
  }
  if (scope.keep_unknown) return concat("${", inner, "}");
  std::vector<std::string> known = names();
  known.insert(known.end(), scope.parameters.begin(), scope.parameters.end());
  const bool environment = std::getenv(inner.c_str()) != nullptr;
  const std::string hint = environment           ? concat("; the environment variable is ${env:", inner, "}")
                           : diagnostics_.full() ? ""
                                                 : suggestion(inner, known, "known names");
  section.report(diagnostics_, entry.key, concat("unknown name ${", inner, "}", hint));
  entry.broken = true;
  return "";
}

std::string Definitions::choose(const std::string& inner, const Section& section, Entry& entry, const Scope& scope) {
  const std::size_t colon = inner.find(':');
  const std::string name = trim(inner.substr(0, colon));
  const std::string value = lookup(name, section, entry, scope);
  if (entry.broken) return "";
  const auto nested = [&](const std::string& other) { return lookup(other, section, entry, scope); };
  std::vector<std::string> known;
  for (const std::string& item : split_list(inner.substr(colon + 1))) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos)
      throw Error(ExitCode::kUsage, concat("expected VALUE = TEXT behind '", name, ":', got ", quoted(item)));
    known.push_back(trim(item.substr(0, equals)));
    if (known.back() == value) return substitute(trim(item.substr(equals + 1)), nested, scope.in_block);
  }
  if (known.empty()) throw Error(ExitCode::kUsage, concat("expected VALUE = TEXT behind '", name, ":', got nothing"));
  throw Error(ExitCode::kUsage, concat(name, " is ", quoted(value), ", expected one of ", join(known)));
}

std::string Definitions::compute(const std::string& inner, const Section& section, Entry& entry, const Scope& scope) {
  bool deferred = false;
  const std::string known = replace_names(inner, [&](const std::string& name) -> std::string {
    const std::string value = lookup(name, section, entry, scope);
    if (value == concat("${", name, "}")) {
      deferred = true;
      return name;
    }
    return entry.broken ? name : value;
  });
  if (entry.broken) return "";
  return deferred ? concat("${", known, "}") : std::to_string(evaluate(known));
}

const Entry* Definitions::resolve(const std::string& name) {
  const Entry* raw = section_ == nullptr ? nullptr : section_->find(name);
  if (raw == nullptr) return nullptr;
  const auto known = resolved_.find(name);
  if (known != resolved_.end()) return &known->second;
  Entry entry = *raw;
  if (contains(resolving_, name)) {
    std::vector<std::string> chain(std::find(resolving_.begin(), resolving_.end(), name), resolving_.end());
    chain.push_back(name);
    section_->report(diagnostics_, name, concat("the definition uses itself: ", join(chain, " -> ")));
    entry.broken = true;
  } else if (resolving_.size() == kDeepest) {
    if (!too_deep_)
      section_->report(diagnostics_, name, concat("definitions stand in definitions more than ", kDeepest, " deep"));
    entry.broken = too_deep_ = true;
  } else {
    resolving_.push_back(name);
    expand(*section_, entry, {});
    resolving_.pop_back();
  }
  return &resolved_.emplace(name, entry).first->second;
}

std::vector<std::string> Definitions::names() const {
  std::vector<std::string> result;
  if (section_ == nullptr) return result;
  for (const Entry& entry : section_->entries()) result.push_back(entry.key);
  return result;
}

}  // namespace sluice
