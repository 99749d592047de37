#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"

// The checkout that this program is of: its labs, its runs, and what lab files may name.
namespace lab::bench::cli {

// $LAB_ROOT, else the folder above this program that holds labs/. FAILED_PRECONDITION when there is none.
absl::StatusOr<std::string> FindRoot();

// Everything a lab file may name.
Catalogue MakeCatalogue(const std::string& root);

// A lab by its name, or by the path of its file or folder. NOT_FOUND with the nearest name; INVALID_ARGUMENT with all
// errors of the file.
absl::StatusOr<Lab> OpenLab(const std::string& root, const std::string& lab, const Catalogue& catalogue);

// A lab needs the programs of its parts; without them what configures them has not been checked either. NOT_FOUND with
// the remedy.
absl::Status CheckBuilt(const Lab& lab, const Catalogue& catalogue);

// card.md beside the lab's file; "" when there is none.
struct CardTemplate {
  std::string file, text;
};
absl::StatusOr<CardTemplate> ReadCardTemplate(const Lab& lab);

// Folders of finished runs (those with a result.json), oldest first; of one lab, or of all.
std::vector<std::string> RunFolders(const std::string& root, const std::string& lab = "");
// What somebody who types `run` means: "" the latest of all, a lab's name its latest, "<lab>/<time>", or a path.
absl::StatusOr<std::string> FindRun(const std::string& root, const std::string& run);

// `path` as it is shortest from the working folder: relative below it, else absolute.
std::string ShortPath(const std::string& path);

}  // namespace lab::bench::cli
