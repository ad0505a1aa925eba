// What layers around closed channels count: products that another layer's decisions left, none of their own.
#pragma once

namespace sluice {

/// Names of the counts, those that are left and all.
constexpr const char *kOpenProducts = "open_products", *kProducts = "products";

}  // namespace sluice
