// The documentation and checks of the [data] section.
#include <limits>

#include "core/base/error.hpp"
#include "core/config/keys.hpp"
#include "core/data/normalization.hpp"
#include "core/data/options.hpp"
#include "core/picture/transform.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMostImages = std::int64_t{1} << 32;
constexpr char kCompared[] = "the data are compared instead of their place";

void describe_preparation(DataOptions& options, Keys& keys) {
  keys.optional("pad_to", options.pad_to, between(std::int64_t{0}, kMaxImageSide),
                "height and width to which images are padded with zeros on all sides, for example 32 for 28x28 images; "
                "0: as stored");
  keys.optional("channels", options.channels, between(std::int64_t{0}, kMaxImageSide),
                "repeats the one channel of grey images this often; 0: as stored");
  keys.optional("mean", options.mean,
                "subtracted from each channel of pixels scaled to 0..1: one number, one for each channel, or 'measure' "
                "(over the images trained on, before padding)");
  keys.optional("std", options.std,
                "divides each channel after the mean is subtracted: one number, one for each channel, or 'measure'");
  keys.optional("augment", options.augment, "whether training images are cropped and flipped at random");
  keys.optional(
      "crop_padding", options.crop_padding, between(std::int64_t{0}, kMaxImageSide),
      "with augment: pixels of zeros put around an image before a window of its own size is cut out; 0: no crop");
  keys.optional("flip", options.flip, "with augment: whether half of the images are mirrored left to right");
  keys.optional(
      "balance", options.balance,
      "training takes images of each class equally often: those of rare classes several times in an epoch, not "
      "all of those of frequent ones");
  keys.optional("mixup", options.mixup, between(0.0, 100.0),
                "training images become sums of two with shares from Beta(A, A), and learn both classes by these "
                "shares: A, such as 0.2; 0: off");
  keys.optional("cutmix", options.cutmix, between(0.0, 100.0),
                "a rectangle of another image is put into each training image, with shares as for mixup: A, such as 1; "
                "0: off. With both, each image has one of them");
  keys.optional("transforms", options.transforms,
                "what is done to training images, in order and at random, in place of augment: a list such as "
                "random_resized_crop(224), flip (docs/pictures.md has all of them); empty: eval_transforms");
  keys.optional("eval_transforms", options.eval_transforms,
                "what is done to images that are evaluated, such as resize(256), center_crop(224)");
  keys.optional("workers", options.workers, between(0, 1024),
                "threads that prepare batches in the background; 0: each batch is prepared when it is asked for");
  keys.optional("prefetch", options.prefetch, between(1, 1024), "batches prepared ahead at most");
  keys.role(KeyRole::kNothing, {"workers", "prefetch"}, "no effect on the result");
  keys.of_machine({"workers", "prefetch"});
}

void describe_idx(DataOptions& options, Keys& keys) {
  keys.path("idx_train_images", options.idx_train_images,
            "idx: file of the training images in dir; '.gz' is added where only that exists");
  keys.path("idx_train_labels", options.idx_train_labels, "idx: file of the training labels");
  keys.path("idx_test_images", options.idx_test_images, "idx: file of the test images");
  keys.path("idx_test_labels", options.idx_test_labels, "idx: file of the test labels");
  keys.role(KeyRole::kNothing, {"idx_train_images", "idx_train_labels", "idx_test_images", "idx_test_labels"},
            kCompared);
}

void describe_hdf5(DataOptions& options, Keys& keys) {
  keys.path("hdf5_train", options.hdf5_train, "hdf5: file of the training set, in dir or with a full path");
  keys.path("hdf5_test", options.hdf5_test, "hdf5: file of the test set; may be the same file with another group");
  keys.optional("hdf5_train_group", options.hdf5_train_group, "hdf5: group of the training set in its file");
  keys.optional("hdf5_test_group", options.hdf5_test_group, "hdf5: group of the test set in its file");
  keys.optional("hdf5_images", options.hdf5_images,
                "hdf5: name of the images in the group: unsigned bytes, N x H x W, N x H x W x C or N x C x H x W; the "
                "attribute 'layout' (NHWC or NCHW) says which, else a last or second size of 1 or 3 does");
  keys.optional("hdf5_labels", options.hdf5_labels, "hdf5: name of the labels in the group: N integers");
  keys.optional("hdf5_memory_mib", options.hdf5_memory_mib, between(std::int64_t{1}, kMost >> 20),
                "hdf5: a set larger than this is read in pieces while training; its shuffle then mixes as many images "
                "as fit into half of this");
  keys.path("hdf5_external", options.hdf5_external,
            "hdf5: folder of other files that values may be read from, by external links and storage and by virtual "
            "data sets; none by default, but for parts of virtual data sets beside their file");
  keys.optional("hdf5_timeout", options.hdf5_timeout, above_zero(),
                "hdf5: seconds that opening a file, or reading one group of images, may take; a damaged file can keep "
                "the library busy for ever");
  keys.role(
      KeyRole::kNothing,
      {"hdf5_train", "hdf5_test", "hdf5_train_group", "hdf5_test_group", "hdf5_images", "hdf5_labels", "hdf5_external"},
      kCompared);
  keys.role(KeyRole::kNothing, {"hdf5_timeout"}, "no effect on the result");
  keys.of_machine({"hdf5_memory_mib", "hdf5_external", "hdf5_timeout"});
}

