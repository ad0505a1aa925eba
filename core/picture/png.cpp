// PNG, by libpng.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

#include "core/base/error.hpp"
#include "core/picture/formats.hpp"

namespace sluice {

namespace {

constexpr png_alloc_size_t kMostChunkBytes = 8 << 20;
constexpr png_uint_32 kMostTextChunks = 128;

/// As for JPEG, errors leave the library by longjmp and become exceptions in guarded().
class PngFile {
 public:
  explicit PngFile(std::string_view bytes) : rest_(bytes) {
    handles_.png = ::png_create_read_struct(PNG_LIBPNG_VER_STRING, this, leave, ignore);
    if (handles_.png == nullptr) throw std::bad_alloc();
    handles_.info = ::png_create_info_struct(handles_.png);
    if (handles_.info == nullptr) throw std::bad_alloc();
    guarded([&] {
      ::png_set_user_limits(handles_.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      ::png_set_chunk_malloc_max(handles_.png, kMostChunkBytes);
      ::png_set_chunk_cache_max(handles_.png, kMostTextChunks);
      ::png_set_read_fn(handles_.png, this, read);
      ::png_read_info(handles_.png, handles_.info);
    });
  }
  PngFile(const PngFile&) = delete;
  PngFile& operator=(const PngFile&) = delete;

  StoredHeader header() {
    StoredHeader header;
    header.size = {::png_get_image_height(handles_.png, handles_.info),
                   ::png_get_image_width(handles_.png, handles_.info)};
    png_uint_32 size = 0;
    png_bytep exif = nullptr;
    if (::png_get_eXIf_1(handles_.png, handles_.info, &size, &exif) != 0)
      header.orientation = exif_orientation({reinterpret_cast<const char*>(exif), size});
    return header;
  }

  /// Palettes become colours, 16 bits their upper 8; what is transparent shows its colour.
  void decode(Picture& picture) {
    guarded([&] {
      ::png_set_expand(handles_.png);
      ::png_set_strip_16(handles_.png);
      ::png_set_strip_alpha(handles_.png);
      passes_ = ::png_set_interlace_handling(handles_.png);
      ::png_read_update_info(handles_.png, handles_.info);
    });
    picture.reshape(header().size, ::png_get_channels(handles_.png, handles_.info));
    if (static_cast<std::int64_t>(::png_get_rowbytes(handles_.png, handles_.info)) != picture.row_bytes())
      throw Error(ExitCode::kData, "PNG: rows of another length than its header says");
    picture_ = &picture;
    guarded([&] {
      for (int pass = 0; pass < passes_; ++pass) {
        for (std::int64_t y = 0; y < picture_->size.height; ++y)
          ::png_read_row(handles_.png, picture_->row(y), nullptr);
      }
    });
  }

 private:
  static PngFile& file_of(png_structp png) { return *static_cast<PngFile*>(::png_get_error_ptr(png)); }
  [[noreturn]] static void leave(png_structp png, png_const_charp text) {
    PngFile& file = file_of(png);
    std::snprintf(file.text_, sizeof(file.text_), "%s", text);
    std::longjmp(file.jump_, 1);
  }
  static void ignore(png_structp, png_const_charp) {}
  static void read(png_structp png, png_bytep to, png_size_t count) {
    std::string_view& rest = file_of(png).rest_;
    if (count > rest.size()) leave(png, "the file ends early");
    std::memcpy(to, rest.data(), count);
    rest.remove_prefix(count);
  }

  /// `body` holds nothing that has to be destroyed.
  template <class Body>
  void guarded(Body&& body) {
    if (setjmp(jump_) != 0) throw Error(ExitCode::kData, concat("PNG: ", text_));
    body();
  }

  struct Handles {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Handles() { ::png_destroy_read_struct(&png, &info, nullptr); }
  } handles_;
  std::string_view rest_;
  std::jmp_buf jump_;
  char text_[128] = "";
  Picture* picture_ = nullptr;
  int passes_ = 1;
};

}  // namespace

StoredHeader png_header(std::string_view bytes) {
  return PngFile(bytes).header();
}

void decode_png(std::string_view bytes, Picture& picture) {
  PngFile(bytes).decode(picture);
}

}  // namespace sluice
