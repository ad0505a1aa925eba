#include "core/train/known_data.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/model/network_checkpoint.hpp"
#include "core/train/advice.hpp"
#include "core/train/evaluator.hpp"

namespace sluice {
namespace {

constexpr char kTrainOnAll[] = "set validation = 0";  // what a training may do where it must not hold images out

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kData, text);
}

void append(Warnings& warnings, const Warnings& more) {
  warnings.insert(warnings.end(), more.begin(), more.end());
}

std::string first_names(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 12;
  if (names.size() <= kShown) return join(names, ", ");
  return concat(join({names.begin(), names.begin() + kShown}, ", "), ", ...");
}

/// Whether `now` holds out none but images that `before` held out.
bool holds_out_none_but(const HeldOut& now, const HeldOut& before) {
  return now.images == 0 ||
         (now.images <= before.images && now.seed == before.seed && now.drawn_from == before.drawn_from);
}

/// What to hold out so that none of it was trained on, or what to do instead.
std::string as_before_or(const HeldOut& before, const std::string& instead) {
  if (before.images == 0) return instead;
  return concat("set validation = ", before.images, ", validation_seed = ", before.seed,
                " and validation_from = ", before.drawn_from, " as there, or ", instead);
}

/// For a training set that is the one of `file`, or begins with it.
void check_held_out(const TrainingSets& sets, const HeldOut& before, const std::string& file,
                    const std::string& instead) {
  if (holds_out_none_but(sets.held_out, before)) return;
  refuse(concat("[data] validation: of the ", sets.held_out.images, " images held out of ", sets.whole->name(), ", ",
                before.images == 0 ? "all" : "some", " are among those that ", file, " was trained on; ",
                as_before_or(before, instead)));
}

[[noreturn]] void refuse_validation(const Dataset& whole, const DataDescription& known, const std::string& instead) {
  refuse(concat("[data] validation: no images of ", whole.name(), " are held out to validate on, got 0; ",
                known.training ? as_before_or(known.held_out, instead) : "set it above 0, or " + instead));
}

bool is_or_begins_with(const std::optional<SetChange>& change) {
  return !change || change->kind == SetChange::Kind::kAppended;
}

void compare_training(const TrainingSets& sets, Split split, const Checkpoint& checkpoint, const std::string& instead,
                      Warnings& warnings) {
  const std::optional<SetChange> change = compare(*checkpoint.data.training, *sets.whole);
  if (is_or_begins_with(change) && split == Split::kValidation)
    check_held_out(sets, checkpoint.data.held_out, checkpoint.file, instead);
  if (!change || (split == Split::kValidation && is_or_begins_with(change))) return;
  warnings.push_back(
      concat(sets.whole->name(), ": ", change->text, ": it is not the training set of ", checkpoint.file,
             split == Split::kValidation ? ", which may have been trained on images held out here" : ""));
}

void compare_test(const Dataset& test, const Checkpoint& checkpoint, Warnings& warnings) {
  const DataDescription& known = checkpoint.data;
  if (known.training && known.training->images == test.size() && !compare(*known.training, test)) {
    warnings.push_back(concat(test.name(), ": these are the images that ", checkpoint.file,
                              " was trained on; its accuracy on them says little about others"));
  }
  if (!known.test) return;
  if (const auto change = compare(*known.test, test))
    warnings.push_back(concat(test.name(), ": ", change->text, ": it is not the test set of ", checkpoint.file));
}

