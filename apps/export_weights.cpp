#include "apps/export_weights.hpp"

#include <iostream>

#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "core/train/import.hpp"
#include "sluice/layer.hpp"

namespace sluice {

int export_weights_file(const CommandLine& line, const std::string& input, const std::string& program) {
  const Output output = output_of(line, "output", program, is_exported);
  output.refuse_inputs({input});
  Registry registry;
  register_all(registry);
  const ExportedWeights exported = export_weights(load(input), registry.torch_names(), output.path());
  output.write(exported.bytes);
  std::ostream& out = report_stream(output);
  if (line.has("json"))
    print_json_export(out, input, output.path(), exported.tensors);
  else
    out << "wrote " << output.path() << ": " << exported.tensors << " tensors of " << input << "\n";
  return 0;
}

}  // namespace sluice
