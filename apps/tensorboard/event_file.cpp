#include "apps/tensorboard/event_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cerrno>
#include <optional>

#include "apps/tensorboard/summaries.hpp"
#include "core/base/error.hpp"
#include "core/base/system_error.hpp"

namespace sluice {
namespace {

constexpr std::size_t kNumber = 8, kChecksum = 4;  // bytes
constexpr std::size_t kHead = kNumber + kChecksum;
constexpr std::uint64_t kMostBytes = 64 << 20;  // of an event
constexpr std::int64_t kFirstRecord = 40;       // bytes of the one that names the version

/// CRC-32C, masked as in all records of TensorFlow.
std::uint32_t checksum(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const std::uint32_t sum = crc.checksum();
  return ((sum >> 15U) | (sum << 17U)) + 0xA282EAD8U;
}

/// Little-endian.
std::string bytes_of(std::uint64_t value, std::size_t count) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(value >> 8 * i & 0xFFU);
  return bytes;
}
std::uint64_t number_in(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8U | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

std::string record_of(const sluice_events::Event& event) {
  const std::string bytes = event.SerializeAsString(), length = bytes_of(bytes.size(), kNumber);
  return length + bytes_of(checksum(length), kChecksum) + bytes + bytes_of(checksum(bytes), kChecksum);
}

/// At most `count` bytes.
std::string read_at(const std::string& path, int fd, std::int64_t at, std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(fd, bytes.data() + done, count - done, at + static_cast<std::int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_system_error(path, "read", errno, Access::kRead);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

/// The event that begins there; nothing where none is whole.
std::optional<std::string> read_event(const std::string& path, int fd, std::int64_t at, std::int64_t end) {
  const std::string head = read_at(path, fd, at, kHead);
  const std::string_view length = std::string_view(head).substr(0, kNumber);
  if (head.size() < kHead || number_in(std::string_view(head).substr(kNumber)) != checksum(length)) return std::nullopt;
  const std::uint64_t count = number_in(length);
  if (count > kMostBytes || static_cast<std::int64_t>(count) > end - at) return std::nullopt;
  std::string event = read_at(path, fd, at + static_cast<std::int64_t>(kHead), count + kChecksum);
  if (event.size() < count + kChecksum) return std::nullopt;
  const std::uint64_t told = number_in(std::string_view(event).substr(count));
  event.resize(count);
  return told == checksum(event) ? std::optional<std::string>(std::move(event)) : std::nullopt;
}

}  // namespace

EventFile::EventFile(std::string path, std::int64_t last_step)
    : path_(std::move(path)), file_(open_regular(path_, O_RDWR | O_CREAT | O_APPEND), path_) {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw_system_error(path_, "read", errno, Access::kRead);
  while (const std::optional<std::string> bytes = read_event(path_, file_.get(), size_, status.st_size)) {
    sluice_events::Event event;
    if (!event.ParseFromString(*bytes) || event.step() > last_step || (size_ == 0 && event.file_version().empty()))
      break;
    if (std::string text = configuration_in(event); !text.empty()) configuration_ = std::move(text);
    last_step_ = std::max<std::int64_t>(last_step_, event.step());
    size_ += static_cast<std::int64_t>(kHead + bytes->size() + kChecksum);
  }
  if (size_ == 0 && status.st_size >= kFirstRecord)
    throw Error(ExitCode::kCheckpoint, path_ + ": is no event file of TensorBoard; move it away to go on without it");
  if (::ftruncate(file_.get(), size_) != 0) throw_system_error(path_, "cut", errno);
  if (size_ == 0) add(version_event());
}

void EventFile::add(const sluice_events::Event& event) {
  const std::string record = record_of(event);
  if (int error = write_fully(file_.get(), record); error != 0) {
    if (::ftruncate(file_.get(), size_) != 0) error = errno;  // shrinking needs no room; else the next start cuts
    throw_system_error(path_, "write", error);
  }
  size_ += static_cast<std::int64_t>(record.size());
}

}  // namespace sluice
