#include "sluice/model.hpp"

#include <algorithm>

#include "core/checkpoint/stored_checkpoint.hpp"
#include "core/data/picture_input.hpp"
#include "core/data/pixel_pass.hpp"
#include "core/graph/registry.hpp"
#include "core/model/stored_normalization.hpp"
#include "core/plugin/load.hpp"
#include "sluice/layer.hpp"

namespace sluice {

struct Model::State {
  Registry registry;
  std::unique_ptr<TrainedNetwork> trained;
  Normalization normalization;
  ImageShape image;
  std::vector<std::string> class_names;
  std::unique_ptr<const PictureInput> pictures;
};

namespace {

std::int64_t checked(std::int64_t batch) {
  if (batch < 1) throw Error(ExitCode::kUsage, concat("session: expected a batch of at least 1, got ", batch));
  return batch;
}

}  // namespace

Model::Model(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Model Model::load(const std::string& path, const std::vector<std::string>& overrides,
                  void (*register_more)(Registry&)) {
  StoredCheckpoint stored(path);
  const Checkpoint& checkpoint = stored.document();
  const auto state = std::make_shared<State>();
  register_all(state->registry);
  if (register_more != nullptr) register_more(state->registry);
  Config config = Config::stored(checkpoint.config, checkpoint.file, overrides);
  load_plugins_for_checkpoint(config, checkpoint.file, state->registry);
  auto configured = std::make_shared<ConfiguredNetwork>(std::move(config), state->registry);
  state->trained = std::make_unique<TrainedNetwork>(stored, std::move(configured));
  const TrainedNetwork& trained = *state->trained;
  const std::vector<std::string> unmeasured = unmeasured_layers(trained.network());
  if (!unmeasured.empty())
    throw Error(ExitCode::kCheckpoint,
                concat(path, ": ", unmeasured_text(unmeasured), "; deploy it with sluice-deploy"));
  state->image = trained.image();
  Warnings ignored;  // the program that gave the overrides knows them
  state->normalization = normalization_without_data(trained, ignored);
  state->pictures = std::make_unique<const PictureInput>(trained.configured().data, state->image);
  for (std::int64_t c = 0; c < trained.classes(); ++c) state->class_names.push_back(trained.class_name(c));
  return Model(state);
}

const ImageShape& Model::image() const {
  return state_->image;
}
std::int64_t Model::classes() const {
  return state_->trained->classes();
}
const std::vector<std::string>& Model::class_names() const {
  return state_->class_names;
}
const std::vector<double>& Model::mean() const {
  return state_->normalization.mean;
}
const std::vector<double>& Model::std() const {
  return state_->normalization.std;
}

std::vector<std::uint8_t> Model::read_picture(const std::string& path) const {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(image().count()));
  try {
    state_->pictures->read(path, bytes.data());
  } catch (const Error& error) {
    throw Error(error.code(), concat(path, ": ", error.what()));
  }
  return bytes;
}

std::vector<std::uint8_t> Model::decode_picture(std::string_view file) const {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(image().count()));
  state_->pictures->decode(file, bytes.data());
  return bytes;
}

struct Session::State {
  State(Model of, std::unique_ptr<Executor> made)
      : model(std::move(of)),
        executor(std::move(made)),
        pixels(model.image(), model.state_->normalization, {}),
        images(static_cast<std::size_t>(executor->options().batch * model.image().count())),
        logits(static_cast<std::size_t>(model.classes())) {}

  /// Gives each batch to `fill(first, count)`, which puts its images in their place.
  template <class Fill>
  void run(std::int64_t count, float* answers, const Fill& fill) {
    const std::int64_t batch = executor->options().batch, image = model.image().count();
    for (std::int64_t first = 0; first < count; first += batch) {
      const std::int64_t some = std::min(batch, count - first);
      fill(first, some);
      // Copies of the first image fill the batch: of several equal images none can change what a layer measures over
      // all of them.
      for (std::int64_t i = some; i < batch; ++i) std::copy_n(images.data(), image, images.data() + i * image);
      executor->lend_batch(images.data(), nullptr);
      executor->forward();
      std::copy_n(executor->logits().as<const float>(), some * model.classes(), answers + first * model.classes());
    }
  }

  Model model;
  std::unique_ptr<Executor> executor;
  PixelPass pixels;
  std::vector<float> images;  ///< one batch, normalised
  std::vector<float> logits;  ///< of one image
};

std::unique_ptr<Executor> Session::executor_of(const Model& model, std::int64_t batch) {
  if (!model.state_->trained->network().has_parameters())
    throw Error(ExitCode::kUsage,
                "session: the weights of this model went into its only session (Session::only); load the model again "
                "for another");
  return model.state_->trained->make_executor(checked(batch));
}

Session::Session(Model model, std::int64_t batch) {
  auto executor = executor_of(model, batch);
  state_ = std::make_unique<State>(std::move(model), std::move(executor));
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}

Session Session::only(Model&& model, std::int64_t batch) {
  if (model.state_.use_count() != 1)
    throw Error(ExitCode::kUsage, concat("session: this model has ", model.state_.use_count(),
                                         " owners (copies of it and sessions), and Session::only needs it alone"));
  auto executor = model.state_->trained->make_only_executor(checked(batch));
  return Session(std::make_unique<State>(std::move(model), std::move(executor)));
}

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

const Model& Session::model() const {
  return state_->model;
}
std::int64_t Session::batch() const {
  return state_->executor->options().batch;
}

void Session::run(const std::uint8_t* images, std::int64_t count, float* logits) {
  const std::int64_t image = state_->model.image().count();
  state_->run(count, logits, [&](std::int64_t first, std::int64_t some) {
    for (std::int64_t i = 0; i < some; ++i)
      state_->pixels.apply(images + (first + i) * image, {}, state_->images.data() + i * image);
  });
}

void Session::run(const float* images, std::int64_t count, float* logits) {
  const std::int64_t image = state_->model.image().count();
  state_->run(count, logits, [&](std::int64_t first, std::int64_t some) {
    std::copy_n(images + first * image, some * image, state_->images.data());
  });
}

std::int64_t Session::classify(const std::uint8_t* image) {
  std::vector<float>& logits = state_->logits;
  run(image, 1, logits.data());
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

std::vector<RankedClass> Session::classify(const std::uint8_t* image, std::int64_t top) {
  std::vector<float>& logits = state_->logits;
  run(image, 1, logits.data());
  return rank_classes(logits.data(), state_->model.classes(), top);
}

}  // namespace sluice
