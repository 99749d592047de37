#pragma once

#include <string>

// The one page of the bench: live beside a running system, and as a report with the data inside.
namespace lab::bench::ui {

struct PageContent {
  std::string title = "System Design Lab";  // plain text
  // What stands in the page without a script, as HTML; "" is a page that only a script fills. The script draws into the
  // element with the id "app", and takes "hidden" from the one with the id "explore".
  std::string body;
  std::string data;  // JSON for the script: {"token": …} of a live page, {"trials": …} of a report (web/src/types.ts)
};

// A whole HTML document that needs nothing from elsewhere.
std::string MakePage(const PageContent& content);

// The policy that the page carries, as a header: only its own script and style may run, only its own server be asked,
// and nothing may frame it.
std::string ContentSecurityPolicy();

}  // namespace lab::bench::ui
