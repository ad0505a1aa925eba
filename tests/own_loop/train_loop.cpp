// A training loop of one's own: train_loop CONFIG.ini CHECKPOINT.h5
#include <cstdio>
#include <sluice/train.hpp>

using namespace sluice;

int main(int argc, char** argv) try {
  if (argc != 3) throw Error(ExitCode::kUsage, "usage: train_loop CONFIG.ini CHECKPOINT.h5");
  Registry registry;
  register_all(registry);
  Experiment experiment(Config::load({argv[1]}, {}), registry);
  experiment.configure_threads();

  // Any images and labels will do; these come as the configuration says.
  const TrainingSets sets = open_training(experiment.data);
  const Normalization normalization = make_normalization(experiment.data, *sets.train);
  Pipeline pipeline(*sets.train, training_pipeline(experiment.data, normalization, experiment.train.batch, 1));

  Network& network = experiment.network();
  network.initialise(1);
  Executor executor(network, experiment.executor_options(Mode::kTraining, experiment.train.batch));
  Optimizer optimizer(experiment.optimizer, parameter_ranges(network), network.parameter_count());
  std::uint64_t step = 0;
  for (std::int64_t epoch = 0; epoch < experiment.train.epochs; ++epoch) {
    pipeline.start(epoch);
    double loss = 0, data_loss = 0;
    while (const Batch* batch = pipeline.next()) {
      executor.set_batch(batch->images.data(), batch->labels.data());
      executor.refresh();
      executor.forward(step++);
      executor.backward();
      optimizer.step(network.parameter_data(), executor.gradients(), experiment.optimizer.lr);
      loss += executor.loss();
      data_loss += executor.data_loss();
    }
    const auto batches = static_cast<double>(pipeline.batches());
    std::printf("epoch %d: loss %.4f, of which %.4f is not the data's\n", static_cast<int>(epoch + 1), loss / batches,
                (loss - data_loss) / batches);
  }
  save(untrained_checkpoint(experiment, normalization), argv[2]);
} catch (const Error& error) {
  std::fprintf(stderr, "train_loop: %s\n", error.what());
  return static_cast<int>(error.code());
}
