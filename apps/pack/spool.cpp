#include "apps/pack/spool.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/base/system_error.hpp"

namespace sluice {

namespace {

constexpr char kMagic[] = "sluice-pack 1 ";
constexpr std::size_t kDigestBytes = 16;

/// Before name, bytes and digest of each record.
struct RecordHead {
  std::int32_t split = 0, label = 0;
  std::int64_t height = 0, width = 0, name = 0, bytes = 0;
};

std::string_view bytes_of(const RecordHead& head) {
  return {reinterpret_cast<const char*>(&head), sizeof head};
}

/// False at the end of the file.
bool read_at(int fd, const std::string& path, std::int64_t offset, char* to, std::size_t count) {
  while (count > 0) {
    const ssize_t got = ::pread(fd, to, count, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_system_error(path, "read", errno, Access::kRead);
    if (got == 0) return false;
    to += got, offset += got, count -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

Spool::Spool(const std::string& path, const std::string& job)
    : path_(path), file_(open_regular(path, O_RDWR | O_CREAT | O_APPEND), path) {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(ExitCode::kEnvironment, concat(path, ": another sluice-pack writes it; wait for its end"));
  begin(kMagic + job + "\n");
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw_system_error(path, "read", errno, Access::kRead);
  std::string buffer;
  while (take_record(status.st_size, buffer)) {
  }
  if (::ftruncate(file_.get(), end_) != 0) throw_system_error(path, "write", errno);
}

/// The first line: nothing, or the beginning of it, is there where it could not be written whole.
void Spool::begin(const std::string& head) {
  std::string there(head.size(), '\0');
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw_system_error(path_, "read", errno, Access::kRead);
  there.resize(std::min(there.size(), static_cast<std::size_t>(status.st_size)));
  read_at(file_.get(), path_, 0, there.data(), there.size());
  const std::string magic = std::string(kMagic).substr(0, there.size());
  if (there.compare(0, magic.size(), magic) != 0)
    throw Error(ExitCode::kEnvironment,
                concat(path_, ": is in the way, and no file of an interrupted packing; move it away"));
  if (there.size() < head.size()) {
    if (::ftruncate(file_.get(), 0) != 0) throw_system_error(path_, "write", errno);
    file_.write_all(head);
  } else if (there != head) {
    throw Error(ExitCode::kEnvironment,
                concat(path_,
                       ": is of an interrupted packing of other pictures, or with other options; remove it, or "
                       "give the command that began it"));
  }
  end_ = static_cast<std::int64_t>(head.size());
}

/// Takes the record at the end of those before; false where no whole one is there. `size`: of the file.
bool Spool::take_record(std::int64_t size, std::string& buffer) {
  RecordHead head;
  if (size - end_ < static_cast<std::int64_t>(sizeof head)) return false;
  read_at(file_.get(), path_, end_, reinterpret_cast<char*>(&head), sizeof head);
  const std::int64_t left = size - end_ - static_cast<std::int64_t>(sizeof head + kDigestBytes);
  if (head.name < 0 || head.bytes < 0 || head.name > left || head.bytes > left - head.name) return false;
  const auto payload = static_cast<std::size_t>(head.name + head.bytes);
  buffer.resize(payload + kDigestBytes);
  const std::int64_t begin = end_ + static_cast<std::int64_t>(sizeof head);
  if (!read_at(file_.get(), path_, begin, buffer.data(), buffer.size())) return false;
  Digest digest;
  digest.update(&head, sizeof head);
  digest.update(buffer.data(), static_cast<std::int64_t>(payload));
  if (std::memcmp(digest.bytes().data(), buffer.data() + payload, kDigestBytes) != 0) return false;
  pictures_.push_back({buffer.substr(0, static_cast<std::size_t>(head.name)),
                       head.split == 0 ? Split::kTrain : Split::kTest,
                       head.label,
                       {head.height, head.width},
                       begin + head.name,
                       head.bytes});
  end_ = begin + static_cast<std::int64_t>(buffer.size());
  return true;
}

void Spool::append(SpooledPicture picture, std::string_view bytes) {
  const RecordHead head = {picture.split == Split::kTrain ? 0 : 1,
                           picture.label,
                           picture.size.height,
                           picture.size.width,
                           static_cast<std::int64_t>(picture.name.size()),
                           static_cast<std::int64_t>(bytes.size())};
  Digest digest;
  for (const std::string_view part : {bytes_of(head), std::string_view(picture.name), bytes})
    digest.update(part.data(), static_cast<std::int64_t>(part.size()));
  const auto seal = digest.bytes();
  std::string record;
  record.reserve(sizeof head + picture.name.size() + bytes.size() + seal.size());
  record.append(bytes_of(head)).append(picture.name).append(bytes);
  record.append(reinterpret_cast<const char*>(seal.data()), seal.size());
  file_.write_all(record);
  picture.begin = end_ + static_cast<std::int64_t>(sizeof head + picture.name.size());
  picture.bytes = head.bytes;
  end_ += static_cast<std::int64_t>(record.size());
  pictures_.push_back(std::move(picture));
}

void Spool::read(const SpooledPicture& picture, std::string& bytes) const {
  const std::size_t before = bytes.size();
  bytes.resize(before + static_cast<std::size_t>(picture.bytes));
  if (!read_at(file_.get(), path_, picture.begin, bytes.data() + before, static_cast<std::size_t>(picture.bytes)))
    throw Error(ExitCode::kEnvironment, concat(path_, ": was cut meanwhile; give the same command again"));
}

void Spool::remove() {
  if (::unlink(path_.c_str()) != 0) throw_system_error(path_, "remove", errno);
}

}  // namespace sluice
