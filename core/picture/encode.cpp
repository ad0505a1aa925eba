#include "core/picture/encode.hpp"

#ifdef SLUICE_PICTURES
#include <png.h>

#include <csetjmp>
#include <new>
#endif

#include "core/picture/decode.hpp"

namespace sluice {

#ifdef SLUICE_PICTURES

namespace {

/// As where PNG is read, errors leave the library by longjmp and become exceptions.
class PngWriter {
 public:
  PngWriter() {
    handles_.png = ::png_create_write_struct(PNG_LIBPNG_VER_STRING, this, leave, ignore);
    if (handles_.png == nullptr) throw std::bad_alloc();
    handles_.info = ::png_create_info_struct(handles_.png);
    if (handles_.info == nullptr) throw std::bad_alloc();
    ::png_set_write_fn(handles_.png, this, write, ignore_flush);
  }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  std::string encode(const Picture& picture, std::vector<png_text>& texts) {
    // All that the library asks memory for, beside the text that grows here, it asks by itself.
    if (setjmp(jump_) != 0) throw std::bad_alloc();
    const int type = picture.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY;
    ::png_set_IHDR(handles_.png, handles_.info, static_cast<png_uint_32>(picture.size.width),
                   static_cast<png_uint_32>(picture.size.height), 8, type, PNG_INTERLACE_NONE,
                   PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    ::png_set_text(handles_.png, handles_.info, texts.data(), static_cast<int>(texts.size()));
    ::png_write_info(handles_.png, handles_.info);
    for (std::int64_t y = 0; y < picture.size.height; ++y) ::png_write_row(handles_.png, picture.row(y));
    ::png_write_end(handles_.png, nullptr);
    return std::move(bytes_);
  }

 private:
  [[noreturn]] static void leave(png_structp png, png_const_charp) {
    std::longjmp(static_cast<PngWriter*>(::png_get_error_ptr(png))->jump_, 1);
  }
  static void ignore(png_structp, png_const_charp) {}
  static void ignore_flush(png_structp) {}
  static void write(png_structp png, png_bytep bytes, png_size_t count) {
    try {
      static_cast<PngWriter*>(::png_get_io_ptr(png))->bytes_.append(reinterpret_cast<const char*>(bytes), count);
      return;
    } catch (const std::bad_alloc&) {
    }
    leave(png, nullptr);
  }

  struct Handles {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Handles() { ::png_destroy_write_struct(&png, &info); }
  } handles_;
  std::string bytes_;
  std::jmp_buf jump_;
};

}  // namespace

std::string encode_png(const Picture& picture, const std::vector<std::pair<std::string, std::string>>& texts) {
  std::vector<png_text> chunks;
  for (const auto& [keyword, text] : texts) {
    png_text chunk{};
    chunk.compression = PNG_TEXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(keyword.c_str());  // the library does not write to it
    chunk.text = const_cast<char*>(text.c_str());
    chunk.text_length = text.size();
    chunks.push_back(chunk);
  }
  return PngWriter().encode(picture, chunks);
}

#else

std::string encode_png(const Picture&, const std::vector<std::pair<std::string, std::string>>&) {
  require_picture_libraries("a PNG file");
  return {};
}

#endif

}  // namespace sluice
