// Pictures in folders: DIR/train/CLASS/... and DIR/val/CLASS/..., or DIR/CLASS/... with a share for the test.
#include <algorithm>
#include <cstring>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/data/formats.hpp"
#include "core/data/picture_folder.hpp"
#include "core/data/transformed.hpp"

namespace sluice {

namespace {

[[noreturn]] void refuse_pictures(const std::string& text) {
  throw Error(ExitCode::kData, text);
}

/// Refuses pictures that cannot be read, or leaves them out with a note for each.
void remove_bad(PictureList& list, PictureCheck& check, bool skip, std::vector<std::string>& notes) {
  constexpr std::size_t kMostNotes = 20;
  if (check.bad.empty()) return;
  const auto name = [&](const PictureCheck::Bad& bad) {
    return concat(list.root, "/", one_line(list.files[static_cast<std::size_t>(bad.index)]), ": ", bad.reason);
  };
  const std::size_t all = list.files.size();
  if (!skip)
    refuse_pictures(concat(name(check.bad[0]), "; ", check.bad.size(), " of the ", all, " pictures of ", list.root,
                           " cannot be read; mend or remove them, or leave them out by [data] on_bad_image = skip"));
  std::vector<bool> kept(all, true);
  for (const PictureCheck::Bad& bad : check.bad) kept[static_cast<std::size_t>(bad.index)] = false;
  for (std::size_t i = 0; i < std::min(check.bad.size(), kMostNotes); ++i)
    notes.push_back(concat(name(check.bad[i]), "; it is left out"));
  notes.push_back(concat(list.root, ": ", check.bad.size(), " of ", all, " pictures are left out"));
  list.keep(kept);
  std::size_t to = 0;
  for (std::size_t i = 0; i < all; ++i) {
    if (kept[i]) check.sizes[to++] = check.sizes[i];
  }
  check.sizes.resize(to);
}

void require_all_classes(const PictureList& list) {
  std::vector<bool> seen(list.classes.size());
  for (const std::int32_t label : list.labels) seen[static_cast<std::size_t>(label)] = true;
  const auto missing = std::find(seen.begin(), seen.end(), false) - seen.begin();
  if (missing < static_cast<std::int64_t>(seen.size()))
    refuse_pictures(concat(list.root, "/", one_line(list.classes[static_cast<std::size_t>(missing)]),
                           ": has no pictures (files that end in .jpg, .jpeg, .png, .webp, .bmp, .ppm or .pgm)"));
}

class FolderPictures : public PictureStore {
 public:
  FolderPictures(PictureList list, const DecodeOptions& decode) : list_(std::move(list)), decode_(decode) {}

  std::int32_t label(std::int64_t index) const override { return list_.labels[static_cast<std::size_t>(index)]; }
  std::string name(std::int64_t index) const override { return list_.files[static_cast<std::size_t>(index)]; }
  void load(std::int64_t index, bool training, const ChooseWindow& choose, PictureScratch& scratch) const override {
    const std::string path = list_.root + "/" + list_.files[static_cast<std::size_t>(index)];
    DecodeOptions options = decode_;
    options.fast = options.fast && training;
    try {
      read_picture_file(path, options.max_pixels, scratch.bytes);
      decode_picture(scratch.bytes, options, choose, scratch.decode, scratch.picture);
    } catch (const Error& error) {
      throw Error(error.code(), concat(one_line(path), ": ", error.what()));
    }
  }

  void digest(std::int64_t images, Digest& digest) const override {
    std::string bytes;
    const auto read = [&](std::int64_t i) -> std::string_view {
      const std::string path = list_.root + "/" + list_.files[static_cast<std::size_t>(i)];
      try {
        read_picture_file(path, decode_.max_pixels, bytes);
      } catch (const Error& error) {
        throw Error(error.code(), concat(one_line(path), ": ", error.what()));
      }
      return bytes;
    };
    digest_pictures(
        images, [&](std::int64_t i) { return name(i); },
        [&](std::int64_t i) { return list_.bytes[static_cast<std::size_t>(i)]; }, read, digest);
  }

 private:
  PictureList list_;
  DecodeOptions decode_;
};

std::optional<PictureSize> common_size(const std::vector<PictureSize>& sizes) {
  for (const PictureSize& size : sizes) {
    if (size != sizes[0]) return std::nullopt;
  }
  return sizes.empty() ? std::nullopt : std::optional<PictureSize>(sizes[0]);
}

}  // namespace

std::unique_ptr<Dataset> open_folder(const DataOptions& options, Split split) {
  require_picture_libraries("[data] kind");
  const std::int64_t channels = picture_channels(options);
  PictureFolder folder = list_picture_folder(options, split);
  PictureList& list = folder.list;
  std::vector<std::string>& notes = folder.notes;
  PictureCheck check = check_pictures(list, options.max_pixels);
  remove_bad(list, check, options.skip_bad_images, notes);
  if (split != Split::kTest) require_all_classes(list);
  if (list.files.empty()) refuse_pictures(concat(list.root, ": has no pictures for the ", to_string(split), " set"));
  PictureTreatment treatment = make_treatment(options);
  const PictureSize size = treated_size(treatment, common_size(check.sizes), list.root);
  Classes classes = resolve_classes(options, static_cast<std::int64_t>(list.classes.size()),
                                    std::move(folder.class_names), list.root, list.labels);
  DatasetInfo info{list.root,
                   static_cast<std::int64_t>(list.files.size()),
                   {channels, size.height, size.width},
                   classes.count,
                   std::move(classes.names)};
  const DecodeOptions decode = {channels, options.max_pixels, options.fast_decode};
  return make_picture_dataset(std::move(info), std::make_unique<FolderPictures>(std::move(list), decode),
                              std::move(treatment), std::move(notes));
}

}  // namespace sluice
