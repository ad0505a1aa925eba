// The reader's part of sluice-inspect: opens files, and prints what is asked for.
#include <algorithm>
#include <ostream>
#include <sstream>

#include "core/base/error.hpp"
#include "core/checkpoint/inspect_model.hpp"
#include "core/checkpoint/reader_services.hpp"

namespace sluice {
namespace detail {
namespace {

constexpr int kDone = static_cast<int>(ExitCode::kDone), kDifferent = static_cast<int>(ExitCode::kInternal),
              kDamaged = static_cast<int>(ExitCode::kCheckpoint);

/// A tensor whose statistics could not be taken is damage.
int code_of(const Json& tensors) {
  const bool damaged =
      std::any_of(tensors.begin(), tensors.end(), [](const Json& tensor) { return tensor.contains("problem"); });
  return damaged ? kDamaged : kDone;
}

/// Calls `print` under a heading where there is more than one part.
template <class Print>
void print_part(std::ostream& out, bool headings, const char* title, Print print) {
  if (headings) out << "[" << title << "]\n";
  print();
  if (headings) out << "\n";
}

Width width_of(const InspectOptions& options) {
  return options.width > 0 ? Width(static_cast<int>(options.width)) : std::nullopt;
}

int show_text(const InspectedFile& file, const InspectOptions& options, std::ostream& out) {
  const int shown = options.config + options.history + options.plot + options.decisions;
  const int parts = shown + (options.stats && shown > 0);
  const Width width = width_of(options);
  int code = kDone;
  const auto print_all_tensors = [&] {
    const Json tensors = tensors_json(file, options);
    code = code_of(tensors);
    print_tensors(out, tensors, header_json(file), width);
  };
  if (parts == 0) {
    print_header(out, header_json(file), width);
    out << "\n";
    print_all_tensors();
    return code;
  }
  const bool headings = parts > 1;
  if (options.stats) print_part(out, headings, "tensors", print_all_tensors);
  if (options.decisions)
    print_part(out, headings, "gates", [&] { print_decisions(out, decisions_json(file, options), width); });
  if (options.history) print_part(out, headings, "history", [&] { print_history(out, history_json(file), width); });
  if (options.plot) print_part(out, headings, "plot", [&] { print_plots(out, file, width); });
  if (options.config) print_part(out, headings, "config", [&] { out << config_text(file); });
  return code;
}

int show_json(const InspectedFile& file, const InspectOptions& options, std::ostream& out) {
  Json json = header_json(file);
  const bool all = !options.config && !options.history && !options.decisions;
  if (all || options.stats) json["tensors"] = tensors_json(file, options);
  if (options.decisions) {
    Json decisions = decisions_json(file, options);
    json["gates"] = std::move(decisions["layers"]);
    json["gate_totals"] = std::move(decisions["totals"]);
  }
  if (options.history) json["history"] = history_json(file);
  if (options.config) json["config"] = config_text(file);
  print_json(out, json);
  return json.contains("tensors") ? code_of(json["tensors"]) : kDone;
}

int compare(const InspectOptions& options, std::ostream& out) {
  const InspectedFile a = InspectedFile::open(options.file), b = InspectedFile::open(options.diff);
  const Json diff = diff_json(a, b, options.filter);
  if (options.json)
    print_json(out, diff);
  else
    print_diff(out, diff, width_of(options));
  return diff["equal"].get<bool>() ? kDone : kDifferent;
}

}  // namespace

int show_file(const InspectOptions& options, std::ostream& out) {
  if (!options.diff.empty()) return compare(options, out);
  const InspectedFile file = InspectedFile::open(options.file);
  return options.json ? show_json(file, options, out) : show_text(file, options, out);
}

}  // namespace detail

namespace {

class InspectService : public ReaderService {
 public:
  Answer answer(Channel& request) override {
    const auto what = request.get<detail::InspectRequest>();
    InspectOptions options;
    FieldReader<Channel>(request).add(options);
    if (what == detail::InspectRequest::kSeal) {
      const SealReport seal = check_seal(options.file);
      return [seal](Channel& channel) { channel.send(seal.state, seal.text); };
    }
    if (what == detail::InspectRequest::kProblems || what == detail::InspectRequest::kEditedProblems) {
      const bool edited = what == detail::InspectRequest::kEditedProblems;
      const std::vector<std::string> problems =
          detail::find_problems(detail::InspectedFile::open(options.file), edited);
      return [problems](Channel& channel) { channel.send(problems); };
    }
    std::ostringstream out;
    const int code = detail::show_file(options, out);
    return [code, text = out.str()](Channel& channel) { channel.send(code, text); };
  }
};

}  // namespace

std::unique_ptr<ReaderService> make_inspect_service(int) {
  return std::make_unique<InspectService>();
}

}  // namespace sluice
