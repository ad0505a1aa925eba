// CIFAR's binary files. Input: '0' for CIFAR-10, '1' or '2' for the fine or coarse labels of CIFAR-100; the text of the
// class names up to a byte 0, none for no such file; records.
#include "tests/fuzz/read_all.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  DataOptions options;
  options.dir = scratch_folder();
  options.kind = data[0] == '0' ? DataKind::kCifar10 : DataKind::kCifar100;
  options.cifar100_coarse = data[0] == '2';
  const bool ten = options.kind == DataKind::kCifar10;
  const std::string names_file = ten                       ? "batches.meta.txt"
                                 : options.cifar100_coarse ? "coarse_label_names.txt"
                                                           : "fine_label_names.txt";
  std::string_view rest = text_of(data + 1, size - 1);
  const std::string_view names = take_until(rest, '\0');
  std::filesystem::remove(names_file);
  if (!names.empty()) write_file(names_file, names);
  write_file(ten ? "test_batch.bin" : "test.bin", rest);
  read_all(options);
  std::filesystem::remove(ten ? "test_batch.bin" : "test.bin");
  return 0;
}

}  // namespace sluice