/// The data of a run that goes on. Takes over the descriptions of what did not change.
void compare_continued(TrainingData& data, const Checkpoint& before, bool accept_changes) {
  const auto accept = [&](const Dataset& set, const SetChange& change, const char* which, const char* effect) {
    if (!accept_changes) {
      refuse(concat(set.name(), ": ", change.text, ": it is not the ", which, " set of ", before.file,
                    "; put that back, start a new run, or go on with this one by --accept-changes"));
    }
    data.warnings.push_back(concat(set.name(), ": ", change.text, ": ", effect));
  };
  const auto change = compare(*before.data.training, *data.sets.whole);
  if (is_or_begins_with(change)) check_held_out(data.sets, before.data.held_out, before.file, kTrainOnAll);
  if (change) {
    const bool appended = change->kind == SetChange::Kind::kAppended;
    if (!appended && change->kind != SetChange::Kind::kLabels && data.sets.held_out.images > 0) {
      refuse(concat(data.sets.whole->name(), ": ", change->text, ": the images held out of it may be ones that ",
                    before.file,
                    " was trained on; put the old set back, or start a new run from its weights "
                    "(train.init) with another test set and validation = 0"));
    }
    accept(*data.sets.whole, *change, "training",
           appended ? "the new ones are trained on from now on, those held out stay the same"
                    : "training goes on with it from here");
  } else {
    data.description.training = before.data.training;
  }
  if (!before.data.test || data.test == nullptr) return;
  if (const auto other = compare(*before.data.test, *data.test))
    return accept(*data.test, *other, "test", "accuracies before and after do not compare");
  data.description.test = before.data.test;
}

/// What a checkpoint holds of the normalisation that the configuration asks for as it did then.
KnownNormalization unchanged_normalization(const DataOptions& now, const Checkpoint& before, std::int64_t channels) {
  const DataOptions then = Config::stored(before.config, before.file).read<DataOptions>("data");
  const auto stored = stored_normalization(before.file, {before.mean, before.std}, channels);
  KnownNormalization known;
  if (stored && now.mean == then.mean) known.mean = stored->mean;
  if (stored && now.std == then.std) known.std = stored->std;
  return known;
}

bool far_apart(const std::vector<double>& a, const std::vector<double>& b) {
  constexpr double kNear = 0.02;  // of the range of pixels: what other images of the same kind differ by
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (!(std::abs(a[i] - b[i]) <= kNear)) return true;
  }
  return false;
}

/// The key by which the configuration names what a message is about: that of a file in it, or that of the folder.
std::string key_of(const Experiment& experiment, const std::string& text) {
  const Section* const data = experiment.config.find("data");
  for (const char* key :
       {"hdf5_train", "hdf5_test", "idx_train_images", "idx_train_labels", "idx_test_images", "idx_test_labels"}) {
    const Entry* const entry = data != nullptr ? data->find(key) : nullptr;
    if (entry != nullptr && !entry->value.empty() && text.find(entry->value) < text.find(": ")) return key;
  }
  return "dir";
}

/// The key of "[data] KEY: ..." where the configuration has it; "" otherwise.
std::string named_key(const Experiment& experiment, const std::string& text) {
  const std::string begin = "[data] ";
  if (!starts_with(text, begin)) return "";
  const std::string key = text.substr(begin.size(), text.find(':') - begin.size());
  const Section* const data = experiment.config.find("data");
  return data != nullptr && data->find(key) != nullptr ? key : "";
}

/// What `open` opens. Of what is wrong with files, or with a key, the configuration's place is told.
template <class Open>
auto opened(const Experiment& experiment, Open open) -> decltype(open()) {
  try {
    return open();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kData) throw;
    const std::string text = error.what(), key = named_key(experiment, text);
    if (!key.empty()) throw Error(error.code(), concat(experiment.where("data", key), text.substr(text.find(':'))));
    if (experiment.data.kind == DataKind::kSynthetic || starts_with(text, "[data]")) throw;
    throw Error(error.code(), concat(experiment.where("data", key_of(experiment, text)), ": ", text));
  }
}

/// The checkpoint was not trained here and the command line names no data set: the configuration speaks of one that the
/// network never saw.
bool is_unknown(const Experiment& experiment, const Checkpoint& checkpoint) {
  const Section* const data = experiment.config.find("data");
  const auto named = [&](const char* key) {
    const Entry* const entry = data != nullptr ? data->find(key) : nullptr;
    return entry != nullptr && entry->origin == Entry::Origin::kCommandLine;
  };
  return !checkpoint.data.training && !checkpoint.data.test && !named("kind") && !named("dir");
}

