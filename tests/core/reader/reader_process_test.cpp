// Readers that crash, hang, or ask for too much end alone, and the process that started them says how.
#include "core/reader/reader_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/reader/shared_memory.hpp"

namespace sluice {
namespace {

/// The text of the exception with which one request to a service ends; the answer where it does not.
std::string outcome(const std::string& service, const ReaderLimits& limits = {}, std::int64_t number = 0) {
  try {
    ReaderProcess reader(service, limits, -1, SLUICE_ODD_READER);
    reader.ask(number);
    reader.wait();
    return reader.get<std::string>();
  } catch (const std::exception& error) {
    return error.what();
  }
}

TEST(ReaderProcess, AnswersInOrder) {
  ReaderProcess reader("echo", {}, -1, SLUICE_ODD_READER);
  const std::string large(300000, 'x');  // more than a socket holds
  for (const std::string& text : {std::string("one"), std::string(), std::string("three")}) reader.ask(text);
  for (const std::string& text : {std::string("one"), std::string(), std::string("three")}) {
    reader.wait();
    EXPECT_EQ(reader.get<std::string>(), text);
  }
  reader.ask(large);
  reader.wait();
  EXPECT_EQ(reader.get<std::string>(), large);
}

TEST(ReaderProcess, HandsOnErrors) {
  ReaderProcess reader("error", {}, -1, SLUICE_ODD_READER);
  for (int i = 0; i < 2; ++i) {
    reader.ask();
    try {
      reader.wait();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      EXPECT_STREQ(error.what(), "a.h5: is damaged");
    }
  }
}

TEST(ReaderProcess, SaysHowItEnded) {
  EXPECT_EQ(outcome("crash"), "crashed (signal 11, Segmentation fault)");
  EXPECT_EQ(outcome("leave"),
            "the reader of HDF5 files ended early (exit code 7); free some memory, or install Sluice whole");
  EXPECT_EQ(outcome("nonsense"), "gave an answer that makes no sense");
  ReaderLimits limits;
  limits.answer_bytes = 1 << 20;
  EXPECT_EQ(outcome("much", limits), "gave more than 1 MiB");
  ReaderProcess reader("crash", {}, -1, SLUICE_ODD_READER);
  for (int i = 0; i < 2; ++i) {
    try {
      reader.ask();
      reader.wait();
      FAIL();
    } catch (const ReaderFailed& failed) {
      EXPECT_STREQ(failed.what(), "crashed (signal 11, Segmentation fault)");
    }
  }
}

TEST(ReaderProcess, EndsWhatHangs) {
  ReaderLimits limits;
  limits.seconds = 0.2;
  EXPECT_EQ(outcome("wait", limits), "took longer than 0.2 s");
  EXPECT_EQ(outcome("compute", limits), "took longer than 0.2 s");
}

TEST(ReaderProcess, LimitsMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need their address space";
#endif
  ReaderLimits limits;
  limits.memory_bytes = 1 << 30;
  EXPECT_EQ(outcome("memory", limits, 1 << 20), "1048576");
  EXPECT_EQ(outcome("memory", limits, 1 << 30), "asks for more memory than the 1024 MiB that it may take");
}

TEST(ReaderProcess, HasNothingOfTheProcessThatStartedIt) {
  const int left_open = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  EXPECT_EQ(outcome("descriptors"), "0 1 2 3");
  ::close(left_open);
  ReaderProcess reader("signals", {}, -1, SLUICE_ODD_READER);
  reader.ask(std::string("still here"));
  reader.wait();
  EXPECT_EQ(reader.get<std::string>(), "still here");
}

TEST(ReaderProcess, StartsWhileThereAreThreads) {
  std::vector<std::thread> threads;
  std::vector<std::string> found(8);
  for (std::string& text : found) threads.emplace_back([&text] { text = outcome("memory", {}, 3); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(found.begin(), found.end(), "3"), 8);
}

TEST(ReaderProcess, SharesMemoryOfAFixedSize) {
  SharedMemory memory;
  ReaderProcess reader("fill", {}, memory.descriptor(), SLUICE_ODD_READER);
  const std::int64_t bytes = 3 << 20;
  memory.resize(bytes);
  EXPECT_EQ(memory.data().get()[bytes - 1], 0);
  reader.ask(bytes);
  reader.wait();
  EXPECT_EQ(reader.get<std::string>(), "filled");
  EXPECT_EQ(std::count(memory.data().get(), memory.data().get() + bytes, 7), bytes);
  EXPECT_NE(::ftruncate(memory.descriptor(), 0), 0);  // nor can the reader, under those who look at it
}

TEST(ReaderProcess, AMissingProgramIsNamed) {
  try {
    ReaderProcess("echo", {}, -1, "/nowhere/sluice-reader");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kEnvironment);
    EXPECT_STREQ(error.what(),
                 "/nowhere/sluice-reader: cannot start the reader of HDF5 files: No such file or directory; install "
                 "Sluice whole");
  }
}

}  // namespace
}  // namespace sluice
