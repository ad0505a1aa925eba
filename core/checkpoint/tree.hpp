// Everything that is in an HDF5 file of any origin: groups, data sets, attributes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/hdf5.hpp"

namespace sluice {

/// Paths have no leading slash; the root group's is empty.
struct TreeGroup {
  std::string path;
  std::vector<std::pair<std::string, std::string>> attributes;  ///< name and printed value
};

struct TreeDataSet {
  std::string path;
  DataSetInfo info;
  std::string alias_of;  ///< the path under which this same data set came before
};

struct FileTree {
  std::vector<TreeGroup> groups;
  std::vector<TreeDataSet> data_sets;  ///< parents before children, by name within a group
  std::vector<std::string> problems;   ///< objects that could not be opened or are none of these
};

/// Groups that are reached twice (hard links, cycles) are listed once.
FileTree read_tree(const Hdf5Group& root);

/// Hands out the elements of a data set of numbers, converted to double, in order, in blocks of bounded size.
void for_each_block(const Hdf5DataSet& data_set,
                    const std::function<void(const double* values, std::int64_t count)>& use);
/// The same for two data sets of equal shape, in step.
void for_each_block(const Hdf5DataSet& a, const Hdf5DataSet& b,
                    const std::function<void(const double* a, const double* b, std::int64_t count)>& use);

/// Number of elements; 0 where the shape has more than fit into 64 bits.
std::int64_t element_count(const Shape& shape);

}  // namespace sluice
