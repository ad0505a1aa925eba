// Which library carries what the ranks of a run say: none, or one MPI of several, loaded when the program starts.
#pragma once

#include <memory>
#include <string>

#include "core/distributed/communicator.hpp"
#include "core/distributed/options.hpp"

namespace sluice {

/// By the environment: mpirun of Open MPI and srun --mpi=pmix, mpirun of MPICH and srun --mpi=pmi2; kNone without a
/// launcher, and of a single process.
Engine launched_by();

/// Connects with the other ranks. Throws Error(kEnvironment) where the engine was not built or cannot be loaded.
std::unique_ptr<Communicator> connect(Engine engine);

}  // namespace sluice