const Dataset& images_of(const std::shared_ptr<const Dataset>& set) {
  return *set;
}

const Dataset& images_of(const TrainingSets& sets) {
  return *sets.train;
}

/// The keys of [data] that make the images of a set `wanted`, with their values, as alternatives.
std::vector<std::string> keys_for(const DataOptions& options, const Dataset& set, const ImageShape& wanted) {
  const ImageShape& got = set.shape();
  const bool same_size = got.height == wanted.height && got.width == wanted.width;
  const bool same_channels = got.channels == wanted.channels;
  const bool pads = options.pad_to > 0 || (got.height <= wanted.height && got.width <= wanted.width);
  const bool decodes = set.decodes() && (wanted.channels == 1 || wanted.channels == 3);
  const bool makes_channels = decodes || (!set.decodes() && (options.channels > 0 || got.channels == 1));
  const bool synthetic = options.kind == DataKind::kSynthetic;
  std::vector<std::string> keys;
  if (synthetic && options.pad_to == 0 && options.channels == 0)
    keys.push_back("data.synthetic_image = " + to_string(wanted));
  if (!same_channels && !makes_channels) return keys;
  const std::string channels = same_channels ? "" : concat("data.channels = ", wanted.channels);
  if (same_size) {
    keys.push_back(channels);
    return keys;
  }
  const std::string and_channels = same_channels ? "" : " with " + channels;
  if (pads && wanted.height == wanted.width) keys.push_back(concat("data.pad_to = ", wanted.height, and_channels));
  if (!synthetic) keys.push_back("data.eval_transforms" + and_channels);
  return keys;
}

/// Trained weights take no other number of channels.
void check_fits(const Experiment& experiment, const Dataset& set, bool trained) {
  const ImageShape wanted = image_shape(experiment.network()), &got = set.shape();
  std::vector<std::string> keys = keys_for(experiment.data, set, wanted);
  if (!trained || got.channels == wanted.channels) keys.push_back("network.input = " + to_string(got));
  check_data_fits(experiment.network(), set, join(keys, " or "));
}

/// What `open` opens, which fits the network. Where nobody named a data set errors say so first.
template <class Open>
auto opened_known(const Experiment& experiment, const Checkpoint& checkpoint, Open open) -> decltype(open()) {
  const bool unknown = is_unknown(experiment, checkpoint);
  try {
    const auto set = unknown ? open() : opened(experiment, open);
    check_fits(experiment, images_of(set), true);
    return set;
  } catch (const Error& error) {
    if (!unknown || error.code() != ExitCode::kData) throw;
    throw Error(
        error.code(),
        concat(checkpoint.file, ": does not know its data set: give --data.kind=KIND --data.dir=DIR (without them ",
               "it is ", to_string(experiment.data.kind), ": ", error.what(), ")"));
  }
}

}  // namespace

Warnings compare_class_names(const std::vector<std::string>& known, const std::string& who, const Dataset& dataset) {
  const std::vector<std::string>& names = dataset.class_names();
  std::size_t other = 0;
  while (other < std::min(names.size(), known.size()) && names[other] == known[other]) ++other;
  if (other == std::min(names.size(), known.size())) return {};
  if (const auto c = displaced_name(names, known)) {
    refuse(concat(dataset.name(), ": its classes are ", first_names(names), ", those of ", who, " ", first_names(known),
                  ": label ", *c, " means '", names[*c], "', not '", *c < known.size() ? known[*c] : "nothing",
                  "'; write its labels in that order, or its class_names if only they are wrong"));
  }
  return {concat(dataset.name(), ": calls class ", other, " '", names[other], "', ", who, " '", known[other],
                 "': are the classes in the same order?")};
}

