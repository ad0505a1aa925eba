#include "apps/pytorch/forward_text.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/base/error.hpp"

namespace sluice {
namespace {

/// Words of Python, and what a module has already.
constexpr char kTakenNames[] =
    " False None True and as assert async await break class continue def del elif else except finally for "
    "from global if import in is lambda nonlocal not or pass raise return try while with yield "
    "T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double "
    "dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule "
    "half ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters "
    "parameters register_backward_hook register_buffer register_forward_hook register_forward_pre_hook "
    "register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook "
    "register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook "
    "register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict "
    "to to_empty train training type xpu zero_grad ";

bool is_plain(const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto fits = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; };
  return is_letter(name[0]) && std::all_of(name.begin(), name.end(), fits) &&
         std::strstr(kTakenNames, (" " + name + " ").c_str()) == nullptr;
}

/// An expression in the variables that stand.
struct Expression {
  std::string text = {};
  bool is_operation = false;
  int calls = 0;  ///< one in the other
};

constexpr int kMostCalls = 3;  ///< in one statement
constexpr std::size_t kLongestNested = 60;

class Statements {
 public:
  explicit Statements(const TorchPart& part) : part_(part) {
    for (const TorchPart& own : part.parts) {
      for (const TorchValue& value : own.src) ++uses_[value];
    }
    ++uses_[part.dst[0]];
    names_[part.src[0]] = variable();
  }

  std::vector<std::string> write() {
    for (std::size_t i = 0; i < part_.parts.size(); ++i) {
      const TorchPart& own = part_.parts[i];
      const bool last = i + 1 == part_.parts.size();
      Expression expression = call(own);
      if (last && own.dst == part_.dst) {
        lines_.push_back("return " + expression.text);
        return lines_;
      }
      if (!last && may_stand_in(own, expression, part_.parts[i + 1]))
        nested_[own.dst[0]] = std::move(expression);
      else
        assign(own, expression.text);
    }
    lines_.push_back("return " + names_.at(part_.dst[0]));
    return lines_;
  }

 private:
  /// The call of a part; names of values that it uses last are free then.
  Expression call(const TorchPart& own) {
    Expression result;
    result.is_operation = own.is_layer() && own.layer.is_operation;
    std::vector<Expression> sources;
    for (const TorchValue& value : own.src) {
      const auto nested = nested_.find(value);
      sources.push_back(nested != nested_.end() ? nested->second : Expression{names_.at(value)});
      result.calls = std::max(result.calls, sources.back().calls);
    }
    for (const TorchValue& value : own.src) {
      if (--uses_.at(value) > 0 || names_.count(value) == 0) continue;
      used_.erase(names_.at(value));
      freed_ = freed_.empty() ? names_.at(value) : freed_;
      names_.erase(value);
    }
    if (!result.is_operation) ++result.calls;
    const std::string pattern = own.is_layer() ? own.layer.call : TorchLayer().call;
    result.text = filled(pattern, result.is_operation, torch_attribute(own.path), sources);
    return result;
  }

  static std::string filled(const std::string& pattern, bool is_operation, const std::string& self,
                            const std::vector<Expression>& sources) {
    std::string text;
    for (std::size_t at = 0; at < pattern.size();) {
      const std::size_t close = pattern[at] == '{' ? pattern.find('}', at) : std::string::npos;
      if (close == std::string::npos) {
        text += pattern[at++];
        continue;
      }
      const std::string hole = pattern.substr(at + 1, close - at - 1);
      if (hole == "self") {
        text += self;
      } else if (hole == "*") {
        for (std::size_t i = 0; i < sources.size(); ++i) text += (i == 0 ? "" : ", ") + sources[i].text;
      } else {
        const Expression& source = sources.at(static_cast<std::size_t>(hole[0] - '0'));
        const bool is_part = is_operation || pattern.find_first_of(".[", close) == close + 1;
        text += source.is_operation && is_part ? "(" + source.text + ")" : source.text;
      }
      at = close + 1;
    }
    return text;
  }

  /// Layers that stand in a row are one statement, as far as that can be read.
  bool may_stand_in(const TorchPart& own, const Expression& expression, const TorchPart& next) const {
    if (!own.is_layer() || !next.is_layer() || own.dst.size() != 1 || uses_.at(own.dst[0]) != 1) return false;
    const bool is_used = std::count(next.src.begin(), next.src.end(), own.dst[0]) == 1;
    return is_used && expression.calls < kMostCalls && expression.text.size() <= kLongestNested;
  }

  void assign(const TorchPart& own, const std::string& text) {
    std::string targets;
    for (const TorchValue& value : own.dst) {
      const auto uses = uses_.find(value);
      std::string name = "_";
      if (uses != uses_.end() && uses->second > 0) names_[value] = name = variable();
      targets += (targets.empty() ? "" : ", ") + name;
    }
    lines_.push_back(targets + " = " + text);
    freed_.clear();
  }

  /// The one whose value has just been used up, or another that is free.
  std::string variable() {
    std::string name = freed_;
    freed_.clear();
    for (const char* usual : {"x", "y", "z"}) {
      if (name.empty() && used_.count(usual) == 0) name = usual;
    }
    for (int i = 4; name.empty(); ++i) {
      if (used_.count(concat("v", i)) == 0) name = concat("v", i);
    }
    used_.insert(name);
    return name;
  }

  const TorchPart& part_;
  std::vector<std::string> lines_;
  std::map<TorchValue, int> uses_;  ///< that are still to come
  std::map<TorchValue, std::string> names_;
  std::map<TorchValue, Expression> nested_;  ///< that stand in the next statement
  std::set<std::string> used_;
  std::string freed_;
};

}  // namespace

std::string torch_attribute(const std::string& path) {
  std::string text = "self";
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t dot = std::min(path.find('.', at), path.size());
    const std::string name = path.substr(at, dot - at);
    text += is_plain(name) ? "." + name : "._modules[\"" + name + "\"]";
    at = dot + 1;
  }
  return text;
}

std::vector<std::string> forward_text(const TorchPart& part) {
  return Statements(part).write();
}

}  // namespace sluice
