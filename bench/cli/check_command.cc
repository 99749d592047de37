#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/report/card.h"
#include "bench/report/text.h"

namespace lab::bench::cli {
namespace {

int Check(const Session& session, const Arguments& arguments) {
  const Catalogue catalogue = MakeCatalogue(session.root);
  const absl::StatusOr<Lab> lab = OpenLab(session.root, arguments.operands[0], catalogue);
  if (!lab.ok()) return Fail(kUsage, lab.status());
  const absl::StatusOr<CardTemplate> card = ReadCardTemplate(*lab);
  if (!card.ok()) return Fail(kUsage, card.status());
  if (const absl::Status checked = CheckCard(card->text, card->file, *lab); !checked.ok()) return Fail(kUsage, checked);
  std::printf("%s: %zu variants, %zu faults, %zu values, %zu expectations, %zu invariants: right\n",
              PrintableText(lab->file).c_str(), lab->variants.size(), lab->faults.size(), lab->values.size(),
              lab->expect.size(), lab->invariants.size());
  for (const PartSpec& part : lab->system) {
    const std::string kind = part.kind.empty() ? part.name : part.kind;
    if (std::find(catalogue.not_here.begin(), catalogue.not_here.end(), kind) == catalogue.not_here.end()) continue;
    std::printf("  not checked: the configuration of %s, whose program is not here yet (./lab run builds it)\n",
                kind.c_str());
  }
  return 0;
}

}  // namespace

Command CheckCommand() {
  return {{"check",
           "<lab>",
           1,
           1,
           {},
           "Check a lab file and its card, without running anything",
           "All errors come at once, as file:line: where: what; remedy. Exit status 64 when there are any.\n\n"
           "Examples\n"
           "  ./lab check rate-limit-outage\n"
           "  ./lab check path/to/lab.yaml\n"},
          &Check};
}

}  // namespace lab::bench::cli
