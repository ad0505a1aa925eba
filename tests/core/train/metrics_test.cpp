// metrics.csv and metrics.jsonl: exact bytes, new columns, cutting on resume, damage, a full disk.
#include "core/train/metrics.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"

namespace sluice {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::int64_t step(std::int64_t value) {
  return value;
}

class Metrics : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice_metricsXXXXXX";
    directory_ = mkdtemp(name);
    csv_ = directory_ + "/metrics.csv";
    jsonl_ = directory_ + "/metrics.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void put(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
  std::string error_of_opening(ExitCode code) {
    try {
      MetricsFiles files(csv_, jsonl_, 100);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return error.what();
    }
    return "no error";
  }
  std::ptrdiff_t file_count() const { return std::distance(std::filesystem::directory_iterator(directory_), {}); }

  std::string directory_, csv_, jsonl_;
};

TEST_F(Metrics, RowsOfEveryKindOfValue) {
  MetricsFiles files(csv_, jsonl_, -1);
  files.write({{"epoch", step(1)}, {"step", step(391)}, {"loss", 0.1}, {"note", "a, \"b\"\nc"}, {"lr", 1e-7}});
  files.write({{"epoch", step(2)}, {"step", step(782)}, {"loss", kNaN}, {"note", "plain"}, {"lr", -kInf}});
  EXPECT_EQ(read(csv_),
            "epoch,step,loss,note,lr\n"
            "1,391,0.1,\"a, \"\"b\"\" c\",1e-07\n"
            "2,782,nan,plain,-inf\n");
  EXPECT_EQ(read(jsonl_),
            "{\"epoch\":1,\"step\":391,\"loss\":0.1,\"note\":\"a, \\\"b\\\"\\u000ac\",\"lr\":1e-07}\n"
            "{\"epoch\":2,\"step\":782,\"loss\":null,\"note\":\"plain\",\"lr\":null}\n");
}

TEST_F(Metrics, EveryLineIsValidJsonAndNumbersReadBack) {
  MetricsFiles files(csv_, jsonl_, -1);
  const double values[] = {1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, 123456789.125};
  for (double value : values) files.write({{"step", step(1)}, {"x", value}, {"s", std::string("\x01\\\t\"\xc3\xa9")}});
  std::ifstream file(jsonl_);
  std::string line;
  for (double value : values) {
    ASSERT_TRUE(std::getline(file, line));
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(row["x"].get<double>(), value);
    EXPECT_EQ(row["s"], "\x01\\\t\"\xc3\xa9");
  }
}

TEST_F(Metrics, BytesThatAreNoUtf8BecomeReplacementCharactersInJson) {
  MetricsFiles files(csv_, jsonl_, -1);
  files.write({{"step", step(1)}, {"s", std::string("caf\xe9")}});
  EXPECT_EQ(read(jsonl_), "{\"step\":1,\"s\":\"caf\xEF\xBF\xBD\"}\n");
}

TEST_F(Metrics, EachRowIsThereWhenWriteReturns) {
  MetricsFiles files(csv_, jsonl_, -1);
  files.write({{"step", step(1)}});
  EXPECT_EQ(read(csv_), "step\n1\n");
  EXPECT_EQ(read(jsonl_), "{\"step\":1}\n");
}

TEST_F(Metrics, NewColumnsGoToTheRightAndMissingOnesStayEmpty) {
  MetricsFiles files(csv_, jsonl_, -1);
  files.write({{"step", step(1)}, {"loss", 2.0}});
  files.write({{"loss", 1.5}, {"val, loss", 1.75}, {"step", step(2)}, {"density", 0.5}});
  files.write({{"step", step(3)}});
  EXPECT_EQ(read(csv_), "step,loss,\"val, loss\",density\n1,2,,\n2,1.5,1.75,0.5\n3,,,\n");
  EXPECT_EQ(read(jsonl_),
            "{\"step\":1,\"loss\":2}\n{\"loss\":1.5,\"val, loss\":1.75,\"step\":2,\"density\":0.5}\n{\"step\":3}\n");
  EXPECT_EQ(files.columns(), (std::vector<std::string>{"step", "loss", "val, loss", "density"}));
  EXPECT_EQ(file_count(), 2);
}

