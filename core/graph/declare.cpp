#include "core/graph/declare.hpp"

#include <algorithm>
#include <new>

#include "core/base/error.hpp"

namespace sluice {
namespace {

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  throw ShapeError("", concat("mistake in the layer type: ", parts...));
}

Declarations infer(const Layer& layer, const std::vector<Shape>& src) {
  Declarations declared;
  try {
    layer.infer(src, declared);
  } catch (const ShapeError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    refuse("infer threw: ", error.what());
  }
  return declared;
}

std::unique_ptr<const Layer> make(const Registry& registry, const std::string& type, Keys& keys) {
  try {
    return registry.make(type, keys);
  } catch (const ShapeError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInternal) throw;
    refuse("its factory threw: ", error.what());
  } catch (const std::exception& error) {
    refuse("its factory threw: ", error.what());
  }
}

template <class Spec>
void check_names(const std::vector<Spec>& specs, const char* what) {
  for (auto spec = specs.begin(); spec != specs.end(); ++spec) {
    if (std::any_of(specs.begin(), spec, [&](const Spec& before) { return before.name == spec->name; }))
      refuse("infer declares the ", what, " '", spec->name, "' twice; give it another name");
  }
}

void check_roles(const std::vector<Statistic>& counts) {
  const bool open = find_role(counts, Role::kOpen) >= 0, total = find_role(counts, Role::kTotal) >= 0;
  if (open != total)
    refuse("infer declares a count of Role::k", open ? "Open" : "Total", " and none of Role::k",
           open ? "Total" : "Open", "; declare both");
}

void check_costs(const Declarations& declared) {
  const int known = static_cast<int>(declared.counts.size());
  const auto role = [&](int count) { return declared.counts[static_cast<std::size_t>(count)].role; };
  for (const CostTerm& term : declared.costs) {
    if (term.open == -1 && term.total == -1) continue;
    for (const int count : {term.open, term.total}) {
      if (count < 0 || count >= known)
        refuse("a cost names the count ", count, ", and infer declares ", known,
               "; take what declare.count() returns, for open and for total");
    }
    if (role(term.open) == Role::kTotal || role(term.total) == Role::kOpen)
      refuse("a cost has the counts of Role::kOpen and Role::kTotal in the wrong order; open comes first");
  }
}

/// Sources of a batch of one, as those of a batch of two.
std::vector<Shape> doubled(std::vector<Shape> src) {
  for (Shape& shape : src) {
    if (shape.rank() > 0) shape[0] *= 2;
  }
  return src;
}

void check_result(const Shape& one, const Shape& two) {
  if (one.rank() == 0) refuse("infer does not set declare.dst, the shape of the result");
  if (std::any_of(one.dims().begin(), one.dims().end(), [](std::int64_t size) { return size < 1; }))
    refuse("infer sets declare.dst to ", to_string(one), "; every dimension is at least 1");
  if (two.rank() == 0 || two[0] != 2 * one[0])
    refuse("infer sets declare.dst to ", to_string(one), " for one image and to ", to_string(two),
           " for two; its first dimension has to be that of the sources");
}

}  // namespace

std::unique_ptr<const Layer> make_layer(const Registry& registry, const std::string& type, Keys& keys) {
  std::unique_ptr<const Layer> layer = make(registry, type, keys);
  if (layer == nullptr) refuse("its factory gives no layer");
  return layer;
}

Declarations declare(const Layer& layer, const std::vector<Shape>& src) {
  Declarations declared = infer(layer, src);
  check_names(declared.parameters, "parameter");
  check_names(declared.buffers, "buffer");
  check_names(declared.counts, "count");
  check_names(declared.sums, "sum");
  check_roles(declared.counts);
  check_costs(declared);
  if (declared.is_loss || src.empty()) return declared;
  check_result(declared.dst, infer(layer, doubled(src)).dst);
  return declared;
}

}  // namespace sluice