std::shared_ptr<const Dataset> open_known(const Experiment& experiment, const Checkpoint& checkpoint, Split split,
                                          const std::string& flag, Warnings& warnings) {
  const DataDescription& known = checkpoint.data;
  std::shared_ptr<const Dataset> set;
  if (split == Split::kTest) {
    set = opened_known(experiment, checkpoint, [&] { return open_dataset(experiment.data, split); });
    compare_test(*set, checkpoint, warnings);
  } else {
    const std::int64_t drawn_from = known.training ? known.held_out.drawn_from : 0;
    const TrainingSets sets =
        opened_known(experiment, checkpoint, [&] { return open_training(experiment.data, drawn_from); });
    const std::string instead = concat("give --", flag, "=test");
    set = split == Split::kTrain ? sets.train : sets.validation;
    if (set == nullptr) refuse_validation(*sets.whole, known, instead);
    if (known.training) compare_training(sets, split, checkpoint, instead, warnings);
  }
  append(warnings, set->take_notes());
  append(warnings, compare_class_names(checkpoint.class_names, checkpoint.file, *set));
  const std::string doubt = doubtful_labels(*set);
  if (!doubt.empty()) warnings.push_back(concat(set->name(), ": ", doubt));
  return set;
}

TrainingData open_training_data(const Experiment& experiment, const Checkpoint* before, bool accept_changes,
                                const StopCheck& check_stop) {
  const DataOptions& options = experiment.data;
  const bool known = before != nullptr && before->data.training;
  TrainingData data;
  data.sets = opened(experiment, [&] { return open_training(options, known ? before->data.held_out.drawn_from : 0); });
  append(data.warnings, data.sets.whole->take_notes());
  check_fits(experiment, *data.sets.train, before != nullptr);
  if (data.sets.validation == nullptr) {
    data.test = opened(experiment, [&] { return open_dataset(options, Split::kTest); });
    append(data.warnings, data.test->take_notes());
    check_fits(experiment, *data.test, before != nullptr);
    append(data.warnings, compare_class_names(data.sets.train->class_names(), data.sets.train->name(), *data.test));
  }
  if (before != nullptr)
    append(data.warnings, compare_class_names(before->class_names, before->file, *data.sets.train));
  if (known) compare_continued(data, *before, accept_changes);
  data.description.held_out = data.sets.held_out;
  if (!data.description.training) data.description.training = describe(*data.sets.whole);
  if (!data.description.test && data.test != nullptr) data.description.test = describe(*data.test);
  const std::int64_t channels = data.sets.train->shape().channels;
  const KnownNormalization normalization =
      before != nullptr ? unchanged_normalization(options, *before, channels) : KnownNormalization{};
  data.normalization = opened(experiment, [&] {
    return make_normalization(
        options, channels, normalization, [&] { return data.sets.train; }, check_stop);
  });
  if (before == nullptr) append(data.warnings, half_given(options));
  append(data.warnings, doubtful(data.normalization));
  const std::string doubt = doubtful_labels(*data.sets.whole);
  if (!doubt.empty()) data.warnings.push_back(concat(data.sets.whole->name(), ": ", doubt));
  append(data.warnings, advice_on_classes(experiment.network(), *data.sets.train));
  return data;
}

Warnings compare_start(const Checkpoint& init, const TrainingData& data) {
  Warnings warnings = compare_class_names(init.class_names, init.file, *data.sets.train);
  const Normalization& now = data.normalization;
  if (far_apart(init.mean, now.mean) || far_apart(init.std, now.std)) {
    warnings.push_back(concat(init.file, ": was trained with ", to_string(Normalization{init.mean, init.std}),
                              ", this run normalises images with ", to_string(now)));
  }
  if (!init.data.training) return warnings;
  const auto change = compare(*init.data.training, *data.sets.whole);
  if (is_or_begins_with(change)) check_held_out(data.sets, init.data.held_out, init.file, kTrainOnAll);
  if (change && change->kind == SetChange::Kind::kShape)
    warnings.push_back(
        concat(data.sets.whole->name(), ": ", change->text, " as those that ", init.file, " was trained on"));
  return warnings;
}

}  // namespace sluice
