// Run by a launcher: what the functions of a communicator give on every rank. Exit code 0 where all is right; with
// "abort" the last rank ends all.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <vector>

#include "core/distributed/engine.hpp"
#include "core/distributed/gradient_reducer.hpp"

namespace {

using namespace sluice;

int failures = 0;

void expect(bool right, const char* what) {
  if (right) return;
  ++failures;
  std::cerr << "wrong: " << what << "\n";
}

/// Numbers whose sum depends on the order of the additions.
float uneven(int rank, int i) {
  return 1.0F / static_cast<float>(3 * rank + i % 97 + 1);
}

void sums(Communicator& ranks) {
  std::int64_t large = (std::int64_t{1} << 60) + ranks.rank();
  ranks.sum(&large, 1);
  const std::int64_t size = ranks.size();
  expect(large == size * (std::int64_t{1} << 60) + size * (size - 1) / 2 || size > 7, "sum of integers");
  std::int64_t most[] = {ranks.rank(), -ranks.rank()};
  ranks.largest(most, 2);
  expect(most[0] == size - 1 && most[1] == 0, "largest");
  double real = 0.5;
  ranks.sum(&real, 1);
  expect(real == 0.5 * ranks.size(), "sum of doubles");
  ranks.sum(&real, 0);
}

constexpr int kGradients = 10'007, kStatistics = 301;  // no multiples of buckets and ranks

/// Gradients, then statistics, as a reducer leaves them; every second time they become final little by little.
std::vector<float> reduced(Communicator& ranks, const GradientReducer::Options& options, int times) {
  std::vector<float> all;
  std::vector<float> gradients(kGradients), statistics(kStatistics);
  GradientReducer reducer(ranks, gradients.data(), kGradients, statistics.data(), kStatistics, options);
  for (int time = 0; time < times; ++time) {
    for (int i = 0; i < kGradients; ++i) gradients[static_cast<std::size_t>(i)] = uneven(ranks.rank(), i);
    for (int i = 0; i < kStatistics; ++i) statistics[static_cast<std::size_t>(i)] = uneven(ranks.rank(), i);
    reducer.begin(1.0 / ranks.size());
    for (int first = kGradients; time % 2 == 0 && first > 0; first -= 61) reducer.advance(first);
    reducer.finish();
    all.insert(all.end(), gradients.begin(), gradients.end());
    all.insert(all.end(), statistics.begin(), statistics.end());
  }
  return all;
}

void near_the_mean(Communicator& ranks, const std::vector<float>& values, double gradients, const char* what) {
  for (int i = 0; i < kGradients + kStatistics; ++i) {
    double sum = 0;
    const int place = i < kGradients ? i : i - kGradients;
    for (int rank = 0; rank < ranks.size(); ++rank) sum += static_cast<double>(uneven(rank, place));
    const double mean = sum / ranks.size(), bound = i < kGradients ? gradients : 1e-6;
    expect(std::abs(mean - static_cast<double>(values[static_cast<std::size_t>(i)])) <= bound * mean, what);
  }
}

void means(Communicator& ranks) {
  GradientReducer::Options options;
  options.bucket = 1000;
  const std::vector<float> twice = reduced(ranks, options, 2);
  near_the_mean(ranks, twice, 1e-6, "means");
  const auto half = twice.begin() + kGradients + kStatistics;
  expect(std::equal(twice.begin(), half, half, twice.end()), "the same bits again");
  const std::string bytes(reinterpret_cast<const char*>(twice.data()), twice.size() * sizeof(float));
  for (const std::string& other : gather(ranks, bytes)) expect(other == bytes, "the same bits everywhere");
  options.overlap = false;
  options.bucket = 1 << 20;
  expect(reduced(ranks, options, 2) == twice, "the same bits for any bucket");
  options.wire = WireType::kBF16;
  near_the_mean(ranks, reduced(ranks, options, 1), 1.0 / 128, "means in bf16");
}

void counted_bytes(Communicator& ranks) {
  std::vector<float> values(1000);
  GradientReducer::Options options;
  options.bucket = 300;
  GradientReducer whole(ranks, values.data(), 1000, values.data(), 0, options);
  const std::int64_t others = ranks.size() - 1;
  const auto piece = [&](std::int64_t count) { return (count + others) / ranks.size(); };
  const std::int64_t pieces = 3 * piece(300) + piece(100);
  expect(whole.plan().size() == 4 && whole.bytes_per_step() == 2 * others * pieces * 4, "bytes of a step");
  options.wire = WireType::kBF16;
  GradientReducer half(ranks, values.data(), 1000, values.data(), 0, options);
  expect(half.bytes_per_step() == others * pieces * 4, "bytes of a step in bf16");
}

void texts(Communicator& ranks) {
  const std::vector<std::string> all = gather(ranks, concat("rank ", ranks.rank(), std::string(ranks.rank(), '+')));
  expect(static_cast<int>(all.size()) == ranks.size(), "a text of each");
  for (int rank = 0; rank < ranks.size(); ++rank)
    expect(all[static_cast<std::size_t>(rank)] == concat("rank ", rank, std::string(rank, '+')), "text");
  expect(first_rank(ranks, false) == -1, "no rank");
  expect(first_rank(ranks, ranks.rank() >= 1) == (ranks.size() > 1 ? 1 : -1), "the first of several");
}

void errors(Communicator& ranks) {
  together(ranks, [] {});
  const int last = ranks.size() - 1;
  std::string text;
  try {
    together(ranks, [&] {
      if (ranks.rank() == last) throw Error(ExitCode::kData, "no data\nhere");
    });
  } catch (const Error& error) {
    text = error.what();
    expect(error.code() == ExitCode::kData, "code");
  }
  const std::string here = rank_name(last, host_name()) + ": no data\\nhere";
  expect(text == (ranks.size() == 1 ? "no data\nhere" : here), text.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const std::unique_ptr<Communicator> ranks = connect(Engine::kAuto);
  const bool is_last = ranks->rank() == ranks->size() - 1;
  if (argc > 1 && std::strcmp(argv[1], "abort") == 0) {
    if (is_last) ranks->abort(ExitCode::kEnvironment);
    first_rank(*ranks, false);  // waits for the last one
    return 1;
  }
  sums(*ranks);
  means(*ranks);
  ranks->start_helper();
  means(*ranks);
  counted_bytes(*ranks);
  texts(*ranks);
  errors(*ranks);
  if (ranks->is_root()) std::cout << ranks->size() << " ranks over " << ranks->library() << "\n";
  return failures == 0 ? 0 : 1;
}
