#include "apps/pytorch/safetensors.hpp"

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/json_text.hpp"

namespace sluice {
namespace {

constexpr std::size_t kAlignment = 8;
constexpr char kHeaderBegin[] = R"({"__metadata__":{"producer":"sluice-export"})";

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors stores numbers so");

void append(std::string& bytes, const void* data, std::size_t size) {
  bytes.append(static_cast<const char*>(data), size);
}

}  // namespace

std::string safetensors(const std::map<std::string, NamedTensor>& tensors) {
  nlohmann::ordered_json header = {{"__metadata__", {{"producer", "sluice-export"}}}};
  std::uint64_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t begin = end;
    end += tensor.values->size() * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape.dims()}, {"data_offsets", {begin, end}}};
  }
  std::string text = json_text(header, -1);
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const std::uint64_t size = text.size();
  std::string bytes;
  append(bytes, &size, sizeof size);
  bytes += text;
  for (const auto& [name, tensor] : tensors)
    append(bytes, tensor.values->data(), tensor.values->size() * sizeof(float));
  return bytes;
}

bool is_safetensors_of_sluice(const std::string& path) {
  char begin[sizeof(std::uint64_t) + sizeof(kHeaderBegin) - 1];
  std::ifstream file(path, std::ios::binary);
  return file.read(begin, sizeof begin) &&
         std::memcmp(begin + sizeof(std::uint64_t), kHeaderBegin, sizeof(kHeaderBegin) - 1) == 0;
}

}  // namespace sluice
