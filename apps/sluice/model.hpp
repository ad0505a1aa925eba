// Serve a trained network from a program of your own: load a checkpoint, make a session, ask it. docs/serving.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/data/image_shape.hpp"
#include "core/model/ranking.hpp"

namespace sluice {

class Executor;
class Registry;

/// A trained network: loaded once, immutable, shared by any number of sessions and threads. Copies are the same model.
class Model {
 public:
  /// Reads a checkpoint of any kind. It knows the standard and the gated layers, those of plug-ins that `overrides`
  /// name, and those that `register_more` adds: layers that are linked into the program. `overrides` are those of a
  /// command line: "--run.precision=bf16", "--plugins.load=libswish.so". Throws Error(kCheckpoint) where the file is
  /// damaged, its tensors do not fit or nothing says how images are normalised, Error(kUsage) where a layer type is
  /// unknown or an override is wrong.
  static Model load(const std::string& path, const std::vector<std::string>& overrides = {},
                    void (*register_more)(Registry&) = nullptr);

  /// Of the images that it takes.
  const ImageShape& image() const;
  std::int64_t classes() const;
  /// One for each class: its name, or its number where the file has none.
  const std::vector<std::string>& class_names() const;
  /// Images that are floats already are (byte / 255 - mean) / std, one of each for each channel.
  const std::vector<double>& mean() const;
  const std::vector<double>& std() const;

  /// A picture's file (JPEG, PNG, WebP, BMP, PPM or PGM) as an image of image().count() bytes, decoded, resized and
  /// cropped as evaluations of the data set do; without such a rule (data.eval_transforms) the largest part of the
  /// right shape in its middle is resized. Throws Error(kData) with the file's name where it cannot be read.
  std::vector<std::uint8_t> read_picture(const std::string& path) const;
  /// The same of the bytes of such a file; the error's text is the reason alone.
  std::vector<std::uint8_t> decode_picture(std::string_view file) const;

 private:
  friend class Session;
  struct State;
  explicit Model(std::shared_ptr<const State> state);

  std::shared_ptr<const State> state_;
};

/// What one thread needs to ask a model. Sessions of one model do not disturb each other; one thread at a time uses a
/// session. Each call computes on the threads that set_threads (core/base/parallel.hpp) allows: 1 where many sessions
/// work side by side, all processors where one does.
class Session {
 public:
  /// `batch` images are computed together: 1 for the shortest wait, more for the highest rate. Everything is made
  /// here; `run` and `classify` do not allocate.
  explicit Session(Model model, std::int64_t batch = 1);
  /// The one session of a program that makes no other: while it packs the model's weights it gives their memory back.
  /// `model` is its last copy. Throws Error(kUsage) where there is another; so does a later session of this one's
  /// model.
  static Session only(Model&& model, std::int64_t batch = 1);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  const Model& model() const;
  std::int64_t batch() const;

  /// images: count x height x width x channels bytes, as they come from a file; logits: count x classes. Any count from
  /// 0 on; it costs as much as the next multiple of the batch.
  void run(const std::uint8_t* images, std::int64_t count, float* logits);
  /// The same for images that are normalised already.
  void run(const float* images, std::int64_t count, float* logits);
  /// The class of one image: the one with the largest logit.
  std::int64_t classify(const std::uint8_t* image);
  /// Its `top` most probable classes, the most probable one first; allocates them.
  std::vector<RankedClass> classify(const std::uint8_t* image, std::int64_t top);

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  static std::unique_ptr<Executor> executor_of(const Model& model, std::int64_t batch);

  std::unique_ptr<State> state_;
};

}  // namespace sluice
