// The seal: every kind of damage is found before HDF5 opens the file, and each has its own message.
#include "core/checkpoint/seal.hpp"

#include <gmock/gmock.h>

#include <filesystem>

#include "core/base/digest.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Seal : public InDirectory {
 protected:
  void SetUp() override {
    InDirectory::SetUp();
    save(sample_checkpoint(), path("good.h5"));
    good_ = bytes_in(path("good.h5"));
    length_ = good_.size() - static_cast<std::size_t>(kSealBytes);
  }
  /// The error of loading these bytes, without the file's name; always exit code 5.
  std::string damage(const std::string& bytes) {
    write_file(path("bad.h5"), bytes);
    const std::string text = error_text([this] { load(path("bad.h5")); }, ExitCode::kCheckpoint);
    EXPECT_EQ(text, check_seal(path("bad.h5")).text);
    EXPECT_THAT(text, StartsWith(path("bad.h5: ")));
    return text.substr(std::min(text.size(), path("bad.h5: ").size()));
  }
  std::string flipped(std::size_t bit) const {
    std::string bytes = good_;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    return bytes;
  }

  std::string good_;
  std::size_t length_ = 0;
};

TEST_F(Seal, IsWhatTheFormatDescriptionSays) {
  EXPECT_EQ(check_seal(path("good.h5")).state, SealReport::State::kIntact);
  EXPECT_EQ(good_.substr(length_, 8), "SLUICES\n");
  Digest digest;
  digest.update(good_.data(), static_cast<std::int64_t>(length_));
  const auto bytes = digest.bytes();
  EXPECT_EQ(good_.substr(length_ + 24, 16), std::string(bytes.begin(), bytes.end()));
  const std::vector<char> contents = read_sealed(path("good.h5"));
  EXPECT_EQ(std::string(contents.begin(), contents.end()), good_.substr(0, length_));
}

TEST_F(Seal, FindsEverySingleBitFlip) {
  const std::size_t bits = good_.size() * 8, seal_bits = static_cast<std::size_t>(kSealBytes) * 8;
  std::vector<std::size_t> positions;
  for (std::size_t bit = 0; bit < 64 * 8; ++bit) positions.push_back(bit);               // superblock
  for (std::size_t bit = bits - seal_bits; bit < bits; ++bit) positions.push_back(bit);  // seal
  Random random(5, Purpose::kTest);
  for (int i = 0; i < 300; ++i) positions.push_back(random.below(bits));
  for (std::size_t bit : positions) {
    const std::string text = damage(flipped(bit));
    const bool in_seal = bit >= bits - seal_bits;
    ASSERT_THAT(text, HasSubstr(in_seal ? "is damaged: its seal (the last 48 bytes) was changed"
                                        : "is damaged: the digest of its"))
        << "bit " << bit % 8 << " of byte " << bit / 8;
  }
}

TEST_F(Seal, FindsTruncationAtEveryLength) {
  std::vector<std::size_t> lengths;
  for (std::size_t n = 1; n < 200; ++n) lengths.push_back(n);
  for (std::size_t n = 200; n < length_; n += 97) lengths.push_back(n);
  for (std::size_t n = length_ - 20; n < good_.size(); ++n) lengths.push_back(n);
  for (std::size_t n : lengths) {
    const std::string text = damage(good_.substr(0, n));
    if (n < 8)
      ASSERT_EQ(text, "is no checkpoint: it does not begin with the signature of an HDF5 file") << n;
    else if (n < 48)
      ASSERT_EQ(text, concat("is truncated: it ends after ", n,
                             " bytes, inside its header; take an older checkpoint or a copy"));
    else if (n < length_)
      ASSERT_EQ(text, concat("is truncated: it ends after ", n, " of ", length_,
                             " bytes; take an older checkpoint or a copy"));
    else if (n == length_)
      ASSERT_THAT(text,
                  StartsWith("carries no seal: its last bytes were cut off, or it was written by another program; "))
          << n;
    else
      ASSERT_EQ(text, concat("is truncated: ", good_.size() - n,
                             " bytes of its seal are missing; take an older checkpoint or a copy"));
  }
}

TEST_F(Seal, OtherDamage) {
  EXPECT_EQ(damage(""), "is empty (0 bytes); take an older checkpoint or a copy");
  EXPECT_EQ(damage("[network]\ninput = 3x32x32\n"),
            "is no checkpoint: it does not begin with the signature of an HDF5 file");
  EXPECT_EQ(damage(good_ + "xyz"), "3 bytes were added behind its seal; take an older checkpoint or a copy");
  std::string longer = good_;
  longer.insert(length_, "abc");
  EXPECT_EQ(damage(longer), concat("is damaged: its seal covers ", length_, " bytes, ", length_ + 3,
                                   " are there; take an older checkpoint or a copy"));
  EXPECT_THAT(damage(good_.substr(0, length_)), HasSubstr("`sluice-import` takes weights of other programs"));
}

TEST_F(Seal, NewerSealVersion) {
  std::vector<char> seal(good_.begin() + static_cast<std::ptrdiff_t>(length_), good_.end());
  seal[8] = 2;
  Digest digest;
  digest.update(seal.data(), 40);
  const auto check = digest.bytes();
  std::copy(check.begin() + 8, check.end(), seal.begin() + 40);
  EXPECT_EQ(damage(good_.substr(0, length_) + std::string(seal.begin(), seal.end())),
            "its seal is of version 2, this Sluice reads version 1; use a newer Sluice");
}

TEST_F(Seal, FilesThatCannotBeRead) {
  const auto text = [](const std::string& file) { return error_text([&] { load(file); }, ExitCode::kCheckpoint); };
  EXPECT_EQ(text(path("absent.h5")), path("absent.h5: cannot open: No such file or directory"));
  EXPECT_EQ(text(dir_), dir_ + ": is a directory, expected a checkpoint file");
  EXPECT_EQ(text("/dev/null"), "/dev/null: is no regular file");
}

TEST_F(Seal, ADirectoryOfARunNamesItsCheckpoint) {
  const auto text = [&](const std::string& name) {
    return error_text([&] { load(path(name)); }, ExitCode::kCheckpoint).substr(dir_.size() + 1);
  };
  const std::string expected = ": is a directory, expected a checkpoint file";
  std::filesystem::create_directories(path("runs/b/checkpoints"));
  std::filesystem::create_directories(path("runs/a"));
  EXPECT_EQ(text("runs"), "runs" + expected);
  write_file(path("runs/b/checkpoints/best.h5"), good_);
  EXPECT_EQ(text("runs/b"), "runs/b" + expected + ", such as " + path("runs/b/checkpoints/best.h5"));
  write_file(path("runs/b/weights.h5"), good_);
  EXPECT_EQ(text("runs/b/"), "runs/b/" + expected + ", such as " + path("runs/b/weights.h5"));
  EXPECT_EQ(text("runs"), "runs" + expected + ", such as " + path("runs/b/weights.h5"));
}

}  // namespace
}  // namespace sluice
