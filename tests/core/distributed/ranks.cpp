// Run by a launcher: what the functions of a communicator give on every rank. Exit code 0 where all is right; with
// "abort" the last rank ends all.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <vector>

#include "core/distributed/engine.hpp"

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
  const int n = 100'000;
  std::vector<float> values;
  for (int i = 0; i < n; ++i) values.push_back(uneven(ranks.rank(), i));
  ranks.sum(values.data(), n);
  for (int i = 0; i < n; ++i) {
    double sum = 0;
    for (int rank = 0; rank < ranks.size(); ++rank) sum += static_cast<double>(uneven(rank, i));
    expect(std::abs(sum - static_cast<double>(values[static_cast<std::size_t>(i)])) < 1e-6 * sum, "sum of floats");
  }
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  for (const std::string& other : gather(ranks, bytes)) expect(other == bytes, "the same bits everywhere");
  std::int64_t large = (std::int64_t{1} << 60) + ranks.rank();
  ranks.sum(&large, 1);
  const std::int64_t size = ranks.size();
  expect(large == size * (std::int64_t{1} << 60) + size * (size - 1) / 2 || size > 7, "sum of integers");
  double real = 0.5;
  ranks.sum(&real, 1);
  expect(real == 0.5 * ranks.size(), "sum of doubles");
  ranks.sum(&real, 0);
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
  texts(*ranks);
  errors(*ranks);
  if (ranks->is_root()) std::cout << ranks->size() << " ranks over " << ranks->library() << "\n";
  return failures == 0 ? 0 : 1;
}
