// Folders of pictures: what is a class and what a picture, splits, what is refused, and what happens to pictures that
// cannot be read.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <tbb/global_control.h>
#include <unistd.h>

#include "core/data/pipeline.hpp"
#include "core/data/set_description.hpp"
#include "tests/core/data/files.hpp"
#include "tests/core/picture/make_pictures.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    options_.kind = DataKind::kFolder;
    options_.dir = folder_.path();
    options_.eval_transforms = "resize(8x8)";
  }

  /// Pictures of three forms and sizes in two classes.
  void write_set(const std::string& root, int each = 3) {
    for (int i = 0; i < each; ++i) {
      folder_.write(root + "/dog/" + std::to_string(i) + ".png", png_of(noise(10 + i, 9, 3)));
      folder_.write(root + "/cat/" + std::to_string(i) + ".jpg", jpeg_of(gradient(16, 12 + i)));
    }
  }
  std::string at(const std::string& path) const { return folder_ / path; }
  std::string refusal(Split split = Split::kTrain) const { return open_error(options_, split); }

  TempFolder folder_;
  DataOptions options_;
  // As many threads as a test asks for, also on a small machine.
  const tbb::global_control threads_{tbb::global_control::max_allowed_parallelism, 6};
};

TEST_F(FolderTest, TrainAndTestFolders) {
  write_set("train");
  write_set("val", 1);
  folder_.write("train/cat/deep/er/x.PNG", png_of(noise(5, 5, 3)));
  const auto train = open_dataset(options_, Split::kTrain), test = open_dataset(options_, Split::kTest);
  EXPECT_EQ(train->size(), 7);
  EXPECT_EQ(test->size(), 2);
  EXPECT_EQ(train->shape(), (ImageShape{3, 8, 8}));
  EXPECT_EQ(train->num_classes(), 2);
  EXPECT_THAT(train->class_names(), ElementsAre("cat", "dog"));
  EXPECT_THAT(read_all(*train).labels, ElementsAre(0, 0, 0, 0, 1, 1, 1));
  EXPECT_THAT(train->take_notes(), IsEmpty());
  options_.channels = 1;
  EXPECT_EQ(open_dataset(options_, Split::kTest)->shape(), (ImageShape{1, 8, 8}));
}

TEST_F(FolderTest, ClassesStandInTheOrderOfTheirBytes) {
  for (const char* name : {"b", "B2", "a10", "a9", "Z", "\xC3\xA4"})
    folder_.write(std::string("train/") + name + "/1.png", png_of(noise(3, 3, 3)));
  EXPECT_THAT(open_dataset(options_, Split::kTrain)->class_names(),
              ElementsAre("B2", "Z", "a10", "a9", "b", "\xC3\xA4"));
}

TEST_F(FolderTest, HiddenFilesLinksAndOthersArePassedOver) {
  write_set("train", 1);
  folder_.write("train/.hidden/1.png", png_of(noise(3, 3, 3)));
  folder_.write("train/cat/.1.png", "no picture");
  folder_.write("train/cat/notes.txt", "no picture");
  folder_.write("train/readme.jpg", "no picture");
  ASSERT_EQ(::symlink(at("train/cat/0.jpg").c_str(), at("train/cat/1.jpg").c_str()), 0);
  ASSERT_EQ(::symlink(at("train").c_str(), at("train/cat/again").c_str()), 0);
  ASSERT_EQ(::symlink(at("train/cat").c_str(), at("train/link").c_str()), 0);
  const auto train = open_dataset(options_, Split::kTrain);
  EXPECT_EQ(train->size(), 2);
  EXPECT_THAT(train->take_notes(), ElementsAre(at("train") + ": 2 symbolic links are passed over"));
  EXPECT_THAT(train->take_notes(), IsEmpty());
}

TEST_F(FolderTest, OneFolderGivesBothSets) {
  write_set(".", 10);
  const auto train = open_dataset(options_, Split::kTrain), test = open_dataset(options_, Split::kTest);
  EXPECT_EQ(train->size(), 16);
  EXPECT_EQ(test->size(), 4);
  EXPECT_THAT(read_all(*test).labels, ElementsAre(0, 0, 1, 1));
  const Samples before = read_all(*test);
  EXPECT_EQ(read_all(*open_dataset(options_, Split::kTest)).images, before.images);
  options_.folder_test_share = 0;
  EXPECT_EQ(open_dataset(options_, Split::kTrain)->size(), 20);
  EXPECT_EQ(refusal(Split::kTest), folder_.path() + ": has no pictures for the test set");
}

