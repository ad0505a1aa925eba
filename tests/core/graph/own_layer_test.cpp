// Mistakes in a layer type that somebody wrote end in one line that names the layer.
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "core/base/error.hpp"
#include "core/graph/gated_layers.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

using Infer = std::function<void(const std::vector<Shape>&, Declarations&)>;
using MakeOp = std::function<std::unique_ptr<Op>(OpNeeds&)>;

class CopyOp : public Op {
 public:
  void forward(const Context& c) override {
    std::memcpy(c.dst.data, c.src[0].data, static_cast<std::size_t>(c.dst.desc.bytes()));
  }
};

class ThrowingOp : public Op {
 public:
  void forward(const Context&) override { throw std::runtime_error("no luck"); }
};

/// Adds to two counts.
class CountingOp : public CopyOp {
 public:
  CountingOp(int open, int total) : open_(open), total_(total) {}
  void forward(const Context& c) override {
    CopyOp::forward(c);
    c.counts[0] += open_;
    c.counts[1] += total_;
  }

 private:
  int open_, total_;
};

class OwnLayer : public Layer {
 public:
  OwnLayer(Infer infer, MakeOp make_op) : infer_(std::move(infer)), make_op_(std::move(make_op)) {}
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.dst = src.at(0);
    infer_(src, declare);
  }
  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds& needs) const override { return make_op_(needs); }

 private:
  Infer infer_;
  MakeOp make_op_;
};

void declare_nothing(const std::vector<Shape>&, Declarations&) {}
std::unique_ptr<Op> make_copy(OpNeeds&) {
  return std::make_unique<CopyOp>();
}

