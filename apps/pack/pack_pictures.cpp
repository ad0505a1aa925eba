#include "apps/pack/pack_pictures.hpp"

#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/signals.hpp"
#include "core/picture/decode.hpp"
#include "core/train/progress.hpp"

namespace sluice {

namespace {

/// A picture on its way.
struct Work {
  SourcePicture source;
  PictureSize size;
  std::string stored;  ///< or why it cannot be read
};

/// What decoding works in, of each thread.
struct Scratch {
  DecodeScratch decode;
  Picture picture;
};

void decode(Work& work, const PackOptions& options) {
  static thread_local Scratch scratch;
  static const std::vector<std::uint8_t> no_fill;
  work.stored = work.source.problem;
  if (!work.stored.empty()) return;
  const TransformDraw draw;
  try {
    const DecodeOptions decoding = {options.channels, options.max_pixels, false};
    options.pixels.make(scratch.picture, draw, no_fill, scratch.decode, [&](const ChooseWindow& choose) {
      decode_picture(work.source.bytes, decoding, choose, scratch.decode, scratch.picture);
    });
  } catch (const Error& error) {
    if (error.code() != ExitCode::kData) throw;
    work.stored = error.what();
    return;
  }
  work.size = scratch.picture.size;
  if (options.pixels.empty())
    work.stored = std::move(work.source.bytes);
  else
    work.stored.assign(scratch.picture.pixels.begin(), scratch.picture.pixels.end());
}

/// Passes over what the spool has.
void skip_done(PictureSource& source, const Spool& spool) {
  for (const SpooledPicture& done : spool.pictures()) {
    const SourcePicture picture = source.next(false);
    if (picture.name != done.name || picture.label != done.label || picture.split != done.split)
      throw Error(ExitCode::kData, concat(spool.path(), ": has the picture ", one_line(done.name), " where there is ",
                                          one_line(picture.name), " now; remove it to begin anew"));
  }
}

}  // namespace

void pack_pictures(PictureSource& source, const PackOptions& options, Spool& spool, Log& log) {
  constexpr std::size_t kOnTheirWay = 4;  // for each thread
  const std::int64_t all = source.size();
  auto done = static_cast<std::int64_t>(spool.pictures().size());
  skip_done(source, spool);
  if (done > 0) log.info(concat("goes on behind ", done, " of ", all, " pictures"));
  KeptRoom room;
  Progress progress(log, LogOptions(), room);
  progress.begin("packing", all, done);
  std::int64_t next = done;
  const auto read = [&](tbb::flow_control& control) -> std::shared_ptr<Work> {
    if (next == all || stop_requested() != 0) {
      control.stop();
      return nullptr;
    }
    ++next;
    return std::make_shared<Work>(Work{source.next(true), {}, {}});
  };
  const auto prepare = [&](std::shared_ptr<Work> work) {
    decode(*work, options);
    return work;
  };
  const auto store = [&](const std::shared_ptr<Work>& work) {
    if (work->size.height == 0)
      log.warning(concat(one_line(work->source.name), ": ", work->stored, "; it is left out"));
    spool.append({work->source.name, work->source.split, work->source.label, work->size, 0, 0}, work->stored);
    progress.pass(1);
    ++done;
  };
  tbb::task_arena arena(options.threads);
  arena.execute([&] {
    tbb::parallel_pipeline(
        kOnTheirWay * static_cast<std::size_t>(options.threads),
        tbb::make_filter<void, std::shared_ptr<Work>>(tbb::filter_mode::serial_in_order, read) &
            tbb::make_filter<std::shared_ptr<Work>, std::shared_ptr<Work>>(tbb::filter_mode::parallel, prepare) &
            tbb::make_filter<std::shared_ptr<Work>, void>(tbb::filter_mode::serial_in_order, store));
  });
  progress.end();
  if (done < all)
    throw Error(ExitCode::kStopped, concat("stopped after ", done, " of ", all, " pictures; the same command goes on ",
                                           "from there (", spool.path(), ")"));
}

}  // namespace sluice