TEST_F(FolderTest, HeldOutPicturesAreNotTrainedOn) {
  write_set("train", 5);
  options_.validation = 4;
  const TrainingSets sets = open_training(options_);
  EXPECT_EQ(sets.train->size(), 6);
  EXPECT_EQ(sets.validation->size(), 4);
}

TEST_F(FolderTest, NamesOfClasses) {
  write_set("train", 1);
  folder_.write("classes.txt", std::string("dog a dog\ncat   a big cat\n"));
  EXPECT_THAT(open_dataset(options_, Split::kTrain)->class_names(), ElementsAre("a big cat", "a dog"));
  folder_.write("classes.txt", std::string("Katze\nHund\n"));
  EXPECT_THAT(open_dataset(options_, Split::kTrain)->class_names(), ElementsAre("Katze", "Hund"));
  folder_.write("classes.txt", std::string("Katze\n"));
  EXPECT_EQ(refusal(), at("classes.txt") + ": expected a line for each of the 2 classes, got 1");
  folder_.write("classes.txt", std::string("cat Katze\nHund\n"));
  EXPECT_EQ(refusal(), at("classes.txt") + ": 1 of its lines do not begin with the name of a class's folder");
  folder_.write("classes.txt", std::string("cat Katze\ncat Kater\n"));
  EXPECT_EQ(refusal(), at("classes.txt") + ": names 'cat' twice");
}

TEST_F(FolderTest, OddFoldersAreNamed) {
  options_.dir = at("nothing");
  EXPECT_EQ(refusal(), at("nothing") + ": expected a folder of pictures, got nothing; set [data] dir");
  folder_.write("file", std::string("x"));
  options_.dir = at("file");
  EXPECT_EQ(refusal(), at("file") + ": expected a folder of pictures, got a file; set [data] dir");
  options_.dir = folder_.path();
  EXPECT_EQ(refusal(), folder_.path() + ": has no folders, expected one for each class, with its pictures");
  folder_.write("train/cat/1.png", png_of(noise(3, 3, 3)));
  EXPECT_EQ(refusal(), at("train") + ": expected a folder for each of at least two classes, got only 'cat'");
  folder_.write("train/dog/readme", std::string("x"));
  EXPECT_EQ(refusal(),
            at("train/dog") + ": has no pictures (files that end in .jpg, .jpeg, .png, .webp, .bmp, .ppm or .pgm)");
  folder_.write("train/dog/1.png", png_of(noise(3, 3, 3)));
  EXPECT_EQ(
      refusal(Split::kTest),
      folder_.path() +
          ": no folder of test pictures, expected val, valid, validation or test; set [data] folder_test, or hold "
          "training pictures out by validation");
  folder_.write("val/dig/1.png", png_of(noise(3, 3, 3)));
  EXPECT_EQ(refusal(Split::kTest), at("val") + ": the class 'dig' is not in " + at("train") + "; did you mean 'dog'?");
  options_.folder_test = "other";
  EXPECT_EQ(refusal(Split::kTest),
            at("other") + ": expected a folder of test pictures, got nothing; set [data] folder_test");
  options_.folder_train = "trian";
  options_.folder_test = "";
  EXPECT_EQ(refusal(),
            folder_.path() + ": has the folder val, but not trian with the training pictures; set [data] folder_train");
}

TEST_F(FolderTest, ClassesThatDifferByCaseAreRefused) {
  write_set("train", 1);
  folder_.write("train/Dog/1.png", png_of(noise(3, 3, 3)));
  EXPECT_EQ(
      refusal(),
      at("train") + ": the classes 'Dog' and 'dog' differ by case alone; put their pictures together, or rename one");
}

