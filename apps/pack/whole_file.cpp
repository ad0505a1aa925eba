#include "apps/pack/whole_file.hpp"

#include "core/data/input_file.hpp"

namespace sluice {

std::string read_whole(const std::string& path, const std::string& advice, std::int64_t most, const std::string& what) {
  InputFile file(path, advice);
  const std::int64_t size = file.size_on_disk();
  if (file.gzipped() || size > most) file.fail(0, "expected " + what);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  file.read(bytes.data(), size, size);
  return bytes;
}

}  // namespace sluice
