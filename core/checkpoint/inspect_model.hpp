// What the parts of the inspector share: an open file, and what is known about it as JSON (also the source of the
// printed form).
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fields.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/hdf5.hpp"
#include "core/checkpoint/inspect.hpp"
#include "core/checkpoint/seal.hpp"
#include "core/checkpoint/tree.hpp"

namespace sluice {

template <class Fields, class Options>
auto describe_fields(Fields& fields, Options& options) -> decltype(fields.add(options.filter)) {
  for (auto* text : {&options.file, &options.diff, &options.filter}) fields.add(*text);
  for (auto* flag :
       {&options.stats, &options.config, &options.history, &options.plot, &options.decisions, &options.json})
    fields.add(*flag);
  fields.add(options.width);
  fields.add(options.deciding);
}

namespace detail {

using Json = nlohmann::ordered_json;

/// An HDF5 file of any origin.
struct InspectedFile {
  std::string path;
  std::int64_t bytes = 0;  ///< size on disk
  SealReport seal;
  Hdf5File file;
  FileTree tree;
  std::optional<Checkpoint>
      checkpoint;       ///< without tensor values; nothing for files that are no checkpoint of this format
  std::string problem;  ///< why not, when the file looks like one

  /// From bytes whose seal was checked, or, without an intact seal, by HDF5 itself. In a reader only.
  static InspectedFile open(const std::string& path);
};

/// Numbers of one tensor. Extremes, mean and standard deviation are over the finite values.
/// Minimum, maximum, mean and standard deviation are those of the finite values; 0 where there are none.
struct TensorStats {
  std::int64_t count = 0, zeros = 0, nans = 0, infs = 0;
  double min = 0, max = 0, mean = 0, std = 0;
};
TensorStats tensor_stats(const Hdf5DataSet& data_set);

/// What the reader of sluice-inspect is asked; InspectOptions follow.
enum class InspectRequest { kSeal, kProblems, kEditedProblems, kShow };

/// Everything but verification: prints, and returns the exit code. Throws Error(kCheckpoint).
int show_file(const InspectOptions& options, std::ostream& out);

/// The filter is a glob, or empty.
bool matches(const std::string& path, const std::string& filter);

/// The tensors of a checkpoint in network order, or all data sets of another file, that match the filter.
std::vector<TreeDataSet> select_tensors(const InspectedFile& file, const std::string& filter);

Json header_json(const InspectedFile& file);
Json tensors_json(const InspectedFile& file, const InspectOptions& options);
Json history_json(const InspectedFile& file);
/// "layers": those with a tensor that decides, or with work that depends on the images; "deciding": the names of such
/// tensors; "totals" of the whole network.
Json decisions_json(const InspectedFile& file, const InspectOptions& options);
/// Throws Error(kCheckpoint) for a file that holds no configuration.
std::string config_text(const InspectedFile& file);
Json diff_json(const InspectedFile& a, const InspectedFile& b, const std::string& filter);

/// Everything wrong with the contents, one line each: members, types, shapes, values. Reads every data set. Where the
/// file was edited its digest is of other contents.
std::vector<std::string> find_problems(const InspectedFile& file, bool edited = false);

void print_json(std::ostream& out, const Json& json);
/// Characters of a line, as Table::print takes them.
using Width = std::optional<int>;
void print_header(std::ostream& out, const Json& header, Width width);
void print_tensors(std::ostream& out, const Json& tensors, const Json& header, Width width);
void print_history(std::ostream& out, const Json& history, Width width);
/// Its columns as curves, but for those of single layers.
void print_plots(std::ostream& out, const InspectedFile& file, Width width);
void print_decisions(std::ostream& out, const Json& decisions, Width width);
void print_diff(std::ostream& out, const Json& diff, Width width);

}  // namespace detail
}  // namespace sluice
