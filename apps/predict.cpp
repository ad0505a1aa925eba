// sluice-predict: the classes of pictures.
#include <algorithm>
#include <charconv>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/decisions.hpp"
#include "apps/formats.hpp"
#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "apps/picture_files.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/printable.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/data/picture_input.hpp"
#include "core/data/pixel_pass.hpp"
#include "core/model/ranking.hpp"
#include "core/model/stored_normalization.hpp"
#include "core/report/records.hpp"

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage = "CHECKPOINT.h5 PICTURE-OR-FOLDER... [--section.key=value ...] [options]";
  program.summary =
      "Shows pictures (JPEG, PNG, WebP, BMP, PPM) to a network: its most probable classes for each. They are resized "
      "and cropped as evaluations of its data set do ([data] eval_transforms), else to what the network takes.";
  program.flags = {{"top", "N", "Classes of each picture (default 5)."},
                   {"maps", "FOLDER", "Write where gates open, for each picture and layer a PNG file: white = all."},
                   force_flag(),
                   {"json", "", "Print JSON."}};
  for (const Flag& flag : table_flags()) program.flags.push_back(flag);
  program.keys = key_names;
  program.notes = {
      "Exit codes: 0 done, 2 usage or configuration, 3 pictures that cannot be read, 5 checkpoint, 6 environment."};
  program.configuration = key_documentation;
  program.foreign = training_sections();
  return program;
}

struct Prediction {
  std::string file;
  std::vector<RankedClass> classes;
  double density = 0;  ///< where maps are written
};

struct Bad {
  std::string file, reason;
};

struct Predictions {
  std::vector<Prediction> good;
  std::vector<Bad> bad;
  std::size_t resized = 0;  ///< of the good, by no rule of the checkpoint
};

/// Where gates open, as files.
class Maps {
 public:
  /// Throws Error(kUsage) where the network has no gates.
  explicit Maps(const Trained& trained) : looker_(*trained.experiment) {
    if (looker_.has_gates()) return;
    throw Error(ExitCode::kUsage, concat("command line: --maps: no layer of ", trained.network.file(),
                                         " decides what it computes; leave it out"));
  }
  void open(MapFolder folder) { folder_ = std::move(folder); }

  /// Of a picture that has become `bytes`, and these normalised; returns the share of open gates.
  double write(const PictureFile& file, const ImageShape& shape, const std::vector<std::uint8_t>& bytes,
               const float* image) {
    looker_.look(image);
    const std::vector<DecisionMap> maps = looker_.maps();
    folder_->write(file, {{shape.height, shape.width}, shape.channels, bytes}, maps);
    written_ += static_cast<std::int64_t>(maps.size());
    ++pictures_;
    return looker_.density();
  }

  const std::string& folder() const { return folder_->directory(); }
  std::int64_t written() const { return written_; }
  std::string text() const {
    return concat("wrote ", counted(written_, "map"), " of ", counted(pictures_, "picture"), " into ",
                  one_line(folder_->directory()));
  }

 private:
  DecisionLooker looker_;
  std::optional<MapFolder> folder_;
  std::int64_t written_ = 0, pictures_ = 0;
};

/// Shows pictures to a network, a batch at a time.
class Predictor {
 public:
  /// `maps`: null, or where they are to be written.
  Predictor(Trained& trained, const Normalization& normalization, std::int64_t batch, std::int64_t top, Maps* maps)
      : image_(trained.network.image()),
        classes_(trained.network.classes()),
        top_(top),
        executor_(maps == nullptr ? trained.network.make_only_executor(batch) : trained.network.make_executor(batch)),
        input_(trained.experiment->data, image_),
        pixels_(image_, normalization, {}),
        bytes_(static_cast<std::size_t>(image_.count())),
        batch_(static_cast<std::size_t>(batch * image_.count())),
        maps_(maps) {}

  void add(const PictureFile& file, Predictions& predictions) {
    try {
      predictions.resized += input_.read(file.path, bytes_.data()) ? 1 : 0;
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData) throw;
      predictions.bad.push_back({file.name, error.what()});
      return;
    }
    float* const place = batch_.data() + static_cast<std::int64_t>(names_.size()) * image_.count();
    pixels_.apply(bytes_.data(), {}, place);
    names_.push_back(file.name);
    densities_.push_back(maps_ != nullptr ? maps_->write(file, image_, bytes_, place) : 0);
    if (static_cast<std::int64_t>(names_.size()) == executor_->options().batch) finish(predictions);
  }

  /// Answers for what waits.
  void finish(Predictions& predictions) {
    if (names_.empty()) return;
    // Copies of the first image fill the batch, as in a session.
    const auto count = static_cast<std::int64_t>(names_.size()), image = image_.count();
    for (std::int64_t i = count; i < executor_->options().batch; ++i)
      std::copy_n(batch_.data(), image, batch_.data() + i * image);
    executor_->lend_batch(batch_.data(), nullptr);
    executor_->forward();
    const float* const logits = executor_->logits().as<const float>();
    for (std::size_t i = 0; i < names_.size(); ++i)
      predictions.good.push_back(
          {names_[i], rank_classes(logits + static_cast<std::int64_t>(i) * classes_, classes_, top_), densities_[i]});
    names_.clear();
    densities_.clear();
  }

 private:
  ImageShape image_;
  std::int64_t classes_, top_;
  std::unique_ptr<Executor> executor_;
  PictureInput input_;
  PixelPass pixels_;
  std::vector<std::uint8_t> bytes_;  ///< one image
  std::vector<float> batch_;         ///< normalised
  std::vector<std::string> names_;   ///< of those in the batch
  std::vector<double> densities_;
  Maps* maps_;
};

