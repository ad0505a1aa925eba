// Weights from elsewhere: a PyTorch state_dict stored as HDF5 data sets, matched by name and shape; and the way back.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/graph/network.hpp"

namespace sluice {

/// A file in a checkpoint's own layout (weights/<layer>/<name>, buffers/<layer>/<name>) is taken as well. Else:
/// Our tensor <layer>/<name> (layer1.0.conv1/weight) is PyTorch's <layer>.<name> (layer1.0.conv1.weight), or what
/// Registry::torch_names says for <name>.
struct ImportOptions {
  std::string file;
  std::string group = "/";  ///< where the data sets are; groups below it are parts of names: a/b is a.b
  /// Applied to the file's names in order: the parts between dots on the left become those on the right wherever they
  /// stand together ("fc" -> "linear", "downsample.0" -> "shortcut.0"; to nothing: they are dropped).
  std::vector<std::pair<std::string, std::string>> renames;
  bool partial = false;  ///< tensors that are missing or of another shape keep their values
};

/// What came of every tensor of the network and every data set of the file.
struct ImportReport {
  struct Match {
    std::string name;    ///< in the file, below the group
    std::string tensor;  ///< "weights/conv1/weight"; a shared parameter's first user
    Shape file_shape, shape;
    std::string type;  ///< in the file: "float16"
  };
  struct Missing {
    std::string name;  ///< that the file would have to have
    std::string tensor;
    Shape shape;
    std::string hint;  ///< what else the file has; may be empty
  };
  struct Extra {
    std::string name;
    Shape shape;
    std::string type;
  };
  std::int64_t tensors = 0;             ///< of the network, without those that are kept
  std::vector<Match> matched;           ///< in network order
  std::vector<Missing> missing;         ///< in network order
  std::vector<Match> misshapen;         ///< in network order
  std::vector<std::string> unusable;    ///< "<name>: holds NaN ...": never imported
  std::vector<Extra> extra;             ///< data sets that no tensor wants
  std::vector<std::string> skipped;     ///< PyTorch's counters num_batches_tracked
  std::vector<std::string> kept;        ///< our names of tensors that PyTorch code does not have, nor the file
  std::vector<std::string> stripped;    ///< names from which a leading "module." or "_orig_mod." was taken
  std::vector<std::string> left;        ///< in a checkpoint's own layout: what is below neither weights nor buffers
  std::vector<std::string> unreadable;  ///< links that lead nowhere, objects that could not be opened
  /// All is well; with `partial` also where tensors are missing or misshapen.
  bool complete(bool partial) const;
};

/// Matches the file's data sets with the network's parameters and buffers and, where the report is complete, copies
/// them into the network. Shapes are equal when they are so without dimensions of size 1; any floating-point type is
/// taken. Throws Error(kCheckpoint) where the file cannot be read, has no such group, two of its names become the same,
/// or nothing in it fits; Error(kUsage) for a rename that changes nothing.
ImportReport import_weights(const ImportOptions& options, Network& network);

/// One line about why nothing was imported, for an Error. The report is not complete.
std::string import_failure(const ImportOptions& options, const ImportReport& report);

/// `width`: of the lines (Table::print).
void print_import(std::ostream& out, const ImportOptions& options, const ImportReport& report,
                  std::optional<int> width = std::nullopt);
/// `output` is the checkpoint that was written, empty for none.
void print_json_import(std::ostream& out, const ImportOptions& options, const ImportReport& report,
                       const std::string& output);

void print_json_export(std::ostream& out, const std::string& input, const std::string& output, std::int64_t tensors);

/// By the name that PyTorch has for it: the path of a tensor. Those without a name are left out.
std::map<std::string, std::string> torch_paths(const Checkpoint& weights,
                                               const std::map<std::string, std::string>& torch_names);

struct ExportedWeights {
  std::vector<char> bytes;   ///< of the HDF5 file
  std::int64_t tensors = 0;  ///< names of them in it
};
/// Weights and buffers (the averaged ones where there are any) as one plain fp32 data set each, under PyTorch's names
/// (`torch_names` as Registry::torch_names); a shared parameter is one data set with several names. `path` stands in
/// messages.
ExportedWeights export_weights(const Checkpoint& checkpoint, const std::map<std::string, std::string>& torch_names,
                               const std::string& path);
/// The file ends as those of export_weights do.
bool is_exported(const std::string& path);

}  // namespace sluice
