// JPEG, by libjpeg-turbo.
#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

// The library's headers use what the standard's declare.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "core/base/error.hpp"
#include "core/picture/formats.hpp"

namespace sluice {

namespace {

constexpr int kMostScans = 100;  // a progressive picture has about ten; each costs a pass over all of it

/// Calls to the library leave by longjmp where it finds an error, which becomes an exception in guarded().
class JpegFile {
 public:
  explicit JpegFile(std::string_view bytes) {
    info_.err = ::jpeg_std_error(&errors_.base);
    errors_.base.error_exit = leave;
    errors_.base.emit_message = note;
    guarded([&] { ::jpeg_create_decompress(&info_); });
    progress_.progress_monitor = count_scans;
    info_.progress = &progress_;
    guarded([&] {
      ::jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      ::jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);
      ::jpeg_read_header(&info_, TRUE);
    });
  }
  JpegFile(const JpegFile&) = delete;
  JpegFile& operator=(const JpegFile&) = delete;

  StoredHeader header() const {
    StoredHeader header;
    header.size = {info_.image_height, info_.image_width};
    for (const jpeg_marker_struct* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
      if (data.substr(0, 4) == "Exif") header.orientation = exif_orientation(data);
    }
    return header;
  }

  void decode(Picture& picture) {
    start(8);
    picture.reshape({info_.output_height, info_.output_width}, info_.output_components);
    read_rows(picture);
    finish(picture);
  }

  PictureBox decode_part(const PictureWindow& window, Picture& picture) {
    start(eighths(window));
    const double shrink_y = static_cast<double>(info_.output_height) / info_.image_height;
    const double shrink_x = static_cast<double>(info_.output_width) / info_.image_width;
    const auto scaled = [](std::int64_t at, double shrink) { return static_cast<double>(at) * shrink; };
    PictureBox box = {scaled(window.top, shrink_y), scaled(window.left, shrink_x),
                      scaled(window.top + window.size.height, shrink_y),
                      scaled(window.left + window.size.width, shrink_x)};
    const auto top = static_cast<std::int64_t>(box.top), left = static_cast<std::int64_t>(box.left);
    const auto bottom = std::min<std::int64_t>(static_cast<std::int64_t>(std::ceil(box.bottom)), info_.output_height);
    const auto right = std::min<std::int64_t>(static_cast<std::int64_t>(std::ceil(box.right)), info_.output_width);
    offset_ = static_cast<JDIMENSION>(left);
    width_ = static_cast<JDIMENSION>(right - left);
    guarded([&] { ::jpeg_crop_scanline(&info_, &offset_, &width_); });
    skip_ = static_cast<JDIMENSION>(top);
    guarded([&] { ::jpeg_skip_scanlines(&info_, skip_); });
    picture.reshape({bottom - top, info_.output_width}, info_.output_components);
    read_rows(picture);
    finish(picture);
    const double moved = static_cast<double>(offset_);
    return {box.top - static_cast<double>(top), box.left - moved, box.bottom - static_cast<double>(top),
            box.right - moved};
  }

 private:
  struct Info : jpeg_decompress_struct {
    ~Info() { ::jpeg_destroy_decompress(this); }
  };
  struct Errors {
    jpeg_error_mgr base;
    std::jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
  };

  static Errors& errors_of(j_common_ptr info) { return *reinterpret_cast<Errors*>(info->err); }
  [[noreturn]] static void leave(j_common_ptr info) {
    Errors& errors = errors_of(info);
    (*info->err->format_message)(info, errors.text);
    std::longjmp(errors.jump, 1);
  }
  /// The end of the data is an error; other doubts of the library are not, as elsewhere.
  static void note(j_common_ptr info, int level) {
    if (level >= 0 || info->err->msg_code != JWRN_JPEG_EOF) return;
    Errors& errors = errors_of(info);
    std::snprintf(errors.text, sizeof(errors.text), "the file ends early");
    std::longjmp(errors.jump, 1);
  }
  static void count_scans(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
    Errors& errors = errors_of(info);
    std::snprintf(errors.text, sizeof(errors.text), "it has more than %d scans", kMostScans);
    std::longjmp(errors.jump, 1);
  }

  /// `body` holds nothing that has to be destroyed.
  template <class Body>
  void guarded(Body&& body) {
    if (setjmp(errors_.jump) != 0) throw Error(ExitCode::kData, concat("JPEG: ", errors_.text));
    body();
  }

  void start(unsigned scale) {
    const int components = info_.num_components;
    if (components != 1 && components != 3 && components != 4)
      throw Error(ExitCode::kData, concat("JPEG: it has ", components, " colour components, expected 1, 3 or 4"));
    info_.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    info_.dct_method = JDCT_ISLOW;
    info_.scale_num = scale;
    info_.scale_denom = 8;
    guarded([&] { ::jpeg_start_decompress(&info_); });
  }

  /// Of 8, 4, 2 and 1 (those that the library has vector code for) the least that leaves the target's size.
  static unsigned eighths(const PictureWindow& window) {
    unsigned scale = 8;
    const auto fits = [&](std::int64_t from, std::int64_t to) { return from * (scale / 2) >= to * 8; };
    while (scale > 1 && fits(window.size.height, window.target.height) && fits(window.size.width, window.target.width))
      scale /= 2;
    return scale;
  }

  void read_rows(Picture& picture) {
    rows_ = picture.pixels.data();
    row_bytes_ = picture.row_bytes();
    end_ = info_.output_scanline + static_cast<JDIMENSION>(picture.size.height);
    guarded([&] {
      while (info_.output_scanline < end_) {
        JSAMPROW row = rows_;
        rows_ += row_bytes_ * ::jpeg_read_scanlines(&info_, &row, 1);
      }
    });
  }

  /// Four inks to three colours. Programs that write them store 255 - ink, as Adobe's do.
  static void finish(Picture& picture) {
    if (picture.channels != 4) return;
    const std::uint8_t* from = picture.pixels.data();
    std::uint8_t* to = picture.pixels.data();
    for (std::int64_t i = 0; i < picture.size.pixels(); ++i, from += 4, to += 3) {
      const int light = from[3];
      for (int c = 0; c < 3; ++c) to[c] = static_cast<std::uint8_t>((from[c] * light + 127) / 255);
    }
    picture.reshape(picture.size, 3);
  }

  Info info_ = {};
  Errors errors_ = {};
  jpeg_progress_mgr progress_ = {};
  // Members, because locals that change would not survive a longjmp.
  std::uint8_t* rows_ = nullptr;
  std::int64_t row_bytes_ = 0;
  JDIMENSION end_ = 0, offset_ = 0, width_ = 0, skip_ = 0;
};

}  // namespace

StoredHeader jpeg_header(std::string_view bytes) {
  return JpegFile(bytes).header();
}

void decode_jpeg(std::string_view bytes, Picture& picture) {
  JpegFile(bytes).decode(picture);
}

PictureBox decode_jpeg_part(std::string_view bytes, const PictureWindow& window, Picture& picture) {
  return JpegFile(bytes).decode_part(window, picture);
}

}  // namespace sluice
