// What is done to pictures before they reach a network, as the configuration lists it:
// "random_resized_crop(224), flip, color_jitter(0.4, 0.4, 0.4)". The definitions are torchvision's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.hpp"
#include "core/picture/decode.hpp"
#include "core/picture/picture.hpp"

namespace sluice {

/// What a transform draws and works with.
struct TransformWork {
  Random random;
  const std::vector<std::uint8_t>& fill;  ///< one byte for each channel: what erased pixels become
  DecodeScratch& scratch;
};

/// One step. Stateless: one transform serves all threads.
class Transform {
 public:
  virtual ~Transform() = default;
  /// The size of what comes out of a picture of this size; of any, where that is not known. Nothing where it depends
  /// on the picture.
  virtual std::optional<PictureSize> size(const std::optional<PictureSize>& of) const { return of; }
  /// The part of a picture that it resizes, where that is all it does: at the beginning of a list this is decided
  /// before the picture is decoded.
  virtual std::optional<PictureWindow> window(const PictureSize& of, Random& random) const;
  /// Changes the picture; by default it does what window() says.
  virtual void apply(Picture& picture, TransformWork& work) const;
  /// Whether it draws random numbers.
  virtual bool random() const { return true; }
};

/// What decides the random numbers: each transform of the list has a stream of its own, so that taking one away at the
/// end leaves what the others do.
struct TransformDraw {
  std::uint64_t seed = 1, epoch = 0;
  std::uint32_t sample = 0;
};

/// A list of transforms.
class Transforms {
 public:
  Transforms() = default;
  /// Throws Error(kUsage) with the reason alone.
  explicit Transforms(const std::string& text);

  bool empty() const { return steps_.empty(); }
  /// The name of the first transform that draws random numbers; empty where none does.
  const std::string& first_random() const;
  std::optional<PictureSize> size(std::optional<PictureSize> of) const;

  /// Lets `load(choose)` put a picture into `picture`, of which `choose`, a ChooseWindow, tells the part that the first
  /// transform wants where that is all it does, as decode_picture does; then does the others.
  template <class Load>
  void make(Picture& picture, const TransformDraw& draw, const std::vector<std::uint8_t>& fill, DecodeScratch& scratch,
            Load&& load) const {
    bool windowed = false;
    load([&](const PictureSize& size) {
      const std::optional<PictureWindow> wanted = window(size, draw);
      windowed = wanted.has_value();
      return wanted;
    });
    apply(picture, draw, windowed, fill, scratch);
  }
  /// What the first transform wants of a picture of this size, to be given to decode_picture.
  std::optional<PictureWindow> window(const PictureSize& of, const TransformDraw& draw) const;
  /// Does all of them; `windowed`: but for the first, whose window was cut out already.
  void apply(Picture& picture, const TransformDraw& draw, bool windowed, const std::vector<std::uint8_t>& fill,
             DecodeScratch& scratch) const;

 private:
  Random stream(const TransformDraw& draw, std::size_t step) const;

  struct Step {
    std::string name;
    std::unique_ptr<const Transform> transform;
  };
  std::vector<Step> steps_;
};

/// Every transform with its arguments, and what it does, for `--help` and messages.
std::vector<std::pair<std::string, std::string>> transform_docs();

}  // namespace sluice
