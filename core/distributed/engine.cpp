#include "core/distributed/engine.hpp"

#include <dlfcn.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "core/base/atomic_file.hpp"

namespace sluice {
namespace {

using MakeCommunicator = Communicator* (*)();

bool is_set(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (std::getenv(name) != nullptr) return true;
  return false;
}

std::string engine_file(Engine engine) {
  Dl_info library{};
  ::dladdr(reinterpret_cast<const void*>(&launched_by), &library);
  const std::string folder = directory_of(library.dli_fname == nullptr ? "" : library.dli_fname);
  return folder + (engine == Engine::kOpenMpi ? "/libsluice_openmpi.so" : "/libsluice_mpich.so");
}

std::string reason() {
  const char* const text = ::dlerror();
  return text == nullptr ? "unknown reason" : text;
}

}  // namespace

void DistributedOptions::describe(Keys& keys) {
  keys.choice(
      "engine", engine,
      {{"auto", Engine::kAuto}, {"none", Engine::kNone}, {"openmpi", Engine::kOpenMpi}, {"mpich", Engine::kMpich}},
      "library that connects the processes of a training; auto: that of the launcher (mpirun, srun), none "
      "without one");
  keys.optional(
      "sync_batchnorm", sync_batchnorm,
      "what is measured in a batch (mean and variance of normalisations, also of gates; ranges of quantisers) "
      "is that of all ranks' images, not of each rank's own");
  keys.choice("gradients", gradients, {{"fp32", WireType::kF32}, {"bf16", WireType::kBF16}},
              "numbers that ranks send each other as gradients; bf16 halves the bytes; they are added up in fp32");
  keys.choice("batch", batch, {{"global", Batch::kGlobal}, {"per_rank", Batch::kPerRank}},
              "whether train.batch is the batch of all ranks together, or that of each");
  if (batch == Batch::kPerRank || keys.documenting())
    keys.choice("lr_scaling", lr_scaling,
                {{"none", LrScaling::kNone}, {"linear", LrScaling::kLinear}, {"sqrt", LrScaling::kSqrt}},
                "with batch = per_rank: factor on the learning rate for n ranks, 1, n or the root of n; "
                "schedule.warmup_epochs leads there");
  else
    keys.idle({"lr_scaling"}, "batch = global");
  keys.choice(
      "progress", helper, {{"poll", false}, {"thread", true}},
      "who lets the library send gradients while backward computes: the computing thread between two operations, "
      "or a thread of its own as well, several times in a millisecond");
  keys.role(KeyRole::kContinues, {"sync_batchnorm"}, "what several ranks normalise by changes from here on");
  keys.role(KeyRole::kContinues, {"gradients"}, "gradients are rounded otherwise from here on");
  keys.role(KeyRole::kContinues, {"batch", "lr_scaling"}, "several ranks take other steps from here on");
  keys.role(KeyRole::kNothing, {"engine", "progress"}, "no effect on the result");
  keys.of_machine({"engine", "progress"});
}

double DistributedOptions::lr_factor(std::int64_t ranks) const {
  const auto factor = static_cast<double>(batches(ranks));
  if (lr_scaling == LrScaling::kNone) return 1;
  return lr_scaling == LrScaling::kLinear ? factor : std::sqrt(factor);
}

Engine launched_by() {
  // The first that says it: mpirun in a job of Slurm starts its helper as a step of one task on each further node.
  for (const char* size : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* const processes = std::getenv(size);
    if (processes == nullptr) continue;
    if (std::strcmp(processes, "1") == 0) return Engine::kNone;  // a single one needs no library
    break;
  }
  if (is_set({"OMPI_COMM_WORLD_SIZE", "PMIX_RANK"})) return Engine::kOpenMpi;
  if (is_set({"PMI_RANK", "PMI_FD"})) return Engine::kMpich;
  return Engine::kNone;
}

std::unique_ptr<Communicator> connect(Engine engine) {
  if (engine == Engine::kAuto) engine = launched_by();
  if (engine == Engine::kNone) return single_process();
  const std::string file = engine_file(engine);
  // Never closed: MPI leaves threads and handlers behind. Its own plug-ins look for its symbols among all.
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    const char* const package = engine == Engine::kOpenMpi ? "libopenmpi-dev" : "libmpich-dev";
    throw Error(ExitCode::kEnvironment,
                concat("several processes: cannot load the engine: ", reason(), "; build Sluice with ", package,
                       " installed, use the other launcher, or set distributed.engine = none"));
  }
  const auto make = reinterpret_cast<MakeCommunicator>(::dlsym(library, "sluice_make_communicator"));
  if (make == nullptr)
    throw Error(ExitCode::kEnvironment, concat(file, ": is no engine of Sluice: ", reason(), "; install Sluice whole"));
  return std::unique_ptr<Communicator>(make());
}

}  // namespace sluice
