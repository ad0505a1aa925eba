#include "core/data/remote_images.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/signals.hpp"

namespace sluice {

namespace {

ReaderLimits limits(double timeout_seconds) {
  ReaderLimits limits;
  limits.seconds = timeout_seconds;
  return limits;
}

}  // namespace

RemoteImages::RemoteImages(const ImagePlace& place, double timeout_seconds)
    : file_(place.file), reader_("images", limits(timeout_seconds), memory_.descriptor()) {
  safely([&] {
    reader_.ask(ImageRequest::kOpen, place);
    reader_.wait();
    set_ = reader_.get<ImageSet>();
    if (!sound()) reader_.reject();
  });
}

/// Whether the answer can be: the reader may be what a damaged file made of it.
bool RemoteImages::sound() const {
  const auto images = static_cast<std::size_t>(set_.size);
  if (set_.size <= 0 || set_.rows <= 0 || set_.labels.size() != images) return false;
  if (!set_.encoded()) return set_.shape.channels > 0 && set_.shape.height > 0 && set_.shape.width > 0;
  const auto is_side = [](std::int64_t side) { return side >= 0 && side <= kMaxImageSide; };
  return is_side(set_.shape.height) && is_side(set_.shape.width) && set_.offsets.size() == images + 1 &&
         set_.offsets.front() == 0 && set_.offsets.back() > 0 &&
         std::is_sorted(set_.offsets.begin(), set_.offsets.end()) &&
         (set_.names.empty() || set_.names.size() == images);
}

void RemoteImages::share(std::int64_t units) {
  const std::int64_t bytes = units * unit_bytes();
  memory_.resize(bytes);
  safely([&] {
    reader_.ask(ImageRequest::kShare, bytes);
    reader_.wait();
  });
}

void RemoteImages::reserve(std::int64_t first, std::int64_t count) const {
  if (count > 0) memory_.reserve(first * unit_bytes(), count * unit_bytes());
}

void RemoteImages::ask(std::int64_t first, std::int64_t count, std::int64_t at) {
  safely([&] { reader_.ask(ImageRequest::kRead, first, count, at * unit_bytes()); });
}

void RemoteImages::wait() {
  safely([&] { reader_.wait(); });
}

void RemoteImages::load() {
  constexpr std::int64_t kShareBytes = 8 << 20;
  const std::int64_t all = units(), rows = set_.rows;
  const std::int64_t block = rows * std::max<std::int64_t>(1, kShareBytes / unit_bytes() / rows);
  share(all);
  for (std::int64_t first = 0; first < all; first += block) {
    throw_if_stopped();
    ask(first, std::min(block, all - first), first);
    reserve(first + block, std::min(block, all - first - block));
    wait();
  }
}

std::int64_t largest_group(const std::vector<std::int64_t>& starts) {
  std::int64_t units = 0;
  for (std::size_t g = 0; g + 1 < starts.size(); ++g) units = std::max(units, starts[g + 1] - starts[g]);
  return units;
}

GroupCache::GroupCache(std::unique_ptr<RemoteImages> file, std::vector<std::int64_t> starts, std::int64_t at_once)
    : file_(std::move(file)),
      starts_(std::move(starts)),
      slot_units_(largest_group(starts_)),
      at_once_(std::min(at_once, static_cast<std::int64_t>(starts_.size()) - 1)),
      place_(starts_.size() - 1, cache_.end()),
      run_of_(starts_.size() - 1, 0) {
  file_->share(at_once_ * slot_units_);
}

/// The group becomes the first of the cache; it is asked for where it is not there.
void GroupCache::claim_group(std::int64_t group) {
  constexpr std::int64_t kMostAsked = 32;
  // Both sides would wait for ever if neither took what the other sends.
  if (static_cast<std::int64_t>(asked_.size()) == kMostAsked) take_answer();
  Cache::iterator& place = place_[static_cast<std::size_t>(group)];
  if (place != cache_.end()) {
    cache_.splice(cache_.begin(), cache_, place);
    return;
  }
  if (static_cast<std::int64_t>(cache_.size()) < at_once_) {
    cache_.push_front({-1, static_cast<std::int64_t>(cache_.size()), false});
  } else {
    cache_.splice(cache_.begin(), cache_, std::prev(cache_.end()));
  }
  place = cache_.begin();
  if (place->group >= 0) place_[static_cast<std::size_t>(place->group)] = cache_.end();
  *place = {group, place->slot, false};
  const std::int64_t first = starts_[static_cast<std::size_t>(group)];
  asked_.push_back(place);
  file_->ask(first, starts_[static_cast<std::size_t>(group) + 1] - first, place->slot * slot_units_);
}

const std::uint8_t* GroupCache::fetch(std::int64_t group) {
  const Cached& wanted = *place_[static_cast<std::size_t>(group)];
  while (!wanted.there) take_answer();
  return file_->memory().get() + wanted.slot * slot_units_ * file_->unit_bytes();
}

void GroupCache::take_answer() {
  const Cache::iterator next = asked_.front();
  asked_.pop_front();
  try {
    file_->wait();
    next->there = true;
  } catch (...) {
    place_[static_cast<std::size_t>(std::exchange(next->group, -1))] = cache_.end();
    abandon();
    throw;
  }
}

/// Takes the answers that are still to come, so that a later read begins anew.
void GroupCache::abandon() {
  while (!asked_.empty()) {
    const Cache::iterator next = asked_.front();
    asked_.pop_front();
    try {
      file_->wait();
      next->there = true;
    } catch (const Error&) {
      place_[static_cast<std::size_t>(std::exchange(next->group, -1))] = cache_.end();
    }
  }
}

}  // namespace sluice