TEST_F(FolderTest, PicturesOfOneSizeNeedNoTransforms) {
  options_.eval_transforms.clear();
  for (const char* name : {"a/1.png", "a/2.png", "b/1.png"})
    folder_.write(std::string("train/") + name, png_of(noise(6, 7, 3)));
  EXPECT_EQ(open_dataset(options_, Split::kTrain)->shape(), (ImageShape{3, 6, 7}));
  folder_.write("train/b/2.png", png_of(noise(7, 6, 3)));
  EXPECT_EQ(refusal(), "[data] eval_transforms: the pictures of " + at("train") +
                           " have several sizes, expected transforms that give all of them one; set eval_transforms = "
                           "resize(256), center_crop(224), for example");
  options_.eval_transforms = "resize(6)";
  EXPECT_THAT(refusal(), HasSubstr("have several sizes"));
  options_.eval_transforms = "resize(6), center_crop(6)";
  options_.transforms = "random_resized_crop(8)";
  EXPECT_EQ(refusal(),
            "[data] eval_transforms: expected the size of what is trained on, 8x8 of " + at("train") + ", got 6x6");
}

TEST_F(FolderTest, BadPicturesAreRefusedOrLeftOutByName) {
  write_set("train", 2);
  const std::string good = jpeg_of(gradient(50, 50));
  folder_.write("train/cat/cut.jpg", good.substr(0, good.size() / 2));
  folder_.write("train/cat/empty.png", std::string());
  folder_.write("train/dog/page.jpeg", std::string("<html></html>"));
  folder_.write("train/dog/wrong_name.jpg", png_of(noise(4, 4, 3)));  // its content counts
  EXPECT_EQ(refusal(), at("train") + "/cat/cut.jpg: JPEG: the file ends early; 3 of the 8 pictures of " + at("train") +
                           " cannot be read; mend or remove them, or leave them out by [data] on_bad_image = skip");
  options_.skip_bad_images = true;
  const auto train = open_dataset(options_, Split::kTrain);
  EXPECT_EQ(train->size(), 5);
  EXPECT_THAT(
      train->take_notes(),
      ElementsAre(
          at("train/cat/cut.jpg: JPEG: the file ends early; it is left out"),
          at("train/cat/empty.png: the file is empty; it is left out"),
          at("train/dog/page.jpeg: it is a web page, expected JPEG, PNG, WebP, BMP, PPM or PGM; it is left out"),
          at("train: 3 of 8 pictures are left out")));
  options_.max_pixels = 10;
  EXPECT_EQ(refusal(),
            at("train/cat") + ": has no pictures (files that end in .jpg, .jpeg, .png, .webp, .bmp, .ppm or .pgm)");
}

TEST_F(FolderTest, FilesThatCannotBeReadAreBadPictures) {
  write_set("train", 1);
  ASSERT_EQ(::mkfifo(at("train/cat/pipe.jpg").c_str(), 0600), 0);  // passed over: no file
  EXPECT_EQ(open_dataset(options_, Split::kTrain)->size(), 2);
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  folder_.write("train/cat/secret.png", png_of(noise(4, 4, 3)));
  ASSERT_EQ(::chmod(at("train/cat/secret.png").c_str(), 0), 0);
  EXPECT_THAT(refusal(), HasSubstr("secret.png: cannot be read: "));
}

/// Damage that headers and ends do not show.
std::string damaged_inside(std::string png) {
  for (std::size_t i = png.size() / 3; i < png.size() / 2; ++i) png[i] = '\x55';
  return png;
}

TEST_F(FolderTest, InTrainingAnotherPictureTakesItsPlace) {
  write_set("train", 2);
  folder_.write("train/cat/2.png", damaged_inside(png_of(noise(40, 40, 3))));
  const auto train = open_dataset(options_, Split::kTrain);  // cat: 0.jpg, 1.jpg, 2.png
  std::vector<std::uint8_t> image(8 * 8 * 3), next(8 * 8 * 3);
  const std::vector<std::uint8_t> fill(3);
  EXPECT_EQ(train->read_for_training(2, {1, 0, fill}, image.data()), 1);
  EXPECT_EQ(train->read_for_training(3, {1, 0, fill}, next.data()), 1);
  EXPECT_EQ(image, next);
  const std::vector<std::string> notes = train->take_notes();
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr(at("train/cat/2.png") + ": PNG: "));
  EXPECT_THAT(notes[0], HasSubstr("; another picture takes its place"));
  train->read_for_training(2, {1, 1, fill}, image.data());
  EXPECT_THAT(train->take_notes(), IsEmpty());  // said once
  EXPECT_THAT(error_text([&] { read_all(*train); }), HasSubstr(at("train/cat/2.png") + ": PNG: "));
  options_.skip_bad_images = true;
  EXPECT_THAT(error_text([&] { read_all(*open_dataset(options_, Split::kTrain)); }),
              HasSubstr(at("train/cat/2.png") + ": PNG: "));
}

