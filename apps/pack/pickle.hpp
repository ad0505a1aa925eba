// Reads what Python's pickle wrote of dictionaries, lists, texts, integers and NumPy arrays of bytes; nothing is run.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// A value of a pickle.
struct PickleValue {
  enum class Kind { kNone, kNumber, kText, kList, kTuple, kDict, kName, kType, kArray };
  Kind kind = Kind::kNone;
  std::int64_t number = 0;                ///< also true and false
  std::string_view text;                  ///< of bytes and texts; "module name" of kName; of kType as in "u1"
  std::vector<const PickleValue*> items;  ///< of lists and tuples; of kDict key, value, key, value, ...
  std::vector<std::int64_t> shape;        ///< of kArray, whose bytes are `text`

  /// The value of a key of a dictionary, or null.
  const PickleValue* find(std::string_view key) const;
};

class Pickle {
 public:
  /// Protocols 2 to 4. Throws Error(kData) "path: byte offset: problem" for anything else: an object of a class, a call
  /// of a function, an opcode that these values do not need, more than 4 million values.
  explicit Pickle(const std::string& path);
  const PickleValue& root() const { return *root_; }

 private:
  friend class PickleReader;
  std::string bytes_;
  std::deque<PickleValue> values_;
  std::deque<std::string> texts_;  ///< that do not stand in the file as they are
  const PickleValue* root_ = nullptr;
};

}  // namespace sluice