/// What becomes of a network with this layer, whose step is run.
std::string error_of(const LayerFactory& make_layer, Mode mode = Mode::kInference) {
  Registry registry;
  register_layers(registry);
  registry.add_layer("own", "of a test", make_layer);
  Config config = Config::parse(
      "[network]\ninput = 3x4x4\n[layer.first]\ntype = conv\nchannels = 2\nkernel = 1\n[layer.gated]\ntype = own\n"
      "[layer.fc]\ntype = linear\nfeatures = 2\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n",
      "net.ini");
  try {
    Network network(config, registry);
    network.initialise(1);
    Executor executor(network, options_of(mode, 2));
    Batch(network, 2, 2, 1).give(executor);
    run_step(executor);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "no error";
}

std::string error_of(const Infer& infer, const MakeOp& make_op = make_copy, Mode mode = Mode::kInference) {
  return error_of([&](Keys&) { return std::make_unique<OwnLayer>(infer, make_op); }, mode);
}

std::string declared_wrongly(const std::function<void(Declarations&)>& mistake) {
  return error_of([&](const std::vector<Shape>&, Declarations& declare) { mistake(declare); });
}

std::string in_type(const std::string& what) {
  return concat("net.ini:7: [layer.gated]: mistake in the layer type: ", what, " (own of 1x2x4x4)");
}

std::string at_type(const std::string& what) {
  return concat("net.ini:8: [layer.gated] type: ", what);
}

TEST(OwnLayer, ALayerThatCannotBeMadeIsNamed) {
  EXPECT_EQ(error_of([](Keys&) -> std::unique_ptr<Layer> { throw std::runtime_error("no luck"); }),
            in_type("its factory threw: no luck"));
  EXPECT_EQ(error_of([](Keys&) -> std::unique_ptr<Layer> { throw Error(ExitCode::kInternal, "a mistake"); }),
            in_type("its factory threw: a mistake"));
  EXPECT_EQ(error_of([](Keys&) -> std::unique_ptr<Layer> { return nullptr; }), in_type("its factory gives no layer"));
}

TEST(OwnLayer, ExceptionsOfInferNameTheLayer) {
  EXPECT_EQ(declared_wrongly([](Declarations&) { throw std::runtime_error("no luck"); }),
            in_type("infer threw: no luck"));
  EXPECT_EQ(declared_wrongly([](Declarations& declare) { declare.result("a:b", {1}); }),
            in_type("infer threw: a layer declares the result 'a:b', which is no name"));
}

TEST(OwnLayer, CostsNameCountsThatThereAre) {
  EXPECT_EQ(declared_wrongly([](Declarations& declare) {
              const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
              declare.costs.push_back({10, 32, 32, open, total});
            }),
            "no error");
  EXPECT_EQ(declared_wrongly([](Declarations& declare) {
              declare.costs.push_back({10, 32, 32, 0, 1});
            }),
            in_type("a cost names the count 0, and infer declares 0; take what declare.count() returns, for open and "
                    "for total"));
  EXPECT_EQ(declared_wrongly([](Declarations& declare) {
              const int open = declare.count("open");
              declare.costs.push_back({10, 32, 32, open});
            }),
            in_type("a cost names the count -1, and infer declares 1; take what declare.count() returns, for open and "
                    "for total"));
  EXPECT_EQ(declared_wrongly([](Declarations& declare) {
              const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
              declare.costs.push_back({10, 32, 32, total, open});
            }),
            in_type("a cost has the counts of Role::kOpen and Role::kTotal in the wrong order; open comes first"));
}

TEST(OwnLayer, OpenAndTotalGoTogether) {
  EXPECT_EQ(declared_wrongly([](Declarations& declare) { declare.count("open", Role::kOpen); }),
            in_type("infer declares a count of Role::kOpen and none of Role::kTotal; declare both"));
  EXPECT_EQ(declared_wrongly([](Declarations& declare) { declare.count("total", Role::kTotal); }),
            in_type("infer declares a count of Role::kTotal and none of Role::kOpen; declare both"));
}

TEST(OwnLayer, NamesStandOnce) {
  EXPECT_EQ(declared_wrongly([](Declarations& declare) {
              declare.parameter("weight", {1}, "weights", Init::constant(0));
              declare.parameter("weight", {2}, "weights", Init::constant(0));
            }),
            in_type("infer declares the parameter 'weight' twice; give it another name"));
  EXPECT_EQ(declared_wrongly([](Declarations& declare) {
              declare.count("seen");
              declare.count("seen");
            }),
            in_type("infer declares the count 'seen' twice; give it another name"));
}

/// Else the layer behind is blamed.
TEST(OwnLayer, TheResultHasAShape) {
  EXPECT_EQ(declared_wrongly([](Declarations& declare) { declare.dst = {}; }),
            in_type("infer does not set declare.dst, the shape of the result"));
  EXPECT_EQ(declared_wrongly([](Declarations& declare) { declare.dst[1] = 0; }),
            in_type("infer sets declare.dst to 1x0x4x4; every dimension is at least 1"));
  EXPECT_EQ(declared_wrongly([](Declarations& declare) {
              declare.dst = {1, 2};
            }),
            in_type("infer sets declare.dst to 1x2 for one image and to 1x2 for two; its first dimension has to be "
                    "that of the sources"));
}

TEST(OwnLayer, MakesAnOperation) {
  EXPECT_EQ(error_of(declare_nothing), "no error");
  EXPECT_EQ(error_of(declare_nothing, [](OpNeeds&) { return nullptr; }),
            at_type("mistake in the layer type: make_op of own returns nothing; it has to return an operation"));
  EXPECT_EQ(error_of(declare_nothing, [](OpNeeds&) -> std::unique_ptr<Op> { throw std::runtime_error("no luck"); }),
            at_type("mistake in the layer type: make_op of own threw: no luck"));
}

TEST(OwnLayer, ExceptionsOfAnOperationNameTheLayer) {
  EXPECT_EQ(error_of(declare_nothing, [](OpNeeds&) { return std::make_unique<ThrowingOp>(); }),
            at_type("own failed in forward: no luck"));
  EXPECT_EQ(error_of(declare_nothing, make_copy, Mode::kTraining),
            at_type("own failed in backward: its operation implements no backward"));
}

/// An alternative that is not there would be called.
TEST(OwnLayer, HasAsManyWaysAsNames) {
  const auto ways_of = [](const std::vector<std::string>& names) {
    return [names](OpNeeds& needs) {
      needs.alternatives = names;
      auto ways = std::make_unique<Ways>();
      ways->add(std::make_unique<CopyOp>());
      ways->add(std::make_unique<CopyOp>());
      return ways;
    };
  };
  EXPECT_EQ(error_of(declare_nothing, ways_of({"skip", "dense"})), "no error");
  EXPECT_EQ(error_of(declare_nothing, ways_of({"skip", "dense", "third"})),
            at_type("own failed in refresh: OpNeeds::alternatives names 3 ways to the result, Ways has 2; name each "
                    "that was added"));
}

TEST(OwnLayer, CountsNoMoreOpenOutputsThanThereAre) {
  const Infer counts = [](const std::vector<Shape>&, Declarations& declare) {
    declare.count("open", Role::kOpen);
    declare.count("total", Role::kTotal);
  };
  EXPECT_EQ(error_of(counts, [](OpNeeds&) { return std::make_unique<CountingOp>(4, 4); }), "no error");
  EXPECT_EQ(error_of(counts, [](OpNeeds&) { return std::make_unique<CountingOp>(12, 4); }),
            at_type("own failed in forward: it counts 12 open outputs of 4; count every output once"));
}

void declare_gate(const std::vector<Shape>&, Declarations& declare) {
  declare.count("open", Role::kOpen);
  declare.count("total", Role::kTotal);
}

/// A gated layer in a network, and an auxiliary loss that has nothing to do.
struct Gated {
  explicit Gated(const std::string& more = "")
      : config(Config::parse("[network]\ninput = 3x4x4\n[layer.gated]\ntype = own\n" + more, "net.ini")) {
    register_layers(registry);
    registry.add_layer("own", "", [](Keys&) { return std::make_unique<OwnLayer>(declare_gate, make_copy); });
    registry.add_auxiliary_loss("idle", "", [](Keys&) { return std::make_unique<IdleLoss>(); });
    network = std::make_unique<Network>(config, registry);
  }

  class IdleLoss : public AuxiliaryLoss {
   public:
    double forward(const Network&, const AuxiliaryStep&) override { return 0; }
    void backward(const Network&, const AuxiliaryStep&, float*, CountGradients&) override {}
    bool applies() const override { return false; }
  };

  Registry registry;
  Config config;
  std::unique_ptr<Network> network;
};

TEST(GatedLayers, ThatKeepNoDecisionsAreNamed) {
  const Gated gated;
  ExecutorOptions options = options_of(Mode::kInference, 1);
  options.record_decisions = true;
  const Executor executor(*gated.network, options);
  EXPECT_EQ(layers_without_decisions(*gated.network, executor), std::vector<std::string>{"gated"});
}

TEST(GatedLayers, ThatCountNothingAreToldOf) {
  const Gated gated;
  EXPECT_EQ(uncounted_layers(*gated.network, {{0, 3}}), std::vector<std::string>{});
  EXPECT_EQ(uncounted_layers(*gated.network, {{0, 0}}),
            std::vector<std::string>{"layer gated (own) has counted no output: its density and cost are unknown, and "
                                     "all of it is taken to be done; forward has to add to Context::counts"});
}

TEST(GatedLayers, WithoutParametersForALossAreToldOf) {
  EXPECT_EQ(Gated().config.diagnostics().warnings(), std::vector<std::string>{});
  EXPECT_EQ(
      Gated("[idle]\n").config.diagnostics().warnings(),
      std::vector<std::string>{"net.ini:5: [idle]: has no effect: no layer has parameters that it moves, though "
                               "there are gated ones (gated); it finds them by their group, such as 'threshold'"});
}

}  // namespace
}  // namespace sluice
