// Classifies images with a trained network, one session for each thread: classify CHECKPOINT.h5 IMAGE.ppm...
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sluice/model.hpp>
#include <thread>

using namespace sluice;

/// The bytes of a binary PPM (P6) or PGM (P5) file: height x width x channels.
std::vector<std::uint8_t> read_image(const std::string& path, const ImageShape& wanted) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  std::int64_t width = 0, height = 0, white = 0;
  file >> magic >> width >> height >> white;
  file.get();
  const std::int64_t channels = magic == "P6" ? 3 : 1;
  if (!file || white != 255 || channels != wanted.channels || width != wanted.width || height != wanted.height)
    throw Error(ExitCode::kData, concat(path, ": expected a binary PPM or PGM file of ", to_string(wanted)));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(width * height * channels));
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())))
    throw Error(ExitCode::kData, concat(path, ": ends before its last pixel"));
  return bytes;
}

int main(int argc, char** argv) try {
  if (argc < 3) throw Error(ExitCode::kUsage, "usage: classify CHECKPOINT.h5 IMAGE.ppm...");
  const Model model = Model::load(argv[1]);

  const std::vector<std::string> paths(argv + 2, argv + argc);
  std::vector<std::vector<std::uint8_t>> images;
  for (const std::string& path : paths) images.push_back(read_image(path, model.image()));

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
