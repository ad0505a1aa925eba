#include "apps/images.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/data/pipeline.hpp"

namespace sluice {

BenchmarkImages read_images(const Experiment& experiment, const KnownImages& known, std::int64_t most) {
  const Dataset& dataset = *known.dataset;
  const std::int64_t batch = std::min(experiment.eval.batch, dataset.size());
  const std::int64_t wanted = std::max<std::int64_t>(most / batch * batch, batch);
  Pipeline pipeline(dataset, evaluation_pipeline(experiment.data, known.normalization,
                                                 std::min(wanted, dataset.size() / batch * batch)));
  pipeline.start(0);
  const Batch* const read = pipeline.next();
  const std::int64_t whole = read->count / batch * batch;
  if (whole == 0)
    throw Error(ExitCode::kData,
                concat(dataset.name(), ": only ", read->count, " of its pictures can be read, fewer than a batch of ",
                       batch, "; lower eval.batch"));
  BenchmarkImages images{read->images, read->labels};
  images.images.resize(static_cast<std::size_t>(whole * dataset.shape().count()));
  images.labels.resize(static_cast<std::size_t>(whole));
  return images;
}

}  // namespace sluice
