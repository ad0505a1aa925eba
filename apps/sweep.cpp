#include "apps/sweep.hpp"

#include "core/train/progress.hpp"
#include "gating/density_sweep.hpp"

namespace sluice {

void sweep_kernels(Experiment& experiment, const BenchmarkImages& images, std::vector<KernelRow>& rows,
                   Progress& progress) {
  if (rows.empty()) return;
  Network& network = experiment.network();
  const std::int64_t batch = images.batch(experiment.eval.batch);
  const int forwards = forwards_for(images, batch);
  Executor executor(network, experiment.executor_options(Mode::kInference, batch));
  const auto run = [&] { run_images(executor, images, forwards, &progress); };
  executor.refresh();
  progress.begin("moving thresholds", (1 + runs_to_sweep(executor)) * forwards * batch);
  run();
  for (KernelRow& row : rows) row.density = gate_density(network, executor, row.kernel.layer);
  for (const DensitySweep& sweep : sweep_densities(network, executor, forwards, run)) {
    for (KernelRow& row : rows) {
      if (row.kernel.layer != sweep.layer || !row.density) continue;
      row.swept = true;
      const DensityPoint now = {*row.density, row.ms()};
      if (row.dense) row.break_even = sweep.break_even(row.dense->ms, now);
      if (row.dense_direct) row.break_even_direct = sweep.break_even(row.dense_direct->ms, now);
    }
  }
  progress.end();
}

}  // namespace sluice
