#include "bench/ui/page.h"

#include <string_view>

#include "services/runtime/base/text.h"

namespace lab::bench::ui {

extern const char kPage[];

namespace {

// Puts `text` between the first `begin` and the `end` behind it. The built page has them: a test sees to that.
void Replace(std::string& page, std::string_view begin, std::string_view end, const std::string& text) {
  const size_t from = page.find(begin);
  if (from == std::string::npos) return;
  const size_t inner = from + begin.size();
  const size_t to = page.find(end, inner);
  if (to != std::string::npos) page.replace(inner, to - inner, text);
}

// Inside a script element only "<" could end it or change how it is read (WHATWG HTML, 4.12.1.3).
std::string ForScript(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string ForTitle(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string MakePage(const PageContent& content) {
  std::string page = kPage;
  // From the end on, so that what is put in is not searched.
  if (!content.data.empty()) {
    const size_t at = page.rfind("id=\"data\">");
    std::string tail = at == std::string::npos ? "" : page.substr(at);
    Replace(tail, "id=\"data\">", "</script>", ForScript(content.data));
    if (at != std::string::npos) page.replace(at, std::string::npos, tail);
  }
  if (!content.body.empty()) Replace(page, "<!--body-->", "<!--/body-->", content.body);
  Replace(page, "<title>", "</title>", ForTitle(content.title));
  return page;
}

std::string ContentSecurityPolicy() {
  const std::string_view page = kPage;
  constexpr std::string_view kBegin = "http-equiv=\"Content-Security-Policy\" content=\"";
  const size_t from = page.find(kBegin);
  if (from == std::string_view::npos) return "default-src 'none'";
  const size_t inner = from + kBegin.size();
  return Concat(page.substr(inner, page.find('"', inner) - inner), "; frame-ancestors 'none'");
}

}  // namespace lab::bench::ui