/// A picture of one level, without noise.
std::string even_png(std::uint8_t level) {
  Picture picture;
  picture.reshape({20, 20}, 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), level);
  return png_of(picture);
}

TEST_F(FolderTest, WhatCannotBeReadCountsNothingInTheNormalization) {
  folder_.write("train/a/1.png", even_png(100));
  folder_.write("train/a/2.png", damaged_inside(png_of(noise(40, 40, 3))));
  folder_.write("train/b/1.png", even_png(200));
  EXPECT_THAT(error_text([&] { measure_normalization(*open_dataset(options_, Split::kTrain)); }),
              HasSubstr(at("train/a/2.png") + ": PNG: "));
  options_.skip_bad_images = true;
  const auto train = open_dataset(options_, Split::kTrain);
  EXPECT_EQ(train->size(), 3);
  const Normalization measured = measure_normalization(*train);
  EXPECT_FLOAT_EQ(static_cast<float>(measured.mean[0]), 150.0F / 255);  // its neighbour would count twice: 167
  EXPECT_FLOAT_EQ(static_cast<float>(measured.std[0]), 50.0F / 255);
  ASSERT_EQ(train->take_notes().size(), 1u);
  for (const char* name : {"a/1.png", "b/1.png"})
    folder_.write(std::string("train/") + name, damaged_inside(png_of(noise(40, 40, 3))));
  EXPECT_EQ(error_text([&] { measure_normalization(*open_dataset(options_, Split::kTrain)); }),
            at("train") + ": none of its 3 pictures can be read");
}