TEST_F(Metrics, ResumingCutsRowsPastTheStepAndGoesOn) {
  {
    MetricsFiles files(csv_, jsonl_, -1);
    for (std::int64_t i : {10, 20, 30, 40})
      files.write({{"note", "\"step\":5,\n"}, {"step", step(i)}, {"loss", 1.0 / static_cast<double>(i)}});
  }
  {
    MetricsFiles files(csv_, jsonl_, 20);
    EXPECT_EQ(files.columns(), (std::vector<std::string>{"note", "step", "loss"}));
    files.write({{"note", "again"}, {"step", step(25)}, {"acc", 0.5}});
  }
  EXPECT_EQ(read(csv_),
            "note,step,loss,acc\n\"\"\"step\"\":5, \",10,0.1,\n\"\"\"step\"\":5, \",20,0.05,\nagain,25,,0.5\n");
  EXPECT_EQ(read(jsonl_),
            "{\"note\":\"\\\"step\\\":5,\\u000a\",\"step\":10,\"loss\":0.1}\n"
            "{\"note\":\"\\\"step\\\":5,\\u000a\",\"step\":20,\"loss\":0.05}\n"
            "{\"note\":\"again\",\"step\":25,\"acc\":0.5}\n");
  { MetricsFiles files(csv_, jsonl_, -1); }
  EXPECT_EQ(read(csv_), "note,step,loss,acc\n");
  EXPECT_EQ(read(jsonl_), "");
}

// Whatever byte a killed process stopped at, the complete rows survive and the rest goes.
TEST_F(Metrics, AnUnfinishedLastLineIsCut) {
  {
    MetricsFiles files(csv_, jsonl_, -1);
    files.write({{"step", step(1)}, {"note", "x\ny"}});
    files.write({{"step", step(22)}, {"note", "x\ny"}});
  }
  const std::string csv = read(csv_), jsonl = read(jsonl_);
  const std::string kept_csv = "step,note\n1,x y\n", kept_jsonl = jsonl.substr(0, jsonl.find('\n') + 1);
  for (std::size_t size = kept_csv.size(); size < csv.size(); ++size) {
    put(csv_, csv.substr(0, size));
    put(jsonl_, jsonl.substr(0, kept_jsonl.size() + (size - kept_csv.size())));
    MetricsFiles files(csv_, jsonl_, 100);
    ASSERT_EQ(read(csv_), kept_csv) << size;
    ASSERT_EQ(read(jsonl_), kept_jsonl) << size;
  }
  put(csv_, kept_csv + std::string("2,\0\0\0\n", 6));  // what a power cut may leave
  MetricsFiles files(csv_, jsonl_, 100);
  EXPECT_EQ(read(csv_), kept_csv);
}

TEST_F(Metrics, FilesOfSomebodyElseAreRefused) {
  const std::string hint = "; the file was changed since: move it away to go on without it";
  put(csv_, "epoch,loss\n1,2\n");
  EXPECT_EQ(error_of_opening(ExitCode::kCheckpoint), csv_ + ":1: the header has no column 'step'" + hint);
  put(csv_, "step,loss,loss\n1,2,2\n");
  EXPECT_EQ(error_of_opening(ExitCode::kCheckpoint), csv_ + ":1: the header has the column 'loss' twice" + hint);
  put(csv_, std::string("\xFF\xFEs\0t\0", 6));
  EXPECT_EQ(error_of_opening(ExitCode::kCheckpoint), csv_ + ":1: is UTF-16 text, expected UTF-8" + hint);
  put(csv_, "step;loss\n1;2\n");
  EXPECT_EQ(error_of_opening(ExitCode::kCheckpoint), csv_ + ":1: the header has no column 'step'" + hint);
  put(csv_, "step,loss\n1,2\n2\n");
  EXPECT_EQ(error_of_opening(ExitCode::kCheckpoint), csv_ + ":3: expected 2 cells as in the header, got 1" + hint);
  put(csv_, "step,loss\n1,2\ntwo,2\n");
  EXPECT_EQ(error_of_opening(ExitCode::kCheckpoint),
            csv_ + ":3: expected an integer in column 'step', got 'two'" + hint);
  put(csv_, "");
  for (const char* line : {"{\"step\":1.5}", "{\"a\":1}", "[]", "", "{\"step\":}", "{\"a\":\"step"}) {
    put(jsonl_, std::string("{\"step\":1}\n") + line + "\n");
    EXPECT_EQ(error_of_opening(ExitCode::kCheckpoint), jsonl_ + ":2: expected an object with an integer 'step'" + hint);
  }
}

