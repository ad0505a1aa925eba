// CSV and JSON, as little of them as metrics need.
#include "core/train/metrics_text.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace sluice::detail {
namespace {

/// The shortest text that reads back as the same double.
std::string written(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::string csv_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return written(value);
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
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
  if (const auto* number = std::get_if<double>(&value)) return std::isfinite(*number) ? written(*number) : "null";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  return json_string(std::get<std::string>(value));
}

std::string json_string(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
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
  CsvRecord record{0, 0, {""}};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      // A doubled quote inside quotes stands for one.
      if (!quoted && i > record.begin && text[i - 1] == '"') record.cells.back() += '"';
      quoted = !quoted;
    } else if (quoted || (c != ',' && c != '\n')) {
      record.cells.back() += c;
    } else if (c == ',') {
      record.cells.emplace_back();
    } else {
      record.end = i;
      records.push_back(record);
      record = {i + 1, 0, {""}};
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
