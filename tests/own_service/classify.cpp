// Classifies pictures with a trained network, one session for each thread: classify CHECKPOINT.h5 PICTURE...
#include <algorithm>
#include <cstdio>
#include <sluice/model.hpp>
#include <thread>

using namespace sluice;

int main(int argc, char** argv) try {
  if (argc < 3) throw Error(ExitCode::kUsage, "usage: classify CHECKPOINT.h5 PICTURE...");
  const Model model = Model::load(argv[1]);

  const std::vector<std::string> paths(argv + 2, argv + argc);
  std::vector<std::vector<std::uint8_t>> images;
  for (const std::string& path : paths) images.push_back(model.read_picture(path));

  set_threads(1);  // sessions side by side, each on one processor
  std::vector<std::int64_t> classes(images.size());
  const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(available_threads()), images.size());
  std::vector<Session> sessions;  // made here, where an error has somebody to catch it
  for (std::size_t t = 0; t < count; ++t) sessions.emplace_back(model);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < images.size(); i += count) classes[i] = sessions[t].classify(images[i].data());
    });
  }
  for (std::thread& thread : threads) thread.join();

  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto c = static_cast<std::size_t>(classes[i]);
    std::printf("%s: %s\n", paths[i].c_str(), model.class_names()[c].c_str());
  }
} catch (const Error& error) {
  std::fprintf(stderr, "classify: %s\n", error.what());
  return static_cast<int>(error.code());
}