TEST_F(Metrics, WhatASpreadsheetDidToAFileCostsNoRowAndNoColumn) {
  const std::string csv = "step,note,loss\n1,\"a, b\",0.5\n2,plain,0.25\n";
  const std::string spoilt[] = {
      "\xEF\xBB\xBF" + csv,
      "step,note,loss\r\n1,\"a, b\",0.5\r\n2,plain,0.25\r\n",
      "\xEF\xBB\xBFstep,note,loss\r1,\"a, b\",0.5\r2,plain,0.25\r",
  };
  for (const std::string& text : spoilt) {
    put(csv_, text);
    put(jsonl_, "\xEF\xBB\xBF{\"step\":1}\r\n{\"step\":2}\r\n");
    MetricsFiles files(csv_, jsonl_, 2);
    EXPECT_EQ(files.columns(), (std::vector<std::string>{"step", "note", "loss"}));
    EXPECT_EQ(read(csv_), csv);
    EXPECT_EQ(read(jsonl_), "{\"step\":1}\n{\"step\":2}\n");
    files.write({{"step", step(3)}, {"note", "c"}, {"loss", 0.125}});
    EXPECT_EQ(read(csv_), csv + "3,c,0.125\n");
  }
}

TEST_F(Metrics, StrayQuotesBelongToTheirCells) {
  const std::string csv = "\"step\",note\n\"1\",\"open\n2,5\" pipe\n3,\"a\" b\n4,\"x\"\"\n5,\"\"\"\"\n";
  put(csv_, csv);
  MetricsFiles files(csv_, jsonl_, 100);
  EXPECT_EQ(files.columns(), (std::vector<std::string>{"step", "note"}));
  const std::string quoted =
      "step,note\n1,\"\"\"open\"\n2,\"5\"\" pipe\"\n3,\"\"\"a\"\" b\"\n4,\"\"\"x\"\"\"\"\"\n5,\"\"\"\"\n";
  EXPECT_EQ(read(csv_), quoted);
  MetricsFiles again(csv_, jsonl_, 100);
  EXPECT_EQ(read(csv_), quoted);
}

TEST_F(Metrics, ColumnsOfSomebodyElseStayWhereTheyAre) {
  put(csv_, ",step,\"two\nlines\"\nx,1,y\n");
  put(jsonl_, "{\"step\":1}\n");
  {
    MetricsFiles files(csv_, jsonl_, 1);
    files.write({{"step", step(2)}, {"loss", 0.5}});
  }
  MetricsFiles files(csv_, jsonl_, 2);
  EXPECT_EQ(read(csv_), ",step,two lines,loss\nx,1,y,\n,2,,0.5\n");
}

TEST_F(Metrics, ADirectoryInTheWayIsNamed) {
  std::filesystem::create_directory(csv_);
  EXPECT_EQ(error_of_opening(ExitCode::kEnvironment), csv_ + ": cannot read: Is a directory; name a file in it");
}

TEST_F(Metrics, AFullDiskLeavesNoHalfRowInEitherFile) {
  {
    MetricsFiles files(csv_, jsonl_, -1);
    files.write({{"step", step(1)}, {"loss", 0.5}});
  }
  const std::string csv = read(csv_), jsonl = read(jsonl_);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    MetricsFiles files(csv_, jsonl_, 100);
    const rlimit limit{jsonl.size() + 9, jsonl.size() + 9};  // enough for the csv row, too little for the other
    setrlimit(RLIMIT_FSIZE, &limit);
    std::string text;
    try {
      files.write({{"step", step(2)}, {"loss", 0.25}});
    } catch (const Error& error) {
      text = error.what();
    }
    const std::string advice = "raise the limit (ulimit -f), or choose a file system that takes larger files";
    _exit(text == jsonl_ + ": cannot write: File too large; " + advice ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read(csv_), csv);
  EXPECT_EQ(read(jsonl_), jsonl);
}

TEST_F(Metrics, RowsWithoutAStepAreBugs) {
  MetricsFiles files(csv_, jsonl_, -1);
  EXPECT_THROW(files.write({{"loss", 1.0}}), Error);
  EXPECT_THROW(files.write({{"step", 1.0}}), Error);
  EXPECT_THROW(files.write({{"step", step(1)}, {"a", 1.0}, {"a", 2.0}}), Error);
  EXPECT_EQ(read(csv_), "");
}

}  // namespace
}  // namespace sluice
