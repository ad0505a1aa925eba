// CSV and JSON, as little of them as metrics need.
#include "core/train/metrics_text.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/base/printable.hpp"
#include "core/config/text.hpp"

namespace sluice::detail {
namespace {

std::string csv_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return shortest(value);
}

/// A row is a line: one that was cut is told from one with a stray quote.
char without_line_end(char c) {
  return c == '\n' || c == '\r' ? ' ' : c;
}

std::string csv_text(const std::string& text) {
  const bool quotes = text.find_first_of(",\"") != std::string::npos;
  std::string cell = quotes ? "\"" : "";
  for (char c : text) {
    if (c == '"') cell += '"';
    cell += without_line_end(c);
  }
  return quotes ? cell + '"' : cell;
}

/// The quote that ends the cell whose quote stands at text[begin]: a cell or a line ends behind it. npos: none, and the
/// first one is a stray character.
std::size_t closing_quote(std::string_view text, std::size_t begin) {
  for (std::size_t at = begin + 1; (at = text.find('"', at)) != std::string_view::npos; ++at) {
    if (text.substr(at + 1, 1) != "\"") {
      const bool ends = at + 1 < text.size() && std::string_view(",\r\n").find(text[at + 1]) != std::string_view::npos;
      return ends ? at : std::string_view::npos;
    }
    ++at;  // a doubled quote stands for one
  }
  return std::string_view::npos;
}

/// The text of a cell in quotes.
std::string unquoted(std::string_view cell) {
  std::string text;
  for (std::size_t at = 1; at + 1 < cell.size(); ++at) {
    text += without_line_end(cell[at]);
    if (cell[at] == '"') ++at;
  }
  return text;
}

/// Behind the string that begins at text[at], a quote.
std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return at + 1;
}

}  // namespace

std::string csv_cell(const MetricValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return csv_number(*number);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  return csv_text(std::get<std::string>(value));
}

std::string json_value(const MetricValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return std::isfinite(*number) ? shortest(*number) : "null";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  return json_string(std::get<std::string>(value));
}

std::string json_string(const std::string& text) {
  std::string quoted = "\"";
  for (char c : valid_utf8(text)) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      quoted += code;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::vector<CsvRecord> csv_records(std::string_view text) {
  std::vector<CsvRecord> records;
  CsvRecord cells(1);
  std::size_t begin = 0;  // of the record
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool begins = i == begin || text[i - 1] == ',';
    if (c == '"' && begins && closing_quote(text, i) != std::string_view::npos) {
      const std::size_t close = closing_quote(text, i);
      cells.back() = unquoted(text.substr(i, close + 1 - i));
      i = close;
    } else if (c == ',') {
      cells.emplace_back();
    } else if (c != '\n' && c != '\r') {
      cells.back() += c;
    } else {
      records.push_back(std::move(cells));
      if (c == '\r' && text.substr(i + 1, 1) == "\n") ++i;
      begin = i + 1;
      cells.assign(1, "");
    }
  }
  return records;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> json_step(std::string_view line) {
  constexpr std::string_view kKey = "\"step\":";
  if (line.empty() || line.front() != '{' || line.back() != '}') return std::nullopt;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] != '"') {
      ++at;
    } else if (line.compare(at, kKey.size(), kKey) != 0) {
      at = skip_string(line, at);
    } else {
      const std::size_t begin = at + kKey.size();
      return parse_integer(line.substr(begin, line.find_first_of(",}", begin) - begin));
    }
  }
  return std::nullopt;
}

}  // namespace sluice::detail
