#include "core/model/stored_normalization.hpp"

#include "core/base/error.hpp"

namespace sluice {

Normalization normalization_without_data(const TrainedNetwork& trained, Warnings& warnings) {
  const auto measure = [&]() -> std::shared_ptr<const Dataset> {
    throw Error(ExitCode::kCheckpoint,
                concat(trained.file(),
                       ": has no normalisation of images, and its configuration measures one; set data.mean and "
                       "data.std, or deploy it with sluice-deploy"));
  };
  return trained.normalization(measure, warnings);
}

}  // namespace sluice