void describe_pictures(DataOptions& options, Keys& keys) {
  keys.choice(
      "decode", options.fast_decode, {{"fast", true}, {"exact", false}},
      "pictures: whether training may decode a part of a JPEG, and at a half, a quarter or an eighth of its size "
      "where the first transform makes it smaller still; evaluation is always exact");
  keys.choice("on_bad_image", options.skip_bad_images, {{"refuse", false}, {"skip", true}},
              "pictures: whether one that cannot be read ends the program when the set is opened or evaluated, or is "
              "left out with a warning, also of evaluations; in training another one takes its place");
  keys.optional("max_pixels", options.max_pixels, between(std::int64_t{1}, std::int64_t{1} << 30),
                "pictures: larger ones are refused by their header, before memory is taken for them");
  keys.path("folder_train", options.folder_train,
            "folder: the training pictures in dir, a folder for each class; where dir has no such folder it holds the "
            "classes itself");
  keys.path("folder_test", options.folder_test,
            "folder: the test pictures in dir; empty: the first that exists of val, valid, validation and test");
  keys.optional("folder_test_share", options.folder_test_share, between(0.0, 0.9),
                "folder: where dir holds the classes itself, the share of each that is the test set, chosen by the "
                "files' names");
  keys.role(KeyRole::kNothing, {"on_bad_image", "max_pixels", "folder_train", "folder_test", "folder_test_share"},
            kCompared);
}

void describe_synthetic(DataOptions& options, Keys& keys) {
  keys.optional("synthetic_size", options.synthetic_size, between(std::int64_t{1}, kMostImages),
                "synthetic: training images");
  keys.optional("synthetic_test_size", options.synthetic_test_size, between(std::int64_t{1}, kMostImages),
                "synthetic: test images");
  keys.optional("synthetic_image", options.synthetic_image, "synthetic: image size, channels x height x width");
  keys.optional("synthetic_seed", options.synthetic_seed, at_least(0), "synthetic: seed of patterns and noise");
}

void check_eval_transforms(const std::string& text) {
  const std::string name = Transforms(text).first_random();
  if (name.empty()) return;
  throw Error(ExitCode::kUsage,
              concat(name, " draws random numbers, and evaluation is the same each time; put it into transforms"));
}

/// Reports errors that the type and range of a single key cannot show.
void check(const DataOptions& options, Keys& keys) {
  const auto report = [&keys](const char* name, const auto& parse) {
    try {
      parse();
    } catch (const Error& error) {
      keys.error(name, error.what());
    }
  };
  report("mean", [&] { check_normalization_text(options.mean, false); });
  report("std", [&] { check_normalization_text(options.std, true); });
  report("transforms", [&] { Transforms(options.transforms); });
  report("eval_transforms", [&] { check_eval_transforms(options.eval_transforms); });
  if (options.augment && !options.transforms.empty())
    keys.error("augment", "'transforms' says what is done to training images; write pad_crop and flip there");
  report("synthetic_image", [&] { parse_image_shape(options.synthetic_image); });
  const auto names = static_cast<std::int64_t>(options.class_names.size());
  if (options.classes > 0 && names > 0 && names != options.classes) {
    keys.error("class_names", concat("expected ", options.classes, " names, one for each of 'classes', got ", names));
  }
}

}  // namespace

void DataOptions::describe(Keys& keys) {
  keys.choice("kind", kind,
              {{"cifar10", DataKind::kCifar10},
               {"cifar100", DataKind::kCifar100},
               {"idx", DataKind::kIdx},
               {"hdf5", DataKind::kHdf5},
               {"folder", DataKind::kFolder},
               {"synthetic", DataKind::kSynthetic}},
              "form of the data set: CIFAR's binary version, IDX (MNIST and its relatives), HDF5, a folder of "
              "pictures, or made up");
  keys.path("dir", dir, "folder of the data set; for CIFAR also the folder above it");
  keys.optional(
      "classes", classes, between(0, 1 << 24),
      "number of classes; 0: as many as the format, the class names or the largest label say (synthetic: 10)");
  keys.optional("class_names", class_names, "names of the classes, in place of those that come with the data set");
  keys.optional("validation", validation, at_least(0),
                "training images held out at random to choose by; 0: none, and the test set is evaluated instead");
  keys.optional("validation_seed", validation_seed, at_least(0),
                "which images are held out; does not depend on run.seed");
  keys.optional("validation_from", validation_from, between(std::int64_t{0}, kMostImages),
                "the images held out are drawn from this many at the beginning of the training set, so that they stay "
                "the same when images are appended; 0: from all, a resumed run from as many as it began with");
  keys.role(KeyRole::kNothing, {"dir"}, kCompared);
  describe_preparation(*this, keys);
  keys.choice("cifar100_labels", cifar100_coarse, {{"fine", false}, {"coarse", true}},
              "cifar100: 100 fine or 20 coarse classes");
  describe_idx(*this, keys);
  describe_hdf5(*this, keys);
  describe_pictures(*this, keys);
  describe_synthetic(*this, keys);
  check(*this, keys);
}

}  // namespace sluice
