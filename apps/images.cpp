#include "apps/images.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/data/pipeline.hpp"

namespace sluice {

BenchmarkImages read_images(const Experiment& experiment, const KnownImages& known, std::int64_t most) {
  const Dataset& dataset = *known.dataset;
  const std::int64_t batch = experiment.eval.batch, wanted = std::max<std::int64_t>(most / batch * batch, batch);
  if (dataset.size() < batch) {
    throw Error(ExitCode::kData, concat(dataset.name(), ": has ", dataset.size(),
                                        " images, fewer than eval.batch = ", batch, "; lower eval.batch"));
  }
  Pipeline pipeline(dataset, evaluation_pipeline(experiment.data, known.normalization,
                                                 std::min(wanted, dataset.size() / batch * batch)));
  pipeline.start(0);
  const Batch* const read = pipeline.next();
  return {read->images, read->labels};
}

}  // namespace sluice
