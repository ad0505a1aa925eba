// WebP, by libwebp. Of an animation the first frame.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "core/base/error.hpp"
#include "core/picture/formats.hpp"

namespace sluice {

namespace {

const char* reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "not enough memory";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "the file ends early";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses what the library does not read";
    default:
      return "it is damaged";
  }
}

void check(VP8StatusCode status) {
  if (status != VP8_STATUS_OK) throw Error(ExitCode::kData, concat("WebP: ", reason(status)));
}

const std::uint8_t* data_of(std::string_view bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

WebPBitstreamFeatures features_of(std::string_view bytes) {
  WebPBitstreamFeatures features;
  check(::WebPGetFeatures(data_of(bytes), bytes.size(), &features));
  return features;
}

int orientation_of(std::string_view bytes) {
  const WebPData data = {data_of(bytes), bytes.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&::WebPDemuxDelete)> demuxer(::WebPDemux(&data), ::WebPDemuxDelete);
  if (demuxer == nullptr) throw Error(ExitCode::kData, "WebP: the file ends early, or is damaged");
  WebPChunkIterator chunk;
  if ((::WebPDemuxGetI(demuxer.get(), WEBP_FF_FORMAT_FLAGS) & EXIF_FLAG) == 0) return 1;
  if (::WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) == 0) return 1;
  const int orientation = exif_orientation({reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size});
  ::WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

void decode_first_frame(std::string_view bytes, Picture& picture) {
  WebPAnimDecoderOptions options;
  ::WebPAnimDecoderOptionsInit(&options);
  const WebPData data = {data_of(bytes), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, decltype(&::WebPAnimDecoderDelete)> decoder(
      ::WebPAnimDecoderNew(&data, &options), ::WebPAnimDecoderDelete);
  std::uint8_t* frame = nullptr;
  int time = 0;
  if (decoder == nullptr || ::WebPAnimDecoderGetNext(decoder.get(), &frame, &time) == 0)
    throw Error(ExitCode::kData, "WebP: the first frame of its animation is damaged");
  for (std::int64_t i = 0; i < picture.size.pixels(); ++i) {
    for (std::int64_t c = 0; c < 3; ++c) picture.pixels[static_cast<std::size_t>(3 * i + c)] = frame[4 * i + c];
  }
}

}  // namespace

StoredHeader webp_header(std::string_view bytes) {
  const WebPBitstreamFeatures features = features_of(bytes);
  return {{features.height, features.width}, orientation_of(bytes)};
}

void decode_webp(std::string_view bytes, Picture& picture) {
  const WebPBitstreamFeatures features = features_of(bytes);
  picture.reshape({features.height, features.width}, 3);
  if (features.has_animation != 0) return decode_first_frame(bytes, picture);
  WebPDecoderConfig config;
  ::WebPInitDecoderConfig(&config);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = picture.pixels.data();
  config.output.u.RGBA.stride = static_cast<int>(picture.row_bytes());
  config.output.u.RGBA.size = picture.pixels.size();
  check(::WebPDecode(data_of(bytes), bytes.size(), &config));
}

}  // namespace sluice
