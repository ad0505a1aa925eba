// Values that are written are read back, and nothing that is announced is believed.
#include "core/base/fields.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

namespace sluice {

struct Sample {
  std::string text;
  std::vector<float> floats;
  std::vector<std::vector<double>> rows;
  std::map<std::string, std::variant<std::int64_t, double, std::string>> values;
  bool flag = false;
};

template <class Fields, class T>
auto describe_fields(Fields& fields, T& sample) -> decltype(fields.add(sample.flag)) {
  fields.add(sample.text);
  fields.add(sample.floats);
  fields.add(sample.rows);
  fields.add(sample.values);
  fields.add(sample.flag);
}

namespace {

struct Memory {
  std::string bytes;
  std::size_t at = 0;
  void write(const void* from, std::int64_t count) {
    bytes.append(static_cast<const char*>(from), static_cast<std::size_t>(count));
  }
  void read(void* to, std::int64_t count) {
    if (bytes.size() - at < static_cast<std::size_t>(count)) throw std::runtime_error("ends early");
    std::memcpy(to, bytes.data() + at, static_cast<std::size_t>(count));
    at += static_cast<std::size_t>(count);
  }
  [[noreturn]] void reject() { throw std::runtime_error("makes no sense"); }
};

std::string error_of(std::vector<std::int64_t> numbers) {
  Memory memory;
  for (const std::int64_t number : numbers) FieldWriter<Memory>(memory).add(number);
  try {
    FieldReader<Memory>(memory).get<Sample>();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(Fields, AreReadBack) {
  Sample sample{"a text", {1.5F, -2}, {{1, 2}, {}, {3}}, {{"a", std::int64_t{7}}, {"b", 0.5}, {"c", "text"}}, true};
  Memory memory;
  FieldWriter<Memory>(memory).add(sample);
  const Sample found = FieldReader<Memory>(memory).get<Sample>();
  EXPECT_EQ(memory.at, memory.bytes.size());
  EXPECT_EQ(found.text, sample.text);
  EXPECT_EQ(found.floats, sample.floats);
  EXPECT_EQ(found.rows, sample.rows);
  EXPECT_EQ(found.values, sample.values);
  EXPECT_TRUE(found.flag);
}

TEST(Fields, AnnouncedLengthsAreNotBelieved) {
  EXPECT_EQ(error_of({-1}), "makes no sense");
  EXPECT_EQ(error_of({std::int64_t{1} << 60}), "ends early");        // a text of an exabyte
  EXPECT_EQ(error_of({0, 0, std::int64_t{1} << 60}), "ends early");  // so many rows
  EXPECT_EQ(error_of({0, 0, 0, 1, 0, 9}), "makes no sense");         // a kind of value that there is not
}

}  // namespace
}  // namespace sluice