/// A row for each class of each picture; in the table a picture is named once.
Records records_of(const Predictions& predictions, const TrainedNetwork& network, bool with_density) {
  const auto left = Table::Align::kLeft;
  Records records;
  records.columns = {{"file", "picture", left, Table::kAlways, Table::Narrow::kCutsPaths},
                     {"rank", "rank", Table::Align::kRight, 0},
                     {"class", "class", Table::Align::kRight, 0},
                     {"name", "class", left, Table::kAlways, Table::Narrow::kCuts},
                     {"probability", "probability"}};
  if (with_density) records.columns.push_back({"density", "density", Table::Align::kRight, 50});
  for (const Prediction& prediction : predictions.good) {
    std::int64_t rank = 0;
    for (const RankedClass& ranked : prediction.classes) {
      ++rank;
      const auto once = [rank](Cell cell) { return rank == 1 ? cell : Cell{cell.value, ""}; };
      records.rows.push_back({once(text_cell(prediction.file)), count_cell(rank), count_cell(ranked.label),
                              text_cell(network.class_name(ranked.label)), percent_cell(ranked.probability)});
      if (with_density) records.rows.back().push_back(once(Cell{prediction.density, share_text(prediction.density)}));
    }
  }
  return records;
}

/// `maps`: null where none are written.
void print_json(const Predictions& predictions, const TrainedNetwork& network, const Maps* maps) {
  using Json = nlohmann::ordered_json;
  Json json = {{"checkpoint", network.file()}, {"pictures", Json::array()}, {"bad", Json::array()}};
  if (maps != nullptr) json["maps"] = {{"folder", maps->folder()}, {"written", maps->written()}};
  for (const Prediction& prediction : predictions.good) {
    Json picture = {{"file", prediction.file}, {"classes", Json::array()}};
    if (maps != nullptr) picture["density"] = prediction.density;
    for (const RankedClass& ranked : prediction.classes)
      picture["classes"].push_back(
          {{"class", ranked.label}, {"name", network.class_name(ranked.label)}, {"probability", ranked.probability}});
    json["pictures"].push_back(std::move(picture));
  }
  for (const Bad& bad : predictions.bad) json["bad"].push_back({{"file", bad.file}, {"reason", bad.reason}});
  std::cout << json_text(json) << "\n";
}

/// What went wrong; returns the exit code.
int report_bad(const Predictions& predictions) {
  for (const Bad& bad : predictions.bad)
    std::cerr << "warning: " << one_line(bad.file) << ": " << one_line(bad.reason) << "\n";
  if (predictions.bad.empty()) return static_cast<int>(ExitCode::kDone);
  const std::size_t all = predictions.good.size() + predictions.bad.size();
  std::cerr << "sluice-predict: " << predictions.bad.size() << " of " << all << (all == 1 ? " picture" : " pictures")
            << " cannot be read\n";
  return static_cast<int>(ExitCode::kData);
}

/// Null without --maps.
std::unique_ptr<Maps> open_maps(const CommandLine& line, const Trained& trained,
                                const std::vector<PictureFile>& files) {
  const std::optional<std::string> folder = line.path("maps");
  if (!folder) return nullptr;
  auto maps = std::make_unique<Maps>(trained);
  std::vector<std::string> inputs = {line.positional().front()};
  for (const PictureFile& file : files) inputs.push_back(file.path);
  maps->open(MapFolder(*folder, inputs, line.has("force")));
  return maps;
}

/// As the checkpoint says; warnings go to standard error.
Normalization normalization_of(const Trained& trained) {
  Warnings warnings;
  Normalization normalization = normalization_without_data(trained.network, warnings);
  for (const std::string& warning : warnings) std::cerr << "warning: " << warning << "\n";
  return normalization;
}

std::int64_t top_of(const CommandLine& line) {
  const std::optional<std::string> text = line.value("top");
  std::int64_t top = 5;
  if (!text) return top;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), top);
  if (error != std::errc() || end != text->data() + text->size() || top < 1)
    throw Error(ExitCode::kUsage,
                concat("command line: --top: expected an integer of at least 1, got ", sluice::quoted(*text)));
  return top;
}

int predict(const CommandLine& line) {
  if (line.positional().size() < 2)
    throw Error(ExitCode::kUsage, "command line: expected a checkpoint and pictures; see sluice-predict --help");
  const RecordFormat format = format_of(line);
  const std::int64_t top = top_of(line);
  const std::vector<PictureFile> files = find_pictures({line.positional().begin() + 1, line.positional().end()});
  Registry registry;
  Trained trained = load_trained(line.positional().front(), line.overrides(), registry);
  start_threads(*trained.experiment);
  note_foreign_kernels(trained);
  note_unmeasured(trained.network);
  const std::unique_ptr<Maps> maps = open_maps(line, trained, files);
  const std::int64_t batch = std::min(trained.experiment->eval.batch, static_cast<std::int64_t>(files.size()));
  Predictor predictor(trained, normalization_of(trained), batch, top, maps.get());
  Predictions predictions;
  for (const PictureFile& file : files) predictor.add(file, predictions);
  predictor.finish(predictions);
  if (format == RecordFormat::kJson)
    print_json(predictions, trained.network, maps.get());
  else if (!predictions.good.empty())
    print_records(std::cout, records_of(predictions, trained.network, maps != nullptr), format);
  if (maps != nullptr) std::cerr << "note: " << maps->text() << "\n";
  if (predictions.resized > 0)
    std::cerr << "note: " << predictions.resized << " of " << predictions.good.size()
              << " pictures had another size than the network takes, " << to_string(trained.network.image())
              << ": of each the largest part of that shape in its middle was resized\n";
  return report_bad(predictions);
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-predict", describe, argc, argv, predict);
}
