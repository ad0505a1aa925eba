// What an import says of many tensors where there is little room.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "core/base/error.hpp"
#include "core/train/import.hpp"

namespace sluice {
namespace {

TEST(ImportReport, NamesStayDifferentOnANarrowTerminal) {
  ImportOptions options;
  options.file = "w.h5";
  ImportReport report;
  for (const char* stage : {"layer1", "layer2", "layer3"}) {
    for (int block = 0; block < 10; ++block) {
      for (const char* name : {"conv1.weight", "bn1.weight", "bn1.running_mean"}) {
        const std::string path = concat(stage, ".", block, ".", name);
        std::string tensor = "weights/" + path;
        tensor[tensor.rfind('.')] = '/';
        report.matched.push_back({"module.backbone." + path, tensor, {16, 16, 3, 3}, {16, 16, 3, 3}, "float32"});
      }
    }
  }
  report.tensors = static_cast<std::int64_t>(report.matched.size());
  std::ostringstream text;
  print_import(text, options, report, 60);
  std::istringstream lines(text.str());
  std::set<std::string> names, tensors;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 60U) << line;
    std::istringstream words(line);
    std::string name, tensor;
    if (line.find("...") != std::string::npos && words >> name >> tensor) {
      names.insert(name);
      tensors.insert(tensor);
    }
  }
  EXPECT_EQ(names.size(), report.matched.size()) << text.str();
  EXPECT_EQ(tensors.size(), report.matched.size()) << text.str();
}

}  // namespace
}  // namespace sluice
