// The worked example as a layer of the tree: the class of the plug-in, and the function that layers/types.def asks for.
#include "tests/plugin/swish.cpp"

namespace sluice {

std::unique_ptr<Layer> make_swish(Keys& keys) {
  return std::make_unique<Swish>(keys);
}

}  // namespace sluice
