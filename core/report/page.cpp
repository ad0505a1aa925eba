#include "core/report/page.hpp"

#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {

extern const char kPageStyle[];   // core/report/page.css
extern const char kPageScript[];  // core/report/page.js

namespace {

constexpr std::size_t kMostPageBytes = 3000000;

/// JSON inside a script: no '<', so that nothing ends it.
std::string script_text(const std::string& json) {
  std::string text;
  for (const char c : json) {
    if (c == '<')
      text += "\\u003c";
    else
      text += c;
  }
  return text;
}

}  // namespace

const char kReportBegin[] = "<!DOCTYPE html>\n<!-- sluice-report -->\n";

std::string html_text(const std::string& text) {
  std::string shown;
  for (const char c : one_line(text)) {
    if (c == '<' || c == '>' || c == '&' || c == '"')
      shown += concat("&#", static_cast<int>(c), ";");
    else
      shown += c;
  }
  return shown;
}

std::string report_page(const std::string& title, const std::string& json) {
  std::string page =
      concat(kReportBegin, "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>", html_text(title),
             "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
             "script-src 'unsafe-inline'\">\n<style>\n",
             kPageStyle, "</style>\n</head>\n<body>\n<noscript>The charts and tables need JavaScript.</noscript>\n",
             "<script type=\"application/json\" id=\"data\">", script_text(json), "</script>\n<script>\n", kPageScript,
             "</script>\n</body>\n</html>\n");
  if (page.size() > kMostPageBytes)
    throw Error(ExitCode::kUsage, concat("the report would have ", page.size(), " bytes, more than the ",
                                         kMostPageBytes, " that browsers show well; name fewer runs"));
  return page;
}

}  // namespace sluice