TEST_F(FolderTest, EvaluationLeavesOutWhatCannotBeRead) {
  write_set("train", 4);
  folder_.write("train/cat/2x.png", damaged_inside(png_of(noise(40, 40, 3))));  // number 3, behind 2.jpg
  folder_.write("train/dog/3x.png", damaged_inside(png_of(noise(40, 40, 3))));  // the last, 9
  options_.skip_bad_images = true;
  const auto set = open_dataset(options_, Split::kTrain);
  ASSERT_EQ(set->size(), 10);
  for (const std::int64_t workers : {0, 2}) {
    PipelineOptions pipeline_options = evaluation_pipeline(options_, {{0.5, 0.5, 0.5}, {1, 1, 1}}, 4);
    pipeline_options.workers = workers;
    Pipeline pipeline(*set, pipeline_options);
    pipeline.start(0);
    std::vector<std::int64_t> indices;
    std::vector<std::int32_t> labels;
    while (const Batch* batch = pipeline.next()) {
      EXPECT_EQ(batch->images.size(), static_cast<std::size_t>(batch->count * set->shape().count()));
      ASSERT_EQ(batch->labels.size(), static_cast<std::size_t>(batch->count));
      std::vector<std::uint8_t> image(8 * 8 * 3);
      for (std::size_t i = 0; i < batch->labels.size(); ++i) {
        EXPECT_EQ(set->read_for_evaluation(batch->indices[i], image.data()), batch->labels[i]);
        EXPECT_FLOAT_EQ(batch->images[i * image.size()], static_cast<float>(image[0]) / 255 - 0.5F);
      }
      indices.insert(indices.end(), batch->indices.begin(), batch->indices.end());
      labels.insert(labels.end(), batch->labels.begin(), batch->labels.end());
    }
    EXPECT_THAT(indices, ElementsAre(0, 1, 2, 4, 5, 6, 7, 8));
    EXPECT_THAT(labels, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  }
  const std::vector<std::string> notes = set->take_notes();
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_THAT(notes[0], HasSubstr(at("train/cat/2x.png") + ": PNG: "));
  EXPECT_THAT(notes[0], HasSubstr("; evaluations leave it out"));
  options_.skip_bad_images = false;
  std::vector<std::uint8_t> image(8 * 8 * 3);
  const auto strict = open_dataset(options_, Split::kTrain);
  EXPECT_THAT(error_text([&] { strict->read_for_evaluation(3, image.data()); }),
              HasSubstr(at("train/cat/2x.png") + ": PNG: "));
}

TEST_F(FolderTest, WhenNothingCanBeReadTrainingEnds) {
  for (int i = 0; i < 20; ++i) {
    folder_.write("train/a/" + std::to_string(i) + ".png", png_of(noise(4, 4, 3)));
    folder_.write("train/b/" + std::to_string(i) + ".png", png_of(noise(4, 4, 3)));
  }
  const auto train = open_dataset(options_, Split::kTrain);
  std::filesystem::remove_all(at("train"));
  std::vector<std::uint8_t> image(8 * 8 * 3);
  const std::vector<std::uint8_t> fill(3);
  EXPECT_EQ(error_text([&] {
              train->read_for_training(0, {1, 0, fill}, image.data());
            }),
            at("train/a/5.png") + ": cannot be read: No such file or directory");
}

TEST_F(FolderTest, BatchesAreTheSameForAnyNumberOfWorkers) {
  write_set("train", 12);
  options_.transforms = "random_resized_crop(8), flip, color_jitter(0.4, 0.4)";
  const auto train = open_dataset(options_, Split::kTrain);
  std::vector<float> wanted;
  for (const std::int64_t workers : {0, 1, 3}) {
    PipelineOptions pipeline_options = training_pipeline(options_, {{0.5, 0.5, 0.5}, {1, 1, 1}}, 5, 7);
    pipeline_options.workers = workers;
    Pipeline pipeline(*train, pipeline_options);
    std::vector<float> got;
    for (const std::int64_t epoch : {0, 1}) {
      pipeline.start(epoch);
      while (const Batch* batch = pipeline.next()) {
        got.insert(got.end(), batch->images.begin(), batch->images.end());
        for (std::int64_t i = 0; i < batch->count; ++i) {
          EXPECT_EQ(batch->labels[static_cast<std::size_t>(i)], batch->indices[static_cast<std::size_t>(i)] >= 12);
        }
      }
    }
    if (workers == 0) wanted = got;
    EXPECT_EQ(got.size(), 2u * 4 * 5 * 8 * 8 * 3);
    EXPECT_EQ(got, wanted);
  }
}

TEST_F(FolderTest, TheDescriptionKnowsNamesSizesAndContents) {
  write_set("train", 3);
  const auto describe_now = [&] { return describe(*open_dataset(options_, Split::kTrain)); };
  const SetDescription before = describe_now();
  EXPECT_EQ(describe_now(), before);
  std::filesystem::rename(at("train/cat/0.jpg"), at("train/cat/00.jpg"));
  EXPECT_NE(describe_now().images_digest, before.images_digest);
  std::filesystem::rename(at("train/cat/00.jpg"), at("train/cat/0.jpg"));
  EXPECT_EQ(describe_now(), before);
  folder_.write("train/cat/0.jpg", jpeg_of(gradient(17, 12)));
  EXPECT_NE(describe_now().images_digest, before.images_digest);
}

TEST_F(FolderTest, TransformsServeOtherKindsOfSets) {
  DataOptions options;
  options.kind = DataKind::kSynthetic;
  options.synthetic_size = 20;
  options.eval_transforms = "resize(16), center_crop(12)";
  options.transforms = "random_resized_crop(12)";
  const auto train = open_dataset(options, Split::kTrain);
  EXPECT_EQ(train->shape(), (ImageShape{3, 12, 12}));
  EXPECT_EQ(read_all(*train).labels.size(), 20u);
  options.synthetic_image = "2x8x8";
  EXPECT_EQ(open_error(options),
            "[data] transforms: expected images of 1 or 3 channels, those of " + train->name() + " have 2");
}

TEST_F(FolderTest, ChannelsAreColoursOrGrey) {
  write_set("train", 1);
  options_.channels = 2;
  EXPECT_EQ(refusal(), "[data] channels: pictures are decoded to 3 (colours) or 1 (grey), got 2");
}

}  // namespace
}  // namespace sluice
