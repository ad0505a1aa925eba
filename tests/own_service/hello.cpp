// The class of one image, which is black: hello CHECKPOINT.h5
#include <cstdio>
#include <sluice/model.hpp>

int main(int, char** argv) {
  const sluice::Model model = sluice::Model::load(argv[1]);
  sluice::Session session(model);
  const std::vector<std::uint8_t> image(model.image().count());
  const std::int64_t answer = session.classify(image.data());
  std::printf("%s\n", model.class_names()[answer].c_str());
}
