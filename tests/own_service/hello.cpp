// The classes of a picture: hello CHECKPOINT.h5 PICTURE
#include <cstdio>
#include <sluice/model.hpp>

int main(int, char** argv) {
  const sluice::Model model = sluice::Model::load(argv[1]);
  sluice::Session session(model);
  const std::vector<std::uint8_t> image = model.read_picture(argv[2]);
  for (const auto& [label, probability] : session.classify(image.data(), 5))
    std::printf("%6.2f %%  %s\n", 100 * probability, model.class_names()[label].c_str());
}
