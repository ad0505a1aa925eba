#include "apps/images.hpp"

#include <algorithm>

#include "apps/load.hpp"
#include "core/base/error.hpp"
#include "core/data/pipeline.hpp"
#include "core/train/evaluator.hpp"

namespace sluice {

BenchmarkImages read_images(const Experiment& experiment, const Checkpoint& checkpoint, Split split,
                            std::int64_t most) {
  const std::unique_ptr<Dataset> dataset = open_dataset(experiment.data, split);
  check_data_fits(*experiment.network, *dataset);
  const std::int64_t batch = experiment.eval.batch, wanted = std::max<std::int64_t>(most / batch * batch, batch);
  if (dataset->size() < batch) {
    throw Error(ExitCode::kData, concat(dataset->name(), ": has ", dataset->size(),
                                        " images, fewer than eval.batch = ", batch, "; lower eval.batch"));
  }
  Pipeline pipeline(*dataset, evaluation_pipeline(experiment.data, normalization_of(experiment, checkpoint, *dataset),
                                                  std::min(wanted, dataset->size() / batch * batch)));
  pipeline.start(0);
  const Batch* const read = pipeline.next();
  return {read->images, read->labels};
}

}  // namespace sluice
