// Reads what Python's pickle wrote, with the few opcodes that data needs: a stack, a memo, and no call.
#include "apps/pack/pickle.hpp"

#include <map>

#include "apps/pack/whole_file.hpp"
#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {

using Kind = PickleValue::Kind;

namespace {

constexpr std::int64_t kLargestFile = std::int64_t{1} << 30;
constexpr std::size_t kMostOperations = 4'000'000;

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  for (std::size_t i = 0; kind == Kind::kDict && i + 1 < items.size(); i += 2) {
    if (items[i]->kind == Kind::kText && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

class PickleReader {
 public:
  PickleReader(Pickle& pickle, std::string path) : pickle_(pickle), path_(std::move(path)), bytes_(pickle.bytes_) {}

  void run() {
    if (bytes_.size() < 2 || bytes_[0] != '\x80') fail("expected a pickle of protocol 2 to 4");
    for (std::size_t operations = 0; pickle_.root_ == nullptr; ++operations) {
      begin_ = at_;
      if (operations == kMostOperations) fail("the pickle has more than 4 million values");
      const auto code = static_cast<unsigned char>(take(1)[0]);
      if (!put_number(code) && !put_text(code) && !put_group(code) && !use_memo(code)) put_rest(code);
    }
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ExitCode::kData, concat(path_, ": byte ", begin_, ": ", problem));
  }

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_) fail("the pickle is cut short");
    const std::string_view taken = std::string_view(bytes_).substr(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return taken;
  }

  /// Little-endian, without sign.
  std::uint64_t integer(int size) {
    const std::string_view bytes = take(static_cast<std::uint64_t>(size));
    std::uint64_t value = 0;
    for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
    return value;
  }

  PickleValue& push(Kind kind) {
    pickle_.values_.emplace_back();
    pickle_.values_.back().kind = kind;
    stack_.push_back(&pickle_.values_.back());
    return pickle_.values_.back();
  }
  void push_number(std::int64_t number) { push(Kind::kNumber).number = number; }
  void push_text(std::string_view text) { push(Kind::kText).text = text; }

  PickleValue* pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("a value is missing");
    PickleValue* const value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleValue& top(Kind kind, const char* what) {
    if (stack_.empty() || stack_.back()->kind != kind) fail(concat("expected ", what));
    return *stack_.back();
  }
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) fail("a mark is missing");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const PickleValue*> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return values;
  }
  std::vector<const PickleValue*> pop_some(std::size_t count) {
    std::vector<const PickleValue*> values(count);
    for (std::size_t i = count; i-- > 0;) values[i] = pop();
    return values;
  }

  bool put_number(unsigned char code) {
    switch (code) {
      case 'N':
        push(Kind::kNone);
        return true;
      case 0x88:
        push_number(1);
        return true;
      case 0x89:
        push_number(0);
        return true;
      case 'K':
        push_number(static_cast<std::int64_t>(integer(1)));
        return true;
      case 'M':
        push_number(static_cast<std::int64_t>(integer(2)));
        return true;
      case 'J':
        push_number(static_cast<std::int32_t>(integer(4)));
        return true;
      default:
        return false;
    }
  }

  bool put_text(unsigned char code) {
    switch (code) {
      case 'U':  // bytes of Python 2
      case 'C':  // bytes
      case 0x8c:
        push_text(take(integer(1)));
        return true;
      case 'T':
      case 'B':
      case 'X':
        push_text(take(integer(4)));
        return true;
      case 0x8d:
      case 0x8e:
        push_text(take(integer(8)));
        return true;
      default:
        return false;
    }
  }

  bool put_group(unsigned char code) {
    switch (code) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case ']':
        push(Kind::kList);
        return true;
      case '}':
        push(Kind::kDict);
        return true;
      case ')':
        push(Kind::kTuple);
        return true;
      case 'a':
        return extend(Kind::kList, pop_some(1));
      case 'e':
        return extend(Kind::kList, pop_to_mark());
      case 's':
        return extend(Kind::kDict, pop_some(2));
      case 'u':
        return extend(Kind::kDict, pop_to_mark());
      case 't':
        return put_tuple(pop_to_mark());
      case 0x85:
        return put_tuple(pop_some(1));
      case 0x86:
        return put_tuple(pop_some(2));
      case 0x87:
        return put_tuple(pop_some(3));
      default:
        return false;
    }
  }

  bool put_tuple(std::vector<const PickleValue*> values) {
    push(Kind::kTuple).items = std::move(values);
    return true;
  }

  bool extend(Kind kind, const std::vector<const PickleValue*>& values) {
    PickleValue& group = top(kind, kind == Kind::kList ? "a list" : "a dictionary");
    if (kind == Kind::kDict && values.size() % 2 != 0) fail("a key has no value");
    group.items.insert(group.items.end(), values.begin(), values.end());
    return true;
  }

  bool use_memo(unsigned char code) {
    switch (code) {
      case 'q':
        keep(integer(1));
        return true;
      case 'r':
        keep(integer(4));
        return true;
      case 0x94:
        keep(memo_.size());
        return true;
      case 'h':
        return put_kept(integer(1));
      case 'j':
        return put_kept(integer(4));
      default:
        return false;
    }
  }
  void keep(std::uint64_t key) {
    if (stack_.empty()) fail("a value is missing");
    memo_[key] = stack_.back();
  }
  bool put_kept(std::uint64_t key) {
    const auto kept = memo_.find(key);
    if (kept == memo_.end()) fail("it names a value that is not there");
    stack_.push_back(kept->second);
    return true;
  }

  void put_rest(unsigned char code) {
    switch (code) {
      case 0x80:
        if (integer(1) > 4) fail("expected a pickle of protocol 2 to 4");
        return;
      case 0x95:
        take(8);
        return;  // the length of a frame
      case 'c': {
        const std::string_view module = line(), name = line();
        return put_name(module, name);
      }
      case 0x93: {
        const PickleValue *const name = pop(), *const module = pop();
        return put_name(module->text, name->text);
      }
      case 'R':
        return reduce();
      case 'b':
        return build();
      case '.':
        pickle_.root_ = pop();
        return;
      default:
        fail(concat("the pickle does what data does not need (opcode ", static_cast<int>(code), ")"));
    }
  }

  std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string::npos) fail("the pickle is cut short");
    const std::string_view text = take(end - at_);
    take(1);
    return text;
  }

  void put_name(std::string_view module, std::string_view name) {
    pickle_.texts_.push_back(concat(module, " ", name));
    push(Kind::kName).text = pickle_.texts_.back();
  }

  /// What NumPy writes of an array and of its type, and how Python 3 writes bytes in protocol 2. No other name may be
  /// called.
  void reduce() {
    const PickleValue *const arguments = pop(), *const callee = pop();
    const std::string_view name = callee->kind == Kind::kName ? callee->text : "";
    const auto text = [&](std::size_t i) -> std::string_view {
      return i < arguments->items.size() && arguments->items[i]->kind == Kind::kText ? arguments->items[i]->text : "";
    };
    if (name == "numpy.core.multiarray _reconstruct" || name == "numpy._core.multiarray _reconstruct") {
      push(Kind::kArray);
    } else if (name == "numpy dtype") {
      push(Kind::kType).text = text(0);
    } else if (name == "_codecs encode" && text(1) == "latin1") {
      push_text(from_latin1(text(0)));
    } else {
      fail(concat("the pickle calls ", quoted(std::string(name)), ", and pickles of data call nothing"));
    }
  }

  /// UTF-8 of characters below 256, as bytes.
  std::string_view from_latin1(std::string_view text) {
    converted_ += text.size();
    if (converted_ > bytes_.size()) fail("the pickle uses one text many times");
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c < 0x80) {
        bytes += text[i];
      } else if ((c == 0xc2 || c == 0xc3) && i + 1 < text.size()) {
        bytes += static_cast<char>((c & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
      } else {
        fail("expected characters below 256");
      }
    }
    pickle_.texts_.push_back(std::move(bytes));
    return pickle_.texts_.back();
  }

  /// The state of an array: version, shape, type, whether in Fortran's order, bytes. That of a type changes nothing.
  void build() {
    const PickleValue* const state = pop();
    if (!stack_.empty() && stack_.back()->kind == Kind::kType) return;
    PickleValue& array = top(Kind::kArray, "an array");
    const std::vector<const PickleValue*>& parts = state->items;
    if (parts.size() != 5 || parts[1]->kind != Kind::kTuple || parts[2]->kind != Kind::kType ||
        parts[4]->kind != Kind::kText)
      fail("expected the shape, the type and the bytes of an array");
    if (parts[2]->text != "u1" || parts[3]->number != 0) fail("expected an array of unsigned bytes in C's order");
    array.shape.clear();
    std::uint64_t size = 1;
    for (const PickleValue* dimension : parts[1]->items) {
      if (dimension->kind != Kind::kNumber || dimension->number < 1 || dimension->number > kLargestFile ||
          (size *= static_cast<std::uint64_t>(dimension->number)) > bytes_.size())
        fail("the array's shape is not that of its bytes");
      array.shape.push_back(dimension->number);
    }
    if (size != parts[4]->text.size()) fail("the array's shape is not that of its bytes");
    array.text = parts[4]->text;
  }

  Pickle& pickle_;
  const std::string path_;
  const std::string& bytes_;
  std::size_t at_ = 0, begin_ = 0;  ///< begin: of the operation under way
  std::size_t converted_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint64_t, PickleValue*> memo_;
};

Pickle::Pickle(const std::string& path)
    : bytes_(read_whole(path, "fetch it again", kLargestFile, "a pickle of at most 1 GiB that is not packed")) {
  PickleReader(*this, path).run();
}

}  // namespace sluice
