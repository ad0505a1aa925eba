// The page that a report is: one HTML file that needs no network, with its data, its style and its script in it.
#pragma once

#include <string>

namespace sluice {

/// `json`: what page.js shows. Whatever text stands in it, none of it becomes markup. Throws Error(kUsage) where the
/// page would be larger than 3 MB.
std::string report_page(const std::string& title, const std::string& json);

/// How every page begins: by this an earlier one is known.
extern const char kReportBegin[];

/// Text as it may stand in HTML.
std::string html_text(const std::string& text);

}  // namespace sluice
