// Train from a program of your own: configuration, network, executor, data, optimiser and checkpoint, for a loop that
// you write. docs/bring-your-own.md.
#pragma once

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/data/pipeline.hpp"
#include "core/graph/cost.hpp"
#include "core/graph/derived_metrics.hpp"
#include "core/graph/executor.hpp"
#include "core/model/network_checkpoint.hpp"
#include "core/plugin/load.hpp"
#include "core/train/evaluator.hpp"
#include "core/train/experiment.hpp"
#include "sluice/layer.hpp"
