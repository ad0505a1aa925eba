#include "core/distributed/communicator.hpp"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <exception>

namespace sluice {
namespace {

class SingleProcess : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string library() const override { return ""; }
  std::string transport() const override { return ""; }
  void sum(double*, std::int64_t) override {}
  void sum(std::int64_t*, std::int64_t) override {}
  void largest(std::int64_t*, std::int64_t) override {}
  void broadcast(void*, std::int64_t, int) override {}
  Transfer start_exchange(const void* pieces, void* received, std::int64_t bytes) override {
    std::memcpy(received, pieces, static_cast<std::size_t>(bytes));
    return 0;
  }
  Transfer start_gather(void*, std::int64_t) override { return 0; }
  bool arrived(Transfer) override { return true; }
  void wait(Transfer) override {}
  void start_helper() override {}
  [[noreturn]] void abort(ExitCode code) override { std::_Exit(static_cast<int>(code)); }
};

}  // namespace

Communicator::~Communicator() = default;

std::unique_ptr<Communicator> single_process() {
  return std::make_unique<SingleProcess>();
}

std::string broadcast(Communicator& ranks, const std::string& text, int root) {
  auto size = static_cast<std::int64_t>(text.size());
  ranks.broadcast(&size, sizeof size, root);
  std::string result = text;
  result.resize(static_cast<std::size_t>(size));
  ranks.broadcast(result.data(), size, root);
  return result;
}

std::vector<std::string> gather(Communicator& ranks, const std::string& text) {
  std::vector<std::string> texts;
  for (int rank = 0; rank < ranks.size(); ++rank) texts.push_back(broadcast(ranks, text, rank));
  return texts;
}

int first_rank(Communicator& ranks, bool yes) {
  if (ranks.size() == 1) return yes ? 0 : -1;
  std::vector<std::int64_t> said(static_cast<std::size_t>(ranks.size()), 0);
  said[static_cast<std::size_t>(ranks.rank())] = yes ? 1 : 0;
  ranks.sum(said.data(), ranks.size());
  for (int rank = 0; rank < ranks.size(); ++rank)
    if (said[static_cast<std::size_t>(rank)] != 0) return rank;
  return -1;
}

void together(Communicator& ranks, const std::function<void()>& work) {
  if (ranks.size() == 1) return work();
  std::string text;
  auto code = static_cast<std::int64_t>(ExitCode::kDone);
  try {
    work();
  } catch (const ErrorLines& error) {
    text = error.what();
    code = static_cast<std::int64_t>(error.code());
  } catch (const Error& error) {
    text = one_line(error.what());
    code = static_cast<std::int64_t>(error.code());
  }
  std::int64_t failed = code != 0 ? 1 : 0;
  ranks.sum(&failed, 1);
  if (failed == 0) return;
  const int first = first_rank(ranks, code != 0);
  if (failed < ranks.size()) text = concat(rank_name(ranks.rank(), host_name()), ": ", text);
  text = broadcast(ranks, text, first);
  ranks.broadcast(&code, sizeof code, first);
  throw CommonError(static_cast<ExitCode>(code), text);
}

std::string rank_name(int rank, const std::string& host) {
  return concat("rank ", rank, " (", host, ")");
}

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace sluice
