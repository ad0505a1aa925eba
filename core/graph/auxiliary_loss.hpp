// A term of the training loss that depends on parameters alone, such as a penalty on thresholds.
#pragma once

namespace sluice {

class Network;

/// Enabled by its section in the configuration; every training executor of the network adds it, whoever writes the
/// loop.
class AuxiliaryLoss {
 public:
  virtual ~AuxiliaryLoss() = default;
  /// Called once, when the network is complete.
  virtual void bind(const Network&) {}
  /// The term's value for the network's current parameters.
  virtual double forward(const Network& network) = 0;
  /// Adds its gradient to the arena `diff_params`, which is laid out like the network's parameters.
  virtual void backward(const Network& network, float* diff_params) = 0;
  /// False where the network that it was bound to has nothing it depends on: the network then leaves it out.
  virtual bool applies() const { return true; }
};

}  // namespace sluice
