#include "apps/open_network.hpp"

#include <iostream>

namespace sluice {

std::unique_ptr<Evaluator> OpenNetwork::evaluator() {
  const std::int64_t batch = experiment().eval.batch;
  auto made =
      std::make_unique<Evaluator>(network(), experiment().executor_options(Mode::kInference, batch), *images.dataset,
                                  evaluation_pipeline(experiment().data, images.normalization, batch));
  made->choose(trained->network.kernels());
  return made;
}

Evaluation OpenNetwork::evaluate(EvaluationProgress& progress) {
  progress.begin(images.dataset->size());
  Evaluation evaluation =
      *evaluator()->run([&](const Batch& batch, const float*, std::int64_t) { progress.line().pass(batch.count); });
  progress.line().end();
  for (const std::string& note : picture_warnings(*images.dataset, evaluation))
    std::cerr << "warning: " << note << "\n";
  return evaluation;
}

std::unique_ptr<OpenNetwork> open_network(const std::string& file, const std::vector<std::string>& overrides,
                                          Split split) {
  auto opened = std::make_unique<OpenNetwork>();
  opened->trained.emplace(load_trained(file, overrides, opened->registry));
  start_threads(opened->experiment());
  note_foreign_kernels(*opened->trained);
  note_unmeasured(opened->trained->network);
  opened->images = open_images(*opened->trained, split, "split");
  return opened;
}

}  // namespace sluice
